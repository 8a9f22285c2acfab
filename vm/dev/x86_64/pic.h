/* Two cascaded 8259A interrupt controllers and the ELCR, as a PC has them (Intel 8259A data sheet; the ELCR: PIIX3 data
 * sheet, section "ELCR"). */
#pragma once
#include "kernel/base/lock.h"
#include "vm/bus.h"

#define PIC_PINS 16U

/* One 8259A. */
struct vpic_chip {
    u8 irr;        /* requests seen */
    u8 isr;        /* in service */
    u8 imr;        /* masked */
    u8 lines;      /* the pins as they are driven now */
    u8 elcr;       /* level-triggered pins */
    u8 base;       /* ICW2: vector of pin 0 */
    u8 lowest;     /* the pin of lowest priority now */
    u8 init_step;  /* 0 = operating, else the next ICW */
    bool expect_icw4;
    bool auto_eoi;
    bool rotate_auto;
    bool special_mask;
    bool read_isr;
    bool poll;
    bool special_nested;
};

struct vpic {
    struct spinlock lock; /* protects everything below */
    struct vpic_chip chip[2]; /* master, slave (on master pin 2) */
    bool output;             /* the INTR wire to the CPU; also read without the lock as a hint */
    void (*changed)(void *ctx, bool level); /* the INTR wire rose or fell; called without the lock */
    void *ctx;
};

/* Power-on state. changed/ctx: see struct vpic. */
void vpic_init(struct vpic *pic, void (*changed)(void *ctx, bool level), void *ctx);

/* Claim ports 20h-21h, A0h-A1h and 4D0h-4D1h. 0 or bus_add()'s error. */
MUST_CHECK int vpic_attach(struct vpic *pic, struct bus *pio);

/* Drive pin 0..15; the signature fits struct irqline. Any CPU, any context but NMI. */
void vpic_set_pin(void *arg, u32 pin, bool level);

/* INTA: the vector of the highest-priority request; a spurious one (pin 7) when it went away. false when the INTR wire
 * is low. */
bool vpic_acknowledge(struct vpic *pic, u8 *vector);
