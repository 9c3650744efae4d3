/* An upload of evaluation keys: which ones, from which randomness, under which token. */
#include "base/json.h"
#include "client_inside.h"
#include <math.h>
#include <sodium.h>
#include <string.h>

#define TOKEN_MAX 256
#define TEXT_MAX ((size_t)1 << 20)
#define SERVER_MAX 1023
#define VERSION 2 /* 1: without a server */

struct hel_access {
	char token[TOKEN_MAX + 1];
	char server[SERVER_MAX + 1];   /* "": for no server alone */
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
	hel_secret_free(a);
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
	TRY_ALLOC(a, hel_secret_alloc(1, sizeof *a));
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

hel_status hel_access_set_server(hel_access *a, const char *server)
{
	if (strlen(server) > SERVER_MAX || !hel_is_text(server))
		return hel_fail(HEL_EINVAL, "a server's address is plain text of at most %d bytes",
				SERVER_MAX);
	snprintf(a->server, sizeof a->server, "%s", server);
	return HEL_OK;
}

void hel_access_client(uint8_t out[HEL_CLIENT_ID_BYTES], const hel_access *a, const hel_client *c)
{
	if (*a->server)
		hel_secret_key_alias(out, c->secret, a->server, a->nonce);
	else
		memcpy(out, hel_secret_key_client(c->secret), HEL_CLIENT_ID_BYTES);
}

hel_status hel_client_use(hel_client *c, const hel_access *a)
{
	if (!c->secret || memcmp(a->fingerprint, c->params->fingerprint, HEL_HASH_BYTES) != 0)
		return hel_fail(HEL_EPARAMS, "these keys are of other parameters than the client");
	hel_access_client(c->id, a, c);
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

static hel_status check_parameters(const hel_access *a, const hel_client *c)
{
	return c->secret && memcmp(a->fingerprint, c->params->fingerprint, HEL_HASH_BYTES) == 0
		   ? HEL_OK
		   : hel_fail(HEL_EPARAMS, "these keys are for other parameters than the client's");
}

hel_status hel_access_keys(const hel_access *a, const hel_client *c, hel_put put, void *arg)
{
	uint8_t client[HEL_CLIENT_ID_BYTES];
	hel_status st = check_parameters(a, c);
	if (st != HEL_OK)
		return st;
	hel_access_client(client, a, c);
	return hel_keys_stream(c->secret, client, a->nonce, a->request, a->count, put, arg);
}

hel_status hel_access_keys_begin(hel_keys_source **out, const hel_access *a, const hel_client *c)
{
	uint8_t client[HEL_CLIENT_ID_BYTES];
	hel_status st = check_parameters(a, c);
	if (st != HEL_OK)
		return st;
	hel_access_client(client, a, c);
	return hel_keys_source_new(out, c->secret, client, a->nonce, a->request, a->count);
}

hel_status hel_access_keys_next(const uint8_t **bytes, size_t *size, hel_keys_source *keys)
{
	return hel_keys_source_next(bytes, size, keys);
}

void hel_access_keys_end(hel_keys_source *keys)
{
	hel_keys_source_free(keys);
}

/* --- texts ------------------------------------------------------------------------------- */

/* `secret`: with what only the owner may see. */
static hel_status write_access(uint8_t **text, size_t *size, const hel_access *a, bool secret)
{
	char hex[2 * HEL_HASH_BYTES + 1];
	hel_json_writer j = {0};
	hel_json_open(&j, NULL, '{');
	sodium_bin2hex(hex, sizeof hex, a->fingerprint, HEL_HASH_BYTES);
	hel_json_put_text(&j, "parameters", hex);
	hel_json_open(&j, "keys", '[');
	for (size_t i = 0; i < a->count; i++) {
		hel_json_open(&j, NULL, '[');
		hel_json_put_integer(&j, NULL, a->request[i].galois);
		hel_json_put_integer(&j, NULL, a->request[i].level);
		hel_json_close(&j, ']');
	}
	hel_json_close(&j, ']');
	if (secret) {
		sodium_bin2hex(hex, sizeof hex, a->nonce, sizeof a->nonce);
		hel_json_put_integer(&j, "version", VERSION);
		hel_json_put_text(&j, "nonce", hex);
		hel_json_put_text(&j, "token", a->token);
		hel_json_put_text(&j, "server", a->server);
		hel_wipe(hex, sizeof hex);
	}
	hel_json_close(&j, '}');
	return hel_json_take((char **)text, size, &j);
}

hel_status hel_access_request(uint8_t **json, size_t *size, const hel_access *a)
{
	return write_access(json, size, a, false);
}

hel_status hel_access_write(uint8_t **text, size_t *size, const hel_access *a)
{
	return write_access(text, size, a, true);
}

static hel_status read_hex(uint8_t *out, size_t bytes, const hel_json_value *json, const char *name)
{
	const char *text = hel_json_text(json, name);
	size_t size = 0;
	return text && strlen(text) == 2 * bytes &&
		       !sodium_hex2bin(out, bytes, text, 2 * bytes, NULL, &size, NULL) &&
		       size == bytes
		   ? HEL_OK
		   : hel_fail(HEL_EFORMAT, "a session without its '%s'", name);
}

static bool is_index(const hel_json_value *v, double most)
{
	return v && v->kind == HEL_JSON_NUMBER && v->number == floor(v->number) && v->number >= 0 &&
	       v->number <= most;
}

static hel_status read_keys(hel_access *a, const hel_json_value *list)
{
	hel_status st = HEL_OK;
	const uint32_t count = list && list->kind == HEL_JSON_ARRAY ? list->count : 0;
	if (!count || count > HEL_MAX_KEYS)
		FAIL(HEL_EFORMAT, "a session of %u keys", count);
	TRY_ALLOC(a->request, hel_alloc(count, sizeof *a->request));
	for (const hel_json_value *pair = list->first; pair; pair = pair->next) {
		const hel_json_value *galois = pair->first, *level = galois ? galois->next : NULL;
		if (pair->kind != HEL_JSON_ARRAY || pair->count != 2 ||
		    !is_index(galois, (1 << 18) - 1) || !is_index(level, HEL_MAX_LEVELS))
			FAIL(HEL_EFORMAT, "key %zu of a session makes no sense", a->count);
		add(a, (hel_key_request){(uint32_t)galois->number, (uint32_t)level->number});
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
	hel_json *json = NULL;
	uint64_t version;
	if (size > TEXT_MAX || hel_json_read(&json, text, size) != HEL_OK)
		FAIL(HEL_EFORMAT, "this is no session: %s",
		     size > TEXT_MAX ? "it is too long" : hel_error_detail());
	const hel_json_value *root = hel_json_root(json);
	TRY_ALLOC(a, hel_secret_alloc(1, sizeof *a));
	if (!hel_json_integer(&version, root, "version", VERSION) || !version)
		FAIL(HEL_EFORMAT, "this is no session of this version");
	TRY(read_hex(a->nonce, sizeof a->nonce, root, "nonce"));
	TRY(read_hex(a->fingerprint, sizeof a->fingerprint, root, "parameters"));
	const char *token = hel_json_text(root, "token");
	TRY(hel_access_set_token(a, token ? token : ""));
	const char *server = hel_json_text(root, "server");
	TRY(hel_access_set_server(a, server ? server : ""));
	TRY(read_keys(a, hel_json_member(root, "keys")));
	*out = a;
	a = NULL;
done:
	hel_json_free(json);
	hel_access_free(a);
	return st;
}
