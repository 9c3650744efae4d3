#include "base.h"
#include "base/temporary.h"
#include <errno.h>
#include <sodium.h>
#include <string.h>
#include <unistd.h>

#define BUFFER_BYTES ((size_t)1 << 20)

struct hel_stream {
	hel_partial to;
	size_t used;
	uint8_t *buffer;
	crypto_generichash_state hash;
};

hel_status hel_stream_new(hel_stream **out, const char *path, unsigned mode)
{
	hel_status st = HEL_OK;
	hel_stream *s = NULL;
	TRY_ALLOC(s, hel_alloc(1, sizeof *s));
	s->to.fd = -1;
	TRY_ALLOC(s->buffer, hel_alloc(BUFFER_BYTES, 1));
	TRY(hel_partial_open(&s->to, path, mode));
	crypto_generichash_init(&s->hash, NULL, 0, HEL_HASH_BYTES);
	*out = s;
	s = NULL;
done:
	hel_stream_free(s);
	return st;
}

static hel_status flush(hel_stream *s)
{
	const hel_status st = hel_write_all(s->to.fd, s->to.path, s->buffer, s->used);
	if (st == HEL_OK)
		s->used = 0;
	return st;
}

hel_status hel_stream_write(hel_stream *s, const void *bytes, size_t size)
{
	hel_status st = HEL_OK;
	const uint8_t *at = bytes;
	crypto_generichash_update(&s->hash, at, size);
	while (size) {
		const size_t n = HEL_MIN(size, BUFFER_BYTES - s->used);
		memcpy(s->buffer + s->used, at, n);
		s->used += n;
		at += n;
		size -= n;
		if (s->used == BUFFER_BYTES)
			TRY(flush(s));
	}
done:
	return st;
}

void hel_stream_hash(hel_stream *s, uint8_t out[HEL_HASH_BYTES])
{
	crypto_generichash_state copy = s->hash;
	crypto_generichash_final(&copy, out, HEL_HASH_BYTES);
}

hel_status hel_stream_finish(hel_stream *s, const void *front, size_t front_size)
{
	hel_status st = HEL_OK;
	TRY(flush(s));
	if (front_size && pwrite(s->to.fd, front, front_size, 0) != (ssize_t)front_size)
		FAIL(HEL_EIO, "cannot write %s: %s", s->to.path, strerror(errno));
	TRY(hel_partial_finish(&s->to));
done:
	return st;
}

void hel_stream_free(hel_stream *s)
{
	if (!s)
		return;
	hel_partial_close(&s->to);
	hel_free(s->buffer);
	hel_free(s);
}
