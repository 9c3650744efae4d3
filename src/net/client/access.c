/* An upload of evaluation keys: which ones, from which randomness, under which token. */
#include "ckks/secret.h"
#include "net/net.h"
#include <jansson.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#define TOKEN_MAX 256
#define TEXT_MAX ((size_t)1 << 20)

struct hel_access {
	char token[TOKEN_MAX + 1];
	uint8_t nonce[HEL_SEED_BYTES]; /* of this key list only */
	uint8_t fingerprint[HEL_HASH_BYTES];
	size_t count;
	hel_key_request *request;
};

void hel_access_free(hel_access *a)
{
	if (!a)
		return;
	hel_free(a->request);
	hel_free_secret(a, sizeof *a);
}

/* Adds a key, or raises the level of one that is there. */
static void add(hel_access *a, hel_key_request wanted)
{
	size_t i = 0;
	while (i < a->count && a->request[i].galois != wanted.galois)
		i++;
	if (i == a->count)
		a->request[a->count++] = wanted;
	else
		a->request[i].level = HEL_MAX(a->request[i].level, wanted.level);
}

hel_status hel_access_new(hel_access **out, const hel_client *c, const hel_access *also)
{
	hel_status st = HEL_OK;
	hel_access *a = NULL;
	const hel_manifest *m = hel_client_manifest(c);
	const uint8_t *fingerprint = hel_client_params(c)->fingerprint;
	if (also && memcmp(also->fingerprint, fingerprint, HEL_HASH_BYTES) != 0)
		FAIL(HEL_EPARAMS, "these keys are for other parameters and cannot be extended");
	TRY_ALLOC(a, hel_alloc(1, sizeof *a));
	TRY_ALLOC(a->request, hel_alloc(m->keys + (also ? also->count : 0), sizeof *a->request));
	memcpy(a->fingerprint, fingerprint, HEL_HASH_BYTES);
	hel_random_bytes(a->nonce, sizeof a->nonce);
	for (size_t i = 0; also && i < also->count; i++)
		add(a, also->request[i]);
	for (uint32_t i = 0; i < m->keys; i++)
		add(a, m->key[i]);
	if (a->count > HEL_MAX_KEYS)
		FAIL(HEL_ELIMIT, "%zu keys together, at most %d are allowed", a->count,
		     HEL_MAX_KEYS);
	*out = a;
	a = NULL;
done:
	hel_access_free(a);
	return st;
}

bool hel_access_covers(const hel_access *a, const hel_client *c)
{
	const hel_manifest *m = hel_client_manifest(c);
	if (memcmp(a->fingerprint, hel_client_params(c)->fingerprint, HEL_HASH_BYTES) != 0)
		return false;
	for (uint32_t i = 0; i < m->keys; i++) {
		size_t k = 0;
		while (k < a->count && (a->request[k].galois != m->key[i].galois ||
					a->request[k].level < m->key[i].level))
			k++;
		if (k == a->count)
			return false;
	}
	return true;
}

hel_status hel_access_set_token(hel_access *a, const char *token)
{
	if (strlen(token) > TOKEN_MAX || !hel_is_text(token))
		return hel_fail(HEL_EFORMAT,
				"the session's token is not plain text of at most %d bytes",
				TOKEN_MAX);
	snprintf(a->token, sizeof a->token, "%s", token);
	return HEL_OK;
}

const char *hel_access_token(const hel_access *a)
{
	return a->token;
}

uint64_t hel_access_keys_size(const hel_access *a, const hel_client *c)
{
	return hel_keys_file_bytes(hel_client_params(c), a->request, a->count);
}

hel_status hel_access_keys(const hel_access *a, const hel_client *c, hel_put put, void *arg)
{
	if (memcmp(a->fingerprint, hel_client_params(c)->fingerprint, HEL_HASH_BYTES) != 0)
		return hel_fail(HEL_EPARAMS,
				"these keys are for other parameters than the client's");
	return hel_keys_stream(hel_client_key(c), a->nonce, a->request, a->count, put, arg);
}

/* --- texts ------------------------------------------------------------------------------- */

static hel_status to_text(uint8_t **out, size_t *size, json_t *json)
{
	char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;
	char *copy = text ? hel_strdup(text) : NULL;
	json_decref(json);
	if (text) {
		*size = strlen(text);
		hel_wipe(text, *size);
	}
	free(text);
	if (!copy)
		return hel_fail(HEL_ENOMEM, "out of memory for a session");
	*out = (uint8_t *)copy;
	return HEL_OK;
}

static json_t *describe(const hel_access *a)
{
	char fingerprint[2 * HEL_HASH_BYTES + 1];
	json_t *keys = json_array();
	sodium_bin2hex(fingerprint, sizeof fingerprint, a->fingerprint, HEL_HASH_BYTES);
	for (size_t i = 0; i < a->count; i++)
		json_array_append_new(
		    keys, json_pack("[i, i]", (int)a->request[i].galois, (int)a->request[i].level));
	return json_pack("{s:s, s:o}", "parameters", fingerprint, "keys", keys);
}

hel_status hel_access_request(uint8_t **json, size_t *size, const hel_access *a)
{
	return to_text(json, size, describe(a));
}

hel_status hel_access_write(uint8_t **text, size_t *size, const hel_access *a)
{
	char nonce[2 * HEL_SEED_BYTES + 1];
	json_t *json = describe(a);
	sodium_bin2hex(nonce, sizeof nonce, a->nonce, sizeof a->nonce);
	json_object_set_new(json, "version", json_integer(1));
	json_object_set_new(json, "nonce", json_string(nonce));
	json_object_set_new(json, "token", json_string(a->token));
	return to_text(text, size, json);
}

static hel_status read_hex(uint8_t *out, size_t bytes, const json_t *json, const char *name)
{
	const char *text = json_string_value(json_object_get(json, name));
	size_t size = 0;
	return text && strlen(text) == 2 * bytes &&
		       !sodium_hex2bin(out, bytes, text, 2 * bytes, NULL, &size, NULL) &&
		       size == bytes
		   ? HEL_OK
		   : hel_fail(HEL_EFORMAT, "a session without its '%s'", name);
}

static hel_status read_keys(hel_access *a, const json_t *list)
{
	hel_status st = HEL_OK;
	const size_t count = json_array_size(list);
	if (!count || count > HEL_MAX_KEYS)
		FAIL(HEL_EFORMAT, "a session of %zu keys", count);
	TRY_ALLOC(a->request, hel_alloc(count, sizeof *a->request));
	for (size_t i = 0; i < count; i++) {
		const json_t *pair = json_array_get(list, i);
		const json_int_t galois = json_integer_value(json_array_get(pair, 0));
		const json_int_t level = json_integer_value(json_array_get(pair, 1));
		if (json_array_size(pair) != 2 || galois < 0 || galois >= 1 << 18 || level < 0 ||
		    level > HEL_MAX_LEVELS)
			FAIL(HEL_EFORMAT, "key %zu of a session makes no sense", i);
		add(a, (hel_key_request){(uint32_t)galois, (uint32_t)level});
	}
	if (a->count != count)
		FAIL(HEL_EFORMAT, "a key of a session is listed twice");
done:
	return st;
}

hel_status hel_access_read(hel_access **out, const void *text, size_t size)
{
	hel_status st = HEL_OK;
	hel_access *a = NULL;
	json_error_t error;
	json_t *json =
	    size <= TEXT_MAX ? json_loadb(text, size, JSON_REJECT_DUPLICATES, &error) : NULL;
	TRY_ALLOC(a, hel_alloc(1, sizeof *a));
	if (json_integer_value(json_object_get(json, "version")) != 1)
		FAIL(HEL_EFORMAT, "this is no session of this version");
	TRY(read_hex(a->nonce, sizeof a->nonce, json, "nonce"));
	TRY(read_hex(a->fingerprint, sizeof a->fingerprint, json, "parameters"));
	const char *token = json_string_value(json_object_get(json, "token"));
	TRY(hel_access_set_token(a, token ? token : ""));
	TRY(read_keys(a, json_object_get(json, "keys")));
	*out = a;
	a = NULL;
done:
	json_decref(json);
	hel_access_free(a);
	return st;
}
