#include "answer.h"
#include "authorize.h"
#include "http.h"
#include "routes.h"
#include "stock.h"
#include "versions.h"
#include <sodium.h>
#include <string.h>

static void hex(char *out, const uint8_t *bytes, size_t size)
{
	sodium_bin2hex(out, 2 * size + 1, bytes, size);
}

static json_t *describe_model(hel_catalog *c, const hel_model *m)
{
	char id[2 * HEL_HASH_BYTES + 1], fingerprint[2 * HEL_HASH_BYTES + 1];
	hex(id, m->manifest->id, HEL_HASH_BYTES);
	hex(fingerprint, m->params->fingerprint, HEL_HASH_BYTES);
	return json_pack(
	    "{s:s, s:s, s:I, s:s, s:I, s:I, s:I, s:I}", "name", m->name, "manifest", id, "percent",
	    (json_int_t)(100 * hel_version_share(c, m) + 0.5), "parameters", fingerprint,
	    "manifest_bytes", (json_int_t)m->manifest_size, "query_bytes",
	    (json_int_t)m->query_bytes, "result_bytes", (json_int_t)m->result_bytes, "keys_bytes",
	    (json_int_t)hel_keys_file_bytes(m->params, m->manifest->key, m->manifest->keys));
}

void hel_models_end(hel_request *r)
{
	hel_model **models;
	size_t count;
	json_t *list = json_array();
	hel_status st = hel_catalog_all(&models, &count, r->s->catalog);
	if (st != HEL_OK) {
		json_decref(list);
		hel_answer_failure(r, st, 0);
		return;
	}
	for (size_t i = 0; i < count; i++) {
		json_array_append_new(list, describe_model(r->s->catalog, models[i]));
		hel_model_release(models[i]);
	}
	hel_free(models);
	hel_answer_json(r, 200, json_pack("{s:o}", "models", list));
}

bool hel_request_find_model(hel_request *r)
{
	r->model = hel_version_find(r->s->catalog, r->segment, hel_request_customer(r));
	if (!r->model)
		hel_answer_problem(r, 404, "no_model", "no model of this name is in service", 0);
	return r->model != NULL;
}

void hel_answer_successor(hel_request *r)
{
	char link[HEL_ROUTE_NAME_MAX + 64];
	if (!r->model || hel_version_share(r->s->catalog, r->model) > 0)
		return;
	snprintf(link, sizeof link, "</v1/models/%.*s/manifest>; rel=\"successor-version\"",
		 (int)hel_version_base(r->model->name), r->model->name);
	hel_answer_header(r, MHD_HTTP_HEADER_LINK, link);
}

void hel_manifest_end(hel_request *r)
{
	char tag[2 * HEL_HASH_BYTES + 3] = "\"";
	if (!hel_request_find_model(r))
		return;
	hex(tag + 1, r->model->manifest->id, HEL_HASH_BYTES);
	strcat(tag, "\"");
	const char *known = hel_request_header(r, MHD_HTTP_HEADER_IF_NONE_MATCH);
	const bool same = known && strcmp(known, tag) == 0;
	hel_answer_bytes(r, same ? 304 : 200, "application/octet-stream", r->model->manifest_bytes,
			 same ? 0 : r->model->manifest_size);
	hel_answer_header(r, MHD_HTTP_HEADER_ETAG, tag);
	hel_answer_successor(r);
}

/* What its queries rank; 0 items: they score records, or nothing is there to rank now. */
void hel_catalogue_end(hel_request *r)
{
	char id[2 * HEL_HASH_BYTES + 1] = "";
	if (!hel_request_find_model(r))
		return;
	hel_stock *s = hel_stock_of(r->model);
	const hel_catalogue *c = s ? hel_stock_catalogue(s) : NULL;
	const hel_catalogue_head *h = c ? hel_catalogue_head_of(c) : NULL;
	if (h)
		hex(id, h->id, HEL_HASH_BYTES);
	hel_answer_json(r, 200,
			json_pack("{s:s, s:I, s:I, s:I, s:I}", "catalogue", id, "items",
				  h ? (json_int_t)h->items : 0, "blocks",
				  c ? (json_int_t)hel_catalogue_blocks(c) : 0, "bytes",
				  h ? (json_int_t)h->bytes : 0, "result_bytes",
				  (json_int_t)r->model->result_bytes));
	hel_stock_release(s);
}
