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
 *	struct ntzc_desc descs[64];
 *	struct ntzc_tap *tap;
 *	int i, n;
 *
 *	if (ntzc_tap_create(&opts, &tap) < 0)
 *		...
 *	while ((n = ntzc_tap_peek(tap, descs, 64, -1)) > 0) {
 *		for (i = 0; i < n; i++)
 *			look_at(ntzc_tap_data(tap, &descs[i]), descs[i].len);
 *		ntzc_tap_release_descs(tap, descs, n);
 *	}
 *	ntzc_tap_destroy(tap);
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
 * threads that peek; frames may be released by any thread, in any order.
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
 * Files are opened close-on-exec.
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

/* --- the tap: a card's frames --- */

/**
 * struct ntzc_tap_options - which frames, and how many may wait
 * @size: sizeof(struct ntzc_tap_options); 0 means the fields below and no more
 * @flags: NTZC_ATTACH_*
 * @device: path of the device node; NULL for NTZC_DEVICE
 * @interface: name of the interface; NULL to go by @ifindex
 * @ifindex: index of the interface, if @interface is NULL
 * @ring_size: frames that may wait to be read, per queue; 0 for the default
 * @quota: frames that the tap may hold, waiting ones included, per queue; 0
 *	for the default
 * @reserved: zero
 * @queues: mask of the queues; 0 for all
 *
 * A structure of zeros but for @interface is a good start. Later versions
 * append fields, for which zero means what was done before they existed.
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
};

/**
 * ntzc_tap_create() - attach to a card and map its receive memory
 * @options: which card and how
 * @tap: out: the tap
 *
 * Return: 0; -ENODEV if no NTZC card has that interface, -EBUSY if it has too
 * many taps, -EINVAL, -ENOENT, -EACCES, -EPERM, -EPROTONOSUPPORT, -E2BIG, -ENOMEM.
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
 * @keep names are copied into it, all else reads as zero. Pointers into the
 * mapping stay valid until ntzc_tap_destroy(), the only other call that is
 * allowed from now on. In a forked child it lets go of the parent's tap.
 *
 * Return: 0; -EINVAL if @keep lies outside the mapping, -ENOMEM: nothing changed.
 */
int ntzc_tap_detach(struct ntzc_tap *tap, const struct ntzc_desc *keep, unsigned int n);

/**
 * ntzc_tap_destroy() - give back all that the tap holds, and unmap
 * @tap: may be NULL
 */
void ntzc_tap_destroy(struct ntzc_tap *tap);

/**
 * ntzc_tap_fd() - the file, for poll(2) and its like
 * @tap: the tap
 *
 * Readable when frames wait; an error or hang-up when the card is gone. The
 * file is O_NONBLOCK and stays the tap's.
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
 * ntzc_tap_stats() - what the tap got, lost and holds
 * @tap: the tap
 * @stats: out: see ntzc.h
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
 * One read(2) if frames wait already. Each frame is held from then on.
 *
 * Return: how many frames, 0 when the time ran out; -EINTR, -ENODEV.
 */
int ntzc_tap_peek(struct ntzc_tap *tap, struct ntzc_desc *descs, unsigned int n,
		  int timeout_ms);

/**
 * ntzc_tap_release() - give back frames, or reserved buffers that won't be sent
 * @tap: the tap
 * @handles: of the frames, in any order
 * @n: how many
 *
 * One write(2). Never waits.
 *
 * Return: how many went back, from the first on: @n, unless a handle is not
 * held; -ESTALE if that is the first one.
 */
int ntzc_tap_release(struct ntzc_tap *tap, const __u32 *handles, unsigned int n);

/** ntzc_tap_release_descs() - as ntzc_tap_release(), for descriptors as they were read */
int ntzc_tap_release_descs(struct ntzc_tap *tap, const struct ntzc_desc *descs, unsigned int n);

/* --- transmit --- */

/**
 * ntzc_tap_tx_setup() - get transmit memory of one's own, and map it
 * @tap: the tap; once
 * @n_bufs: buffers; 0 for the default
 * @buf_size: bytes in each: 2048, 4096, 8192 or 16384; 0 for the smallest that
 *	takes a frame of the present MTU
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
 * ntzc_tap_submit() - send filled buffers, or forward frames that came in
 * @tap: the tap
 * @descs: what to send, in order: as from ntzc_tap_reserve() with len set to
 *	the frame's length; or a frame as it was peeked, which is sent by
 *	reference and given back. What must be zero to send is taken as zero.
 * @n: how many
 * @timeout_ms: how long to wait for room in the card's ring, in all
 *
 * Return: how many were taken, from the first on; if none, -ENOSPC when the
 * time ran out, -EINTR, -EINVAL, -ESTALE, -ENETDOWN, -ENODEV.
 */
int ntzc_tap_submit(struct ntzc_tap *tap, const struct ntzc_desc *descs, unsigned int n,
		    int timeout_ms);

/**
 * ntzc_tap_drain() - wait until the card has dealt with all that was submitted
 * @tap: the tap
 * @timeout_ms: how long
 *
 * Return: 0; -ETIMEDOUT, -EINTR, -ENODEV.
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
 * Return: the address of desc->len bytes, until the frame is released.
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
