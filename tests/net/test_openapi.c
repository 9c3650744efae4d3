/* docs/openapi.json against the running server: every resource is described and every description
 * is a resource; every answer has a described status, content type and shape; every good answer is
 * seen. */
#include "fixture.h"
#include "net/server/routes.h"
#include <jansson.h>

static const char *document;
static json_t *api;
static reply r;
static uint16_t port;

static json_t *operation(const char *route, const char *method)
{
	char lower[16] = "";
	for (size_t i = 0; method[i] && i < sizeof lower - 1; i++)
		lower[i] = (char)(method[i] | 0x20);
	return json_object_get(json_object_get(json_object_get(api, "paths"), route), lower);
}

/* As much of JSON Schema as the document uses. */
static bool fits(const json_t *value, const json_t *schema)
{
	const char *ref = json_string_value(json_object_get(schema, "$ref"));
	if (ref)
		return fits(
		    value,
		    json_object_get(json_object_get(json_object_get(api, "components"), "schemas"),
				    strrchr(ref, '/') + 1));
	const char *type = json_string_value(json_object_get(schema, "type"));
	assert_non_null(type);
	if (strcmp(type, "integer") == 0)
		return json_is_integer(value);
	if (strcmp(type, "string") == 0) {
		const json_t *choice = json_object_get(schema, "enum");
		bool good = json_is_string(value) && !choice;
		for (size_t i = 0; i < json_array_size(choice); i++)
			good |= json_equal(value, json_array_get(choice, i)) == 1;
		return good;
	}
	if (strcmp(type, "array") == 0) {
		for (size_t i = 0; i < json_array_size(value); i++)
			if (!fits(json_array_get(value, i), json_object_get(schema, "items")))
				return false;
		return json_is_array(value);
	}
	assert_string_equal(type, "object");
	const json_t *required = json_object_get(schema, "required"),
		     *properties = json_object_get(schema, "properties");
	for (size_t i = 0; i < json_array_size(required); i++)
		if (!json_object_get(value, json_string_value(json_array_get(required, i))))
			return false;
	const char *name;
	json_t *member;
	json_object_foreach((json_t *)(uintptr_t)value, name, member)
	{
		const json_t *property = json_object_get(properties, name);
		if (!property || !fits(member, property))
			return false;
	}
	return json_is_object(value);
}

/* One request; checks the answer against the document and marks it as seen. */
static int ask(const char *method, const char *route, const char *url, const char *headers,
	       const void *body, size_t size)
{
	char status[8];
	const int code = request(&r, port, method, url, headers, body, size);
	snprintf(status, sizeof status, "%d", code);
	json_t *answer =
	    json_object_get(json_object_get(operation(route, method), "responses"), status);
	if (!answer)
		fail_msg("%s %s answers %d, which is not described: %s", method, url, code, r.body);
	json_object_set_new(answer, "seen", json_true());
	const json_t *content = json_object_get(answer, "content");
	const char *type = strstr(r.text, "Content-Type: ");
	if (!content)
		return code;
	char kind[64] = "";
	assert_non_null(type);
	sscanf(type + 14, "%63[^\r]", kind);
	const json_t *media = json_object_get(content, kind);
	if (!media)
		fail_msg("%s %s answers %s, which is not described", method, url, kind);
	if (strstr(kind, "json")) {
		json_error_t error;
		json_t *value = json_loads(r.body, 0, &error);
		if (!value || !fits(value, json_object_get(media, "schema")))
			fail_msg("%s %s answers what does not fit its schema: %s", method, url,
				 r.body);
		json_decref(value);
	}
	json_t *headers_described = json_object_get(answer, "headers");
	const char *name;
	json_t *header;
	json_object_foreach(headers_described, name, header)
	{
		const bool may_miss = json_is_false(json_object_get(header, "required"));
		if (!may_miss && !strstr(r.text, name))
			fail_msg("%s %s answers %d without %s", method, url, code, name);
	}
	return code;
}

static void test_same_resources(void **state)
{
	(void)state;
	size_t described = 0;
	const char *name, *method;
	json_t *item, *unused;
	for (size_t i = 0; i < hel_routes_count; i++)
		if (!operation(hel_routes[i].path, hel_routes[i].method))
			fail_msg("%s %s is not described", hel_routes[i].method,
				 hel_routes[i].path);
	json_object_foreach(json_object_get(api, "paths"), name, item)
	{
		json_object_foreach(item, method, unused)
		{
			described++;
		}
	}
	assert_int_equal(described, hel_routes_count);
}

static void test_answers(void **state)
{
	(void)state;
	server s;
	user u = {0}, done = {0};
	hel_writer query = {0};
	uint8_t *json;
	size_t size;
	char headers[600], url[128];
	static const char *const options[] = {"--opens-per-minute", "100", "--sessions", "4", NULL};
	server_start(&s, options);
	port = s.port;
	ask("GET", "/healthz", "/healthz", "", NULL, 0);
	ask("GET", "/readyz", "/readyz", "", NULL, 0);
	ask("GET", "/metrics", "/metrics", "", NULL, 0);
	ask("GET", "/v1/models", "/v1/models", "", NULL, 0);
	const char *manifest = "/v1/models/{name}/manifest", *queries = "/v1/models/{name}/queries";
	const char *one = "/v1/queries/{id}", *keys = "/v1/session/keys";
	assert_int_equal(ask("GET", manifest, "/v1/models/heart/manifest", "", NULL, 0), 200);
	const char *tag = strstr(r.text, "ETag: ");
	assert_non_null(tag);
	snprintf(headers, sizeof headers, "If-None-Match: %.66s\r\n", tag + 6);
	assert_int_equal(ask("GET", manifest, "/v1/models/heart/manifest", headers, NULL, 0), 304);
	assert_int_equal(ask("GET", manifest, "/v1/models/no/manifest", "", NULL, 0), 404);
	const char *catalogue = "/v1/models/{name}/catalogue";
	assert_int_equal(ask("GET", catalogue, "/v1/models/heart/catalogue", "", NULL, 0), 200);
	assert_int_equal(ask("GET", catalogue, "/v1/models/no/catalogue", "", NULL, 0), 404);
	/* sessions */
	assert_ok(user_open(&u, s.url, "heart"));
	assert_ok(hel_access_request(&json, &size, u.access));
	assert_int_equal(ask("POST", "/v1/sessions", "/v1/sessions", "", json, size), 201);
	assert_int_equal(ask("POST", "/v1/sessions", "/v1/sessions", "", "{", 1), 400);
	assert_int_equal(ask("GET", "/v1/session", "/v1/session", bearer(&u), NULL, 0), 200);
	assert_int_equal(ask("GET", "/v1/session", "/v1/session", "", NULL, 0), 401);
	/* a query before its keys, pieces at wrong places */
	hel_write_u8(&query, 0);
	assert_int_equal(ask("POST", queries, "/v1/models/heart/queries", bearer(&u), "x", 1), 409);
	assert_int_equal(ask("PATCH", keys, keys, bearer(&u), "x", 1), 400);
	snprintf(headers, sizeof headers, "%sUpload-Offset: 7\r\n", bearer(&u));
	assert_int_equal(ask("PATCH", keys, keys, headers, "x", 1), 409);
	snprintf(headers, sizeof headers, "%sUpload-Offset: 0\r\n", bearer(&u));
	assert_int_equal(ask("PATCH", keys, keys, headers, "x", 1), 200);
	hel_writer_clear(&query);
	/* queries */
	assert_ok(user_make(&done, s.url, "heart"));
	assert_ok(user_encrypt(&query, &done, 0));
	assert_int_equal(ask("POST", queries, "/v1/models/heart/queries", bearer(&done),
			     query.bytes, query.size - 1),
			 422);
	assert_int_equal(
	    ask("POST", queries, "/v1/models/no/queries", bearer(&done), query.bytes, query.size),
	    404);
	assert_int_equal(ask("POST", queries, "/v1/models/heart/queries", bearer(&done),
			     query.bytes, query.size),
			 202);
	const char *id = strstr(r.body, "\"query\":\"");
	snprintf(url, sizeof url, "/v1/queries/%.32s", id + 9);
	snprintf(headers, sizeof headers, "%sPrefer: wait=20\r\n", bearer(&done));
	assert_int_equal(ask("GET", one, url, headers, NULL, 0), 200);
	assert_int_equal(ask("DELETE", one, url, bearer(&done), NULL, 0), 204);
	assert_int_equal(ask("GET", one, url, bearer(&done), NULL, 0), 404);
	assert_int_equal(
	    ask("POST", queries, "/v1/models/heart/queries", headers, query.bytes, query.size),
	    200);
	/* not there yet: behind others */
	int pending = 0;
	for (int i = 0; i < 50 && !pending; i++) {
		for (int k = 0; k < 4; k++)
			request(&r, s.port, "POST", "/v1/models/heart/queries", bearer(&done),
				query.bytes, query.size);
		id = strstr(r.body, "\"query\":\"");
		if (!id)
			continue;
		snprintf(url, sizeof url, "/v1/queries/%.32s", id + 9);
		pending = ask("GET", one, url, bearer(&done), NULL, 0) == 202;
	}
	assert_true(pending);
	/* quota */
	assert_int_equal(request(&r, s.port, "POST", "/v1/sessions", "", json, size), 201);
	assert_int_equal(ask("POST", "/v1/sessions", "/v1/sessions", "", json, size), 507);
	assert_int_equal(ask("DELETE", "/v1/session", "/v1/session", bearer(&done), NULL, 0), 204);
	/* every good answer was seen */
	const char *name, *method, *status;
	json_t *item, *op, *answer;
	json_object_foreach(json_object_get(api, "paths"), name, item)
	{
		json_object_foreach(item, method, op)
		{
			json_object_foreach(json_object_get(op, "responses"), status, answer)
			{
				if (*status < '4' && !json_object_get(answer, "seen"))
					fail_msg("%s %s: %s is described, but was never seen",
						 method, name, status);
			}
		}
	}
	hel_bytes_free(json, size);
	hel_writer_clear(&query);
	server_stop(&s);
	user_clear(&u);
	user_clear(&done);
}

int main(int argc, char **argv)
{
	json_error_t error;
	if (argc < 3)
		return 2;
	server_binary = argv[1];
	document = argv[2];
	api = json_load_file(document, JSON_REJECT_DUPLICATES, &error);
	if (!api) {
		fprintf(stderr, "%s: %s\n", document, error.text);
		return 1;
	}
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_same_resources),
					   cmocka_unit_test_setup(test_answers, fresh_data)};
	const int failed = cmocka_run_group_tests(tests, world_make, world_remove);
	json_decref(api);
	return failed;
}
