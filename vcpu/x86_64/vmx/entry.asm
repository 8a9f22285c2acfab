; bool vmx_enter(u64 *gpr, struct vmx_entry_frame *frame)
;
; Enter the guest once and come back once (SDM Vol. 3 chapters 27 and 28).
;   in       rdi = v->arch (gpr[] first), rsi = frame; the vCPU's VMCS is current; IF = 0
;   out      al = 1 when VMLAUNCH/VMRESUME itself failed (VMfail: CF or ZF), 0 after a VM exit or a failed entry with
;            an exit reason; gpr[] but for RSP, and cr2, hold the guest's values
;   clobbers as a C function does; every register that C does not get back is zero
;   stack    7 words; RSP at the entry is what HOST_RSP holds, so that exit and VMfail share one tail
bits 64
default rel

GPR_RAX equ 0
GPR_RCX equ 8
GPR_RDX equ 16
GPR_RBX equ 24
GPR_RBP equ 40
GPR_RSI equ 48
GPR_RDI equ 56
GPR_R8 equ 64
GPR_R9 equ 72
GPR_R10 equ 80
GPR_R11 equ 88
GPR_R12 equ 96
GPR_R13 equ 104
GPR_R14 equ 112
GPR_R15 equ 120
ARCH_CR2 equ 144             ; internal.h asserts these offsets
FRAME_HOST_RSP equ 0
FRAME_LAUNCHED equ 8
VMCS_HOST_RSP equ 0x6C14     ; vmcs.def

section .text

global vmx_enter:function
global vmx_exit_point:function

vmx_enter:
    push rbp
    push rbx
    push r12
    push r13
    push r14
    push r15
    push rdi
    cmp rsp, [rsi + FRAME_HOST_RSP]
    jne vmx_exit_point.host_rsp
.host_rsp_done:
    mov rax, [rdi + ARCH_CR2]
    mov rcx, cr2
    cmp rax, rcx
    jne vmx_exit_point.cr2             ; writing CR2 serialises: only when it differs
.cr2_done:
    cmp qword [rsi + FRAME_LAUNCHED], 0
    mov rax, [rdi + GPR_RAX] ; MOV leaves the flags alone
    mov rcx, [rdi + GPR_RCX]
    mov rdx, [rdi + GPR_RDX]
    mov rbx, [rdi + GPR_RBX]
    mov rbp, [rdi + GPR_RBP]
    mov rsi, [rdi + GPR_RSI]
    mov r8, [rdi + GPR_R8]
    mov r9, [rdi + GPR_R9]
    mov r10, [rdi + GPR_R10]
    mov r11, [rdi + GPR_R11]
    mov r12, [rdi + GPR_R12]
    mov r13, [rdi + GPR_R13]
    mov r14, [rdi + GPR_R14]
    mov r15, [rdi + GPR_R15]
    mov rdi, [rdi + GPR_RDI]
    je .launch
    vmresume
    jmp vmx_exit_point   ; VMfail
.launch:
    vmlaunch

vmx_exit_point:          ; HOST_RIP, and where VMfail falls through: CF = ZF = 0 after a VM exit
    push rdi
    mov rdi, [rsp + 8]
    mov [rdi + GPR_RAX], rax
    mov [rdi + GPR_RCX], rcx
    mov [rdi + GPR_RDX], rdx
    mov [rdi + GPR_RBX], rbx
    mov [rdi + GPR_RBP], rbp
    mov [rdi + GPR_RSI], rsi
    mov [rdi + GPR_R8], r8
    mov [rdi + GPR_R9], r9
    mov [rdi + GPR_R10], r10
    mov [rdi + GPR_R11], r11
    mov [rdi + GPR_R12], r12
    mov [rdi + GPR_R13], r13
    mov [rdi + GPR_R14], r14
    mov [rdi + GPR_R15], r15
    setbe al
    movzx eax, al
    pop rcx
    mov [rdi + GPR_RDI], rcx
    mov rcx, cr2
    mov [rdi + ARCH_CR2], rcx
    xor ecx, ecx
    xor edx, edx
    xor esi, esi
    xor r8d, r8d
    xor r9d, r9d
    xor r10d, r10d
    xor r11d, r11d
    pop rdi
    pop r15
    pop r14
    pop r13
    pop r12
    pop rbx
    pop rbp
    ret

.host_rsp:
    mov eax, VMCS_HOST_RSP
    vmwrite rax, rsp
    mov [rsi + FRAME_HOST_RSP], rsp
    jmp vmx_enter.host_rsp_done
.cr2:
    mov cr2, rax
    jmp vmx_enter.cr2_done
