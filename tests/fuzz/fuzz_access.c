/* A client's files: sessions, and its secret at rest. */
#include "fuzz.h"
#include "net/client/client_inside.h"

static void try_secret(const uint8_t *bytes, size_t size)
{
	uint8_t secret[HEL_SECRET_BYTES];
	/* without a passphrase: with one, every input would cost 64 MB of Argon2 */
	(void)hel_secret_is_sealed(bytes, size);
	(void)!hel_secret_unseal(secret, bytes, size, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	hel_access *a = NULL, *again = NULL;
	uint8_t *first = NULL, *second = NULL;
	size_t first_size = 0, second_size = 0, sealed_size;
	uint8_t *text = fuzz_copy(data, size);
	uint8_t *sealed = fuzz_seal(&sealed_size, HEL_KIND_SEALED_SECRET, data, size);
	fuzz_expect(hel_random_init() == HEL_OK);
	try_secret(text, size);
	try_secret(sealed, sealed_size);
	if (hel_access_read(&a, text, size) == HEL_OK) {
		fuzz_expect(hel_access_write(&first, &first_size, a) == HEL_OK);
		fuzz_expect(hel_access_read(&again, first, first_size) == HEL_OK);
		fuzz_expect(hel_access_write(&second, &second_size, again) == HEL_OK);
		fuzz_expect(first_size == second_size && memcmp(first, second, first_size) == 0);
	}
	hel_bytes_free(first, first_size);
	hel_bytes_free(second, second_size);
	hel_access_free(a);
	hel_access_free(again);
	free(sealed);
	free(text);
	return 0;
}
