/* helrm._owner: include/helrm/owner.h for Python. */
#include "glue.h"
#include <helrm/owner.h>
#include <stdlib.h>
#include <string.h>

GLUE_HANDLE(hel_recommender, recommender, hel_recommender_free)
GLUE_HANDLE(hel_records, records, hel_records_free)
GLUE_HANDLE(hel_compiled, compiled, hel_compiled_free)

/* --- models ------------------------------------------------------------------------------- */

static PyObject *model_open(PyObject *self, PyObject *args)
{
	(void)self;
	const char *directory;
	glue_call call;
	hel_recommender *r = NULL;
	if (!PyArg_ParseTuple(args, "s", &directory))
		return NULL;
	glue_begin(&call, NULL);
	return glue_end(&call, hel_recommender_open(&r, directory)) ? handle_recommender(r, NULL)
								    : NULL;
}

/* A model with the report on how it came to be. */
static PyObject *with_report(hel_recommender *r, uint8_t *report, size_t size)
{
	PyObject *model = handle_recommender(r, NULL), *said = glue_bytes(report, size);
	PyObject *out = model && said ? PyTuple_Pack(2, model, said) : NULL;
	Py_XDECREF(model);
	Py_XDECREF(said);
	return out;
}

static PyObject *model_import(PyObject *self, PyObject *args)
{
	(void)self;
	Py_buffer weights;
	hel_import_source s = {0};
	glue_call call;
	hel_recommender *r = NULL;
	uint8_t *report = NULL;
	size_t size = 0;
	if (!PyArg_ParseTuple(args, "y*szz", &weights, &s.schema, &s.config, &s.columns))
		return NULL;
	s.weights = weights.buf;
	s.weights_size = (size_t)weights.len;
	glue_begin(&call, NULL);
	const bool ok = glue_end(&call, hel_recommender_import(&r, &report, &size, &s));
	PyBuffer_Release(&weights);
	return ok ? with_report(r, report, size) : NULL;
}

static PyObject *model_train(PyObject *self, PyObject *args)
{
	(void)self;
	Py_buffer rows;
	PyObject *callback;
	hel_training_source s = {0};
	glue_call call;
	hel_recommender *r = NULL;
	uint8_t *report = NULL;
	size_t size = 0;
	if (!PyArg_ParseTuple(args, "szs*O", &s.columns, &s.config, &rows, &callback))
		return NULL;
	s.rows = rows.buf;
	s.rows_size = (size_t)rows.len;
	const hel_watch *watch = glue_begin(&call, callback);
	const bool ok = glue_end(&call, hel_recommender_train(&r, &report, &size, &s, watch));
	PyBuffer_Release(&rows);
	return ok ? with_report(r, report, size) : NULL;
}

static PyObject *model_save(PyObject *self, PyObject *args)
{
	(void)self;
	PyObject *handle;
	const char *directory;
	glue_call call;
	if (!PyArg_ParseTuple(args, "Os", &handle, &directory))
		return NULL;
	const hel_recommender *r = glue_get(handle, "hel_recommender");
	if (!r)
		return NULL;
	glue_begin(&call, NULL);
	if (!glue_end(&call, hel_recommender_save(r, directory)))
		return NULL;
	Py_RETURN_NONE;
}

static PyObject *model_describe(PyObject *self, PyObject *handle)
{
	(void)self;
	uint8_t *json = NULL;
	size_t size = 0;
	const hel_recommender *r = glue_get(handle, "hel_recommender");
	return r && glue_ok(hel_recommender_describe(&json, &size, r)) ? glue_bytes(json, size)
								       : NULL;
}

/* --- records and scores ------------------------------------------------------------------- */

static PyObject *records_of(PyObject *self, PyObject *args)
{
	(void)self;
	PyObject *handle;
	Py_buffer text;
	glue_call call;
	hel_records *records = NULL;
	if (!PyArg_ParseTuple(args, "Os*", &handle, &text))
		return NULL;
	const hel_recommender *r = glue_get(handle, "hel_recommender");
	bool ok = r != NULL;
	if (ok) {
		glue_begin(&call, NULL);
		ok = glue_end(&call, hel_records_of_text(&records, r, text.buf, (size_t)text.len));
	}
	PyBuffer_Release(&text);
	return ok ? handle_records(records, NULL) : NULL;
}

static PyObject *records_rows(PyObject *self, PyObject *handle)
{
	(void)self;
	const hel_records *records = glue_get(handle, "hel_records");
	return records ? PyLong_FromSize_t(hel_records_rows(records)) : NULL;
}

/* The pool of a call; false without memory. */
static bool pool_of(hel_pool **out, unsigned threads)
{
	*out = threads > 1 ? hel_pool_new(threads) : NULL;
	if (threads > 1 && !*out)
		PyErr_NoMemory();
	return threads <= 1 || *out;
}

static PyObject *model_score(PyObject *self, PyObject *args)
{
	(void)self;
	PyObject *model, *handle, *callback;
	Py_buffer out;
	unsigned threads;
	glue_call call;
	hel_pool *pool = NULL;
	hel_score_notes notes = {0};
	if (!PyArg_ParseTuple(args, "OOw*IO", &model, &handle, &out, &threads, &callback))
		return NULL;
	const hel_recommender *r = glue_get(model, "hel_recommender");
	const hel_records *records = r ? glue_get(handle, "hel_records") : NULL;
	bool ok = records && glue_room(&out, hel_records_rows(records) * sizeof(double)) &&
		  pool_of(&pool, threads);
	if (ok) {
		const hel_watch *watch = glue_begin(&call, callback);
		ok = glue_end(&call,
			      hel_recommender_score(out.buf, &notes, r, records, pool, watch));
	}
	hel_pool_free(pool);
	PyBuffer_Release(&out);
	return ok ? Py_BuildValue("nn", (Py_ssize_t)notes.unknown, (Py_ssize_t)notes.far) : NULL;
}

static PyObject *model_judge(PyObject *self, PyObject *args)
{
	(void)self;
	PyObject *model, *handle;
	unsigned threads;
	glue_call call;
	hel_pool *pool = NULL;
	uint8_t *json = NULL;
	size_t size = 0;
	if (!PyArg_ParseTuple(args, "OOI", &model, &handle, &threads))
		return NULL;
	const hel_recommender *r = glue_get(model, "hel_recommender");
	const hel_records *records = r ? glue_get(handle, "hel_records") : NULL;
	if (!records || !pool_of(&pool, threads))
		return NULL;
	glue_begin(&call, NULL);
	const bool ok = glue_end(&call, hel_recommender_judge(&json, &size, r, records, pool));
	hel_pool_free(pool);
	return ok ? glue_bytes(json, size) : NULL;
}

static PyObject *model_approximate(PyObject *self, PyObject *args)
{
	(void)self;
	PyObject *model, *handle;
	const char *fit;
	unsigned threads;
	glue_call call;
	hel_pool *pool = NULL;
	uint8_t *json = NULL;
	size_t size = 0;
	if (!PyArg_ParseTuple(args, "OzOI", &model, &fit, &handle, &threads))
		return NULL;
	const hel_recommender *r = glue_get(model, "hel_recommender");
	const hel_records *records = r ? glue_get(handle, "hel_records") : NULL;
	if (!records || !pool_of(&pool, threads))
		return NULL;
	glue_begin(&call, NULL);
	const bool ok =
	    glue_end(&call, hel_recommender_approximate(&json, &size, r, fit, records, pool));
	hel_pool_free(pool);
	return ok ? glue_bytes(json, size) : NULL;
}

/* --- compiling ---------------------------------------------------------------------------- */

/* Texts of a list, borrowed from encoded copies that are kept in *kept. */
static bool texts_of(const char ***out, Py_ssize_t *count, PyObject **kept, PyObject *list)
{
	*count = PySequence_Size(list);
	if (*count < 0)
		return false;
	*kept = PyList_New(0);
	*out = calloc((size_t)*count + 1, sizeof **out);
	if (!*kept || !*out) {
		PyErr_NoMemory();
		return false;
	}
	for (Py_ssize_t i = 0; i < *count; i++) {
		PyObject *item = PySequence_GetItem(list, i);
		PyObject *bytes = item ? PyUnicode_AsUTF8String(item) : NULL;
		Py_XDECREF(item);
		if (!bytes || PyList_Append(*kept, bytes) != 0) {
			Py_XDECREF(bytes);
			return false;
		}
		Py_DECREF(bytes); /* the list has it */
		char *text;
		if (PyBytes_AsStringAndSize(bytes, &text, NULL) != 0) /* holds a zero */
			return false;
		(*out)[i] = text;
	}
	return true;
}

static PyObject *model_compile(PyObject *self, PyObject *args)
{
	(void)self;
	PyObject *model, *list, *handle, *callback, *kept = NULL;
	unsigned threads;
	glue_call call;
	hel_pool *pool = NULL;
	hel_compiled *c = NULL;
	const char **option = NULL;
	Py_ssize_t options = 0;
	if (!PyArg_ParseTuple(args, "OOOIO", &model, &list, &handle, &threads, &callback))
		return NULL;
	const hel_recommender *r = glue_get(model, "hel_recommender");
	const hel_records *records = NULL;
	bool ok = r != NULL;
	if (ok && handle != Py_None)
		ok = (records = glue_get(handle, "hel_records")) != NULL;
	ok = ok && texts_of(&option, &options, &kept, list) && pool_of(&pool, threads);
	if (ok) {
		const hel_watch *watch = glue_begin(&call, callback);
		ok = glue_end(&call, hel_recommender_compile(&c, r, option, (size_t)options,
							     records, pool, watch));
	}
	hel_pool_free(pool);
	free(option);
	Py_XDECREF(kept);
	return ok ? handle_compiled(c, NULL) : NULL;
}

static PyObject *compiled_manifest(PyObject *self, PyObject *handle)
{
	(void)self;
	size_t size;
	const hel_compiled *c = glue_get(handle, "hel_compiled");
	const void *bytes = c ? hel_compiled_manifest(c, &size) : NULL;
	return bytes ? PyBytes_FromStringAndSize(bytes, (Py_ssize_t)size) : NULL;
}

static PyObject *compiled_program(PyObject *self, PyObject *handle)
{
	(void)self;
	size_t size;
	const hel_compiled *c = glue_get(handle, "hel_compiled");
	const void *bytes = c ? hel_compiled_program(c, &size) : NULL;
	return bytes ? PyBytes_FromStringAndSize(bytes, (Py_ssize_t)size) : NULL;
}

static PyObject *compiled_report(PyObject *self, PyObject *handle)
{
	(void)self;
	const hel_compiled *c = glue_get(handle, "hel_compiled");
	return c ? PyUnicode_FromString(hel_compiled_report(c)) : NULL;
}

static PyObject *compiled_model(PyObject *self, PyObject *handle)
{
	(void)self;
	hel_recommender *r = NULL;
	const hel_compiled *c = glue_get(handle, "hel_compiled");
	return c && glue_ok(hel_compiled_model(&r, c)) ? handle_recommender(r, NULL) : NULL;
}

static PyObject *compiled_save(PyObject *self, PyObject *args)
{
	(void)self;
	PyObject *handle;
	const char *directory;
	glue_call call;
	if (!PyArg_ParseTuple(args, "Os", &handle, &directory))
		return NULL;
	const hel_compiled *c = glue_get(handle, "hel_compiled");
	if (!c)
		return NULL;
	glue_begin(&call, NULL);
	if (!glue_end(&call, hel_compiled_save(c, directory)))
		return NULL;
	Py_RETURN_NONE;
}

/* --- catalogues --------------------------------------------------------------------------- */

static PyObject *catalogue_make(PyObject *self, PyObject *args)
{
	(void)self;
	const char *path;
	Py_buffer program, items;
	hel_catalogue_source s = {0};
	PyObject *callback;
	unsigned threads;
	glue_call call;
	hel_pool *pool = NULL;
	uint8_t *report = NULL;
	size_t size = 0;
	if (!PyArg_ParseTuple(args, "sy*s*zzIO", &path, &program, &items, &s.id, &s.before,
			      &threads, &callback))
		return NULL;
	s.program = program.buf;
	s.program_size = (size_t)program.len;
	s.items = items.buf;
	s.items_size = (size_t)items.len;
	bool ok = pool_of(&pool, threads);
	if (ok) {
		const hel_watch *watch = glue_begin(&call, callback);
		ok = glue_end(&call, hel_catalogue_make(&report, &size, path, &s, pool, watch));
	}
	hel_pool_free(pool);
	PyBuffer_Release(&program);
	PyBuffer_Release(&items);
	return ok ? glue_bytes(report, size) : NULL;
}

static PyMethodDef methods[] = {
    {"model_open", model_open, METH_VARARGS, "directory -> model"},
    {"model_import", model_import, METH_VARARGS,
     "weights, schema, config, columns -> model, report"},
    {"model_train", model_train, METH_VARARGS, "columns, config, rows, callback -> model, report"},
    {"model_save", model_save, METH_VARARGS, "model, directory"},
    {"model_describe", model_describe, METH_O, "model -> JSON"},
    {"records_of", records_of, METH_VARARGS, "model, text -> records"},
    {"records_rows", records_rows, METH_O, "records -> how many"},
    {"model_score", model_score, METH_VARARGS,
     "model, records, doubles, threads, callback -> unknown, far"},
    {"model_judge", model_judge, METH_VARARGS, "model, records, threads -> JSON"},
    {"model_approximate", model_approximate, METH_VARARGS, "model, fit, records, threads -> JSON"},
    {"model_compile", model_compile, METH_VARARGS,
     "model, options, records, threads, callback -> compiled"},
    {"compiled_manifest", compiled_manifest, METH_O, "compiled -> bytes"},
    {"compiled_program", compiled_program, METH_O, "compiled -> bytes"},
    {"compiled_report", compiled_report, METH_O, "compiled -> JSON"},
    {"compiled_model", compiled_model, METH_O, "compiled -> model"},
    {"compiled_save", compiled_save, METH_VARARGS, "compiled, directory"},
    {"catalogue_make", catalogue_make, METH_VARARGS,
     "file, program, items, id, before, threads, callback -> JSON"},
    {NULL, NULL, 0, NULL},
};

GLUE_MODULE(_owner, "The party that has a model.", methods)
