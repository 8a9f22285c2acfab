; Ways to die, one per entry point: entry=0x100000+8*n. type=flat mode=long load=0x100000 mem=4M. The loader's page tables
; map the memory one to one; interrupts are off.
bits 64
org 0x100000
OUTSIDE equ 0x3000000 ; in the page tables, but not memory

%macro way 1
    jmp near %1
    align 8
%endmacro
    way limit
    way empty
    way type
    way selector
    way data
    way handler
    way stack
    way gdt
    way canonical
    way tables
    way fetch
    way entry
    way device
    way spin
    way ist
    way ring
    way data_tables
    way hole
    way pausing
    way wait_on
    way dead
    way inner

limit: ; an IDT of one entry
    lidt [limit_idtr]
    int3

empty:
    lidt [idtr]
    ud2

; all 32 gates made from rax (low) and rdx (high)
%macro gates 0
    mov rdi, idt
    mov ecx, 32
%%next:
    mov [rdi], rax
    mov [rdi + 8], rdx
    add rdi, 16
    loop %%next
    lidt [idtr]
    lgdt [gdtr]
%endmacro
GATE equ 0x00008E0000000000

type: ; data in place of gates
    mov rax, 0x0000000000080000 | 0x0000120000000000
    xor edx, edx
    gates
    ud2

selector:
    mov rax, GATE | 0x800000
    xor edx, edx
    gates
    ud2

data:
    mov rax, GATE | 0x100000
    xor edx, edx
    gates
    ud2

handler: ; far above what the page tables map; the stack has room for one exception, or they would go on and on
    mov esp, 0x30
    mov rax, GATE | 0x080000
    mov edx, 0x7000
    gates
    ud2

stack:
    mov rax, GATE | 0x080000
    xor edx, edx
    gates
    mov rsp, 0x700000000000
    ud2

gdt: ; not canonical, and so for the handlers
    mov rax, GATE | 0x080000
    xor edx, edx
    gates
    lgdt [bad_gdtr]
    ud2

canonical: ; the first push faults
    mov rax, GATE | 0x080000
    xor edx, edx
    gates
    mov rsp, 0x8000000000000000
    ud2

tables:
    mov rax, OUTSIDE
    mov cr3, rax
    jmp $

fetch:
    mov rax, OUTSIDE
    jmp rax

entry: ; with selftest=on
    mov eax, 0x4D540007
    mov ebx, eax
    xor eax, eax
    cpuid
    mov eax, 0x4D540007
    cmp ecx, 'cAMD'
    je .amd
    vmcall
    jmp $
.amd:
    vmmcall
    jmp $

device: ; no memory: read as a device, by an instruction that Mote does not execute
    mov rbx, OUTSIDE
    fld dword [rbx]
    jmp $

spin:
    jmp $

ist: ; gates that want stack 1 of a TSS that is too short for it
    mov rax, GATE | 0x080000 | (1 << 32)
    xor edx, edx
    gates
    ltr [tss_selector]
    ud2

ring: ; user mode, whose interrupts find no ring-0 stack in the TSS
    mov rax, GATE | 0x080000
    xor edx, edx
    gates
    ltr [tss_selector]
    push 0x1B
    push rsp
    pushfq
    push 0x23
    push user
    iretq
user:
    ud2

data_tables: ; of what lies above 512 GiB the tables are in no memory
    mov rax, cr3
    mov qword [rax + 8], OUTSIDE | 3
    mov rbx, 1 << 39
    mov eax, [rbx]
    jmp $

inner: ; as above, for code
    mov rax, cr3
    mov qword [rax + 8], OUTSIDE | 3
    mov rbx, 1 << 39
    jmp rbx

hole: ; where a PC has its screen
    mov eax, 0xA0000
    jmp rax

pausing:
    pause
    jmp pausing

wait_on:
    sti
    hlt
    jmp wait_on

dead: ; with a watchdog this is no end by itself
    hlt
    jmp $

align 16
idt: times 32 * 16 db 0
idtr: dw 32 * 16 - 1
    dq idt
limit_idtr: dw 15
    dq idt
gdt_table:
    dq 0
    dq 0x00209B0000000000
    dq 0x00CF93000000FFFF
    dq 0x00CFF3000000FFFF ; 0x18
    dq 0x0020FB0000000000 ; 0x20
    dq 0x0000890000000003, 0 ; 0x28: a TSS of four bytes
gdtr: dw gdtr - gdt_table - 1
    dq gdt_table
bad_gdtr: dw 0x37
    dq 0x600000000000
tss_selector: dw 0x28
