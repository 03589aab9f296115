/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Runs a target without libFuzzer: every file named, then ROUNDS inputs made
 * from each by a fixed random sequence.  The same inputs every time.  On a
 * crash the input lies in argv[1], to be added to the corpus when it is fixed.
 */
#include <fcntl.h>
#include <sanitizer/common_interface_defs.h>
#include <signal.h>
#include <unistd.h>

#include "fuzz.h"

#define ROUNDS	1000
#define MAX	(64u << 10)

static uint8_t *seeds[256];
static size_t sizes[256];
static int count;
static const char *crash_file;

static uint64_t state;

static uint32_t draw(uint32_t below)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (uint32_t)((state >> 16) % below);
}

static const uint8_t *last;
static size_t last_size;

/* The sanitizers and abort() come by here. */
static void keep_input(void)
{
	int fd = open(crash_file, O_CREAT | O_TRUNC | O_WRONLY, 0644);

	if (fd < 0 || write(fd, last, last_size) != (ssize_t)last_size)
		perror(crash_file);
	close(fd);
}

static void aborted(int sig)
{
	keep_input();
	signal(sig, SIG_DFL);
	raise(sig);
}

static void run(const uint8_t *data, size_t size)
{
	last = data;
	last_size = size;
	LLVMFuzzerTestOneInput(data, size);
}

static size_t mutate(uint8_t *out, const uint8_t *in, size_t size)
{
	static const uint32_t hard[] = {
		0, 1, 0x7f, 0x80, 0xff, 0x100, 0x7fff, 0x8000, 0xffff,
		0x7fffffff, 0x80000000, 0xffffffff, 0xfffffff0,
	};
	uint32_t edits = 1 + draw(4);

	memcpy(out, in, size);
	if (!draw(4)) {			/* something else altogether, as long */
		for (size_t i = size > 4 ? draw(4) : 0; i < size; i++)
			out[i] = (uint8_t)draw(256);
		return size;
	}
	while (edits-- && size) {
		uint32_t at = draw((uint32_t)size), n, from;
		const uint8_t *other;

		switch (draw(6)) {
		case 0: out[at] ^= (uint8_t)(1u << draw(8)); break;
		case 1: out[at] = (uint8_t)draw(256); break;
		case 2:
			n = hard[draw(sizeof(hard) / sizeof(hard[0]))];
			memcpy(out + at, &n, size - at < 4 ? size - at : 4);
			break;
		case 3: size = at; break;
		case 4:		/* cut a piece out */
			n = draw((uint32_t)(size - at) < 32 ? (uint32_t)(size - at) + 1 : 32);
			memmove(out + at, out + at + n, size - at - n);
			size -= n;
			break;
		default:	/* a piece of another seed on top */
			from = draw((uint32_t)count);
			other = seeds[from];
			if (!sizes[from])
				break;
			n = draw((uint32_t)sizes[from]);
			from = (uint32_t)sizes[from] - n;
			if (from > size - at)
				from = (uint32_t)(size - at);
			memcpy(out + at, other + n, from);
		}
	}
	return size;
}

int main(int argc, char **argv)
{
	static uint8_t buf[MAX];
	unsigned long inputs = 0;

	MUST(argc > 2 && argc - 2 <= 256);
	crash_file = argv[1];
	unlink(crash_file);
	__sanitizer_set_death_callback(keep_input);
	signal(SIGABRT, aborted);
	for (int i = 2; i < argc; i++) {
		FILE *f = fopen(argv[i], "rb");

		MUST(f);
		sizes[count] = fread(buf, 1, sizeof(buf), f);
		fclose(f);
		seeds[count] = fuzz_copy(buf, sizes[count]);
		run(seeds[count], sizes[count]);
		count++;
		inputs++;
	}
	for (int i = 0; i < count; i++) {
		state = 0x9e3779b97f4a7c15ull + (uint64_t)i;
		for (int r = 0; r < ROUNDS; r++, inputs++)
			run(buf, mutate(buf, seeds[i], sizes[i]));
	}
	while (count)
		free(seeds[--count]);
	printf("%lu inputs\n", inputs);
	return 0;
}
