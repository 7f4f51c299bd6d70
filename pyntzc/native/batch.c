// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Frames as one read gave them. A frame becomes a Python object only when it is
 * asked for; until then the batch itself owns it, as a descriptor.
 *
 * The batch exports all receive memory through the buffer protocol. While anything
 * still has that, nothing of the batch goes back: its release waits for the last
 * such view, and the frames made of it are pinned. So an array over the memory
 * never shows a frame of its batch recycled, however long it is kept.
 */
#include <errno.h>
#include <string.h>

#include "frames.h"

PyTypeObject *batch_type;

struct batch {
	PyObject_HEAD
	struct memory *memory;
	PyTypeObject *cls;		/* of the frames */
	PyObject *store;		/* bytes: the descriptors; arrays over them outlive us */
	struct ntzc_desc *descs;	/* there */
	PyObject *array;		/* over the store, for Python to keep; NULL: none yet */
	PyObject **made;		/* by index: the frame, NULL: not made yet, or TAKEN;
					 * NULL until the first is made */
	Py_ssize_t n;
	Py_ssize_t n_made;		/* made or taken: if none, all are the batch's own */
	Py_ssize_t next;		/* to take */
	Py_ssize_t sent;		/* how many were submitted, from the first on */
	struct batch *older, *newer;	/* in memory->viewed_batches while views > 0 */
	Py_ssize_t views;		/* of the receive memory, exported by us */
	bool released;			/* with views: goes back with the last */
};

typedef int (*read_fn)(struct ntzc_tap *tap, struct ntzc_desc *descs, unsigned int n,
		       int timeout_ms);

/* In made: the frame belongs to whoever took it. Not a reference. */
#define TAKEN Py_None

static bool batch_owns(const struct batch *b, Py_ssize_t i)
{
	return i >= b->sent && !(b->made && b->made[i]);
}

static struct frame *batch_made(const struct batch *b, Py_ssize_t i)
{
	if (!b->made || !b->made[i] || b->made[i] == TAKEN)
		return NULL;
	return (struct frame *)b->made[i];
}

static int batch_check(const struct batch *b)
{
	if (!b->memory->open) {
		memory_closed(b->memory);
		return -1;
	}
	if (b->released) {
		PyErr_SetString(b->memory->released_error,
				"the batch was given back; copy what is needed later, "
				"or hold on to it by not releasing it");
		return -1;
	}
	return 0;
}

/* Whether frame @i can be looked at as the batch's: not sent, taken out, or released by itself */
static bool batch_holds(const struct batch *b, Py_ssize_t i)
{
	if (batch_owns(b, i))
		return true;
	return i >= b->sent && batch_made(b, i) && frame_is_held(batch_made(b, i));
}

/* The same of all from @i on and before @end, and of the batch. Return: 0, or -1, an exception. */
static int batch_check_holds(const struct batch *b, Py_ssize_t i, Py_ssize_t end)
{
	if (batch_check(b) < 0)
		return -1;
	if (!b->sent && !b->n_made)
		return 0;
	while (i < end && batch_holds(b, i))
		i++;
	if (i == end)
		return 0;
	PyErr_Format(b->memory->released_error, "packet %zd is no longer the batch's", i);
	return -1;
}

static PyObject *batch_make(struct batch *b, Py_ssize_t i)
{
	PyObject *frame;

	if (i < 0 || i >= b->n) {
		PyErr_SetString(PyExc_IndexError, "no such frame in the batch");
		return NULL;
	}
	if (i < b->sent || (b->made && b->made[i] == TAKEN)) {
		PyErr_SetString(b->memory->released_error, "the packet is no longer the batch's");
		return NULL;
	}
	if (!b->made) {
		b->made = PyMem_Calloc((size_t)b->n, sizeof(*b->made));
		if (!b->made)
			return PyErr_NoMemory();
	}
	frame = frame_create(b->cls, b->memory, &b->descs[i]);
	if (!frame)
		return NULL;
	b->n_made++;
	if (b->views)
		frame_pin((struct frame *)frame);
	return frame;
}

static PyObject *batch_item(PyObject *self, Py_ssize_t i)
{
	struct batch *b = (struct batch *)self;

	if (batch_check(b) < 0)
		return NULL;
	if (i < 0 || i >= b->n || !batch_made(b, i)) {
		PyObject *frame = batch_make(b, i);

		if (!frame)
			return NULL;
		b->made[i] = frame;
	}
	return Py_NewRef(b->made[i]);
}

/* The frame alone, no longer the batch's */
static PyObject *batch_take_at(struct batch *b, Py_ssize_t i)
{
	PyObject *frame = (PyObject *)batch_made(b, i);

	if (batch_check(b) < 0)
		return NULL;
	if (b->views) {
		PyErr_SetString(b->memory->view_error, "a view of the batch is still in use");
		return NULL;
	}
	if (!frame) {
		frame = batch_make(b, i);
		if (!frame)
			return NULL;
	}
	b->made[i] = TAKEN;
	return frame;
}

static PyObject *batch_take(PyObject *self, PyObject *unused)
{
	struct batch *b = (struct batch *)self;

	(void)unused;
	if (b->next >= b->n)
		Py_RETURN_NONE;
	return batch_take_at(b, b->next++);
}

static Py_ssize_t batch_length(PyObject *self)
{
	return ((struct batch *)self)->n;
}

/* Give back what no frame object owns */
static void batch_give_back(struct batch *b)
{
	Py_ssize_t i;

	if (!b->n_made) {
		memory_give_back_run(b->memory, b->descs + b->sent, b->n - b->sent);
		return;
	}
	for (i = b->sent; i < b->n; i++)
		if (batch_owns(b, i))
			memory_give_back(b->memory, &b->descs[i]);
}

static void batch_let_go(struct batch *b)
{
	Py_ssize_t i;

	b->released = true;
	for (i = b->sent; b->n_made && i < b->n; i++)
		if (batch_made(b, i))
			frame_let_go(batch_made(b, i));
	if (!b->views)
		batch_give_back(b);
}

static PyObject *batch_release(PyObject *self, PyObject *unused)
{
	struct batch *b = (struct batch *)self;

	(void)unused;
	if (!b->released) {
		batch_let_go(b);
		memory_flush(b->memory);
	}
	Py_RETURN_NONE;
}

static PyObject *batch_enter(PyObject *self, PyObject *unused)
{
	(void)unused;
	return Py_NewRef(self);
}

static PyObject *batch_exit(PyObject *self, PyObject *const *args, Py_ssize_t n_args)
{
	(void)args;
	(void)n_args;
	return batch_release(self, NULL);
}

static int batch_getbuffer(PyObject *self, Py_buffer *view, int flags)
{
	struct batch *b = (struct batch *)self;
	struct memory *m = b->memory;
	Py_ssize_t i;

	view->obj = NULL;
	if (batch_check(b) < 0)
		return -1;
	if (PyBuffer_FillInfo(view, self, m->rx, (Py_ssize_t)m->rx_bytes, 1, flags) < 0)
		return -1;
	if (b->views++)
		return 0;
	b->newer = NULL;
	b->older = m->viewed_batches;
	if (b->older)
		b->older->newer = b;
	m->viewed_batches = b;
	for (i = b->sent; b->n_made && i < b->n; i++)
		if (batch_made(b, i))
			frame_pin(batch_made(b, i));
	return 0;
}

static void batch_releasebuffer(PyObject *self, Py_buffer *view)
{
	struct batch *b = (struct batch *)self;
	Py_ssize_t i;

	(void)view;
	if (--b->views)
		return;
	if (b->newer)
		b->newer->older = b->older;
	else
		b->memory->viewed_batches = b->older;
	if (b->older)
		b->older->newer = b->newer;
	for (i = b->sent; b->n_made && i < b->n; i++)
		if (batch_made(b, i))
			frame_unpin(batch_made(b, i));
	if (b->released)
		batch_give_back(b);
}

unsigned int batches_viewed(const struct memory *m, struct ntzc_desc *descs)
{
	const struct batch *b;
	unsigned int n = 0;
	Py_ssize_t i;

	for (b = m->viewed_batches; b; b = b->older) {
		for (i = b->sent; i < b->n; i++) {
			if (!batch_owns(b, i))
				continue; /* a frame of its own, which is pinned */
			if (descs)
				descs[n] = b->descs[i];
			n++;
		}
	}
	return n;
}

/* The descriptors, immutable: room for more than there are */
static PyObject *batch_store(PyObject *self, PyObject *unused)
{
	struct batch *b = (struct batch *)self;

	(void)unused;
	return batch_check(b) < 0 ? NULL : Py_NewRef(b->store);
}

static PyObject *batch_bytes(PyObject *self, PyObject *arg)
{
	struct batch *b = (struct batch *)self;
	Py_ssize_t width = PyLong_AsSsize_t(arg);

	if (width < 0) {
		if (!PyErr_Occurred())
			PyErr_Format(PyExc_ValueError,
				     "a packet has no %zd bytes: ask for 0 or more", width);
		return NULL;
	}
	/* to make room may run any Python: another thread's, or what the collector finds */
	if (batch_check(b) < 0 || rows_prepare(b->memory, b->n, width) < 0 ||
	    batch_check_holds(b, 0, b->n) < 0)
		return NULL;
	return rows_array(b->memory, b->descs, b->n, width);
}

/* For who is about to look at it through a view of the batch's, which then keeps it */
static PyObject *batch_check_at(PyObject *self, PyObject *arg)
{
	struct batch *b = (struct batch *)self;
	Py_ssize_t i = PyLong_AsSsize_t(arg);

	if (i == -1 && PyErr_Occurred())
		return NULL;
	if (i < 0 || i >= b->n) {
		PyErr_SetString(PyExc_IndexError, "no such frame in the batch");
		return NULL;
	}
	if (batch_check_holds(b, i, i + 1) < 0)
		return NULL;
	Py_RETURN_NONE;
}

/* Copy a frame into a reserved buffer, and note its length and tag. Return: 0, or -1. */
static int batch_put_one(struct batch *b, Py_ssize_t i, PyObject *frame, int tci)
{
	struct ntzc_desc *desc;
	unsigned char *room;
	Py_buffer data;
	int err = -1;

	if (PyObject_GetBuffer(frame, &data, PyBUF_FULL_RO) < 0)
		return -1;
	/* only now: whose bytes they are may be a program, which has just run */
	if (batch_check(b) < 0)
		goto out;
	if (i >= b->n || !batch_owns(b, i) || !(b->descs[i].handle & NTZC_HANDLE_TX)) {
		PyErr_SetString(PyExc_IndexError, "no such buffer to fill");
		goto out;
	}
	desc = &b->descs[i];
	if (data.len > desc->len) {
		PyErr_Format(PyExc_ValueError, "a frame of %zd bytes in a buffer of %u", data.len,
			     (unsigned int)desc->len);
		goto out;
	}
	room = memory_bytes(b->memory, desc);
	if (!room || PyBuffer_ToContiguous(room, &data, data.len, 'C') < 0)
		goto out;
	desc->len = (__u32)data.len;
	desc->flags = tci >= 0 ? NTZC_TX_VLAN : 0;
	desc->vlan_tci = tci >= 0 ? (__u16)tci : 0;
	err = 0;
out:
	PyBuffer_Release(&data);
	return err;
}

static PyObject *batch_put(PyObject *self, PyObject *args)
{
	struct batch *b = (struct batch *)self;
	Py_ssize_t i, start;
	PyObject *frames;
	int tci, err;

	if (!PyArg_ParseTuple(args, "O!ni", &PyList_Type, &frames, &start, &tci))
		return NULL;
	if (batch_check(b) < 0)
		return NULL;
	for (i = 0; i < b->n; i++) {
		PyObject *frame;

		if (start < 0 || start + i >= PyList_Size(frames)) {
			PyErr_SetString(PyExc_IndexError, "no frame for a buffer");
			return NULL;
		}
		frame = Py_NewRef(PyList_GetItem(frames, start + i));
		err = batch_put_one(b, i, frame, tci);
		Py_DECREF(frame);
		if (err < 0)
			return NULL;
	}
	Py_RETURN_NONE;
}

/* Whether its frames can be handed over: all that is left is ours alone */
static int batch_check_whole(const struct batch *b)
{
	if (batch_check(b) < 0)
		return -1;
	if (b->views || b->n_made) {
		PyErr_SetString(b->memory->view_error,
				"an array over the batch, or a packet of it, is still in use; "
				"drop it first");
		return -1;
	}
	return 0;
}

/* Hand over what is left, without waiting; what the kernel took is no longer ours */
static PyObject *batch_forward(PyObject *self, PyObject *args)
{
	struct batch *b = (struct batch *)self;
	unsigned long long function;
	unsigned int target;
	int n;

	if (!PyArg_ParseTuple(args, "KI", &function, &target) || batch_check_whole(b) < 0)
		return NULL;
	n = ((forward_fn)(uintptr_t)function)(b->memory->tap, b->descs + b->sent,
					      (unsigned int)(b->n - b->sent), target, 0);
	if (n > 0)
		b->sent += n;
	return PyLong_FromLong(n);
}

/* Bytes for @room descriptors: those of a batch before, if they do, or new ones */
static PyObject *store_take(struct memory *m, Py_ssize_t room)
{
	Py_ssize_t bytes = room * (Py_ssize_t)sizeof(struct ntzc_desc);
	PyObject *store = m->spare;

	if (!store || PyBytes_Size(store) != bytes)
		return PyBytes_FromStringAndSize(NULL, bytes);
	m->spare = NULL;
	return store;
}

/* Nobody but a batch that dies had it, no array either: the next batch may write to it */
static void store_give(struct memory *m, PyObject *store)
{
	PyObject *old = m->spare;

	if (Py_REFCNT(store) > 1) {
		Py_DECREF(store);
		return;
	}
	m->spare = store;
	Py_XDECREF(old);
}

PyObject *batch_create(PyTypeObject *cls, struct memory *m, PyTypeObject *frames, Py_ssize_t room)
{
	struct batch *b = (struct batch *)PyType_GenericAlloc(cls, 0);

	if (!b)
		return NULL;
	b->memory = (struct memory *)Py_NewRef((PyObject *)m);
	b->cls = (PyTypeObject *)Py_NewRef((PyObject *)frames);
	b->store = store_take(m, room);
	if (!b->store) {
		Py_DECREF((PyObject *)b);
		return NULL;
	}
	b->descs = (struct ntzc_desc *)(void *)PyBytes_AsString(b->store);
	return (PyObject *)b;
}

int batch_read(PyObject *self, uintptr_t function, Py_ssize_t room)
{
	struct batch *b = (struct batch *)self;
	int n = ((read_fn)function)(b->memory->tap, b->descs, (unsigned int)room, 0);

	if (n > 0)
		b->n = n;
	/* a signal, whose handler runs before anything is made of this: nothing was read */
	return n == -EINTR ? 0 : n;
}

static void batch_dealloc(PyObject *self)
{
	PyTypeObject *type = Py_TYPE(self);
	struct batch *b = (struct batch *)self;
	Py_ssize_t i;

	/* frames that somebody else also has live on: only what is ours alone goes */
	if (!b->released)
		batch_give_back(b);
	for (i = 0; b->n_made && i < b->n; i++)
		if (batch_made(b, i))
			Py_DECREF(b->made[i]);
	PyMem_Free(b->made);
	Py_XDECREF(b->array);
	if (b->store)
		store_give(b->memory, b->store);
	Py_DECREF((PyObject *)b->cls);
	Py_DECREF((PyObject *)b->memory);
	((freefunc)PyType_GetSlot(type, Py_tp_free))(self);
	Py_DECREF(type);
}

static PyMethodDef batch_methods[] = {
	{ "release", batch_release, METH_NOARGS,
	  "release()\n--\n\nGive all its packets back. Again: no effect." },
	{ "_take", batch_take, METH_NOARGS,
	  "_take() -> frame or None: the next one, no longer the batch's." },
	{ "_put", batch_put, METH_VARARGS,
	  "_put(frames, start, tci): fill all with a list's, from one on; tci < 0: no tag." },
	{ "_forward", batch_forward, METH_VARARGS,
	  "_forward(function, target) -> int: hand what is left to ntzc_tap_forward." },
	{ "_store", batch_store, METH_NOARGS,
	  "_store() -> bytes: struct ntzc_desc of each frame, and room after them." },
	{ "_check", batch_check_at, METH_O,
	  "_check(index): raise ReleasedError if that frame cannot be looked at any more." },
	{ "bytes", batch_bytes, METH_O,
	  "bytes($self, count, /)\n--\n\n"
	  "Return a copy of the first *count* bytes of each packet.\n\n"
	  "A numpy array of uint8, its shape is (packets, *count*); a packet that is shorter is\n"
	  "filled up with zeros. It may be kept and written to. Small ones are cut out of blocks of\n"
	  "64 KiB, which live as long as one of their arrays. Raises ReleasedError, ClosedError,\n"
	  "ValueError." },
	{ "__class_getitem__", Py_GenericAlias, METH_O | METH_CLASS, NULL },
	{ "__enter__", batch_enter, METH_NOARGS, NULL },
	/* called for each batch: without a tuple for its arguments */
	{ "__exit__", (PyCFunction)(void (*)(void))batch_exit, METH_FASTCALL, NULL },
	{ NULL, NULL, 0, NULL },
};

static PyObject *batch_released(PyObject *self, void *unused)
{
	const struct batch *b = (const struct batch *)self;

	(void)unused;
	return PyBool_FromLong(b->released || !b->memory->open);
}

static PyMemberDef batch_members[] = {
	{ "_array", T_OBJECT, offsetof(struct batch, array), 0,
	  "An array over _store(), or None." },
	{ "_memory", T_OBJECT_EX, offsetof(struct batch, memory), READONLY, "Of the tap." },
	{ "_made", T_PYSSIZET, offsetof(struct batch, n_made), READONLY,
	  "How many frames became objects." },
	{ "_sent", T_PYSSIZET, offsetof(struct batch, sent), READONLY,
	  "How many were submitted, from the first on." },
	{ NULL, 0, 0, 0, NULL },
};

static PyGetSetDef batch_getset[] = {
	{ "released", batch_released, NULL, "Whether it can no longer be looked at.", NULL },
	{ NULL, NULL, NULL, NULL, NULL },
};

static PyType_Slot batch_slots[] = {
	{ Py_tp_doc, "Frames that came in together." },
	{ Py_tp_dealloc, batch_dealloc },
	{ Py_tp_methods, batch_methods },
	{ Py_tp_members, batch_members },
	{ Py_tp_getset, batch_getset },
	{ Py_bf_getbuffer, batch_getbuffer },
	{ Py_bf_releasebuffer, batch_releasebuffer },
	{ Py_sq_length, batch_length },
	{ Py_sq_item, batch_item },
	{ 0, NULL },
};

static PyType_Spec batch_spec = {
	.name = "pyntzc._frames.Batch",
	.basicsize = sizeof(struct batch),
	.flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_DISALLOW_INSTANTIATION,
	.slots = batch_slots,
};

int batch_register(PyObject *module)
{
	batch_type = (PyTypeObject *)PyType_FromModuleAndSpec(module, &batch_spec, NULL);
	return batch_type ? PyModule_AddType(module, batch_type) : -1;
}
