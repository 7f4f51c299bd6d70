# SPDX-License-Identifier: GPL-2.0-or-later
"""Builds pyntzc._libpcap: libpcap's filter compiler, behind cffi in API mode."""

from cffi import FFI

CDEF = """
typedef struct pcap pcap_t;

struct bpf_insn {
    unsigned short code;
    unsigned char jt;
    unsigned char jf;
    unsigned int k;
};

struct bpf_program {
    unsigned int bf_len;
    struct bpf_insn *bf_insns;
};

#define DLT_EN10MB ...
#define PCAP_NETMASK_UNKNOWN ...

pcap_t *pcap_open_dead(int linktype, int snaplen);
int pcap_compile(pcap_t *pcap, struct bpf_program *program, const char *text, int optimize,
                 unsigned int netmask);
char *pcap_geterr(pcap_t *pcap);
void pcap_freecode(struct bpf_program *program);
void pcap_close(pcap_t *pcap);
"""

ffibuilder = FFI()
ffibuilder.cdef(CDEF)
ffibuilder.set_source("pyntzc._libpcap", "#include <pcap/pcap.h>", libraries=["pcap"])

if __name__ == "__main__":
    ffibuilder.compile(verbose=True)
