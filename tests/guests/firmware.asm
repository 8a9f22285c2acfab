; A firmware image of 64 KiB (row 13): starts at the reset vector, prints, and looks at the memory that it lies in. The exit
; code is the number of failed checks. Role firmware.
bits 16
org 0 ; offsets in the segment F000h, whose base is FFFF0000h until the first far jump

COM1 equ 0x3F8
EXIT equ 0xF4
TOP equ 0xFFFF0000
LOW equ 0xF0000

; %1 name; fails when ZF is clear
%macro CHECK 1
    mov bx, %%text
    call verdict
    jmp %%over
%%text: db %1, 0
%%over:
%endmacro

start:
    mov ebp, edx
    mov ax, ds
    mov cx, es
    or ax, cx
    mov cx, ss
    or ax, cx
    mov sp, 0x7000
    CHECK "data-segments-zero"
    mov ax, cs
    cmp ax, 0xF000
    CHECK "cs-selector"
    smsw ax
    test al, 1
    CHECK "pe-clear"
    mov eax, 1
    cpuid
    cmp eax, ebp
    CHECK "edx-is-the-signature"
    mov si, banner
    call puts

    o32 lgdt [cs:gdt_pointer] ; at FFFFxxxxh: a 32-bit base
    mov eax, cr0
    or al, 1
    mov cr0, eax
    mov cx, 8
    mov ds, cx
    mov cx, 32
    mov fs, cx
    jmp 24:.far
.far:
    push word 24
    push word .returned
    retf
.returned:
    mov bp, cs ; the accessed bits found no memory
    mov cx, 16
    ltr cx
    ltr cx ; the busy bit found no memory: it is available still
    str di
    and al, 0xFE
    mov cr0, eax ; back in real mode, DS reaches 4 GiB
    cmp di, 16
    CHECK "ltr-from-rom"
    cmp bp, 24
    CHECK "code-segment-from-rom"
    mov eax, [fs:dword TOP + pattern]
    cmp eax, [cs:pattern]
    CHECK "data-segment-from-rom"
    mov eax, [dword TOP + pattern]
    cmp eax, [cs:pattern]
    CHECK "read-at-the-top"
    mov dword [dword TOP + pattern], 0x11111111
    cmp dword [dword TOP + pattern], 0x600DF00D
    CHECK "top-is-read-only"
    lock add dword [dword TOP + pattern], 1
    cmp dword [dword TOP + pattern], 0x600DF00D
    CHECK "top-refuses-a-locked-write"
    cmp dword [dword LOW + pattern], 0x600DF00D
    CHECK "low-copy"
    mov dword [dword LOW + pattern], 0x22222222
    cmp dword [dword LOW + pattern], 0x22222222
    CHECK "low-copy-is-ram"
    cmp dword [cs:pattern], 0x600DF00D
    CHECK "top-is-another-memory"
    mov byte [dword LOW + patched + 1], 0x5A
    jmp 0xF000:patched
patched:
    mov al, 0xA5
    cmp al, 0x5A
    CHECK "code-in-the-low-copy"
    cmp dword [cs:pattern], 0x22222222
    CHECK "far-jump-reloads-the-base"
    cmp dword [dword 0xC0000], 0
    CHECK "option-rom-area-empty"
    mov eax, [dword 0x80000000 - 4]
    inc eax
    CHECK "hole-reads-ones"

    mov si, done
    call puts
    mov al, [ss:failed]
    out EXIT, al
    cli
    hlt

; Keeps ZF's meaning; BX = name
verdict:
    pushf
    mov si, check_text
    call puts
    mov si, bx
    call puts
    popf
    mov si, ok_text
    jz .print
    mov si, fail_text
    inc byte [ss:failed]
.print:
    jmp puts

puts:
    cs lodsb
    test al, al
    jz .end
    mov dx, COM1
    out dx, al
    jmp puts
.end:
    ret

failed equ 0x7800 ; in RAM, which is zero at first
banner: db "firmware runs at the top", 13, 10, 0
done: db "firmware is done", 13, 10, 0
check_text: db "CHECK ", 0
ok_text: db " ok", 13, 10, 0
fail_text: db " FAIL", 13, 10, 0
align 4
pattern: dd 0x600DF00D
align 8
gdt: dq 0, 0x00CF93000000FFFF, 0x0000890000000067 ; data, 4 GiB; a TSS
    dq 0xFF009AFF0000FFFF, 0x00CF92000000FFFF ; this segment; data, 4 GiB: neither is accessed
gdt_pointer:
    dw 39
    dd TOP + gdt

    times 0xFFF0 - ($ - $$) db 0xCC
    jmp start ; near: the base stays
    times 0x10000 - ($ - $$) db 0
