; From GRUB's 32-bit hand-off to boot_main() in 64-bit mode and the higher half.
;
; multiboot2 specification 2.0, section 3.1 "OS image format" (header) and 3.3 "I386 machine state" (entry): the same
; under BIOS and under EFI, where GRUB leaves boot services and returns to this state, as we ask for no EFI entry.

bits 32

KERNEL_VMA          equ 0xFFFFFFFF80000000 ; virtual address of physical 0; the linker script says the same
%define PHYS(label) ((label) - KERNEL_VMA)

MB2_MAGIC           equ 0xE85250D6
MB2_ARCH_I386       equ 0
MB2_LOADER_MAGIC    equ 0x36D76289
MB2_TAG_END         equ 0
MB2_TAG_INFO        equ 1
MB2_TAG_ENTRY       equ 3
MB2_TAG_ALIGN       equ 6
MB2_OPTIONAL        equ 1
MB2_INFO_CMDLINE    equ 1
MB2_INFO_MODULE     equ 3
MB2_INFO_MMAP       equ 6
MB2_INFO_RSDP_OLD   equ 14
MB2_INFO_RSDP_NEW   equ 15
MB2_INFO_EFI_MMAP   equ 17

EFLAGS_ID           equ 1 << 21
CPUID_FEATURES      equ 1
CPUID_EDX_PAE       equ 1 << 6
CPUID_EXT           equ 0x80000000
CPUID_EXT_FEATURES  equ 0x80000001
CPUID_EDX_NX        equ 1 << 20
CPUID_EDX_LM        equ 1 << 29
CPUID_ECX_RDRAND    equ 1 << 30
CR0_PE_MP_NE_WP_PG  equ 1 << 0 | 1 << 1 | 1 << 5 | 1 << 16 | 1 << 31
CR0_ET              equ 1 << 4
CR4_PAE             equ 1 << 5
MSR_EFER            equ 0xC0000080
EFER_LME_NXE        equ 1 << 8 | 1 << 11
PTE_TABLE           equ 0x3 ; present, writable
PTE_LARGE           equ 0x83 ; present, writable, 2 MiB
COM1                equ 0x3F8
SEL_CODE64          equ 0x08
SEL_DATA            equ 0x10

section .multiboot2 progbits alloc noexec nowrite align=8
mb2_header:
    dd MB2_MAGIC, MB2_ARCH_I386, mb2_header_end - mb2_header
    dd 0x100000000 - (MB2_MAGIC + MB2_ARCH_I386 + (mb2_header_end - mb2_header))
.info:
    dw MB2_TAG_INFO, MB2_OPTIONAL
    dd .info_end - .info
    dd MB2_INFO_CMDLINE, MB2_INFO_MODULE, MB2_INFO_MMAP, MB2_INFO_RSDP_OLD, MB2_INFO_RSDP_NEW, MB2_INFO_EFI_MMAP
.info_end:
    align 8, db 0
.align:
    dw MB2_TAG_ALIGN, 0
    dd 8
.entry:
    dw MB2_TAG_ENTRY, 0
    dd 12
    dd PHYS(start32)
    align 8, db 0
.end:
    dw MB2_TAG_END, 0
    dd 8
mb2_header_end:

section .text
global start32

; Entry from the loader. In: EAX = loader's magic, EBX = physical address of its information, flat 32-bit segments,
; paging off, interrupts off, no usable stack. Never returns.
start32:
    cli
    cld
    mov esp, PHYS(boot_stack_top)
    mov ebp, eax ; kept over CPUID
    mov edi, ebx
    mov esi, PHYS(text_multiboot2)
    cmp ebp, MB2_LOADER_MAGIC
    jne refuse
    call check_cpu
    rdtsc
    mov [PHYS(boot_start_ticks)], eax
    mov [PHYS(boot_start_ticks) + 4], edx
    call build_tables
    mov eax, PHYS(boot_pml4)
    mov cr3, eax
    mov eax, cr4
    or eax, CR4_PAE
    mov cr4, eax
    mov ecx, MSR_EFER
    rdmsr
    or eax, EFER_LME_NXE
    wrmsr
    mov eax, CR0_PE_MP_NE_WP_PG | CR0_ET ; caches on, no emulation, as the manuals' initialisation advises
    mov cr0, eax
    lgdt [PHYS(boot_gdt_ptr)]
    jmp SEL_CODE64:PHYS(start64_low)

; Refuse unless the CPU has CPUID, PAE, long mode and no-execute. Clobbers EAX EBX ECX EDX ESI.
check_cpu:
    mov esi, PHYS(text_cpuid)
    pushfd
    pop eax
    mov ecx, eax
    xor eax, EFLAGS_ID
    push eax
    popfd
    pushfd
    pop eax
    cmp eax, ecx
    je refuse
    mov esi, PHYS(text_pae)
    mov eax, CPUID_FEATURES
    cpuid
    test edx, CPUID_EDX_PAE
    jz refuse
    mov esi, PHYS(text_lm)
    mov eax, CPUID_EXT
    cpuid
    cmp eax, CPUID_EXT_FEATURES
    jb refuse
    mov eax, CPUID_EXT_FEATURES
    cpuid
    test edx, CPUID_EDX_LM
    jz refuse
    mov esi, PHYS(text_nx)
    test edx, CPUID_EDX_NX
    jz refuse
    ret

; Print "MOTE: refused missing=<text at ESI>" on COM1 and stop.
refuse:
    mov ebx, esi
    mov esi, PHYS(serial_setup)
.setup: ; pairs of register offset and value
    movzx edx, byte [esi]
    mov al, [esi + 1]
    add edx, COM1
    out dx, al
    add esi, 2
    cmp esi, PHYS(serial_setup_end)
    jb .setup
    mov esi, PHYS(text_refused)
    call print
    mov esi, ebx
    call print
    mov esi, PHYS(text_newline)
    call print
.stop:
    cli
    hlt
    jmp .stop

; Write the NUL-terminated text at ESI to COM1; each wait is bounded, the port may be missing. Clobbers EAX ECX EDX ESI.
print:
    lodsb
    test al, al
    jz .done
    mov ah, al
    mov ecx, 100000
.wait:
    mov edx, COM1 + 5
    in al, dx
    test al, 0x20 ; LSR: transmitter holding register empty
    loopz .wait
    mov edx, COM1
    mov al, ah
    out dx, al
    jmp print
.done:
    ret

; Boot page tables: the first 4 GiB by 2 MiB pages, seen at 0 and at the direct map's base; the first GiB also at
; KERNEL_VMA. The memory is zero. mm builds the final ones. Clobbers EAX ECX EDX.
build_tables:
    mov dword [PHYS(boot_pml4)], PHYS(boot_pdpt) + PTE_TABLE
    mov dword [PHYS(boot_pml4) + 256 * 8], PHYS(boot_pdpt) + PTE_TABLE
    mov dword [PHYS(boot_pml4) + 511 * 8], PHYS(boot_pdpt_high) + PTE_TABLE
    mov dword [PHYS(boot_pdpt_high) + 510 * 8], PHYS(boot_pds) + PTE_TABLE
    mov eax, PHYS(boot_pds) + PTE_TABLE
    xor ecx, ecx
.pdpt:
    mov [PHYS(boot_pdpt) + ecx * 8], eax
    add eax, 4096
    inc ecx
    cmp ecx, 4
    jb .pdpt
    mov eax, PTE_LARGE
    xor ecx, ecx
.pd:
    mov [PHYS(boot_pds) + ecx * 8], eax
    add eax, 2 << 20
    inc ecx
    cmp ecx, 4 * 512
    jb .pd
    ret

bits 64
; Low half of the 64-bit entry: EDI = the loader's information.
start64_low:
    mov rax, start64
    jmp rax

extern boot_main, __stack_chk_guard

start64:
    mov rax, boot_gdt_ptr_high
    lgdt [rax]
    mov eax, SEL_DATA
    mov ds, eax
    mov es, eax
    mov ss, eax
    xor eax, eax
    mov fs, eax
    mov gs, eax
    mov rsp, boot_stack_top
    mov edi, edi ; upper half is undefined after the mode switch
    call seed_guard
    xor ebp, ebp ; end of the frame-pointer chain
    call boot_main
.stop:
    cli
    hlt
    jmp .stop

; Give the stack protector's guard a value of this boot before any C runs. Clobbers RAX RCX RDX R8.
seed_guard:
    push rbx
    mov eax, CPUID_FEATURES
    cpuid
    mov r8d, ecx
    rdtsc
    shl rdx, 32
    or rax, rdx
    mov rcx, 0x9E3779B97F4A7C15 ; 2^64 / golden ratio: spreads the counter's bits
    imul rax, rcx
    test r8d, CPUID_ECX_RDRAND
    jz .store
    rdrand rcx
    xor rax, rcx
.store:
    xor al, al ; a NUL byte first stops string overruns from reading it
    mov [abs __stack_chk_guard], rax
    pop rbx
    ret

section .rodata
align 8
boot_gdt:
    dq 0
    dq 0x00AF9A000000FFFF ; 64-bit code, ring 0
    dq 0x00CF92000000FFFF ; data, ring 0
boot_gdt_end:
boot_gdt_ptr:
    dw boot_gdt_end - boot_gdt - 1
    dd PHYS(boot_gdt)
boot_gdt_ptr_high:
    dw boot_gdt_end - boot_gdt - 1
    dq boot_gdt
serial_setup: ; 115200 baud, 8N1, FIFO on: pairs of register and value
    db 1, 0x00, 3, 0x80, 0, 0x01, 1, 0x00, 3, 0x03, 2, 0xC7, 4, 0x03
serial_setup_end:
text_refused:    db "MOTE: refused missing=", 0
text_multiboot2: db "multiboot2", 0
text_cpuid:      db "cpuid", 0
text_pae:        db "pae", 0
text_lm:         db "long-mode", 0
text_nx:         db "nx", 0
text_newline:    db 13, 10, "MOTE: verdict=fail code=1", 13, 10, 0

section .bss
align 4096
boot_pml4:      resb 4096
boot_pdpt:      resb 4096
boot_pdpt_high: resb 4096
boot_pds:       resb 4 * 4096
boot_stack:     resb 16384
global boot_stack_top, boot_start_ticks
boot_stack_top:
boot_start_ticks: resq 1
