/* helrm._client: include/helrm/client.h for Python. */
#include "glue.h"
#include <helrm/access.h>
#include <helrm/ranking.h>
#include <stdlib.h>
#include <string.h>

GLUE_HANDLE(hel_client, client, hel_client_free)
GLUE_HANDLE(hel_access, access, hel_access_free)
GLUE_HANDLE(hel_keys_source, source, hel_access_keys_end)

/* --- secrets ------------------------------------------------------------------------------ */

static PyObject *secret_new(PyObject *self, PyObject *none)
{
	(void)self, (void)none;
	uint8_t secret[HEL_SECRET_BYTES];
	if (!glue_ok(hel_secret_new(secret)))
		return NULL;
	PyObject *out = PyBytes_FromStringAndSize((const char *)secret, sizeof secret);
	hel_wipe(secret, sizeof secret);
	return out;
}

/* 32 bytes. */
static bool is_secret(const Py_buffer *b)
{
	if (b->len == HEL_SECRET_BYTES)
		return true;
	PyErr_Format(PyExc_ValueError, "%zd bytes, expected %d", b->len, HEL_SECRET_BYTES);
	return false;
}

static PyObject *secret_seal(PyObject *self, PyObject *args)
{
	(void)self;
	Py_buffer secret;
	const char *passphrase;
	uint8_t *file = NULL;
	size_t size = 0;
	glue_call call;
	if (!PyArg_ParseTuple(args, "y*z", &secret, &passphrase))
		return NULL;
	bool ok = is_secret(&secret);
	if (ok) {
		glue_begin(&call, NULL);
		ok = glue_end(&call, hel_secret_seal(&file, &size, secret.buf, passphrase));
	}
	PyBuffer_Release(&secret);
	return ok ? glue_bytes(file, size) : NULL;
}

static PyObject *secret_unseal(PyObject *self, PyObject *args)
{
	(void)self;
	Py_buffer file;
	const char *passphrase;
	uint8_t secret[HEL_SECRET_BYTES];
	glue_call call;
	if (!PyArg_ParseTuple(args, "y*z", &file, &passphrase))
		return NULL;
	glue_begin(&call, NULL);
	const bool ok =
	    glue_end(&call, hel_secret_unseal(secret, file.buf, (size_t)file.len, passphrase));
	PyBuffer_Release(&file);
	PyObject *out = ok ? PyBytes_FromStringAndSize((const char *)secret, sizeof secret) : NULL;
	hel_wipe(secret, sizeof secret);
	return out;
}

/* --- one model ---------------------------------------------------------------------------- */

static PyObject *client_open(PyObject *self, PyObject *args)
{
	(void)self;
	Py_buffer manifest, pin = {0}, secret = {0};
	glue_call call;
	hel_client *c = NULL;
	if (!PyArg_ParseTuple(args, "y*z*z*", &manifest, &pin, &secret))
		return NULL;
	bool ok = (!secret.buf || is_secret(&secret)) && (!pin.buf || is_secret(&pin));
	if (ok) {
		glue_begin(&call, NULL);
		ok = glue_end(&call, hel_client_open(&c, manifest.buf, (size_t)manifest.len,
						     pin.buf, secret.buf));
	}
	PyBuffer_Release(&manifest);
	if (pin.obj)
		PyBuffer_Release(&pin);
	if (secret.obj)
		PyBuffer_Release(&secret);
	return ok ? handle_client(c, NULL) : NULL;
}

static PyObject *client_contribute(PyObject *self, PyObject *args)
{
	(void)self;
	PyObject *handle;
	Py_buffer key;
	if (!PyArg_ParseTuple(args, "Oy*", &handle, &key))
		return NULL;
	hel_client *c = glue_get(handle, "hel_client");
	const bool ok = c && glue_ok(hel_client_contribute(c, key.buf, (size_t)key.len));
	PyBuffer_Release(&key);
	if (!ok)
		return NULL;
	Py_RETURN_NONE;
}

static PyObject *client_pin(PyObject *self, PyObject *handle)
{
	(void)self;
	uint8_t pin[HEL_PIN_BYTES];
	const hel_client *c = glue_get(handle, "hel_client");
	if (!c)
		return NULL;
	hel_client_pin(pin, c);
	return PyBytes_FromStringAndSize((const char *)pin, sizeof pin);
}

static PyObject *client_model(PyObject *self, PyObject *handle)
{
	(void)self;
	const hel_client *c = glue_get(handle, "hel_client");
	return c ? PyUnicode_FromString(hel_client_model(c)) : NULL;
}

static PyObject *client_batch(PyObject *self, PyObject *handle)
{
	(void)self;
	const hel_client *c = glue_get(handle, "hel_client");
	return c ? PyLong_FromSize_t(hel_client_batch(c)) : NULL;
}

static PyObject *client_columns(PyObject *self, PyObject *handle)
{
	(void)self;
	uint8_t *json = NULL;
	size_t size = 0;
	const hel_client *c = glue_get(handle, "hel_client");
	return c && glue_ok(hel_client_columns(&json, &size, c)) ? glue_bytes(json, size) : NULL;
}

/* --- queries and results ------------------------------------------------------------------ */

static PyObject *client_count(PyObject *self, PyObject *args)
{
	(void)self;
	PyObject *handle;
	Py_buffer text;
	size_t count = 0;
	if (!PyArg_ParseTuple(args, "Os*", &handle, &text))
		return NULL;
	const hel_client *c = glue_get(handle, "hel_client");
	const bool ok = c && glue_ok(hel_client_count(&count, c, text.buf, (size_t)text.len));
	PyBuffer_Release(&text);
	return ok ? PyLong_FromSize_t(count) : NULL;
}

static PyObject *client_query(PyObject *self, PyObject *args)
{
	(void)self;
	PyObject *handle;
	Py_buffer text;
	Py_ssize_t first, count;
	uint8_t *query = NULL;
	size_t size = 0;
	glue_call call;
	if (!PyArg_ParseTuple(args, "Os*nn", &handle, &text, &first, &count))
		return NULL;
	const hel_client *c = glue_get(handle, "hel_client");
	bool ok = c != NULL;
	if (ok && (first < 0 || count < 0 || first > INT32_MAX || count > INT32_MAX)) {
		PyErr_SetString(PyExc_ValueError, "records are counted from 0");
		ok = false;
	}
	if (ok) {
		glue_begin(&call, NULL);
		ok = glue_end(&call,
			      hel_client_query_batch(&query, &size, c, text.buf, (size_t)text.len,
						     (size_t)first, (size_t)count));
	}
	PyBuffer_Release(&text);
	return ok ? glue_bytes(query, size) : NULL;
}

static PyObject *client_doubts(PyObject *self, PyObject *args)
{
	(void)self;
	PyObject *handle;
	Py_buffer text;
	Py_ssize_t row;
	hel_doubts d;
	if (!PyArg_ParseTuple(args, "Os*n", &handle, &text, &row))
		return NULL;
	const hel_client *c = glue_get(handle, "hel_client");
	const bool ok =
	    c && glue_ok(hel_client_doubts(&d, c, text.buf, (size_t)text.len, (size_t)row));
	PyBuffer_Release(&text);
	return ok ? Py_BuildValue("nnns", (Py_ssize_t)d.unknown, (Py_ssize_t)d.cut,
				  (Py_ssize_t)d.unseen, d.text)
		  : NULL;
}

_Static_assert(sizeof(hel_score) == 3 * sizeof(double), "scores are rows of three doubles");

static PyObject *client_score(PyObject *self, PyObject *args)
{
	(void)self;
	PyObject *handle;
	Py_buffer result, out;
	glue_call call;
	if (!PyArg_ParseTuple(args, "Oy*w*", &handle, &result, &out))
		return NULL;
	const hel_client *c = glue_get(handle, "hel_client");
	const size_t count = (size_t)out.len / sizeof(hel_score);
	bool ok = c && glue_room(&out, count * sizeof(hel_score));
	if (ok) {
		glue_begin(&call, NULL);
		ok = glue_end(&call, hel_client_score_batch(out.buf, count, c, result.buf,
							    (size_t)result.len));
	}
	PyBuffer_Release(&result);
	PyBuffer_Release(&out);
	if (!ok)
		return NULL;
	Py_RETURN_NONE;
}

/* --- rankings ------------------------------------------------------------------------------ */

static PyObject *client_ranks(PyObject *self, PyObject *handle)
{
	(void)self;
	const hel_client *c = glue_get(handle, "hel_client");
	return c ? PyBool_FromLong(hel_client_ranks(c)) : NULL;
}

/* The first `most` items, of so many that were ranked, with what is known of all. */
static PyObject *items_of(const hel_ranking *r, size_t most)
{
	uint8_t catalogue[HEL_PIN_BYTES];
	const size_t count = hel_ranking_count(r), wanted = most < count ? most : count;
	PyObject *list = PyList_New((Py_ssize_t)wanted);
	for (size_t i = 0; list && i < wanted; i++) {
		const hel_ranked_item *item = hel_ranking_item(r, i);
		PyObject *one = Py_BuildValue("sdd", item->id, item->logit, item->probability);
		if (!one || PyList_SetItem(list, (Py_ssize_t)i, one) != 0)
			Py_CLEAR(list);
	}
	hel_ranking_catalogue(catalogue, r);
	return list ? Py_BuildValue("Nndy#", list, (Py_ssize_t)count, hel_ranking_error(r),
				    (const char *)catalogue, (Py_ssize_t)sizeof catalogue)
		    : NULL;
}

static PyObject *client_rank(PyObject *self, PyObject *args)
{
	(void)self;
	PyObject *handle;
	Py_buffer result;
	Py_ssize_t most;
	glue_call call;
	hel_ranking *r = NULL;
	if (!PyArg_ParseTuple(args, "Oy*n", &handle, &result, &most))
		return NULL;
	const hel_client *c = glue_get(handle, "hel_client");
	bool ok = c != NULL;
	if (ok && most < 0) {
		PyErr_SetString(PyExc_ValueError, "a number of items is not negative");
		ok = false;
	}
	if (ok) {
		glue_begin(&call, NULL);
		ok = glue_end(&call, hel_client_rank(&r, c, result.buf, (size_t)result.len));
	}
	PyBuffer_Release(&result);
	PyObject *out = ok ? items_of(r, (size_t)most) : NULL;
	hel_ranking_free(r);
	return out;
}

static PyObject *client_candidates(PyObject *self, PyObject *args)
{
	(void)self;
	PyObject *handle;
	Py_buffer query, text;
	uint8_t *narrowed = NULL;
	size_t size = 0;
	if (!PyArg_ParseTuple(args, "Oy*s*", &handle, &query, &text))
		return NULL;
	const hel_client *c = glue_get(handle, "hel_client");
	const bool ok =
	    c && glue_ok(hel_client_candidates(&narrowed, &size, c, query.buf, (size_t)query.len,
					       text.buf, (size_t)text.len));
	PyBuffer_Release(&query);
	PyBuffer_Release(&text);
	return ok ? glue_bytes(narrowed, size) : NULL;
}

/* --- evaluation keys ---------------------------------------------------------------------- */

static PyObject *access_new(PyObject *self, PyObject *args)
{
	(void)self;
	PyObject *handle, *also;
	hel_access *a = NULL;
	if (!PyArg_ParseTuple(args, "OO", &handle, &also))
		return NULL;
	const hel_client *c = glue_get(handle, "hel_client");
	const hel_access *other = NULL;
	if (!c || (also != Py_None && !(other = glue_get(also, "hel_access"))))
		return NULL;
	return glue_ok(hel_access_new(&a, c, other)) ? handle_access(a, NULL) : NULL;
}

static PyObject *access_read(PyObject *self, PyObject *args)
{
	(void)self;
	Py_buffer text;
	hel_access *a = NULL;
	if (!PyArg_ParseTuple(args, "s*", &text))
		return NULL;
	const bool ok = glue_ok(hel_access_read(&a, text.buf, (size_t)text.len));
	PyBuffer_Release(&text);
	return ok ? handle_access(a, NULL) : NULL;
}

static PyObject *access_write(PyObject *self, PyObject *handle)
{
	(void)self;
	uint8_t *text = NULL;
	size_t size = 0;
	const hel_access *a = glue_get(handle, "hel_access");
	return a && glue_ok(hel_access_write(&text, &size, a)) ? glue_bytes(text, size) : NULL;
}

static PyObject *access_request(PyObject *self, PyObject *handle)
{
	(void)self;
	uint8_t *json = NULL;
	size_t size = 0;
	const hel_access *a = glue_get(handle, "hel_access");
	return a && glue_ok(hel_access_request(&json, &size, a)) ? glue_bytes(json, size) : NULL;
}

static PyObject *access_set(PyObject *self, PyObject *args)
{
	(void)self;
	PyObject *handle;
	const char *server, *token;
	if (!PyArg_ParseTuple(args, "Ozz", &handle, &server, &token))
		return NULL;
	hel_access *a = glue_get(handle, "hel_access");
	if (!a || (server && !glue_ok(hel_access_set_server(a, server))) ||
	    (token && !glue_ok(hel_access_set_token(a, token))))
		return NULL;
	Py_RETURN_NONE;
}

static PyObject *access_token(PyObject *self, PyObject *handle)
{
	(void)self;
	const hel_access *a = glue_get(handle, "hel_access");
	return a ? PyUnicode_FromString(hel_access_token(a)) : NULL;
}

/* An access and a client, as several calls take them. */
static bool access_and_client(hel_access **a, hel_client **c, PyObject *args, PyObject **client)
{
	PyObject *access;
	if (!PyArg_ParseTuple(args, "OO", &access, client) ||
	    !(*a = glue_get(access, "hel_access")))
		return false;
	*c = glue_get(*client, "hel_client");
	return *c != NULL;
}

static PyObject *client_use(PyObject *self, PyObject *args)
{
	(void)self;
	hel_access *a;
	hel_client *c;
	PyObject *client;
	if (!access_and_client(&a, &c, args, &client) || !glue_ok(hel_client_use(c, a)))
		return NULL;
	Py_RETURN_NONE;
}

static PyObject *access_covers(PyObject *self, PyObject *args)
{
	(void)self;
	hel_access *a;
	hel_client *c;
	PyObject *client;
	return access_and_client(&a, &c, args, &client) ? PyBool_FromLong(hel_access_covers(a, c))
							: NULL;
}

static PyObject *access_keys_size(PyObject *self, PyObject *args)
{
	(void)self;
	hel_access *a;
	hel_client *c;
	PyObject *client;
	return access_and_client(&a, &c, args, &client)
		   ? PyLong_FromUnsignedLongLong(hel_access_keys_size(a, c))
		   : NULL;
}

/* Keys as they come, into room for all of them. */
typedef struct gathering {
	char *at;
	size_t left;
	double all;
	const hel_watch *watch;
} gathering;

static hel_status gather(void *arg, const void *bytes, size_t size)
{
	gathering *g = arg;
	if (size > g->left)
		return HEL_ELIMIT;
	memcpy(g->at, bytes, size);
	g->at += size;
	g->left -= size;
	return g->watch->tell(g->watch->arg, 1 - (double)g->left / g->all) ? HEL_OK : HEL_ECANCEL;
}

static PyObject *access_keys(PyObject *self, PyObject *args)
{
	(void)self;
	PyObject *access, *client, *callback;
	glue_call call;
	if (!PyArg_ParseTuple(args, "OOO", &access, &client, &callback))
		return NULL;
	const hel_access *a = glue_get(access, "hel_access");
	const hel_client *c = a ? glue_get(client, "hel_client") : NULL;
	if (!c)
		return NULL;
	const size_t size = (size_t)hel_access_keys_size(a, c);
	PyObject *out = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)size);
	if (!out)
		return NULL;
	gathering g = {PyBytes_AsString(out), size, (double)size, glue_begin(&call, callback)};
	hel_status st = hel_access_keys(a, c, gather, &g);
	if (st == HEL_OK && g.left)
		st = HEL_ETRUNC;
	if (glue_end(&call, st))
		return out;
	Py_DECREF(out);
	return NULL;
}

static PyObject *keys_begin(PyObject *self, PyObject *args)
{
	(void)self;
	hel_access *a;
	hel_client *c;
	PyObject *client;
	hel_keys_source *s = NULL;
	if (!access_and_client(&a, &c, args, &client) || !glue_ok(hel_access_keys_begin(&s, a, c)))
		return NULL;
	return handle_source(s, client);
}

static PyObject *keys_next(PyObject *self, PyObject *handle)
{
	(void)self;
	const uint8_t *bytes = NULL;
	size_t size = 0;
	glue_call call;
	hel_keys_source *s = glue_get(handle, "hel_keys_source");
	if (!s)
		return NULL;
	glue_begin(&call, NULL);
	return glue_end(&call, hel_access_keys_next(&bytes, &size, s))
		   ? PyBytes_FromStringAndSize((const char *)bytes, (Py_ssize_t)size)
		   : NULL;
}

static PyMethodDef methods[] = {
    {"secret_new", secret_new, METH_NOARGS, "-> 32 bytes"},
    {"secret_seal", secret_seal, METH_VARARGS, "secret, passphrase -> file"},
    {"secret_unseal", secret_unseal, METH_VARARGS, "file, passphrase -> secret"},
    {"client_open", client_open, METH_VARARGS, "manifest, pin, secret -> client"},
    {"client_contribute", client_contribute, METH_VARARGS, "client, public key"},
    {"client_pin", client_pin, METH_O, "client -> the manifest's hash"},
    {"client_model", client_model, METH_O, "client -> the model's name"},
    {"client_batch", client_batch, METH_O, "client -> records of a query"},
    {"client_columns", client_columns, METH_O, "client -> JSON"},
    {"client_count", client_count, METH_VARARGS, "client, text -> records"},
    {"client_query", client_query, METH_VARARGS, "client, text, first, count -> query"},
    {"client_doubts", client_doubts, METH_VARARGS,
     "client, text, record -> unknown, cut, unseen, text"},
    {"client_score", client_score, METH_VARARGS, "client, result, rows of three doubles"},
    {"client_ranks", client_ranks, METH_O, "client -> bool"},
    {"client_rank", client_rank, METH_VARARGS,
     "client, result, most -> items, how many were ranked, error, catalogue"},
    {"client_candidates", client_candidates, METH_VARARGS,
     "client, query, lines -> query of these candidates"},
    {"access_new", access_new, METH_VARARGS, "client, another access -> access"},
    {"access_read", access_read, METH_VARARGS, "text -> access"},
    {"access_write", access_write, METH_O, "access -> text"},
    {"access_request", access_request, METH_O, "access -> JSON"},
    {"access_set", access_set, METH_VARARGS, "access, server, token"},
    {"access_token", access_token, METH_O, "access -> token"},
    {"client_use", client_use, METH_VARARGS, "access, client"},
    {"access_covers", access_covers, METH_VARARGS, "access, client -> bool"},
    {"access_keys_size", access_keys_size, METH_VARARGS, "access, client -> bytes"},
    {"access_keys", access_keys, METH_VARARGS, "access, client, callback -> keys"},
    {"keys_begin", keys_begin, METH_VARARGS, "access, client -> source"},
    {"keys_next", keys_next, METH_O, "source -> the next piece, empty at the end"},
    {NULL, NULL, 0, NULL},
};

GLUE_MODULE(_client, "The party that has records.", methods)
