; One guest through every mode and back (row 12): real, protected, two-level paging, PAE, long, compatibility, protected,
; real. In each it prints a letter and takes an interrupt. type=flat mode=real load=0x7c00
bits 16
org 0x7c00

COM1 equ 0x3F8
PORT_EXIT equ 0xF4
CODE32 equ 0x08
DATA32 equ 0x10
CODE64 equ 0x18
CODE16 equ 0x20
DATA16 equ 0x28
EFER equ 0xC0000080
PAT equ 0x277
TABLES equ 0x10000 ; pages: +0 directory, +1000 PDPT, +2000 page directory, +3000 PML4
IDT32 equ 0x20000
IDT64 equ 0x21000
STACK equ 0x7000

%macro LETTER 1
    mov dx, COM1
    mov al, %1
    out dx, al
    mov al, ' '
    out dx, al
%endmacro

; an interrupt that adds one
%macro INTERRUPT 0
    int 0x40
%endmacro

start:
    cli
    cld
    mov sp, STACK
    mov word [0x40 * 4], on_int16
    mov word [0x40 * 4 + 2], 0
    LETTER 'R'
    INTERRUPT
    call build
    lgdt [gdt_pointer]
    lidt [idt32_pointer]
    mov eax, cr0
    or al, 1
    mov cr0, eax
    jmp dword CODE32:protected

bits 32
protected:
    mov ax, DATA32
    mov ds, ax
    mov es, ax
    mov ss, ax
    mov esp, STACK
    LETTER 'P'
    INTERRUPT
    mov eax, cr4
    or al, 1 << 4 ; PSE
    mov cr4, eax
    mov eax, TABLES
    mov cr3, eax
    mov eax, cr0
    or eax, 1 << 31
    mov cr0, eax
    jmp short .two_level
.two_level:
    LETTER '2'
    INTERRUPT
    cmp dword [0x00400000 + gdt], 0 ; 4 MiB on is mapped to 0: the same bytes
    jne .bad_map
    cmp dword [0x00400000 + gdt + 8], 0x0000FFFF
    jne .bad_map
    mov eax, cr0
    and eax, ~(1 << 31)
    mov cr0, eax
    mov eax, cr4
    or al, 1 << 5 ; PAE
    mov cr4, eax
    mov eax, TABLES + 0x1000
    mov cr3, eax
    mov eax, cr0
    or eax, 1 << 31
    mov cr0, eax
    jmp short .pae
.bad_map:
    LETTER '!'
    mov al, 1
    out PORT_EXIT, al
.pae:
    LETTER 'A'
    INTERRUPT
    cmp dword [0x00200000 + gdt + 8], 0x0000FFFF ; 2 MiB on is mapped to 0
    jne .bad_map
    mov dword [TABLES + 0x1018], 1 ; the last PDPTE, beyond the physical width: nobody loads or uses it
    mov dword [TABLES + 0x101C], 1 << 15
    mov ecx, PAT
    rdmsr
    wrmsr
    mov dword [TABLES + 0x1018], 0
    mov dword [TABLES + 0x101C], 0
    mov dword [TABLES + 0x1020], TABLES + 0x2000 + 1 ; others, with 0 once more at 1 GiB
    mov dword [TABLES + 0x1028], TABLES + 0x2000 + 1
    mov eax, TABLES + 0x1020
    mov cr3, eax
    rdmsr
    wrmsr
    mov al, [0x40000000 + gdt + 8]
    cmp al, 0xFF
    jne .bad_map
    mov eax, cr0
    and eax, ~(1 << 31)
    mov cr0, eax
    mov ecx, EFER
    rdmsr
    or eax, 1 << 8
    wrmsr
    mov eax, TABLES + 0x3000
    mov cr3, eax
    mov eax, cr0
    or eax, 1 << 31
    mov cr0, eax
    rdmsr
    test eax, 1 << 10 ; LMA
    jz .bad_map
    LETTER 'C' ; compatibility mode: still 32-bit code
    lidt [idt64_pointer]
    jmp CODE64:long_mode

bits 64
long_mode:
    LETTER 'L'
    INTERRUPT
    mov rax, 0x123456789ABCDEF0
    mov r15, rax
    mov rax, cr4
    shr r15, 32
    cmp r15d, 0x12345678
    jne .bad
    cmp dword [abs 0x00200000 + gdt + 8], 0x0000FFFF
    jne .bad
    mov rax, [abs TABLES + 0x3000] ; high addresses: 8000000000000000h down is mapped as well
    mov rbx, 0xFFFF800000000000
    cmp dword [rbx + gdt + 8], 0x0000FFFF
    jne .bad
    push CODE32
    push back
    retfq
.bad:
    LETTER '!'
    mov al, 1
    out PORT_EXIT, al

bits 32
back:
    mov eax, cr0
    and eax, ~(1 << 31)
    mov cr0, eax
    mov ecx, EFER
    rdmsr
    and eax, ~(1 << 8)
    wrmsr
    rdmsr
    test eax, 1 << 10
    jnz protected.bad_map
    mov eax, cr4
    and eax, ~(3 << 4)
    mov cr4, eax
    lidt [idt32_pointer]
    LETTER 'p'
    INTERRUPT
    jmp CODE16:back16

bits 16
back16:
    mov ax, DATA16
    mov ds, ax
    mov es, ax
    mov ss, ax
    mov eax, cr0
    and al, ~1
    mov cr0, eax
    jmp 0:real_again
real_again:
    xor ax, ax
    mov ds, ax
    mov es, ax
    mov ss, ax
    mov sp, STACK
    lidt [ivt_pointer]
    LETTER 'r'
    INTERRUPT
    mov al, [count]
    add al, '0'
    mov dx, COM1
    out dx, al
    mov al, 13
    out dx, al
    mov al, 10
    out dx, al
    mov al, 0
    out PORT_EXIT, al
    hlt

on_int16:
    inc byte [cs:count]
    iret
bits 32
on_int32:
    inc byte [count]
    iretd
bits 64
on_int64:
    inc byte [abs count]
    iretq

bits 16
; Identity maps of the first megabytes, and once more of 0 at 4 MiB (two-level) or 2 MiB (PAE, long).
build:
    mov ax, TABLES >> 4
    mov es, ax
    xor di, di
    xor eax, eax
    mov cx, 0x4000 / 4
    rep stosd
    mov dword [es:0], 0x83
    mov dword [es:4], 0x83
    mov dword [es:0x1000], TABLES + 0x2000 + 1
    mov dword [es:0x2000], 0x83
    mov dword [es:0x2008], 0x83
    mov dword [es:0x3000], TABLES + 0x1000 + 3
    mov dword [es:0x3800], TABLES + 0x1000 + 3
    mov ax, IDT32 >> 4
    mov es, ax
    mov di, 0x40 * 8
    mov word [es:di], on_int32
    mov word [es:di + 2], CODE32
    mov dword [es:di + 4], 0x8E00
    mov ax, IDT64 >> 4
    mov es, ax
    mov di, 0x40 * 16
    mov word [es:di], on_int64
    mov word [es:di + 2], CODE64
    mov dword [es:di + 4], 0x8E00
    mov dword [es:di + 8], 0
    mov dword [es:di + 12], 0
    xor ax, ax
    mov es, ax
    ret

align 8
gdt:
    dq 0
    dq 0x00CF9B000000FFFF
    dq 0x00CF93000000FFFF
    dq 0x00AF9B000000FFFF
    dq 0x00009B000000FFFF
    dq 0x000093000000FFFF
gdt_pointer: dw gdt_pointer - gdt - 1
    dd gdt
idt32_pointer: dw 0x7FF
    dd IDT32
idt64_pointer: dw 0xFFF
    dd IDT64
ivt_pointer: dw 0x3FF
    dd 0
count: db 0
