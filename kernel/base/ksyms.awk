# Turns sorted `nm` output (address, type, name) into the NASM source of the symbol table: text symbols only, as offsets
# from kernel_text_start. Addresses are compared as hexadecimal text of one width, so no 64-bit arithmetic is needed: the
# image is far smaller than 4 GiB and its upper 32 address bits are all ones.
function low_word(hex,    i, value) {
    for (i = length(hex) - 7; i <= length(hex); i++) {
        value = value * 16 + index("0123456789abcdef", substr(hex, i, 1)) - 1
    }
    return value
}
$3 == "kernel_text_start" { start = low_word($1); next }
$3 == "kernel_text_end" { next }
$2 ~ /^[tT]$/ && $3 !~ /\./ { address[count] = low_word($1); name[count++] = $3 }
END {
    print "section .ksyms progbits alloc noexec nowrite align=4"
    print "global ksym_count, ksym_table, ksym_names"
    printf "ksym_count: dd %d\nksym_table:\n", count
    for (i = 0; i < count; i++) {
        printf "dd %d, %d\n", address[i] - start, offset
        offset += length(name[i]) + 1
    }
    print "ksym_names:"
    for (i = 0; i < count; i++) {
        printf "db \"%s\", 0\n", name[i]
    }
    print "db 0"
}
