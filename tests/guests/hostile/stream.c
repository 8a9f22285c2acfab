/* Streams of random instructions: registers with values that mean something, then one to four instructions. Most instructions cannot
 * be executed on devices, which ends the VM; so a stream is either one of instructions that can, with addresses of devices, or one of
 * instructions that exit, fault or are anything, with addresses of memory. Now and then both mix. */
#include "tests/guests/hostile/hostile.h"

#define OPSIZE 0x66U
#define LONG 64U

/* Opcodes whose operands are then random: privileged, intercepted, or odd in some other way. */
static const struct { u8 length, bytes[3]; } chosen[] = {
    {1, {0x6C}}, {1, {0x6D}}, {1, {0x6E}}, {1, {0x6F}}, {2, {0xF3, 0x6C}}, {2, {0xF3, 0x6D}}, {2, {0xF3, 0x6E}}, {2, {0xF3, 0x6F}},
    {2, {0xF2, 0x6E}}, {1, {0xE4}}, {1, {0xE5}}, {1, {0xE6}}, {1, {0xE7}}, {1, {0xEC}}, {1, {0xED}}, {1, {0xEE}}, {1, {0xEF}},
    {2, {0x0F, 0x30}}, {2, {0x0F, 0x32}}, {2, {0x0F, 0x20}}, {2, {0x0F, 0x22}}, {2, {0x0F, 0x22}}, {2, {0x0F, 0x21}},
    {2, {0x0F, 0x23}}, {2, {0x0F, 0x23}}, {2, {0x0F, 0x01}}, {2, {0x0F, 0x01}}, {2, {0x0F, 0x01}}, {2, {0x0F, 0x00}},
    {3, {0x0F, 0x00, 0xD8}}, {2, {0x0F, 0x06}}, {2, {0x0F, 0xA2}}, {2, {0x0F, 0x31}}, {2, {0x0F, 0x33}}, {2, {0x0F, 0x08}},
    {2, {0x0F, 0x09}}, {1, {0xF4}}, {2, {0xF3, 0x90}}, {2, {0x0F, 0xAE}}, {2, {0x0F, 0xC7}}, {3, {0x0F, 0x38, 0x80}},
    {3, {0x0F, 0x38, 0x81}}, {3, {0x0F, 0x38, 0x82}}, {3, {0x0F, 0x38, 0xF0}}, {1, {0xEA}}, {1, {0x9A}}, {1, {0xFF}},
    {1, {0xCF}}, {1, {0xCB}}, {1, {0xCD}},
    {1, {0xCC}}, {1, {0xCE}}, {1, {0xF1}}, {2, {0x0F, 0x05}}, {2, {0x0F, 0x07}}, {2, {0x0F, 0x34}}, {2, {0x0F, 0x35}}, {1, {0xA4}},
    {1, {0xA5}}, {2, {0xF3, 0xA5}}, {2, {0xF3, 0xAA}}, {2, {0xF3, 0xAB}}, {2, {0xF3, 0xA6}}, {2, {0xF2, 0xAE}}, {1, {0xAC}},
    {1, {0x8E}}, {1, {0x8C}}, {1, {0x07}}, {1, {0x17}}, {1, {0x1F}}, {2, {0x0F, 0xA1}}, {2, {0x0F, 0xA9}}, {1, {0x9D}}, {1, {0x9C}},
    {1, {0x60}}, {1, {0x61}}, {1, {0xC8}}, {1, {0xC9}}, {2, {0x0F, 0x02}}, {2, {0x0F, 0x03}}, {2, {0x0F, 0x0B}}, {1, {0xFA}},
    {1, {0xFB}}, {2, {0xFB, 0xF4}}, {2, {0x0F, 0xC3}}, {2, {0x0F, 0xAA}}, {2, {0x0F, 0x78}}, {2, {0x0F, 0x79}}, {1, {0xC4}},
    {1, {0xC5}}, {2, {0x0F, 0xB2}}, {3, {0x0F, 0x01, 0xC1}}, {3, {0x0F, 0x01, 0xD9}}, {3, {0x0F, 0x01, 0xD1}},
    {3, {0x0F, 0x01, 0xF9}}, {3, {0x0F, 0x01, 0xF8}}, {3, {0x0F, 0x01, 0xDD}}, {3, {0x0F, 0x01, 0xDC}},
};

static const u32 msrs[] = {
    0x10, 0x11, 0x12, 0x17, 0x1B, 0x3A, 0x3B, 0x48, 0x49, 0x79, 0x8B, 0xCE, 0xFE, 0x10A, 0x10B, 0x174, 0x175, 0x176, 0x179, 0x17A,
    0x1A0, 0x1D9, 0x200, 0x201, 0x20F, 0x250, 0x258, 0x268, 0x277, 0x2FF, 0x480, 0x48B, 0x6E0, 0x802, 0x808, 0x80B, 0x80D, 0x80F,
    0x828, 0x830, 0x832, 0x835, 0x837, 0x838, 0x83E, 0x83F, 0xDA0, 0x4B564D00, 0x4B564D01, 0x4B564D02, 0x4B564D03, 0x4B564D04,
    0x4B564D05, 0xC0000080, 0xC0000081, 0xC0000082, 0xC0000083, 0xC0000084, 0xC0000100, 0xC0000101, 0xC0000102, 0xC0000103,
    0xC0010000, 0xC0010010, 0xC0010015, 0xC001001F, 0xC0010055, 0xC0010114, 0xC0010117, 0xC0011029,
};

static const u16 ports[] = {
    0x20, 0x21, 0xA0, 0xA1, 0x4D0, 0x4D1, 0x40, 0x41, 0x42, 0x43, 0x60, 0x61, 0x70, 0x71, 0xB2, 0xCF8, 0xCFC, 0xCFE, 0x3F9, 0x3FA,
    0x3FB, 0x3FC, 0x3FD, 0x3FE, 0x3FF, 0x2F8, 0x402, 0x600, 0x602, 0x608, 0x1F0, 0x3C0, 0x510, 0xFFFF, 0xFFFD, 0, 0x80, 0x8900,
};
static const u16 deadly_ports[] = {0x64, 0x92, 0xF4, 0xCF9, 0x604, 0x2000, 0xE9, 0x3F8, 0xF3, 0xF2};

/* Opcodes that Mote executes on devices; in the second list behind 0F. */
static const u8 mappable[] = {
    0x00, 0x01, 0x02, 0x03, 0x08, 0x09, 0x0A, 0x0B, 0x10, 0x11, 0x18, 0x19, 0x20, 0x21, 0x22, 0x23, 0x28, 0x29, 0x2A, 0x2B, 0x30, 0x31,
    0x38, 0x39, 0x3A, 0x3B, 0x80, 0x81, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8A, 0x8B, 0x88, 0x89, 0x8A, 0x8B, 0x8F, 0xA4, 0xA5,
    0xA6, 0xA7, 0xAA, 0xAB, 0xAC, 0xAD, 0xAE, 0xAF, 0xC0, 0xC1, 0xC6, 0xC7, 0xC7, 0xD0, 0xD1, 0xD2, 0xD3, 0xF6, 0xF7, 0xFE, 0xFF,
};
static const u8 mappable_0f[] = {0xA3, 0xAB, 0xB0, 0xB1, 0xB3, 0xB6, 0xB7, 0xBA, 0xBB, 0xBE, 0xBF, 0xC0, 0xC1, 0xC3, 0x42, 0x94, 0x1F};

static u64 value_of_device(void)
{
    static const u64 places[] = {
        0xFEE00000, 0xFEE00020, 0xFEE00080, 0xFEE000B0, 0xFEE000D0, 0xFEE000F0, 0xFEE00280, 0xFEE00320, 0xFEE00350, 0xFEE00380,
        0xFEE003E0, 0xFEE00FFC, 0xFEC00000, 0xFEC00010, 0xFEB00000, 0xFEB00FFE, 0xE0000, 0xE0FFE, 0xEFFFC, 0x9FFFE, 0xA0000, 0xBFFFF,
        0x3F000000, 0x3FFFFFFD, 0x3FFFFE, 0x400000, 0xFFFFFFFC, 0xFFFFFFFF,
    };

    return places[hostile_below(ARRAY_SIZE(places))] + (hostile_one_in(2) ? hostile_below(16) : 0);
}

static u64 value_of_memory(void)
{
    u64 block = BLOCK(1 + hostile_below(VICTIMS));

    switch (hostile_below(hostile_one_in(8) ? 8 : 4)) {
    case 0:
    case 1: return block + hostile_below((u32)BLOCK_BYTES);
    case 2: return block + 0x1000 * hostile_below(16) - hostile_below(8);
    case 3: return hostile_below(64);
    case 4:
    case 5: return 1ULL << hostile_below(64);
    default: return hostile_random() >> hostile_below(48);
    }
}

u64 hostile_value(void)
{
    static const u64 odd[] = {0x100000000, 0x8000000000, 0x7FFFFFFFFFFE, 0x800000000000, 0xFFFF800000000000, ~0ULL, 0};

    if (hostile_one_in(8)) {
        return odd[hostile_below(ARRAY_SIZE(odd))];
    }
    return hostile_one_in(4) ? value_of_device() : value_of_memory();
}

u32 hostile_msr(void)
{
    return hostile_one_in(8) ? (u32)hostile_value() : msrs[hostile_below(ARRAY_SIZE(msrs))];
}

static u8 *put(u8 *to, u64 value, u32 bytes)
{
    for (u32 i = 0; i < bytes; i++) {
        *to++ = (u8)(value >> (8 * i));
    }
    return to;
}

/* MOV of a constant into a register 0 to 15, 32 bits at least. */
static u8 *put_load(u8 *to, u32 code_bits, u32 reg, u64 value)
{
    if (code_bits == LONG) {
        *to++ = (u8)(0x48 | reg >> 3);
        *to++ = (u8)(0xB8 | (reg & 7));
        return put(to, value, 8);
    }
    if (code_bits == 16) {
        *to++ = OPSIZE;
    }
    *to++ = (u8)(0xB8 | (reg & 7));
    return put(to, value, 4);
}

static u8 *put_loads(u8 *to, u32 code_bits, bool devices)
{
    for (u32 n = 2 + hostile_below(5); n != 0; n--) {
        u32 reg = hostile_below(code_bits == LONG ? 16 : 8);
        if (reg != 4 || hostile_one_in(30)) {
            u64 value = hostile_one_in(100) ? hostile_value() : devices ? value_of_device() : value_of_memory();
            to = put_load(to, code_bits, reg, value);
        }
    }
    return put_load(to, code_bits, 1, hostile_one_in(16) ? hostile_value() : hostile_below(40)); /* RCX counts */
}

static u8 *put_random(u8 *to, u32 bytes)
{
    for (u32 i = 0; i < bytes; i++) {
        *to++ = (u8)hostile_random();
    }
    return to;
}

static u8 *put_prefixes(u8 *to, u32 code_bits)
{
    static const u8 prefixes[] = {0x66, 0x67, 0xF2, 0xF3, 0xF0, 0x2E, 0x36, 0x3E, 0x26, 0x64, 0x65};

    for (u32 n = 0; n < 4 && hostile_one_in(4); n++) {
        *to++ = prefixes[hostile_below(ARRAY_SIZE(prefixes))];
    }
    if (code_bits == LONG && hostile_one_in(3)) {
        *to++ = (u8)(0x40 | hostile_below(16));
    }
    return to;
}

static u8 *put_msr(u8 *to, u32 code_bits)
{
    to = put_load(to, code_bits, 1, hostile_msr());
    *to++ = 0x0F;
    *to++ = hostile_one_in(4) ? 0x32 : 0x30;
    return to;
}

static u8 *put_port(u8 *to, u32 code_bits)
{
    bool deadly = hostile_one_in(100);
    u32 port = deadly ? deadly_ports[hostile_below(ARRAY_SIZE(deadly_ports))] : ports[hostile_below(ARRAY_SIZE(ports))];
    u8 opcode = (u8)(hostile_one_in(2) ? 0xEC + hostile_below(4) : 0x6C + hostile_below(4));

    to = put_load(to, code_bits, 2, port);
    if (hostile_one_in(4)) {
        *to++ = 0xF3;
    }
    to = put_prefixes(to, code_bits);
    *to++ = opcode;
    return to;
}

static u8 *put_call(u8 *to, u32 code_bits)
{
    u32 number = MOTE_HC_FIRST + hostile_below(14);
    bool ends = number == MOTE_HC_EXIT || number == MOTE_HC_BREAK || number == MOTE_HC_PUTC;

    to = put_load(to, code_bits, 0, ends || hostile_one_in(4) ? hostile_below(13) : number);
    *to++ = 0x0F;
    *to++ = 0x01;
    *to++ = on_amd() ? 0xD9 : 0xC1;
    return to;
}

/* An interrupt command, which the streams would seldom hit upon: to a victim, or one in sixteen to anybody. */
static u8 *put_command(u8 *to, u32 code_bits)
{
    u32 destination = hostile_one_in(16) ? hostile_below(256) : 1 + hostile_below(VICTIMS);

    to = put_load(to, code_bits, 3, 0xFEE00300);
    to = put_load(to, code_bits, 0, destination << 24);
    to = put(to, code_bits == 16 ? 0x1043896667 : 0x104389, code_bits == 16 ? 5 : 3); /* mov [ebx+0x10], (e)ax */
    to = put_load(to, code_bits, 0, hostile_random() & 0xFCFFF);
    return put(to, code_bits == 16 ? 0x03896667 : 0x0389, code_bits == 16 ? 4 : 2);
}

static u8 *put_on_device(u8 *to, u32 code_bits)
{
    to = put_prefixes(to, code_bits);
    if (hostile_one_in(4)) {
        *to++ = 0x0F;
        *to++ = mappable_0f[hostile_below(ARRAY_SIZE(mappable_0f))];
    } else {
        *to++ = mappable[hostile_below(ARRAY_SIZE(mappable))];
    }
    *to++ = (u8)(hostile_random() & 0xBF); /* an operand in memory */
    return put_random(to, hostile_below(5));
}

static u8 *put_chosen(u8 *to, u32 code_bits)
{
    u32 which = hostile_below(ARRAY_SIZE(chosen));

    to = put_prefixes(to, code_bits);
    for (u32 i = 0; i < chosen[which].length; i++) {
        *to++ = chosen[which].bytes[i];
    }
    return put_random(to, hostile_below(3) + hostile_below(2) * 3);
}

static u8 *put_one(u8 *to, u32 code_bits)
{
    switch (hostile_below(12)) {
    case 0:
    case 1: return put_msr(to, code_bits);
    case 2:
    case 3: return put_port(to, code_bits);
    case 4: return put_call(to, code_bits);
    case 5: return hostile_one_in(8) ? put_command(to, code_bits) : put_random(to, 15);
    default: return put_chosen(to, code_bits);
    }
}

void hostile_stream(u8 *to, u32 code_bits)
{
    u8 *end = to + STREAM_BYTES;
    bool devices = hostile_one_in(4);

    to = put_loads(to, code_bits, devices);
    for (u32 n = 1 + hostile_below(4); n != 0; n--) {
        to = devices ? put_on_device(to, code_bits) : put_one(to, code_bits);
    }
    while (to < end) {
        *to++ = hostile_one_in(32) ? 0xF4 : 0xCC;
    }
}
