/* Records become a query. */
#include "client_inside.h"
#include "features/coding.h"
#include <string.h>

hel_status hel_client_check_count(const hel_client *c, size_t count)
{
	const size_t most = hel_client_batch(c);
	return count && count <= most
		   ? HEL_OK
		   : hel_fail(HEL_EINVAL,
			      most > 1 ? "%zu records in one query; '%s' takes 1 to %zu at once"
				       : "%zu records in one query; '%s' takes %zu at a time (more "
					 "with 'helrm compile --batch')",
			      count, c->manifest->model, most);
}

/* Features of a batch, one record after the other. */
typedef struct batch {
	size_t count;
	double *features;
	hel_complex *record, *slots; /* of one input */
} batch;

/* Places without a record repeat the last one: what holds for records holds for all places. */
static void fill_slots(const batch *b, const hel_manifest *m, const hel_input *in)
{
	const size_t records = (size_t)1 << m->log_batch;
	const size_t own = (size_t)1 << hel_manifest_log_slots(m);
	for (size_t r = 0; r < records; r++) {
		if (r < b->count)
			hel_input_fill(b->record, in, b->features + r * m->features);
		for (size_t q = 0; q < own; q++)
			b->slots[q * records + r] = b->record[q];
	}
}

static hel_status encrypt_input(hel_writer *w, const hel_client *c, const hel_input *in,
				const batch *b, hel_ct *ct)
{
	hel_status st = HEL_OK;
	hel_pt *pt = NULL;
	uint8_t seed[HEL_SEED_BYTES];
	fill_slots(b, c->manifest, in);
	TRY(hel_encode(&pt, c->params, b->slots, in->level, HEL_FOR_ADD));
	if (c->secret) {
		TRY(hel_encrypt_seeded(ct, seed, c->secret, pt));
		hel_ct_write_seeded(w, ct, seed);
	} else {
		TRY(hel_encrypt_public(ct, c->public, pt));
		hel_ct_write(w, ct);
	}
	st = w->status;
done:
	hel_pt_free(pt);
	return st;
}

static hel_status fill_features(const batch *b, const hel_client *c, const hel_records *records,
				size_t first, hel_unknown policy)
{
	hel_status st = HEL_OK;
	const size_t dense = c->schema->dense_count, hots = hel_schema_hots(c->schema);
	double *values = NULL;
	uint32_t *hot = NULL;
	TRY_ALLOC(values, hel_alloc(dense, sizeof *values));
	TRY_ALLOC(hot, hel_alloc(hots, sizeof *hot));
	for (size_t r = 0; r < b->count; r++) {
		TRY(hel_schema_apply(c->schema, records, first + r, policy, values, hot, NULL));
		hel_features_fill(b->features + r * c->manifest->features, c->schema, values, hot,
				  c->manifest->degree);
	}
done:
	hel_free_secret(values, dense * sizeof *values);
	hel_free_secret(hot, hots * sizeof *hot);
	return st;
}

hel_status hel_client_encrypt(hel_writer *w, const hel_client *c, const hel_records *records,
			      size_t first, size_t count, hel_unknown policy)
{
	hel_status st = HEL_OK;
	const hel_manifest *m = c->manifest;
	const size_t slots = hel_params_slots(c->params);
	const size_t own = (size_t)1 << hel_manifest_log_slots(m);
	batch b = {.count = count};
	hel_ct *ct = NULL;
	if (!c->secret && !c->public)
		FAIL(HEL_EINVAL, "no key to encrypt with");
	TRY(hel_client_check_count(c, count));
	if (first >= records->count || count > records->count - first)
		FAIL(HEL_EINVAL, "records %zu to %zu of %zu", first + 1, first + count,
		     records->count);
	TRY_ALLOC(b.features, hel_alloc(count * m->features, sizeof *b.features));
	TRY_ALLOC(b.record, hel_alloc(own, sizeof *b.record));
	TRY_ALLOC(b.slots, hel_alloc(slots, sizeof *b.slots));
	TRY(hel_ct_new(&ct, c->params));
	TRY(fill_features(&b, c, records, first, policy));
	hel_container_begin(w, HEL_KIND_QUERY);
	hel_write_bytes(w, m->id, sizeof m->id);
	hel_write_bytes(w, c->secret ? hel_secret_key_client(c->secret) : c->public->client,
			HEL_CLIENT_ID_BYTES);
	hel_write_u8(w, c->secret ? HEL_CT_SEEDED : HEL_CT_FULL);
	hel_write_u32(w, m->inputs);
	for (uint32_t i = 0; i < m->inputs; i++)
		TRY(encrypt_input(w, c, &m->input[i], &b, ct));
	st = hel_container_end(w);
done:
	hel_free_secret(b.features, count * m->features * sizeof *b.features);
	hel_free_secret(b.record, own * sizeof *b.record);
	hel_free_secret(b.slots, slots * sizeof *b.slots);
	hel_ct_free(ct);
	return st;
}

hel_status hel_client_count(size_t *count, const hel_client *c, const char *text, size_t size)
{
	hel_records records = {0};
	hel_status st = hel_records_parse(&records, hel_client_dataset(c), "input", text, size);
	if (st == HEL_OK)
		*count = records.count;
	hel_records_clear(&records);
	return st;
}

hel_status hel_client_query_batch(uint8_t **query, size_t *query_size, const hel_client *c,
				  const char *text, size_t size, size_t first, size_t count)
{
	hel_status st = HEL_OK;
	hel_records records = {0};
	hel_writer w = {0};
	TRY(hel_records_parse(&records, hel_client_dataset(c), "input", text, size));
	TRY(hel_client_encrypt(&w, c, &records, first, count, HEL_UNKNOWN_IS_ERROR));
	*query = w.bytes;
	*query_size = w.size;
	w = (hel_writer){0};
done:
	hel_writer_clear(&w);
	hel_records_clear(&records);
	return st;
}

hel_status hel_client_query(uint8_t **query, size_t *query_size, const hel_client *c,
			    const char *text, size_t size, size_t record)
{
	return hel_client_query_batch(query, query_size, c, text, size, record, 1);
}
