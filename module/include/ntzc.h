/* SPDX-License-Identifier: GPL-2.0-or-later WITH Linux-syscall-note */
/*
 * The NTZC ABI: what crosses /dev/ntzc between the kernel and a program.
 *
 * One open file is one *tap*. Its life:
 *
 *   open          the file is a tap, attached to nothing
 *   QUERY         version, features, descriptor size; works on any open file
 *   PORT_INFO     which cards there are; works on any open file
 *   ATTACH        the tap now receives what the port's queues receive
 *   mmap          receive memory, read-only, shared by all taps of the port
 *   read          descriptors of frames; every frame that was read is *held*
 *   write         handles of frames that the tap gives back, in any order
 *   TX_SETUP      the tap gets transmit memory of its own
 *   mmap          transmit memory, writable, seen by this tap alone
 *   TX_RESERVE    buffers to fill, then TX_SUBMIT, then the kernel frees them
 *   close         all that the tap held is back
 *
 * Rings are a second door to the same state: the descriptors that read() gives
 * lie in memory that can be mapped too, with rings beside it that stand for
 * write(), TX_RESERVE and TX_SUBMIT (see struct ntzc_rx_rings). A frame that
 * came through one door may go back through the other.
 *
 * Rules that hold for every command:
 *   - All fields are in host byte order and fixed width; the layout is the same
 *     for 32-bit and 64-bit callers. Structures hold no implicit padding.
 *   - Reserved fields and unknown flag bits must be zero, or the call fails
 *     with EINVAL and changes nothing. Output fields may hold anything on entry.
 *   - The kernel never trusts a value because it once gave it out: handles and
 *     offsets are checked on their way in, each time.
 *
 * Errors, the same in every layer:
 *   EAGAIN     nothing to read, and the file is O_NONBLOCK
 *   ENOSPC     the card's transmit ring is full, and the file is O_NONBLOCK
 *   ENOBUFS    no transmit buffer is free, and the file is O_NONBLOCK
 *   ESTALE     a handle that this tap does not hold
 *   EINVAL     a malformed argument
 *   EFAULT     a bad address; where the answer could not be written, what ATTACH,
 *              TX_SETUP and TX_TARGET did stays done
 *   ENODEV     the card is gone, for ever on this file
 *   ENETDOWN   transmit while the interface is down
 *   ENOTCONN   the tap is not attached
 *   EBUSY      the tap is attached already, or what is to change is in use
 *   EPERM      CAP_NET_RAW (open) or CAP_NET_ADMIN (PORT_CONFIG, setting by
 *              PORT_POLICY, TAP_INFO) is missing
 *   ENOTTY     an unknown command
 */
#ifndef NTZC_H
#define NTZC_H

#include <linux/ioctl.h>
#include <linux/types.h>

/** NTZC_ABI_VERSION - raised when an existing field or command changes meaning */
#define NTZC_ABI_VERSION	1

/** NTZC_DEVICE - the device node */
#define NTZC_DEVICE		"/dev/ntzc"

#define NTZC_NAME_LEN		16	/* an interface's name, with its NUL */
#define NTZC_BUS_LEN		32	/* a bus address such as 0000:01:00.0 */
#define NTZC_MAX_QUEUES		64	/* of a port: one bit each in a mask */
#define NTZC_MAX_TAPS		64	/* on one queue */
#define NTZC_MAX_RING		65536	/* descriptors in a tap's ring, per queue */
#define NTZC_MIN_FRAME		14	/* bytes in a frame to send: an Ethernet header */
#define NTZC_PAD_FRAME		60	/* shorter frames are padded with zeros to this */
#define NTZC_MAX_TARGETS	8	/* ports that a tap can send to, its own included */
#define NTZC_MAX_BUSY_POLL_US	10000	/* of ntzc_attach.busy_poll_us */

/*
 * Handles. A handle names one use of one buffer: when the buffer is freed its
 * generation moves on, and the old handle becomes stale. Programs treat it as
 * an opaque number; only the bit that says which memory it lies in is public.
 */
#define NTZC_HANDLE_TX		0x80000000u	/* in the tap's transmit memory */

/*
 * mmap offsets. The length is rx_bytes of ntzc_attach or tx_bytes of
 * ntzc_tx_setup, or any page-aligned part of it. MAP_SHARED only, never
 * PROT_EXEC; receive memory is never PROT_WRITE, not by a later mprotect either.
 */
#define NTZC_MMAP_RX		0x0000000000ull
#define NTZC_MMAP_TX		0x1000000000ull

/*
 * Rings are mapped whole, readable and writable: rings_bytes of ntzc_attach at
 * NTZC_MMAP_RX_RINGS + n * NTZC_MMAP_RX_RINGS_STEP for queue n; rings_bytes of
 * ntzc_tx_setup at NTZC_MMAP_TX_RINGS.
 */
#define NTZC_MMAP_RX_RINGS	0x2000000000ull
#define NTZC_MMAP_RX_RINGS_STEP	0x0001000000ull
#define NTZC_MMAP_TX_RINGS	0x3000000000ull

/* ntzc_desc.flags, as received */
#define NTZC_RX_VLAN		0x0001	/* vlan_tci was stripped from the frame */
#define NTZC_RX_L3_OK		0x0002	/* the card verified the IPv4 header checksum */
#define NTZC_RX_L4_OK		0x0004	/* the card verified the TCP/UDP/SCTP checksum */
#define NTZC_RX_L3_BAD		0x0008	/* the card found the IPv4 checksum wrong */
#define NTZC_RX_L4_BAD		0x0010	/* the card found the L4 checksum wrong */
#define NTZC_RX_HOST		0x0020	/* the host's own stack sent it (NTZC_ATTACH_HOST) */

/* ntzc_desc.flags, to send */
#define NTZC_TX_VLAN		0x0001	/* the card inserts vlan_tci (TPID 0x8100) */

/* ntzc_desc.hash_type: what the receive-side-scaling hash covers */
#define NTZC_HASH_NONE		0	/* no hash: the field is 0 */
#define NTZC_HASH_IPV4		1	/* addresses */
#define NTZC_HASH_TCP_IPV4	2	/* addresses and ports */
#define NTZC_HASH_UDP_IPV4	3
#define NTZC_HASH_IPV6		4
#define NTZC_HASH_TCP_IPV6	5
#define NTZC_HASH_UDP_IPV6	6

/* ntzc_attach.clock: of ntzc_desc.timestamp */
#define NTZC_CLOCK_REALTIME	0	/* ns since the epoch, UTC */
#define NTZC_CLOCK_MONOTONIC	1	/* ns since boot, never set back */
#define NTZC_CLOCK_TAI		2	/* ns since the epoch, without leap seconds */

/**
 * struct ntzc_desc - one frame
 * @handle: names the buffer in write(), and in TX_SUBMIT
 * @offset: of the frame's first byte from the start of the mapping, bytes
 * @timestamp: when the frame was taken from the card, ns of the clock that
 *	ATTACH chose, one reading for each run of the driver's poll; 0 to send
 * @len: bytes at @offset, without FCS; from TX_RESERVE, the room there
 * @hash: receive-side-scaling hash, or 0; 0 to send
 * @orig_len: length on the wire, without FCS and without a stripped VLAN
 *	tag, bytes; 0 to send
 * @vlan_tci: the 802.1Q tag's TCI, valid with NTZC_RX_VLAN or NTZC_TX_VLAN, else 0
 * @flags: NTZC_RX_* as received, NTZC_TX_* to send
 * @queue: of the port, that the frame came in on, or n_queues of ntzc_attach
 *	for what the host sent; to send: the target port, as TX_TARGET numbered
 *	it, 0 for the tap's own
 * @hash_type: NTZC_HASH_*; NTZC_HASH_NONE to send
 *
 * Both directions use it. A later version may append fields: ATTACH says how
 * many bytes each descriptor takes in read().
 */
struct ntzc_desc {
	__u32 handle;
	__u32 offset;
	__aligned_u64 timestamp;
	__u32 len;
	__u32 hash;
	__u16 orig_len;
	__u16 vlan_tci;
	__u16 flags;
	__u8  queue;
	__u8  hash_type;
};

/**
 * struct ntzc_query - what this kernel offers
 * @abi_version: out: NTZC_ABI_VERSION of the kernel
 * @desc_size: out: the largest descriptor that it can give, bytes
 * @features: out: NTZC_FEATURE_*
 * @reserved: out: zero
 */
struct ntzc_query {
	__u32 abi_version;
	__u32 desc_size;
	__aligned_u64 features;
	__aligned_u64 reserved[2];
};

#define NTZC_FEATURE_RX		0x1ull	/* ATTACH, read, write */
#define NTZC_FEATURE_TX		0x2ull	/* TX_SETUP, TX_RESERVE, TX_SUBMIT, TX_DRAIN */
#define NTZC_FEATURE_FORWARD	0x4ull	/* TX_SUBMIT takes receive handles */
#define NTZC_FEATURE_RINGS	0x8ull	/* rings can be mapped, KICK */
#define NTZC_FEATURE_FILTER	0x10ull	/* FILTER */
#define NTZC_FEATURE_FANOUT	0x20ull	/* ntzc_attach.fanout */
#define NTZC_FEATURE_TARGETS	0x40ull	/* TX_TARGET */
#define NTZC_FEATURE_STACK	0x80ull	/* PORT_POLICY's stack, NTZC_ATTACH_HOST */
#define NTZC_FEATURE_BUSY_POLL	0x100ull /* ntzc_attach.busy_poll_us */

/**
 * struct ntzc_port_info - one card
 * @id: in: the lowest port id of interest; out: the id of the first port
 *	that is not below it. Ports come and go; ids are not used twice soon.
 * @ifindex: out: of its network interface, in the caller's network
 *	namespace, or 0 if it is in another one
 * @name: out: of that interface, or empty
 * @bus: out: the device's bus address
 * @n_queues: out: receive queues in use
 * @max_queues: out: receive queues that the card has
 * @buf_size: out: bytes in a receive buffer; while there is no pool, what it would be
 * @n_bufs: out: receive buffers; 0 while there is no pool
 * @headroom: out: bytes before a received frame in its buffer
 * @frame_max: out: longest frame, bytes without FCS
 * @numa_node: out: of the card, or -1
 * @flags: out: NTZC_PORT_*
 * @n_taps: out: taps that are attached
 * @reserved0: out: zero
 * @pool_bytes: out: memory that the receive pool takes, metadata included
 * @mac: out: the interface's address
 * @reserved: zero, in and out
 *
 * Fails with ENOENT when no port has such an id or a higher one.
 */
struct ntzc_port_info {
	__u32 id;
	__u32 ifindex;
	char  name[NTZC_NAME_LEN];
	char  bus[NTZC_BUS_LEN];
	__u32 n_queues;
	__u32 max_queues;
	__u32 buf_size;
	__u32 n_bufs;
	__u32 headroom;
	__u32 frame_max;
	__s32 numa_node;
	__u32 flags;
	__u32 n_taps;
	__u32 reserved0;
	__aligned_u64 pool_bytes;
	__u8  mac[8];
	__aligned_u64 reserved[4];
};

#define NTZC_PORT_UP		0x1	/* the interface is up */
#define NTZC_PORT_CARRIER	0x2	/* and has a link */

/**
 * struct ntzc_port_config - how a port's receive pool is made
 * @id: the port
 * @buf_size: 2048, 4096, 8192 or 16384 bytes; 0 lets the MTU decide
 * @n_bufs: buffers; 0 lets the rings' size decide. If the rings grow later,
 *	so does the pool, to what they need at least.
 * @flags: zero
 * @reserved: zero
 *
 * Needs CAP_NET_ADMIN. Fails with EBUSY while taps are attached, EINVAL if a
 * frame of the present MTU would not fit or the number is too small for the rings.
 */
struct ntzc_port_config {
	__u32 id;
	__u32 buf_size;
	__u32 n_bufs;
	__u32 flags;
	__aligned_u64 reserved[2];
};

/**
 * struct ntzc_port_policy - what the administrator lets a port's users do
 * @id: the port
 * @set: NTZC_POLICY_*: which of the fields below to set; 0 sets none
 * @stack: NTZC_STACK_*; on return, in use
 * @quota: default of ntzc_attach.quota, per queue; 0 lets the pool's size and
 *	the number of queues decide; on return, in use
 * @quota_max: most that a tap gets, whatever it asks for, per queue; 0 for no
 *	limit; on return, in use
 * @reserved0: zero
 * @reserved: zero, in and out
 *
 * Setting needs CAP_NET_ADMIN. Quotas concern taps that attach later.
 */
struct ntzc_port_policy {
	__u32 id;
	__u32 set;
	__u32 stack;
	__u32 quota;
	__u32 quota_max;
	__u32 reserved0;
	__aligned_u64 reserved[3];
};

#define NTZC_POLICY_STACK	0x1
#define NTZC_POLICY_QUOTA	0x2
#define NTZC_POLICY_QUOTA_MAX	0x4

#define NTZC_STACK_OFF		0	/* the host's stack has no part in the port */
#define NTZC_STACK_COPY		1	/* it gets a copy of each frame, and can send */

/**
 * struct ntzc_attach - bind the tap to a port and to some of its queues
 * @name: the interface, in the caller's network namespace; or empty
 * @ifindex: the interface, if @name is empty
 * @flags: NTZC_ATTACH_*
 * @queues: mask of queues; 0 means all. On return, the queues in use.
 * @ring_size: frames that may wait to be read, per queue: a power of two, at
 *	most NTZC_MAX_RING; 0 for the default. On return, the size in use.
 * @quota: frames that the tap may hold (waiting or read), per queue; 0 for the
 *	default. On return, the quota in use.
 * @desc_size: bytes of each descriptor in read(); 0 means what this header
 *	says. On return, the size in use.
 * @port_id: out: of the port
 * @buf_size: out: bytes in a receive buffer
 * @n_bufs: out: receive buffers
 * @headroom: out: bytes before a received frame in its buffer
 * @frame_max: out: longest frame, bytes without FCS
 * @rx_bytes: out: length of the mapping at NTZC_MMAP_RX
 * @fanout: not 0: join the fan-out group of that number. Each frame goes to
 *	one member, chosen by the flow that it belongs to; when a member
 *	leaves, only its own flows move. All members must be on the same port
 *	and have the same @queues.
 * @clock: NTZC_CLOCK_*
 * @busy_poll_us: poll the card from read() and poll() for up to so long before
 *	they sleep, on the caller's processor; 0 not to, at most
 *	NTZC_MAX_BUSY_POLL_US
 * @n_queues: out: queues of the port; number of the host's queue
 * @rings_bytes: out: length of the mapping of one queue's rings
 * @release_offset: out: of the release ring's entries in that mapping
 * @release_size: out: entries of the release ring, a power of two, at least @quota
 * @tap_id: out: of the tap, see TAP_INFO
 * @reserved: zero, in and out
 *
 * Once per file. Fails with ENODEV if no NTZC port has that interface,
 * EBUSY if the tap is attached or the port has NTZC_MAX_TAPS taps on a queue,
 * EINVAL if the fan-out group is another user's, or has another port or other queues.
 * An epoll that has the file already is told of frames, but not of room to send:
 * add the file once it is attached (poll() asks anew each time).
 */
struct ntzc_attach {
	char  name[NTZC_NAME_LEN];
	__u32 ifindex;
	__u32 flags;
	__aligned_u64 queues;
	__u32 ring_size;
	__u32 quota;
	__u32 desc_size;
	__u32 port_id;
	__u32 buf_size;
	__u32 n_bufs;
	__u32 headroom;
	__u32 frame_max;
	__aligned_u64 rx_bytes;
	__u32 fanout;
	__u32 clock;
	__u32 busy_poll_us;
	__u32 n_queues;
	__u32 rings_bytes;
	__u32 release_offset;
	__u32 release_size;
	__u32 tap_id;
	__aligned_u64 reserved[4];
};

#define NTZC_ATTACH_PROMISC	0x1	/* promiscuous while the tap is attached */
#define NTZC_ATTACH_HOST	0x2	/* also what the host sends, see NTZC_STACK_COPY */

/**
 * struct ntzc_filter - which frames the tap wants
 * @kind: NTZC_FILTER_*
 * @len: instructions of a classic program, 1 to 4096; else 0
 * @insns: address of those: an array of struct sock_filter; else 0
 * @fd: of a loaded eBPF program of type BPF_PROG_TYPE_SOCKET_FILTER; else 0
 * @flags: zero
 * @reserved: zero
 *
 * The program sees the frame from its Ethernet header on, a stripped VLAN tag
 * put back; what it returns is 0 to refuse the frame, else to admit it whole.
 * It runs before the tap gets a reference. Works before ATTACH, so that no other
 * frame ever gets through, and at any time after it, at once for all queues.
 * Fails with EINVAL for a program that the kernel's verifier refuses or that is
 * of another type, EBADF for a bad @fd; the old filter stays in place then.
 */
struct ntzc_filter {
	__u32 kind;
	__u32 len;
	__aligned_u64 insns;
	__s32 fd;
	__u32 flags;
	__aligned_u64 reserved[2];
};

#define NTZC_FILTER_NONE	0	/* every frame */
#define NTZC_FILTER_CLASSIC	1	/* classic BPF, as libpcap compiles it */
#define NTZC_FILTER_EBPF	2

/**
 * struct ntzc_ring - one ring's indices, each on a cache line of its own
 * @prod: entries put in; free-running, written by the producer
 * @cons: entries taken out; free-running, written by the consumer
 * @flags: NTZC_RING_*, written by the kernel
 * @reserved0: padding
 * @reserved1: padding
 * @reserved2: padding
 *
 * An entry's place is its index modulo the ring's size, a power of two. Rings
 * have one producer and one consumer. What the barriers must be, and code that
 * has them, is in ntzc_ring.h. The kernel keeps its own side's index to itself:
 * a program that spoils a ring harms nobody else.
 */
struct ntzc_ring {
	__u32 prod;
	__u32 reserved0[15];
	__u32 cons;
	__u32 reserved1[15];
	__u32 flags;
	__u32 reserved2[15];
};

/* In flags of the program's rings: the kernel will not look unless KICKed */
#define NTZC_RING_NEED_WAKEUP	0x1

/** NTZC_RING_ENTRIES - offset of the first ring's entries in a mapping of rings */
#define NTZC_RING_ENTRIES	4096

/**
 * struct ntzc_rx_rings - head of the mapping of one queue's receive rings
 * @rx: from the kernel: struct ntzc_desc at NTZC_RING_ENTRIES, ring_size of
 *	ntzc_attach of them. What read() takes out moves @rx.cons on, too.
 * @release: to the kernel: __u32 handles at release_offset of ntzc_attach. The
 *	queue's poll takes them out as it needs buffers, at the latest before a
 *	frame would be lost for want of them; so do KICK and all statistics. A
 *	handle that is not held, or not of this queue, is counted (bad_release)
 *	and ignored.
 */
struct ntzc_rx_rings {
	struct ntzc_ring rx;
	struct ntzc_ring release;
};

/**
 * struct ntzc_tx_buf - a transmit buffer to fill
 * @handle: for ntzc_desc
 * @offset: of the first byte after the headroom, from the start of the mapping
 *
 * The room there is buf_size - headroom of ntzc_tx_setup.
 */
struct ntzc_tx_buf {
	__u32 handle;
	__u32 offset;
};

/**
 * struct ntzc_tx_rings - head of the mapping of a tap's transmit rings
 * @tx: to the kernel: struct ntzc_desc at NTZC_RING_ENTRIES, n_bufs of
 *	ntzc_tx_setup rounded up to a power of two, as TX_SUBMIT takes them. KICK
 *	has the kernel send; while NTZC_RING_NEED_WAKEUP is not set it goes on
 *	by itself as the card completes. A descriptor that TX_SUBMIT would
 *	refuse is counted (bad_submit) and not sent; what it names is given back
 *	if the tap holds it.
 * @free: from the kernel: struct ntzc_tx_buf at free_offset of ntzc_tx_setup,
 *	as many: free buffers, reserved for the program. All are there at
 *	first; each comes back here when the card has sent it.
 */
struct ntzc_tx_rings {
	struct ntzc_ring tx;
	struct ntzc_ring free;
};

/**
 * struct ntzc_tx_setup - give the tap transmit memory
 * @n_bufs: buffers, at least 1; 0 for the default. On return, the number in use.
 * @buf_size: 2048, 4096, 8192 or 16384 bytes, at least a frame of the present
 *	MTU; 0 for the smallest such. On return, the size in use.
 * @headroom: out: bytes before the offset that TX_RESERVE gives
 * @flags: NTZC_TX_RINGS
 * @tx_bytes: out: length of the mapping at NTZC_MMAP_TX
 * @rings_bytes: out: length of the mapping at NTZC_MMAP_TX_RINGS
 * @ring_size: out: entries of each of its rings
 * @free_offset: out: of the free ring's entries in that mapping
 * @reserved0: out: zero
 * @reserved: zero, in and out
 *
 * Once per file, after ATTACH. The memory is zero at first, belongs to this
 * tap until it closes, and counts against the caller's memory cgroup.
 */
struct ntzc_tx_setup {
	__u32 n_bufs;
	__u32 buf_size;
	__u32 headroom;
	__u32 flags;
	__aligned_u64 tx_bytes;
	__u32 rings_bytes;
	__u32 ring_size;
	__u32 free_offset;
	__u32 reserved0;
	__aligned_u64 reserved[2];
};

/*
 * Free buffers go to the free ring, and the transmit ring is served. TX_RESERVE
 * still works, but finds only what the ring has not got.
 */
#define NTZC_TX_RINGS		0x1

/**
 * struct ntzc_tx_target - let the tap send to another port, too
 * @name: its interface, in the caller's network namespace; or empty
 * @ifindex: the interface, if @name is empty
 * @flags: zero
 * @target: out: its number for ntzc_desc.queue, 1 to NTZC_MAX_TARGETS - 1
 * @port_id: out: of the port
 * @frame_max: out: longest frame there, bytes without FCS
 * @reserved0: out: zero
 * @reserved: zero, in and out
 *
 * Transmit memory is mapped for that card as well until the tap closes, and
 * receive memory as long as there is the pool. When the card goes, sending to
 * it fails with ENODEV; the tap lives on, and that number stays taken. An epoll
 * that has the file already is not told when there is room in this port's ring:
 * add the file after its targets (poll() asks anew each time). Fails with EINVAL
 * for the tap's own port, EBUSY if the port is a target already or there are
 * NTZC_MAX_TARGETS, ENODEV if no NTZC port has that interface.
 */
struct ntzc_tx_target {
	char  name[NTZC_NAME_LEN];
	__u32 ifindex;
	__u32 flags;
	__u32 target;
	__u32 port_id;
	__u32 frame_max;
	__u32 reserved0;
	__aligned_u64 reserved[2];
};

/**
 * struct ntzc_tx_batch - an array of descriptors for TX_RESERVE and TX_SUBMIT
 * @descs: address of the array of struct ntzc_desc
 * @count: its length
 * @flags: zero
 * @reserved: zero
 *
 * Both commands return how many descriptors they dealt with, from the first
 * on; if that is none, an error.
 *
 * TX_RESERVE fills the array: handle, offset and len (the room); all else 0.
 * It waits for at least one free buffer unless O_NONBLOCK (ENOBUFS).
 *
 * TX_SUBMIT sends, in order: @handle, an @offset inside its buffer, @len from
 * NTZC_MIN_FRAME to the target's frame_max, @queue for another target than the
 * tap's own port, and NTZC_TX_VLAN with @vlan_tci if wanted; all else 0. A
 * shorter frame than NTZC_PAD_FRAME needs room for the padding. The buffer is
 * the kernel's from then on, and goes back to the free ones when the card has
 * sent it. A handle of receive memory that the tap holds forwards that frame by
 * reference, and gives it back; @offset and @len must be as received, and a
 * stripped VLAN tag is put back. It waits for room in the card's ring unless
 * O_NONBLOCK (ENOSPC).
 *
 * A reserved buffer that is not to be sent goes back by write().
 */
struct ntzc_tx_batch {
	__aligned_u64 descs;
	__u32 count;
	__u32 flags;
	__aligned_u64 reserved;
};

/**
 * struct ntzc_tap_stats - what one tap got and lost, since ATTACH
 * @received: frames put in the tap's rings
 * @received_bytes: their bytes
 * @lost_ring: frames lost because the tap's ring was full
 * @lost_quota: frames lost because the tap held its quota
 * @lost_pool: frames lost because the pool had no buffer to spare for the card
 * @released: frames given back
 * @waiting: frames in the rings, not yet read
 * @held: frames held now, @waiting included
 * @tx_reserved: transmit buffers reserved and neither submitted nor given back
 * @tx_submitted: frames accepted for sending, forwarded ones included
 * @tx_forwarded: of those, receive frames sent by reference
 * @tx_completed: the tap's own transmit buffers that came back as sent
 * @tx_failed: the tap's own transmit buffers that came back unsent (link down, reset)
 * @tx_in_flight: the tap's own transmit buffers that the card has now
 * @tx_free: the tap's transmit buffers that can be reserved
 * @filtered: frames that the tap's filter refused
 * @missed: frames that the port's card dropped for want of a buffer, since ATTACH
 * @bad_release: entries of the release rings that were ignored
 * @bad_submit: entries of the transmit ring that were ignored
 * @reserved: zero
 *
 * For each tap, @received, @filtered and the three losses add up to the frames
 * that its queues delivered since ATTACH; for a member of a fan-out group, to
 * those of its flows.
 */
struct ntzc_tap_stats {
	__aligned_u64 received;
	__aligned_u64 received_bytes;
	__aligned_u64 lost_ring;
	__aligned_u64 lost_quota;
	__aligned_u64 lost_pool;
	__aligned_u64 released;
	__aligned_u64 waiting;
	__aligned_u64 held;
	__aligned_u64 tx_reserved;
	__aligned_u64 tx_submitted;
	__aligned_u64 tx_forwarded;
	__aligned_u64 tx_completed;
	__aligned_u64 tx_failed;
	__aligned_u64 tx_in_flight;
	__aligned_u64 tx_free;
	__aligned_u64 filtered;
	__aligned_u64 missed;
	__aligned_u64 bad_release;
	__aligned_u64 bad_submit;
	__aligned_u64 reserved[5];
};

/**
 * struct ntzc_tap_info - who holds what
 * @port_id: in: the port
 * @tap_id: in: the lowest tap id of interest; out: the id of the first tap that
 *	is not below it
 * @pid: out: of the process that opened it, in the caller's pid namespace; 0 if
 *	it is in no such namespace
 * @uid: out: its user, in the caller's user namespace
 * @flags: out: NTZC_TAP_*
 * @fanout: out: its fan-out group, or 0
 * @queues: out: mask of its queues
 * @ring_size: out: frames that may wait, per queue
 * @quota: out: frames that it may hold, per queue
 * @oldest_ns: out: how long it has held the frame that it holds longest; 0 if none
 * @comm: out: name of the process when it opened the tap
 * @stats: out: as TAP_STATS
 * @reserved: zero, in and out
 *
 * Needs CAP_NET_ADMIN. Fails with ENOENT when the port has no such tap,
 * ENODEV without such a port.
 */
struct ntzc_tap_info {
	__u32 port_id;
	__u32 tap_id;
	__u32 pid;
	__u32 uid;
	__u32 flags;
	__u32 fanout;
	__aligned_u64 queues;
	__u32 ring_size;
	__u32 quota;
	__aligned_u64 oldest_ns;
	char  comm[16];
	struct ntzc_tap_stats stats;
	__aligned_u64 reserved[4];
};

#define NTZC_TAP_FILTER		0x1	/* it has a filter */
#define NTZC_TAP_PROMISC	0x2	/* it made the interface promiscuous */
#define NTZC_TAP_HOST		0x4	/* it gets what the host sends */

/**
 * struct ntzc_port_stats - a port's counters, and where its buffers are
 * @id: in: the port
 * @flags: zero
 * @pool_size: receive buffers in all; 0 while there is no pool
 * @pool_free: of those, free
 * @pool_card: given to the card
 * @pool_held: held by one tap or more
 * @pool_in_flight: being sent (forwarded) and held by no tap
 * @rx_frames: frames that the driver took from the card
 * @rx_bytes: their bytes
 * @rx_unclaimed: of those, frames that no tap took
 * @rx_no_buffer: times that the pool could not refill the card's ring in full
 * @rx_missed: frames that the card dropped for want of a buffer
 * @rx_errors: frames that the card or the driver rejected
 * @tx_frames: frames sent
 * @tx_bytes: their bytes, and of those in flight
 * @tx_failed: frames accepted and then not sent
 * @tx_in_flight: frames that the card has to send, of all taps
 * @resets: times that the driver reset a hung card
 * @stack_rx: frames copied to the host's stack
 * @stack_tx: frames that the host's stack sent
 * @stack_dropped: of either kind, dropped for want of memory or buffers
 * @reserved: zero
 *
 * pool_free + pool_card + pool_held + pool_in_flight is pool_size whenever no
 * frame is on its way through the driver. Free and card are counted where
 * buffers change hands, held and in flight by a walk through all buffers.
 */
struct ntzc_port_stats {
	__u32 id;
	__u32 flags;
	__aligned_u64 pool_size;
	__aligned_u64 pool_free;
	__aligned_u64 pool_card;
	__aligned_u64 pool_held;
	__aligned_u64 pool_in_flight;
	__aligned_u64 rx_frames;
	__aligned_u64 rx_bytes;
	__aligned_u64 rx_unclaimed;
	__aligned_u64 rx_no_buffer;
	__aligned_u64 rx_missed;
	__aligned_u64 rx_errors;
	__aligned_u64 tx_frames;
	__aligned_u64 tx_bytes;
	__aligned_u64 tx_failed;
	__aligned_u64 tx_in_flight;
	__aligned_u64 resets;
	__aligned_u64 stack_rx;
	__aligned_u64 stack_tx;
	__aligned_u64 stack_dropped;
	__aligned_u64 reserved[4];
};

#define NTZC_IOC_MAGIC		0xB5

#define NTZC_IOC_QUERY		_IOR(NTZC_IOC_MAGIC, 0x00, struct ntzc_query)
#define NTZC_IOC_PORT_INFO	_IOWR(NTZC_IOC_MAGIC, 0x01, struct ntzc_port_info)
#define NTZC_IOC_PORT_STATS	_IOWR(NTZC_IOC_MAGIC, 0x02, struct ntzc_port_stats)
#define NTZC_IOC_PORT_CONFIG	_IOW(NTZC_IOC_MAGIC, 0x03, struct ntzc_port_config)
#define NTZC_IOC_PORT_POLICY	_IOWR(NTZC_IOC_MAGIC, 0x04, struct ntzc_port_policy)
#define NTZC_IOC_TAP_INFO	_IOWR(NTZC_IOC_MAGIC, 0x05, struct ntzc_tap_info)
#define NTZC_IOC_ATTACH		_IOWR(NTZC_IOC_MAGIC, 0x10, struct ntzc_attach)
#define NTZC_IOC_TAP_STATS	_IOR(NTZC_IOC_MAGIC, 0x11, struct ntzc_tap_stats)
#define NTZC_IOC_FILTER		_IOW(NTZC_IOC_MAGIC, 0x12, struct ntzc_filter)
#define NTZC_IOC_TX_SETUP	_IOWR(NTZC_IOC_MAGIC, 0x20, struct ntzc_tx_setup)
#define NTZC_IOC_TX_RESERVE	_IOW(NTZC_IOC_MAGIC, 0x21, struct ntzc_tx_batch)
#define NTZC_IOC_TX_SUBMIT	_IOW(NTZC_IOC_MAGIC, 0x22, struct ntzc_tx_batch)
/*
 * Wait until the cards have dealt with all of the tap's own buffers that it submitted; frames
 * that it forwarded are not waited for. EAGAIN if O_NONBLOCK.
 */
#define NTZC_IOC_TX_DRAIN	_IO(NTZC_IOC_MAGIC, 0x23)
#define NTZC_IOC_TX_TARGET	_IOWR(NTZC_IOC_MAGIC, 0x24, struct ntzc_tx_target)
/*
 * Look at the tap's rings now: take back what is in the release rings, send what
 * is in the transmit ring as far as the card has room, fill the free ring.
 * What finds the ring of the tap's own card full is sent when there is room. A descriptor
 * for another port that finds that one's ring full waits for the next KICK, which
 * NTZC_RING_NEED_WAKEUP asks for.
 * Fails with ENETDOWN or ENODEV when there was something to send and it cannot be.
 */
#define NTZC_IOC_KICK		_IO(NTZC_IOC_MAGIC, 0x30)

#endif /* NTZC_H */
