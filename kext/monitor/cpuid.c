/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What CPU a guest kernel sees: the real one, less what a guest of ours cannot
 * use.  A user program's own CPUID runs natively and is not filtered; CR4 in the
 * guest world hides what must not work.
 */
#include "mon.h"

#define LEAF1_ECX_HIDE	(1u << 2 | 1u << 3 | 1u << 4 | 1u << 5 | 1u << 6 | 1u << 7 | 1u << 8 | \
			 1u << 11 | 1u << 14 | 1u << 15 | 1u << 17 | 1u << 18 | 1u << 21 | \
			 1u << 24 | 1u << 27)
	/* DTES64 MONITOR DS-CPL VMX SMX EST TM2 SDBG xTPR PDCM PCID DCA x2APIC TSC-DEADLINE OSXSAVE */
#define LEAF1_EDX_HIDE	(1u << 1 | 1u << 3 | 1u << 7 | 1u << 11 | 1u << 12 | 1u << 13 | 1u << 14 | \
			 1u << 17 | 1u << 18 | 1u << 21 | 1u << 22 | 1u << 28 | 1u << 29 | 1u << 31)
	/* VME PSE MCE SEP MTRR PGE MCA PSE36 PSN DS ACPI HTT TM PBE */
#define LEAF7_EBX_HIDE	(1u << 0 | 1u << 1 | 1u << 2 | 1u << 4 | 1u << 7 | 1u << 10 | 1u << 11 | \
			 1u << 12 | 1u << 14 | 1u << 15 | 1u << 20 | 1u << 22 | 1u << 25)
	/* FSGSBASE TSC_ADJUST SGX HLE SMEP INVPCID RTM PQM MPX PQE SMAP PCOMMIT PT */
#define LEAF7_ECX_KEEP	(1u << 1 | 1u << 6 | 1u << 8 | 1u << 9 | 1u << 10 | 1u << 11 | 1u << 12 | 1u << 14)
	/* AVX512_VBMI, VBMI2, GFNI, VAES, VPCLMULQDQ, VNNI, BITALG, VPOPCNTDQ */
#define LEAF7_EDX_KEEP	(1u << 2 | 1u << 3 | 1u << 4)	/* 4VNNIW 4FMAPS FSRM */
#define EXT1_EDX_HIDE	(1u << 3 | 1u << 7 | 1u << 12 | 1u << 13 | 1u << 14 | 1u << 17 | 1u << 26 | 1u << 27)
#define EXT1_ECX_HIDE	(1u << 2 | 1u << 3 | 1u << 9 | 1u << 10 | 1u << 12 | 1u << 13 | 1u << 15 | \
			 1u << 19 | 1u << 22 | 1u << 23 | 1u << 24 | 1u << 26 | 1u << 28 | 1u << 29)
	/* SVM EXTAPIC OSVW IBS SKINIT WDT LWP NODEID TOPOEXT PERF.. MONITORX */

void mon_cpuid(u32 *a, u32 *b, u32 *c, u32 *d)
{
	u32 leaf = *a, sub = *c;

	if (leaf >= 0x40000000 && leaf < 0x40000100) {
		u32 n = leaf - 0x40000000;

		*a = *b = *c = *d = 0;
		if (n == 0) {
			*a = 0x40000002;
			*b = XEN_CPUID_SIGNATURE_EBX;
			*c = XEN_CPUID_SIGNATURE_ECX;
			*d = XEN_CPUID_SIGNATURE_EDX;
		} else if (n == 1) {
			*a = 4 << 16 | 17;
		}
		return;
	}
	__asm__ volatile("cpuid" : "=a"(*a), "=b"(*b), "=c"(*c), "=d"(*d) : "a"(leaf), "c"(sub));
	switch (leaf) {
	case 0:
		*a = mon_min(*a, 0xdu);
		break;
	case 1:
		*b &= 0xffff;			/* APIC id 0, one logical CPU */
		*b |= 1u << 16;
		*c &= ~LEAF1_ECX_HIDE;
		*c |= 1u << 31;
		if (!VM->has_xsave)
			*c &= ~(1u << 26 | 1u << 28 | 1u << 12 | 1u << 29);
		else
			*c |= 1u << 27;		/* a PV kernel asks this before it sets CR4 */
		*d &= ~LEAF1_EDX_HIDE;
		break;
	case 4:
		*a &= 0x3ffful;			/* nobody to share a cache with */
		break;
	case 5: case 6: case 9: case 0xa: case 0xb: case 0xc:
		*a = *b = *c = *d = 0;
		break;
	case 7:
		if (sub) {
			*a = *b = *c = *d = 0;
			break;
		}
		*a = 0;
		*b &= ~LEAF7_EBX_HIDE;
		*c &= LEAF7_ECX_KEEP;
		*d &= LEAF7_EDX_KEEP;
		break;
	case 0xd:
		if (!VM->has_xsave) {
			*a = *b = *c = *d = 0;
		} else if (sub == 0) {
			*a &= (u32)VM->xcr0_mask;
			*d = 0;
		} else if (sub == 1) {
			*a &= 7;		/* XSAVEOPT XSAVEC XGETBV1, no XSAVES */
			*c = *d = 0;
		} else if (sub >= 63 || !(VM->xcr0_mask >> sub & 1)) {
			*a = *b = *c = *d = 0;
		}
		break;
	case 0x80000000:
		*a = mon_min(*a, 0x80000008u);
		break;
	case 0x80000001:
		*c &= ~EXT1_ECX_HIDE;
		*d &= ~EXT1_EDX_HIDE;
		break;
	case 0x80000007:
		*a = *b = *c = 0;
		*d &= 1u << 8;			/* invariant TSC */
		break;
	case 0x80000008:
		*b = *c = *d = 0;
		break;
	}
}

int mon_msr_read(u32 msr, u64 *v)
{
	switch (msr) {
	case MSR_EFER:
		*v = mon_rdmsr(msr) & 0xd01;	/* SCE LME LMA NXE */
		return 1;
	case MSR_FS_BASE:
	case MSR_GS_BASE:
	case MSR_KERNEL_GS_BASE:
		*v = mon_rdmsr(msr);
		return 1;
	case 0x10:				/* TSC */
		*v = mon_rdtsc();
		return 1;
	case 0x1b:				/* APIC_BASE: there, enabled, boot CPU */
		*v = 0xfee00900;
		return 1;
	case 0x277:				/* PAT, as it comes up; every mapping is write-back anyway */
		*v = 0x0007040600070406ull;
		return 1;
	case 0x8b:				/* microcode revision */
	case 0x1a0:				/* MISC_ENABLE */
	case MSR_TSC_AUX:
	case 0xc0010010:			/* AMD SYSCFG */
	case 0xc0010015:			/* AMD HWCR */
	case 0xc001001f:			/* AMD NB_CFG */
	case 0xc0011023: case 0xc0011029:	/* AMD DC_CFG, DE_CFG */
		*v = 0;
		return 1;
	default:
		return 0;
	}
}

int mon_msr_write(u32 msr, u64 v)
{
	switch (msr) {
	case MSR_FS_BASE:
	case MSR_GS_BASE:
	case MSR_KERNEL_GS_BASE:
		if (!mon_canonical(v))
			return 0;
		mon_wrmsr(msr, v);
		return 1;
	case MSR_EFER: case 0x8b: case 0x277: case 0x1a0: case MSR_TSC_AUX:
	case 0xc0010010: case 0xc0010015: case 0xc001001f: case 0xc0011023: case 0xc0011029:
		return 1;
	default:
		return 0;
	}
}
