; The protected-mode part of a bzImage: the 32-bit entry at 0, the 64-bit entry at 0x200. Both save what they find and
; go on in 32-bit mode without paging.
extern linux_main, data_end, bss_end
global start, entry_state

CR0_PG equ 1 << 31
MSR_EFER equ 0xC0000080

section .header
bits 32
start:
    mov [entry_state + 0], ebx
    mov [entry_state + 4], ebp
    mov [entry_state + 8], esi
    mov [entry_state + 12], edi
    mov dword [entry_state + 16], 32
    mov esp, stack_top
    pushfd
    pop dword [entry_state + 20]
    mov eax, cr0
    mov [entry_state + 24], eax
    jmp save_selectors

times 0x200 - ($ - $$) db 0
bits 64
start64:
    mov [abs entry_state + 8], esi
    mov dword [abs entry_state + 16], 64
    mov esp, stack_top
    pushfq
    pop rax
    mov [abs entry_state + 20], eax
    mov rax, cr0
    mov [abs entry_state + 24], eax
    mov rax, cr3
    mov [abs entry_state + 28], eax
    mov rax, rsi
    shr rax, 32
    mov [abs entry_state + 40], eax
    mov ecx, MSR_EFER
    rdmsr
    mov [abs entry_state + 32], eax
    mov ax, cs
    mov [abs entry_state + 44], eax
    mov ax, ds
    mov [abs entry_state + 48], eax
    mov ax, es
    mov [abs entry_state + 52], eax
    mov ax, ss
    mov [abs entry_state + 56], eax
    lgdt [abs gdt_pointer]
    mov eax, 16
    mov ds, ax
    mov es, ax
    mov ss, ax
    push qword 8
    push qword leave_long_mode
    retfq
bits 32
leave_long_mode:
    mov eax, cr0
    and eax, ~CR0_PG
    mov cr0, eax
    jmp run
save_selectors:
    mov ax, cs
    mov [entry_state + 44], eax
    mov ax, ds
    mov [entry_state + 48], eax
    mov ax, es
    mov [entry_state + 52], eax
    mov ax, ss
    mov [entry_state + 56], eax
run:
    cld
    mov edi, data_end ; a loader does not clear a kernel's .bss; nothing is on the stack yet
    mov ecx, bss_end
    sub ecx, edi
    shr ecx, 2
    xor eax, eax
    rep stosd
    call linux_main
.stop:
    cli
    hlt
    jmp .stop

section .data
align 8
gdt: dq 0, 0x00CF9B000000FFFF, 0x00CF93000000FFFF
gdt_pointer: dw gdt_pointer - gdt - 1
    dd gdt, 0
align 4
entry_state: times 15 dd 0

section .bss
align 16
    resb 8192
stack_top:
