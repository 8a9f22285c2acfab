; Entry from the IDT: 256 stubs that push what the CPU did not (error code, vector), and the common path that saves the
; interrupted registers as struct trap_frame (trap.h), calls trap_handle() and returns. The direction flag is cleared as
; the ABI wants; the CPU aligned the stack to 16 bytes before its frame, and 22 words keep that at the call. RBP is left as it
; was: a backtrace goes on into the interrupted code.

bits 64
STUB_SIZE equ 16

; The exceptions with an error code: SDM table 6-1.
%define HAS_ERROR(v) ((v) == 8 || ((v) >= 10 && (v) <= 14) || (v) == 17 || (v) == 21 || (v) == 29 || (v) == 30)

extern trap_handle

section .text
global trap_stubs
align STUB_SIZE
trap_stubs:
%assign vector 0
%rep 256
    align STUB_SIZE
%if !HAS_ERROR(vector)
    push 0
%endif
    push strict dword vector
    jmp strict near trap_common
%assign vector vector + 1
%endrep

trap_common:
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
    call trap_handle
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
    add rsp, 16 ; vector and error code
    iretq
