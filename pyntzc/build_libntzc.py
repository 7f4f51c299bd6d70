# SPDX-License-Identifier: GPL-2.0-or-later
"""Builds pyntzc._libntzc: libntzc and the meter, compiled in, behind cffi in API mode.

The structures are declared field by field, so the compiled module checks each
size and offset against the real headers and refuses to be built if one differs.
"""

from pathlib import Path

from cffi import FFI

CDEF = """
typedef unsigned char __u8;
typedef unsigned short __u16;
typedef unsigned int __u32;
typedef int __s32;
typedef unsigned long long __u64;

struct ntzc_tap;
struct ntzc_device;

struct ntzc_desc {
    __u32 handle;
    __u32 offset;
    __u64 timestamp;
    __u32 len;
    __u32 hash;
    __u16 orig_len;
    __u16 vlan_tci;
    __u16 flags;
    __u8 queue;
    __u8 hash_type;
};

struct ntzc_query {
    __u32 abi_version;
    __u32 desc_size;
    __u64 features;
    __u64 reserved[2];
};

struct ntzc_port_info {
    __u32 id;
    __u32 ifindex;
    char name[16];
    char bus[32];
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
    __u64 pool_bytes;
    __u8 mac[8];
    __u64 reserved[4];
};

struct ntzc_port_config {
    __u32 id;
    __u32 buf_size;
    __u32 n_bufs;
    __u32 flags;
    __u64 reserved[2];
};

struct ntzc_attach {
    char name[16];
    __u32 ifindex;
    __u32 flags;
    __u64 queues;
    __u32 ring_size;
    __u32 quota;
    __u32 desc_size;
    __u32 port_id;
    __u32 buf_size;
    __u32 n_bufs;
    __u32 headroom;
    __u32 frame_max;
    __u64 rx_bytes;
    __u32 fanout;
    __u32 clock;
    __u32 busy_poll_us;
    __u32 n_queues;
    __u32 rings_bytes;
    __u32 release_offset;
    __u32 release_size;
    __u32 tap_id;
    __u64 reserved[4];
};

struct ntzc_filter {
    __u32 kind;
    __u32 len;
    __u64 insns;
    __s32 fd;
    __u32 flags;
    __u64 reserved[2];
};

struct ntzc_tx_setup {
    __u32 n_bufs;
    __u32 buf_size;
    __u32 headroom;
    __u32 flags;
    __u64 tx_bytes;
    __u32 rings_bytes;
    __u32 ring_size;
    __u32 free_offset;
    __u32 reserved0;
    __u64 reserved[2];
};

struct ntzc_tx_target {
    char name[16];
    __u32 ifindex;
    __u32 flags;
    __u32 target;
    __u32 port_id;
    __u32 frame_max;
    __u32 reserved0;
    __u64 reserved[2];
};

struct ntzc_port_policy {
    __u32 id;
    __u32 set;
    __u32 stack;
    __u32 quota;
    __u32 quota_max;
    __u32 reserved0;
    __u64 reserved[3];
};

struct ntzc_tap_stats {
    __u64 received;
    __u64 received_bytes;
    __u64 lost_ring;
    __u64 lost_quota;
    __u64 lost_pool;
    __u64 released;
    __u64 waiting;
    __u64 held;
    __u64 tx_reserved;
    __u64 tx_submitted;
    __u64 tx_forwarded;
    __u64 tx_completed;
    __u64 tx_failed;
    __u64 tx_in_flight;
    __u64 tx_free;
    __u64 filtered;
    __u64 missed;
    __u64 bad_release;
    __u64 bad_submit;
    __u64 reserved[5];
};

struct ntzc_tap_info {
    __u32 port_id;
    __u32 tap_id;
    __u32 pid;
    __u32 uid;
    __u32 flags;
    __u32 fanout;
    __u64 queues;
    __u32 ring_size;
    __u32 quota;
    __u64 oldest_ns;
    char comm[16];
    struct ntzc_tap_stats stats;
    __u64 reserved[4];
};

struct ntzc_port_stats {
    __u32 id;
    __u32 flags;
    __u64 pool_size;
    __u64 pool_free;
    __u64 pool_card;
    __u64 pool_held;
    __u64 pool_in_flight;
    __u64 rx_frames;
    __u64 rx_bytes;
    __u64 rx_unclaimed;
    __u64 rx_no_buffer;
    __u64 rx_missed;
    __u64 rx_errors;
    __u64 tx_frames;
    __u64 tx_bytes;
    __u64 tx_failed;
    __u64 tx_in_flight;
    __u64 resets;
    __u64 stack_rx;
    __u64 stack_tx;
    __u64 stack_dropped;
    __u64 reserved[4];
};

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

struct ntzc_tap_memory {
    const unsigned char *rx;
    unsigned char *tx;
};

#define NTZC_HANDLE_TX ...
#define NTZC_MAX_QUEUES ...
#define NTZC_MAX_RING ...
#define NTZC_MIN_FRAME ...
#define NTZC_MAX_TARGETS ...
#define NTZC_MAX_BUSY_POLL_US ...
#define NTZC_ATTACH_PROMISC ...
#define NTZC_ATTACH_HOST ...
#define NTZC_PORT_UP ...
#define NTZC_PORT_CARRIER ...
#define NTZC_RX_VLAN ...
#define NTZC_RX_L3_OK ...
#define NTZC_RX_L4_OK ...
#define NTZC_RX_L3_BAD ...
#define NTZC_RX_L4_BAD ...
#define NTZC_RX_HOST ...
#define NTZC_TX_VLAN ...
#define NTZC_FEATURE_RX ...
#define NTZC_FEATURE_TX ...
#define NTZC_FEATURE_FORWARD ...
#define NTZC_FEATURE_RINGS ...
#define NTZC_FEATURE_FILTER ...
#define NTZC_FEATURE_FANOUT ...
#define NTZC_FEATURE_TARGETS ...
#define NTZC_FEATURE_STACK ...
#define NTZC_FEATURE_BUSY_POLL ...
#define NTZC_CLOCK_REALTIME ...
#define NTZC_CLOCK_MONOTONIC ...
#define NTZC_CLOCK_TAI ...
#define NTZC_DOOR_AUTO ...
#define NTZC_DOOR_CALLS ...
#define NTZC_DOOR_RINGS ...
#define NTZC_FILTER_CLASSIC ...
#define NTZC_FILTER_EBPF ...
#define NTZC_POLICY_STACK ...
#define NTZC_POLICY_QUOTA ...
#define NTZC_POLICY_QUOTA_MAX ...
#define NTZC_STACK_OFF ...
#define NTZC_STACK_COPY ...
#define NTZC_TAP_FILTER ...
#define NTZC_TAP_PROMISC ...
#define NTZC_TAP_HOST ...

const char *ntzc_version(void);
const char *ntzc_strerror(int error);

int ntzc_device_create(const char *path, struct ntzc_device **device);
void ntzc_device_destroy(struct ntzc_device *device);
int ntzc_device_query(struct ntzc_device *device, struct ntzc_query *query);
int ntzc_port_next(struct ntzc_device *device, __u32 *cursor, struct ntzc_port_info *info);
int ntzc_port_find(struct ntzc_device *device, const char *name, struct ntzc_port_info *info);
int ntzc_port_stats(struct ntzc_device *device, __u32 id, struct ntzc_port_stats *stats);
int ntzc_port_config(struct ntzc_device *device, const struct ntzc_port_config *config);
int ntzc_port_policy(struct ntzc_device *device, struct ntzc_port_policy *policy);
int ntzc_tap_next(struct ntzc_device *device, __u32 port_id, __u32 *cursor,
                  struct ntzc_tap_info *info);

int ntzc_tap_create(const struct ntzc_tap_options *options, struct ntzc_tap **tap);
int ntzc_tap_detach(struct ntzc_tap *tap, const struct ntzc_desc *keep, unsigned int n);
void ntzc_tap_destroy(struct ntzc_tap *tap);
int ntzc_tap_fd(const struct ntzc_tap *tap);
const struct ntzc_attach *ntzc_tap_info(const struct ntzc_tap *tap);
unsigned int ntzc_tap_door(const struct ntzc_tap *tap);
int ntzc_tap_set_filter(struct ntzc_tap *tap, const struct ntzc_filter *filter);
int ntzc_tap_stats(struct ntzc_tap *tap, struct ntzc_tap_stats *stats);
int ntzc_tap_peek(struct ntzc_tap *tap, struct ntzc_desc *descs, unsigned int n, int timeout_ms);
int ntzc_tap_release_descs(struct ntzc_tap *tap, const struct ntzc_desc *descs, unsigned int n);
int ntzc_tap_tx_setup(struct ntzc_tap *tap, unsigned int n_bufs, unsigned int buf_size);
const struct ntzc_tx_setup *ntzc_tap_tx_info(const struct ntzc_tap *tap);
int ntzc_tap_reserve(struct ntzc_tap *tap, struct ntzc_desc *descs, unsigned int n, int timeout_ms);
int ntzc_tap_submit(struct ntzc_tap *tap, const struct ntzc_desc *descs, unsigned int n,
                    int timeout_ms);
int ntzc_tap_add_target(struct ntzc_tap *tap, const char *interface, unsigned int ifindex,
                        unsigned int *target);
int ntzc_tap_forward(struct ntzc_tap *tap, const struct ntzc_desc *descs, unsigned int n,
                     unsigned int target, int timeout_ms);
int ntzc_tap_drain(struct ntzc_tap *tap, int timeout_ms);
"""

METER = """
struct ntzc_meter;

struct ntzc_meter_plan {
    __u8 dst[6];
    __u8 src[6];
    __u32 frame_len;
    __u32 tag;
    __u32 reserved;
    __u64 frames;
    __u64 rate_fps;
    __u64 duration_ns;
    __u64 settle_ns;
};

struct ntzc_meter_result {
    __u64 sent;
    __u64 received;
    __u64 duplicates;
    __u64 reordered;
    __u64 corrupt;
    __u64 stale;
    __u64 foreign;
    __u64 backward;
    __u64 received_bytes;
    __u64 send_ns;
    __u64 late_max_ns;
    __u64 first_rx_ns;
    __u64 last_rx_ns;
    __u64 latency_min_ns;
    __u64 latency_max_ns;
    __u64 send_cpu_ns;
    __u64 receive_cpu_ns;
};

#define NTZC_METER_MIN_FRAME ...
#define NTZC_METER_MAX_FRAME ...
#define NTZC_METER_BUCKETS ...

int ntzc_meter_create(const struct ntzc_meter_plan *plan, struct ntzc_meter **meter);
void ntzc_meter_destroy(struct ntzc_meter *meter);
void ntzc_meter_stop(struct ntzc_meter *meter);
int ntzc_meter_send(struct ntzc_meter *meter, struct ntzc_tap *tap);
int ntzc_meter_receive(struct ntzc_meter *meter, struct ntzc_tap *tap);
void ntzc_meter_result(const struct ntzc_meter *meter, struct ntzc_meter_result *result,
                       __u64 *latencies);
unsigned int ntzc_meter_bucket(__u64 latency_ns);
void ntzc_meter_make(const struct ntzc_meter *meter, __u32 seq, __u64 sent_ns,
                     unsigned char *frame);
void ntzc_meter_account(struct ntzc_meter *meter, const unsigned char *frame, __u32 len,
                        __u64 received_ns, int checksum_bad);
int ntzc_meter_reflect(struct ntzc_meter *meter, struct ntzc_tap *tap);
"""

# Relative to the top folder, where setup.py runs
SOURCES = (Path("libntzc/src"), Path("pyntzc/meter"))

ffibuilder = FFI()
ffibuilder.cdef(CDEF + METER)
ffibuilder.set_source(
    "pyntzc._libntzc",
    "#include <libntzc.h>\n#include <meter.h>",
    include_dirs=["libntzc/include", "module/include", "pyntzc/meter"],
    sources=sorted(str(path) for folder in SOURCES for path in folder.glob("*.c")),
    extra_compile_args=["-std=c11", "-D_DEFAULT_SOURCE", "-fvisibility=hidden"],
)

if __name__ == "__main__":
    ffibuilder.compile(verbose=True)
