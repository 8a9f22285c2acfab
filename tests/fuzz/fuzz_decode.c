/* units: vcpu/x86_64/decode.c vcpu/x86_64/decode_tables.c */
/* Any bytes in all three code sizes: no read beyond the input (it is copied to its exact size for ASan), length 1..15 and
 * within the input, and a longer view of the same bytes decodes alike. */
#include "kernel/lib/errno.h"
#include "vcpu/x86_64/decode.h"
#include <arch/vcpu_arch.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static void require(bool ok)
{
    if (!ok) {
        abort();
    }
}

static void decode_in(const u8 *bytes, size_t size, u8 code_bits)
{
    struct x86_insn in, again;
    int rc = x86_decode(bytes, size, code_bits, &in);

    require(rc == 0 || rc == -E_TRUNC || rc == -E_RANGE || rc == -E_INVAL);
    require(rc != -E_TRUNC || size < X86_INSN_MAX);
    if (rc != 0) {
        return;
    }
    require(in.length >= 1 && in.length <= X86_INSN_MAX && in.length <= size);
    require(in.base == X86_NO_REG || in.base < X86_GPRS);
    require(in.index == X86_NO_REG || in.index < X86_GPRS);
    require(in.reg < X86_GPRS && in.rm < X86_GPRS && in.seg < X86_LDTR);
    require(in.opsize == 2 || in.opsize == 4 || in.opsize == 8);
    require(x86_decode(bytes, in.length, code_bits, &again) == 0 && again.length == in.length);
    require(x86_decode(bytes, in.length - 1U, code_bits, &again) == -E_TRUNC);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    u8 *exact = malloc(size != 0 ? size : 1);

    memcpy(exact, bytes, size);
    decode_in(exact, size, 16);
    decode_in(exact, size, 32);
    decode_in(exact, size, 64);
    free(exact);
    return 0;
}
