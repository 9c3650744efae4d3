#include "net/net.h"
#include <math.h>
#include <sodium.h>
#include <string.h>

/* What a manifest may make a client compute, store and send. */
#define KEYS_BYTES_MAX ((size_t)4 << 30)
#define QUERY_BYTES_MAX ((size_t)1 << 30)

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
	size_t width =
	    hel_features_width(c->schema->dense_count, hel_schema_onehots(c->schema), m->degree);
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

static hel_status encrypt_input(hel_writer *w, const hel_client *c, const hel_input *in,
				const double *features, hel_complex *slots, hel_ct *ct)
{
	hel_status st = HEL_OK;
	hel_pt *pt = NULL;
	uint8_t seed[HEL_SEED_BYTES];
	hel_input_fill(slots, in, features);
	TRY(hel_encode(&pt, c->params, slots, in->level, HEL_FOR_ADD));
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

hel_status hel_client_encrypt(hel_writer *w, const hel_client *c, const hel_records *records,
			      size_t row, hel_unknown policy)
{
	hel_status st = HEL_OK;
	const hel_manifest *m = c->manifest;
	const size_t slots = hel_params_slots(c->params), dense = c->schema->dense_count;
	const size_t hots = hel_schema_hots(c->schema);
	double *values = NULL;
	uint32_t *hot = NULL;
	hel_complex *block = NULL;
	hel_ct *ct = NULL;
	if (!c->secret && !c->public)
		FAIL(HEL_EINVAL, "no key to encrypt with");
	TRY_ALLOC(values, hel_alloc(dense + m->features, sizeof *values));
	TRY_ALLOC(hot, hel_alloc(hots, sizeof *hot));
	TRY_ALLOC(block, hel_alloc(slots, sizeof *block));
	TRY(hel_ct_new(&ct, c->params));
	TRY(hel_schema_apply(c->schema, records, row, policy, values, hot, NULL));
	hel_features_fill(values + dense, c->schema, values, hot, m->degree);
	hel_container_begin(w, HEL_KIND_QUERY);
	hel_write_bytes(w, m->id, sizeof m->id);
	hel_write_bytes(w, c->secret ? hel_secret_key_client(c->secret) : c->public->client,
			HEL_CLIENT_ID_BYTES);
	hel_write_u8(w, c->secret ? HEL_CT_SEEDED : HEL_CT_FULL);
	hel_write_u32(w, m->inputs);
	for (uint32_t i = 0; i < m->inputs; i++)
		TRY(encrypt_input(w, c, &m->input[i], values + dense, block, ct));
	st = hel_container_end(w);
done:
	hel_free_secret(values, (dense + m->features) * sizeof *values);
	hel_free_secret(hot, hots * sizeof *hot);
	hel_free_secret(block, slots * sizeof *block);
	hel_ct_free(ct);
	return st;
}

hel_status hel_client_decrypt(hel_score *out, const hel_client *c, const void *result, size_t size)
{
	hel_status st = HEL_OK;
	const hel_manifest *m = c->manifest;
	const size_t n = c->params->ring.n;
	hel_ct *ct = NULL;
	double *coefficient = NULL;
	uint32_t samples;
	hel_reader r;
	if (!c->secret)
		FAIL(HEL_EINVAL, "no secret key");
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
	TRY_ALLOC(coefficient, hel_alloc(n, sizeof *coefficient));
	TRY(hel_decrypt_coefficients(coefficient, n, c->secret, ct));
	/* A real score that all slots share is a constant polynomial. Slots that are not real, or
	 * that differ with a power of two up to samples / 2 as period (a fold left out), show at
	 * the other multiples of N / samples. */
	const size_t stride = n / samples;
	double stray = 0;
	for (uint32_t i = 1; i < samples; i++)
		stray = fmax(stray, fabs(coefficient[i * stride]));
	if (!(stray < STRAY_LIMIT * exp2(-m->bits)) ||
	    !(fabs(coefficient[0]) <= m->bound * 1.01 + 1))
		FAIL(HEL_ERANGE,
		     "the result does not decrypt to a score (%.3g stray, %.3g expected): wrong "
		     "keys%s or a faulty server",
		     stray, exp2(-m->bits),
		     m->measured
			 ? ", a record unlike those that this model's bounds were measured on,"
			 : "");
	out->logit = coefficient[0];
	out->probability = 1 / (1 + exp(-out->logit));
	out->bits = m->bits;
done:
	hel_free_secret(coefficient, n * sizeof *coefficient);
	hel_ct_free(ct);
	return st;
}
