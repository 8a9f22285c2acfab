; Ways to die in 32-bit protected mode, one per entry point: entry=0x100000+8*n. type=flat mode=prot load=0x100000 mem=4M.
bits 32
org 0x100000

%macro way 1
    jmp near %1
    align 8
%endmacro
    way ring
    way v86
    way limit
    way task

; All 32 gates made from eax (low) and edx (high), and segments.
setup:
    pop ebx
    mov edi, idt
    mov ecx, 32
.next:
    mov [edi], eax
    mov [edi + 4], edx
    add edi, 8
    loop .next
    lidt [idtr]
    lgdt [gdtr]
    jmp 8:.loaded
.loaded:
    mov ax, 0x10
    mov ds, ax
    mov es, ax
    mov ss, ax
    mov esp, 0x200000
    mov ax, 0x28
    ltr ax
    jmp ebx

%macro gates 0
    mov eax, 0x00080000 | (handler - $$)
    mov edx, 0x00108E00
    call setup
%endmacro

handler:
    iretd

ring: ; user mode, whose interrupts find a null stack selector in the TSS
    gates
    push 0x23
    push 0x180000
    push 2
    push 0x1B
    push user
    iretd
user:
    ud2

v86: ; virtual-8086 mode, whose interrupts find code where the ring-0 stack should be
    gates
    mov dword [tss + 8], 8
    mov word [0x7C00], 0x0B0F ; UD2
%rep 5
    push 0 ; GS, FS, DS, ES, SS
%endrep
    push 0x7000
    push 0x20002 ; VM
    push 0
    push 0x7C00
    iretd

limit: ; a stack segment of 4 KiB, and a pointer beyond
    gates
    mov ax, 0x30
    mov ss, ax
    mov esp, 0x8000
    ud2

task: ; gates to a task that is no TSS
    mov eax, 0x00100000
    mov edx, 0x00008500
    call setup
    ud2

align 16
tss:
    dd 0, 0x1FF000, 0
    times 23 dd 0
idt: times 32 dq 0
idtr: dw 255
    dd idt
gdt:
    dq 0
    dq 0x00CF9B000000FFFF
    dq 0x00CF93000000FFFF
    dq 0x00CFFB000000FFFF ; 0x18
    dq 0x00CFF3000000FFFF ; 0x20
    dw 0x67, tss - $$     ; 0x28
    dd 0x00008910
    dq 0x0040930000000FFF ; 0x30
gdtr: dw gdtr - gdt - 1
    dd gdt
