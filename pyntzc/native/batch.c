// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Frames as one read gave them. A frame becomes a Python object only when it is
 * asked for; until then the batch itself owns it, as a descriptor.
 */
#include "frames.h"

PyTypeObject *batch_type;

struct batch {
	PyObject_HEAD
	struct memory *memory;
	PyTypeObject *cls;		/* of the frames */
	struct ntzc_desc *descs;
	PyObject **made;		/* by index: the frame, or NULL: not made yet, or taken;
					 * NULL until the first is made */
	Py_ssize_t n;
	Py_ssize_t n_made;		/* made or taken: if none, all are the batch's own */
	Py_ssize_t next;		/* to take */
	Py_ssize_t sent;		/* to send: how many were submitted */
	bool released;
};

typedef int (*read_fn)(struct ntzc_tap *tap, struct ntzc_desc *descs, unsigned int n,
		       int timeout_ms);
typedef int (*submit_fn)(struct ntzc_tap *tap, const struct ntzc_desc *descs, unsigned int n,
			 int timeout_ms);

/* A taken frame belongs to whoever took it: its descriptor no longer names anything */
#define TAKEN 0xffffffffu

static bool batch_owns(const struct batch *b, Py_ssize_t i)
{
	return !(b->made && b->made[i]) && b->descs[i].len != TAKEN;
}

static PyObject *batch_make(struct batch *b, Py_ssize_t i)
{
	PyObject *frame;

	if (i < 0 || i >= b->n) {
		PyErr_SetString(PyExc_IndexError, "no such frame in the batch");
		return NULL;
	}
	if (b->released || b->descs[i].len == TAKEN) {
		PyErr_SetString(b->memory->released_error, "the batch was given back");
		return NULL;
	}
	if (!b->made) {
		b->made = PyMem_Calloc((size_t)b->n, sizeof(*b->made));
		if (!b->made)
			return PyErr_NoMemory();
	}
	frame = frame_create(b->cls, b->memory, &b->descs[i]);
	if (frame)
		b->n_made++;
	return frame;
}

static PyObject *batch_item(PyObject *self, Py_ssize_t i)
{
	struct batch *b = (struct batch *)self;

	if (i < 0 || i >= b->n || !b->made || !b->made[i]) {
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
	PyObject *frame;

	if (b->made && b->made[i]) {
		frame = b->made[i];
		b->made[i] = NULL;
	} else {
		frame = batch_make(b, i);
		if (!frame)
			return NULL;
	}
	b->descs[i].len = TAKEN;
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

static void batch_let_go(struct batch *b)
{
	Py_ssize_t i;

	if (b->released)
		return;
	b->released = true;
	if (!b->n_made) {
		memory_give_back_run(b->memory, b->descs + b->sent, b->n - b->sent);
		return;
	}
	for (i = b->sent; i < b->n; i++) {
		if (b->made[i])
			frame_let_go((struct frame *)b->made[i]);
		else if (batch_owns(b, i))
			memory_give_back(b->memory, b->descs[i].handle);
	}
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

static PyObject *batch_exit(PyObject *self, PyObject *args)
{
	(void)args;
	return batch_release(self, NULL);
}

/* Copy a frame into a reserved buffer, and note its length and tag */
static PyObject *batch_put(PyObject *self, PyObject *args)
{
	struct batch *b = (struct batch *)self;
	struct ntzc_desc *desc;
	Py_ssize_t i;
	Py_buffer data;
	int tci;

	if (!PyArg_ParseTuple(args, "ny*i", &i, &data, &tci))
		return NULL;
	if (b->released || i < b->sent || i >= b->n || !batch_owns(b, i) ||
	    !(b->descs[i].handle & NTZC_HANDLE_TX)) {
		PyErr_SetString(PyExc_IndexError, "no such buffer to fill");
		goto fail;
	}
	desc = &b->descs[i];
	if (data.len > desc->len) {
		PyErr_Format(PyExc_ValueError, "a frame of %zd bytes in a buffer of %u", data.len,
			     (unsigned int)desc->len);
		goto fail;
	}
	if (desc->offset > b->memory->tx_bytes ||
	    desc->len > b->memory->tx_bytes - desc->offset) {
		PyErr_SetString(PyExc_SystemError, "a descriptor points outside the mapping");
		goto fail;
	}
	if (PyBuffer_ToContiguous(b->memory->tx + desc->offset, &data, data.len, 'C') < 0)
		goto fail;
	desc->len = (__u32)data.len;
	desc->flags = tci >= 0 ? NTZC_TX_VLAN : 0;
	desc->vlan_tci = tci >= 0 ? (__u16)tci : 0;
	PyBuffer_Release(&data);
	Py_RETURN_NONE;

fail:
	PyBuffer_Release(&data);
	return NULL;
}

/* Submit what was not submitted yet, without waiting. What was taken is no longer ours. */
static PyObject *batch_submit(PyObject *self, PyObject *address)
{
	struct batch *b = (struct batch *)self;
	unsigned long long function = PyLong_AsUnsignedLongLong(address);
	int n;

	if (PyErr_Occurred())
		return NULL;
	if (!b->memory->open)
		return memory_closed(b->memory);
	if (b->released || b->n_made) {
		PyErr_SetString(PyExc_ValueError, "a batch is submitted whole");
		return NULL;
	}
	n = ((submit_fn)(uintptr_t)function)(b->memory->tap, b->descs + b->sent,
					     (unsigned int)(b->n - b->sent), 0);
	if (n > 0)
		b->sent += n;
	return PyLong_FromLong(n);
}

PyObject *batch_create(PyTypeObject *cls, struct memory *m, PyTypeObject *frames, Py_ssize_t room)
{
	struct batch *b = (struct batch *)PyType_GenericAlloc(cls, 0);

	if (!b)
		return NULL;
	b->memory = (struct memory *)Py_NewRef((PyObject *)m);
	b->cls = (PyTypeObject *)Py_NewRef((PyObject *)frames);
	b->descs = PyMem_Malloc((size_t)room * sizeof(*b->descs));
	if (!b->descs) {
		Py_DECREF((PyObject *)b);
		return PyErr_NoMemory();
	}
	return (PyObject *)b;
}

int batch_read(PyObject *self, uintptr_t function, Py_ssize_t room)
{
	struct batch *b = (struct batch *)self;
	int n = ((read_fn)function)(b->memory->tap, b->descs, (unsigned int)room, 0);

	if (n > 0)
		b->n = n;
	return n;
}

static void batch_dealloc(PyObject *self)
{
	PyTypeObject *type = Py_TYPE(self);
	struct batch *b = (struct batch *)self;
	Py_ssize_t i;

	/* frames that somebody else also has live on: only what is ours alone goes */
	if (b->n_made) {
		for (i = b->sent; i < b->n; i++) {
			if (!b->released && batch_owns(b, i))
				memory_give_back(b->memory, b->descs[i].handle);
			Py_XDECREF(b->made[i]);
		}
	} else if (!b->released) {
		memory_give_back_run(b->memory, b->descs + b->sent, b->n - b->sent);
	}
	PyMem_Free(b->descs);
	PyMem_Free(b->made);
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
	  "_put(index, data, tci): copy a frame into a reserved buffer; tci < 0: no tag." },
	{ "_submit", batch_submit, METH_O,
	  "_submit(function) -> int: hand what is left to ntzc_tap_submit." },
	{ "__class_getitem__", Py_GenericAlias, METH_O | METH_CLASS, NULL },
	{ "__enter__", batch_enter, METH_NOARGS, NULL },
	{ "__exit__", batch_exit, METH_VARARGS, NULL },
	{ NULL, NULL, 0, NULL },
};

static PyMemberDef batch_members[] = {
	{ "released", T_BOOL, offsetof(struct batch, released), READONLY,
	  "Whether its packets were given back." },
	{ NULL, 0, 0, 0, NULL },
};

static PyType_Slot batch_slots[] = {
	{ Py_tp_doc, "Frames that came in together." },
	{ Py_tp_dealloc, batch_dealloc },
	{ Py_tp_methods, batch_methods },
	{ Py_tp_members, batch_members },
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
