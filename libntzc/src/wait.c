// SPDX-License-Identifier: GPL-2.0-or-later
/* Opening the device and waiting for it: what devices and taps have in common. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "internal.h"

int ntzc_open(const char *path, __u64 *features)
{
	struct ntzc_query query;
	int fd, err;

	fd = open(path ? path : NTZC_DEVICE, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0) /* a node that outlived its module says ENXIO or ENODEV */
		return errno == ENXIO || errno == ENODEV ? -ENOENT : -errno;
	if (ioctl(fd, NTZC_IOC_QUERY, &query) < 0) {
		err = errno == ENOTTY ? -EPROTONOSUPPORT : -errno;
		goto close_fd;
	}
	if (query.abi_version != NTZC_ABI_VERSION || query.desc_size < sizeof(struct ntzc_desc)) {
		err = -EPROTONOSUPPORT;
		goto close_fd;
	}
	*features = query.features;
	return fd;

close_fd:
	close(fd);
	return err;
}

int ntzc_kick(struct ntzc_tap *tap)
{
	return ioctl(tap->fd, NTZC_IOC_KICK) < 0 ? -errno : 0;
}

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int ntzc_time_left(struct ntzc_deadline *d)
{
	int64_t left;

	if (d->timeout_ms <= 0)
		return d->timeout_ms;
	if (!d->started) {
		d->started = 1;
		d->end_ms = now_ms() + d->timeout_ms;
		return d->timeout_ms;
	}
	left = d->end_ms - now_ms();
	return left < 0 ? 0 : (int)left;
}

int ntzc_poll(int fd, short events, int timeout_ms)
{
	struct pollfd pfd = { .fd = fd, .events = events };

	return poll(&pfd, 1, timeout_ms) < 0 ? -errno : pfd.revents;
}

int ntzc_wait(int fd, short events, struct ntzc_deadline *deadline)
{
	int left = ntzc_time_left(deadline), ready;

	if (!left)
		return 0;
	ready = ntzc_poll(fd, events, left);
	return ready < 0 ? ready : !!ready;
}

int ntzc_wait_slice(int fd, short events, struct ntzc_deadline *deadline)
{
	int ready;

	if (!ntzc_time_left(deadline))
		return 0;
	ready = ntzc_poll(fd, events, NTZC_SLICE_MS);
	return ready < 0 ? ready : 1;
}
