#include "kernel/base/ksyms.h"
#include "kernel/base/sections.h"

/* Sorted by address; both are offsets: of the function from kernel_text_start, of the name in ksym_names. */
struct ksym {
    u32 text_offset;
    u32 name_offset;
};

extern const u32 ksym_count;
extern const struct ksym ksym_table[];
extern const char ksym_names[];

struct ksym_hit ksym_lookup(u64 address)
{
    u64 start = (u64)kernel_text_start;
    u32 low = 0;
    u32 high = ksym_count;

    if (address < start || address >= (u64)kernel_text_end) {
        return (struct ksym_hit){"?", 0};
    }
    while (low < high) { /* invariant: entries before low start at or below address, those from high on above */
        u32 middle = low + (high - low) / 2;

        if (start + ksym_table[middle].text_offset <= address) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    if (low == 0) {
        return (struct ksym_hit){"?", 0};
    }
    return (struct ksym_hit){ksym_names + ksym_table[low - 1].name_offset,
                             address - start - ksym_table[low - 1].text_offset};
}
