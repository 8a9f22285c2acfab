; void svm_enter(u64 *gpr, u64 vmcb_pa, u64 host_vmcb_pa)
;
; Enter the guest once and come back once, whether or not VMRUN accepts the state: there is one way out.
; In:   RDI = guest registers by the numbers of enum X86_RAX..; RAX and RSP are the VMCB's and not touched here
;       RSI = physical address of the guest's VMCB
;       RDX = physical address of the VMCB with this CPU's own FS, GS, TR, LDTR and SYSCALL state (VMSAVE at enable)
;       IF = 0, GIF = 1, EFER.SVME = 1
; Out:  gpr[] as the guest left it; IF = 0, GIF = 1; a host NMI that came has been taken, a host interrupt is pending
; Clobbers all caller-saved registers: no guest value reaches C in them. Stack: 64 bytes.
; APM Vol. 2 15.5 "VMRUN Instruction", 15.5.2 "VMSAVE and VMLOAD", 15.17 "Global Interrupt Flag", 15.21.1.

bits 64
default rel

RCX_AT equ 1 * 8
RDX_AT equ 2 * 8
RBX_AT equ 3 * 8
RBP_AT equ 5 * 8
RSI_AT equ 6 * 8
RDI_AT equ 7 * 8
R8_AT  equ 8 * 8
R9_AT  equ 9 * 8
R10_AT equ 10 * 8
R11_AT equ 11 * 8
R12_AT equ 12 * 8
R13_AT equ 13 * 8
R14_AT equ 14 * 8
R15_AT equ 15 * 8

section .text
global svm_enter:function
svm_enter:
    push rbp
    push rbx
    push r12
    push r13
    push r14
    push r15
    push rdx ; the host's VMCB
    push rdi ; gpr
    mov rax, rsi ; the operand of VMLOAD, VMRUN, VMSAVE
    clgi

    mov rcx, [rdi + RCX_AT]
    mov rdx, [rdi + RDX_AT]
    mov rbx, [rdi + RBX_AT]
    mov rbp, [rdi + RBP_AT]
    mov rsi, [rdi + RSI_AT]
    mov r8, [rdi + R8_AT]
    mov r9, [rdi + R9_AT]
    mov r10, [rdi + R10_AT]
    mov r11, [rdi + R11_AT]
    mov r12, [rdi + R12_AT]
    mov r13, [rdi + R13_AT]
    mov r14, [rdi + R14_AT]
    mov r15, [rdi + R15_AT]
    mov rdi, [rdi + RDI_AT]

    sti    ; with IF = 0 at VMRUN no host interrupt would end the guest; GIF = 0 holds them back until then
    vmload ; also keeps the shadow of STI away from VMRUN: some CPUs would carry it into the guest
    vmrun
.exited:
    vmsave

    xchg rdi, [rsp] ; gpr; the guest's RDI lies on the stack
    mov [rdi + RCX_AT], rcx
    mov [rdi + RDX_AT], rdx
    mov [rdi + RBX_AT], rbx
    mov [rdi + RBP_AT], rbp
    mov [rdi + RSI_AT], rsi
    mov [rdi + R8_AT], r8
    mov [rdi + R9_AT], r9
    mov [rdi + R10_AT], r10
    mov [rdi + R11_AT], r11
    mov [rdi + R12_AT], r12
    mov [rdi + R13_AT], r13
    mov [rdi + R14_AT], r14
    mov [rdi + R15_AT], r15
    pop qword [rdi + RDI_AT]

    pop rax ; before the first NMI can come in: its entry needs TR and GS
    vmload
    cli
    stgi

    xor ecx, ecx
    xor edx, edx
    xor esi, esi
    xor r8d, r8d
    xor r9d, r9d
    xor r10d, r10d
    xor r11d, r11d
    pop r15
    pop r14
    pop r13
    pop r12
    pop rbx
    pop rbp
    ret

; Bochs 2.7 forgets to drop a single-step trap of the guest's that was pending when it exited: it comes here, and is
; ignored.
section .extable progbits alloc noexec nowrite align=8
    dq svm_enter.exited, svm_enter.exited

section .note.GNU-stack noalloc noexec nowrite progbits
