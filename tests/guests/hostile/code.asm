; What lies at the start of a victim's block: entered by SIPI in real mode, it goes to the scene's mode; and one handler per width for
; every exception and interrupt, which gives up what was interrupted and begins the next stream. Addresses are the block's offsets.
PARAMS equ 0x300
P_CR0 equ PARAMS
P_CR3 equ PARAMS + 4
P_CR4 equ PARAMS + 8
P_EFER equ PARAMS + 12
P_ENTRY equ PARAMS + 16
P_GDTR equ PARAMS + 24
P_IDTR equ PARAMS + 32
P_COUNT equ PARAMS + 40
P_DATA equ PARAMS + 44
P_FLAGS equ PARAMS + 48
P_CODE equ PARAMS + 52
P_STACK equ PARAMS + 56
P_SP equ PARAMS + 60
P_SEGMENT equ PARAMS + 64
P_CODE_BASE equ PARAMS + 68
GDT equ 0x400
SEL_FLAT equ 0x10
SEL_TSS equ 0x50
SEL_DF equ 0x60
STREAM_AT equ 0x2000 ; 64 of 256 bytes
TOP equ 0x7FF0

section .rodata
global hostile_code, hostile_code_end, hostile_16, hostile_32, hostile_32_first, hostile_df, hostile_64, hostile_64_first
hostile_code:
bits 16
    cli
    mov ax, cs
    mov ds, ax
    mov ss, ax
    mov sp, TOP
    o32 lgdt [P_GDTR]
    mov eax, [P_CR4]
    mov cr4, eax
    mov eax, [P_CR3]
    mov cr3, eax
    mov ecx, 0xC0000080
    xor edx, edx
    mov eax, [P_EFER]
    wrmsr
    o32 lidt [P_IDTR]
    mov eax, [P_CR0]
    mov cr0, eax
    jmp dword far [cs:P_ENTRY]

hostile_16:
    cli
    mov ax, [cs:P_DATA]
    mov ds, ax
    mov ss, ax
    mov sp, TOP
    inc dword [P_COUNT]
    mov bx, [P_COUNT]
    and bx, 63
    shl bx, 8
    add bx, STREAM_AT
    push word [P_FLAGS]
    push word [P_CODE]
    push bx
    mov es, [P_SEGMENT]
    mov ds, [P_SEGMENT]
    iret

bits 32
hostile_df: ; another task
    clts
    mov eax, [cs:P_DATA]
    mov ds, eax
    and byte [GDT + SEL_DF + 5], 0xFD
    and byte [GDT + SEL_TSS + 5], 0xFD
hostile_32_first:
    mov eax, SEL_TSS
    ltr ax
    push dword 2
    popfd
hostile_32:
    cli
    mov eax, [cs:P_DATA]
    mov ds, eax
    mov ss, eax
    mov esp, TOP
    inc dword [P_COUNT]
    mov ebx, [P_COUNT]
    and ebx, 63
    shl ebx, 8
    add ebx, STREAM_AT
    mov ecx, [P_SEGMENT]
    push ecx ; GS FS DS ES of virtual-8086 mode
    push ecx
    push ecx
    push ecx
    push dword [P_STACK]
    push dword [P_SP]
    push dword [P_FLAGS]
    push dword [P_CODE]
    push ebx
    test dword [P_FLAGS], 0x20000
    jnz .go
    mov es, ecx
    mov ds, ecx
.go:
    iretd

bits 64
hostile_64_first:
    mov eax, SEL_TSS
    ltr ax
hostile_64:
    cli
    lea rbp, [rel hostile_code]
    mov eax, SEL_FLAT
    mov ds, eax
    mov ss, eax
    lea rsp, [rbp + TOP]
    inc dword [rbp + P_COUNT]
    mov ebx, [rbp + P_COUNT]
    and ebx, 63
    shl ebx, 8
    mov eax, [rbp + P_CODE_BASE]
    lea rbx, [rax + rbx + STREAM_AT]
    mov eax, [rbp + P_STACK]
    push rax
    mov eax, [rbp + P_SP]
    push rax
    mov eax, [rbp + P_FLAGS]
    push rax
    mov eax, [rbp + P_CODE]
    push rax
    push rbx
    mov eax, [rbp + P_SEGMENT]
    mov es, eax
    mov ds, eax
    iretq
hostile_code_end:
