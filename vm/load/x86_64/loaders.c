/* The order in which images are sniffed: the most specific first; flat images are never guessed. */
#include "vm/load/x86_64/loaders.h"

const struct loader *const load_loaders[] = {&loader_linux, &loader_mb2, &loader_mb1, &loader_elf,
                                             &loader_flat};
const u32 load_loader_count = ARRAY_SIZE(load_loaders);
