/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sandbox_linux.c: what the worker gives up.  Called by main.c, in this order:
 * wk_sandbox_drop (from then on it is nobody but the VM's owner), the opening
 * of the owner's files, wk_sandbox_close (from then on it can only serve).
 */
#define _GNU_SOURCE
#include <errno.h>
#include <grp.h>
#include <linux/fs.h>
#include <malloc.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "log.h"
#include "sandbox_linux.h"
#include "wk.h"

#define WK_CAP_NET_BIND_SERVICE	10
#define WK_GROUPS_MAX	256u
#define WK_NOFILE	64u
#define WK_NOFILE_NET	1024u		/* connections of the guest's */
#define WK_OWN_MEMORY	(1ull << 30)	/* beside the guest's: kernel image, buffers */

/* Capabilities as the kernel takes them: none but these few. */
static int wk_sandbox_capset(uint32_t these)
{
	struct { uint32_t version; int pid; } head = { 0x20080522, 0 };
	struct { uint32_t effective, permitted, inheritable; } sets[2] = { { these, these, 0 }, { 0 } };

	return (int)syscall(SYS_capset, &head, sets);
}

static int wk_sandbox_failed(struct err *e, const char *what)
{
	return err_set(e, CO_EPERM, "the worker cannot give up its rights: %s: %s", what, strerror(errno));
}

int wk_sandbox_drop(const json_t *setup, struct err *e)
{
	const json_t *list = json_object_get(setup, "groups");
	uid_t uid = (uid_t)json_integer_value(json_object_get(setup, "uid"));
	gid_t gid = (gid_t)json_integer_value(json_object_get(setup, "gid")), groups[WK_GROUPS_MAX];
	size_t count = json_array_size(list);
	bool ports = json_is_true(json_object_get(setup, "lowPorts"));

	if (!json_is_integer(json_object_get(setup, "uid")) || count > WK_GROUPS_MAX) {
		errno = EINVAL;
		return wk_sandbox_failed(e, "setup");
	}
	for (size_t i = 0; i < count; i++)
		groups[i] = (gid_t)json_integer_value(json_array_get(list, i));
	if (geteuid() == 0) {
		/*
		 * Forwards below 1024, which colinuxd has found in its policy, are opened
		 * by the owner with one capability; it goes when the sandbox closes.
		 */
		if (ports && prctl(PR_SET_KEEPCAPS, 1))
			return wk_sandbox_failed(e, "prctl");
		if (setgroups(count, groups) || setresgid(gid, gid, gid) || setresuid(uid, uid, uid))
			return wk_sandbox_failed(e, "setresuid");
		if (uid && wk_sandbox_capset(ports ? 1u << WK_CAP_NET_BIND_SERVICE : 0))
			return wk_sandbox_failed(e, "capset");
	} else if (geteuid() != uid) {
		errno = EPERM;
		return wk_sandbox_failed(e, "it is another user's");
	}
	/* A new uid forgets the parent's death signal: ask for it again. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	    prctl(PR_SET_DUMPABLE, 0))
		return wk_sandbox_failed(e, "prctl");
	/*
	 * The host keeps other processes' branch predictions away from this one, and its
	 * guest; a kernel or CPU that has no such thing refuses, and that is all right.
	 */
	prctl(PR_SET_SPECULATION_CTRL, PR_SPEC_INDIRECT_BRANCH, PR_SPEC_DISABLE, 0, 0);
	return 0;
}

static int wk_sandbox_capabilities(void)
{
	/* A VM of root's has a worker of root's: without root's powers. */
	for (int cap = 0; cap < 64; cap++)
		prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	return wk_sandbox_capset(0);
}

static int wk_sandbox_limit(int what, uint64_t most)
{
	struct rlimit r;

	if (getrlimit(what, &r))
		return -1;
	/* What is less already stays so. */
	if (r.rlim_max > most)
		r.rlim_max = most;
	r.rlim_cur = r.rlim_max;
	return setrlimit(what, &r);
}

/* Each with who needs it; tests/unit/helperd/stack.c runs on this very list. */
static const int wk_sandbox_calls[] = {
	SCMP_SYS(read), SCMP_SYS(write), SCMP_SYS(pread64), SCMP_SYS(lseek),	/* pipes, kernel, initrd */
	SCMP_SYS(fstat), SCMP_SYS(newfstatat), SCMP_SYS(close),
	SCMP_SYS(recvmsg), SCMP_SYS(sendto), SCMP_SYS(shutdown),		/* colinuxd */
	SCMP_SYS(poll), SCMP_SYS(restart_syscall), SCMP_SYS(clock_gettime),	/* the loop */
	SCMP_SYS(preadv), SCMP_SYS(preadv2), SCMP_SYS(pwritev),			/* disks */
	SCMP_SYS(fdatasync), SCMP_SYS(fallocate), SCMP_SYS(io_submit),
	SCMP_SYS(munmap), SCMP_SYS(mremap), SCMP_SYS(brk), SCMP_SYS(madvise),	/* malloc, stacks */
	SCMP_SYS(futex), SCMP_SYS(set_robust_list), SCMP_SYS(rseq),		/* the vCPU's thread */
	SCMP_SYS(rt_sigaction),			/* the first pthread_create */
	SCMP_SYS(rt_sigprocmask), SCMP_SYS(rt_sigreturn), SCMP_SYS(sched_yield),
	SCMP_SYS(gettid), SCMP_SYS(getpid), SCMP_SYS(tgkill),			/* abort() */
	SCMP_SYS(exit), SCMP_SYS(exit_group),
};

static const unsigned long wk_sandbox_ioctls[] = {
	CO_VM_SET, CO_VCPU_RUN, CO_EVENT, CO_EVENTS, CO_VM_STATUS, CO_VM_KILL, BLKDISCARD,
};

static int wk_sandbox_filter(const json_t *nets)
{
	const struct scmp_arg_cmp data = { 2, SCMP_CMP_MASKED_EQ, PROT_EXEC, 0 };
	const struct scmp_arg_cmp thread = { 0, SCMP_CMP_MASKED_EQ, CLONE_THREAD | CLONE_VM,
					     CLONE_THREAD | CLONE_VM };
	scmp_filter_ctx f = seccomp_init(SCMP_ACT_KILL_PROCESS);
	int err = f ? 0 : -ENOMEM;

	for (size_t i = 0; !err && i < sizeof(wk_sandbox_calls) / sizeof(wk_sandbox_calls[0]); i++)
		err = seccomp_rule_add(f, SCMP_ACT_ALLOW, wk_sandbox_calls[i], 0);
	for (size_t i = 0; !err && i < sizeof(wk_sandbox_ioctls) / sizeof(wk_sandbox_ioctls[0]); i++) {
		const struct scmp_arg_cmp device = { 1, SCMP_CMP_MASKED_EQ, UINT32_MAX, wk_sandbox_ioctls[i] };

		err = seccomp_rule_add_array(f, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1, &device);
	}
	/* Memory, but never executable; threads, but no processes. */
	if (!err)
		err = seccomp_rule_add_array(f, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1, &data);
	if (!err)
		err = seccomp_rule_add_array(f, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1, &data);
	if (!err)
		err = seccomp_rule_add_array(f, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1, &thread);
	/* Its flags lie in memory: the C library falls back to clone. */
	if (!err)
		err = seccomp_rule_add(f, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
	if (!err)
		err = wk_sandbox_network(f, nets);
	/* The kernel asks the filter anew at each of these, top down; the rest it remembers. */
	if (!err)
		err = seccomp_syscall_priority(f, SCMP_SYS(ioctl), 255);
	if (!err)
		err = seccomp_load(f);
	seccomp_release(f);
	errno = -err;
	return err;
}

int wk_sandbox_close(uint64_t memory, const json_t *nets, struct err *e)
{
	uint64_t files = json_array_size(nets) ? WK_NOFILE_NET : WK_NOFILE;

#ifdef __GLIBC__
	/*
	 * One arena for all threads. With more of them glibc counts the CPUs to know how many
	 * there may be, and when a thread's shrinks it opens a file in /proc to know how: in
	 * the sandbox that is death by SIGSYS.
	 */
	mallopt(M_ARENA_MAX, 1);
#endif
	if (wk_sandbox_limit(RLIMIT_CORE, 0) || wk_sandbox_limit(RLIMIT_NOFILE, files) ||
	    wk_sandbox_limit(RLIMIT_AS, memory + WK_OWN_MEMORY))
		return wk_sandbox_failed(e, "setrlimit");
	if (wk_sandbox_capabilities())
		return wk_sandbox_failed(e, "capset");
	return wk_sandbox_filter(nets) ? wk_sandbox_failed(e, "seccomp") : 0;
}
