/* Life of a vCPU's VMCS: allocated, loaded on a CPU, unloaded, freed. */
#include "kernel/base/panic.h"
#include "kernel/base/percpu.h"
#include "kernel/x86_64/insn.h"
#include "mm/frame.h"
#include "mm/heap.h"
#include "mm/physmap.h"
#include "vcpu/x86_64/vmx/internal.h"

int vmx_vcpu_init(struct vcpu *v)
{
    struct vmx_vcpu *hw = heap_alloc(sizeof(*hw));

    if (hw == NULL) {
        return -E_NOMEM;
    }
    if (frame_alloc(0, v->config.frame_owner, &hw->vmcs) != 0) {
        heap_free(hw);
        return -E_NOMEM;
    }
    hw->vpid = vmx_vpid_alloc();
    hw->loaded_cpu = CPU_MAX;
    v->arch.hw = hw;
    return vmx_vcpu_reset(v);
}

void vmx_vcpu_fini(struct vcpu *v)
{
    struct vmx_vcpu *hw = vmx_of(v);

    ASSERT(hw->loaded_cpu == CPU_MAX);
    int error = frame_free(hw->vmcs, 0, v->config.frame_owner);
    ASSERT(error == 0);
    vmx_vpid_free(hw->vpid);
    heap_free(hw);
    v->arch.hw = NULL;
}

/* Nothing is loaded, so nothing can be written: the next load() does it. */
int vmx_vcpu_reset(struct vcpu *v)
{
    struct vmx_vcpu *hw = vmx_of(v);

    hw->fresh = true;
    hw->last_cpu = CPU_MAX;
    v->arch.windows = 0;
    return 0;
}

/* VMCLEAR of a fresh region comes after its revision is written: SDM 25.2, 25.11.3. */
static int make_current(struct vmx_vcpu *hw)
{
    if (hw->fresh) {
        u32 *revision = phys_ptr(hw->vmcs);
        *revision = vmx_caps.revision;
        if (vmcs_clear(hw->vmcs) != 0) {
            return -E_HW;
        }
    }
    return vmcs_set_current(hw->vmcs);
}

static void load_debug_registers(const struct vcpu_arch *a)
{
    write_dr0(a->dr[0]);
    write_dr1(a->dr[1]);
    write_dr2(a->dr[2]);
    write_dr3(a->dr[3]);
    write_dr6(a->dr6);
}

static void unload_debug_registers(struct vcpu_arch *a)
{
    a->dr[0] = read_dr0();
    a->dr[1] = read_dr1();
    a->dr[2] = read_dr2();
    a->dr[3] = read_dr3();
    a->dr6 = read_dr6();
}

int vmx_load(struct vcpu *v)
{
    struct vmx_vcpu *hw = vmx_of(v);
    u32 cpu = percpu()->id;

    if (make_current(hw) != 0) {
        return -E_HW;
    }
    hw->loaded_cpu = cpu;
    if (hw->fresh) {
        vmx_controls_write(v);
        v->arch.dirty = X86_G_ALL;
        hw->fresh = false;
    }
    if (hw->last_cpu != cpu) {
        vmx_host_write();
        vmx_flush_all_of(v);
        hw->last_cpu = cpu;
    }
    if (hw->debug) {
        hw->debug = false;
        vmx_debug_write(v);
    }
    vmcs_write(VMCS_TSC_OFFSET, hw->tsc_offset);
    vmx_event_window(v, v->arch.windows); /* registers may have been reset while the VMCS was not */
    v->arch.dirty |= X86_G_SYS;           /* its MSRs hold what another vCPU left */
    x86_state_load(v);
    load_debug_registers(&v->arch);
    return 0;
}

void vmx_unload(struct vcpu *v)
{
    struct vmx_vcpu *hw = vmx_of(v);

    vmx_regs_fetch(v, X86_G_ALL & ~v->arch.valid);
    x86_state_unload(v);
    unload_debug_registers(&v->arch);
    int error = vmcs_clear(hw->vmcs);
    ASSERT(error == 0);
    hw->frame.launched = 0;
    hw->loaded_cpu = CPU_MAX;
}

void vmx_set_debug(struct vcpu *v)
{
    vmx_of(v)->debug = true;
}

void vmx_set_time_offset(struct vcpu *v, u64 offset_ticks)
{
    struct vmx_vcpu *hw = vmx_of(v);

    hw->tsc_offset = offset_ticks;
    if (hw->loaded_cpu == percpu()->id) {
        vmcs_write(VMCS_TSC_OFFSET, offset_ticks);
    }
}

void vmx_dump(struct vcpu *v)
{
    if (vmx_of(v)->loaded_cpu == percpu()->id) {
        vmcs_dump();
    }
}
