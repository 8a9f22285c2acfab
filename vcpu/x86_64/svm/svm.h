/* AMD SVM (APM Vol. 2 chapter 15) behind vcpu/backend.h. Everything else of this folder is private to it. */
#pragma once
#include "vcpu/backend.h"

extern const struct vcpu_backend svm_backend;
