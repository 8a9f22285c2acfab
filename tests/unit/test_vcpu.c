/* units: vcpu/vcpu.c vcpu/backend.c vcpu/trace.c */
/* The state machine with a scripted backend: every state x every call, failures, requests from other CPUs. */
#include "tests/unit/host.h"
#include "kernel/base/percpu.h"
#include "kernel/irq.h"
#include "kernel/lib/errno.h"
#include "kernel/time.h"
#include "mm/frame.h"
#include "vcpu/isa.h"
#include "vcpu/trace.h"
#include <arch/cpu.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- the script: what the backend and the ISA answer, and what they were asked ---------------------------------- */

static struct {
    int init_error, isa_error, reset_error, load_error;
    unsigned inits, finis, isa_inits, isa_finis, loads, unloads, runs, resets, kicks, wakes;
    bool event_waits, probe_fails, no_frames;
    unsigned frames;
    u32 kicked_cpu;
    enum vcpu_exit_kind exits[8]; /* NONE = 0 ends in KICKED by the resched flag */
    unsigned next_exit;
    void (*during_run)(struct vcpu *v);
    bool declined; /* what during_run() found */
} script;

static int fake_probe(struct vcpu_caps *caps)
{
    strcpy(caps->missing, "cpuid.fake");
    strcpy(caps->summary, "revision=7 asids=16 levels=4 features=none");
    caps->asids = 16;
    return script.probe_fails ? -E_NOSYS : 0;
}

static int fake_init(struct vcpu *v)
{
    (void)v;
    script.inits += script.init_error == 0;
    return script.init_error;
}

static void fake_fini(struct vcpu *v)
{
    (void)v;
    script.finis++;
}

static int fake_reset(struct vcpu *v)
{
    (void)v;
    script.resets++;
    return script.reset_error;
}

static int fake_load(struct vcpu *v)
{
    assert_false(host_irqs_on);
    assert_int_equal(v->cpu, percpu()->id);
    script.loads += script.load_error == 0;
    return script.load_error;
}

static void fake_unload(struct vcpu *v)
{
    (void)v;
    assert_false(host_irqs_on);
    script.unloads++;
}

static void fake_run(struct vcpu *v, struct vcpu_exit *exit)
{
    assert_false(host_irqs_on);
    assert_int_equal(v->state, VCPU_RUNNING);
    assert_ptr_equal(percpu()->current_vcpu, v);
    script.runs++;
    if (script.during_run != NULL) {
        script.during_run(v);
    }
    exit->kind = script.exits[script.next_exit % ARRAY_SIZE(script.exits)];
    exit->declined = script.declined;
    exit->reason = (u16)exit->kind; /* as good a number as any */
    script.next_exit++;
}

static void fake_run_traced(struct vcpu *v, struct vcpu_exit *exit)
{
    vcpu_trace_enters(v);
    fake_run(v, exit);
    vcpu_trace_left(v, exit->reason, 7);
    vcpu_trace_done(v, exit);
}

static const struct vcpu_backend fake_backend = {
    .name = "fake", .probe = fake_probe, .vcpu_init = fake_init, .vcpu_fini = fake_fini, .vcpu_reset = fake_reset,
    .load = fake_load, .unload = fake_unload, .run = fake_run,
    .run_traced = fake_run_traced,
};
const struct vcpu_backend *const vcpu_backends[] = {&fake_backend, NULL};

int frame_alloc(unsigned order, u16 owner, hpa_t *out)
{
    assert_int_equal(owner, 0);
    if (script.no_frames) {
        return -E_NOMEM;
    }
    void *block = calloc(1, FRAME_SIZE << order);
    assert_non_null(block);
    script.frames++;
    *out = phys_of(block);
    return 0;
}

int frame_free(hpa_t pa, unsigned order, u16 owner)
{
    assert_true(order == VCPU_TRACE_ORDER && owner == 0);
    free(phys_ptr(pa));
    script.frames--;
    return 0;
}

u64 time_ticks(void)
{
    return ++host_counter;
}

int isa_vcpu_init(struct vcpu *v)
{
    (void)v;
    script.isa_inits += script.isa_error == 0;
    return script.isa_error;
}

void isa_vcpu_fini(struct vcpu *v)
{
    (void)v;
    script.isa_finis++;
}

void isa_vcpu_reset(struct vcpu *v)
{
    v->arch.rip = 0xFFF0;
}

u64 vcpu_pc(struct vcpu *v)
{
    return v->arch.rip;
}

bool isa_vcpu_event_waits(struct vcpu *v)
{
    (void)v;
    return script.event_waits;
}

void irq_kick(u32 cpu)
{
    script.kicks++;
    script.kicked_cpu = cpu;
}

static void fake_wake(struct vcpu *v)
{
    (void)v;
    script.wakes++;
}

/* --- a vCPU in any state ---------------------------------------------------------------------------------------- */

static struct vcpu v;
static struct percpu cpus[2];

static int fresh(void **state)
{
    struct vcpu_config config = {.id = 0, .wake = fake_wake};

    (void)state;
    memset(&script, 0, sizeof(script));
    memset(cpus, 0, sizeof(cpus));
    cpus[1].id = 1;
    host_percpu = &cpus[0];
    host_irqs_on = true;
    cpuset_add(&config.affinity, 0);
    cpuset_add(&config.affinity, 1);
    vcpu_create(&v, &config);
    return vcpu_backend_select();
}

static void run_to(enum vcpu_exit_kind kind)
{
    struct vcpu_exit exit = {0};

    script.exits[script.next_exit % ARRAY_SIZE(script.exits)] = kind;
    assert_int_equal(vcpu_run(&v, &exit), 0);
    assert_int_equal(exit.kind, kind);
}

/* Created, Free, Ready, Blocked, Invalid: bound where the state machine says so. Running exists only inside run(). */
static void bring_to(enum vcpu_state state)
{
    assert_int_equal(fresh(NULL), 0);
    if (state == VCPU_CREATED) {
        return;
    }
    assert_int_equal(vcpu_setup(&v), 0);
    if (state == VCPU_READY || state == VCPU_BLOCKED) {
        assert_int_equal(vcpu_bind(&v), 0);
    }
    if (state == VCPU_BLOCKED) {
        run_to(VCPU_EXIT_HALT);
    }
    if (state == VCPU_INVALID) {
        vcpu_invalidate(&v, "test");
    }
    assert_int_equal(v.state, state);
}

/* --- every state x every call ----------------------------------------------------------------------------------- */

enum call { SETUP, BIND, UNBIND, RUN, RESET, DESTROY, UNBLOCK, CALLS };

static int make_call(enum call call)
{
    struct vcpu_exit exit = {0};

    script.exits[script.next_exit % ARRAY_SIZE(script.exits)] = VCPU_EXIT_PIO;
    switch (call) {
    case SETUP: return vcpu_setup(&v);
    case BIND: return vcpu_bind(&v);
    case UNBIND: return vcpu_unbind(&v);
    case RUN: return vcpu_run(&v, &exit);
    case RESET: return vcpu_reset(&v);
    case DESTROY: return vcpu_destroy(&v);
    case UNBLOCK: return vcpu_try_unblock(&v) ? 0 : -E_STATE;
    case CALLS: break;
    }
    abort();
}

#define NO (-1) /* refused with -E_STATE, nothing changed */
static const int expected[VCPU_STATES][CALLS] = {
    /*                  SETUP      BIND          UNBIND     RUN         RESET      DESTROY       UNBLOCK (an event
     * waits) */
    [VCPU_CREATED] = {VCPU_FREE, NO, NO, NO, NO, VCPU_CREATED, NO},
    [VCPU_FREE] = {NO, VCPU_READY, NO, NO, VCPU_FREE, VCPU_CREATED, VCPU_FREE},
    [VCPU_READY] = {NO, NO, VCPU_FREE, VCPU_READY, NO, NO, VCPU_READY},
    [VCPU_RUNNING] = {NO, NO, NO, NO, NO, NO, NO},
    [VCPU_BLOCKED] = {NO, NO, VCPU_BLOCKED, NO, NO, NO, VCPU_READY},
    [VCPU_INVALID] = {NO, NO, NO, NO, VCPU_FREE, VCPU_CREATED, NO},
};

static void check_call(enum vcpu_state from, enum call call)
{
    int want = expected[from][call];
    u32 cpu = v.cpu;
    struct vcpu *current = percpu()->current_vcpu;

    script.event_waits = true;
    int got = make_call(call);
    assert_int_equal(got, want == NO ? -E_STATE : 0);
    assert_int_equal(v.state, want == NO ? (int)from : want);
    if (want == NO) {
        assert_int_equal(v.cpu, cpu);
        assert_ptr_equal(percpu()->current_vcpu, current);
    }
}

static void every_state_and_call(void **state)
{
    (void)state;
    for (u32 from = 0; from < VCPU_STATES; from++) {
        for (u32 call = 0; call < CALLS && from != VCPU_RUNNING; call++) {
            bring_to(from);
            check_call(from, call);
            assert_true(host_irqs_on);
        }
    }
}

static void all_calls_while_running(struct vcpu *running)
{
    assert_ptr_equal(running, &v);
    script.during_run = NULL; /* RUN inside must not get here anyhow */
    for (u32 call = 0; call < CALLS; call++) {
        check_call(VCPU_RUNNING, call);
    }
}

static void running_refuses_everything(void **state)
{
    (void)state;
    bring_to(VCPU_READY);
    script.during_run = all_calls_while_running;
    run_to(VCPU_EXIT_PIO);
    assert_int_equal(script.runs, 1);
    assert_int_equal(v.state, VCPU_READY);
}

static void any_state_to_invalid_and_back(void **state)
{
    (void)state;
    for (u32 from = 0; from < VCPU_STATES; from++) {
        if (from == VCPU_RUNNING) {
            continue;
        }
        bring_to(from);
        bool bound = v.cpu != CPU_MAX;
        vcpu_invalidate(&v, "first");
        vcpu_invalidate(&v, "second");
        assert_int_equal(v.state, VCPU_INVALID);
        assert_string_equal(v.invalid_reason, from == VCPU_INVALID ? "test" : "first");
        assert_int_equal(vcpu_unbind(&v), bound ? 0 : -E_STATE);
        assert_int_equal(v.state, VCPU_INVALID);
        assert_null(percpu()->current_vcpu);
        assert_int_equal(vcpu_reset(&v), from == VCPU_CREATED ? -E_STATE : 0); /* never set up: only destroy is left */
        assert_int_equal(vcpu_destroy(&v), 0);
        assert_int_equal(v.state, VCPU_CREATED);
        assert_int_equal(script.inits, script.finis);
        assert_int_equal(script.isa_inits, script.isa_finis);
    }
}

static void table_is_the_design(void **state)
{
    static const char *const legal[] = {"CREATED FREE", "FREE READY", "READY RUNNING", "RUNNING READY", "READY FREE",
        "RUNNING BLOCKED", "BLOCKED READY", "INVALID FREE", /* reset and destroy: */ "BLOCKED FREE", "BLOCKED CREATED",
        "FREE CREATED", "INVALID CREATED"};
    char pair[64];

    (void)state;
    for (u32 from = 0; from <= VCPU_STATES; from++) {
        for (u32 to = 0; to <= VCPU_STATES; to++) {
            bool want = to == VCPU_INVALID && from < VCPU_INVALID;
            snprintf(pair, sizeof(pair), "%s %s", vcpu_state_name(from), vcpu_state_name(to));
            for (size_t i = 0; i < ARRAY_SIZE(legal); i++) {
                want = want || strcmp(pair, legal[i]) == 0;
            }
            assert_int_equal(vcpu_move_legal(from, to), want);
        }
    }
}

/* --- failures --------------------------------------------------------------------------------------------------- */

static void errors_leave_nothing_behind(void **state)
{
    (void)state;
    bring_to(VCPU_CREATED);
    script.isa_error = -E_NOMEM;
    assert_int_equal(vcpu_setup(&v), -E_NOMEM);
    script.isa_error = 0;
    script.init_error = -E_NOMEM;
    assert_int_equal(vcpu_setup(&v), -E_NOMEM);
    assert_int_equal(v.state, VCPU_CREATED);
    assert_int_equal(script.isa_inits, script.isa_finis);
    script.init_error = 0;
    assert_int_equal(vcpu_setup(&v), 0);

    script.load_error = -E_HW;
    assert_int_equal(vcpu_bind(&v), -E_HW);
    assert_int_equal(v.state, VCPU_FREE);
    assert_int_equal(v.cpu, CPU_MAX);
    assert_null(percpu()->current_vcpu);
    script.load_error = 0;
    assert_int_equal(vcpu_bind(&v), 0);
}

static void nested_bind_is_refused(void **state)
{
    struct vcpu other;
    struct vcpu_config config = {0};

    (void)state;
    bring_to(VCPU_READY);
    cpuset_fill(&config.affinity);
    vcpu_create(&other, &config);
    assert_int_equal(vcpu_setup(&other), 0);
    assert_int_equal(vcpu_bind(&other), -E_BUSY);
    assert_ptr_equal(percpu()->current_vcpu, &v);
    assert_int_equal(vcpu_unbind(&v), 0);
    assert_null(percpu()->current_vcpu);
    assert_int_equal(vcpu_bind(&other), 0);
}

static void affinity_and_owner(void **state)
{
    struct vcpu_exit exit;

    (void)state;
    bring_to(VCPU_FREE);
    v.config.affinity.bits[0] = 2; /* CPU 1 only */
    assert_int_equal(vcpu_bind(&v), -E_RANGE);
    host_percpu = &cpus[1];
    assert_int_equal(vcpu_bind(&v), 0);
    assert_int_equal(v.last_cpu, 1);
    host_percpu = &cpus[0]; /* not the owner: may neither run nor unbind it */
    assert_int_equal(vcpu_run(&v, &exit), -E_STATE);
    assert_int_equal(vcpu_unbind(&v), -E_STATE);
    assert_int_equal(v.state, VCPU_READY);
}

static void entry_failure_is_recoverable(void **state)
{
    (void)state;
    bring_to(VCPU_READY);
    run_to(VCPU_EXIT_ENTRY_FAILED);
    assert_int_equal(v.state, VCPU_INVALID);
    assert_int_equal(vcpu_unbind(&v), 0);
    assert_int_equal(vcpu_reset(&v), 0);
    assert_null(v.invalid_reason);
    assert_int_equal(vcpu_bind(&v), 0);
    run_to(VCPU_EXIT_PIO);
}

/* --- the loop --------------------------------------------------------------------------------------------------- */

static void hot_exits_stay_inside(void **state)
{
    struct vcpu_exit exit;

    (void)state;
    bring_to(VCPU_READY);
    script.exits[3] = VCPU_EXIT_HYPERCALL;
    script.exits[1] = VCPU_EXIT_KICKED; /* a host interrupt without work for this CPU */
    assert_int_equal(vcpu_run(&v, &exit), 0);
    assert_int_equal(exit.kind, VCPU_EXIT_HYPERCALL);
    assert_int_equal(vcpu_exits(&v), 4);
    assert_int_equal(v.exit_counts[VCPU_EXIT_NONE], 2);
    assert_int_equal(v.exit_counts[VCPU_EXIT_KICKED], 1);
    assert_int_equal(v.exit_counts[VCPU_EXIT_HYPERCALL], 1);
    assert_true(host_irqs_on);
}

static void a_trace_tells_each_exit(void **state)
{
    struct vcpu_trace_record record;
    struct vcpu_exit exit;
    u64 index = 0;

    (void)state;
    bring_to(VCPU_READY);
    assert_false(vcpu_trace_read(&v, &index, &record)); /* never traced */
    script.no_frames = true;
    assert_int_equal(vcpu_trace_on(&v), -E_NOMEM);
    assert_false(v.traced);
    script.no_frames = false;
    assert_int_equal(vcpu_trace_on(&v), 0);
    script.exits[1] = VCPU_EXIT_PIO;
    assert_int_equal(vcpu_run(&v, &exit), 0);
    assert_true(vcpu_trace_read(&v, &index, &record));
    assert_true(record.kind == VCPU_EXIT_NONE && record.where == 7 && record.reason == VCPU_EXIT_NONE && record.pc == 0xFFF0);
    assert_true(record.entered < record.left && record.left < record.done);
    assert_true(vcpu_trace_read(&v, &index, &record) && record.kind == VCPU_EXIT_PIO);
    assert_false(vcpu_trace_read(&v, &index, &record));
    assert_int_equal(v.trace->timed[VCPU_EXIT_PIO], 1);
    assert_int_equal(v.trace->ticks[VCPU_EXIT_PIO], record.done - record.left);

    script.exits[1] = VCPU_EXIT_NONE;
    script.exits[7] = VCPU_EXIT_PIO;
    for (u32 i = 0; i < VCPU_TRACE_RECORDS; i++) { /* the reader is lapped: it goes on with the oldest */
        assert_int_equal(vcpu_run(&v, &exit), 0);
    }
    u64 head = v.trace->head;
    assert_true(head > 2ULL * VCPU_TRACE_RECORDS && vcpu_trace_read(&v, &index, &record));
    assert_int_equal(index, head - VCPU_TRACE_RECORDS + 2);
    while (vcpu_trace_read(&v, &index, &record)) {
    }
    assert_int_equal(index, head);
    vcpu_trace_off(&v);
    assert_int_equal(vcpu_run(&v, &exit), 0);
    assert_int_equal(v.trace->head, head);
    assert_int_equal(vcpu_unbind(&v), 0);
    assert_int_equal(vcpu_destroy(&v), 0);
    assert_null(v.trace);
    assert_int_equal(script.frames, 0);
}

static unsigned served;
static bool serve_pio_only(struct vcpu *running, struct vcpu_exit *exit)
{
    assert_true(host_irqs_on);
    assert_int_equal(running->state, VCPU_RUNNING);
    served++;
    if (served == 3) {
        vcpu_request(running, VCPU_REQ_STOP); /* a device ended the VM */
    }
    return exit->kind == VCPU_EXIT_PIO;
}

static void served_exits_stay_inside(void **state)
{
    struct vcpu_exit exit;

    (void)state;
    bring_to(VCPU_READY);
    v.config.serve = serve_pio_only;
    served = 0;
    script.exits[0] = script.exits[2] = VCPU_EXIT_PIO;
    script.exits[1] = VCPU_EXIT_YIELD;
    assert_int_equal(vcpu_run(&v, &exit), 0);
    assert_int_equal(exit.kind, VCPU_EXIT_YIELD); /* the first was served, the second refused */
    assert_int_equal(v.state, VCPU_READY);
    assert_int_equal(vcpu_run(&v, &exit), 0);
    assert_int_equal(exit.kind, VCPU_EXIT_KICKED); /* served, but not entered again */
    assert_int_equal(served, 3);
    assert_int_equal(script.runs, 3);
    assert_true(host_irqs_on);
}

static void asks_by_itself(struct vcpu *running)
{
    struct vcpu_exit asked = {.kind = VCPU_EXIT_YIELD};

    assert_false(vcpu_serve(running, &asked)); /* as a backend does before it comes back */
    assert_true(asked.declined && !asked.answered);
}

/* What was declined inside a backend's run() is returned, and nobody is asked twice. */
static void declined_exits_are_returned(void **state)
{
    struct vcpu_exit exit;

    (void)state;
    bring_to(VCPU_READY);
    v.config.serve = serve_pio_only;
    served = 10;
    script.during_run = asks_by_itself;
    script.declined = true;
    script.exits[0] = VCPU_EXIT_YIELD;
    assert_int_equal(vcpu_run(&v, &exit), 0);
    assert_int_equal(exit.kind, VCPU_EXIT_YIELD);
    assert_int_equal(served, 11);
    assert_int_equal(v.history_head, 1);
}

static void set_resched(struct vcpu *running)
{
    (void)running;
    percpu()->resched = script.runs == 3;
}

static void resched_and_stop_leave(void **state)
{
    struct vcpu_exit exit;

    (void)state;
    bring_to(VCPU_READY);
    script.during_run = set_resched;
    assert_int_equal(vcpu_run(&v, &exit), 0);
    assert_int_equal(exit.kind, VCPU_EXIT_KICKED);
    assert_int_equal(script.runs, 3);
    cpus[0].resched = false;
    vcpu_request(&v, VCPU_REQ_STOP);
    assert_int_equal(vcpu_run(&v, &exit), 0);
    assert_int_equal(exit.kind, VCPU_EXIT_KICKED);
    assert_int_equal(script.runs, 3); /* not entered at all */
    assert_int_equal(v.state, VCPU_READY);
}

/* --- requests --------------------------------------------------------------------------------------------------- */

static void request_from_cpu1(struct vcpu *running)
{
    host_percpu = &cpus[1];
    vcpu_request(running, VCPU_REQ_EVENT);
    host_percpu = &cpus[0];
    assert_int_equal(script.kicks, 1);
    assert_int_equal(script.kicked_cpu, 0);
    vcpu_request(running, VCPU_REQ_EVENT); /* from its own CPU: it is not in the guest, no IPI */
    assert_int_equal(script.kicks, 1);
}

static void request_kicks_only_the_guest(void **state)
{
    (void)state;
    bring_to(VCPU_READY);
    host_percpu = &cpus[1];
    vcpu_request(&v, VCPU_REQ_EVENT);
    assert_int_equal(script.kicks + script.wakes, 0); /* Ready: looked at before it enters */
    host_percpu = &cpus[0];
    script.during_run = request_from_cpu1;
    run_to(VCPU_EXIT_PIO);
    assert_true((v.requests & VCPU_REQ_EVENT) != 0);
}

static void blocked_wakes(void **state)
{
    (void)state;
    bring_to(VCPU_BLOCKED);
    assert_false(vcpu_try_unblock(&v));
    assert_int_equal(v.state, VCPU_BLOCKED);
    vcpu_request(&v, VCPU_REQ_EVENT);
    assert_int_equal(script.wakes, 1);
    assert_false(vcpu_try_unblock(&v)); /* spurious: the ISA says that nothing waits */
    vcpu_request(&v, VCPU_REQ_NMI);
    assert_int_equal(script.wakes, 2);
    assert_true(vcpu_try_unblock(&v));
    assert_int_equal(v.state, VCPU_READY);
}

static void keep_out_from_cpu1(struct vcpu *running)
{
    host_percpu = &cpus[1];
    vcpu_keep_out(running);
    host_percpu = &cpus[0];
    assert_int_equal(script.kicks, 1);
    assert_int_equal(script.kicked_cpu, 0);
}

static void keeping_out_wakes_nobody(void **state)
{
    struct vcpu_exit exit;

    (void)state;
    bring_to(VCPU_READY);
    script.during_run = keep_out_from_cpu1;
    assert_int_equal(vcpu_run(&v, &exit), 0);
    assert_int_equal(exit.kind, VCPU_EXIT_KICKED);
    assert_int_equal(script.runs, 1); /* not entered again */
    vcpu_clear_request(&v, VCPU_REQ_STOP);
    script.during_run = NULL;
    run_to(VCPU_EXIT_HALT);
    assert_int_equal(v.state, VCPU_BLOCKED);
    vcpu_keep_out(&v);
    assert_int_equal(script.wakes, 0);
    assert_false(vcpu_try_unblock(&v)); /* the halt goes on */
}

/* The request lands between the guest's HLT and the change to Blocked: the requester saw Running, so it kicked and did
 * not wake; the owner must find the request when it asks. */
static void request_during_halt(struct vcpu *running)
{
    host_percpu = &cpus[1];
    vcpu_request(running, VCPU_REQ_EVENT);
    host_percpu = &cpus[0];
    script.event_waits = true;
}

static void no_wakeup_is_lost(void **state)
{
    (void)state;
    bring_to(VCPU_READY);
    script.during_run = request_during_halt;
    run_to(VCPU_EXIT_HALT);
    assert_int_equal(v.state, VCPU_BLOCKED);
    assert_int_equal(script.wakes, 0);
    assert_true(vcpu_try_unblock(&v));
    assert_int_equal(v.state, VCPU_READY);
}

static void blocked_survives_unbinding(void **state)
{
    (void)state;
    bring_to(VCPU_BLOCKED);
    assert_int_equal(vcpu_unbind(&v), 0);
    assert_int_equal(v.state, VCPU_BLOCKED);
    assert_int_equal(vcpu_bind(&v), 0);
    assert_int_equal(v.state, VCPU_BLOCKED);
    assert_int_equal(vcpu_unbind(&v), 0);
    script.event_waits = true;
    assert_true(vcpu_try_unblock(&v)); /* unbound: Free, so that bind makes it Ready */
    assert_int_equal(v.state, VCPU_FREE);
    assert_int_equal(vcpu_bind(&v), 0);
    assert_int_equal(v.state, VCPU_READY);
}

static void reset_clears_requests(void **state)
{
    (void)state;
    bring_to(VCPU_FREE);
    vcpu_request(&v, VCPU_REQ_STOP | VCPU_REQ_FLUSH);
    v.arch.rip = 5;
    assert_int_equal(vcpu_reset(&v), 0);
    assert_int_equal(v.requests, 0);
    assert_int_equal(v.arch.rip, 0xFFF0);
    script.reset_error = -E_NOMEM;
    assert_int_equal(vcpu_reset(&v), -E_NOMEM);
    assert_int_equal(v.state, VCPU_FREE);
}

static void selection_names_what_is_missing(void **state)
{
    (void)state;
    host_log_clear();
    assert_int_equal(vcpu_backend_select(), 0);
    assert_non_null(strstr(host_log, "backend=fake revision=7 asids=16 levels=4"));
    script.probe_fails = true;
    host_log_clear();
    assert_int_equal(vcpu_backend_select(), -E_NOSYS);
    assert_string_equal(host_log, "refused backend=fake missing=cpuid.fake\n");
    assert_string_equal(vcpu_exit_name(VCPU_EXIT_PIO), "PIO");
    assert_string_equal(vcpu_exit_name(VCPU_EXIT_KINDS), "?");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(table_is_the_design),
        cmocka_unit_test(every_state_and_call),
        cmocka_unit_test(running_refuses_everything),
        cmocka_unit_test(any_state_to_invalid_and_back),
        cmocka_unit_test(errors_leave_nothing_behind),
        cmocka_unit_test(nested_bind_is_refused),
        cmocka_unit_test(affinity_and_owner),
        cmocka_unit_test(entry_failure_is_recoverable),
        cmocka_unit_test(hot_exits_stay_inside),
        cmocka_unit_test(a_trace_tells_each_exit),
        cmocka_unit_test(served_exits_stay_inside),
        cmocka_unit_test(declined_exits_are_returned),
        cmocka_unit_test(keeping_out_wakes_nobody),
        cmocka_unit_test(resched_and_stop_leave),
        cmocka_unit_test(request_kicks_only_the_guest),
        cmocka_unit_test(blocked_wakes),
        cmocka_unit_test(no_wakeup_is_lost),
        cmocka_unit_test(blocked_survives_unbinding),
        cmocka_unit_test(reset_clears_requests),
        cmocka_unit_test(selection_names_what_is_missing),
    };
    return cmocka_run_group_tests(tests, fresh, NULL);
}
