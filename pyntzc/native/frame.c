// SPDX-License-Identifier: GPL-2.0-or-later
/* One held buffer. Its bytes are seen through the buffer protocol alone, which counts. */
#include "frames.h"

PyTypeObject *frame_type;

static void frame_link(struct frame *f)
{
	f->prev = NULL;
	f->next = f->memory->viewed;
	if (f->next)
		f->next->prev = f;
	f->memory->viewed = f;
}

static void frame_unlink(struct frame *f)
{
	if (f->prev)
		f->prev->next = f->next;
	else
		f->memory->viewed = f->next;
	if (f->next)
		f->next->prev = f->prev;
	f->next = f->prev = NULL;
}

static void frame_view(struct frame *f)
{
	if (!f->views++)
		frame_link(f);
}

static void frame_unview(struct frame *f)
{
	if (--f->views)
		return;
	frame_unlink(f);
	if (f->state == FRAME_RELEASED) {
		f->state = FRAME_GONE;
		memory_give_back(f->memory, &f->desc);
	}
}

PyObject *frame_create(PyTypeObject *cls, struct memory *m, const struct ntzc_desc *desc)
{
	struct frame *f = (struct frame *)PyType_GenericAlloc(cls, 0);

	if (!f)
		return NULL;
	f->memory = (struct memory *)Py_NewRef((PyObject *)m);
	f->desc = *desc;
	return (PyObject *)f;
}

void frame_let_go(struct frame *f)
{
	if (f->state != FRAME_HELD)
		return;
	f->state = FRAME_RELEASED;
	if (!f->views) {
		f->state = FRAME_GONE;
		memory_give_back(f->memory, &f->desc);
	}
}

static int frame_check(const struct frame *f)
{
	if (!f->memory->open) {
		memory_closed(f->memory);
		return -1;
	}
	if (f->state != FRAME_HELD) {
		PyErr_SetString(f->memory->released_error,
				"the buffer was given back; copy what is needed later, "
				"or hold on to it by not releasing it");
		return -1;
	}
	return 0;
}

static int frame_getbuffer(PyObject *self, Py_buffer *view, int flags)
{
	struct frame *f = (struct frame *)self;
	bool tx = f->desc.handle & NTZC_HANDLE_TX;
	unsigned char *bytes;

	view->obj = NULL;
	if (frame_check(f) < 0)
		return -1;
	bytes = memory_bytes(f->memory, &f->desc);
	if (!bytes || PyBuffer_FillInfo(view, self, bytes, f->desc.len, !tx, flags) < 0)
		return -1;
	frame_view(f);
	return 0;
}

static void frame_releasebuffer(PyObject *self, Py_buffer *view)
{
	(void)view;
	frame_unview((struct frame *)self);
}

void frame_pin(struct frame *f)
{
	if (f->state == FRAME_HELD || f->state == FRAME_RELEASED) {
		f->pinned = true;
		frame_view(f);
	}
}

void frame_unpin(struct frame *f)
{
	if (f->pinned) {
		f->pinned = false;
		frame_unview(f);
	}
}

static PyObject *frame_data(PyObject *self, void *unused)
{
	(void)unused;
	return PyMemoryView_FromObject(self);
}

static PyObject *frame_released(PyObject *self, void *unused)
{
	const struct frame *f = (const struct frame *)self;

	(void)unused;
	return PyBool_FromLong(f->state != FRAME_HELD || !f->memory->open);
}

static PyObject *frame_release(PyObject *self, PyObject *unused)
{
	struct frame *f = (struct frame *)self;

	(void)unused;
	if (f->state == FRAME_HELD) {
		frame_let_go(f);
		if (f->state == FRAME_GONE)
			memory_flush(f->memory);
	}
	Py_RETURN_NONE;
}

static PyObject *frame_enter(PyObject *self, PyObject *unused)
{
	(void)unused;
	return Py_NewRef(self);
}

static PyObject *frame_exit(PyObject *self, PyObject *args)
{
	(void)args;
	return frame_release(self, NULL);
}

int frame_lend(struct frame *f)
{
	if (frame_check(f) < 0)
		return -1;
	if (f->views) {
		PyErr_SetString(f->memory->view_error,
				"a memoryview of the buffer is still in use; release it first "
				"(view.release(), or with buffer.data as view)");
		return -1;
	}
	f->state = FRAME_LENT;
	return 0;
}

void frame_settle(struct frame *f, bool taken)
{
	f->state = taken ? FRAME_GONE : FRAME_HELD;
}

static PyObject *frame_describe(PyObject *self, PyObject *unused)
{
	const struct frame *f = (const struct frame *)self;

	(void)unused;
	return PyBytes_FromStringAndSize((const char *)&f->desc, sizeof(f->desc));
}

static Py_ssize_t frame_length(PyObject *self)
{
	return (Py_ssize_t)((struct frame *)self)->desc.len;
}

static void frame_dealloc(PyObject *self)
{
	PyTypeObject *type = Py_TYPE(self);
	struct frame *f = (struct frame *)self;

	/* a view holds a reference, so there is none */
	frame_let_go(f);
	Py_DECREF((PyObject *)f->memory);
	((freefunc)PyType_GetSlot(type, Py_tp_free))(self);
	Py_DECREF(type);
}

static PyMethodDef frame_methods[] = {
	{ "release", frame_release, METH_NOARGS,
	  "release()\n--\n\nGive the buffer back: at once, or with the last view of it. "
	  "Again: no effect." },
	{ "__enter__", frame_enter, METH_NOARGS, NULL },
	{ "__exit__", frame_exit, METH_VARARGS, NULL },
	{ "_describe", frame_describe, METH_NOARGS, "Its struct ntzc_desc." },
	{ NULL, NULL, 0, NULL },
};

static PyGetSetDef frame_getset[] = {
	{ "data", frame_data, NULL,
	  "A memoryview of the bytes in place, without a copy; unsigned bytes, one dimension.", NULL },
	{ "released", frame_released, NULL, "Whether data can no longer be had.", NULL },
	{ NULL, NULL, NULL, NULL, NULL },
};

#define DESC(name, type, field, doc) \
	{ name, type, offsetof(struct frame, desc) + offsetof(struct ntzc_desc, field), READONLY, doc }

static PyMemberDef frame_members[] = {
	{ "_memory", T_OBJECT_EX, offsetof(struct frame, memory), READONLY, "Of the tap." },
	DESC("timestamp_ns", T_ULONGLONG, timestamp,
	     "When it came in, nanoseconds of the tap's clock (since the epoch by default)."),
	DESC("orig_len", T_USHORT, orig_len,
	     "Bytes on the wire, without FCS and without a stripped VLAN tag."),
	DESC("queue", T_UBYTE, queue, "The card's receive queue that it came in on; tap.host_queue if the host sent it."),
	DESC("hash", T_UINT, hash, "The receive-side-scaling hash, or 0."),
	DESC("_handle", T_UINT, handle, NULL),
	DESC("_offset", T_UINT, offset, NULL),
	DESC("_flags", T_USHORT, flags, NULL),
	DESC("_vlan_tci", T_USHORT, vlan_tci, NULL),
	DESC("_hash_type", T_UBYTE, hash_type, NULL),
	{ NULL, 0, 0, 0, NULL },
};

static PyType_Slot frame_slots[] = {
	{ Py_tp_doc, "A held buffer; given back when it dies, unless it was released before." },
	{ Py_tp_dealloc, frame_dealloc },
	{ Py_tp_methods, frame_methods },
	{ Py_tp_getset, frame_getset },
	{ Py_tp_members, frame_members },
	{ Py_sq_length, frame_length },
	{ Py_bf_getbuffer, frame_getbuffer },
	{ Py_bf_releasebuffer, frame_releasebuffer },
	{ 0, NULL },
};

static PyType_Spec frame_spec = {
	.name = "pyntzc._frames.Frame",
	.basicsize = sizeof(struct frame),
	.flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_DISALLOW_INSTANTIATION,
	.slots = frame_slots,
};

int frame_register(PyObject *module)
{
	frame_type = (PyTypeObject *)PyType_FromModuleAndSpec(module, &frame_spec, NULL);
	return frame_type ? PyModule_AddType(module, frame_type) : -1;
}
