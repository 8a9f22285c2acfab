; Where an application processor begins: real mode, at the start of a page below 1 MiB into which this code was copied.
; It goes straight to 64-bit mode and calls C. SDM Vol. 3 8.4.4 (MP initialization), 9.8.5 (entering IA-32e mode).
;
; In:  CS = page / 16, IP = 0, interrupts off; the parameters below filled in by ap.c (struct trampoline_params)
; Out: rdi = params.arg, rsp = params.stack, jumps to params.entry; or halts for ever when another CPU took the ticket
; The page is mapped read-only once paging is on: everything written lies in registers or on the given stack.

CR4_PAE          equ 1 << 5
CR0_START        equ (1 << 31) | (1 << 16) | (1 << 5) | (1 << 4) | 1 ; PG WP NE ET PE
MSR_EFER         equ 0xC0000080

section .rodata
global smp_trampoline_start, smp_trampoline_params, smp_trampoline_end

%define OFFSET(label) (label - smp_trampoline_start)

align 16
bits 16
smp_trampoline_start:
    cli
    cld
    jmp begin

align 16
smp_trampoline_params:           ; keep in step with struct trampoline_params
p_ticket:   dd 0                 ; 1: one CPU may go on
p_cr3:      dd 0
p_efer:     dq 0
p_stack:    dq 0
p_entry:    dq 0
p_arg:      dq 0
p_gdtr:     dw 0                 ; limit
            dd 0                 ; base
            dw 0
p_far:      dd 0                 ; linear address of `wide`
            dw 0                 ; code selector
            dw 0
p_gdt:      dq 0, 0              ; null, 64-bit code

begin:
    mov ax, cs
    mov ds, ax
    xor eax, eax
    xchg eax, [OFFSET(p_ticket)]
    test eax, eax
    jz stop
    o32 lgdt [OFFSET(p_gdtr)]
    mov eax, CR4_PAE
    mov cr4, eax
    mov eax, [OFFSET(p_cr3)]
    mov cr3, eax
    mov ecx, MSR_EFER
    mov eax, [OFFSET(p_efer)]
    xor edx, edx
    wrmsr
    mov eax, CR0_START
    mov cr0, eax
    o32 jmp far [OFFSET(p_far)]

stop:
    hlt
    jmp stop

bits 64
global smp_trampoline_wide
smp_trampoline_wide:
    xor eax, eax
    mov ds, eax
    mov es, eax
    mov ss, eax
    mov fs, eax
    mov gs, eax
    mov rsp, [rel p_stack]
    mov rdi, [rel p_arg]
    mov rax, [rel p_entry]
    xor ebp, ebp
    push rbp                     ; a return address that ends backtraces; aligns the stack as a call would
    jmp rax
smp_trampoline_end:
