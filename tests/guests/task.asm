; Hardware task switches as the guest sees them: JMP, CALL and IRET, a task gate taken by INT and one taken by a fault with
; an error code, and targets that must be refused. type=flat mode=prot load=0x100000
bits 32
org 0x100000

SEL_CODE equ 0x08
SEL_DATA equ 0x10
SEL_MAIN equ 0x18
SEL_JUMP equ 0x20
SEL_CALL equ 0x28
SEL_INT equ 0x30
SEL_FAULT equ 0x38
SEL_ABSENT equ 0x40
SEL_USER_CODE equ 0x48 | 3
SEL_USER_DATA equ 0x50 | 3
SEL_BASE equ 0x58
BASE equ 0x100000
VECTOR_USER equ 0x41
BAD_SELECTOR equ 0x88
TSS_BUSY equ 0x02
CR0_TS equ 3 ; bit number
NT equ 14
RF equ 16

; CHECK name ok|FAIL by ZF
%macro verdict 1
    push %%name
    call report
    add esp, 4
    jmp %%over
%%name: db %1, 0
%%over:
%endmacro

; CHECK %4 ok|FAIL: LTR of %1 ends with the code %3 at %2
%macro refused_ltr 4
    mov dword [%2], -1
    mov dword [resume], %%after
    mov ax, %1
    ltr ax
%%after:
    cmp dword [%2], %3
    verdict %4
%endmacro

start:
    cli
    mov esp, main_stack
    call fill
    lgdt [gdtr]
    lidt [idtr]
    jmp SEL_CODE:.flush
.flush:
    mov ax, SEL_DATA
    mov ds, ax
    mov es, ax
    mov ss, ax
    xor eax, eax
    mov fs, ax
    mov gs, ax
    ; --- ring 3 and back: nobody has loaded TR, whose base is 0 then (SDM table 10-1) ---
    mov dword [4], jump_stack
    mov word [8], SEL_DATA
    call ring_3
    cmp eax, jump_stack
    verdict "ring-3-stack"
    cmp bx, SEL_USER_CODE
    verdict "ring-3-from"

    ; --- tasks ---
    mov ax, SEL_MAIN
    ltr ax

    ; --- JMP to a task, which jumps back ---
    mov ebx, 0x12345678
    mov ebp, 0x9ABCDEF0
    clts
    jmp SEL_JUMP:0
after_jump:
    cmp ebx, 0x12345678 ; our own registers again
    verdict "jmp-registers"
    mov eax, [gdt + SEL_JUMP + 4]
    test eax, TSS_BUSY << 8 ; it went by JMP: available
    verdict "jmp-back-available"

    ; --- CALL and IRET ---
    clts
    call SEL_CALL:0
    cmp byte [called], 1
    verdict "call-ran"
    pushfd
    pop eax
    test eax, 1 << NT
    verdict "iret-nt-clear"
    mov eax, cr0
    not eax
    test eax, 1 << CR0_TS
    verdict "switch-sets-ts"
    test dword [gdt + SEL_CALL + 4], TSS_BUSY << 8
    verdict "iret-available"
    call SEL_CALL:0 ; it goes on behind its IRET
    cmp byte [called], 2
    verdict "call-again"

    ; --- a task gate by INT: comes back behind it ---
    mov edi, 0
    int 0x40
    inc edi
    cmp edi, 1
    verdict "int-gate-returns"
    cmp byte [interrupted], 1
    verdict "int-gate-ran"

    ; --- a task gate by #GP: error code on the new stack, EIP at the fault ---
    mov dword [resume], after_fault
    mov ax, BAD_SELECTOR
faulting:
    mov fs, ax
after_fault:
    cmp dword [fault_code], BAD_SELECTOR
    verdict "fault-gate-error"
    cmp dword [fault_eip], faulting
    verdict "fault-gate-eip"

    ; --- refusals: in the old task, through ordinary gates ---
    mov dword [resume], .absent
    call SEL_ABSENT:0
.absent:
    cmp dword [np_code], SEL_ABSENT
    verdict "absent-np"
    str ax
    cmp ax, SEL_MAIN
    verdict "refused-stays"

    ; --- LTR of what it must refuse: #GP with the selector, or #NP; then TR is the old one's, as ring 3 finds out ---
    refused_ltr 0, fault_code, 0, "ltr-null"
    refused_ltr 3, fault_code, 0, "ltr-null-rpl"
    refused_ltr SEL_DATA, fault_code, SEL_DATA, "ltr-data"
    refused_ltr SEL_MAIN, fault_code, SEL_MAIN, "ltr-busy"
    refused_ltr SEL_JUMP | 4, fault_code, SEL_JUMP | 4, "ltr-local"
    refused_ltr BAD_SELECTOR, fault_code, BAD_SELECTOR, "ltr-limit"
    refused_ltr SEL_ABSENT, np_code, SEL_ABSENT, "ltr-absent"
    str ax
    cmp ax, SEL_MAIN
    verdict "ltr-refused-stays"
    mov dword [main_tss + 4], jump_stack
    mov word [main_tss + 8], SEL_DATA
    call ring_3
    cmp eax, jump_stack
    verdict "ltr-refused-ring-3"
    mov word [gdt + SEL_JUMP], 0x7F ; with an I/O map that allows the ports from 80h on
    mov word [jump_tss + 0x78], 0
    mov ax, SEL_JUMP
    ltr ax
    mov eax, [gdt + SEL_JUMP + 4]
    not eax
    test eax, TSS_BUSY << 8
    verdict "ltr-busy-after"
    mov dword [jump_tss + 4], jump_stack
    mov word [jump_tss + 8], SEL_DATA
    mov dword [user_at], user_string
    call ring_3
    cmp esi, gdt + 4
    verdict "ring-3-port-string"

    ; --- an address to execute in a segment with a base: met, but in QEMU's SVM, which would end ---
    mov eax, at_base
    mov dr0, eax
    mov eax, 0x402
    mov dr7, eax
    jmp SEL_BASE:at_base - BASE
at_base:
    jmp SEL_CODE:.flat
.flat:
    mov eax, 0x400
    mov dr7, eax
    cmp byte [debugged], 1
    verdict "base-breakpoint"

    mov esi, done_text
    call print
    mov edi, [failures]
exit:
    xor eax, eax
    cpuid
    mov eax, 0x4D540001 ; MOTE_HC_EXIT
    cmp ebx, 0x68747541 ; "Auth"
    je .amd
    vmcall
.amd:
    vmmcall

; ring 3 and back: EAX = the stack that TR's TSS gave, EBX = CS that it came from
ring_3:
    mov [ring_0_esp], esp
    push SEL_USER_DATA
    push call_stack
    push 2
    push SEL_USER_CODE
    push dword [user_at]
    iretd
user_string:
    mov ax, SEL_USER_DATA
    mov ds, ax
    mov edx, 0x80
    mov esi, gdt
    mov ecx, 2
    rep outsw
user:
    int VECTOR_USER
on_user:
    mov ax, SEL_DATA ; IRET took the data segments away
    mov ds, ax
    mov es, ax
    lea eax, [esp + 20]
    mov ebx, [esp + 4]
    mov esp, [ring_0_esp]
    ret

; --- the other tasks ---
jump_task:
    pushfd
    pop eax
    test eax, 1 << NT
    verdict "jmp-nt-clear"
    cmp ebp, 0x0BADCAFE
    verdict "jmp-loads-registers"
    mov eax, [gdt + SEL_MAIN + 4]
    test eax, TSS_BUSY << 8
    verdict "jmp-old-available"
    cmp dword [main_tss + 0x20], after_jump
    verdict "jmp-saves-eip"
    cmp dword [main_tss + 0x34], 0x12345678
    verdict "jmp-saves-ebx"
    jmp SEL_MAIN:0
    jmp jump_task

call_task:
    pushfd
    pop eax
    not eax
    test eax, 1 << NT
    verdict "call-nt-set"
    cmp word [call_tss], SEL_MAIN
    verdict "call-links"
    mov eax, [gdt + SEL_MAIN + 4]
    not eax
    test eax, TSS_BUSY << 8
    verdict "call-old-busy"
    inc byte [called]
    iretd
    inc byte [called]
    iretd

int_task:
    inc byte [interrupted]
    iretd
    jmp int_task

fault_task:
    pop dword [fault_code]
    mov eax, [main_tss + 0x20]
    mov [fault_eip], eax
    mov eax, [resume]
    mov [main_tss + 0x20], eax
    iretd
    jmp fault_task

on_np:
    pop dword [np_code]
    mov eax, [resume]
    mov [esp], eax
    iretd

on_debug:
    inc byte [debugged]
    or dword [esp + 8], 1 << RF
    iretd

on_other:
    mov esi, other_text
    call print
    mov edi, 1
    jmp exit

; --- output ---
; [esp + 4]: name; ZF: passed
report:
    setz al
    pushad
    mov bl, al
    mov esi, check_text
    call print
    mov esi, [esp + 32 + 4]
    call print
    mov esi, ok_text
    test bl, bl
    jnz .print
    inc dword [failures]
    mov esi, fail_text
.print:
    call print
    popad
    ret

print:
    mov dx, 0x3F8
.next:
    lodsb
    test al, al
    jz .end
    out dx, al
    jmp .next
.end:
    ret

; --- tables ---
; base to descriptor: esi = descriptor, eax = address
set_base:
    mov [esi + 2], ax
    shr eax, 16
    mov [esi + 4], al
    mov [esi + 7], ah
    ret

fill:
%macro tss_base 2
    mov esi, gdt + %1
    mov eax, %2
    call set_base
%endmacro
    tss_base SEL_MAIN, main_tss
    tss_base SEL_JUMP, jump_tss
    tss_base SEL_CALL, call_tss
    tss_base SEL_INT, int_tss
    tss_base SEL_FAULT, fault_tss
    tss_base SEL_ABSENT, call_tss
    mov edi, idt
    mov ecx, VECTOR_USER + 1
.gate:
    mov edx, on_other
    cmp ecx, VECTOR_USER + 1 - 11
    jne .not_np
    mov edx, on_np
.not_np:
    cmp ecx, VECTOR_USER + 1 - 1
    jne .write
    mov edx, on_debug
.write:
    mov eax, edx
    mov [edi], ax
    mov word [edi + 2], SEL_CODE
    mov word [edi + 4], 0x8E00
    shr eax, 16
    mov [edi + 6], ax
    add edi, 8
    loop .gate
    mov dword [idt + 0x40 * 8], SEL_INT << 16
    mov dword [idt + 0x40 * 8 + 4], 0x8500
    mov dword [idt + 13 * 8], SEL_FAULT << 16
    mov dword [idt + 13 * 8 + 4], 0x8500
    mov eax, on_user
    mov [idt + VECTOR_USER * 8], ax
    mov byte [idt + VECTOR_USER * 8 + 5], 0xEE ; ring 3 may call it
    shr eax, 16
    mov [idt + VECTOR_USER * 8 + 6], ax
    ret

check_text: db "CHECK ", 0
ok_text: db " ok", 10, 0
fail_text: db " FAIL", 10, 0
done_text: db "DONE", 10, 0
other_text: db "CHECK unexpected-exception FAIL", 10, 0
failures: dd 0
called: db 0
interrupted: db 0
debugged: db 0
fault_code: dd 0
fault_eip: dd 0
np_code: dd 0
resume: dd 0
ring_0_esp: dd 0
user_at: dd user

align 8
gdt:
    dq 0
    dq 0x00CF9A000000FFFF
    dq 0x00CF92000000FFFF
    times 5 dq 0x0000890000000067
    dq 0x0000090000000067 ; not present
    dq 0x00CFFA000000FFFF
    dq 0x00CFF2000000FFFF
    dq 0x00CF9A100000FFFF ; BASE
gdt_end:
gdtr: dw gdt_end - gdt - 1
    dd gdt
idtr: dw (VECTOR_USER + 1) * 8 - 1
    dd idt

; a TSS that starts at %1 with stack %2
%macro tss 2
    dd 0, 0, 0, 0, 0, 0, 0, 0
    dd %1, 0x2, 0, 0, 0, 0, %2, 0x0BADCAFE, 0, 0
    dd SEL_DATA, SEL_CODE, SEL_DATA, SEL_DATA, 0, 0, 0, 0x680000
%endmacro
align 128
main_tss: times 104 db 0
align 128
jump_tss: tss jump_task, jump_stack
align 128
call_tss: tss call_task, call_stack
align 128
int_tss: tss int_task, int_stack
align 128
fault_tss: tss fault_task, fault_stack
align 16
idt: times VECTOR_USER + 1 dq 0
    times 512 db 0
main_stack:
    times 256 db 0
jump_stack:
    times 256 db 0
call_stack:
    times 256 db 0
int_stack:
    times 256 db 0
fault_stack:
