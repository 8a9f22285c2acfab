; Waits a little on the PIT, says so, then dies by a triple fault. type=flat mode=real load=0x7c00
bits 16
org 0x7c00
    mov dx, 0x3F8
    mov al, '!'
    out dx, al
    mov al, 10
    out dx, al
    lidt [cs:empty]
    int 3
empty: dw 0
    dd 0
