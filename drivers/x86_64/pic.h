/* The 8259 pair, kept silent: interrupts come through the IOAPIC. */
#pragma once

/* Move its vectors away from the exceptions (a spurious interrupt can come even when masked) and mask every line. */
void pic_disable(void);
