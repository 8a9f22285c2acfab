; Spins for ever with interrupts off. type=flat mode=real load=0x7c00
bits 16
org 0x7c00
    cli
    jmp $
