// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The first bytes of each of a batch's frames, copied into an array of numpy's.
 *
 * Making an array costs the interpreter as much as copying some hundred frames' bytes.
 * So many are cut out of one block, each of its own rows: a slice is half of that.
 */
#include <string.h>

#include "frames.h"

/* A block is kept as long as an array that was cut out of it: not a large one */
#define BLOCK_BYTES	65536
#define BLOCK_ARRAYS	4	/* or it is not worth while */

/* numpy.ndarray and its dtype of bytes: numpy is imported when the first array is asked for */
static PyObject *ndarray, *byte_dtype;

/* memcpy() of a few bytes, as headers are, without a call; pieces may overlap */
static inline void copy_short(unsigned char *to, const unsigned char *from, size_t n)
{
	if (n >= 8) {
		memcpy(to, from, 8);
		memcpy(to + n - 8, from + n - 8, 8);
	} else if (n >= 4) {
		memcpy(to, from, 4);
		memcpy(to + n - 4, from + n - 4, 4);
	} else if (n) {
		to[0] = from[0];
		to[n / 2] = from[n / 2];
		to[n - 1] = from[n - 1];
	}
}

/* The first bytes of each frame, one row a frame: what does not change from one to the next */
struct rows {
	const unsigned char *base;	/* of the mapping, in which all of them are */
	uint64_t limit;			/* a whole row fits at offsets below this */
	size_t width;
};

/* Copy a frame's first bytes. Return: false if it is shorter, or not all are in the mapping. */
static inline __attribute__((always_inline)) bool
row_copy(const struct rows *rows, unsigned char *row, const struct ntzc_desc *desc, size_t width)
{
	if (desc->len < width || desc->offset >= rows->limit)
		return false;
	if (width == 1)
		*row = rows->base[desc->offset];
	else if (width <= 16)
		copy_short(row, rows->base + desc->offset, width);
	else
		memcpy(row, rows->base + desc->offset, width);
	return true;
}

/* In a group the places differ by constants: stepping from one to the next is a third of the work */
#define ROWS_GROUP 8

/*
 * Copy rows as long as they are whole. What a row costs is what an array of frames costs:
 * inlined for the widths that need no call. Return: where the first other one is; of its group
 * the rows before it are written twice.
 */
static inline __attribute__((always_inline)) const struct ntzc_desc *
rows_copy_width(const struct rows *in, unsigned char *row, const struct ntzc_desc *desc,
		const struct ntzc_desc *end, size_t width)
{
	const struct rows rows = *in; /* which no byte of a row can change */

	for (; end - desc >= ROWS_GROUP; desc += ROWS_GROUP, row += ROWS_GROUP * width)
#pragma GCC unroll 8
		for (size_t i = 0; i < ROWS_GROUP; i++)
			if (!row_copy(&rows, row + i * width, desc + i, width))
				goto singly;
singly:
	for (; desc != end && row_copy(&rows, row, desc, width); desc++)
		row += width;
	return desc;
}

static __attribute__((noinline)) const struct ntzc_desc *
rows_copy(const struct rows *rows, unsigned char *row, const struct ntzc_desc *desc,
	  const struct ntzc_desc *end)
{
	if (rows->width == 1)
		return rows_copy_width(rows, row, desc, end, 1);
	if (rows->width <= 16)
		return rows_copy_width(rows, row, desc, end, rows->width);
	return rows_copy_width(rows, row, desc, end, rows->width);
}

/* Fill the rows of all frames, with zeros after a shorter one */
static int rows_fill(const struct memory *m, const struct ntzc_desc *desc, Py_ssize_t n,
		     unsigned char *row, size_t width)
{
	const bool tx = n && desc->handle & NTZC_HANDLE_TX;
	const uint64_t bytes = tx ? m->tx_bytes : m->rx_bytes;
	const struct rows rows = { .base = tx ? m->tx : m->rx,
				   .limit = width <= bytes ? bytes - width + 1 : 0,
				   .width = width };
	const struct ntzc_desc *end = desc + n, *odd;

	for (; desc != end; desc = odd + 1, row += width) {
		const unsigned char *data;
		size_t len;

		odd = rows_copy(&rows, row, desc, end);
		if (odd == end)
			break;
		row += (size_t)(odd - desc) * width;
		len = odd->len < width ? odd->len : width;
		data = memory_bytes(m, odd);
		if (!data)
			return -1;
		memcpy(row, data, len);
		memset(row + len, 0, width - len);
	}
	return 0;
}

static int numpy_import(void)
{
	PyObject *arrays;

	if (ndarray)
		return 0;
	arrays = PyImport_ImportModule("pyntzc._arrays");
	if (!arrays)
		return -1;
	if (!byte_dtype)
		byte_dtype = PyObject_GetAttrString(arrays, "BYTE");
	if (byte_dtype)
		ndarray = PyObject_GetAttrString(arrays, "ndarray");
	Py_DECREF(arrays);
	return ndarray ? 0 : -1;
}

/* Replace the block by one with room for @n rows and, if they are few, for those of more arrays */
static int block_renew(struct block *block, Py_ssize_t n, Py_ssize_t width)
{
	Py_ssize_t rows = n;
	PyObject *store, *array, *old;

	if (width && n > PTRDIFF_MAX / width) {
		PyErr_NoMemory();
		return -1;
	}
	if (width && n <= BLOCK_BYTES / BLOCK_ARRAYS / width)
		rows = BLOCK_BYTES / width;
	store = PyByteArray_FromStringAndSize(NULL, rows * width);
	if (!store)
		return -1;
	array = PyObject_CallFunction(ndarray, "(nn)OO", rows, width, byte_dtype, store);
	if (!array) {
		Py_DECREF(store);
		return -1;
	}
	old = block->array;
	*block = (struct block){ .array = array, .width = width, .left = rows,
				 .store = (unsigned char *)PyByteArray_AsString(store) };
	Py_DECREF(store);
	Py_XDECREF(old);
	return 0;
}

/* Rows @first to @end of @array */
static PyObject *rows_cut(PyObject *array, Py_ssize_t first, Py_ssize_t end)
{
	PyObject *from = PyLong_FromSsize_t(first), *to = PyLong_FromSsize_t(end), *slice = NULL;
	PyObject *cut = NULL;

	if (from && to)
		slice = PySlice_New(from, to, NULL);
	if (slice)
		cut = PyObject_GetItem(array, slice);
	Py_XDECREF(slice);
	Py_XDECREF(from);
	Py_XDECREF(to);
	return cut;
}

int rows_prepare(struct memory *m, Py_ssize_t n, Py_ssize_t width)
{
	struct block *block = &m->block;

	if (numpy_import() < 0)
		return -1;
	/* again, if Python's collector ran, and with it something that used up the new one */
	while (!block->array || block->width != width || block->left < n)
		if (block_renew(block, n, width) < 0)
			return -1;
	return 0;
}

PyObject *rows_array(struct memory *m, const struct ntzc_desc *descs, Py_ssize_t n,
		     Py_ssize_t width)
{
	struct block *block = &m->block;
	PyObject *array = Py_NewRef(block->array), *cut = NULL;
	Py_ssize_t first = block->used;

	/* these rows are ours from here on, whatever runs while they are cut out */
	block->used += n;
	block->left -= n;
	if (rows_fill(m, descs, n, block->store + first * width, (size_t)width) == 0)
		cut = rows_cut(array, first, first + n);
	Py_DECREF(array);
	return cut;
}
