/* Rows, as whatever database has them. */
#include "log.h"
#include "registry.h"
#include <sodium.h>
#include <string.h>

static bool take(void *out, hel_field field, size_t size)
{
	if (!field.bytes || field.size != size)
		return false;
	memcpy(out, field.bytes, size);
	return true;
}

/* The blobs are of their sizes, the numbers within what a key set may have. */
hel_status hel_registry_read(hel_keyset *k, const hel_registry_fields *f)
{
	hel_status st = HEL_OK;
	const size_t name = f->api_key.size;
	if (!take(k->id, f->id, sizeof k->id))
		FAIL(HEL_EFORMAT, "a row without an id");
	k->count = f->keys.size / sizeof *k->request;
	if (!k->count || k->count > HEL_MAX_KEYS)
		FAIL(HEL_EFORMAT, "a row with %zu bytes of keys", f->keys.size);
	TRY_ALLOC(k->request, hel_alloc(k->count, sizeof *k->request));
	if (!take(k->proof, f->proof, sizeof k->proof) ||
	    !take(k->client, f->client, sizeof k->client) ||
	    !take(k->fingerprint, f->fingerprint, sizeof k->fingerprint) ||
	    !take(k->request, f->keys, k->count * sizeof *k->request))
		FAIL(HEL_EFORMAT, "a row with a field of another size");
	/* four times its upload and a page is more than any form for use takes */
	if (f->bytes <= 0 || f->bytes >> 40 || f->expanded <= 0 ||
	    f->expanded / 4 > f->bytes + 4096)
		FAIL(HEL_EFORMAT, "a row of %lld and %lld bytes", (long long)f->bytes,
		     (long long)f->expanded);
	if (name > HEL_API_KEY_NAME_MAX || memchr(f->api_key.bytes, 0, name))
		FAIL(HEL_EFORMAT, "a row with a name that is too long");
	k->bytes = (uint64_t)f->bytes;
	k->expanded = (uint64_t)f->expanded;
	k->state = f->ready ? HEL_KEYSET_READY : HEL_KEYSET_UPLOADING;
	k->opened = f->opened;
	k->used = f->used;
	memcpy(k->opener.api_key, f->api_key.bytes, name);
	k->opener.api_key[name] = 0;
done:
	return st;
}

void hel_registry_log_lost(const hel_keyset *row)
{
	char id[9];
	sodium_bin2hex(id, sizeof id, row->id, 4);
	hel_log("error", "session_lost", "{s:s, s:s}", "session", id, "reason", hel_error_detail());
}
