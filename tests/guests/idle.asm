; A guest that is only there: it halts, interrupts on, and nothing ever interrupts it. type=flat mode=real load=0x7c00
bits 16
org 0x7c00

start:
    sti
    hlt
    jmp start
