// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Batches one after another. In Python this would be a generator, which for each batch costs
 * as much as a hundred packets do; here only what waits is in Python.
 *
 * Unlike all else here it may be part of a cycle, as somebody's iterator over a tap that they
 * keep in it, so Python's collector knows it.
 */
#include "frames.h"

static PyTypeObject *batches_type;

struct batches {
	PyObject_HEAD
	struct memory *memory;
	PyTypeObject *cls, *frames;	/* of the batches, and of what is in them */
	uintptr_t function;		/* ntzc_tap_peek */
	Py_ssize_t room;
	PyObject *wait;			/* what to do where none waits; NULL: it is over */
};

PyObject *batches_create(struct memory *m, PyTypeObject *cls, PyTypeObject *frames,
			 uintptr_t function, Py_ssize_t room, PyObject *wait)
{
	struct batches *all = (struct batches *)PyType_GenericAlloc(batches_type, 0);

	if (!all)
		return NULL;
	all->memory = (struct memory *)Py_NewRef((PyObject *)m);
	all->cls = (PyTypeObject *)Py_NewRef((PyObject *)cls);
	all->frames = (PyTypeObject *)Py_NewRef((PyObject *)frames);
	all->function = function;
	all->room = room;
	all->wait = Py_NewRef(wait);
	return (PyObject *)all;
}

/* Let Python wait, or raise what @code is. Return: a batch; NULL at the end, or with an exception. */
static PyObject *batches_wait(struct batches *all, Py_ssize_t code)
{
	PyObject *number = PyLong_FromSsize_t(code), *wait = Py_NewRef(all->wait), *batch = NULL;

	if (number)
		batch = PyObject_CallFunctionObjArgs(wait, number, NULL);
	Py_DECREF(wait);
	Py_XDECREF(number);
	if (batch && PySequence_Size(batch) > 0)
		return batch;
	Py_XDECREF(batch);
	Py_CLEAR(all->wait);
	return NULL;
}

static PyObject *batches_next(PyObject *self)
{
	struct batches *all = (struct batches *)self;
	PyObject *batch;
	int n;

	if (!all->wait)
		return NULL;
	if (!all->memory->open)
		return memory_closed(all->memory);
	batch = batch_create(all->cls, all->memory, all->frames, all->room);
	if (!batch)
		return NULL;
	n = batch_read(batch, all->function, all->room);
	if (n > 0)
		return batch;
	Py_DECREF(batch);
	return batches_wait(all, n);
}

static int batches_traverse(PyObject *self, visitproc visit, void *arg)
{
	struct batches *all = (struct batches *)self;

	Py_VISIT(Py_TYPE(self));
	Py_VISIT((PyObject *)all->memory);
	Py_VISIT((PyObject *)all->cls);
	Py_VISIT((PyObject *)all->frames);
	Py_VISIT(all->wait);
	return 0;
}

static int batches_clear(PyObject *self)
{
	struct batches *all = (struct batches *)self;

	Py_CLEAR(all->wait);
	return 0;
}

static void batches_dealloc(PyObject *self)
{
	PyTypeObject *type = Py_TYPE(self);
	struct batches *all = (struct batches *)self;

	PyObject_GC_UnTrack(self);
	Py_XDECREF((PyObject *)all->memory);
	Py_XDECREF((PyObject *)all->cls);
	Py_XDECREF((PyObject *)all->frames);
	Py_XDECREF(all->wait);
	((freefunc)PyType_GetSlot(type, Py_tp_free))(self);
	Py_DECREF(type);
}

static PyType_Slot batches_slots[] = {
	{ Py_tp_doc, "Batches one after another, until none comes in time." },
	{ Py_tp_dealloc, batches_dealloc },
	{ Py_tp_traverse, batches_traverse },
	{ Py_tp_clear, batches_clear },
	{ Py_tp_iter, PyObject_SelfIter },
	{ Py_tp_iternext, batches_next },
	{ 0, NULL },
};

static PyType_Spec batches_spec = {
	.name = "pyntzc._frames.Batches",
	.basicsize = sizeof(struct batches),
	.flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION,
	.slots = batches_slots,
};

int batches_register(PyObject *module)
{
	batches_type = (PyTypeObject *)PyType_FromModuleAndSpec(module, &batches_spec, NULL);
	return batches_type ? PyModule_AddType(module, batches_type) : -1;
}
