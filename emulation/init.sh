#!/bin/busybox sh
# SPDX-License-Identifier: GPL-2.0-or-later
# The guest's first program: file systems, modules, a name and the loop interface; then the
# machine's own boot script, which is its argument.
#
# It stands in for virtme-ng's, which has systemd-tmpfiles and udev do what nobody here needs:
# that is half of a stock kernel's boot under emulation and three quarters of a debug kernel's,
# and udev, should it live on, renames the interfaces of cards that come later. So nothing is
# loaded or named unless somebody asks; the kernel itself makes the device nodes.
#
# What virtme-ng says on the kernel's command line arrives as variables: virtme_link_mods is
# where the kernel's modules lie.

set -e  # the kernel panics if its first program ends, and the host is told at once
export PATH=/usr/sbin:/usr/bin:/sbin:/bin

# By its path: BusyBox finds itself in /proc.
/bin/busybox mount -t proc proc /proc
mount -t tmpfs root /mnt
cd /mnt
mkdir host over work root

# The root that virtme-ng has mounted asks the host for each part of each path, again and again:
# that is nearly all of what it takes to start a program. This one asks once, so what the host
# changes later may not be seen. What is written goes to memory.
mount -t 9p -o ro,trans=virtio,version=9p2000.L,access=any,msize=512000,cache=loose ntzc.host \
	host
mount -t overlay -o lowerdir=host,upperdir=over,workdir=work root root
cd root

mount -t tmpfs -o mode=755 run run
mount -t proc -o nosuid,nodev,noexec proc proc
mount -t sysfs -o nosuid,nodev,noexec sys sys
mount -t debugfs debug sys/kernel/debug
mount -t cgroup2 cgroup sys/fs/cgroup
mount -t devtmpfs dev dev
mkdir -p dev/pts dev/shm usr/lib/modules
mount -t devpts pts dev/pts
mount -t tmpfs -o nosuid,nodev shm dev/shm
ln -s /proc/self/fd dev/fd
ln -s /proc/self/fd/0 dev/stdin
ln -s /proc/self/fd/1 dev/stdout
ln -s /proc/self/fd/2 dev/stderr
mount -t tmpfs modules usr/lib/modules
ln -s "$virtme_link_mods" usr/lib/modules/"$(uname -r)"

hostname ntzc
ip link set lo up

mount --move . /
exec chroot . /bin/busybox sh "$1"
