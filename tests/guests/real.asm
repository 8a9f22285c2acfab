; Real mode as a boot loader's program finds it (row 11): registers, IVT, 32-bit operands, segment limit, port strings; ends
; by HLT with interrupts off. type=flat mode=real load=0x7c00
bits 16
org 0x7c00

COM1 equ 0x3F8

; %1 name; fails when ZF is clear
%macro CHECK 1
    mov bx, %%text
    call verdict
    jmp %%over
%%text: db %1, 0
%%over:
%endmacro

start:
    mov [cs:entry_sp], sp
    mov [cs:entry_ds], ds
    mov [cs:entry_ss], ss
    pushf
    pop word [cs:entry_flags]
    mov ax, cs
    test ax, ax
    CHECK "cs-zero"
    call next
next:
    pop ax
    cmp ax, next
    CHECK "ip"
    mov ax, [entry_ds]
    or ax, [entry_ss]
    CHECK "segments-zero"
    test word [entry_flags], 0x7FD5 & ~0x3000 ; nothing set but bit 1
    CHECK "flags"
    smsw ax
    test al, 1
    CHECK "pe-clear"

    xor ax, ax
    mov ss, ax
    mov sp, 0x7000
    mov word [0x40 * 4], on_call
    mov word [0x40 * 4 + 2], 0
    int 0x40
    cmp word [seen], 0x40
    CHECK "int-through-ivt"

    mov word [13 * 4], on_gp ; beyond a segment's limit
    mov word [13 * 4 + 2], 0
    mov di, 0xFFFF
    mov byte [seen], 0
beyond:
    mov ax, [di]
after:
    cmp word [seen], 13
    CHECK "limit-gp"

    mov eax, 0x12345678
    cpuid ; leaf beyond the largest: must come back
    mov eax, 0x89ABCDEF
    mov [number], eax
    cmp word [number + 2], 0x89AB
    CHECK "operand-32"

    mov edi, 0x9000
    mov dword [edi + 0x10], 0xCAFE1234 ; 67 66 forms
    cmp word [0x9012], 0xCAFE
    CHECK "address-32"

    mov ax, 0xFFFF
    mov es, ax
    mov byte [0x500], 0x11
    mov byte [es:0x510], 0x22 ; 1 MiB + 500h: A20 is open
    cmp byte [0x500], 0x11
    CHECK "a20"

    mov word [1 * 4], on_db ; in a segment that has a base
    mov word [1 * 4 + 2], 0
    mov eax, breakpoint
    mov dr0, eax
    mov eax, 0x402
    mov dr7, eax
    mov word [seen], 0
    jmp 0x7C0:breakpoint - 0x7C00
breakpoint:
    jmp 0:after_breakpoint
after_breakpoint:
    mov eax, 0x400
    mov dr7, eax
    cmp word [seen], 1
    CHECK "breakpoint"

    mov ax, 0x1000
    mov es, ax
    mov di, 0
    mov al, 0x5A
    mov dx, COM1 + 7
    out dx, al
    mov cx, 4
    cld
    rep insb ; [ES:DI]
    cmp dword [es:0], 0x5A5A5A5A
    CHECK "rep-insb"
    mov si, string
    mov cx, string_end - string
    mov dx, COM1
    cs rep outsb
    test cx, cx
    CHECK "rep-outsb"
    mov eax, 0x4D540002 ; the echo call from real mode
    mov edi, 7
    xor esi, esi
    xor edx, edx
    xor ecx, ecx
    push eax
    xor eax, eax
    cpuid
    pop eax
    xor edx, edx
    xor ecx, ecx
    cmp ebx, 0x68747541
    je .amd
    db 0x0F, 0x01, 0xC1
    jmp .called
.amd:
    db 0x0F, 0x01, 0xD9
.called:
    cmp eax, 7 ; R8 and R9 are zero from the start
    CHECK "hypercall"
    smsw ax
    or al, 1
    lmsw ax ; as the 286 did it
    smsw bx
    xor ax, ax
    lmsw ax ; PE stays
    mov eax, cr0
    mov cl, al
    and al, 0xF0
    mov cr0, eax
    mov eax, cr0
    and bl, cl
    xor bl, 1
    and al, 1
    or al, bl
    test al, 1
    CHECK "lmsw"
    mov eax, cr0
    or al, 8
    mov cr0, eax
    clts
    mov eax, cr0
    test al, 8
    CHECK "clts"
    mov si, done
.line:
    lodsb
    test al, al
    jz .end
    call put
    jmp .line
.end:
    cli
    hlt
    mov si, woke
    jmp .line

on_call:
    mov word [seen], 0x40
    iret
on_db:
    mov word [seen], 1
    push eax
    mov eax, 0x400
    mov dr7, eax
    pop eax
    iret

on_gp:
    mov word [seen], 13
    add sp, 6
    jmp after

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
.print:
    jmp puts

puts:
    cs lodsb
    test al, al
    jz .end
    call put
    jmp puts
.end:
    ret
put:
    push dx
    mov dx, COM1
    out dx, al
    pop dx
    ret

entry_sp: dw 0
entry_ds: dw 0
entry_ss: dw 0
entry_flags: dw 0
seen: dw 0
number: dd 0
check_text: db "CHECK ", 0
ok_text: db " ok", 13, 10, 0
fail_text: db " FAIL", 13, 10, 0
string: db "16 bits by REP OUTSB", 13, 10
string_end:
done: db "now it halts", 13, 10, 0
woke: db "CHECK halt FAIL", 13, 10, 0
