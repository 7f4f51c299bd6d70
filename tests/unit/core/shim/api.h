/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What Python calls: the stand-in kernel's controls, a card that does not
 * exist, and a tap's system calls. Parsed by cffi: declarations only.
 */
#ifndef API_H
#define API_H

struct card;
struct ntzc_tap;
struct file;
struct ntzc_port_stats;
struct ntzc_port_info;
struct m_buf;

/* ---- the kernel: shim.c and services.c ---- */

/* What is allocated now */
struct shim_live {
	uint32_t blocks;
	uint32_t pages;
	uint32_t mappings;
	uint32_t doomed;	/* to be freed after a grace period */
	uint32_t work;		/* queued */
	uint32_t ids;		/* of ports and taps */
	uint32_t pids;		/* references to processes */
};

void shim_reset(void);
/* the first rule that was broken since the reset, or an empty string */
const char *shim_error(void);
/* WARN_ON_ONCE() that would have fired since the last call */
unsigned int shim_warnings(void);
/* make the n-th allocation from now on fail; 0: none */
void shim_fail_nth(unsigned int n);
void shim_set_uid(unsigned int uid);
/* whether who calls has been killed */
void shim_kill(bool killed);
/* whether it came to that; takes it off */
bool shim_has_failed(void);
/* run as another process, wherever one waits for memory or lacks some; NULL: nothing */
void shim_beside(void (*run)(void));
/* fragmented memory: no run of pages is longer; -1: no page at all */
void shim_limit_order(int order);
void shim_rcu_barrier(void);
void shim_run_work(void);
void shim_get_live(struct shim_live *live);

/* ---- the card: card.c ---- */

struct card_config {
	uint32_t number;	/* in its name */
	uint32_t n_queues;
	uint32_t rx_ring;
	uint32_t tx_ring;
	uint32_t n_bufs;	/* in the pool, as an administrator would have it; 0: default */
	uint32_t max_mapping;	/* bytes of one DMA mapping; 0: any */
	bool bounces;		/* the card sees copies of the memory */
};

/* A frame on the wire: its bytes follow from the seed */
struct card_frame {
	uint32_t seed;
	uint32_t len;
	uint32_t hash;
	uint16_t vlan_tci;
	uint16_t flags;
	uint8_t hash_type;
	uint32_t handle;	/* out: of the buffer that it came into */
};

/* What a card sent */
struct card_sent {
	uint32_t len;
	uint32_t queue;
	uint16_t vlan_tci;
	uint16_t flags;
};

struct card_queue_state {
	uint32_t posted;
	uint32_t spare;
	uint32_t wanted;
	uint32_t pool_free;
	uint32_t sending;
	bool refill_asked;
	bool tx_full;
};

struct card *card_create(const struct card_config *config, int *err);
void card_free(struct card *c);
int card_up(struct card *c);
void card_down(struct card *c);
void card_detach(struct card *c);
void card_remove(struct card *c);
int card_set_frame(struct card *c, uint32_t frame_max);
int card_set_queues(struct card *c, uint32_t n);
/* longer or shorter receive rings, of a card that is up */
int card_set_ring(struct card *c, uint32_t n);
int card_configure(struct card *c, uint32_t buf_size, uint32_t n_bufs);
bool card_is_up(const struct card *c);
/* ops->start fails with this */
void card_fail_start(struct card *c, int err);
/* ops->transmit takes no more than this in one call; on coming up short, completes some */
void card_limit_transmit(struct card *c, uint32_t at_most, uint32_t completes);
/* another processor has yet to see that the last of those frames were sent */
void card_hide_sent(struct card *c, uint32_t q, int32_t n);
/* the host has a frame to send, and waits until the card is done with others */
void card_host_waits(struct card *c);
/* for how many frames the card had room when the host was told; -1: it was not */
int card_host_room(const struct card *c);
/* frames arrive; returns how many found a buffer. The ring is not refilled. */
uint32_t card_receive(struct card *c, uint32_t q, struct card_frame *f, uint32_t n);
/* the card took these buffers for frames that turned out bad */
uint32_t card_reject(struct card *c, uint32_t q, uint32_t n);
void card_refill(struct card *c, uint32_t q);
/* transmits end, oldest or newest first; returns how many */
uint32_t card_complete(struct card *c, uint32_t q, uint32_t n, int status, bool newest);
/* in the next call: after so many unlocks, complete and receive on a queue, and refill */
void card_interrupt(struct card *c, uint32_t unlocks, uint32_t q, uint32_t complete,
		    struct card_frame *f, uint32_t n);
/* frames that are there to be had when a program polls; how often it did */
void card_wire(struct card *c, uint32_t q, struct card_frame *f, uint32_t n);
uint32_t card_polls(const struct card *c, uint32_t q);
/* whether it came: then how many were received and completed */
bool card_interrupted(struct card *c, uint32_t *received, uint32_t *completed);
/* the oldest frame sent that was not looked at: its length, or -1 */
int card_pop_sent(struct card *c, struct card_sent *sent, uint8_t *bytes, uint32_t max);
void card_queue_state(struct card *c, uint32_t q, struct card_queue_state *s);
void card_get_stats(struct card *c, struct ntzc_port_stats *st);
void card_get_info(struct card *c, struct ntzc_port_info *info);
int card_promiscuity(const struct card *c);
/* buffers in the receive pool, and of which size; 0: there is no pool */
uint32_t card_pool_size(const struct card *c);
/* longest run of pages in the receive pool, log2 */
int card_pool_max_order(const struct card *c);
uint32_t card_buf_size(const struct card *c);
/* every buffer of every pool is in one place; else shim_bug(). Changes nothing. */
void card_check(struct card *c);
void frame_bytes(uint8_t *to, uint32_t len, uint32_t seed);

/* ---- a program: user.c ---- */

/* what of a tap only the kernel knows */
struct tap_queue_state {
	uint64_t received;
	uint64_t received_bytes;
	uint64_t lost_ring;
	uint64_t lost_quota;
	uint64_t lost_pool;
	uint64_t filtered;
	uint64_t bad_release;
	uint32_t prod;
	uint32_t release_cons;
	uint32_t held;
};

struct tap_door_state {
	uint64_t bad_submit;
	uint32_t tx_cons;
	uint32_t free_prod;
};

/* the program's memory from here on is not there; NULL: all is */
void shim_fault_at(const void *p, size_t len);
void shim_deny(int cap, bool deny);

struct file *file_open(int *err);
void file_close(struct file *file);
void file_set_blocking(struct file *file, bool blocking);
struct ntzc_tap *file_tap(struct file *file);
int64_t file_read(struct file *file, void *to, size_t n);
int64_t file_write(struct file *file, const void *from, size_t n);
int64_t file_ioctl(struct file *file, uint32_t cmd, void *arg);
uint32_t file_poll(struct file *file, uint32_t wants, bool waits);
/* returns 0, and the flags it ended up with */
int file_mmap(struct file *file, uint64_t offset, uint64_t len, uint64_t flags,
	      uint64_t *flags_out);
/* copy through a mapping of all the memory; false where a fault is a bus error */
bool file_peek(struct file *file, bool tx, uint32_t offset, uint8_t *bytes, uint32_t len);
bool file_poke(struct file *file, uint32_t offset, const uint8_t *bytes, uint32_t len);
/* map rings; valid until the file is closed; NULL if they cannot be */
void *file_map_rings(struct file *file, uint64_t offset, uint64_t len);

bool ntzc_tap_readable(const struct ntzc_tap *tap);
struct ntzc_tap_stats;
void ntzc_tap_get_stats(struct ntzc_tap *tap, struct ntzc_tap_stats *st);
/* false if the tap has no such queue */
bool tap_queue_state(const struct ntzc_tap *tap, uint32_t q, struct tap_queue_state *s);
/* false if the tap has no transmit rings */
bool tap_door_state(const struct ntzc_tap *tap, struct tap_door_state *s);
/* frames are in its ring, and the core has yet to say so */
void tap_hide_received(struct ntzc_tap *tap, uint32_t q, int32_t n);
/* handles of all marked buffers; returns how many */
uint32_t tap_marks(const struct ntzc_tap *tap, bool tx, uint32_t *handles, uint32_t max);
/* sleep until readable; returns whether the reader was woken since it slept */
void tap_sleep(struct ntzc_tap *tap);
bool tap_woken(struct ntzc_tap *tap);
void tap_sleep_tx(struct ntzc_tap *tap);
bool tap_woken_tx(struct ntzc_tap *tap);

/* the same until nothing of the tap's own is in flight */
void tap_sleep_drain(struct ntzc_tap *tap);
bool tap_woken_drain(struct ntzc_tap *tap);

/* ---- flows: bpf.c ---- */

struct flow_keys;
uint32_t jhash_2words(uint32_t a, uint32_t b, uint32_t initval);
/* of an Ethernet header's addresses */
uint32_t flow_hash_from_keys(struct flow_keys *keys);

/* ---- one packet: m_buf.h, for the tests of its calls ---- */

struct m_buf *packet_create(uint32_t buf_size);
void packet_destroy(void);
void packet_reserve(struct m_buf *m, uint32_t len);
/* the functions that return an address return its offset in the buffer, or -1 for NULL */
int64_t packet_put(struct m_buf *m, uint32_t len);
int64_t packet_push(struct m_buf *m, uint32_t len);
int64_t packet_pull(struct m_buf *m, uint32_t len);
void packet_trim(struct m_buf *m, uint32_t len);
void packet_received(struct m_buf *m, uint16_t len);
void packet_set_vlan(struct m_buf *m, uint16_t tci);
bool packet_has_vlan(const struct m_buf *m);
uint32_t packet_headroom(const struct m_buf *m);
uint32_t packet_tailroom(const struct m_buf *m);
uint32_t packet_len(const struct m_buf *m);
int64_t packet_data(const struct m_buf *m);
int64_t packet_dma(const struct m_buf *m);
uint32_t packet_handle(const struct m_buf *m);
int packet_refs(const struct m_buf *m);
void packet_get(struct m_buf *m);
void m_buf_free(struct m_buf *m);
struct m_buf *packet_alloc(void);
/* pretend that a buffer was used so often: the generation of all free buffers moves on */
void packet_age(uint32_t uses);
uint32_t packet_metadata_size(void);

#endif /* API_H */
