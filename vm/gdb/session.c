/* The session: a task that takes what the line brings, byte by byte, and never while it waits for the VM. vCPUs are told things,
 * and asked, on the CPUs that own them (vm_cpu_visit()); while a debugger looks at them they are bound to none. */
#include "vm/gdb/session.h"
#include "kernel/base/panic.h"
#include "kernel/lib/errno.h"
#include "kernel/lib/fmt.h"
#include "kernel/lib/string.h"
#include "mm/heap.h"
#include "vm/gdb/session_parts.h"

#define ALL_CPUS (~0U)
#define BURST 256U      /* bytes of a turn: a flood on the line leaves the CPU to others */
#define RESENDS_MAX 16U /* of one reply */
#define STOP_BREAKPOINT BIT32(8)
#define STOP_STEP BIT32(9)
#define STOP_POINT BIT32(10)
#define STOP_CPU_MASK GENMASK(7, 0)
#define STOP_POINT_SHIFT 16U /* which */
#define SIGNAL_KILL 9U
#define EXIT_CODE_MASK 0xFFU

/* --- the line ------------------------------------------------------------------------------------------------------- */

static bool receive(void *arg, u8 byte)
{
    struct gdb_session *s = arg;
    u32 used = s->head - __atomic_load_n(&s->tail, __ATOMIC_ACQUIRE) + 1;

    s->input[s->head % GDB_INPUT] = byte; /* there is room: the last byte that fitted turned the line away */
    __atomic_store_n(&s->head, s->head + 1, __ATOMIC_RELEASE);
    if (used == GDB_INPUT) {
        __atomic_store_n(&s->full, true, __ATOMIC_SEQ_CST);
    }
    sched_wake(&s->task);
    return used != GDB_INPUT;
}

static bool take_byte(struct gdb_session *s, u8 *byte)
{
    if (s->tail == __atomic_load_n(&s->head, __ATOMIC_ACQUIRE)) {
        if (__atomic_exchange_n(&s->full, false, __ATOMIC_SEQ_CST)) {
            s->port->go_on(s->port);
        }
        return false;
    }
    *byte = s->input[s->tail % GDB_INPUT];
    __atomic_store_n(&s->tail, s->tail + 1, __ATOMIC_RELEASE);
    return true;
}

static void send_reply(struct gdb_session *s)
{
    s->resends = 0;
    if (s->reply.len != 0) {
        s->port->send(s->port, s->reply.text, s->reply.len);
    }
}

static void say(struct gdb_session *s, const char *text)
{
    gdb_reply_begin(&s->reply);
    gdb_reply_text(&s->reply, text);
    gdb_reply_end(&s->reply);
    send_reply(s);
}

static void send_again(struct gdb_session *s)
{
    if (s->resends < RESENDS_MAX && s->reply.len != 0) {
        s->resends++;
        s->port->send(s->port, s->reply.text, s->reply.len);
    }
}

/* --- visits --------------------------------------------------------------------------------------------------------- */

static void visited(struct vcpu *v, void *arg)
{
    struct gdb_session *s = arg;

    if (percpu()->current_vcpu == v && vcpu_unbind(v) != 0) {
        vcpu_invalidate(v, "unbind failed");
    }
    s->visit(s, v);
    (void)__atomic_fetch_sub(&s->outstanding, 1, __ATOMIC_ACQ_REL);
    sched_wake(&s->task);
}

/* Ask those that could not be asked yet: the monitor may be at one. A VM that ends is not asked any more. */
static void ask(struct gdb_session *s)
{
    for (u32 i = 0; i < s->vm->vcpu_count; i++) {
        int rc = (s->to_visit & BIT32(i)) != 0 ? vm_cpu_visit(s->vm, i, visited, s) : -E_BUSY;
        if (rc != -E_BUSY) {
            s->to_visit &= ~BIT32(i);
        }
        if (rc != 0 && rc != -E_BUSY) {
            (void)__atomic_fetch_sub(&s->outstanding, 1, __ATOMIC_ACQ_REL);
        }
    }
}

static void visit(struct gdb_session *s, enum gdb_phase phase, u32 cpus, void (*fn)(struct gdb_session *s, struct vcpu *v))
{
    s->phase = phase;
    s->visit = fn;
    s->to_visit = 0;
    s->outstanding = 0;
    for (u32 i = 0; i < s->vm->vcpu_count; i++) {
        if ((cpus & BIT32(i)) != 0) {
            s->to_visit |= BIT32(i);
            s->outstanding++;
        }
    }
    ask(s);
}

static void stand(struct gdb_session *s, struct vcpu *v)
{
    static const struct vcpu_debug_point none[VCPU_DEBUG_POINTS];

    (void)s;
    vcpu_debug_attach(v, true);
    vcpu_debug_step_cancel(v);
    vcpu_debug_watch(v, none);
}

static void execute(struct gdb_session *s, struct vcpu *v)
{
    s->v = v;
    s->outcome = gdb_command(&s->gdb, s->wire.packet, s->wire.len, &s->reply);
}

static void prepare_start(struct gdb_session *s, struct vcpu *v)
{
    vcpu_debug_watch(v, s->points);
    if (s->gdb.actions[v->config.id] == GDB_STEP) {
        vcpu_debug_step(v);
    }
}

static void forget(struct gdb_session *s, struct vcpu *v)
{
    (void)s;
    vcpu_debug_attach(v, false);
}

/* --- phases --------------------------------------------------------------------------------------------------------- */

static void stop_vm(struct gdb_session *s)
{
    vm_cpu_hold(s->vm, ALL_CPUS, true);
    visit(s, GDB_STOPPING, ALL_CPUS, stand);
}

/* On the CPU of the vCPU that met it. */
static bool stopped(void *arg, struct vcpu *v, const struct vcpu_exit *exit)
{
    struct gdb_session *s = arg;
    u32 nobody = 0, why = exit->debug.breakpoint ? STOP_BREAKPOINT : STOP_STEP;

    if (exit->debug.point != 0) {
        why = STOP_POINT | (u32)(exit->debug.point - 1) << STOP_POINT_SHIFT;
    }
    if (exit->debug.breakpoint && gdb_breakpoint_at(s, vcpu_debug_address(v).v) == NULL) {
        return false;
    }
    (void)__atomic_compare_exchange_n(&s->stop, &nobody, v->config.id | why, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
    vm_cpu_hold(s->vm, ALL_CPUS, true);
    sched_wake(&s->task);
    return true;
}

static void tell_why(struct gdb *gdb, const struct gdb_watch watches[VCPU_DEBUG_POINTS], u32 stop)
{
    const struct gdb_watch *watch = &watches[stop >> STOP_POINT_SHIFT];

    gdb->stop = stop == 0 ? GDB_STOP_ASKED : (stop & STOP_STEP) != 0 ? GDB_STOP_STEP : GDB_STOP_POINT;
    gdb->stop_type = (stop & STOP_POINT) != 0 ? watch->type : GDB_POINT_MEMORY;
    gdb->stop_address = watch->address;
}

/* Every vCPU stands: who was it, and does somebody wait to hear of it? */
static void all_stand(struct gdb_session *s)
{
    u32 stop = __atomic_exchange_n(&s->stop, 0, __ATOMIC_ACQ_REL);

    s->phase = GDB_STOPPED;
    tell_why(&s->gdb, s->watches, stop);
    if (stop != 0) {
        s->gdb.stop_thread = (stop & STOP_CPU_MASK) + 1;
        s->gdb.general = s->gdb.stop_thread;
    }
    if (s->stop_due) {
        s->stop_due = false;
        gdb_reply_begin(&s->reply);
        gdb_tell_stop(&s->gdb, &s->reply);
        gdb_reply_end(&s->reply);
        send_reply(s);
    }
}

static void start_vm(struct gdb_session *s)
{
    u32 going = 0;

    for (u32 i = 0; i < s->vm->vcpu_count; i++) {
        going |= s->gdb.actions[i] != GDB_STAY ? BIT32(i) : 0;
    }
    s->phase = GDB_RUNNING;
    s->stop_due = true;
    vm_cpu_hold(s->vm, going, false);
}

static void leave(struct gdb_session *s)
{
    gdb_breakpoints_remove(s);
    visit(s, GDB_LEAVING, ALL_CPUS, forget);
}

static void executed(struct gdb_session *s)
{
    s->phase = GDB_STOPPED;
    switch (s->outcome) {
    case GDB_ATTACHED:
        gdb_breakpoints_remove(s); /* those of one that has gone without a word */
        send_reply(s);
        break;
    case GDB_ANSWER: send_reply(s); break;
    case GDB_RESUME: visit(s, GDB_STARTING, ALL_CPUS, prepare_start); break;
    case GDB_DETACH: leave(s); break;
    case GDB_KILL:
        if (s->reply.len > GDB_FRAME) {
            send_reply(s);
        }
        vm_stop(s->vm, VM_END_KILL, 0, "by=gdb");
        break;
    }
}

static void left(struct gdb_session *s)
{
    send_reply(s);
    s->phase = GDB_DETACHED;
    vm_cpu_hold(s->vm, ALL_CPUS, false);
}

/* Every visit is over. */
static void visits_over(struct gdb_session *s)
{
    switch (s->phase) {
    case GDB_STOPPING: all_stand(s); break;
    case GDB_ASKING: executed(s); break;
    case GDB_STARTING: start_vm(s); break;
    case GDB_LEAVING: left(s); break;
    case GDB_DETACHED:
    case GDB_RUNNING:
    case GDB_STOPPED: break;
    }
}

/* --- what comes ----------------------------------------------------------------------------------------------------- */

/* A packet from nobody that we know, or from one that should be waiting: a debugger has connected anew. */
static void packet_while_running(struct gdb_session *s)
{
    if (s->vm == NULL) {
        say(s, s->wire.packet[0] == '?' ? "W00" : GDB_ERROR_GONE);
        return;
    }
    if (s->phase == GDB_DETACHED) {
        gdb_attach(&s->gdb);
        __atomic_store_n(&s->stop, 0, __ATOMIC_RELEASE);
    }
    s->stop_due = false;
    s->packet_due = true;
    stop_vm(s);
}

static void take_packet(struct gdb_session *s)
{
    s->port->send(s->port, "+", 1);
    if (s->phase == GDB_STOPPED) {
        s->packet_due = true;
    } else {
        packet_while_running(s);
    }
}

static void take_input(struct gdb_session *s, enum gdb_input input)
{
    switch (input) {
    case GDB_PACKET: take_packet(s); break;
    case GDB_BROKEN: s->port->send(s->port, "-", 1); break;
    case GDB_TOO_LONG:
        s->port->send(s->port, "+", 1);
        say(s, GDB_ERROR_TOO_LONG);
        break;
    case GDB_NAK: send_again(s); break;
    case GDB_BREAK:
        if (s->phase == GDB_RUNNING) {
            stop_vm(s);
        }
        break;
    case GDB_ACK:
    case GDB_NOTHING: break;
    }
}

/* Go on as far as vCPUs have been visited. Returns whether the session waits for more. */
static bool waits(struct gdb_session *s)
{
    while (s->phase != GDB_DETACHED && s->phase != GDB_RUNNING && s->phase != GDB_STOPPED) {
        ask(s);
        if (__atomic_load_n(&s->outstanding, __ATOMIC_ACQUIRE) != 0) {
            return true;
        }
        visits_over(s);
    }
    return false;
}

static enum task_verdict run(struct task *task, u64 slice_end_ns)
{
    struct gdb_session *s = task->arg;
    u8 byte;

    (void)slice_end_ns;
    for (u32 i = 0; i < BURST; i++) {
        if (s->phase == GDB_RUNNING && __atomic_load_n(&s->stop, __ATOMIC_ACQUIRE) != 0) {
            stop_vm(s);
        }
        if (waits(s)) {
            return s->to_visit != 0 ? TASK_AGAIN : TASK_BLOCK;
        }
        if (s->packet_due && s->phase == GDB_STOPPED) {
            s->packet_due = false;
            visit(s, GDB_ASKING, BIT32(s->gdb.general - 1), execute);
        } else if (take_byte(s, &byte)) {
            take_input(s, gdb_wire_take(&s->wire, byte));
        } else {
            return TASK_BLOCK;
        }
    }
    return TASK_AGAIN;
}

/* --- life ----------------------------------------------------------------------------------------------------------- */

struct gdb_session *gdb_session_start(struct serial_port *port)
{
    struct gdb_session *s = heap_alloc(sizeof(*s));

    if (s == NULL) {
        return NULL;
    }
    memset(s, 0, sizeof(*s));
    s->port = port;
    s->task.name = "gdb";
    s->task.run = run;
    s->task.arg = s;
    s->task.service = true;
    cpuset_add(&s->task.affinity, 0);
    ASSERT(sched_add(&s->task) == 0);
    port->arg = s;
    port->receive = receive;
    return s;
}

void gdb_session_begin(struct gdb_session *s, struct vm *vm, bool wait)
{
    s->vm = vm;
    s->phase = GDB_DETACHED;
    s->packet_due = false;
    memset(s->breakpoints, 0, sizeof(s->breakpoints));
    memset(s->points, 0, sizeof(s->points));
    gdb_target_init(s);
    vm->debugger = (struct vm_debugger){.stopped = stopped, .arg = s};
    if (wait) {
        vm_cpu_hold(vm, ALL_CPUS, true);
    }
}

bool gdb_session_release(struct gdb_session *s)
{
    if (s->vm != NULL && s->phase == GDB_STOPPED) {
        s->packet_due = false;
        s->reply.len = 0; /* nobody has asked */
        leave(s);
        sched_wake(&s->task);
        return true;
    }
    bool waits = s->vm != NULL && s->phase == GDB_DETACHED && READ_ONCE(s->vm->held);
    if (waits) {
        vm_cpu_hold(s->vm, ALL_CPUS, false);
    }
    return waits;
}

void gdb_session_end(struct gdb_session *s, bool crashed, u32 code)
{
    char text[8];

    (void)fmt_snprintf(text, sizeof(text), crashed ? "X%02x" : "W%02x", crashed ? SIGNAL_KILL : code & EXIT_CODE_MASK);
    if (s->phase == GDB_RUNNING || s->phase == GDB_STARTING) {
        say(s, text);
    } else if (s->packet_due || s->phase == GDB_ASKING) {
        say(s, GDB_ERROR_GONE);
    } else if (s->phase == GDB_LEAVING) {
        send_reply(s);
    }
    s->vm = NULL;
    s->phase = GDB_DETACHED;
    s->packet_due = false;
    s->stop_due = false;
}
