# SPDX-License-Identifier: GPL-2.0-or-later
# The guest's first program, as BusyBox runs it: file systems, modules, a name and the loop
# interface. The machine's own boot script, which has sourced this, goes on from here.
#
# It stands in for virtme-ng's, which has systemd-tmpfiles and udev do what nobody here needs:
# that is half of a stock kernel's boot under emulation and three quarters of a debug kernel's,
# and udev, should it live on, renames the interfaces of cards that come later. So nothing is
# loaded or named unless somebody asks; the kernel itself makes the device nodes.
#
# What virtme-ng says on the kernel's command line arrives as variables: virtme_link_mods is
# where the kernel's modules lie.

export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root

# by its path: BusyBox finds itself in /proc
/bin/busybox mount -t proc -o nosuid,nodev,noexec proc /proc
mount -t sysfs -o nosuid,nodev,noexec sys /sys
mount -t debugfs debug /sys/kernel/debug
mount -t cgroup2 cgroup /sys/fs/cgroup
mount -t tmpfs -o mode=755 run /run
grep -q ' /dev devtmpfs ' /proc/mounts || mount -t devtmpfs dev /dev
mkdir -p /dev/pts /dev/shm
mount -t devpts pts /dev/pts
mount -t tmpfs -o nosuid,nodev shm /dev/shm
ln -s /proc/self/fd /dev/fd
ln -s /proc/self/fd/0 /dev/stdin
ln -s /proc/self/fd/1 /dev/stdout
ln -s /proc/self/fd/2 /dev/stderr

# The root is the host's, read-only: what is written there goes to memory.
for dir in etc home opt srv tmp usr var; do
	over=/run/overlay/$dir
	mkdir -p $over/upper $over/work
	mount -t overlay -o lowerdir=/$dir,upperdir=$over/upper,workdir=$over/work $dir /$dir
done

mkdir -p /lib/modules
mount -t tmpfs modules /lib/modules
ln -s "$virtme_link_mods" /lib/modules/"$(uname -r)"

hostname ntzc
ip link set lo up
