/* The frame of every helrm file: raw, and with a checksum that fits. */
#include "fuzz.h"

static void try_container(const uint8_t *bytes, size_t size)
{
	const int named = hel_container_kind(bytes, size);
	for (int kind = HEL_KIND_MANIFEST; kind <= HEL_KIND_RESULT; kind++) {
		hel_reader r;
		if (hel_container_open(&r, (hel_kind)kind, bytes, size) != HEL_OK)
			continue;
		fuzz_expect(kind == named);
		fuzz_expect(hel_reader_left(&r) == size - HEL_CONTAINER_OVERHEAD);
		/* reads everything, so that a wrong end is seen */
		const uint8_t *body = hel_read_bytes(&r, hel_reader_left(&r));
		uint8_t hash[HEL_HASH_BYTES];
		hel_hash(hash, body, size - HEL_CONTAINER_OVERHEAD);
		fuzz_expect(hel_reader_finish(&r) == HEL_OK);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	try_container(data, size);
	/* header and body from the input, checksum from here */
	uint8_t *closed = malloc(size + HEL_HASH_BYTES);
	fuzz_expect(closed);
	if (size)
		memcpy(closed, data, size);
	hel_hash(closed + size, closed, size);
	try_container(closed, size + HEL_HASH_BYTES);
	free(closed);
	/* the body from the input */
	size_t sealed_size;
	const hel_kind kind = (hel_kind)(size ? HEL_KIND_MANIFEST + data[0] % HEL_KIND_RESULT : 1);
	uint8_t *sealed = fuzz_seal(&sealed_size, kind, data, size);
	hel_reader r;
	fuzz_expect(hel_container_open(&r, kind, sealed, sealed_size) == HEL_OK);
	fuzz_expect(hel_reader_left(&r) == size && (!size || memcmp(r.at, data, size) == 0));
	free(sealed);
	return 0;
}
