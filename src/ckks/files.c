/* Keys and ciphertexts as files of their own. */
#include "files.h"
#include "keys.h"
#include "serial.h"
#include <string.h>

hel_status hel_writer_take(uint8_t **bytes, size_t *size, hel_writer *w, hel_status st)
{
	if (st == HEL_OK) {
		*bytes = w->bytes;
		*size = w->size;
	} else
		hel_writer_clear(w);
	return st;
}

hel_status hel_keys_store(hel_writer *w, const hel_keys *keys)
{
	hel_container_begin(w, HEL_KIND_EVALUATION_KEYS);
	hel_keys_write(w, keys);
	return hel_container_end(w);
}

hel_status hel_keys_save(uint8_t **bytes, size_t *size, const hel_keys *keys)
{
	hel_writer w = {0};
	return hel_writer_take(bytes, size, &w, hel_keys_store(&w, keys));
}

hel_status hel_keys_load(hel_keys **out, const hel_params *p, const void *bytes, size_t size)
{
	hel_status st = HEL_OK;
	hel_reader r;
	TRY(hel_container_open(&r, HEL_KIND_EVALUATION_KEYS, bytes, size));
	TRY(hel_keys_read(out, p, &r)); /* takes all that is left */
done:
	return st;
}

hel_status hel_ct_save(uint8_t **bytes, size_t *size, const hel_ct *ct)
{
	hel_writer w = {0};
	hel_container_begin(&w, HEL_KIND_CIPHERTEXT);
	hel_write_bytes(&w, ct->params->fingerprint, HEL_HASH_BYTES);
	hel_ct_write(&w, ct);
	return hel_writer_take(bytes, size, &w, hel_container_end(&w));
}

hel_status hel_ct_load(hel_ct **out, const hel_params *p, const void *bytes, size_t size)
{
	hel_status st = HEL_OK;
	hel_ct *ct = NULL;
	hel_reader r;
	TRY(hel_container_open(&r, HEL_KIND_CIPHERTEXT, bytes, size));
	const uint8_t *fingerprint = hel_read_bytes(&r, HEL_HASH_BYTES);
	TRY(r.status);
	if (memcmp(fingerprint, p->fingerprint, HEL_HASH_BYTES) != 0)
		FAIL(HEL_EPARAMS, "this ciphertext was made for other parameters");
	TRY(hel_ct_new(&ct, p));
	TRY(hel_ct_read(ct, &r));
	TRY(hel_reader_finish(&r));
	*out = ct;
	ct = NULL;
done:
	hel_ct_free(ct);
	return st;
}
