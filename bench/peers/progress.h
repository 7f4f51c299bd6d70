/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What all the peers' programs share: counting frames up to each mark, and the
 * pause in which frames gather. Mark 1 comes after 2 * COUNT frames, mark 2 after
 * COUNT more, mark 3 after COUNT more; then it is done.
 */
#ifndef NTZC_PEERS_PROGRESS_H
#define NTZC_PEERS_PROGRESS_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gather.h"
#include "marker.h"

#define MAX_BATCH	512
#define MAX_FRAME	9216

static struct {
	unsigned int count;
	unsigned int done;	/* frames so far */
} progress;

/* what is read of a frame goes here, so that it is read */
static volatile unsigned char sink;

static inline void fail(const char *what)
{
	fprintf(stderr, "%s: %s\n", what, strerror(errno));
	exit(1);
}

static inline void check(int ret, const char *what)
{
	if (ret < 0)
		fail(what);
}

/* Frames gather */
static inline void rest(void)
{
	gather_pause();
}

/* Count frames; set the marks on the way. Return: whether more are wanted. */
static inline int count(unsigned int n)
{
	unsigned int before = progress.done / progress.count, now;

	progress.done += n;
	now = progress.done / progress.count;
	if (before < 2 && now >= 2)
		NTZC_MARK(1);
	else if (before < 3 && now >= 3)
		NTZC_MARK(2);
	else if (before < 4 && now >= 4)
		NTZC_MARK(3);
	return now < 4;
}

/* Say that frames may come. */
static inline void ready(void)
{
	puts("ready");
	fflush(stdout);
}

/* A header that nobody answers to, with an ethertype for experiments. */
static inline void write_header(void *frame)
{
	static const unsigned char header[14] = { 2, [12] = 0x88, 0xb5 };

	memcpy(frame, header, sizeof(header));
}

#endif
