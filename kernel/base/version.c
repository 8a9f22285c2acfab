#include "kernel/base/version.h"

const char version_number[] = MOTE_VERSION;
const char version_commit[] = MOTE_COMMIT;
const char version_arch[] = MOTE_ARCH;
