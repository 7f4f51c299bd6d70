// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Traffic both ways through a card that is being torn out, reset and broken.
 *
 *	load INTERFACE PEER
 *
 * A tap reads, checks, gives back and sends as fast as it can, and keeps a few
 * frames. When its card goes it must be told, must still have what it keeps, and
 * must be refused all else; then the program waits for a card of that name and
 * goes on with it. Prints "attached" and "gone" as that happens, "moving" now and
 * then while frames come, and ends with "done" once its input ends.
 */
#include <poll.h>
#include <stdatomic.h>
#include <sys/ioctl.h>

#include "bare.h"

#define BATCH		32
#define KEPT		16
#define TX_BUFS		64
#define PATIENCE_MS	patience_ms(60000)
#define STEP		512	/* frames between two lines of progress */

static const char *ours, *peer;
static atomic_bool over;

/* ---- the neighbour sends whatever becomes of our card ---- */

static void *flood(void *unused)
{
	unsigned char frame[FRAME_LEN];
	int fd = neighbour_open(peer);
	uint64_t number;

	for (number = 0; !atomic_load(&over); number++) {
		frame_make(frame, number);
		/* without a link there is nowhere to send to */
		if (send(fd, frame, sizeof(frame), 0) < 0)
			usleep(1000);
	}
	close(fd);
	return unused;
}

static bool input_ended(void)
{
	struct pollfd p = { .fd = 0, .events = POLLIN };

	return poll(&p, 1, 0) == 1;
}

/* ---- one card's life ---- */

struct life {
	struct tap tap;
	struct ntzc_desc kept[KEPT];
	int64_t numbers[KEPT];
	unsigned int n_kept;
	unsigned long long seen, told;
};

static void tell(const char *what)
{
	puts(what);
	fflush(stdout);
}

static void bring_up(void)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq request = { };

	must(fd >= 0);
	strncpy(request.ifr_name, ours, sizeof(request.ifr_name) - 1);
	if (!ioctl(fd, SIOCGIFFLAGS, &request) && !(request.ifr_flags & IFF_UP)) {
		request.ifr_flags |= IFF_UP;
		must(!ioctl(fd, SIOCSIFFLAGS, &request) || errno == ENODEV);
	}
	close(fd);
}

/* Return: false if the input ended first */
static bool attach(struct life *l)
{
	uint64_t deadline = now_ns() + PATIENCE_MS * 1000000ull;

	*l = (struct life){ };
	l->tap.fd = tap_open(O_NONBLOCK);
	for (;;) {
		l->tap.about = (struct ntzc_attach){ .flags = NTZC_ATTACH_PROMISC };
		strncpy(l->tap.about.name, ours, sizeof(l->tap.about.name) - 1);
		if (!ioctl(l->tap.fd, NTZC_IOC_ATTACH, &l->tap.about))
			break;
		must(errno == ENODEV);
		if (input_ended()) {
			close(l->tap.fd);
			return false;
		}
		must(now_ns() < deadline);
		usleep(10000);
	}
	/* not before: there may be none of that name, or one that is still to be renamed */
	bring_up();
	l->tap.rx_memory = mmap(NULL, l->tap.about.rx_bytes, PROT_READ, MAP_SHARED, l->tap.fd,
				NTZC_MMAP_RX);
	must(l->tap.rx_memory != MAP_FAILED);
	l->tap.tx = (struct ntzc_tx_setup){ .n_bufs = TX_BUFS };
	if (!ioctl(l->tap.fd, NTZC_IOC_TX_SETUP, &l->tap.tx)) {
		l->tap.tx_memory = mmap(NULL, l->tap.tx.tx_bytes, PROT_READ | PROT_WRITE,
					MAP_SHARED, l->tap.fd, NTZC_MMAP_TX);
		must(l->tap.tx_memory != MAP_FAILED);
	} else {
		must(errno == ENODEV);	/* gone again already */
	}
	tell("attached");
	return true;
}

/* Return: false once there is nothing more to read, for ever */
static bool receive(struct life *l)
{
	struct ntzc_desc descs[BATCH];
	int i, n = tap_read(&l->tap, descs, BATCH);

	if (n < 0) {
		must(errno == EAGAIN || errno == ENODEV);
		return errno == EAGAIN;
	}
	for (i = 0; i < n; i++) {
		int64_t number = tap_number(&l->tap, &descs[i]);

		if (number >= 0 && l->n_kept < KEPT) {
			l->kept[l->n_kept] = descs[i];
			l->numbers[l->n_kept++] = number;
		} else {
			must(tap_release(&l->tap, &descs[i].handle, 1) == 1);
		}
		l->seen++;
	}
	if (l->seen >= l->told + STEP) {
		l->told = l->seen;
		tell("moving");
	}
	return true;
}

static void transmit(struct life *l)
{
	struct ntzc_desc descs[BATCH];
	int i, done, n = tap_batch(&l->tap, NTZC_IOC_TX_RESERVE, descs, BATCH);

	if (n < 0) {
		must(errno == ENOBUFS || errno == ENODEV || errno == ENOTCONN);
		return;
	}
	for (i = 0; i < n; i++) {
		frame_make(l->tap.tx_memory + descs[i].offset, (uint64_t)i);
		descs[i].len = FRAME_LEN;
	}
	done = tap_batch(&l->tap, NTZC_IOC_TX_SUBMIT, descs, (unsigned int)n);
	if (done < 0) {
		must(errno == ENOSPC || errno == ENETDOWN || errno == ENODEV);
		done = 0;
	}
	for (i = done; i < n; i++)
		must(tap_release(&l->tap, &descs[i].handle, 1) == 1);
}

/* The frames that were kept are what they were, and can be given back */
static void give_back(struct life *l)
{
	unsigned int i;

	for (i = 0; i < l->n_kept; i++) {
		must(tap_number(&l->tap, &l->kept[i]) == l->numbers[i]);
		must(tap_release(&l->tap, &l->kept[i].handle, 1) == 1);
	}
}

/* The card is gone: for ever, for this file, whatever is asked of it */
static void mourn(struct life *l)
{
	struct ntzc_tap_stats st;
	struct ntzc_desc desc;
	void *again;

	while (receive(l))
		;
	must(tap_read(&l->tap, &desc, 1) < 0 && errno == ENODEV);
	if (l->tap.tx_memory)
		must(tap_batch(&l->tap, NTZC_IOC_TX_RESERVE, &desc, 1) < 0 && errno == ENODEV);
	give_back(l);
	tap_stats(&l->tap, &st);
	must(!st.held);
	again = mmap(NULL, l->tap.about.rx_bytes, PROT_READ, MAP_SHARED, l->tap.fd, NTZC_MMAP_RX);
	must(again != MAP_FAILED);
	must(!memcmp(again, l->tap.rx_memory, l->tap.about.rx_bytes));
	must(!munmap(again, l->tap.about.rx_bytes));
	tap_close(&l->tap);
	tell("gone");
}

/* Return: whether there is to be another life */
static bool live(struct life *l)
{
	struct pollfd p = { .fd = l->tap.fd, .events = POLLIN | POLLOUT };

	while (!input_ended()) {
		int n = poll(&p, 1, 100);

		must(n >= 0);
		/* a new card may have been found before it could be brought up */
		if (!n)
			bring_up();
		if (p.revents & POLLHUP) {
			must(p.revents & POLLERR);
			mourn(l);
			return true;
		}
		must(!(p.revents & POLLNVAL));
		receive(l);
		if (p.revents & POLLOUT)
			transmit(l);
	}
	give_back(l);
	tap_close(&l->tap);
	return false;
}

int main(int argc, char **argv)
{
	pthread_t sender;
	struct life l;

	if (argc != 3)
		die("usage: load INTERFACE PEER");
	ours = argv[1];
	peer = argv[2];
	must(!pthread_create(&sender, NULL, flood, NULL));
	while (attach(&l) && live(&l))
		;
	atomic_store(&over, true);
	must(!pthread_join(sender, NULL));
	tell("done");
	return 0;
}
