// SPDX-License-Identifier: GPL-2.0-or-later
/* The extension module: four types and nothing else. See frames.h. */
#include "frames.h"

static struct PyModuleDef module_def = {
	PyModuleDef_HEAD_INIT,
	.m_name = "pyntzc._frames",
	.m_doc = "Frames that stay held while anything can read them.",
	.m_size = -1,
};

PyMODINIT_FUNC PyInit__frames(void)
{
	PyObject *module = PyModule_Create(&module_def);

	if (!module)
		return NULL;
	if (memory_register(module) < 0 || frame_register(module) < 0 ||
	    batch_register(module) < 0 || batches_register(module) < 0) {
		Py_DECREF(module);
		return NULL;
	}
	return module;
}
