/* The payload kit: what every C test guest is linked with. A payload is a flat image for `type=flat mode=long
 * load=0x100000`: 64-bit, identity mapped, one CPU (kit/apic.h starts more), interrupts off, no operating system. It reports check by check:
 *   CHECK name ok|FAIL detail
 *   DONE pass=N fail=N
 * and ends the VM with the exit call: 0 when nothing failed. */
#pragma once
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "vm/abi.h"

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define PORT_COM1 0x3F8
#define PORT_LSR (PORT_COM1 + 5)
#define LSR_THRE 0x20
#define NO_FAULT (-1)

/* --- the payload --- */
void guest_main(void);

/* --- output --- */
void putch(char c);
void wait_uart(void); /* until the transmitter takes a byte */
void print(const char *format, ...) __attribute__((format(printf, 1, 2))); /* %d %u %x %s %c, l/ll, zero width */
void check(bool ok, const char *name, const char *format, ...) __attribute__((format(printf, 3, 4)));
__attribute__((noreturn)) void finish(void);
__attribute__((noreturn)) void exit_vm(u32 code);

/* --- CPU --- */
static inline void outb(u16 port, u8 v) { __asm__ volatile("outb %0, %1" ::"a"(v), "Nd"(port)); }
static inline void outw(u16 port, u16 v) { __asm__ volatile("outw %0, %1" ::"a"(v), "Nd"(port)); }
static inline void outl(u16 port, u32 v) { __asm__ volatile("outl %0, %1" ::"a"(v), "Nd"(port)); }
static inline u8 inb(u16 port) { u8 v; __asm__ volatile("inb %1, %0" : "=a"(v) : "Nd"(port)); return v; }
static inline u16 inw(u16 port) { u16 v; __asm__ volatile("inw %1, %0" : "=a"(v) : "Nd"(port)); return v; }
static inline u32 inl(u16 port) { u32 v; __asm__ volatile("inl %1, %0" : "=a"(v) : "Nd"(port)); return v; }
static inline u64 rdtsc(void) { u32 a, d; __asm__ volatile("rdtsc" : "=a"(a), "=d"(d)); return (u64)d << 32 | a; }
static inline void cpuid(u32 leaf, u32 sub, u32 r[4])
{
    __asm__ volatile("cpuid" : "=a"(r[0]), "=b"(r[1]), "=c"(r[2]), "=d"(r[3]) : "a"(leaf), "c"(sub));
}
#define READ_REG(reg) ({ u64 v_; __asm__ volatile("mov %%" #reg ", %0" : "=r"(v_)); v_; })
#define WRITE_REG(reg, value) __asm__ volatile("mov %0, %%" #reg ::"r"((u64)(value)) : "memory")
static inline void sti(void) { __asm__ volatile("sti" ::: "memory"); }
static inline void cli(void) { __asm__ volatile("cli" ::: "memory"); }

/* Run one instruction; the value is the vector of the exception it raised, or NO_FAULT. fault_error and fault_cr2 tell
 * more. Usage: int v = TRY("wrmsr", : : "a"(lo), "d"(hi), "c"(msr)); outputs may be given too. */
extern volatile int fault_vector;
extern volatile u64 fault_error, fault_cr2, fault_rip;
extern u64 recovery_rip;
#define TRY(insn, ...)                                                                                                 \
    ({                                                                                                                 \
        fault_vector = NO_FAULT;                                                                                       \
        __asm__ volatile("leaq 9f(%%rip), %%r15\n\tmovq %%r15, recovery_rip(%%rip)\n\t" insn "\n9:" __VA_ARGS__       \
                         : "r15", "memory", "cc");                                                                     \
        recovery_rip = 0;                                                                                              \
        fault_vector;                                                                                                  \
    })
/* Run fn in ring 3 on a stack of its own, interrupts off, until an exception: the value is its vector, and fault_* tell
 * more. A function that returns ends with a #UD, which user_returned(vector) tells from one of its own. */
int run_user(void (*fn)(void));
bool user_returned(int vector);
int try_rdmsr(u32 msr, u64 *value);
int try_wrmsr(u32 msr, u64 value);

/* --- interrupts --- */
typedef void (*irq_fn)(u32 vector);
void set_handler(u32 vector, irq_fn fn); /* vectors 32..255, and 2; runs with interrupts off */
void pic_setup(u8 base);                 /* remap to base and base+8, all masked */
void pic_unmask(u32 pin);
void pic_eoi(u32 pin);
void pit_start(u32 hz);                  /* channel 0, mode 2 */

/* --- hypervisor --- */
u64 hypercall(u64 number, u64 a, u64 b, u64 c, u64 d, u64 e, u64 f);
bool on_amd(void);
static inline u64 time_ns(void) { return hypercall(MOTE_HC_TIME_NS, 0, 0, 0, 0, 0, 0); }

/* The kit's IDT, on the calling CPU. */
void load_idt(void);

/* --- paging --- */
#define PAGE_PRESENT 1ULL
#define PAGE_WRITE 2ULL
#define PAGE_USER 4ULL
#define PAGE_NX (1ULL << 63)
/* Map one 4 KiB page in the kit's own tables (the identity map is copied at start). flags 0 unmaps. */
void map_page(u64 va, u64 pa, u64 flags);
void *memset(void *p, int v, size_t n);
void *memcpy(void *d, const void *s, size_t n);
int memcmp(const void *a, const void *b, size_t n);
u32 random32(void); /* xorshift, fixed seed */
