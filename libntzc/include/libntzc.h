/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * libntzc: packets of a network card, read and written where the card put them.
 *
 * Objects. A *device* is an open /dev/ntzc that asks about cards; a *tap* is
 * one that is attached to a card and gets its frames. The verbs come in pairs:
 * create/destroy for objects, peek/release for frames that came in,
 * reserve/submit for frames that go out.
 *
 *	struct ntzc_tap_options opts = { .size = sizeof(opts), .interface = "eth1" };
 *	const struct ntzc_desc *descs;
 *	struct ntzc_tap *tap;
 *	int i, n;
 *
 *	if (ntzc_tap_create(&opts, &tap) < 0)
 *		...
 *	while ((n = ntzc_tap_view(tap, &descs, 64, -1)) > 0) {
 *		for (i = 0; i < n; i++)
 *			look_at(ntzc_tap_data(tap, &descs[i]), descs[i].len);
 *		ntzc_tap_done(tap, descs, n);
 *	}
 *	ntzc_tap_destroy(tap);
 *
 * Doors. The kernel can be asked frame by frame through calls, or share rings
 * with the program, so that neither side calls the other while both are awake.
 * The library uses rings where the kernel has them; all functions work through
 * either door and mean the same. What differs is how mistakes are told: see
 * ntzc_tap_release_descs() and ntzc_tap_submit().
 *
 * Errors. A function that can fail returns a negative errno and leaves its
 * output alone; nothing is printed, nobody's process is ended, and errno itself
 * means nothing afterwards. The codes are those of ntzc.h and, besides:
 *	-ENOENT            there is no /dev/ntzc: the module is not loaded
 *	-EACCES            the device node does not let this user in
 *	-EPROTONOSUPPORT   the kernel's module speaks another version of the ABI
 *	-EINTR             a signal handler ran while the call waited, and nothing
 *	                   was done; call again to go on
 *	-ETIMEDOUT         ntzc_tap_drain() ran out of time
 *	-E2BIG             options from a newer header, set to what this library lacks
 *	-EOPNOTSUPP        NTZC_DOOR_RINGS, and the kernel's module has no rings
 *	-ENOMEM            no memory
 * ntzc_strerror() says in a sentence what each means and what to do about it.
 *
 * Time. timeout_ms is that of poll(2): 0 does not wait, a negative value waits
 * for as long as it takes. A call that can do part of the work at once does
 * that part and does not wait.
 *
 * Threads. Different objects are independent. On one tap, any number of threads
 * may call anything at the same time, each with arrays of its own, but for
 * create, ntzc_tap_tx_setup(), ntzc_tap_detach() and destroy, during which and
 * (destroy) after which no other call may run. A frame goes to one of the
 * threads that peek or view; frames may be released, and views be done, by any
 * thread, in any order. Inside, each queue's rings have a lock, and so has
 * transmit: one lock and unlock a call, not a frame, and without contention if
 * threads read queues of their own (a tap each, see @queues).
 *
 * Ownership. A frame that was peeked is held until it is released or forwarded;
 * the memory that ntzc_tap_data() names is then the card's again and must not
 * be read. A buffer that was reserved is the caller's to fill until it is
 * submitted or released. Destroying a tap gives back all that it held and
 * unmaps the memory. Receive memory is mapped read-only: a write to it faults.
 *
 * fork. A tap belongs to the process that created it. Both processes see the
 * same open file and the same memory after fork(), so the child must leave the
 * tap alone but for ntzc_tap_detach() and ntzc_tap_destroy(), which there touch
 * nothing of the parent's. Until the child does so, or calls exec or exits, the
 * file stays open: what the parent held goes back only when both have let go.
 * Files are opened close-on-exec. In a process that forks while another of its
 * threads uses the tap, the child must leave it alone altogether.
 */
#ifndef LIBNTZC_H
#define LIBNTZC_H

#include "ntzc.h"

#ifdef __cplusplus
extern "C" {
#endif

/** LIBNTZC_VERSION - of this header; ntzc_version() tells the library's */
#define LIBNTZC_VERSION "0.1.0"

struct ntzc_device;
struct ntzc_tap;

/**
 * ntzc_version() - the library's version
 *
 * Return: a static string such as "0.1.0".
 */
const char *ntzc_version(void);

/**
 * ntzc_strerror() - what an error of this library means, and what helps
 * @error: as returned: a negative errno (a positive one is taken as well)
 *
 * Return: a static sentence without a full stop.
 */
const char *ntzc_strerror(int error);

/* --- the device: which cards there are --- */

/**
 * ntzc_device_create() - open the device to ask about cards
 * @path: of the device node; NULL for NTZC_DEVICE
 * @device: out: the device
 *
 * Return: 0; -ENOENT, -EACCES, -EPERM, -EPROTONOSUPPORT, -ENOMEM.
 */
int ntzc_device_create(const char *path, struct ntzc_device **device);

/**
 * ntzc_device_destroy() - close it
 * @device: may be NULL
 */
void ntzc_device_destroy(struct ntzc_device *device);

/**
 * ntzc_device_query() - version and features of the kernel's module
 * @device: the device
 * @query: out: see ntzc.h
 *
 * Return: 0 or a negative errno.
 */
int ntzc_device_query(struct ntzc_device *device, struct ntzc_query *query);

/**
 * ntzc_port_next() - go through all cards
 * @device: the device
 * @cursor: in and out: 0 to begin with, then as it was left
 * @info: out: the next card
 *
 * Return: 1 with a card, 0 at the end, or a negative errno.
 */
int ntzc_port_next(struct ntzc_device *device, __u32 *cursor, struct ntzc_port_info *info);

/**
 * ntzc_port_find() - one card by name
 * @device: the device
 * @name: its interface, or its bus address
 * @info: out: the card
 *
 * Return: 0, -ENODEV if there is none, or another negative errno.
 */
int ntzc_port_find(struct ntzc_device *device, const char *name, struct ntzc_port_info *info);

/**
 * ntzc_port_stats() - a card's counters, and where its buffers are
 * @device: the device
 * @id: of the port, from struct ntzc_port_info
 * @stats: out: see ntzc.h
 *
 * Return: 0, -ENODEV if there is no such port, or another negative errno.
 */
int ntzc_port_stats(struct ntzc_device *device, __u32 id, struct ntzc_port_stats *stats);

/**
 * ntzc_port_config() - size a card's receive pool
 * @device: the device
 * @config: see ntzc.h; needs CAP_NET_ADMIN
 *
 * Return: 0; -EBUSY, -EINVAL, -EPERM, -ENODEV, -ENOMEM.
 */
int ntzc_port_config(struct ntzc_device *device, const struct ntzc_port_config *config);

/**
 * ntzc_port_policy() - read or set what a card's users may do
 * @device: the device
 * @policy: in and out, see ntzc.h: id, and set with the fields that it names; 0
 *	in set only reads. Setting needs CAP_NET_ADMIN. Fields in use are
 *	filled in on success.
 *
 * Return: 0; -EINVAL, -EPERM, -ENODEV, -ENOMEM.
 */
int ntzc_port_policy(struct ntzc_device *device, struct ntzc_port_policy *policy);

/**
 * ntzc_tap_next() - go through all taps of a card: who holds what
 * @device: the device; needs CAP_NET_ADMIN
 * @port_id: of the port, from struct ntzc_port_info
 * @cursor: in and out: 0 to begin with, then as it was left
 * @info: out: the next tap
 *
 * Return: 1 with a tap, 0 at the end; -ENODEV, -EPERM.
 */
int ntzc_tap_next(struct ntzc_device *device, __u32 port_id, __u32 *cursor,
		  struct ntzc_tap_info *info);

/* --- the tap: a card's frames --- */

/* ntzc_tap_options.door, and ntzc_tap_door() */
#define NTZC_DOOR_AUTO		0	/* rings where the kernel has them */
#define NTZC_DOOR_CALLS		1	/* read, write and the transmit commands */
#define NTZC_DOOR_RINGS		2	/* rings, or -EOPNOTSUPP */

/**
 * struct ntzc_tap_options - which frames, and how many may wait
 * @size: sizeof(struct ntzc_tap_options)
 * @flags: NTZC_ATTACH_*
 * @device: path of the device node; NULL for NTZC_DEVICE
 * @interface: name of the interface; NULL to go by @ifindex
 * @ifindex: index of the interface, if @interface is NULL
 * @ring_size: frames that may wait to be read, per queue; 0 for the default
 * @quota: frames that the tap may hold, waiting ones included, per queue; 0
 *	for the default
 * @reserved: zero
 * @queues: mask of the queues; 0 for all
 * @filter: which frames the tap wants, in force before the first one comes in;
 *	NULL for all; see ntzc_tap_set_filter()
 * @fanout: number of the fan-out group to join, or 0, see struct ntzc_attach
 * @clock: of ntzc_desc.timestamp: NTZC_CLOCK_*
 * @busy_poll_us: microseconds to poll the card, on the caller's processor,
 *	before a call that waits for frames sleeps; 0 not to
 * @door: NTZC_DOOR_*
 *
 * A structure of zeros but for @size and @interface is a good start. Later
 * versions append fields, for which zero means what was done before they
 * existed; @size says which of them the caller knows.
 */
struct ntzc_tap_options {
	__u32 size;
	__u32 flags;
	const char *device;
	const char *interface;
	__u32 ifindex;
	__u32 ring_size;
	__u32 quota;
	__u32 reserved;
	__u64 queues;
	const struct ntzc_filter *filter;
	__u32 fanout;
	__u32 clock;
	__u32 busy_poll_us;
	__u32 door;
};

/**
 * ntzc_tap_create() - attach to a card and map its receive memory
 * @options: which card and how
 * @tap: out: the tap
 *
 * Return: 0; -ENODEV if no NTZC card has that interface, -EBUSY if it has too
 * many taps, -EINVAL (also for a fan-out group with another card or other
 * queues, and a filter that the kernel refuses), -EBADF for an eBPF filter's
 * file, -ENOENT, -EACCES, -EPERM, -EPROTONOSUPPORT, -EOPNOTSUPP, -E2BIG, -ENOMEM.
 */
int ntzc_tap_create(const struct ntzc_tap_options *options, struct ntzc_tap **tap);

/**
 * ntzc_tap_detach() - give everything back now, and leave the memory safe to read
 * @tap: the tap
 * @keep: frames and buffers whose bytes shall stay; may be NULL if @n is 0
 * @n: how many
 *
 * The file is closed, so the kernel takes back all that the tap held, and the
 * mapping is replaced, at the same addresses, by private memory: the bytes that
 * @keep names are copied into it, all else reads as zero. Through rings,
 * descriptors of views read as zeros. Pointers into the mapping and to such
 * descriptors stay valid until ntzc_tap_destroy(). Of the other calls those that
 * set up something or tell of the tap fail with -EBADF from now on, or tell what
 * was; no more are allowed. In a forked child it lets go of the parent's tap and
 * spoils nothing of it.
 *
 * Return: 0; -EINVAL if @keep lies outside the mapping, -ENOMEM: call it again,
 * as some of the memory may be replaced already.
 */
int ntzc_tap_detach(struct ntzc_tap *tap, const struct ntzc_desc *keep, unsigned int n);

/**
 * ntzc_tap_destroy() - give back all that the tap holds, and unmap
 * @tap: may be NULL
 *
 * Frames that were submitted and that the card had no room for yet are not sent:
 * ntzc_tap_drain() first.
 */
void ntzc_tap_destroy(struct ntzc_tap *tap);

/**
 * ntzc_tap_fd() - the file, for poll(2) and its like
 * @tap: the tap
 *
 * Readable when frames wait, and as long as a view is out; an error or hang-up
 * when the card is gone. The file is O_NONBLOCK and stays the tap's.
 *
 * Return: a file descriptor.
 */
int ntzc_tap_fd(const struct ntzc_tap *tap);

/**
 * ntzc_tap_info() - what the tap is attached to, and the sizes in use
 * @tap: the tap
 *
 * Return: the kernel's answer to ATTACH, valid as long as the tap.
 */
const struct ntzc_attach *ntzc_tap_info(const struct ntzc_tap *tap);

/**
 * ntzc_tap_door() - how the tap speaks to the kernel
 * @tap: the tap
 *
 * Return: NTZC_DOOR_CALLS or NTZC_DOOR_RINGS.
 */
unsigned int ntzc_tap_door(const struct ntzc_tap *tap);

/**
 * ntzc_tap_set_filter() - change which frames the tap gets from now on
 * @tap: the tap
 * @filter: NULL for every frame; else as in ntzc.h. A program that libpcap
 *	compiled for DLT_EN10MB (with pcap_open_dead() and pcap_compile()) is
 *
 *	struct ntzc_filter f = { .kind = NTZC_FILTER_CLASSIC, .len = program.bf_len,
 *				 .insns = (uintptr_t)program.bf_insns };
 *
 * The change is at once and loses nothing; frames that wait already stay.
 *
 * Return: 0; -EINVAL if the kernel refuses the program and -EBADF for a bad file
 * (the old filter stays), -EPERM, -ENOMEM, -ENODEV.
 */
int ntzc_tap_set_filter(struct ntzc_tap *tap, const struct ntzc_filter *filter);

/**
 * ntzc_tap_stats() - what the tap got, lost and holds
 * @tap: the tap
 * @stats: out: see ntzc.h
 *
 * Frames that were given back through rings before the call are counted as
 * given back; for others that look (ntzc_tap_next()), that may come a little later.
 *
 * Return: 0 or a negative errno.
 */
int ntzc_tap_stats(struct ntzc_tap *tap, struct ntzc_tap_stats *stats);

/**
 * ntzc_tap_peek() - take descriptors of frames that wait
 * @tap: the tap
 * @descs: out: an array
 * @n: its length; 64 makes the call cheap per frame
 * @timeout_ms: how long to wait for the first frame, see above
 *
 * The descriptors are copied; each frame is held until it is released or
 * forwarded, apart from the others and for as long as one likes. Through rings
 * no call of the kernel is made if frames wait already; else one read(2).
 *
 * Return: how many frames, 0 when the time ran out; -EINTR, -ENODEV.
 */
int ntzc_tap_peek(struct ntzc_tap *tap, struct ntzc_desc *descs, unsigned int n,
		  int timeout_ms);

/**
 * ntzc_tap_view() - take frames that wait, and leave their descriptors in place
 * @tap: the tap
 * @descs: out: the first descriptor of a run, all of one queue
 * @n: the longest run wanted; 64 makes the call cheap per frame
 * @timeout_ms: how long to wait for the first frame, see above
 *
 * As ntzc_tap_peek(), without the copy: the quickest way to receive. Each
 * descriptor keeps a place in the tap's ring until ntzc_tap_done() or
 * ntzc_tap_take(), and while places are kept that many fewer frames can wait: be
 * done soon. The descriptors must not be written to. Several views may be out at
 * a time, and their descriptors be done in any order and in parts of any size;
 * places become free in the order in which they were viewed.
 *
 * The run ends where the ring does, so that @n frames may take two calls. To
 * wait while views are out (also of other threads) is to look once a
 * millisecond: the kernel can't tell frames in a view from frames that wait.
 *
 * Return: how many frames, 0 when the time ran out; -EINTR, -ENODEV; -ENOBUFS,
 * through calls, when all places are in views.
 */
int ntzc_tap_view(struct ntzc_tap *tap, const struct ntzc_desc **descs, unsigned int n,
		  int timeout_ms);

/**
 * ntzc_tap_done() - release frames of a view, and free the places
 * @tap: the tap
 * @descs: points into a view, and is not valid after the call
 * @n: how many, none of them done before
 *
 * Return: @n; -EINVAL, with nothing done, if that is no part of a view. If a
 * frame was forwarded or released already, its place is free all the same: use
 * ntzc_tap_take() for it.
 */
int ntzc_tap_done(struct ntzc_tap *tap, const struct ntzc_desc *descs, unsigned int n);

/**
 * ntzc_tap_take() - free the places of a view, and do not release the frames
 * @tap: the tap
 * @descs: as for ntzc_tap_done()
 * @n: how many
 *
 * For frames that were forwarded, or that are to be held for long: copy their
 * descriptors first, and release those later.
 *
 * Return: as ntzc_tap_done().
 */
int ntzc_tap_take(struct ntzc_tap *tap, const struct ntzc_desc *descs, unsigned int n);

/**
 * ntzc_tap_release() - give back frames, or reserved buffers that won't be sent
 * @tap: the tap
 * @handles: of the frames, in any order
 * @n: how many
 *
 * One write(2), through either door: a handle does not say whose ring it belongs
 * to, and this way a mistake is told. Never waits. ntzc_tap_release_descs() and
 * ntzc_tap_done() are cheaper.
 *
 * Return: how many went back, from the first on: @n, unless a handle is not
 * held; -ESTALE if that is the first one.
 */
int ntzc_tap_release(struct ntzc_tap *tap, const __u32 *handles, unsigned int n);

/**
 * ntzc_tap_release_descs() - as ntzc_tap_release(), for descriptors
 * @tap: the tap
 * @descs: as they were peeked, or reserved; not of a view that is out
 * @n: how many
 *
 * Through rings, received frames go into the release ring of their queue, and a
 * frame that the tap does not hold is not told: the kernel ignores it and counts
 * it (bad_release of ntzc_tap_stats).
 *
 * Return: as ntzc_tap_release().
 */
int ntzc_tap_release_descs(struct ntzc_tap *tap, const struct ntzc_desc *descs, unsigned int n);

/* --- transmit --- */

/**
 * ntzc_tap_tx_setup() - get transmit memory of one's own, and map it
 * @tap: the tap; once
 * @n_bufs: buffers; 0 for the default
 * @buf_size: bytes in each: 2048, 4096, 8192 or 16384; 0 for the smallest that
 *	takes a frame of the present MTU
 *
 * A tap that only forwards needs none, but has a transmit ring only with it: on
 * a tap that uses rings, all that is sent from now on goes through that.
 *
 * Return: 0; -EBUSY if it was done before, -EINVAL, -ENODEV, -ENOMEM.
 */
int ntzc_tap_tx_setup(struct ntzc_tap *tap, unsigned int n_bufs, unsigned int buf_size);

/**
 * ntzc_tap_tx_info() - the transmit memory in use
 * @tap: the tap
 *
 * Return: the kernel's answer to TX_SETUP, all zero before.
 */
const struct ntzc_tx_setup *ntzc_tap_tx_info(const struct ntzc_tap *tap);

/**
 * ntzc_tap_reserve() - get transmit buffers to fill
 * @tap: the tap
 * @descs: out: an array; handle, offset and len (the room) are set, all else 0
 * @n: its length
 * @timeout_ms: how long to wait for the first buffer
 *
 * Return: how many, at least one; -ENOBUFS when the time ran out, -EINTR,
 * -EINVAL without transmit memory, -ENODEV, -ENETDOWN.
 */
int ntzc_tap_reserve(struct ntzc_tap *tap, struct ntzc_desc *descs, unsigned int n,
		     int timeout_ms);

/**
 * ntzc_tap_tx_view() - get transmit buffers, with their places in the transmit ring
 * @tap: the tap, with transmit rings
 * @descs: out: the first of a run of descriptors; handle, offset and len (the
 *	room) are set, all else 0
 * @n: the longest run wanted; 64 makes the call cheap per frame
 * @timeout_ms: how long to wait for the first buffer
 *
 * As ntzc_tap_reserve(), without a copy here and in ntzc_tap_submit(): the quickest
 * way to send through the tap's own card. Fill the buffers, set len, and flags and
 * vlan_tci if the card is to insert a tag; then ntzc_tap_tx_done(). One view is out
 * at a time, and nothing else is reserved, submitted or forwarded meanwhile: such
 * calls fail with -EBUSY. The run ends where a ring does, as in ntzc_tap_view().
 *
 * Return: how many, at least one; -ENOBUFS or -ENOSPC when the time ran out,
 * -EBUSY, -EINTR, -ENODEV, -ENETDOWN; -EINVAL without transmit rings, that is on a
 * tap that uses calls, and before ntzc_tap_tx_setup().
 */
int ntzc_tap_tx_view(struct ntzc_tap *tap, struct ntzc_desc **descs, unsigned int n,
		     int timeout_ms);

/**
 * ntzc_tap_tx_done() - send the first frames of the view, and end it
 * @tap: the tap
 * @n: how many; buffers of the others are in the next view
 *
 * The descriptors are the kernel's afterwards. It ignores one whose handle or offset
 * was changed to what makes no sense, and counts it (bad_submit of ntzc_tap_stats).
 * What cannot be sent because the interface is down is told by the next call.
 *
 * Return: @n; -EINVAL, with nothing sent and the view still out, for more than
 * there are, a length that no frame has, or a queue that is not 0.
 */
int ntzc_tap_tx_done(struct ntzc_tap *tap, unsigned int n);

/**
 * ntzc_tap_add_target() - let the tap send through another card, too
 * @tap: the tap
 * @interface: of the other card; NULL to go by @ifindex
 * @ifindex: index of the interface, if @interface is NULL
 * @target: out: its number, for ntzc_tap_forward() and ntzc_desc.queue
 *
 * Lasts until the tap is destroyed. The tap's own card is target 0.
 *
 * Return: 0; -EINVAL for the tap's own card, -EBUSY if that card is a target
 * already or there are too many, -ENODEV if no NTZC card has that interface,
 * -ENOMEM.
 */
int ntzc_tap_add_target(struct ntzc_tap *tap, const char *interface, unsigned int ifindex,
			unsigned int *target);

/**
 * ntzc_tap_submit() - send filled buffers, or forward frames that came in
 * @tap: the tap
 * @descs: what to send, in order: as from ntzc_tap_reserve() with len set to
 *	the frame's length, and queue to the target's number if it is not for
 *	the tap's own card; or a frame as it was peeked or viewed, which is
 *	sent by reference through the tap's own card and given back. What must
 *	be zero to send is taken as zero.
 * @n: how many
 * @timeout_ms: how long to wait for room in the card's ring, in all
 *
 * The place that a view keeps is not given back: see ntzc_tap_take().
 *
 * Through rings, frames for the tap's own card are taken without a call as long
 * as it is busy with earlier ones. A malformed length, an offset outside the
 * buffer and a buffer that is not reserved are told all the same. What only the
 * kernel can know then is not: it ignores a received frame that the tap does not
 * hold or whose offset or length was changed, and counts it (bad_submit of
 * ntzc_tap_stats). If the interface goes down meanwhile, frames that were taken
 * wait in the ring until it is up and the tap submits or drains again; until
 * then those calls fail with -ENETDOWN.
 *
 * Return: how many were taken, from the first on; if none, -ENOSPC when the
 * time ran out, -EINTR, -EINVAL, -ESTALE, -ENETDOWN, -ENODEV.
 */
int ntzc_tap_submit(struct ntzc_tap *tap, const struct ntzc_desc *descs, unsigned int n,
		    int timeout_ms);

/**
 * ntzc_tap_forward() - as ntzc_tap_submit(), all to one target
 * @tap: the tap
 * @descs: frames as they were peeked or viewed; also filled buffers
 * @n: how many
 * @target: as ntzc_tap_add_target() numbered it; 0 for the tap's own card
 * @timeout_ms: how long to wait for room in that card's ring, in all
 *
 * Others that hold the frame go on reading it. A stripped VLAN tag is put back.
 *
 * Return: as ntzc_tap_submit().
 */
int ntzc_tap_forward(struct ntzc_tap *tap, const struct ntzc_desc *descs, unsigned int n,
		     unsigned int target, int timeout_ms);

/**
 * ntzc_tap_copy() - copy a received frame into a transmit buffer, to be changed
 * @tap: the tap, with transmit memory
 * @from: the frame, as peeked or viewed; stays held
 * @to: out: a reserved buffer with the frame's bytes, length and VLAN tag, ready
 *	to be changed (ntzc_tap_tx_data()) and submitted
 * @timeout_ms: how long to wait for a free buffer
 *
 * Return: 0; -EINVAL if the frame does not fit or without transmit memory,
 * -ENOBUFS when the time ran out, -EINTR, -ENODEV, -ENETDOWN.
 */
int ntzc_tap_copy(struct ntzc_tap *tap, const struct ntzc_desc *from, struct ntzc_desc *to,
		  int timeout_ms);

/**
 * ntzc_tap_drain() - wait until the card has dealt with all buffers that were submitted
 * @tap: the tap
 * @timeout_ms: how long
 *
 * Frames that it forwarded are not waited for: they are not the tap's memory.
 *
 * Return: 0; -ETIMEDOUT, -EINTR, -ENODEV; -ENETDOWN, through rings, if frames
 * wait for an interface that is down.
 */
int ntzc_tap_drain(struct ntzc_tap *tap, int timeout_ms);

/* --- the fast path: arithmetic only --- */

/*
 * The head of struct ntzc_tap, part of the library's binary interface so that
 * the functions below can be inline. Not for programs.
 */
struct ntzc_tap_memory {
	const unsigned char *rx;
	unsigned char *tx;
};

/**
 * ntzc_tap_data() - a received frame's first byte
 * @tap: the tap
 * @desc: as peeked
 *
 * Return: the address of desc->len bytes, until the frame is released or done.
 */
static inline const void *ntzc_tap_data(const struct ntzc_tap *tap, const struct ntzc_desc *desc)
{
	return ((const struct ntzc_tap_memory *)(const void *)tap)->rx + desc->offset;
}

/**
 * ntzc_tap_tx_data() - where a reserved buffer's frame goes
 * @tap: the tap
 * @desc: as reserved
 *
 * Return: the address of desc->len bytes of room, until the buffer is submitted.
 */
static inline void *ntzc_tap_tx_data(const struct ntzc_tap *tap, const struct ntzc_desc *desc)
{
	return ((const struct ntzc_tap_memory *)(const void *)tap)->tx + desc->offset;
}

#ifdef __cplusplus
}
#endif

#endif /* LIBNTZC_H */
