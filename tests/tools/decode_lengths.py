#!/usr/bin/env python3
"""Instruction lengths as GNU objdump sees them, in the form that tests/unit/test_decode.c holds.

Each row is one shape: code size, bytes before the opcode (prefixes, then an escape or VEX prefix), ModRM byte (mere filler
for opcodes without). Its text has one digit per opcode 00..FF: the length in hexadecimal, 0 where objdump knows no
instruction or shows dangling prefixes by themselves.

Usage: decode_lengths.py > tests/unit/decode_lengths.inc
"""
import re
import subprocess
import sys
import tempfile

MODES = ((16, 'i8086'), (32, 'i386'), (64, 'x86-64,intel64'))
LEGACY_MAPS = ((), (0x0F,), (0x0F, 0x38), (0x0F, 0x3A))
VEX_MAPS = ((0xC5, 0xF8), (0xC5, 0xF9), (0xC4, 0xE1, 0x7B), (0xC4, 0xE2, 0x79), (0xC4, 0xE3, 0x79))
FILLER = (0x25, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18, 0x19, 0x1A, 0x1B)
MODRMS = (0xC1, 0x01, 0x05, 0x06, 0x44, 0x94, 0x04, 0x52, 0x7C, 0xFB)
PREFIX_WORDS = re.compile(r'(rex\S*|data16|data32|addr16|addr32|repz|repnz|lock|fwait|[c-gs]s|\s)*$')


def prefixes(bits):
    """Prefix bytes worth combining with every opcode."""
    both = ((), (0x66,), (0x67,), (0xF3,))
    return both + ((0x48,), (0x66, 0x48), (0x41,)) if bits == 64 else both


def shapes(bits):
    """All (bytes before the opcode, ModRM) of one code size."""
    for escape in LEGACY_MAPS:
        for prefix in prefixes(bits):
            many = len(escape) < 2 and prefix in ((), (0x66,), (0x67,), (0x48,))
            for modrm in MODRMS if many else MODRMS[:4]:
                yield prefix + escape, modrm
    for escape in VEX_MAPS if bits != 16 else ():
        for modrm in (0xC1, 0x44):
            yield escape, modrm


def length_of(line, head, opcode):
    """Length in one line of disassembly, 0 when the line is no instruction that the decoder must know."""
    fields = line.split('\t')
    if len(fields) < 3 or '(bad)' in fields[2] or '%tr' in fields[2] or PREFIX_WORDS.match(fields[2]):
        return 0
    if opcode == 0x62 and 0x0F not in head and 'bound' not in fields[2] and head[:1] not in ((0xC4,), (0xC5,)):
        return 0  # EVEX
    return len(fields[1].split())


def lengths(flavour, wanted):
    """One objdump run: every instruction stands at a symbol, where objdump starts afresh."""
    with tempfile.TemporaryDirectory() as folder:
        with open(folder + '/a.s', 'w', encoding='ascii') as out:
            for i, (head, opcode, modrm) in enumerate(wanted):
                code = head + (opcode, modrm) + FILLER
                out.write(f's{i}: .byte {",".join(map(str, code))}\n.balign 32,0x90\n')
        subprocess.run(['as', '-o', folder + '/a.o', folder + '/a.s'], check=True)
        text = subprocess.run(['objdump', '-d', '-w', '-z', '-M', flavour, folder + '/a.o'], check=True,
                              capture_output=True, text=True).stdout
    result = [0] * len(wanted)
    lines = text.split('\n')
    for at, line in enumerate(lines):
        if line.endswith('>:') and '<s' in line:
            i = int(line.split('<s')[1][:-2])
            result[i] = length_of(lines[at + 1], *wanted[i][:2])
    return result


def main():
    """Print the table."""
    for bits, flavour in MODES:
        rows = list(shapes(bits))
        got = lengths(flavour, [(head, opcode, modrm) for head, modrm in rows for opcode in range(256)])
        for i, (head, modrm) in enumerate(rows):
            digits = ''.join(f'{n:x}' for n in got[256 * i:256 * i + 256])
            code = ', '.join(f'0x{b:02X}' for b in head) or '0'
            print(f'{{{bits}, {{{code}}}, {len(head)}, 0x{modrm:02X},')
            print('\n'.join(f'    "{digits[j:j + 64]}"' for j in range(0, 256, 64)) + '},')
    return 0


if __name__ == '__main__':
    sys.exit(main())
