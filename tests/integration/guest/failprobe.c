// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A driver's probe with its first, its second, its third ... allocation failing,
 * until it needs no more. For kernels with fault injection.
 *
 *	failprobe DRIVER ADDRESS STEP
 *
 * Has the driver (its folder in sysfs) probe the card at ADDRESS, which it has
 * not, with every STEPth failure, and have it in the end. Prints how many there
 * were to fail.
 */
#include "bare.h"

#define MOST	20000	/* allocations of a probe */

static int fail_fd;

/* Nothing else of this program asks the kernel for anything in between */
static void arm(unsigned int n)
{
	char text[16];
	int length = snprintf(text, sizeof(text), "%u", n);

	must(pwrite(fail_fd, text, (size_t)length, 0) == length);
}

/* Return: whether it came to that, or less was needed */
static bool disarm(void)
{
	char text[16] = "";
	int left;

	/* what fails now fails here, and not in the probe */
	while (pread(fail_fd, text, sizeof(text) - 1, 0) < 0)
		must(errno == EFAULT || errno == ENOMEM);
	left = atoi(text);
	while (pwrite(fail_fd, "0", 1, 0) != 1)
		must(errno == EFAULT || errno == ENOMEM);
	return !left;
}

static int file_of(const char *driver, const char *name)
{
	char path[256];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", driver, name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	must(fd >= 0);
	return fd;
}

int main(int argc, char **argv)
{
	int bind_fd, unbind_fd;
	unsigned int n, step;
	ssize_t length, got;
	bool failed = true;

	if (argc != 4)
		die("usage: failprobe DRIVER ADDRESS STEP");
	fail_fd = open("/proc/thread-self/fail-nth", O_RDWR | O_CLOEXEC);
	must(fail_fd >= 0);
	must(!mlockall(MCL_CURRENT | MCL_FUTURE));
	bind_fd = file_of(argv[1], "bind");
	unbind_fd = file_of(argv[1], "unbind");
	length = (ssize_t)strlen(argv[2]);
	step = (unsigned int)strtoul(argv[3], NULL, 10);
	for (n = 1; failed && n < MOST; n += step) {
		arm(n);
		got = pwrite(bind_fd, argv[2], (size_t)length, 0);
		failed = disarm();
		must(got == length || failed);
		/* it did without what it was refused: that was not the last */
		if (got == length && failed)
			must(pwrite(unbind_fd, argv[2], (size_t)length, 0) == length);
	}
	must(!failed);
	printf("done %u\n", n - step);
	return 0;
}
