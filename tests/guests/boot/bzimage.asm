; A bzImage around a payload (-DPAYLOAD): boot protocol 2.15, one setup sector, preferred address 2 MiB.
;   XLF=n: xloadflags; 1 says that there is a 64-bit entry
bits 16
INIT_SIZE equ 0x40000

times 0x1F1 db 0
    db 1                  ; setup_sects
    dw 0                  ; root_flags
    dd (payload_end - payload + 15) / 16 ; syssize
    dw 0, 0, 0, 0xAA55    ; ram_size vid_mode root_dev boot_flag
    jmp short header_end  ; its second byte gives the header's length
    db "HdrS"
    dw 0x020F             ; version
    dd 0                  ; realmode_swtch
    dw 0, 0               ; start_sys_seg kernel_version
    db 0, 1               ; type_of_loader loadflags: LOADED_HIGH
    dw 0                  ; setup_move_size
    dd 0x100000, 0, 0, 0  ; code32_start ramdisk_image ramdisk_size bootsect_kludge
    dw 0                  ; heap_end_ptr
    db 0, 0               ; ext_loader_ver ext_loader_type
    dd 0, 0x37FFFFFF      ; cmd_line_ptr initrd_addr_max
    dd 0x200000           ; kernel_alignment
    db 1, 21              ; relocatable_kernel min_alignment (a power of two)
    dw XLF                ; xloadflags
    dd 255, 0             ; cmdline_size hardware_subarch
    dq 0                  ; hardware_subarch_data
    dd 0, 0               ; payload_offset payload_length
    dq 0, 0x200000        ; setup_data pref_address
    dd INIT_SIZE, 0, 0    ; init_size handover_offset kernel_info_offset
header_end:
times 1024 - ($ - $$) db 0
payload:
    incbin PAYLOAD
align 16, db 0
payload_end:
