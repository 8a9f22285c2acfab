/* units: vcpu/x86_64/decode.c vcpu/x86_64/decode_tables.c */
/* The decoder against GNU objdump: decode_lengths.inc (made by tests/tools/decode_lengths.py) holds objdump's lengths for
 * every opcode of the legacy and VEX maps in three code sizes, with prefixes and ModRM shapes. Then operands and limits. */
#include "tests/unit/host.h"
#include "kernel/lib/errno.h"
#include "vcpu/x86_64/decode.h"
#include <arch/vcpu_arch.h>
#include <string.h>

struct row {
    u8 code_bits;
    u8 head[4], head_len, modrm;
    const char *lengths;
};

static const struct row rows[] = {
#include "tests/unit/decode_lengths.inc"
};
static const u8 filler[] = {0x25, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18, 0x19, 0x1A, 0x1B};

static size_t build(const struct row *r, u8 opcode, u8 *out)
{
    size_t n = r->head_len;

    memcpy(out, r->head, n);
    out[n++] = opcode;
    out[n++] = r->modrm;
    memcpy(out + n, filler, sizeof(filler));
    return n + sizeof(filler);
}

static int digit(char c)
{
    return c <= '9' ? c - '0' : c - 'a' + 10;
}

/* Every length known to objdump is ours too, and a byte less is told to be too few. */
static void lengths_equal_objdump(void **state)
{
    unsigned known = 0, wrong = 0;

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows) * 256; i++) {
        const struct row *r = &rows[i / 256];
        u8 bytes[32];
        struct x86_insn in = {.length = 0};
        int want = digit(r->lengths[i % 256]);
        size_t len = build(r, (u8)(i % 256), bytes);
        int rc = x86_decode(bytes, len, r->code_bits, &in);

        if (want == 0) {
            continue;
        }
        known++;
        if (rc != 0 || in.length != want || x86_decode(bytes, (size_t)want - 1, r->code_bits, &in) != -E_TRUNC) {
            wrong++;
            print_error("bits %d bytes %02x %02x %02x %02x %02x %02x: rc %d length %d objdump %d\n", r->code_bits, bytes[0],
                        bytes[1], bytes[2], bytes[3], bytes[4], bytes[5], rc, in.length, want);
        }
    }
    assert_int_equal(wrong, 0);
    assert_true(known > 50000);
}

struct bad {
    u8 code_bits, len;
    u8 bytes[16];
    int rc;
};

static void refuses_what_is_none(void **state)
{
    static const struct bad cases[] = {
        {64, 0, {0}, -E_TRUNC},
        {64, 1, {0x66}, -E_TRUNC},
        {64, 2, {0x0F, 0x04}, -E_INVAL},
        {64, 1, {0x06}, -E_INVAL},                     /* PUSH ES */
        {64, 2, {0x82, 0xC0}, -E_INVAL},
        {64, 7, {0x9A, 1, 2, 3, 4, 5, 6}, -E_INVAL},   /* CALL far */
        {64, 6, {0x66, 0xC5, 0xF8, 0x77}, -E_INVAL},   /* VEX after a prefix */
        {64, 6, {0xC4, 0xE4, 0x78, 0x77, 0}, -E_INVAL}, /* VEX map 4 */
        {32, 15, {0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66}, -E_RANGE},
        {32, 16, {0x2E, 0x2E, 0x2E, 0x2E, 0x2E, 0x2E, 0x2E, 0x2E, 0x2E, 0x2E, 0x2E, 0x2E, 0x2E, 0x2E, 0x89, 0xC0}, -E_RANGE},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct x86_insn in = {.length = 99};
        size_t len = cases[i].rc == -E_RANGE ? 16 : cases[i].len;
        assert_int_equal(x86_decode(cases[i].bytes, len, cases[i].code_bits, &in), cases[i].rc);
        assert_int_equal(in.length, 99); /* untouched */
    }
}

static void longest_is_fifteen(void **state)
{
    u8 bytes[15];
    struct x86_insn in;

    (void)state;
    memset(bytes, X86_PFX_DS, sizeof(bytes));
    bytes[14] = 0x90;
    assert_int_equal(x86_decode(bytes, sizeof(bytes), 64, &in), 0);
    assert_int_equal(in.length, 15);
}

static struct x86_insn decoded(u8 code_bits, const char *bytes, size_t len)
{
    struct x86_insn in;

    assert_int_equal(x86_decode((const u8 *)bytes, len, code_bits, &in), 0);
    assert_int_equal(in.length, len);
    return in;
}
#define DECODED(bits, text) decoded(bits, text, sizeof(text) - 1)

static void operands_64(void **state)
{
    (void)state;
    struct x86_insn in = DECODED(64, "\x4E\x8B\x94\xBD\x44\x33\x22\x11"); /* mov r10, [rbp + r15*4 + 0x11223344] */
    assert_true(in.mem && in.opsize == 8 && in.addrsize == 8 && in.reg == X86_R10 && in.base == X86_RBP);
    assert_true(in.index == X86_R15 && in.scale == 4 && in.disp == 0x11223344 && in.seg == X86_SS);
    in = DECODED(64, "\x65\x67\x66\x89\x45\xF8"); /* mov gs:[ebp - 8], ax */
    assert_true(in.seg == X86_GS && in.addrsize == 4 && in.opsize == 2 && in.disp == (u64)-8);
    in = DECODED(64, "\x2E\x89\x03"); /* a CS override means nothing */
    assert_true(in.seg == X86_DS && !in.seg_override);
    in = DECODED(64, "\x8B\x05\xFF\xFF\xFF\xFF");
    assert_true(in.rip_relative && in.base == X86_NO_REG && in.disp == ~0ULL);
    in = DECODED(64, "\x48\xB8\x88\x77\x66\x55\x44\x33\x22\x11");
    assert_true(in.imm == 0x1122334455667788 && in.imm_size == 8);
    in = DECODED(64, "\x48\x66\x89\x03"); /* a REX that does not precede the opcode */
    assert_true(in.rex == 0 && in.opsize == 2);
    in = DECODED(64, "\x41\x57");
    assert_int_equal(in.opsize, 8);
    in = DECODED(64, "\x49\x8B\x24\x24"); /* mov rsp, [r12]: no index, not a stack base */
    assert_true(in.base == X86_R12 && in.index == X86_NO_REG && in.seg == X86_DS);
    in = DECODED(64, "\xF3\x48\xAB");
    assert_true(in.rep == X86_PFX_REP && in.opsize == 8);
    in = DECODED(64, "\xA1\x88\x77\x66\x55\x44\x33\x22\x11");
    assert_true(in.disp == 0x1122334455667788);
}

static void operands_16_and_32(void **state)
{
    (void)state;
    struct x86_insn in = DECODED(16, "\x8B\x42\xFE"); /* mov ax, [bp + si - 2] */
    assert_true(in.base == X86_RBP && in.index == X86_RSI && in.seg == X86_SS && in.disp == (u64)-2);
    in = DECODED(16, "\x26\x8A\x0E\x34\x12");
    assert_true(in.base == X86_NO_REG && in.disp == 0x1234 && in.seg == X86_ES);
    in = DECODED(16, "\x66\x67\x8B\x04\x24");
    assert_true(in.opsize == 4 && in.base == X86_RSP && in.seg == X86_SS);
    in = DECODED(32, "\x67\x8B\x07");
    assert_true(in.addrsize == 2 && in.base == X86_RBX && in.index == X86_NO_REG);
    in = DECODED(32, "\xEA\x78\x56\x34\x12\x08\x00");
    assert_true(in.imm == 0x12345678 && in.imm2 == 8);
    in = DECODED(32, "\xC5\xF8\x77");
    assert_true(in.vex);
    in = DECODED(32, "\xC5\x03"); /* LDS */
    assert_true(!in.vex && in.mem);
    in = DECODED(32, "\x0F\x22\x40"); /* MOV CR0, EAX whatever mod says */
    assert_true(!in.mem && in.reg == 0 && in.rm == X86_RAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lengths_equal_objdump), cmocka_unit_test(refuses_what_is_none), cmocka_unit_test(longest_is_fifteen),
        cmocka_unit_test(operands_64),           cmocka_unit_test(operands_16_and_32),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
