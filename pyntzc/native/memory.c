// SPDX-License-Identifier: GPL-2.0-or-later
/* A tap's mapping: what is to be given back, what must stay readable, when to unmap. */
#include <errno.h>

#include "frames.h"

PyTypeObject *memory_type;

/* Return: 0, or of those that could not be given back why the first could not */
static int memory_release(struct memory *m, const struct ntzc_desc *descs, Py_ssize_t n)
{
	Py_ssize_t done = 0;
	int ret, err = 0;

	while (m->open && done < n) {
		ret = m->release(m->tap, descs + done, (unsigned int)(n - done));
		if (ret < 0 && !err)
			err = ret;
		/* one that is not held keeps none of the others from going back */
		done += ret > 0 ? ret : 1;
	}
	return err;
}

void memory_give_back(struct memory *m, const struct ntzc_desc *desc)
{
	if (!m->open)
		return;
	m->pending[m->n_pending++] = *desc;
	if (m->n_pending >= m->limit)
		memory_flush(m);
}

void memory_give_back_run(struct memory *m, const struct ntzc_desc *descs, Py_ssize_t n)
{
	Py_ssize_t i;

	if (n >= (Py_ssize_t)m->limit)
		memory_release(m, descs, n);
	else
		for (i = 0; i < n; i++)
			memory_give_back(m, &descs[i]);
}

int memory_flush(struct memory *m)
{
	unsigned int n = m->n_pending;

	m->n_pending = 0;
	return memory_release(m, m->pending, n);
}

PyObject *memory_closed(const struct memory *m)
{
	PyErr_SetString(m->closed_error, "the tap is closed");
	return NULL;
}

static void memory_destroy(struct memory *m)
{
	struct ntzc_tap *tap = m->tap;

	m->tap = NULL;
	m->open = false;
	m->rx_bytes = 0; /* unmapped: whoever forgets to ask finds nothing there */
	m->tx_bytes = 0;
	if (tap)
		m->destroy(tap);
}

/* Return: the descriptors of all that views can show, and how many; NULL without memory */
static struct ntzc_desc *memory_viewed(const struct memory *m, unsigned int *n)
{
	struct ntzc_desc *descs;
	const struct frame *f;
	unsigned int room = batches_viewed(m, NULL);

	for (f = m->viewed; f; f = f->next)
		room++;
	descs = PyMem_Malloc(room * sizeof(*descs));
	if (!descs)
		return NULL;
	*n = batches_viewed(m, descs);
	for (f = m->viewed; f; f = f->next)
		descs[(*n)++] = f->desc;
	return descs;
}

/*
 * Give everything back to the kernel. The bytes that views still show are kept
 * as a private copy at the same addresses, unless @keep is false (a forked
 * child, whose parent may recycle them at any time): then they read as zero.
 *
 * The tap itself lives on, with its file closed: this may run in a signal handler, in the middle
 * of what is about to ask the tap something.
 */
static int memory_close(struct memory *m, bool keep)
{
	bool viewed = m->viewed || m->viewed_batches;
	struct ntzc_desc *descs = NULL;
	unsigned int n = 0;
	int err;

	if (!m->open)
		return 0;
	if (keep)
		memory_flush(m);
	else
		m->open = false; /* whatever happens, nothing of the parent's is released */
	m->n_pending = 0;
	if (keep && viewed) {
		descs = memory_viewed(m, &n);
		if (!descs)
			return -ENOMEM;
	}
	err = m->detach(m->tap, descs, n);
	PyMem_Free(descs);
	if (!err) {
		m->open = false;
	} else if (!viewed) {
		memory_destroy(m); /* there is no memory to do it gently */
		err = 0;
	}
	return err;
}

static PyObject *memory_close_method(PyObject *self, PyObject *args)
{
	int keep, err;

	if (!PyArg_ParseTuple(args, "p", &keep))
		return NULL;
	err = memory_close((struct memory *)self, keep);
	return PyLong_FromLong(err);
}

static PyObject *memory_flush_method(PyObject *self, PyObject *unused)
{
	(void)unused;
	return PyLong_FromLong(memory_flush((struct memory *)self));
}

static PyObject *memory_set_tx(PyObject *self, PyObject *args)
{
	struct memory *m = (struct memory *)self;
	unsigned long long base, bytes;

	if (!PyArg_ParseTuple(args, "KK", &base, &bytes))
		return NULL;
	m->tx = (unsigned char *)(uintptr_t)base;
	m->tx_bytes = bytes;
	Py_RETURN_NONE;
}

/* Return: whether a batch may be of class @cls, with frames of class @frames; or an exception */
static bool memory_makes(PyObject *cls, PyObject *frames)
{
	if (PyType_Check(cls) && PyType_IsSubtype((PyTypeObject *)cls, batch_type) &&
	    PyType_Check(frames) && PyType_IsSubtype((PyTypeObject *)frames, frame_type))
		return true;
	PyErr_SetString(PyExc_TypeError, "not classes of batches and of frames");
	return false;
}

/*
 * What a read is told: cls, frames, function, room. Not parsed by a format, which costs more than
 * the rest. Return: false with an exception.
 */
static bool memory_reads(struct memory *m, PyObject *const *args, uintptr_t *function,
			 Py_ssize_t *room)
{
	*function = (uintptr_t)PyLong_AsVoidPtr(args[2]);
	*room = PyNumber_AsSsize_t(args[3], PyExc_OverflowError);
	if (PyErr_Occurred())
		return false;
	if (!m->open) {
		memory_closed(m);
		return false;
	}
	if (*room < 1 || *room > NTZC_MAX_RING) {
		PyErr_Format(PyExc_ValueError, "a batch has room for 1 to %d frames, not %zd",
			     NTZC_MAX_RING, *room);
		return false;
	}
	return memory_makes(args[0], args[1]);
}

static PyObject *memory_read(PyObject *self, PyObject *const *args, Py_ssize_t n_args)
{
	struct memory *m = (struct memory *)self;
	uintptr_t function;
	PyObject *batch;
	Py_ssize_t room;
	int n;

	if (n_args != 4) {
		PyErr_SetString(PyExc_TypeError, "read(cls, frames, function, room)");
		return NULL;
	}
	if (!memory_reads(m, args, &function, &room))
		return NULL;
	batch = batch_create((PyTypeObject *)args[0], m, (PyTypeObject *)args[1], room);
	if (!batch)
		return NULL;
	n = batch_read(batch, function, room);
	if (n > 0)
		return batch;
	Py_DECREF(batch);
	return PyLong_FromLong(n);
}

static PyObject *memory_batches(PyObject *self, PyObject *const *args, Py_ssize_t n_args)
{
	struct memory *m = (struct memory *)self;
	uintptr_t function;
	Py_ssize_t room;

	if (n_args != 5) {
		PyErr_SetString(PyExc_TypeError, "batches(cls, frames, function, room, wait)");
		return NULL;
	}
	if (!memory_reads(m, args, &function, &room))
		return NULL;
	return batches_create(m, (PyTypeObject *)args[0], (PyTypeObject *)args[1], function, room,
			      args[4]);
}

static PyObject *memory_empty(PyObject *self, PyObject *args)
{
	PyObject *cls, *frames;

	if (!PyArg_ParseTuple(args, "OO", &cls, &frames) || !memory_makes(cls, frames))
		return NULL;
	return batch_create((PyTypeObject *)cls, (struct memory *)self, (PyTypeObject *)frames, 0);
}

/* Return: the frame at @i of a list, or NULL with an exception */
static struct frame *memory_frame(const struct memory *m, PyObject *frames, Py_ssize_t i)
{
	PyObject *item = PyList_GetItem(frames, i);

	if (!item)
		return NULL;
	if (!PyType_IsSubtype(Py_TYPE(item), frame_type) || ((struct frame *)item)->memory != m) {
		PyErr_SetString(PyExc_TypeError, "not a frame of this memory");
		return NULL;
	}
	return (struct frame *)item;
}

/* Lend @n of a list's frames. Return: how many; if there are fewer, there is an exception. */
static Py_ssize_t memory_lend(const struct memory *m, PyObject *frames, Py_ssize_t first,
			      Py_ssize_t n)
{
	Py_ssize_t lent;

	for (lent = 0; lent < n; lent++) {
		struct frame *f = memory_frame(m, frames, first + lent);

		if (!f || frame_lend(f) < 0)
			break;
	}
	return lent;
}

/*
 * In one step, in which no Python runs: an exception that came between the call and the note of
 * what it took would leave frames that nobody gives back, or twice.
 */
static PyObject *memory_forward(PyObject *self, PyObject *args)
{
	struct memory *m = (struct memory *)self;
	unsigned long long function;
	Py_ssize_t first, n, lent = 0, i;
	unsigned int target;
	PyObject *frames;
	Py_buffer descs;
	int taken = 0;

	if (!PyArg_ParseTuple(args, "KO!y*nI", &function, &PyList_Type, &frames, &descs, &first,
			      &target))
		return NULL;
	n = PyList_Size(frames) - first;
	if (first < 0 || n < 0 || descs.len / (Py_ssize_t)sizeof(struct ntzc_desc) < first + n)
		PyErr_SetString(PyExc_ValueError, "a descriptor for each frame is wanted");
	else if (!m->open)
		memory_closed(m);
	else
		lent = memory_lend(m, frames, first, n);
	if (!PyErr_Occurred())
		taken = ((forward_fn)(uintptr_t)function)(m->tap,
							  (struct ntzc_desc *)descs.buf + first,
							  (unsigned int)n, target, 0);
	for (i = 0; i < lent; i++)
		frame_settle((struct frame *)PyList_GetItem(frames, first + i), i < taken);
	PyBuffer_Release(&descs);
	return PyErr_Occurred() ? NULL : PyLong_FromLong(taken);
}

static PyObject *memory_new(PyTypeObject *cls, PyObject *args, PyObject *kwargs)
{
	static char *names[] = { "tap", "release", "detach", "destroy", "rx", "rx_bytes", "limit",
				 "released_error", "closed_error", "view_error", NULL };
	unsigned long long tap, release, detach, destroy, rx, rx_bytes;
	PyObject *released_error, *closed_error, *view_error;
	unsigned int limit;
	struct memory *m;

	if (!PyArg_ParseTupleAndKeywords(args, kwargs, "KKKKKKIOOO", names, &tap, &release,
					 &detach, &destroy, &rx, &rx_bytes, &limit,
					 &released_error, &closed_error, &view_error))
		return NULL;
	if (!limit || limit > PENDING_MAX) {
		PyErr_Format(PyExc_ValueError, "limit must be 1 to %d", PENDING_MAX);
		return NULL;
	}
	m = (struct memory *)PyType_GenericAlloc(cls, 0);
	if (!m)
		return NULL;
	m->tap = (struct ntzc_tap *)(uintptr_t)tap;
	m->release = (int (*)(struct ntzc_tap *, const struct ntzc_desc *,
			      unsigned int))(uintptr_t)release;
	m->detach = (int (*)(struct ntzc_tap *, const struct ntzc_desc *,
			     unsigned int))(uintptr_t)detach;
	m->destroy = (void (*)(struct ntzc_tap *))(uintptr_t)destroy;
	m->rx = (unsigned char *)(uintptr_t)rx;
	m->rx_bytes = rx_bytes;
	m->limit = limit;
	m->released_error = Py_NewRef(released_error);
	m->closed_error = Py_NewRef(closed_error);
	m->view_error = Py_NewRef(view_error);
	m->open = true;
	return (PyObject *)m;
}

/* Frames keep the memory alive, so none is left here: nothing can be read any more */
static void memory_dealloc(PyObject *self)
{
	PyTypeObject *type = Py_TYPE(self);
	struct memory *m = (struct memory *)self;

	memory_flush(m);
	memory_destroy(m);
	Py_XDECREF(m->block.array);
	Py_XDECREF(m->spare);
	Py_XDECREF(m->released_error);
	Py_XDECREF(m->closed_error);
	Py_XDECREF(m->view_error);
	((freefunc)PyType_GetSlot(type, Py_tp_free))(self);
	Py_DECREF(type);
}

static PyMethodDef memory_methods[] = {
	{ "close", memory_close_method, METH_VARARGS,
	  "close(keep) -> int: give all back; what views show stays if keep, else reads as 0." },
	{ "flush", memory_flush_method, METH_NOARGS,
	  "flush() -> int: give back what waits for that; 0 or a negative errno." },
	{ "set_tx", memory_set_tx, METH_VARARGS, "set_tx(address, bytes): transmit memory." },
	{ "read", (PyCFunction)(void (*)(void))memory_read, METH_FASTCALL,
	  "read(cls, frames, function, room) -> a batch, or 0, or a negative errno." },
	{ "batches", (PyCFunction)(void (*)(void))memory_batches, METH_FASTCALL,
	  "batches(cls, frames, function, room, wait) -> an iterator; wait(what read would return)\n"
	  "returns the next batch then, or an empty one at the end." },
	{ "forward", memory_forward, METH_VARARGS,
	  "forward(function, frames, descs, first, target) -> int: hand a list's frames, from the\n"
	  "first-th on, to ntzc_tap_forward, as the descriptors say; those that it took are gone." },
	{ "empty", memory_empty, METH_VARARGS, "empty(cls, frames) -> a batch of none." },
	{ NULL, NULL, 0, NULL },
};

static PyMemberDef memory_members[] = {
	{ "open", T_BOOL, offsetof(struct memory, open), READONLY,
	  "Whether the kernel still hears of releases." },
	{ "n_pending", T_UINT, offsetof(struct memory, n_pending), READONLY,
	  "Frames that wait to be given back." },
	{ NULL, 0, 0, 0, NULL },
};

static PyType_Slot memory_slots[] = {
	{ Py_tp_doc, "A tap's mapping, alive as long as any frame needs it." },
	{ Py_tp_new, memory_new },
	{ Py_tp_dealloc, memory_dealloc },
	{ Py_tp_methods, memory_methods },
	{ Py_tp_members, memory_members },
	{ 0, NULL },
};

static PyType_Spec memory_spec = {
	.name = "pyntzc._frames.Memory",
	.basicsize = sizeof(struct memory),
	.flags = Py_TPFLAGS_DEFAULT,
	.slots = memory_slots,
};

int memory_register(PyObject *module)
{
	memory_type = (PyTypeObject *)PyType_FromModuleAndSpec(module, &memory_spec, NULL);
	return memory_type ? PyModule_AddType(module, memory_type) : -1;
}
