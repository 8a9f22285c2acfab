/* What this CPU offers, through a reader that tests replace. APM Vol. 2 15.4 "Enabling SVM", 15.30.1 "VM_CR MSR". */
#include "kernel/lib/errno.h"
#include "kernel/lib/fmt.h"
#include "kernel/x86_64/regs.h"
#include "vcpu/x86_64/svm/internal.h"

static const struct {
    u32 bit;
    const char *text;
} feature_names[] = {
#define SVM_FEATURE_NAME(name, bit, text) {BIT32(bit), text},
    SVM_FEATURE_LIST(SVM_FEATURE_NAME)
#undef SVM_FEATURE_NAME
};

/* VM_CR, or 0 where reading it faults: some CPUs (and Bochs 2.7) have SVM without it, and cannot disable it then. */
static u64 read_vm_cr(const struct svm_hw *hw)
{
    u64 vm_cr = 0;

    return hw->rdmsr(MSR_VM_CR, &vm_cr) == 0 ? vm_cr : 0;
}

static const char *missing_bit(const struct svm_hw *hw)
{
    u64 locked_off = VM_CR_SVMDIS | VM_CR_LOCK;

    if ((hw->cpuid(CPUID_EXT_FEATURES).ecx & CPUID_EXT1_ECX_SVM) == 0) {
        return "CPUID.80000001H:ECX.SVM[bit 2]";
    }
    if ((hw->cpuid(CPUID_EXT_SVM).edx & (u32)SVM_FEATURE_NP) == 0) {
        return "CPUID.8000000AH:EDX.NP[bit 0]";
    }
    if (hw->cpuid(CPUID_EXT_SVM).ebx < 2) {
        return "CPUID.8000000AH:EBX.NASID";
    }
    if ((read_vm_cr(hw) & locked_off) == locked_off) {
        return "SVMDIS (bit 4 of VM_CR) locked on by firmware";
    }
    return NULL;
}

int svm_probe(const struct svm_hw *hw, struct svm_features *features, const char **missing)
{
    const char *bit = missing_bit(hw);

    if (bit != NULL) {
        *missing = bit;
        return -E_NOSYS;
    }
    struct x86_cpuid svm = hw->cpuid(CPUID_EXT_SVM);
    *features = (struct svm_features){
        .revision = (u32)FIELD_GET(SVM_CPUID_EAX_REVISION_MASK, svm.eax),
        .asids = svm.ebx,
        .edx = svm.edx,
        .phys_bits = (u8)FIELD_GET(CPUID_EXT8_EAX_PHYS_BITS_MASK, hw->cpuid(CPUID_EXT_ADDRESS).eax),
        .leaf_1g = (hw->cpuid(CPUID_EXT_FEATURES).edx & CPUID_EXT1_EDX_PDPE1GB) != 0,
    };
    return 0;
}

int svm_unlock(const struct svm_hw *hw)
{
    u64 vm_cr = read_vm_cr(hw);

    if ((vm_cr & VM_CR_SVMDIS) == 0) {
        return 0;
    }
    if ((vm_cr & VM_CR_LOCK) != 0) {
        return -E_HW;
    }
    return hw->wrmsr(MSR_VM_CR, vm_cr & ~VM_CR_SVMDIS);
}

void svm_summary(const struct svm_features *features, char *text, size_t size)
{
    const char *comma = "";
    int len = fmt_snprintf(text, size, "revision=%u asids=%u levels=4 features=", features->revision, features->asids);

    for (size_t i = 0; i < ARRAY_SIZE(feature_names) && len >= 0 && (size_t)len < size; i++) {
        if ((features->edx & feature_names[i].bit) != 0) {
            len += fmt_snprintf(text + len, size - (size_t)len, "%s%s", comma, feature_names[i].text);
            comma = ",";
        }
    }
}
