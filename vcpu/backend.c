/* Which virtualization extension this machine has: chosen once, by probing each that is compiled in. */
#include "vcpu/backend.h"
#include "kernel/base/log.h"
#include "kernel/base/panic.h"
#include "kernel/lib/errno.h"
#include "kernel/lib/string.h"
#include "vcpu/vcpu.h"

static const struct vcpu_backend *selected;
static struct vcpu_caps selected_caps;

static const char *const exit_names[VCPU_EXIT_KINDS] = {
#define VCPU_EXIT_NAME(name) [VCPU_EXIT_##name] = #name,
    VCPU_EXIT_LIST(VCPU_EXIT_NAME)
#undef VCPU_EXIT_NAME
};

const char *vcpu_exit_name(enum vcpu_exit_kind kind)
{
    return (u32)kind < VCPU_EXIT_KINDS ? exit_names[kind] : "?";
}

/* Probe one backend; the first that can is the one. */
static bool try_backend(const struct vcpu_backend *backend)
{
    struct vcpu_caps caps;

    memset(&caps, 0, sizeof(caps));
    if (backend->probe(&caps) != 0) {
        return false;
    }
    selected = backend;
    selected_caps = caps;
    return true;
}

static void report_refusals(void)
{
    for (const struct vcpu_backend *const *b = vcpu_backends; *b != NULL; b++) {
        struct vcpu_caps caps;
        memset(&caps, 0, sizeof(caps));
        (void)(*b)->probe(&caps); /* no side effects: asked again only for its reason */
        log_event("refused backend=%s missing=%s", (*b)->name, caps.missing);
    }
}

int vcpu_backend_select(void)
{
    for (const struct vcpu_backend *const *b = vcpu_backends; *b != NULL; b++) {
        if (try_backend(*b)) {
            log_event("backend=%s %s", (*b)->name, selected_caps.summary);
            return 0;
        }
    }
    report_refusals();
    return -E_NOSYS;
}

const struct vcpu_backend *vcpu_backend(void)
{
    ASSERT(selected != NULL);
    return selected;
}

const struct vcpu_caps *vcpu_backend_caps(void)
{
    ASSERT(selected != NULL);
    return &selected_caps;
}
