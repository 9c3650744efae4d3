/* What a token gives access to, here or wherever a fleet has it, until it is void. */
#include "store.h"
#include <sodium.h>
#include <string.h>

static hel_status find_here(hel_keyset **out, hel_store *s, const uint8_t *id)
{
	pthread_mutex_lock(&s->lock);
	hel_keyset *k = *hel_store_bucket(s, id);
	while (k && sodium_memcmp(k->id, id, HEL_SESSION_ID_BYTES) != 0)
		k = k->next;
	if (k)
		k->refs++;
	pthread_mutex_unlock(&s->lock);
	*out = k;
	return HEL_OK;
}

static hel_status find(hel_keyset **out, hel_store *s, const uint8_t *id, bool here)
{
	hel_status st = s->fleet && !here ? HEL_OK : find_here(out, s, id);
	if (!s->fleet || st != HEL_OK)
		return st;
	uint64_t have;
	if (*out && hel_keyset_progress(s, *out, &have, NULL) == HEL_KEYSET_READY)
		return HEL_OK;
	hel_keyset_release(s, *out);
	*out = NULL;
	return hel_shared_find(out, s, id);
}

static hel_status find_by_token(hel_keyset **out, hel_store *s, const char *token, bool here)
{
	hel_status st = HEL_OK;
	uint8_t secret[HEL_TOKEN_BYTES], proof[HEL_HASH_BYTES];
	static const uint8_t nobody[HEL_HASH_BYTES];
	hel_keyset *k = NULL;
	size_t size;
	if (!token || strlen(token) != HEL_TOKEN_CHARS ||
	    sodium_hex2bin(secret, sizeof secret, token, HEL_TOKEN_CHARS, NULL, &size, NULL) ||
	    size != sizeof secret)
		return hel_fail(HEL_EDENIED, "no token");
	hel_hash(proof, secret + HEL_SESSION_ID_BYTES, sizeof secret - HEL_SESSION_ID_BYTES);
	TRY(find(&k, s, secret, here));
	/* compared in any case, so that time does not tell which ids exist */
	if (sodium_memcmp(k ? k->proof : nobody, proof, HEL_HASH_BYTES) != 0)
		FAIL(HEL_EDENIED, "no session has this token");
	*out = k;
	k = NULL;
done:
	hel_keyset_release(s, k);
	hel_wipe(secret, sizeof secret);
	return st;
}

hel_status hel_store_find(hel_keyset **out, hel_store *s, const char *token)
{
	return find_by_token(out, s, token, false);
}

hel_status hel_store_find_here(hel_keyset **out, hel_store *s, const char *token)
{
	return find_by_token(out, s, token, true);
}

hel_status hel_store_remove(hel_store *s, hel_keyset *k)
{
	pthread_mutex_lock(&s->lock);
	const double now = hel_store_now_locked(s, hel_clock());
	pthread_mutex_unlock(&s->lock);
	const hel_status st = s->fleet ? s->fleet->call->remove(s->fleet, k->id, now) : HEL_OK;
	if (st != HEL_OK)
		return st;
	pthread_mutex_lock(&s->lock);
	const bool first = !k->dead;
	if (first) {
		hel_store_take_out_locked(s, k);
		k->refs++; /* hel_store_destroy gives it back */
	}
	pthread_mutex_unlock(&s->lock);
	if (first)
		hel_store_destroy(s, k);
	return HEL_OK;
}
