; The small guest of the demo, a boot-sector sized real-mode program: it counts PIT interrupts and prints a line when it
; starts and then about every 30 seconds. type=flat mode=real load=0x7c00
bits 16
org 0x7c00

TICKS_PER_LINE equ 546 ; 30 s at 18.2 Hz

start:
    cli
    xor ax, ax
    mov ds, ax
    mov ss, ax
    mov sp, 0x7c00
    mov word [8 * 4], on_tick
    mov word [8 * 4 + 2], 0
    mov al, 0x11 ; 8259: edge, cascade, ICW4
    out 0x20, al
    mov al, 8 ; pin 0 -> vector 8, as a BIOS has it
    out 0x21, al
    mov al, 4
    out 0x21, al
    mov al, 1
    out 0x21, al
    mov al, 0xFE ; only the timer
    out 0x21, al
    mov al, 0x34 ; 8254: channel 0, rate generator, count 65536
    out 0x43, al
    xor al, al
    out 0x40, al
    out 0x40, al
    call report
.wait:
    sti
    hlt
    cmp word [ticks], TICKS_PER_LINE
    jb .wait
    mov word [ticks], 0
    inc word [line]
    call report
    jmp .wait

on_tick:
    push ax
    inc word [ticks]
    mov al, 0x20
    out 0x20, al
    pop ax
    iret

; "tick: N"
report:
    mov si, text
.next:
    lodsb
    test al, al
    jz .number
    call put
    jmp .next
.number:
    mov ax, [line]
    call decimal
    mov al, 13
    call put
    mov al, 10
put:
    mov dx, 0x3F8
    out dx, al
    ret

decimal:
    xor dx, dx
    mov bx, 10
    div bx
    push dx
    test ax, ax
    jz .digit
    call decimal
.digit:
    pop ax
    add al, '0'
    jmp put

text: db "tick: a 512-byte real-mode guest is alive, line ", 0
line: dw 0
ticks: dw 0

times 510 - ($ - $$) db 0
    dw 0xAA55
