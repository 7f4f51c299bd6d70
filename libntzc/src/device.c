// SPDX-License-Identifier: GPL-2.0-or-later
/* The device: an open file that is attached to no card and asks about all of them. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "internal.h"

struct ntzc_device {
	int fd;
};

int ntzc_device_create(const char *path, struct ntzc_device **device)
{
	struct ntzc_device *d = malloc(sizeof(*d));
	__u64 features;

	if (!d)
		return -ENOMEM;
	d->fd = ntzc_open(path, &features);
	if (d->fd < 0) {
		int err = d->fd;

		free(d);
		return err;
	}
	*device = d;
	return 0;
}

void ntzc_device_destroy(struct ntzc_device *device)
{
	if (!device)
		return;
	close(device->fd);
	free(device);
}

int ntzc_device_query(struct ntzc_device *device, struct ntzc_query *query)
{
	struct ntzc_query q;

	if (ioctl(device->fd, NTZC_IOC_QUERY, &q) < 0)
		return -errno;
	*query = q;
	return 0;
}

int ntzc_port_next(struct ntzc_device *device, __u32 *cursor, struct ntzc_port_info *info)
{
	struct ntzc_port_info next;

	memset(&next, 0, sizeof(next));
	next.id = *cursor;
	if (ioctl(device->fd, NTZC_IOC_PORT_INFO, &next) < 0)
		return errno == ENOENT ? 0 : -errno;
	*cursor = next.id + 1;
	*info = next;
	return 1;
}

int ntzc_port_find(struct ntzc_device *device, const char *name, struct ntzc_port_info *info)
{
	struct ntzc_port_info next;
	__u32 cursor = 0;
	int ret;

	if (!*name) /* the name of every interface in another network namespace */
		return -EINVAL;
	while ((ret = ntzc_port_next(device, &cursor, &next)) > 0) {
		if (!strncmp(next.name, name, sizeof(next.name)) ||
		    !strncmp(next.bus, name, sizeof(next.bus))) {
			*info = next;
			return 0;
		}
	}
	return ret < 0 ? ret : -ENODEV;
}

int ntzc_port_stats(struct ntzc_device *device, __u32 id, struct ntzc_port_stats *stats)
{
	struct ntzc_port_stats s;

	memset(&s, 0, sizeof(s));
	s.id = id;
	if (ioctl(device->fd, NTZC_IOC_PORT_STATS, &s) < 0)
		return -errno;
	*stats = s;
	return 0;
}

int ntzc_port_config(struct ntzc_device *device, const struct ntzc_port_config *config)
{
	return ioctl(device->fd, NTZC_IOC_PORT_CONFIG, config) < 0 ? -errno : 0;
}

int ntzc_port_policy(struct ntzc_device *device, struct ntzc_port_policy *policy)
{
	struct ntzc_port_policy p = *policy;

	if (ioctl(device->fd, NTZC_IOC_PORT_POLICY, &p) < 0)
		return -errno;
	*policy = p;
	return 0;
}

int ntzc_tap_next(struct ntzc_device *device, __u32 port_id, __u32 *cursor,
		  struct ntzc_tap_info *info)
{
	struct ntzc_tap_info next;

	memset(&next, 0, sizeof(next));
	next.port_id = port_id;
	next.tap_id = *cursor;
	if (ioctl(device->fd, NTZC_IOC_TAP_INFO, &next) < 0)
		return errno == ENOENT ? 0 : -errno;
	*cursor = next.tap_id + 1;
	*info = next;
	return 1;
}
