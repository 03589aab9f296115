/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * com.apple.kpi.iokit: what this kext uses of it.  The classes have no virtual
 * member here: pages.cpp names the class of every method it calls, so each call
 * binds to that exported function and no layout of a table matters.
 */
#ifndef CO_KPI_IOKIT_H
#define CO_KPI_IOKIT_H

#include "mach.h"

typedef unsigned int IOOptionBits;
typedef IOOptionBits IODirection;
typedef int IOReturn;
typedef unsigned long long IOByteCount, IOVirtualAddress, addr64_t;
typedef unsigned long long mach_vm_address_t, mach_vm_size_t;
#define kIOReturnSuccess	0

#ifdef __cplusplus
enum {
	kIODirectionInOut = 3,
	kIOMemoryMapperNone = 0x800,
	kIOMemoryPageable = 0x20,
	kIOMemoryKernelUserShared = 0x10000,
	kIOMapAnywhere = 1,
	kIOMapInhibitCache = 0x100,
	kIOMapReadOnly = 0x1000,
	kIOMapUnique = 0x04000000,
	kIOMapOverwrite = 0x20000000,
};

class OSObject {
public:
	void release() const;
};

class IOMemoryMap : public OSObject {
public:
	IOVirtualAddress getVirtualAddress();
};

class IOMemoryDescriptor : public OSObject {
public:
	static IOMemoryDescriptor *withAddressRange(mach_vm_address_t address, mach_vm_size_t length,
						    IOOptionBits options, task_t task);
	IOMemoryMap *createMappingInTask(task_t task, mach_vm_address_t at, IOOptionBits options,
					 mach_vm_size_t offset, mach_vm_size_t length);
};

class IOGeneralMemoryDescriptor : public IOMemoryDescriptor {
public:
	IOReturn prepare(IODirection direction);
	IOReturn complete(IODirection direction);
	addr64_t getPhysicalSegment(IOByteCount offset, IOByteCount *length, IOOptionBits options);
};

class IOBufferMemoryDescriptor : public IOGeneralMemoryDescriptor {
public:
	static IOBufferMemoryDescriptor *inTaskWithOptions(task_t task, IOOptionBits options,
							   vm_size_t capacity, vm_offset_t alignment);
};

extern "C" {
#endif

void *IOMalloc(vm_size_t size);
void IOFree(void *address, vm_size_t size);
void *IOMallocAligned(vm_size_t size, vm_size_t alignment);
void IOFreeAligned(void *address, vm_size_t size);
void IOSleep(unsigned int milliseconds);
boolean_t PE_parse_boot_argn(const char *arg_string, void *arg_ptr, int max_arg);

#ifdef __cplusplus
}
#endif
#endif
