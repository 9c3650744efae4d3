/* Public keys, three parameter sets. Keys of other parameters are refused early, so every input is
 * also tried with the parameters' fingerprint in place of its first bytes. */
#include "fuzz_params.h"

static void try_key(const hel_params *p, const uint8_t *body, size_t size)
{
	hel_public_key *key = NULL;
	hel_writer w = {0};
	hel_reader r = hel_reader_of(body, size);
	if (hel_public_key_read(&key, p, &r) == HEL_OK) {
		fuzz_expect(hel_reader_finish(&r) == HEL_OK);
		hel_public_key_write(&w, key);
		fuzz_expect(w.status == HEL_OK);
		fuzz_expect(w.size == size && memcmp(w.bytes, body, size) == 0);
		const hel_complex slots[32] = {{0.5, -0.25}};
		hel_pt *pt;
		hel_ct *ct;
		fuzz_expect(hel_encode(&pt, p, slots, key->level, HEL_FOR_ADD) == HEL_OK);
		fuzz_expect(hel_ct_new(&ct, p) == HEL_OK);
		fuzz_expect(hel_encrypt_public(ct, key, pt) == HEL_OK);
		hel_ct_free(ct);
		hel_pt_free(pt);
	} else
		fuzz_expect(*hel_error_detail());
	hel_writer_clear(&w);
	hel_public_key_free(key);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	for (size_t i = 0; i < FUZZ_PARAMS; i++) {
		const hel_params *p = fuzz_params(i);
		uint8_t *body = fuzz_copy(data, size);
		try_key(p, body, size);
		if (size >= HEL_HASH_BYTES) {
			memcpy(body, p->fingerprint, HEL_HASH_BYTES);
			try_key(p, body, size);
		}
		free(body);
	}
	return 0;
}
