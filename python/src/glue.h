/* glue.h -- what the three extension modules share: failures as exceptions, handles as capsules,
 * calls that are followed. Each module is one party's and links that party's library alone.
 *
 * A handle is a capsule: it frees what it holds when nobody has it any more, and every call keeps
 * those it was given, so that nothing is used after it was freed.
 */
#ifndef HELRM_GLUE_H
#define HELRM_GLUE_H

#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x030b0000
#include <Python.h>

#include <helrm/status.h>
#include <helrm/watch.h>
#include <stdint.h>

/* A followed call: signals are looked at, and a callback is told. */
typedef struct glue_call {
	PyObject *callback; /* borrowed; NULL or None: nobody is told */
	PyThreadState *thread;
	PyObject *type, *value, *traceback; /* what ended it */
	hel_watch watch;
} glue_call;

static bool glue_tell(void *arg, double done)
{
	glue_call *c = arg;
	bool on;
	PyEval_RestoreThread(c->thread);
	on = PyErr_CheckSignals() == 0;
	if (on && c->callback) {
		PyObject *said = PyObject_CallFunction(c->callback, "d", done);
		on = said && said != Py_False;
		Py_XDECREF(said);
	}
	if (!on && PyErr_Occurred())
		PyErr_Fetch(&c->type, &c->value, &c->traceback);
	c->thread = PyEval_SaveThread();
	return on;
}

/* The lock of the interpreter is given up until glue_end(). */
static inline const hel_watch *glue_begin(glue_call *c, PyObject *callback)
{
	*c = (glue_call){.callback = callback == Py_None ? NULL : callback};
	c->watch = (hel_watch){glue_tell, c};
	c->thread = PyEval_SaveThread();
	return &c->watch;
}

/* helrm.errors knows an exception for each status. */
static inline void glue_raise(hel_status st, const char *detail)
{
	PyObject *errors = PyImport_ImportModule("helrm.errors"), *error = NULL;
	if (errors)
		error =
		    PyObject_CallMethod(errors, "of", "iss", (int)st, hel_status_text(st), detail);
	if (error)
		PyErr_SetObject((PyObject *)Py_TYPE(error), error);
	Py_XDECREF(error);
	Py_XDECREF(errors);
}

/* Takes the lock again; false: an exception is set. */
static inline bool glue_end(glue_call *c, hel_status st)
{
	PyEval_RestoreThread(c->thread);
	if (c->type) {
		PyErr_Restore(c->type, c->value, c->traceback);
		return false;
	}
	if (st != HEL_OK)
		glue_raise(st, hel_error_detail());
	return st == HEL_OK;
}

/* For calls that are over at once, and keep the lock. */
static inline bool glue_ok(hel_status st)
{
	if (st != HEL_OK)
		glue_raise(st, hel_error_detail());
	return st == HEL_OK;
}

/* What a handle of this name holds; NULL with a TypeError where it is none. */
static inline void *glue_get(PyObject *handle, const char *name)
{
	if (!PyCapsule_IsValid(handle, name)) {
		PyErr_Format(PyExc_TypeError, "expected a handle of %s", name);
		return NULL;
	}
	return PyCapsule_GetPointer(handle, name);
}

/* A handle, and what it keeps alive (may be NULL); frees what it cannot wrap. */
static inline PyObject *glue_handle(void *held, const char *name, PyCapsule_Destructor destroy,
				    PyObject *kept, void (*free_held)(void *))
{
	PyObject *handle = PyCapsule_New(held, name, destroy);
	if (!handle) {
		free_held(held);
		return NULL;
	}
	Py_XINCREF(kept);
	if (kept)
		PyCapsule_SetContext(handle, kept);
	return handle;
}

/* A destructor, and what frees the held, for a type of the library. */
#define GLUE_HANDLE(type, name, free_it)                                                           \
	static void free_##name(void *held)                                                        \
	{                                                                                          \
		free_it((type *)held);                                                             \
	}                                                                                          \
	static void destroy_##name(PyObject *handle)                                               \
	{                                                                                          \
		PyObject *kept = PyCapsule_GetContext(handle);                                     \
		free_##name(PyCapsule_GetPointer(handle, #type));                                  \
		Py_XDECREF(kept);                                                                  \
	}                                                                                          \
	static PyObject *handle_##name(type *held, PyObject *kept)                                 \
	{                                                                                          \
		return glue_handle(held, #type, destroy_##name, kept, free_##name);                \
	}

/* Bytes of the library as Python's; frees them. */
static inline PyObject *glue_bytes(uint8_t *bytes, size_t size)
{
	PyObject *out = PyBytes_FromStringAndSize((const char *)bytes, (Py_ssize_t)size);
	hel_bytes_free(bytes, size);
	return out;
}

/* Room for `size` bytes in a buffer that is written to. */
static inline bool glue_room(const Py_buffer *b, size_t size)
{
	if ((size_t)b->len == size)
		return true;
	PyErr_Format(PyExc_ValueError, "a buffer of %zd bytes, expected %zu", b->len, size);
	return false;
}

#define GLUE_MODULE(module, docs, methods)                                                         \
	static PyModuleDef module##_definition = {                                                 \
	    .m_base = PyModuleDef_HEAD_INIT,                                                       \
	    .m_name = "helrm." #module,                                                            \
	    .m_doc = docs,                                                                         \
	    .m_size = 0,                                                                           \
	    .m_methods = methods,                                                                  \
	};                                                                                         \
	PyMODINIT_FUNC PyInit_##module(void);                                                      \
	PyMODINIT_FUNC PyInit_##module(void)                                                       \
	{                                                                                          \
		return PyModuleDef_Init(&module##_definition);                                     \
	}

#endif
