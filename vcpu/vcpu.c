/* The vCPU's state machine and its run loop. What the calls promise is in vcpu.h; what the ISA supplies in isa.h. */
#include "vcpu/vcpu.h"
#include <arch/cpu.h>
#include "kernel/base/panic.h"
#include "kernel/base/percpu.h"
#include "kernel/irq.h"
#include "kernel/lib/errno.h"
#include "kernel/lib/string.h"
#include "vcpu/isa.h"
#include "vcpu/trace.h"

/* The one table of legal moves: row = from, bit = to. Reset and destroy add the moves back to Free and Created. */
#define TO(state) BIT32(VCPU_##state)
static const u8 legal_moves[VCPU_STATES] = {
    [VCPU_CREATED] = TO(FREE) | TO(INVALID),
    [VCPU_FREE] = TO(READY) | TO(CREATED) | TO(INVALID),
    [VCPU_READY] = TO(RUNNING) | TO(FREE) | TO(INVALID),
    [VCPU_RUNNING] = TO(READY) | TO(BLOCKED) | TO(INVALID),
    [VCPU_BLOCKED] = TO(READY) | TO(FREE) | TO(CREATED) | TO(INVALID),
    [VCPU_INVALID] = TO(FREE) | TO(CREATED),
};
#undef TO

static const char *const state_names[VCPU_STATES] = {
#define VCPU_STATE_NAME(name) [VCPU_##name] = #name,
    VCPU_STATE_LIST(VCPU_STATE_NAME)
#undef VCPU_STATE_NAME
};

const char *vcpu_state_name(u32 state)
{
    return state < VCPU_STATES ? state_names[state] : "?";
}

bool vcpu_move_legal(u32 from, u32 to)
{
    return from < VCPU_STATES && to < VCPU_STATES && (legal_moves[from] & BIT32(to)) != 0;
}

/* Callers have checked the call's own precondition, so an illegal move here is a host bug. */
static void move(struct vcpu *v, enum vcpu_state to)
{
    ASSERT(vcpu_move_legal(v->state, to));
    /* Full barrier: pairs with vcpu_request(), which sets a request and then reads the state. */
    (void)__atomic_exchange_n(&v->state, (u32)to, __ATOMIC_SEQ_CST);
}

static bool is_bound(const struct vcpu *v)
{
    return v->cpu != CPU_MAX;
}

static bool is_bound_here(const struct vcpu *v)
{
    return v->cpu == percpu()->id;
}

void vcpu_create(struct vcpu *v, const struct vcpu_config *config)
{
    memset(v, 0, sizeof(*v));
    v->config = *config;
    v->state = VCPU_CREATED;
    v->cpu = CPU_MAX;
    v->last_cpu = CPU_MAX;
}

int vcpu_setup(struct vcpu *v)
{
    if (v->state != VCPU_CREATED) {
        return -E_STATE;
    }
    int err = isa_vcpu_init(v);
    if (err != 0) {
        return err;
    }
    v->backend = vcpu_backend();
    err = v->backend->vcpu_init(v);
    if (err != 0) {
        isa_vcpu_fini(v);
        v->backend = NULL;
        return err;
    }
    isa_vcpu_reset(v);
    move(v, VCPU_FREE);
    return 0;
}

/* Put the vCPU on this CPU, IRQs off. On failure nothing is bound. */
static int load_here(struct vcpu *v, struct percpu *cpu)
{
    v->cpu = cpu->id;
    int err = v->backend->load(v);
    if (err != 0) {
        v->cpu = CPU_MAX;
        return err;
    }
    v->last_cpu = cpu->id;
    cpu->current_vcpu = v;
    if (v->state == VCPU_FREE) {
        move(v, VCPU_READY);
    }
    return 0;
}

int vcpu_bind(struct vcpu *v)
{
    struct percpu *cpu = percpu();

    if ((v->state != VCPU_FREE && v->state != VCPU_BLOCKED) || is_bound(v)) {
        return -E_STATE;
    }
    if (cpu->current_vcpu != NULL) {
        return -E_BUSY;
    }
    if (!cpuset_has(&v->config.affinity, cpu->id)) {
        return -E_RANGE;
    }
    u64 flags = arch_irq_save();
    int err = load_here(v, cpu);
    arch_irq_restore(flags);
    return err;
}

int vcpu_unbind(struct vcpu *v)
{
    if (!is_bound_here(v) || v->state == VCPU_RUNNING) {
        return -E_STATE;
    }
    u64 flags = arch_irq_save();
    v->backend->unload(v);
    v->cpu = CPU_MAX;
    percpu()->current_vcpu = NULL;
    if (v->state == VCPU_READY) {
        move(v, VCPU_FREE);
    }
    arch_irq_restore(flags);
    return 0;
}

bool vcpu_try_unblock(struct vcpu *v)
{
    u32 wanted = VCPU_REQ_NMI | VCPU_REQ_WAKE; /* STOP ends no halt: who wants more than that wakes the task */

    if (v->state == VCPU_BLOCKED &&
        ((__atomic_load_n(&v->requests, __ATOMIC_SEQ_CST) & wanted) != 0 || isa_vcpu_event_waits(v))) {
        move(v, is_bound(v) ? VCPU_READY : VCPU_FREE);
        /* After the move: who reads the requests and then the state finds it awake by one of them. */
        (void)__atomic_fetch_and(&v->requests, ~VCPU_REQ_WAKE, __ATOMIC_SEQ_CST);
    }
    return v->state == VCPU_READY || v->state == VCPU_FREE;
}

/* For the report on a crash. */
static void remember(struct vcpu *v, const struct vcpu_exit *exit)
{
    struct vcpu_past_exit *past = &v->history[v->history_head++ % VCPU_HISTORY];

    past->pc = vcpu_arch_pc(&v->arch);
    past->where = exit->where;
    past->kind = exit->kind;
}

bool vcpu_serve(struct vcpu *v, struct vcpu_exit *exit)
{
    remember(v, exit);
    if (v->config.serve == NULL) {
        return false;
    }
    arch_irq_enable();
    exit->answered = v->config.serve(v, exit);
    arch_irq_disable();
    exit->declined = !exit->answered;
    return exit->answered;
}

static void enter_until_served(struct vcpu *v, struct vcpu_exit *exit)
{
    do {
        if (vcpu_must_leave(v)) {
            exit->kind = VCPU_EXIT_KICKED;
            return;
        }
        exit->answered = false;
        exit->declined = false;
        if (READ_ONCE(v->traced)) {
            v->backend->run_traced(v, exit);
        } else {
            v->backend->run(v, exit);
        }
        vcpu_count(v, exit->reason);
        if (exit->kind == VCPU_EXIT_KICKED) {
            arch_irq_take_pending(); /* a host interrupt ended the guest: the host's own handler takes it */
            exit->kind = VCPU_EXIT_NONE;
        }
    } while (exit->kind == VCPU_EXIT_NONE || exit->answered || (!exit->declined && vcpu_serve(v, exit)));
}

static void leave(struct vcpu *v, const struct vcpu_exit *exit)
{
    if (exit->kind == VCPU_EXIT_ENTRY_FAILED) {
        vcpu_invalidate(v, "entry failed");
        return;
    }
    move(v, exit->kind == VCPU_EXIT_HALT ? VCPU_BLOCKED : VCPU_READY);
}

int vcpu_run(struct vcpu *v, struct vcpu_exit *exit)
{
    if (v->state != VCPU_READY || !is_bound_here(v)) {
        return -E_STATE;
    }
    arch_irq_disable();
    move(v, VCPU_RUNNING);
    /* A device may have changed the interrupt chip while the vCPU was out. */
    (void)__atomic_fetch_or(&v->requests, VCPU_REQ_EVENT, __ATOMIC_SEQ_CST);
    enter_until_served(v, exit);
    leave(v, exit);
    arch_irq_enable();
    return 0;
}

int vcpu_reset(struct vcpu *v)
{
    if (v->state == VCPU_CREATED || v->backend == NULL || is_bound(v)) {
        return -E_STATE;
    }
    int err = v->backend->vcpu_reset(v);
    if (err != 0) {
        return err;
    }
    isa_vcpu_reset(v);
    __atomic_store_n(&v->requests, 0, __ATOMIC_SEQ_CST);
    v->invalid_reason = NULL;
    if (v->state != VCPU_FREE) {
        move(v, VCPU_FREE);
    }
    return 0;
}

void vcpu_invalidate(struct vcpu *v, const char *reason)
{
    if (v->state == VCPU_INVALID) {
        return; /* the first reason is the cause */
    }
    v->invalid_reason = reason;
    move(v, VCPU_INVALID);
}

int vcpu_destroy(struct vcpu *v)
{
    if (is_bound(v)) {
        return -E_STATE;
    }
    if (v->backend != NULL) {
        v->backend->vcpu_fini(v);
        isa_vcpu_fini(v);
        vcpu_trace_free(v);
        v->backend = NULL;
    }
    if (v->state != VCPU_CREATED) {
        move(v, VCPU_CREATED);
    }
    return 0;
}

static void kick(const struct vcpu *v)
{
    u32 cpu = READ_ONCE(v->cpu);

    if (cpu != CPU_MAX && cpu != percpu()->id) { /* here: not in the guest, and the loop looks again */
        irq_kick(cpu);
    }
}

void vcpu_request(struct vcpu *v, u32 requests)
{
    (void)__atomic_fetch_or(&v->requests, requests, __ATOMIC_SEQ_CST);
    u32 state = __atomic_load_n(&v->state, __ATOMIC_SEQ_CST);

    if (state == VCPU_BLOCKED) {
        if (v->config.wake != NULL) {
            v->config.wake(v);
        }
    } else if (state == VCPU_RUNNING) {
        kick(v);
    }
}

void vcpu_keep_out(struct vcpu *v)
{
    (void)__atomic_fetch_or(&v->requests, VCPU_REQ_STOP, __ATOMIC_SEQ_CST);
    if (__atomic_load_n(&v->state, __ATOMIC_SEQ_CST) == VCPU_RUNNING) {
        kick(v);
    }
}

void vcpu_clear_request(struct vcpu *v, u32 requests)
{
    if ((READ_ONCE(v->requests) & requests) != 0) {
        (void)__atomic_fetch_and(&v->requests, ~requests, __ATOMIC_SEQ_CST);
    }
}
