/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The passage: the order of every step, and why.
 *
 * An NMI or machine check may arrive between any two instructions.  It is safe
 * when, at that point, the IDT in force has its handler, the TSS in force has a
 * stack for it, and both are mapped in the root in force; and when the handler's
 * way back (iretq) finds its CS and SS in the GDT in force.
 *
 *  enter                                  an NMI here is taken by
 *   host saves its state in co_passage     the host
 *   CR3 = transition root                  the host: its whole upper half is mapped
 *   jump to the monitor's address          the host
 *   lgdt transition (host's page 0, ours)  the host: its selectors are still there
 *   lidt monitor                           the monitor, on the host TSS's IST stack
 *   far return to the monitor's CS, SS     the monitor: CS is in both GDTs
 *   lgdt monitor, ltr, lldt                the monitor, on its own IST stack
 *   CR4, CR3 = guest root, CR0             the monitor
 *   MSRs (C, mon_exit)                     the monitor
 *
 *  exit is the mirror image:
 *   CR3 = transition root                  the monitor
 *   lgdt transition                        the monitor: its selectors are in page 14
 *   jump to host code                      the monitor
 *   CR4, CR0, RSP, GS_BASE                 the monitor
 *   ltr host (in the transition copy)      the monitor, on the host's IST stack
 *   far return to the host's CS, SS        the monitor: iretq finds the host's CS
 *   lidt host                              the host, GS_BASE and CR3 good enough
 *   lgdt host, lldt, CR3 = host            the host
 *
 * Orders that do not work: iretq with a host CS while the monitor's GDT is
 * loaded; CR3 = host before lgdt host.  CR4 is written with CR3's low bits clear,
 * so PCIDE may come and go; VMXE is copied from the host's CR4 every time.
 *
 * Against speculation, where the CPU needs it (core/cpu.c): on the way out, before
 * CR3 = transition root maps the host, IBPB and a filled return stack; on the way in,
 * after everything of the host's, VERW.  An IBPB on every way out also separates VM
 * from VM; from other processes the host's kernel separates the worker, which asks.
 *
 * An NMI from the guest crosses with NMIs still blocked (no iret on the way) and
 * is given to the host by int 2.  One that meets the monitor is noted, returns by
 * iretq, and so unblocks the next: the host half then sends a real one to itself.
 */
#ifndef CO_PASSAGE_H
#define CO_PASSAGE_H

#if defined(__APPLE__)
#define CO_SYM(name) _##name
#else
#define CO_SYM(name) name
#endif

#ifndef __ASSEMBLER__
struct co_passage;

void co_passage_switch(struct co_passage *p);
void co_passage_resume(void);
void co_passage_int(unsigned int vector);
extern const unsigned char co_monitor_image[], co_monitor_image_end[];
#endif

#endif
