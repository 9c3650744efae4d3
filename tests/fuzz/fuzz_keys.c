/* A client's evaluation keys, as a server reads them. Input: the body of the container; also with
 * the parameters' fingerprint in place of its first bytes, which no mutation would hit. */
#include "fuzz_params.h"

static void try_keys(const hel_params *p, const uint8_t *body, size_t size)
{
	hel_keys *keys = NULL;
	hel_writer w = {0};
	hel_reader r = hel_reader_of(body, size);
	if (hel_keys_read(&keys, p, &r) == HEL_OK && hel_reader_finish(&r) == HEL_OK) {
		hel_keys_write(&w, keys);
		fuzz_expect(w.status == HEL_OK);
		fuzz_expect(w.size == size && memcmp(w.bytes, body, size) == 0);
		for (size_t i = 0; i < keys->count; i++)
			fuzz_expect(hel_keys_find(keys, keys->key[i].galois, keys->key[i].level));
	}
	hel_writer_clear(&w);
	hel_keys_free(keys);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	for (size_t i = 0; i < FUZZ_PARAMS; i++) {
		const hel_params *p = fuzz_params(i);
		uint8_t *body = fuzz_copy(data, size);
		try_keys(p, body, size);
		if (size >= HEL_HASH_BYTES) {
			memcpy(body, p->fingerprint, HEL_HASH_BYTES);
			try_keys(p, body, size);
		}
		free(body);
	}
	return 0;
}
