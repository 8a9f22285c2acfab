; Prints 100 MiB and never asks whether its bytes can be taken: 25600 times 64 lines of 64 characters, by REP OUTSB; then code 0.
; type=flat mode=real load=0x7c00
bits 16
org 0x7C00

COM1 equ 0x3F8
VERDICT equ 0xF4
LINES equ 0x8000
LINE_BYTES equ 64
BLOCK_LINES equ 64
BLOCKS equ 25600

    xor ax, ax
    mov ds, ax
    mov es, ax
    cld
    mov di, LINES
    mov bx, BLOCK_LINES
fill:
    mov al, 'x'
    mov cx, LINE_BYTES - 1
    rep stosb
    mov al, 10
    stosb
    dec bx
    jnz fill
    mov dx, COM1
    mov bp, BLOCKS
print:
    mov si, LINES
    mov cx, BLOCK_LINES * LINE_BYTES
    rep outsb
    dec bp
    jnz print
    xor al, al
    out VERDICT, al
    hlt
