/* Intel VMX behind vcpu/backend.h. */
#pragma once
#include "vcpu/backend.h"

extern const struct vcpu_backend vmx_backend;
