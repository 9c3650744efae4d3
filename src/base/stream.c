#include "base.h"
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BUFFER_BYTES ((size_t)1 << 20)

struct hel_stream {
	char *path, *temporary;
	int fd;
	size_t used;
	uint8_t *buffer;
	crypto_generichash_state hash;
};

hel_status hel_stream_new(hel_stream **out, const char *path)
{
	hel_status st = HEL_OK;
	hel_stream *s = NULL;
	struct stat info;
	if (lstat(path, &info) == 0 && !S_ISREG(info.st_mode))
		FAIL(HEL_EIO, "cannot create %s: it exists and is no regular file", path);
	TRY_ALLOC(s, hel_alloc(1, sizeof *s));
	s->fd = -1;
	TRY_ALLOC(s->path, hel_strdup(path));
	TRY_ALLOC(s->buffer, hel_alloc(BUFFER_BYTES, 1));
	if (asprintf(&s->temporary, "%s.%ld.partial", path, (long)getpid()) < 0) {
		s->temporary = NULL;
		FAIL(HEL_ENOMEM, "out of memory");
	}
	unlink(s->temporary); /* of a killed process with our number */
	s->fd = open(s->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (s->fd < 0)
		FAIL(HEL_EIO, "cannot create %s: %s", path, strerror(errno));
	crypto_generichash_init(&s->hash, NULL, 0, HEL_HASH_BYTES);
	*out = s;
	s = NULL;
done:
	hel_stream_free(s);
	return st;
}

static hel_status flush(hel_stream *s)
{
	const uint8_t *at = s->buffer;
	while (s->used) {
		ssize_t n = write(s->fd, at, s->used);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return hel_fail(HEL_EIO, "cannot write %s: %s", s->path, strerror(errno));
		at += n;
		s->used -= (size_t)n;
	}
	return HEL_OK;
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
	if (front_size && pwrite(s->fd, front, front_size, 0) != (ssize_t)front_size)
		FAIL(HEL_EIO, "cannot write %s: %s", s->path, strerror(errno));
	if (fsync(s->fd) || rename(s->temporary, s->path))
		FAIL(HEL_EIO, "cannot write %s: %s", s->path, strerror(errno));
	free(s->temporary);
	s->temporary = NULL;
done:
	return st;
}

void hel_stream_free(hel_stream *s)
{
	if (!s)
		return;
	if (s->fd >= 0)
		close(s->fd);
	if (s->temporary && s->fd >= 0)
		unlink(s->temporary);
	free(s->temporary);
	hel_free(s->path);
	hel_free(s->buffer);
	hel_free(s);
}
