; What guests do with the watchdog, one entry point each: entry=0x100000+8*n. type=flat mode=long load=0x100000 mem=1M+; the key
; watchdog= gives the period. Interrupts are off at the start.
bits 64
org 0x100000

CALL_EXIT equ 0x4D540001
CALL_TIME equ 0x4D540005
CALL_KICK equ 0x4D54000A

%macro way 1
    jmp near %1
    align 8
%endmacro
    way live
    way spin
    way pausing
    way dead
    way idle
    way never
    way without

call_mote: ; rax number, rdi argument -> rax
    mov r8, rax
    xor eax, eax
    cpuid
    mov rax, r8
    cmp ecx, 'cAMD'
    je .amd
    vmcall
    ret
.amd:
    vmmcall
    ret

kick:
    mov eax, CALL_KICK
    jmp call_mote

kick_thrice:
    mov r12d, 3
.again:
    call kick
    dec r12d
    jnz .again
    ret

live: ; three periods long, then it ends well
    call kick
    imul r13, rax, 3000000
    mov eax, CALL_TIME
    call call_mote
    add r13, rax
.again:
    call kick
    mov eax, CALL_TIME
    call call_mote
    cmp rax, r13
    jb .again
    xor edi, edi
    jmp exit

spin:
    call kick_thrice
    jmp $

pausing: ; for an emulator that does not take an interrupt out of the loop above
    call kick_thrice
.again:
    pause
    jmp .again

dead: ; as a kernel that gave up
    call kick_thrice
    hlt
    jmp $

idle: ; waits for an interrupt that does not come
    call kick_thrice
    sti
.again:
    hlt
    jmp .again

never:
    hlt
    jmp $

without: ; no watchdog: the call says so
    call kick
    mov edi, eax
exit:
    mov eax, CALL_EXIT
    call call_mote
    jmp $
