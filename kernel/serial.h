/* A serial port that is no console: bytes for a service of Mote's. A driver supplies it. */
#pragma once
#include "kernel/lib/types.h"

struct serial_port {
    const char *name;
    /* Send; waits, bounded, only when more than the driver's queue is due. What nobody takes is lost. Task context. */
    void (*send)(struct serial_port *port, const char *bytes, size_t len);
    /* receive() may be called again. Task context. */
    void (*go_on)(struct serial_port *port);
    /* The service's: take a byte. false: not now, and no more until go_on(). IRQ context. */
    bool (*receive)(void *arg, u8 byte);
    void *arg;
};
