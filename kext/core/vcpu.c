/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The run loop: one vCPU, from CO_VCPU_RUN until something that user space must
 * see.  Caller: device.c, in the worker's own thread.
 *
 * What the monitor says in mon_vcpu is trusted as far as ring 0 of the guest
 * world is; the guest cannot write there.
 */
#include "core.h"

#define SPIN_US	1000u		/* a little more than the answer of a server next door takes */
#define TICKS	4		/* of two clocks, the host's and the guest's: 8 to 16 ms */

static u64 rdtsc(void)
{
	u32 lo, hi;

	__asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi));
	return (u64)hi << 32 | lo;
}

int co_vcpu_init(struct co_vm *vm, struct co_vcpu *v)
{
	u32 *fpu;

	v->vm = vm;
	v->cpu = CO_NO_CPU;
	v->run_lock = co_os_mutex_new();
	v->wait = co_os_wait_new();
	v->timer = co_os_timer_new(co_timer_fired, v);
	if (!v->run_lock || !v->wait || !v->timer)
		return -CO_ENOMEM;
	if (co_block_alloc(vm, &v->state, MON_VCPU_PAGES * CO_PAGE_SIZE) ||
	    co_block_alloc(vm, &v->gate, MON_GATE_PAGES * CO_PAGE_SIZE) ||
	    co_block_alloc(vm, &v->entry, MON_ENTRY_PAGES * CO_PAGE_SIZE) ||
	    co_block_alloc(vm, &v->host, 2 * CO_PAGE_SIZE) ||
	    co_block_alloc(vm, &v->fpu, co_host.fpu_bytes))
		return -CO_ENOMEM;
	v->mon = (struct mon_vcpu *)((char *)v->state.va + MON_STACK_PAGES * CO_PAGE_SIZE);
	v->vars = (struct mon_gate *)((char *)v->gate.va + (MON_GATE_VARS - MON_GATE));
	v->passage = v->host.va;
	fpu = v->fpu.va;
	*(u16 *)fpu = 0x37f;		/* x87 control word */
	fpu[6] = 0x1f80;		/* MXCSR */
	return 0;
}

void co_vcpu_free(struct co_vcpu *v)
{
	if (v->timer)
		co_os_timer_free(v->timer);
	if (v->wait)
		co_os_wait_free(v->wait);
	if (v->run_lock)
		co_os_mutex_free(v->run_lock);
	co_block_free(&v->fpu);
	co_block_free(&v->host);
	co_block_free(&v->entry);
	co_block_free(&v->gate);
	co_block_free(&v->state);
}

/*
 * Until the first run the "C code" that stopped is mon_first_entry, six registers
 * deep, and below the place where mon_main builds the guest's first frame.
 */
#define FIRST_FRAME_ROOM	1024

static void prepare_first_entry(struct co_vcpu *v)
{
	char *stack = v->state.va;
	u64 at = MON_STACK_PAGES * CO_PAGE_SIZE - FIRST_FRAME_ROOM;

	*(u64 *)(stack + at + 6 * 8) = co_host.header->first;
	v->mon->c_rsp = MON_STACK + at;
	v->mon->xcr0 = co_host.has_xsave ? 1 : 0;
	v->mon->cr4 = 0x20 | 0x200 | 0x400;
	/* The root to start on is the transition root: the monitor makes the guest's own. */
	v->vars->kernel_cr3 = v->passage->trans_cr3;
}

int co_vcpu_set(struct co_vm *vm, const struct co_vm_set *s)
{
	struct co_vcpu *v = &vm->vcpu;
	int ret = 0;

	if (s->vcpu != 0 || s->cr3_gfn >= vm->ram_pages)
		return -CO_EINVAL;
	co_os_mutex_lock(vm->lock);
	if (v->started || vm->state != CO_VM_CREATED) {
		ret = -CO_ESTATE;
	} else {
		v->mon->start_rip = s->rip;
		v->mon->start_rsp = s->rsp;
		v->mon->start_rsi = s->rsi;
		v->mon->start_gfn = s->cr3_gfn;
		co_cpu_gates(v);
		prepare_first_entry(v);
		co_time_start(vm);
		v->started = 1;
		vm->state = CO_VM_RUNNING;
	}
	co_os_mutex_unlock(vm->lock);
	return ret;
}

/* Make the vCPU look at its inbox, its timer and `killed`; any context. */
void co_vcpu_kick(struct co_vcpu *v)
{
	u32 cpu;

	barrier_full();
	/* One that waits in the monitor looks by itself; to end it that must be left. */
	if (v->vm->mon->spinning && !v->vm->killed)
		return;
	cpu = v->cpu;
	if (cpu != CO_NO_CPU)
		co_os_kick(cpu);
	co_os_wait_wake(v->parked ? v->vm->notified : v->wait);
}

static int runnable(void *arg)
{
	struct co_vcpu *v = arg;

	return v->vm->mon->inbox_summary || v->timer_fired || v->vm->killed ||
	       (v->mon->deadline_ns && co_time_now(v->vm) >= v->mon->deadline_ns);
}

int co_vcpu_wants_run(struct co_vcpu *v)
{
	return v->parked && runnable(v);
}

/* CO_RUN_SOLO: the guest waits, but its caller has other things to wait for as well. */
static void park(struct co_vcpu *v)
{
	v->parked = 1;
	barrier_full();		/* who raises a port now finds us parked, or we the port */
	if (runnable(v))
		v->parked = 0;
}

/* Idle, it may wait in the monitor: it takes this CPU from nobody. */
static int may_spin(struct co_vcpu *v)
{
	return v->cpu == co_host.guest_cpu && !v->vm->mon->solo && co_os_alone();
}

/*
 * TOUR 7: One trip into the guest world and back, then whatever the host is owed:
 * the interrupt that ended it is raised again in the host's own IDT.
 */
static u32 pass(struct co_vcpu *v)
{
	u64 start;
	u32 why;

	co_os_world_enter();
	v->cpu = co_os_cpu();
	barrier_full();
	if (v->vm->killed) {
		v->cpu = CO_NO_CPU;
		co_os_world_leave();
		return MON_EXIT_NONE;
	}
	v->vm->mon->spin = may_spin(v) ? co_os_tsc_khz() * SPIN_US / 1000 : 0;
	start = rdtsc();
	co_cpu_pass(v);
	v->run_tsc += rdtsc() - start;
	v->cpu = CO_NO_CPU;
	why = v->mon->exit;
	v->mon->exit = MON_EXIT_NONE;
	switch (why) {
	case MON_EXIT_IRQ:
		v->mon->counters.interrupts++;
		co_passage_int(v->mon->host_irq & 255);
		break;
	case MON_EXIT_NMI:
		v->mon->counters.nmis++;
		if (v->mon->exit_arg)	/* noted: its iretq has unblocked NMIs */
			co_os_nmi();
		else			/* straight from the guest: they are still blocked */
			co_passage_int(2);
		break;
	case MON_EXIT_MC:
		co_passage_int(18);
		break;
	}
	co_os_world_leave();
	return why;
}

static void copy_why(char *to, const char *from)
{
	u32 i;

	for (i = 0; i + 1 < CO_WHY_LEN && from[i]; i++)
		to[i] = from[i];
	to[i] = 0;
}

static void fill_exit(struct co_vcpu *v, struct co_vcpu_run *r)
{
	u32 i;

	if (r->exit == CO_EXIT_EVENT) {
		r->nports = co_event_take(v->vm, 0, r->ports);
	} else if (r->exit == CO_EXIT_CONSOLE) {
		r->nports = v->mon->exit_len > sizeof(r->text) ? sizeof(r->text) : v->mon->exit_len;
		for (i = 0; i < r->nports; i++)
			r->text[i] = v->mon->text[i];
	}
}

static int solo(const struct co_vcpu_run *r)
{
	return r->detail == CO_RUN_SOLO || r->detail == CO_RUN_NAP;
}

/*
 * CO_RUN_SOLO: an interrupt has brought the guest's runner nothing to look at, as most
 * of a clock's do not.  Its own timers wait for this few.
 */
static int nothing_new(struct co_vcpu *v)
{
	return !co_event_ready(v->vm) && co_os_news() == v->looked && ++v->ticks < TICKS;
}

/* What the monitor's exit means outside; CO_EXIT_NONE: run on. */
static u32 handle(struct co_vcpu *v, u32 why, struct co_vcpu_run *r)
{
	struct co_vm *vm = v->vm;
	char text[CO_WHY_LEN];

	if (r->detail == CO_RUN_ON && co_event_ready(vm))
		co_os_wait_wake(vm->notified);
	if (why != MON_EXIT_IRQ || !vm->mon->spin)	/* or else: at the next tick */
		co_timer_arm(v);
	switch (why) {
	case MON_EXIT_IRQ:
		co_os_yield();
		return solo(r) && !nothing_new(v) ? CO_EXIT_EVENT : CO_EXIT_NONE;
	case MON_EXIT_NMI:
	case MON_EXIT_MC:
	case MON_EXIT_YIELD:
		if (solo(r))
			return CO_EXIT_EVENT;
		co_os_yield();
		return CO_EXIT_NONE;
	case MON_EXIT_TIMER:
		return CO_EXIT_NONE;
	case MON_EXIT_BLOCK:
		if (solo(r)) {
			park(v);
			return CO_EXIT_EVENT;
		}
		if (co_os_wait_until(v->wait, runnable, v))
			return CO_EXIT_INTR;
		return CO_EXIT_NONE;
	case MON_EXIT_EVENT:
		if (r->detail != CO_RUN_ON)
			return CO_EXIT_EVENT;
		co_os_yield();
		return CO_EXIT_NONE;
	case MON_EXIT_CONSOLE:
		return CO_EXIT_CONSOLE;
	case MON_EXIT_SHUTDOWN:
		vm->shutdown_reason = v->mon->exit_arg;
		vm->state = CO_VM_SHUTDOWN;
		return CO_EXIT_SHUTDOWN;
	case MON_EXIT_KILL:
		copy_why(text, v->mon->why);
		co_vm_kill(vm, text);
		return CO_EXIT_NONE;
	case MON_EXIT_NONE:
		return CO_EXIT_NONE;
	default:
		co_vm_kill(vm, "the monitor left for a reason that does not exist");
		return CO_EXIT_NONE;
	}
}

/* CO_RUN_SOLO: it waited when it was left, and there is still nothing to run it for. */
static int rests(struct co_vcpu *v, const struct co_vcpu_run *r)
{
	if (!v->parked || runnable(v))
		return 0;
	if (r->detail == CO_RUN_NAP)
		co_os_nap(v->looked, runnable, v, &v->vm->mon->napping);
	return !runnable(v);
}

static u32 detail(struct co_vcpu *v, const struct co_vcpu_run *r, int rested)
{
	if (r->exit == CO_EXIT_SHUTDOWN)
		return v->vm->shutdown_reason;
	if (r->exit != CO_EXIT_EVENT || !v->parked)
		return 0;
	return rested ? CO_RUN_STILL : CO_RUN_IDLE;
}

int co_vcpu_run(struct co_vm *vm, struct co_vcpu_run *r)
{
	struct co_vcpu *v = &vm->vcpu;
	u32 asked = r->detail, raised = solo(r) ? r->nports : 0;
	int ret = 0, rested = 0;

	if (r->vcpu != 0 || r->detail > CO_RUN_NAP || raised > CO_RUN_PORTS)
		return -CO_EINVAL;
	if (!v->started && !vm->killed)
		return -CO_ESTATE;
	if (!co_os_mutex_trylock(v->run_lock))
		return -CO_EBUSY;
	while (!ret && raised)
		ret = co_event_raise(vm, r->ports[--raised]);
	r->nports = 0;
	rested = !ret && solo(r) && rests(v, r);
	r->exit = rested || asked == CO_RUN_NAP ? CO_EXIT_EVENT : CO_EXIT_NONE;
	v->parked = (u32)rested;
	if (!rested)
		v->looked = v->out;
	v->ticks = 0;
	/* Its caller cannot serve while the guest runs: a notice costs no passage. */
	vm->mon->solo = (u32)solo(r);
	if (asked == CO_RUN_ON && co_host.guest_cpu != CO_NO_CPU)
		co_os_move(co_host.guest_cpu);
	if (!ret && r->exit == CO_EXIT_NONE && !vm->killed)
		ret = co_memory_refresh(v);
	while (!ret && r->exit == CO_EXIT_NONE) {
		if (vm->killed) {
			r->exit = CO_EXIT_KILLED;
		} else if (vm->state != CO_VM_RUNNING) {
			r->exit = CO_EXIT_SHUTDOWN;
		} else if (co_os_interrupted()) {
			r->exit = CO_EXIT_INTR;
		} else {
			v->timer_fired = 0;
			co_time_check(vm);
			r->exit = handle(v, pass(v), r);
		}
	}
	r->detail = detail(v, r, rested);
	if (asked != CO_RUN_NAP)
		fill_exit(v, r);
	if (!rested || asked == CO_RUN_NAP)
		v->out = co_os_news();
	if (asked == CO_RUN_NAP)	/* next it looks */
		v->looked = v->out;
	co_os_mutex_unlock(v->run_lock);
	return ret;
}
