/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The part of kernel.h that files, programs' memory and filters need. */
#ifndef SHIM_KERNEL_IO_H
#define SHIM_KERNEL_IO_H

/* ---- programs' memory ---- */

#define u64_to_user_ptr(x)	((void *)(uintptr_t)(x))
/* return what could not be copied: what lies behind the address of shim_fault_at() */
unsigned long copy_from_user(void *to, const void *from, unsigned long n);
unsigned long copy_to_user(void *to, const void *from, unsigned long n);

struct iov_iter {
	u8 *base;
	size_t count;
};

#define iov_iter_count(it)	((it)->count)
size_t copy_to_iter(const void *from, size_t n, struct iov_iter *it);
size_t copy_from_iter(void *to, size_t n, struct iov_iter *it);
static inline void iov_iter_revert(struct iov_iter *it, size_t n)
{
	it->base -= n;
	it->count += n;
}

static inline const void *memchr_inv(const void *p, int c, size_t n)
{
	const u8 *at = p;

	for (; n--; at++)
		if (*at != (u8)c)
			return at;
	return NULL;
}

/* ---- files ---- */

#define CAP_NET_ADMIN		12
#define CAP_NET_RAW		13
bool capable(int cap);

#define THIS_MODULE		NULL
#define MISC_DYNAMIC_MINOR	255
#define IOCB_NOWAIT		0x1

typedef unsigned int __poll_t;
typedef struct { __poll_t wants; bool _qproc; } poll_table;
struct inode { int unused; };

struct kiocb {
	struct file *ki_filp;
	int ki_flags;
};

struct file_operations {
	void *owner;
	int (*open)(struct inode *inode, struct file *file);
	int (*release)(struct inode *inode, struct file *file);
	ssize_t (*read_iter)(struct kiocb *iocb, struct iov_iter *to);
	ssize_t (*write_iter)(struct kiocb *iocb, struct iov_iter *from);
	__poll_t (*poll)(struct file *file, poll_table *wait);
	int (*mmap)(struct file *file, struct vm_area_struct *vma);
	long (*unlocked_ioctl)(struct file *file, unsigned int cmd, unsigned long arg);
	long (*compat_ioctl)(struct file *file, unsigned int cmd, unsigned long arg);
};

struct miscdevice {
	int minor;
	const char *name;
	const struct file_operations *fops;
	unsigned short mode;
};

#define compat_ptr_ioctl	NULL
#define stream_open(inode, file) ((void)(inode), (void)(file), 0)
#define poll_wait(file, wq, wait) ((void)(wait), (void)(wq)->polls++)
#define poll_requested_events(wait) ((wait)->wants)
int misc_register(struct miscdevice *misc);
void misc_deregister(struct miscdevice *misc);

/* ---- sk_buff, as far as filters look at it ---- */

#define PACKET_HOST		0
#define PACKET_OUTGOING 4
#define VLAN_HLEN		4
#define SKB_DATA_ALIGN(n)	roundup(n, 64)

struct skb_shared_info { u8 unused[320]; };

struct ethhdr_addresses { u8 dest[ETH_ALEN], source[ETH_ALEN]; };

struct vlan_ethhdr {
	struct ethhdr_addresses addresses;
	__be16 h_vlan_proto;
	__be16 h_vlan_TCI;
	__be16 h_vlan_encapsulated_proto;
};

struct sk_buff {
	struct net_device *dev;
	unsigned int len;
	__be16 protocol;
	u16 queue;
	u8 pkt_type;
	u32 hash;
	u32 mac_header, network_header, tail, end;
	u8 *head, *data;
	refcount_t users;
};

#define skb_reset_mac_header(skb) ((skb)->mac_header = (skb)->data - (skb)->head)
#define skb_set_network_header(skb, at) \
	((skb)->network_header = (skb)->data - (skb)->head + (at))
#define skb_set_tail_pointer(skb, n) ((skb)->tail = (skb)->data - (skb)->head + (n))
#define skb_set_end_offset(skb, n) ((skb)->end = (n))
#define skb_record_rx_queue(skb, q) ((skb)->queue = (q) + 1)

/* ---- filters and flows: bpf.c ---- */

/* sock_fprog and sock_filter are the ABI's */
struct bpf_prog;
int bpf_prog_create_from_user(struct bpf_prog **prog, struct sock_fprog *fprog,
			      int (*trans)(struct sock_filter *, unsigned int), bool save_orig);
struct bpf_prog *bpf_prog_get_type(u32 fd, enum bpf_prog_type type);
void bpf_prog_destroy(struct bpf_prog *prog);
u32 bpf_prog_run_clear_cb(const struct bpf_prog *prog, struct sk_buff *skb);

struct flow_keys { u8 addresses[2 * ETH_ALEN]; };
struct flow_dissector { int unused; };
extern struct flow_dissector flow_keys_dissector;
bool __skb_flow_dissect(const struct net *net, const struct sk_buff *skb,
			struct flow_dissector *dissector, void *to, const void *data,
			__be16 proto, int nhoff, int hlen, unsigned int flags);
u32 flow_hash_from_keys(struct flow_keys *keys);
u32 jhash_2words(u32 a, u32 b, u32 initval);

#endif /* SHIM_KERNEL_IO_H */
