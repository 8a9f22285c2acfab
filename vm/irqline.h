/* A wire from a device to an interrupt chip. */
#pragma once
#include "kernel/lib/types.h"

struct irqline {
    void (*set)(void *chip, u32 pin, bool level); /* NULL: not connected */
    void *chip;
    u32 pin;
};

/* Drive the wire. Any CPU, any context but NMI; the chip takes its own lock and wakes or kicks vCPUs. */
static inline void irqline_set(const struct irqline *line, bool level)
{
    if (line->set != NULL) {
        line->set(line->chip, line->pin, level);
    }
}
