/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The seam on Darwin: manager.  /dev/colinux, mode 0600 of root, a device that
 * devfs clones: every open gets a minor of its own, and with it a handle.  A handle
 * controls (CO_HELLO, CO_VM_CREATE...) until it has made a VM; from then on it is
 * that VM's, wherever it is passed to, and its last close ends the VM.  So a VM
 * never outlives whoever holds it, however he dies.
 *
 * devfs asks for a minor at every look-up, opened or not, and never says which one
 * it gives back: the next number is handed out, and open refuses one in use.
 *
 * A handle is counted by the calls inside it: revoke(2) closes under them.
 *
 * Who waits for a VM's events uses select(2), or kevent(2) with NOTE_LOWAT of 1,
 * which XNU sends the same way; poll(2) does not know such devices there.
 */
#include "seam.h"
#include "../../core/core.h"

#define MAX_HANDLES	128u
#define MINORS		(1u << 24)

struct handle {
	struct handle *next;
	struct co_vm *vm;		/* NULL: a control handle */
	co_u32 minor, calls;
	int closed;
};

static lck_mtx_t *lock;			/* everything below, and calls, closed */
static struct handle *handles;
static co_u32 nhandles, next_minor;
static int leaving;
static int device = -1;			/* major number */
static void *node;

/* lock held */
static struct handle *find(co_u32 minor_number)
{
	struct handle *h = handles;

	while (h && h->minor != minor_number)
		h = h->next;
	return h;
}

static struct handle *hold(dev_t dev)
{
	struct handle *h;

	lck_mtx_lock(lock);
	h = find((co_u32)minor(dev));
	if (h && h->closed)
		h = NULL;
	if (h)
		h->calls++;
	lck_mtx_unlock(lock);
	return h;
}

static void release(struct handle *h)
{
	struct handle **link = &handles;

	lck_mtx_lock(lock);
	if (--h->calls || !h->closed) {
		lck_mtx_unlock(lock);
		return;
	}
	while (*link != h)
		link = &(*link)->next;
	*link = h->next;
	lck_mtx_unlock(lock);
	if (h->vm)
		co_vm_destroy(h->vm);
	co_darwin_delete(h, sizeof(*h));
	/* Last: as long as it counts, the kext stays. */
	lck_mtx_lock(lock);
	nhandles--;
	lck_mtx_unlock(lock);
}

static int clone(dev_t dev, int action)
{
	co_u32 n;

	(void)dev;
	if (action != DEVFS_CLONE_ALLOC)
		return 0;
	lck_mtx_lock(lock);
	do {
		next_minor = (next_minor + 1) % MINORS;
		n = next_minor;
	} while (!n || find(n));
	lck_mtx_unlock(lock);
	return (int)n;
}

static int open(dev_t dev, int flags, int type, struct proc *p)
{
	struct handle *h = co_darwin_new(sizeof(*h));
	int ret = 0;

	(void)flags, (void)type, (void)p;
	if (!h)
		return ENOMEM;
	h->minor = (co_u32)minor(dev);
	lck_mtx_lock(lock);
	if (leaving || !h->minor)
		ret = ENXIO;
	else if (find(h->minor))
		ret = EBUSY;
	else if (nhandles == MAX_HANDLES)
		ret = EMFILE;
	if (!ret) {
		h->next = handles;
		handles = h;
		nhandles++;
	}
	lck_mtx_unlock(lock);
	if (ret)
		co_darwin_delete(h, sizeof(*h));
	return ret;
}

static int close(dev_t dev, int flags, int type, struct proc *p)
{
	struct handle *h = hold(dev);

	(void)flags, (void)type, (void)p;
	if (!h)
		return 0;		/* after a revoke */
	lck_mtx_lock(lock);
	h->closed = 1;
	lck_mtx_unlock(lock);
	if (h->vm)
		co_vm_kill(h->vm, "its handle was closed");
	release(h);
	return 0;
}

static int ioctl(dev_t dev, u_long command, caddr_t data, int flags, struct proc *p)
{
	struct handle *h = hold(dev);
	int ret;

	(void)flags, (void)p;
	if (!h)
		return ENXIO;
	/* XNU has copied the structure in, and copies it out after us. */
	ret = command >> 32 ? -CO_ENOSYS
			    : co_device_act(h->vm, h, (co_u32)command, data, IOCPARM_LEN(command));
	release(h);
	return ret ? ENOTTY : 0;
}

int co_os_handle_create(struct co_vm *vm, void *os_file, co_s32 *number)
{
	struct handle *h = os_file;
	int ret = -CO_ESTATE;

	lck_mtx_lock(lock);
	if (!h->vm && !h->closed) {
		h->vm = vm;
		*number = (co_s32)h->minor;
		ret = 0;
	}
	lck_mtx_unlock(lock);
	return ret;
}

static int ready(void *vm)
{
	return co_event_ready(vm);
}

static int select(dev_t dev, int which, void *wql, struct proc *p)
{
	struct handle *h = hold(dev);
	int now = 0;

	if (!h)
		return 1;		/* whoever looks learns that it is gone */
	if (which == FREAD && h->vm)
		now = co_darwin_wait_select(h->vm->notified, ready, h->vm, p, wql);
	release(h);
	return now;
}

static int no_data(dev_t dev, struct uio *uio, int flags)
{
	(void)dev, (void)uio, (void)flags;
	return ENODEV;
}

static int no_stop(struct tty *tty, int rw)
{
	(void)tty, (void)rw;
	return ENODEV;
}

static int no_reset(int unit)
{
	(void)unit;
	return ENODEV;
}

static int no_mmap(void)
{
	return ENODEV;
}

static void no_strategy(struct buf *b)
{
	(void)b;
}

static const struct cdevsw calls = {
	.d_open = open,
	.d_close = close,
	.d_read = no_data,
	.d_write = no_data,
	.d_ioctl = ioctl,
	.d_stop = no_stop,
	.d_reset = no_reset,
	.d_select = select,
	.d_mmap = no_mmap,
	.d_strategy = no_strategy,
};

static void take_away(void)
{
	if (node)
		devfs_remove(node);
	node = NULL;
	if (device >= 0)
		cdevsw_remove(device, &calls);
	device = -1;
	lck_mtx_free(lock, co_darwin_group);
}

int co_darwin_manager_start(void)
{
	lock = lck_mtx_alloc_init(co_darwin_group, LCK_ATTR_NULL);
	if (!lock)
		return -CO_ENOMEM;
	leaving = 0;
	device = cdevsw_add(-1, &calls);
	if (device >= 0)
		node = devfs_make_node_clone(makedev(device, 0), DEVFS_CHAR, 0, 0, 0600, clone, "colinux");
	if (node)
		return 0;
	take_away();
	return -CO_ENOMEM;
}

int co_darwin_manager_stop(void)
{
	co_u32 open_now;

	lck_mtx_lock(lock);
	open_now = nhandles;
	leaving = !open_now;
	lck_mtx_unlock(lock);
	if (open_now) {
		co_os_log("still in use: %u handles of /dev/colinux are open, %u VMs live; "
			  "end them, then unload", open_now, co_host.nvms);
		return -CO_EBUSY;
	}
	take_away();
	return 0;
}
