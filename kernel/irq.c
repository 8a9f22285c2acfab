/* Host interrupts: a table from vector to handler, and the kick. */
#include "kernel/irq.h"
#include "kernel/base/panic.h"
#include "kernel/base/percpu.h"
#include "kernel/lib/errno.h"

#define VECTORS 256U
#define KICK_HANDLERS 4U
#define NO_GSI (~0U)

struct irq_slot {
    irq_handler handler; /* NULL: free */
    void *arg;
    u32 gsi; /* NO_GSI for CPU-local vectors */
};

/* Written at boot only, each entry before its interrupt can occur. */
static struct irq_slot slots[VECTORS];
static const struct irq_controller *controller;
static void (*kick_handlers[KICK_HANDLERS])(void);
static u64 unclaimed; /* atomic */

static void kicked(void *arg)
{
    (void)arg;
    for (size_t i = 0; i < ARRAY_SIZE(kick_handlers) && kick_handlers[i] != NULL; i++) {
        kick_handlers[i]();
    }
}

void irq_set_controller(const struct irq_controller *chip)
{
    controller = chip;
    slots[chip->vector_kick] = (struct irq_slot){kicked, NULL, NO_GSI};
}

void irq_add_kick_handler(void (*fn)(void))
{
    size_t i = 0;

    while (i < ARRAY_SIZE(kick_handlers) && kick_handlers[i] != NULL) {
        i++;
    }
    ASSERT(i < ARRAY_SIZE(kick_handlers));
    kick_handlers[i] = fn;
}

int irq_request_local(u32 vector, irq_handler handler, void *arg)
{
    if (vector >= VECTORS || slots[vector].handler != NULL) {
        return -E_BUSY;
    }
    slots[vector] = (struct irq_slot){handler, arg, NO_GSI};
    return 0;
}

/* A free device vector for gsi: 0 with *vector, -E_BUSY or -E_NOMEM. */
static int find_vector(u32 gsi, u32 *vector)
{
    u32 free = VECTORS;

    for (u32 v = controller->vector_first; v <= controller->vector_last; v++) {
        if (slots[v].handler == NULL) {
            free = MIN(free, v);
        } else if (slots[v].gsi == gsi) {
            return -E_BUSY;
        }
    }
    if (free == VECTORS) {
        return -E_NOMEM;
    }
    *vector = free;
    return 0;
}

int irq_request(u32 gsi, bool level, bool active_low, irq_handler handler, void *arg)
{
    u32 vector;

    if (controller == NULL) {
        return -E_NOSYS;
    }
    int error = find_vector(gsi, &vector);
    if (error != 0) {
        return error;
    }
    slots[vector] = (struct irq_slot){handler, arg, gsi};
    error = controller->enable_line(gsi, vector, level, active_low);
    if (error != 0) {
        slots[vector] = (struct irq_slot){NULL, NULL, NO_GSI};
    }
    return error;
}

void irq_kick(u32 cpu)
{
    const struct percpu *target = percpu_of(cpu);

    if (controller != NULL && target != NULL && READ_ONCE(target->online)) {
        controller->send_kick(target->hw_id);
    }
}

u64 irq_unclaimed_count(void)
{
    return __atomic_load_n(&unclaimed, __ATOMIC_RELAXED);
}

void irq_dispatch(u32 vector)
{
    if (controller != NULL && vector == controller->vector_spurious) {
        return;
    }
    if (vector < VECTORS && slots[vector].handler != NULL) {
        slots[vector].handler(slots[vector].arg);
    } else {
        __atomic_fetch_add(&unclaimed, 1, __ATOMIC_RELAXED);
    }
    if (controller != NULL) {
        controller->end();
    }
}
