/* A crash report: the registers, one line each group. */
#include "kernel/base/log.h"
#include "vcpu/x86_64/x86.h"

static void dump_gprs(const struct vcpu_arch *a, const char *vm, u32 id)
{
    static const char *const names[X86_GPRS] = {"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
                                                "r8",  "r9",  "r10", "r11", "r12", "r13", "r14", "r15"};

    for (u32 i = 0; i < X86_GPRS; i += 4) {
        log_event("vm=%s ev=regs vcpu=%u %s=0x%llx %s=0x%llx %s=0x%llx %s=0x%llx", vm, id, names[i], LLX(a->gpr[i]), names[i + 1],
                  LLX(a->gpr[i + 1]), names[i + 2], LLX(a->gpr[i + 2]), names[i + 3], LLX(a->gpr[i + 3]));
    }
}

static void dump_segments(const struct vcpu_arch *a, const char *vm, u32 id)
{
    static const char *const names[X86_SEGS] = {"es", "cs", "ss", "ds", "fs", "gs", "ldtr", "tr"};

    for (u32 i = 0; i < X86_SEGS; i++) {
        log_event("vm=%s ev=regs vcpu=%u seg=%s sel=0x%x base=0x%llx limit=0x%x attr=0x%x", vm, id, names[i], a->seg[i].selector,
                  LLX(a->seg[i].base), a->seg[i].limit, a->seg[i].attr);
    }
}

static void dump_code(struct vcpu *v, const char *vm)
{
    u8 code[15] = {0};
    size_t len = x86_fetch_insn(v, code);

    log_event("vm=%s ev=regs vcpu=%u code-bytes=%u code=%02x%02x%02x%02x%02x%02x%02x%02x", vm, v->config.id, (unsigned)len,
              code[0], code[1], code[2], code[3], code[4], code[5], code[6], code[7]);
}

void vcpu_dump(struct vcpu *v, const char *vm_name)
{
    struct vcpu_arch *a = v->cpu != CPU_MAX ? x86_regs(v, X86_G_ALL) : &v->arch;

    log_event("vm=%s ev=regs vcpu=%u state=%s exits=%llu rip=0x%llx rflags=0x%llx cpl=%u blocking=0x%x", vm_name,
              v->config.id, vcpu_state_name(v->state), LLX(vcpu_exits(v)), LLX(a->rip), LLX(a->rflags), a->cpl, a->blocking);
    log_event("vm=%s ev=regs vcpu=%u cr0=0x%llx cr2=0x%llx cr3=0x%llx cr4=0x%llx cr8=0x%llx efer=0x%llx xcr0=0x%llx", vm_name,
              v->config.id, LLX(a->cr0), LLX(a->cr2), LLX(a->cr3), LLX(a->cr4), LLX(x86_cr8_read(v)), LLX(a->efer), LLX(a->xcr0));
    dump_gprs(a, vm_name, v->config.id);
    dump_segments(a, vm_name, v->config.id);
    log_event("vm=%s ev=regs vcpu=%u gdtr=0x%llx/0x%x idtr=0x%llx/0x%x dr6=0x%llx dr7=0x%llx", vm_name, v->config.id,
              LLX(a->gdtr.base), a->gdtr.limit, LLX(a->idtr.base), a->idtr.limit, LLX(*x86_guest_dr(a, 6)),
              LLX(*x86_guest_dr(a, 7)));
    dump_code(v, vm_name);
}
