/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pyntzc._frames: Python objects that keep a frame held for as long as anything
 * can still read it.
 *
 *	Memory	a tap's mapping. Collects frames to give back; knows which
 *		frames have views; unmaps when the last object that needs it dies.
 *	Frame	one held buffer, exporting its bytes through the buffer protocol.
 *		The kernel gets it back when it is released and no view is left.
 *	Batch	descriptors as one read gave them, and the frames made of them; exports
 *		all receive memory, and is not given back while something has that.
 *	Batches	an iterator that reads them.
 *
 * References run Batch -> Frame -> Memory and to nothing else, so there are no
 * cycles, and whatever dies is given back at once and not when a collector runs.
 * Everything here runs with the interpreter's lock held, which guards it all, also
 * against the end of the tap. libntzc is reached through the addresses that Memory
 * was made with, and its functions are called so that they do not wait.
 */
#ifndef PYNTZC_FRAMES_H
#define PYNTZC_FRAMES_H

#ifndef Py_LIMITED_API
#define Py_LIMITED_API 0x030b0000	/* 3.11: the buffer protocol is in it */
#endif
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <structmember.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libntzc.h"

#define PENDING_MAX 64

/* ntzc_tap_forward */
typedef int (*forward_fn)(struct ntzc_tap *tap, const struct ntzc_desc *descs, unsigned int n,
			  unsigned int target, int timeout_ms);

struct frame;
struct batch;

/* What arrays of frames' first bytes are cut out of: rows.c */
struct block {
	PyObject *array;		/* numpy's, (rows, width) over the store; NULL: none yet */
	unsigned char *store;
	Py_ssize_t width;		/* bytes in a row */
	Py_ssize_t used, left;		/* rows */
};

struct memory {
	PyObject_HEAD
	struct ntzc_tap *tap;		/* NULL once destroyed */
	bool open;			/* the kernel still hears of releases */
	int (*release)(struct ntzc_tap *tap, const struct ntzc_desc *descs, unsigned int n);
	int (*detach)(struct ntzc_tap *tap, const struct ntzc_desc *keep, unsigned int n);
	void (*destroy)(struct ntzc_tap *tap);
	unsigned char *rx, *tx;
	uint64_t rx_bytes, tx_bytes;
	PyObject *released_error, *closed_error, *view_error;
	struct frame *viewed;		/* frames with views, pinned ones included */
	struct batch *viewed_batches;	/* batches with views of the receive memory */
	struct block block;		/* the last that was made */
	PyObject *spare;		/* bytes, for the next batch's descriptors; or NULL */
	unsigned int limit;		/* pending ones that are given back without being asked */
	unsigned int n_pending;
	struct ntzc_desc pending[PENDING_MAX];
};

enum frame_state {
	FRAME_HELD,	/* ours; views may be made */
	FRAME_LENT,	/* memory_forward() hands it to the kernel at this moment */
	FRAME_RELEASED,	/* no new views; given back with the last one */
	FRAME_GONE,	/* no longer ours */
};

struct frame {
	PyObject_HEAD
	struct memory *memory;
	struct ntzc_desc desc;
	struct frame *next, *prev;	/* in memory->viewed while views > 0 */
	Py_ssize_t views;
	bool pinned;			/* one of the views is its batch's */
	enum frame_state state;
};

extern PyTypeObject *memory_type, *frame_type, *batch_type;

int memory_register(PyObject *module);
int frame_register(PyObject *module);
int batch_register(PyObject *module);
int batches_register(PyObject *module);

/* A frame that nobody needs any more: given back with others, soon */
void memory_give_back(struct memory *m, const struct ntzc_desc *desc);
/* The same for a run of them; a long one goes back at once */
void memory_give_back_run(struct memory *m, const struct ntzc_desc *descs, Py_ssize_t n);
/* Give back what is pending. Return: 0 or a negative errno. */
int memory_flush(struct memory *m);
/* Set the exception for a memory that is closed. Return: NULL. */
PyObject *memory_closed(const struct memory *m);
/* Where a descriptor's bytes are. Return: NULL with an exception if outside the mapping. */
static inline unsigned char *memory_bytes(const struct memory *m, const struct ntzc_desc *desc)
{
	bool tx = desc->handle & NTZC_HANDLE_TX;
	uint64_t bytes = tx ? m->tx_bytes : m->rx_bytes;

	if (desc->offset > bytes || desc->len > bytes - desc->offset) {
		PyErr_SetString(PyExc_SystemError, "a descriptor points outside the mapping");
		return NULL;
	}
	return (tx ? m->tx : m->rx) + desc->offset;
}

/* Have room for that. May run any Python. Return: 0, or -1 with an exception. */
int rows_prepare(struct memory *m, Py_ssize_t n, Py_ssize_t width);
/* The first @width bytes of each frame, copied: an array of its own (@n, @width), or NULL */
PyObject *rows_array(struct memory *m, const struct ntzc_desc *descs, Py_ssize_t n,
		     Py_ssize_t width);

/* A batch of class @cls with room for @room frames of class @frames, and with none */
PyObject *batch_create(PyTypeObject *cls, struct memory *m, PyTypeObject *frames,
		       Py_ssize_t room);
/*
 * Fill a new batch by ntzc_tap_peek or ntzc_tap_reserve, without waiting. In one step
 * with owning them, so that no exception can come between and leave frames that nobody
 * gives back. Return: what the function returned, or 0 if a signal came.
 */
int batch_read(PyObject *self, uintptr_t function, Py_ssize_t room);

/*
 * An iterator over batches of up to @room frames, as the two above make them. Where none is
 * read it returns @wait(0 or a negative errno), and ends if that is an empty batch.
 */
PyObject *batches_create(struct memory *m, PyTypeObject *cls, PyTypeObject *frames,
			 uintptr_t function, Py_ssize_t room, PyObject *wait);

/* What is kept for views of batches: fill @descs unless NULL. Return: how many. */
unsigned int batches_viewed(const struct memory *m, struct ntzc_desc *descs);

/* A frame of class @cls that owns what @desc names. Return: a new reference or NULL. */
PyObject *frame_create(PyTypeObject *cls, struct memory *m, const struct ntzc_desc *desc);
/* Keep it for a call that hands it to the kernel. Return: 0, or -1 with an exception. */
int frame_lend(struct frame *f);
/* The call is over: the kernel has it, or we do */
void frame_settle(struct frame *f, bool taken);
/* Whether its bytes are its own still: ours to look at */
static inline bool frame_is_held(const struct frame *f)
{
	return f->state == FRAME_HELD;
}

/* Let go of it as soon as no view is left; does not flush */
void frame_let_go(struct frame *f);
/* Count a view of its batch's as one of its own, once; and no longer */
void frame_pin(struct frame *f);
void frame_unpin(struct frame *f);

#endif /* PYNTZC_FRAMES_H */
