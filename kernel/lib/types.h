/* Fixed-width integers, address types and the few macros that every file uses. Pure; also built on the host. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int8_t s8;
typedef int16_t s16;
typedef int32_t s32;
typedef int64_t s64;

/* Addresses of different spaces are different types: mixing them does not compile. */
typedef struct { u64 v; } gpa_t; /* guest physical */
typedef struct { u64 v; } gva_t; /* guest linear (after segmentation) */
typedef struct { u64 v; } hpa_t; /* host physical */

#define GPA(x) ((gpa_t){(u64)(x)})
#define GVA(x) ((gva_t){(u64)(x)})
#define HPA(x) ((hpa_t){(u64)(x)})

#define KIB(n) ((u64)(n) << 10)
#define MIB(n) ((u64)(n) << 20)
#define GIB(n) ((u64)(n) << 30)

#define BIT(n) (1ULL << (n))
#define BIT32(n) (1U << (n))
#define GENMASK(high, low) ((~0ULL >> (63 - (high))) & (~0ULL << (low)))
#define FIELD_SHIFT(mask) ((unsigned)__builtin_ctzll(mask))
#define FIELD_GET(mask, value) (((u64)(value) & (mask)) >> FIELD_SHIFT(mask))
#define FIELD_PREP(mask, value) (((u64)(value) << FIELD_SHIFT(mask)) & (mask))

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))
#define ALIGN_DOWN(x, a) ((x) & ~((__typeof__(x))(a) - 1))
#define ALIGN_UP(x, a) ALIGN_DOWN((x) + ((__typeof__(x))(a) - 1), a)
#define IS_ALIGNED(x, a) (((x) & ((__typeof__(x))(a) - 1)) == 0)
#define CONTAINER_OF(ptr, type, member) ((type *)(void *)((char *)(ptr) - offsetof(type, member)))

#define PACKED __attribute__((packed))
#define ALIGNED(n) __attribute__((aligned(n)))
#define NORETURN __attribute__((noreturn))
#define MUST_CHECK __attribute__((warn_unused_result))
#define PRINTF_LIKE(f, a) __attribute__((format(printf, f, a)))
#define UNUSED __attribute__((unused))
/* For a function whose one object on the stack is a number: the guard would cost more than the rest. */
#define NO_STACK_GUARD __attribute__((no_stack_protector))
#define READ_ONCE(x) (*(const volatile __typeof__(x) *)&(x))
#define WRITE_ONCE(x, v) (*(volatile __typeof__(x) *)&(x) = (v))

/* The one overflow-safe range test: is [start, start+len) inside [base, base+size)? An empty range is inside when start is. */
static inline bool range_contains(u64 base, u64 size, u64 start, u64 len)
{
    return start >= base && start - base <= size && len <= size - (start - base);
}

/* Do the half-open ranges [a, a+alen) and [b, b+blen) share a byte? Neither may wrap; empty ranges share nothing. */
static inline bool ranges_overlap(u64 a, u64 alen, u64 b, u64 blen)
{
    return alen != 0 && blen != 0 && (a < b ? b - a < alen : a - b < blen);
}
