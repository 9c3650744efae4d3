/* The client library: the secret at rest, what an access promises, keys that stream, expand and
 * map. */
#include "base/json.h"
#include "ckks/secret.h"
#include "fixture.h"
#include <helrm/refresh.h>
#include <sodium.h>

static hel_client *open_model(const char *file, const uint8_t secret[HEL_SECRET_BYTES])
{
	uint8_t *bytes;
	size_t size;
	hel_program *p;
	hel_writer w = {0};
	hel_client *c;
	assert_ok(hel_file_read(path(file), HEL_PROGRAM_MAX, &bytes, &size));
	assert_ok(hel_program_read(&p, bytes, size));
	assert_ok(hel_manifest_write(&w, p->manifest));
	assert_ok(hel_client_open(&c, w.bytes, w.size, NULL, secret));
	hel_writer_clear(&w);
	hel_program_free(p);
	hel_free(bytes);
	return c;
}

static void test_secret(void **state)
{
	(void)state;
	uint8_t secret[HEL_SECRET_BYTES], back[HEL_SECRET_BYTES] = {0}, *file;
	size_t size;
	assert_ok(hel_secret_new(secret));
	assert_ok(hel_secret_seal(&file, &size, secret, "correct horse"));
	assert_true(hel_secret_is_sealed(file, size));
	assert_null(memmem(file, size, secret, 8));
	assert_status(HEL_EDENIED, hel_secret_unseal(back, file, size, "wrong horse"));
	assert_status(HEL_EDENIED, hel_secret_unseal(back, file, size, NULL));
	assert_true(sodium_is_zero(back, sizeof back));
	assert_ok(hel_secret_unseal(back, file, size, "correct horse"));
	assert_memory_equal(secret, back, sizeof secret);
	for (size_t i = 0; i < size; i += 7) {
		file[i] ^= 1;
		assert_unequal(hel_secret_unseal(back, file, size, "correct horse"), HEL_OK);
		file[i] ^= 1;
	}
	hel_bytes_free(file, size);
	assert_ok(hel_secret_seal(&file, &size, secret, NULL));
	assert_false(hel_secret_is_sealed(file, size));
	assert_ok(hel_secret_unseal(back, file, size, NULL));
	assert_memory_equal(secret, back, sizeof secret);
	hel_bytes_free(file, size);
}

static hel_status append(void *arg, const void *bytes, size_t size)
{
	hel_writer *w = arg;
	hel_write_bytes(w, bytes, size);
	return w->status;
}

static hel_status refuse(void *arg, const void *bytes, size_t size)
{
	(void)bytes;
	(void)size;
	return --*(int *)arg ? HEL_OK : hel_fail(HEL_ECANCEL, "enough");
}

/* Streamed keys are a file like any other; expanded ones are what reading makes of it. */
static void test_keys(void **state)
{
	(void)state;
	uint8_t secret[HEL_SECRET_BYTES];
	hel_access *a, *b;
	hel_writer first = {0}, again = {0}, other = {0}, expanded = {0};
	hel_reader reader;
	hel_keys *keys, *mapped;
	assert_ok(hel_secret_new(secret));
	hel_client *c = open_model("models/heart.helm", secret);
	const hel_params *p = hel_client_params(c);
	const hel_manifest *m = hel_client_manifest(c);
	assert_ok(hel_access_new(&a, c, NULL));
	assert_ok(hel_access_new(&b, c, NULL));
	assert_ok(hel_access_keys(a, c, append, &first));
	assert_ok(hel_access_keys(a, c, append, &again));
	assert_ok(hel_access_keys(b, c, append, &other));
	assert_int_equal(first.size, hel_access_keys_size(a, c));
	assert_memory_equal(first.bytes, again.bytes, first.size); /* resumable */
	hel_keys_source *source; /* piece by piece: the same bytes; ended early: nothing is lost */
	const uint8_t *piece;
	size_t taken = 0, size;
	assert_ok(hel_access_keys_begin(&source, a, c));
	for (int end = 0; !end; taken += size) {
		assert_ok(hel_access_keys_next(&piece, &size, source));
		assert_true(size <= first.size - taken);
		assert_memory_equal(piece, first.bytes + taken, size);
		end = !size;
	}
	assert_int_equal(taken, first.size);
	assert_ok(hel_access_keys_next(&piece, &size, source));
	assert_int_equal(size, 0);
	hel_access_keys_end(source);
	assert_ok(hel_access_keys_begin(&source, a, c));
	for (int i = 0; i < 3; i++)
		assert_ok(hel_access_keys_next(&piece, &size, source));
	hel_access_keys_end(source);
	size_t same = 0; /* another access, other randomness */
	for (size_t i = first.size / 2; i < first.size; i++)
		same += first.bytes[i] == other.bytes[i];
	assert_less(same, first.size / 2 / 100);
	int pieces = 3;
	assert_status(HEL_ECANCEL, hel_access_keys(a, c, refuse, &pieces));
	/* read and expanded: bit for bit the same keys */
	assert_ok(hel_container_open(&reader, HEL_KIND_EVALUATION_KEYS, first.bytes, first.size));
	hel_reader copy = reader;
	assert_ok(hel_keys_read(&keys, p, &reader));
	assert_ok(hel_reader_finish(&reader));
	assert_ok(hel_keys_expand(p, &copy, append, &expanded));
	assert_int_equal(expanded.size, hel_keys_expanded_bytes(p, m->key, m->keys));
	assert_ok(hel_keys_borrow(&mapped, p, keys->client, m->key, m->keys, expanded.bytes));
	for (size_t i = 0; i < keys->count; i++)
		assert_memory_equal(keys->key[i].data, mapped->key[i].data,
				    4 * keys->key[i].digits *
					(keys->key[i].limbs + p->ring.special) * 2 * p->ring.n);
	hel_keys_free(mapped);
	hel_keys_free(keys);
	hel_writer_clear(&first);
	hel_writer_clear(&again);
	hel_writer_clear(&other);
	hel_writer_clear(&expanded);
	hel_access_free(a);
	hel_access_free(b);
	hel_client_free(c);
}

/* A record of which all is missing but one column. */
static void one_value(char *out, size_t size, const hel_json_value *columns, const char *name,
		      const char *value)
{
	size_t n = 0;
	for (const hel_json_value *v = columns->first; v; v = v->next) {
		const char *column = hel_json_text(v, "name");
		n += (size_t)snprintf(out + n, size - n, "%s\"%s\": %s", n ? ", " : "{", column,
				      strcmp(column, name) == 0 ? value : "null");
	}
	snprintf(out + n, size - n, "}");
}

/* What the form says is what doubts say: at a bound there are none, beyond it one. */
static void test_columns(void **state)
{
	(void)state;
	uint8_t *text;
	size_t size, numbers = 0, categories = 0;
	hel_json *json;
	hel_client *c = open_model("models/heart.helm", NULL);
	assert_ok(hel_client_columns(&text, &size, c));
	assert_ok(hel_json_read(&json, text, strlen((char *)text)));
	const hel_json_value *root = hel_json_root(json);
	assert_string_equal("heart", hel_json_text(root, "dataset"));
	const hel_json_value *list = hel_json_member(root, "columns");
	assert_int_equal(list->count, 13); /* UCI's 13 attributes */
	for (const hel_json_value *v = list->first; v; v = v->next) {
		char record[512], value[64];
		hel_doubts doubts;
		const char *name = hel_json_text(v, "name");
		const hel_json_value *values = hel_json_member(v, "values");
		if (values) {
			assert_string_equal("category", hel_json_text(v, "kind"));
			snprintf(value, sizeof value, "\"%s\"", values->first->text);
			one_value(record, sizeof record, list, name, value);
			assert_ok(hel_client_doubts(&doubts, c, record, strlen(record), 0));
			assert_int_equal(doubts.unknown, 0);
			categories++;
			continue;
		}
		assert_string_equal("number", hel_json_text(v, "kind"));
		for (int side = 0; side < 4; side++) {
			const double edge = hel_json_member(v, side & 1 ? "high" : "low")->number;
			const double beyond = side < 2 ? -1e-6 : 1e-6;
			snprintf(value, sizeof value, "%.17g",
				 edge + (side & 1 ? beyond : -beyond) * fabs(edge));
			one_value(record, sizeof record, list, name, value);
			assert_ok(hel_client_doubts(&doubts, c, record, strlen(record), 0));
			assert_int_equal(doubts.cut, side < 2 ? 0 : 1);
		}
		numbers++;
	}
	assert_int_equal(numbers + categories, 13);
	assert_true(numbers && categories);
	hel_json_free(json);
	hel_bytes_free(text, size);
	hel_client_free(c);
}

static void test_access(void **state)
{
	(void)state;
	uint8_t secret[HEL_SECRET_BYTES], *text, *request_text;
	size_t size, request_size;
	hel_access *a, *back, *both;
	make_model(path("models/wide.helm"), "wide", 1, 12, NULL);
	assert_ok(hel_secret_new(secret));
	hel_client *c = open_model("models/heart.helm", secret),
		   *wide = open_model("models/wide.helm", secret);
	uint8_t one[HEL_PIN_BYTES], two[HEL_PIN_BYTES];
	hel_client_parameters(one, c);
	hel_client_parameters(two, wide);
	const bool compatible = memcmp(one, two, sizeof one) == 0;
	assert_ok(hel_access_new(&a, c, NULL));
	assert_true(hel_access_covers(a, c));
	assert_ok(hel_access_set_token(a, "secret token"));
	assert_ok(hel_access_write(&text, &size, a));
	assert_ok(hel_access_read(&back, text, size));
	assert_string_equal(hel_access_token(back), "secret token");
	assert_true(hel_access_covers(back, c));
	assert_int_equal(hel_access_keys_size(back, c), hel_access_keys_size(a, c));
	/* what opens a session names keys, nothing else */
	assert_ok(hel_access_request(&request_text, &request_size, a));
	assert_null(strstr((char *)request_text, "nonce"));
	assert_null(strstr((char *)request_text, "token"));
	for (size_t cut = 0; cut < size; cut += 11)
		assert_unequal(hel_access_read(&both, text, cut), HEL_OK);
	print_message("models of the same parameters: %s\n", compatible ? "yes" : "no");
	if (compatible) {
		assert_ok(hel_access_new(&both, wide, a));
		assert_true(hel_access_covers(both, c) && hel_access_covers(both, wide));
		hel_access_free(both);
	} else {
		assert_false(hel_access_covers(a, wide));
		assert_status(HEL_EPARAMS, hel_access_new(&both, wide, a));
	}
	hel_bytes_free(text, size);
	hel_bytes_free(request_text, request_size);
	hel_access_free(a);
	hel_access_free(back);
	hel_client_free(c);
	hel_client_free(wide);
}

static void id_of(uint8_t out[HEL_CLIENT_ID_BYTES], const hel_access *a, const hel_client *c)
{
	hel_writer w = {0};
	hel_reader r;
	assert_ok(hel_access_keys(a, c, append, &w));
	assert_ok(hel_container_open(&r, HEL_KIND_EVALUATION_KEYS, w.bytes, w.size));
	hel_keys *keys;
	assert_ok(hel_keys_read(&keys, hel_client_params(c), &r));
	memcpy(out, keys->client, HEL_CLIENT_ID_BYTES);
	hel_keys_free(keys);
	hel_writer_clear(&w);
}

/* Two servers, or two accesses at one, see names that have nothing in common. */
static void test_names(void **state)
{
	(void)state;
	uint8_t secret[HEL_SECRET_BYTES], id[5][HEL_CLIENT_ID_BYTES], *text;
	size_t size;
	hel_access *a, *b, *back;
	assert_ok(hel_secret_new(secret));
	hel_client *c = open_model("models/heart.helm", secret);
	assert_ok(hel_access_new(&a, c, NULL));
	assert_ok(hel_access_new(&b, c, NULL));
	id_of(id[0], a, c); /* of no server: what files have */
	assert_memory_equal(id[0], hel_secret_key_client(hel_client_key(c)), sizeof id[0]);
	assert_ok(hel_access_set_server(a, "https://one.example"));
	id_of(id[1], a, c);
	assert_ok(hel_access_write(&text, &size, a));
	assert_ok(hel_access_read(&back, text, size));
	id_of(id[4], back, c);
	assert_memory_equal(id[1], id[4], sizeof id[1]); /* it is kept */
	assert_ok(hel_access_set_server(a, "https://two.example"));
	id_of(id[2], a, c);
	assert_ok(hel_access_set_server(b, "https://one.example")); /* --new-keys */
	id_of(id[3], b, c);
	for (size_t i = 0; i < 4; i++)
		for (size_t k = 0; k < i; k++)
			assert_memory_not_equal(id[i], id[k], sizeof id[i]);
	assert_ok(hel_client_use(c, b));
	assert_memory_equal(c->id, id[3], sizeof id[3]);
	hel_bytes_free(text, size);
	hel_access_free(a);
	hel_access_free(b);
	hel_access_free(back);
	hel_client_free(c);
}

/* The pin, and secrets that differ per parameters. */
static void test_pin(void **state)
{
	(void)state;
	uint8_t secret[HEL_SECRET_BYTES], pin[HEL_PIN_BYTES], *bytes;
	size_t size;
	hel_client *c, *none;
	hel_program *p;
	hel_writer w = {0};
	assert_ok(hel_secret_new(secret));
	assert_ok(hel_file_read(path("models/heart.helm"), HEL_PROGRAM_MAX, &bytes, &size));
	assert_ok(hel_program_read(&p, bytes, size));
	assert_ok(hel_manifest_write(&w, p->manifest));
	assert_ok(hel_client_open(&c, w.bytes, w.size, NULL, secret));
	hel_client_pin(pin, c);
	assert_memory_not_equal(hel_secret_key_seed(hel_client_key(c)), secret, HEL_SECRET_BYTES);
	hel_client_free(c);
	assert_ok(hel_client_open(&c, w.bytes, w.size, pin, secret));
	hel_client_free(c);
	pin[3] ^= 1;
	assert_status(HEL_EMODEL, hel_client_open(&none, w.bytes, w.size, pin, secret));
	/* a manifest of insecure parameters is refused whatever its pin */
	p->manifest->params.levels = 40;
	w.size = 0;
	assert_ok(hel_manifest_write(&w, p->manifest));
	assert_status(HEL_ESECURITY,
		      hel_client_open(&none, w.bytes, w.size, p->manifest->id, secret));
	hel_writer_clear(&w);
	hel_program_free(p);
	hel_free(bytes);
}

/* Plain HTTP leaves this machine only when asked to. */
/* Keys of a sparse secret: for the parameters that its security was estimated for, and in pairs. */
static void test_sparse_demands(void **state)
{
	(void)state;
	static const hel_key_request both[] = {{HEL_ENCAPSULATE, 0}, {HEL_DECAPSULATE, 2}},
				     high[] = {{HEL_ENCAPSULATE, 1}, {HEL_DECAPSULATE, 2}};
	hel_params_spec spec;
	assert_ok(hel_refresh_params(&spec, 15, 6));
	hel_params_spec narrow = spec, wide = spec;
	narrow.special = narrow.alpha = 6;
	wide.log_n = 16;
	const struct {
		const hel_params_spec *spec;
		const hel_key_request *key;
		uint32_t keys;
		hel_status wanted;
	} cases[] = {
	    {&spec, both, 2, HEL_OK},	       {&spec, both, 1, HEL_EFORMAT},
	    {&spec, both + 1, 1, HEL_EFORMAT}, {&spec, high, 2, HEL_ELEVEL},
	    {&narrow, both, 2, HEL_ESECURITY}, {&wide, both, 2, HEL_ESECURITY},
	    {NULL, both, 2, HEL_ESECURITY},
	};
	hel_program *p;
	uint8_t *bytes;
	size_t size;
	assert_ok(hel_file_read(path("models/heart.helm"), HEL_PROGRAM_MAX, &bytes, &size));
	assert_ok(hel_program_read(&p, bytes, size));
	hel_free(bytes);
	hel_manifest *m = p->manifest;
	const hel_params_spec own = m->params;
	for (size_t i = 0; i < HEL_ARRAY_LEN(cases); i++) {
		hel_client *c = NULL;
		hel_writer w = {0};
		m->params = cases[i].spec ? *cases[i].spec : own;
		m->keys = cases[i].keys;
		memcpy(m->key, cases[i].key, m->keys * sizeof *m->key);
		for (uint32_t k = 0; k < m->inputs; k++)
			m->input[k].level = 1;
		assert_ok(hel_manifest_write(&w, m));
		assert_status(cases[i].wanted, hel_client_open(&c, w.bytes, w.size, NULL, NULL));
		hel_client_free(c);
		hel_writer_clear(&w);
	}
	hel_program_free(p);
}

static void test_urls(void **state)
{
	(void)state;
	static const struct {
		const char *url;
		bool plain, good;
	} table[] = {{"https://example.org", false, true},
		     {"http://example.org", false, false},
		     {"http://example.org", true, true},
		     {"http://localhost:8443", false, true},
		     {"http://127.0.0.1:1", false, true},
		     {"http://[::1]:1", false, true},
		     {"http://LOCALHOST:8443/", false, true},
		     {"http://localhost:1@example.org", false, false},
		     {"http://localhost@example.org:80/", false, false},
		     {"http://127.0.0.1:8443@example.org", false, false},
		     {"http://example.org/http://localhost", false, false},
		     {"http://localhost.example.org", false, false},
		     {"http://localhost:1@example.org", false, false},
		     {"http://localhost:1@example.org", true, false},
		     {"https://user@example.org", false, false},
		     {"http://LOCALHOST:1/", false, true},
		     {"http://", true, false},
		     {"http://127.0.0.1.example.org", false, false},
		     {"ftp://localhost", true, false},
		     {"example.org", true, false}};
	for (size_t i = 0; i < HEL_ARRAY_LEN(table); i++) {
		hel_remote *r = NULL;
		hel_status st = hel_remote_new(
		    &r, &(hel_remote_options){.url = table[i].url, .plain_http = table[i].plain});
		assert_int_equal(st, table[i].good ? HEL_OK : HEL_EINVAL);
		hel_remote_free(r);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_secret),  cmocka_unit_test(test_keys),
	    cmocka_unit_test(test_columns), cmocka_unit_test(test_access),
	    cmocka_unit_test(test_pin),	    cmocka_unit_test(test_names),
	    cmocka_unit_test(test_urls),    cmocka_unit_test(test_sparse_demands),
	};
	return cmocka_run_group_tests(tests, world_make, world_remove);
}
