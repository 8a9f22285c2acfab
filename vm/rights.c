/* Rights in the VM's memory that change while it runs. */
#include "kernel/lib/errno.h"
#include "vm/vm.h"

int vm_set_rights(struct vm *vm, gpa_t gpa, u64 len, u32 attr)
{
    vm_cpus_exclude(vm);
    int error = gmem_set_rights(&vm->mem, gpa, len, attr);
    if (error == 0 && vm->hidden != 0 && vm->hidden - 1 - gpa.v < len) {
        WRITE_ONCE(vm->hidden, 0);
    }
    vm_cpus_admit(vm);
    return error;
}

static int restore(struct vm *vm, gpa_t gpa)
{
    return gmem_set_rights(&vm->mem, gpa, FRAME_SIZE, gmem_own_rights(&vm->mem, gpa));
}

int vm_hide_page(struct vm *vm, gpa_t gpa)
{
    if (gmem_own_rights(&vm->mem, gpa) == 0) {
        return -E_INVAL;
    }
    vm_cpus_exclude(vm);
    int error = vm->hidden != 0 ? restore(vm, GPA(vm->hidden - 1)) : 0;
    if (error == 0) {
        error = gmem_set_rights(&vm->mem, gpa, FRAME_SIZE, 0);
    }
    if (error == 0) {
        WRITE_ONCE(vm->hidden, gpa.v + 1);
    }
    vm_cpus_admit(vm);
    return error;
}

/* It stays noted when it is back: another CPU may be on its way here with the same fault. */
bool vm_unhide_page(struct vm *vm, gpa_t gpa, u32 wanted)
{
    gpa_t page = GPA(ALIGN_DOWN(gpa.v, FRAME_SIZE));

    return READ_ONCE(vm->hidden) == page.v + 1 && (gmem_own_rights(&vm->mem, page) & wanted) == wanted && restore(vm, page) == 0;
}
