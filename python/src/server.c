/* helrm._server: include/helrm/server.h for Python. No secret-key code is linked. */
#include "glue.h"
#include <helrm/server.h>
#include <stdlib.h>

typedef struct holder {
	hel_server *server;
	hel_pool *pool;
} holder;

static void holder_free(holder *h)
{
	if (!h)
		return;
	hel_server_free(h->server);
	hel_pool_free(h->pool);
	free(h);
}

GLUE_HANDLE(holder, server, holder_free)
GLUE_HANDLE(hel_evaluation, evaluation, hel_evaluation_free)
GLUE_HANDLE(hel_catalogue, catalogue, hel_catalogue_free)

static PyObject *server_new(PyObject *self, PyObject *args)
{
	(void)self;
	Py_buffer program;
	unsigned threads;
	glue_call call;
	if (!PyArg_ParseTuple(args, "y*I", &program, &threads))
		return NULL;
	hel_status st = HEL_ENOMEM;
	holder *h = calloc(1, sizeof *h);
	glue_begin(&call, NULL);
	if (h && (threads <= 1 || (h->pool = hel_pool_new(threads))))
		st = hel_server_new(&h->server, program.buf, (size_t)program.len, h->pool);
	const bool ok = glue_end(&call, st);
	PyBuffer_Release(&program);
	if (ok)
		return handle_server(h, NULL);
	holder_free(h);
	return NULL;
}

static PyObject *server_model(PyObject *self, PyObject *handle)
{
	(void)self;
	holder *h = glue_get(handle, "holder");
	return h ? PyUnicode_FromString(hel_server_model(h->server)) : NULL;
}

static PyObject *server_id(PyObject *self, PyObject *handle)
{
	(void)self;
	uint8_t id[HEL_PROGRAM_ID_BYTES];
	holder *h = glue_get(handle, "holder");
	if (!h)
		return NULL;
	hel_server_id(id, h->server);
	return PyBytes_FromStringAndSize((const char *)id, sizeof id);
}

static PyObject *evaluation_new(PyObject *self, PyObject *args)
{
	(void)self;
	PyObject *server;
	Py_buffer keys;
	glue_call call;
	hel_evaluation *e = NULL;
	if (!PyArg_ParseTuple(args, "Oy*", &server, &keys))
		return NULL;
	holder *h = glue_get(server, "holder");
	bool ok = h != NULL;
	if (ok) {
		glue_begin(&call, NULL);
		ok = glue_end(&call, hel_evaluation_new(&e, h->server, keys.buf, (size_t)keys.len));
	}
	PyBuffer_Release(&keys);
	return ok ? handle_evaluation(e, server) : NULL;
}

static PyObject *server_run(PyObject *self, PyObject *args)
{
	(void)self;
	PyObject *evaluation, *callback;
	Py_buffer query;
	glue_call call;
	uint8_t *result = NULL;
	size_t size = 0;
	if (!PyArg_ParseTuple(args, "Oy*O", &evaluation, &query, &callback))
		return NULL;
	hel_evaluation *e = glue_get(evaluation, "hel_evaluation");
	bool ok = e != NULL;
	if (ok) {
		const hel_watch *watch = glue_begin(&call, callback);
		ok = glue_end(
		    &call, hel_server_run(&result, &size, e, query.buf, (size_t)query.len, watch));
	}
	PyBuffer_Release(&query);
	return ok ? glue_bytes(result, size) : NULL;
}

static PyObject *catalogue_open(PyObject *self, PyObject *args)
{
	(void)self;
	PyObject *server;
	const char *path;
	glue_call call;
	hel_catalogue *c = NULL;
	if (!PyArg_ParseTuple(args, "Os", &server, &path))
		return NULL;
	holder *h = glue_get(server, "holder");
	if (!h)
		return NULL;
	glue_begin(&call, NULL);
	return glue_end(&call, hel_server_catalogue(&c, h->server, path))
		   ? handle_catalogue(c, server)
		   : NULL;
}

static PyObject *catalogue_items(PyObject *self, PyObject *handle)
{
	(void)self;
	const hel_catalogue *c = glue_get(handle, "hel_catalogue");
	return c ? PyLong_FromSize_t(hel_catalogue_items(c)) : NULL;
}

static PyObject *server_rank(PyObject *self, PyObject *args)
{
	(void)self;
	PyObject *evaluation, *catalogue, *callback;
	const char *candidates;
	Py_buffer query;
	glue_call call;
	uint8_t *result = NULL;
	size_t size = 0;
	if (!PyArg_ParseTuple(args, "OOzy*O", &evaluation, &catalogue, &candidates, &query,
			      &callback))
		return NULL;
	const hel_evaluation *e = glue_get(evaluation, "hel_evaluation");
	const hel_catalogue *c = e ? glue_get(catalogue, "hel_catalogue") : NULL;
	bool ok = c != NULL;
	if (ok) {
		const hel_watch *watch = glue_begin(&call, callback);
		ok = glue_end(&call, hel_server_run_catalogue(&result, &size, e, c, candidates,
							      query.buf, (size_t)query.len, watch));
	}
	PyBuffer_Release(&query);
	return ok ? glue_bytes(result, size) : NULL;
}

static PyMethodDef methods[] = {
    {"server_new", server_new, METH_VARARGS, "program, threads -> server"},
    {"server_model", server_model, METH_O, "server -> the model's name"},
    {"server_id", server_id, METH_O, "server -> the manifest's hash"},
    {"evaluation_new", evaluation_new, METH_VARARGS, "server, keys -> evaluation"},
    {"server_run", server_run, METH_VARARGS, "evaluation, query, callback -> result"},
    {"catalogue_open", catalogue_open, METH_VARARGS, "server, file -> catalogue"},
    {"catalogue_items", catalogue_items, METH_O, "catalogue -> how many"},
    {"server_rank", server_rank, METH_VARARGS,
     "evaluation, catalogue, candidates, query, callback -> result"},
    {NULL, NULL, 0, NULL},
};

GLUE_MODULE(_server, "The party that computes.", methods)
