; Start of the 32-bit boot payloads: a header by -D, then the registers as the loader left them go to report_main().
;   MB1_FLAGS=n   a multiboot 1 header with these flags; with bit 16 also the address fields
;   MB2=1         a multiboot 2 header with an information request; MB2=2 also address and entry tags
bits 32

extern report_main, kernel_start, data_end, bss_end
global start, entry_registers

section .header
%ifdef MB1_FLAGS
align 4
mb1_header:
    dd 0x1BADB002, MB1_FLAGS, -(0x1BADB002 + MB1_FLAGS)
%if MB1_FLAGS & 0x10000
    dd mb1_header, kernel_start, data_end, bss_end, start
%endif
%endif
%ifdef MB2
align 8
mb2_header:
    dd 0xE85250D6, 0, mb2_end - mb2_header, 0x100000000 - 0xE85250D6 - (mb2_end - mb2_header)
    dw 1, 0 ; information: command line, modules, memory, map
    dd 8 + 4 * 4, 1, 3, 4, 6
align 8
    dw 6, 0 ; modules on page boundaries
    dd 8
    dw 0x7777, 1 ; unknown but optional: to be skipped
    dd 12, 0
align 8
%if MB2 == 2
    dw 2, 0
    dd 24, mb2_header, kernel_start, data_end, bss_end
    dw 3, 0
    dd 12, start
align 8
%endif
    dw 0, 0
    dd 8
mb2_end:
%endif

section .text
; Nothing is known of the stack yet; mov leaves the flags alone.
start:
    mov [entry_registers + 0], eax
    mov [entry_registers + 4], ebx
    mov [entry_registers + 8], ecx
    mov [entry_registers + 12], edx
    mov [entry_registers + 16], esi
    mov [entry_registers + 20], edi
    mov [entry_registers + 24], ebp
    mov [entry_registers + 28], esp
    mov esp, stack_top
    pushfd
    pop dword [entry_registers + 32]
    mov eax, cr0
    mov [entry_registers + 36], eax
    mov ax, cs
    mov [entry_registers + 40], eax
    cld
    call report_main
.stop:
    cli
    hlt
    jmp .stop

section .data
align 4
entry_registers: times 11 dd 0

section .bss
align 16
    resb 8192
stack_top:
