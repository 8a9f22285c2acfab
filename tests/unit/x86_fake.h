/* A vCPU over a scripted CPU and backend, for the x86 policy units. */
#pragma once
#include "vcpu/x86_64/hostcpu.h"
#include "vcpu/x86_64/policy.h"
#include "vcpu/x86_64/x86.h"

/* The host that hostcpu.h shows: change it, then call fake_start(). */
struct fake_host {
    struct x86_cpuid basic[0x20][4]; /* [leaf][subleaf] */
    struct x86_cpuid xsave[16];
    struct x86_cpuid extended[0x20];
    u64 tsc, tsc_hz, wall_ns, xcr0, tsc_aux, dr6, arch_capabilities;
    bool xsavec_broken;
    unsigned ibpbs; /* asked for so far */
};
extern struct fake_host fake_host;

/* What the backend was asked. */
struct fake_log {
    unsigned injected, flushes, window_calls, time_offsets, debug_calls;
    struct vcpu_event event; /* the last */
    u32 windows;
};
extern struct fake_log fake_log;

extern struct vcpu fake_v;
extern u8 fake_ram[0x4000]; /* guest physical 0.. */

/* A CPU with every feature bit set, vendor "AuthenticAMD", 40 physical bits. */
void fake_host_all(void);
void fake_host_vendor(const char *text);
/* A vCPU at reset over the current host. */
void fake_start(void);
/* cmocka setup: both. */
int fake_setup(void **state);
/* Protected mode, 64-bit code. */
void fake_long_mode(void);
