; A hardware task switch whose new task lies where there is no memory: nobody can serve that exit, so the VM ends.
; type=flat mode=prot load=0x100000
bits 32
org 0x100000

HOLE equ 0x3F000000
SEL_CODE equ 0x08
SEL_DATA equ 0x10
SEL_OLD  equ 0x18
SEL_NEW  equ 0x20

    lgdt [pointer]
    jmp SEL_CODE:.flushed
.flushed:
    mov ax, SEL_DATA
    mov ds, ax
    mov es, ax
    mov ss, ax
    mov esp, stack_top
    mov ax, SEL_OLD
    ltr ax
    jmp SEL_NEW:0
    hlt

align 8
gdt:
    dq 0
    dq 0x00CF9B000000FFFF
    dq 0x00CF93000000FFFF
    dw 0x67, old_tss - $$, 0x8910, 0       ; busy later: 32-bit TSS at 0x10xxxx
    dw 0x67, HOLE & 0xFFFF, 0x8900 | HOLE >> 16 & 0xFF, HOLE >> 16 & 0xFF00
gdt_end:
pointer:
    dw gdt_end - gdt - 1
    dd gdt
old_tss: times 104 db 0
    times 256 db 0
stack_top:
