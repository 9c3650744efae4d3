#include "ckks/secret.h"
#include "net/net.h"
#include <math.h>
#include <sodium.h>
#include <string.h>

/* What a manifest may make a client compute, store and send. */
#define KEYS_BYTES_MAX ((size_t)4 << 30)
#define QUERY_BYTES_MAX ((size_t)1 << 30)
#define FEATURES_MAX ((uint64_t)1 << 27) /* of a whole batch */

/* A coefficient that must be zero may stray this many times the predicted error. Errors are close
 * to Gaussian: one in 10^15 goes that far. */
#define STRAY_LIMIT 8

struct hel_client {
	hel_manifest *manifest;
	hel_params *params;
	hel_schema *schema;
	const hel_dataset *set;
	hel_secret_key *secret;
	hel_public_key *public; /* of another client, to contribute a query to */
};

void hel_client_free(hel_client *c)
{
	if (!c)
		return;
	hel_secret_key_free(c->secret);
	hel_public_key_free(c->public);
	hel_schema_free(c->schema);
	hel_params_free(c->params);
	hel_manifest_free(c->manifest);
	hel_free(c);
}

const hel_manifest *hel_client_manifest(const hel_client *c)
{
	return c->manifest;
}

size_t hel_client_batch(const hel_client *c)
{
	return (size_t)1 << c->manifest->log_batch;
}

const hel_dataset *hel_client_dataset(const hel_client *c)
{
	return c->set;
}

/* A manifest comes from the server: what it asks for is bounded before any of it is made. */
static hel_status check_demands(const hel_client *c)
{
	const hel_manifest *m = c->manifest;
	size_t keys = 0, query = 0;
	for (uint32_t i = 0; i < m->keys; i++) {
		const uint32_t galois = m->key[i].galois;
		if (galois != HEL_RELINEARISE && !(galois & 1))
			return hel_fail(HEL_EFORMAT,
					"the manifest asks for a key of Galois element %u", galois);
		for (uint32_t k = 0; k < i; k++)
			if (m->key[k].galois == galois)
				return hel_fail(HEL_EFORMAT, "the manifest asks twice for one key");
		keys += hel_switch_key_bytes(c->params, m->key[i].level);
	}
	for (uint32_t i = 0; i < m->inputs; i++)
		query += c->params->limbs[m->input[i].level] *
			 hel_packed_size(c->params->ring.n, HEL_PRIME_BITS);
	if (keys > KEYS_BYTES_MAX || query > QUERY_BYTES_MAX)
		return hel_fail(
		    HEL_ELIMIT,
		    "the manifest asks for %zu MB of keys and %zu MB per query; at most %zu and "
		    "%zu are accepted",
		    keys >> 20, query >> 20, KEYS_BYTES_MAX >> 20, QUERY_BYTES_MAX >> 20);
	if ((uint64_t)m->features << m->log_batch > FEATURES_MAX)
		return hel_fail(HEL_ELIMIT, "the manifest asks for %u features of %zu records",
				m->features, hel_client_batch(c));
	if (m->samples > c->params->ring.n || (m->samples & (m->samples - 1)))
		return hel_fail(HEL_EFORMAT, "the manifest asks for %u samples", m->samples);
	return HEL_OK;
}

hel_status hel_client_new(hel_client **out, const void *manifest, size_t manifest_size,
			  const void *secret, size_t secret_size)
{
	hel_status st = HEL_OK;
	hel_client *c = NULL;
	TRY(hel_random_init());
	TRY_ALLOC(c, hel_alloc(1, sizeof *c));
	TRY(hel_manifest_read(&c->manifest, manifest, manifest_size));
	const hel_manifest *m = c->manifest;
	TRY(hel_schema_from_json(&c->schema, m->schema, strlen(m->schema)));
	c->set = hel_dataset_by_name(c->schema->dataset);
	if (!c->set) {
		st = HEL_EFORMAT;
		goto done;
	}
	const size_t width = hel_features_width(c->schema, m->degree);
	if (width != m->features)
		FAIL(HEL_EFORMAT, "the manifest has %u features, its schema %zu", m->features,
		     width);
	TRY(hel_params_new(&c->params, &m->params));
	TRY(check_demands(c));
	if (secret)
		TRY(hel_secret_key_load(&c->secret, c->params, secret, secret_size));
	*out = c;
	c = NULL;
done:
	hel_client_free(c);
	return st;
}

hel_status hel_client_generate(hel_client *c)
{
	hel_secret_key *key;
	hel_status st = hel_secret_key_new(&key, c->params);
	if (st == HEL_OK) {
		hel_secret_key_free(c->secret);
		c->secret = key;
	}
	return st;
}

hel_status hel_client_use_secret(hel_client *c, const uint8_t secret[HEL_SECRET_BYTES])
{
	static const char purpose[] = "helrm secret key";
	crypto_generichash_state h;
	uint8_t seed[HEL_SEED_BYTES];
	hel_secret_key *key;
	crypto_generichash_init(&h, secret, HEL_SECRET_BYTES, sizeof seed);
	crypto_generichash_update(&h, (const uint8_t *)purpose, sizeof purpose);
	crypto_generichash_update(&h, c->params->fingerprint, HEL_HASH_BYTES);
	crypto_generichash_final(&h, seed, sizeof seed);
	hel_status st = hel_secret_key_from_seed(&key, c->params, seed);
	hel_wipe(seed, sizeof seed);
	hel_wipe(&h, sizeof h);
	if (st == HEL_OK) {
		hel_secret_key_free(c->secret);
		c->secret = key;
	}
	return st;
}

const hel_params *hel_client_params(const hel_client *c)
{
	return c->params;
}

const hel_secret_key *hel_client_key(const hel_client *c)
{
	return c->secret;
}

hel_status hel_client_write_secret(hel_writer *w, const hel_client *c)
{
	if (!c->secret)
		return hel_fail(HEL_EINVAL, "no secret key");
	return hel_secret_key_store(w, c->secret);
}

hel_status hel_client_write_keys(hel_writer *w, const hel_client *c, hel_pool *pool)
{
	hel_status st = HEL_OK;
	hel_keys *keys = NULL;
	if (!c->secret)
		FAIL(HEL_EINVAL, "no secret key");
	TRY(hel_keys_generate(&keys, c->secret, c->manifest->key, c->manifest->keys, pool));
	st = hel_keys_store(w, keys);
done:
	hel_keys_free(keys);
	return st;
}

/* Up to the level of the highest input. */
hel_status hel_client_write_public(hel_writer *w, const hel_client *c)
{
	hel_status st = HEL_OK;
	hel_public_key *key = NULL;
	unsigned level = 0;
	if (!c->secret)
		FAIL(HEL_EINVAL, "no secret key");
	for (uint32_t i = 0; i < c->manifest->inputs; i++)
		level = HEL_MAX(level, c->manifest->input[i].level);
	TRY(hel_public_key_new(&key, c->secret, level));
	st = hel_public_key_store(w, key);
done:
	hel_public_key_free(key);
	return st;
}

hel_status hel_client_contribute(hel_client *c, const void *public_key, size_t size)
{
	hel_status st = HEL_OK;
	hel_public_key *key = NULL;
	if (c->secret)
		FAIL(HEL_EINVAL, "with the secret key at hand, nothing is gained by a public one");
	TRY(hel_public_key_load(&key, c->params, public_key, size));
	for (uint32_t i = 0; i < c->manifest->inputs; i++)
		if (c->manifest->input[i].level > key->level)
			FAIL(HEL_ELEVEL,
			     "the public key reaches level %u, an input of this model needs %u; it "
			     "must come from 'helrm keygen' with this model's manifest",
			     key->level, c->manifest->input[i].level);
	hel_public_key_free(c->public);
	c->public = key;
	key = NULL;
done:
	hel_public_key_free(key);
	return st;
}

static hel_status check_count(const hel_client *c, size_t count)
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
	TRY(check_count(c, count));
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

static hel_status read_result(hel_ct **out, const hel_client *c, const void *result, size_t size)
{
	hel_status st = HEL_OK;
	const hel_manifest *m = c->manifest;
	hel_ct *ct = NULL;
	uint32_t samples;
	hel_reader r;
	TRY(hel_container_open(&r, HEL_KIND_RESULT, result, size));
	const uint8_t *id = hel_read_bytes(&r, HEL_HASH_BYTES);
	const uint8_t *client = hel_read_bytes(&r, HEL_CLIENT_ID_BYTES);
	TRY(r.status);
	if (memcmp(id, m->id, HEL_HASH_BYTES) != 0)
		FAIL(HEL_EMODEL, "this result comes from another model than the manifest '%s'",
		     m->model);
	if (memcmp(client, hel_secret_key_client(c->secret), HEL_CLIENT_ID_BYTES) != 0)
		FAIL(HEL_ECLIENT, "this result belongs to another client's secret key");
	TRY(hel_ct_new(&ct, c->params));
	TRY(hel_ct_read_sampled(ct, &samples, &r));
	TRY(hel_reader_finish(&r));
	if (ct->level != 0 || samples != m->samples)
		FAIL(HEL_EFORMAT, "a result of level %u with %u samples, expected 0 and %u",
		     ct->level, samples, m->samples);
	*out = ct;
	ct = NULL;
done:
	hel_ct_free(ct);
	return st;
}

/* A score that all slots of its record share: slots of period `records`, that is a polynomial in
 * X^(N / 2 records). Slots of one record that differ with a power of two up to samples / 2 records
 * as period (a fold left out) show at the other coefficients that were sent; what is not real shows
 * in the slots. The coefficients that were not sent are noise. Returns the largest of what should
 * be zero; the first `records` slots become the records'. */
static hel_status separate(double *stray, hel_complex *slots, double *coefficient,
			   const hel_client *c)
{
	const size_t n = c->params->ring.n, records = (size_t)1 << c->manifest->log_batch;
	const size_t sent = n / c->manifest->samples, own = n / (2 * records);
	*stray = 0;
	for (size_t i = 0; i < n; i++) {
		if (i % own == 0)
			continue;
		if (i % sent == 0)
			*stray = fmax(*stray, fabs(coefficient[i]));
		coefficient[i] = 0;
	}
	hel_status st = hel_embed(c->params, slots, coefficient);
	for (size_t r = 0; st == HEL_OK && r < records; r++)
		*stray = fmax(*stray, fabs(slots[r].im));
	return st;
}

hel_status hel_client_decrypt(hel_score *out, size_t count, const hel_client *c, const void *result,
			      size_t size)
{
	hel_status st = HEL_OK;
	const hel_manifest *m = c->manifest;
	const size_t n = c->params->ring.n;
	hel_ct *ct = NULL;
	double *coefficient = NULL, stray, largest = 0;
	hel_complex *slots = NULL;
	if (!c->secret)
		FAIL(HEL_EINVAL, "no secret key");
	TRY(check_count(c, count));
	TRY(read_result(&ct, c, result, size));
	TRY_ALLOC(coefficient, hel_alloc(n, sizeof *coefficient));
	TRY_ALLOC(slots, hel_alloc(n / 2, sizeof *slots));
	TRY(hel_decrypt_coefficients(coefficient, n, c->secret, ct));
	TRY(separate(&stray, slots, coefficient, c));
	for (size_t r = 0; r < (size_t)1 << m->log_batch; r++)
		largest = fmax(largest, fabs(slots[r].re));
	if (!(stray < STRAY_LIMIT * exp2(-m->bits)) || !(largest <= m->bound * 1.01 + 1))
		FAIL(HEL_ERANGE,
		     "the result does not decrypt to a score (%.3g stray, %.3g expected): wrong "
		     "keys%s or a faulty server",
		     stray, exp2(-m->bits),
		     m->measured
			 ? ", a record unlike those that this model's bounds were measured on,"
			 : "");
	for (size_t r = 0; r < count; r++)
		out[r] = (hel_score){.logit = slots[r].re,
				     .probability = 1 / (1 + exp(-slots[r].re)),
				     .bits = m->bits};
done:
	hel_free_secret(coefficient, n * sizeof *coefficient);
	hel_free_secret(slots, n / 2 * sizeof *slots);
	hel_ct_free(ct);
	return st;
}
