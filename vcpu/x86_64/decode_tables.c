#include "vcpu/x86_64/decode_tables.h"
#include "vcpu/x86_64/decode.h"

/* Two letters per opcode keep a row of the opcode map on one line. */
enum op {
    oo = X86_IMM_NONE,
    Ib = X86_IMM_8,
    Iz = X86_IMM_Z,
    Iv = X86_IMM_V,
    Ap = X86_IMM_FAR | X86_OP_NO64,
    Ob = X86_IMM_MOFFS,
    En = X86_IMM_ENTER | X86_OP_D64,
    Jz = X86_IMM_JZ | X86_OP_D64,
    Jb = X86_IMM_8 | X86_OP_D64,
    Iw = X86_IMM_16,
    Rw = X86_IMM_16 | X86_OP_D64,
    MM = X86_OP_MODRM,
    Mb = X86_OP_MODRM | X86_IMM_8,
    Mz = X86_OP_MODRM | X86_IMM_Z,
    Tb = X86_OP_MODRM | X86_IMM_TEST_8,
    Tz = X86_OP_MODRM | X86_IMM_TEST_Z,
    dd = X86_OP_D64,
    Db = X86_OP_D64 | X86_IMM_8,
    Dz = X86_OP_D64 | X86_IMM_Z,
    Md = X86_OP_MODRM | X86_OP_D64,
    nn = X86_OP_NO64,
    nb = X86_OP_NO64 | X86_IMM_8,
    nM = X86_OP_NO64 | X86_OP_MODRM,
    nB = X86_OP_NO64 | X86_OP_MODRM | X86_IMM_8,
    xx = X86_OP_BAD,
};

const u8 x86_ops_one[256] = {
    /*        0   1   2   3   4   5   6   7   8   9   A   B   C   D   E   F */
    /* 00 */ MM, MM, MM, MM, Ib, Iz, nn, nn, MM, MM, MM, MM, Ib, Iz, nn, xx,
    /* 10 */ MM, MM, MM, MM, Ib, Iz, nn, nn, MM, MM, MM, MM, Ib, Iz, nn, nn,
    /* 20 */ MM, MM, MM, MM, Ib, Iz, xx, nn, MM, MM, MM, MM, Ib, Iz, xx, nn,
    /* 30 */ MM, MM, MM, MM, Ib, Iz, xx, nn, MM, MM, MM, MM, Ib, Iz, xx, nn,
    /* 40 */ nn, nn, nn, nn, nn, nn, nn, nn, nn, nn, nn, nn, nn, nn, nn, nn,
    /* 50 */ dd, dd, dd, dd, dd, dd, dd, dd, dd, dd, dd, dd, dd, dd, dd, dd,
    /* 60 */ nn, nn, nM, MM, xx, xx, xx, xx, Dz, Mz, Db, Mb, oo, oo, oo, oo,
    /* 70 */ Jb, Jb, Jb, Jb, Jb, Jb, Jb, Jb, Jb, Jb, Jb, Jb, Jb, Jb, Jb, Jb,
    /* 80 */ Mb, Mz, nB, Mb, MM, MM, MM, MM, MM, MM, MM, MM, MM, MM, MM, Md,
    /* 90 */ oo, oo, oo, oo, oo, oo, oo, oo, oo, oo, Ap, oo, dd, dd, oo, oo,
    /* A0 */ Ob, Ob, Ob, Ob, oo, oo, oo, oo, Ib, Iz, oo, oo, oo, oo, oo, oo,
    /* B0 */ Ib, Ib, Ib, Ib, Ib, Ib, Ib, Ib, Iv, Iv, Iv, Iv, Iv, Iv, Iv, Iv,
    /* C0 */ Mb, Mb, Rw, dd, nM, nM, Mb, Mz, En, dd, Iw, oo, oo, Ib, nn, oo,
    /* D0 */ MM, MM, MM, MM, nb, nb, nn, oo, MM, MM, MM, MM, MM, MM, MM, MM,
    /* E0 */ Jb, Jb, Jb, Jb, Ib, Ib, Ib, Ib, Jz, Jz, Ap, Jb, oo, oo, oo, oo,
    /* F0 */ xx, oo, xx, xx, oo, oo, Tb, Tz, oo, oo, oo, oo, oo, oo, MM, MM,
};

const u8 x86_ops_0f[256] = {
    /*        0   1   2   3   4   5   6   7   8   9   A   B   C   D   E   F */
    /* 00 */ MM, MM, MM, MM, xx, oo, oo, oo, oo, oo, xx, oo, xx, MM, oo, Mb,
    /* 10 */ MM, MM, MM, MM, MM, MM, MM, MM, MM, MM, MM, MM, MM, MM, MM, MM,
    /* 20 */ MM, MM, MM, MM, xx, xx, xx, xx, MM, MM, MM, MM, MM, MM, MM, MM,
    /* 30 */ oo, oo, oo, oo, oo, oo, xx, oo, xx, xx, xx, xx, xx, xx, xx, xx,
    /* 40 */ MM, MM, MM, MM, MM, MM, MM, MM, MM, MM, MM, MM, MM, MM, MM, MM,
    /* 50 */ MM, MM, MM, MM, MM, MM, MM, MM, MM, MM, MM, MM, MM, MM, MM, MM,
    /* 60 */ MM, MM, MM, MM, MM, MM, MM, MM, MM, MM, MM, MM, MM, MM, MM, MM,
    /* 70 */ Mb, Mb, Mb, Mb, MM, MM, MM, oo, MM, MM, xx, xx, MM, MM, MM, MM,
    /* 80 */ Jz, Jz, Jz, Jz, Jz, Jz, Jz, Jz, Jz, Jz, Jz, Jz, Jz, Jz, Jz, Jz,
    /* 90 */ MM, MM, MM, MM, MM, MM, MM, MM, MM, MM, MM, MM, MM, MM, MM, MM,
    /* A0 */ dd, dd, oo, MM, Mb, MM, xx, xx, dd, dd, oo, MM, Mb, MM, MM, MM,
    /* B0 */ MM, MM, MM, MM, MM, MM, MM, MM, MM, MM, Mb, MM, MM, MM, MM, MM,
    /* C0 */ MM, MM, Mb, MM, Mb, Mb, Mb, MM, oo, oo, oo, oo, oo, oo, oo, oo,
    /* D0 */ MM, MM, MM, MM, MM, MM, MM, MM, MM, MM, MM, MM, MM, MM, MM, MM,
    /* E0 */ MM, MM, MM, MM, MM, MM, MM, MM, MM, MM, MM, MM, MM, MM, MM, MM,
    /* F0 */ MM, MM, MM, MM, MM, MM, MM, MM, MM, MM, MM, MM, MM, MM, MM, MM,
};

u8 x86_ops_vex(u8 map, u8 opcode)
{
    enum { VZERO = 0x77 };

    if (map == X86_MAP_0F38) {
        return MM;
    }
    if (map == X86_MAP_0F3A) {
        return Mb;
    }
    if (opcode == VZERO) {
        return oo;
    }
    /* With VEX the opcodes of general instructions (Jcc, BT, SHLD) have other meanings, all with ModRM alone. */
    return x86_ops_0f[opcode] == Mb && opcode != 0xA4 && opcode != 0xAC && opcode != 0xBA && opcode != X86_ESC_0F ? Mb : MM;
}
