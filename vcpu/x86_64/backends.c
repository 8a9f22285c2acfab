/* The virtualization extensions compiled in. Outside their own folders, only this list names them. */
#include "vcpu/backend.h"
#include "vcpu/x86_64/svm/svm.h"
#include "vcpu/x86_64/vmx/vmx.h"

const struct vcpu_backend *const vcpu_backends[] = {&vmx_backend, &svm_backend, NULL};
