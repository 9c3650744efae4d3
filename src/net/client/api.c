/* include/helrm/client.h: one model, seen from outside. */
#include "net/net.h"
#include <sodium.h>
#include <string.h>

hel_status hel_client_open(hel_client **out, const void *manifest, size_t size,
			   const uint8_t pin[HEL_PIN_BYTES], const uint8_t secret[HEL_SECRET_BYTES])
{
	hel_status st = HEL_OK;
	hel_client *c = NULL;
	TRY(hel_client_new(&c, manifest, size, NULL, 0));
	if (pin && memcmp(pin, hel_client_manifest(c)->id, HEL_PIN_BYTES) != 0)
		FAIL(HEL_EMODEL,
		     "the manifest of '%s' is not the one pinned before: ask who runs the "
		     "server why it changed, then pin the new one",
		     hel_client_manifest(c)->model);
	TRY(hel_client_use_secret(c, secret));
	*out = c;
	c = NULL;
done:
	hel_client_free(c);
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

hel_status hel_client_score_batch(hel_score *out, size_t count, const hel_client *c,
				  const void *result, size_t size)
{
	return hel_client_decrypt(out, count, c, result, size);
}

hel_status hel_client_score(hel_score *out, const hel_client *c, const void *result, size_t size)
{
	return hel_client_decrypt(out, 1, c, result, size);
}
