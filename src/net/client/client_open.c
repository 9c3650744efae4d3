/* A client: a manifest that was checked, and a key. */
#include "client_inside.h"
#include "features/coding.h"
#include <sodium.h>
#include <string.h>

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
	return c->manifest->items.any ? 1 : (size_t)1 << c->manifest->log_batch;
}

const hel_dataset *hel_client_dataset(const hel_client *c)
{
	return c->set;
}

static void take_key(hel_client *c, hel_secret_key *key)
{
	hel_secret_key_free(c->secret);
	c->secret = key;
	memcpy(c->id, hel_secret_key_client(key), sizeof c->id);
}

/* All of a manifest, which comes from the server, is checked; there is no key yet. */
static hel_status read_manifest(hel_client *c, const void *bytes, size_t size)
{
	hel_status st = HEL_OK;
	TRY(hel_manifest_read(&c->manifest, bytes, size));
	const hel_manifest *m = c->manifest;
	TRY(hel_schema_from_json(&c->schema, m->schema, strlen(m->schema)));
	c->set = c->schema->set;
	if (!c->set)
		FAIL(HEL_EFORMAT,
		     "the manifest's data set '%s' is not known, and it has no 'columns'",
		     c->schema->dataset);
	const uint64_t width = hel_features_width(c->schema, m->degree);
	if (width + m->items.width != m->features || m->items.first > width)
		FAIL(HEL_EFORMAT, "the manifest has %u features, its schema %llu", m->features,
		     (unsigned long long)width);
	TRY(hel_params_new(&c->params, &m->params));
	TRY(hel_client_check_demands(c));
done:
	return st;
}

hel_status hel_client_open(hel_client **out, const void *manifest, size_t size,
			   const uint8_t pin[HEL_PIN_BYTES], const uint8_t secret[HEL_SECRET_BYTES])
{
	hel_status st = HEL_OK;
	hel_client *c = NULL;
	TRY(hel_random_init());
	TRY_ALLOC(c, hel_alloc(1, sizeof *c));
	TRY(read_manifest(c, manifest, size));
	if (pin && memcmp(pin, c->manifest->id, HEL_PIN_BYTES) != 0)
		FAIL(HEL_EMODEL,
		     "the manifest of '%s' is not the one pinned before: ask who runs the "
		     "server why it changed, then pin the new one",
		     c->manifest->model);
	if (secret)
		TRY(hel_client_use_secret(c, secret));
	*out = c;
	c = NULL;
done:
	hel_client_free(c);
	return st;
}

hel_status hel_client_load_key(hel_client *c, const void *file, size_t size)
{
	hel_secret_key *key;
	hel_status st = hel_secret_key_load(&key, c->params, file, size);
	if (st == HEL_OK)
		take_key(c, key);
	return st;
}

hel_status hel_client_generate(hel_client *c)
{
	hel_secret_key *key;
	hel_status st = hel_secret_key_new(&key, c->params);
	if (st == HEL_OK)
		take_key(c, key);
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
	if (st == HEL_OK)
		take_key(c, key);
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
	memcpy(c->id, key->client, sizeof c->id);
	key = NULL;
done:
	hel_public_key_free(key);
	return st;
}

void hel_client_pin(uint8_t pin[HEL_PIN_BYTES], const hel_client *c)
{
	memcpy(pin, hel_client_manifest(c)->id, HEL_PIN_BYTES);
}

void hel_client_parameters(uint8_t fingerprint[HEL_PIN_BYTES], const hel_client *c)
{
	memcpy(fingerprint, hel_client_params(c)->fingerprint, HEL_PIN_BYTES);
}

const char *hel_client_model(const hel_client *c)
{
	return hel_client_manifest(c)->model;
}
