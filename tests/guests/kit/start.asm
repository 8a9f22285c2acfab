; Entry of a payload in 64-bit mode, and its interrupt stubs.
bits 64
default rel
extern bss_start, bss_end, kit_main, kit_interrupt
global start, interrupt_stubs

section .start
start:
    cli
    mov rsp, stack_top
    mov rdi, bss_start
    mov rcx, bss_end
    sub rcx, rdi
    shr rcx, 3
    xor eax, eax
    rep stosq
    lgdt [gdt_pointer]
    push 0x08
    lea rax, [.flushed]
    push rax
    retfq
.flushed:
    mov ax, 0x10
    mov ds, ax
    mov es, ax
    mov ss, ax
    xor eax, eax
    mov fs, ax
    mov gs, ax
    call kit_main
    ud2

section .text
; Every stub pushes (error code) and vector, then saves all registers: kit_interrupt(struct frame *).
%assign v 0
%rep 256
stub_%+v:
%if !(v == 8 || (v >= 10 && v <= 14) || v == 17 || v == 21 || v == 29 || v == 30)
    push 0
%endif
    push v
    jmp save_all
%assign v v+1
%endrep

save_all:
    push rax
    push rbx
    push rcx
    push rdx
    push rsi
    push rdi
    push rbp
    push r8
    push r9
    push r10
    push r11
    push r12
    push r13
    push r14
    push r15
    cld
    mov rdi, rsp
    mov rbp, rsp
    and rsp, -16
    call kit_interrupt
    mov rsp, rbp
    pop r15
    pop r14
    pop r13
    pop r12
    pop r11
    pop r10
    pop r9
    pop r8
    pop rbp
    pop rdi
    pop rsi
    pop rdx
    pop rcx
    pop rbx
    pop rax
    add rsp, 16
    iretq

; void kit_user_enter(fn, stack): ring 3 at fn; comes back when kit_user_leave() is called from an exception.
global kit_user_enter, kit_user_leave, kit_user_done
kit_user_enter:
    push rbx
    push rbp
    push r12
    push r13
    push r14
    push r15
    mov [kernel_rsp], rsp
    lea rax, [kit_user_done]
    mov [rsi], rax ; where fn returns to
    push 0x23
    push rsi
    push 2
    push 0x2B
    push rdi
    iretq
kit_user_done:
    ud2
kit_user_leave:
    mov rsp, [kernel_rsp]
    mov eax, 0x10
    mov ss, ax ; null since the exception came from ring 3
    mov ds, ax
    mov es, ax
    pop r15
    pop r14
    pop r13
    pop r12
    pop rbp
    pop rbx
    ret

; Where another CPU starts: copied to a page below 1 MiB, entered in real mode with CS = that page. kit_ap_cr3 and the rest
; are filled in by start_cpu(), which starts one CPU at a time.
global kit_ap_code, kit_ap_code_end, kit_ap_cr3
extern kit_ap_main, kit_ap_stack
section .rodata
bits 16
kit_ap_code:
    cli
    mov ax, cs
    mov ds, ax
    o32 lgdt [kit_ap_gdt - kit_ap_code]
    mov eax, cr4
    or eax, 0x20
    mov cr4, eax
    mov eax, [kit_ap_cr3 - kit_ap_code]
    mov cr3, eax
    mov ecx, 0xC0000080
    rdmsr
    or eax, 0x100
    wrmsr
    mov eax, cr0
    and eax, 0x9FFFFFFF
    or eax, 0x80000001
    mov cr0, eax
    jmp dword 0x08:kit_ap_long
align 4
kit_ap_cr3: dd 0
kit_ap_gdt:
    dw gdt_end - gdt - 1
    dd gdt
kit_ap_code_end:

section .text
bits 64
kit_ap_long:
    mov ax, 0x10
    mov ds, ax
    mov es, ax
    mov ss, ax
    mov rsp, [kit_ap_stack]
    call kit_ap_main
    ud2

section .rodata
interrupt_stubs:
%assign v 0
%rep 256
    dq stub_%+v
%assign v v+1
%endrep

section .data
align 8
global gdt
gdt:
    dq 0
    dq 0x00AF9B000000FFFF ; 08 code 64
    dq 0x00CF93000000FFFF ; 10 data
    dq 0x00CFFB000000FFFF ; 18 user code 32
    dq 0x00CFF3000000FFFF ; 20 user data
    dq 0x00AFFB000000FFFF ; 28 user code 64
    dq 0x00CF9B000000FFFF ; 30 code 32
    dq 0x00009B000000FFFF ; 38 code 16
    dq 0x000093000000FFFF ; 40 data 16
    dq 0, 0               ; 48 TSS
gdt_end:
gdt_pointer:
    dw gdt_end - gdt - 1
    dq gdt

section .bss
alignb 8
kernel_rsp: resq 1
alignb 16
    resb 16384
stack_top:
