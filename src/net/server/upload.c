/* Uploads: bytes into a file, checked and expanded once they are complete. */
#include "log.h"
#include "store.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

hel_status hel_store_claim(hel_store *s, hel_keyset *k)
{
	hel_status st = HEL_OK;
	pthread_mutex_lock(&s->lock);
	if (k->busy)
		st = hel_fail(HEL_EBUSY, "another request writes to this session");
	else
		k->busy = true;
	pthread_mutex_unlock(&s->lock);
	return st;
}

void hel_store_unclaim(hel_store *s, hel_keyset *k, uint64_t have)
{
	pthread_mutex_lock(&s->lock);
	k->busy = false;
	k->have = have;
	k->used = hel_store_now();
	pthread_mutex_unlock(&s->lock);
}

hel_status hel_store_write_begin(int *fd, hel_store *s, hel_keyset *k, uint64_t offset)
{
	hel_status st = HEL_OK;
	char name[64];
	TRY(hel_store_claim(s, k));
	if (k->state == HEL_KEYSET_READY || offset != k->have) {
		st = hel_fail(HEL_ERANGE, "the upload stands at %llu of %llu bytes, not at %llu",
			      (unsigned long long)k->have, (unsigned long long)k->bytes,
			      (unsigned long long)offset);
		hel_store_unclaim(s, k, k->have);
		goto done;
	}
	hel_store_file_name(name, k, HEL_STORE_UPLOADED);
	*fd = openat(s->dir, name, O_RDWR | O_CLOEXEC);
	if (*fd < 0 || lseek(*fd, (off_t)offset, SEEK_SET) < 0) {
		st = hel_store_disk_failure("open a file for keys");
		if (*fd >= 0)
			close(*fd);
		hel_store_unclaim(s, k, k->have);
	}
done:
	return st;
}

typedef struct expansion {
	int fd;
	uint64_t bytes;
} expansion;

static hel_status put_file(void *arg, const void *bytes, size_t size)
{
	expansion *e = arg;
	for (const uint8_t *p = bytes; size;) {
		ssize_t n = write(e->fd, p, size);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return hel_store_disk_failure("write keys");
		p += n;
		size -= (size_t)n;
		e->bytes += (uint64_t)n;
	}
	return HEL_OK;
}

/* The head of an upload must say what the session was opened for. */
static hel_status check_head(hel_reader body, const hel_keyset *k,
			     uint8_t client[HEL_CLIENT_ID_BYTES])
{
	const uint8_t *fingerprint = hel_read_bytes(&body, HEL_HASH_BYTES);
	const uint8_t *id = hel_read_bytes(&body, HEL_CLIENT_ID_BYTES);
	hel_read_bytes(&body, HEL_SEED_BYTES);
	const uint32_t count = hel_read_u32(&body);
	if (body.status != HEL_OK)
		return body.status;
	bool same = memcmp(fingerprint, k->fingerprint, HEL_HASH_BYTES) == 0 && count == k->count;
	for (size_t i = 0; same && i < count; i++) {
		const uint32_t galois = hel_read_u32(&body), level = hel_read_u32(&body);
		same = galois == k->request[i].galois && level == k->request[i].level;
	}
	memcpy(client, id, HEL_CLIENT_ID_BYTES);
	return same ? body.status
		    : hel_fail(HEL_EFORMAT, "the uploaded keys are not those the session was "
					    "opened for");
}

/* Checks a complete upload and writes its form for use; both are on disk afterwards. */
hel_status hel_store_expand(hel_store *s, hel_keyset *k, const hel_params *params)
{
	hel_status st = HEL_OK;
	char name[64], part[64], use[64];
	void *map = MAP_FAILED;
	expansion e = {.fd = -1};
	hel_reader r;
	hel_store_file_name(name, k, HEL_STORE_UPLOADED);
	hel_store_file_name(part, k, HEL_STORE_PARTIAL);
	hel_store_file_name(use, k, HEL_STORE_EXPANDED);
	int fd = openat(s->dir, name, O_RDONLY | O_CLOEXEC);
	if (fd >= 0)
		map = mmap(NULL, k->bytes, PROT_READ, MAP_PRIVATE, fd, 0);
	if (map == MAP_FAILED) {
		st = hel_store_disk_failure("read uploaded keys");
		goto done;
	}
	TRY(hel_container_open(&r, HEL_KIND_EVALUATION_KEYS, map, k->bytes));
	TRY(check_head(r, k, k->client));
	e.fd = openat(s->dir, part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (e.fd < 0) {
		st = hel_store_disk_failure("create a file for expanded keys");
		goto done;
	}
	TRY(hel_keys_expand(params, &r, put_file, &e));
	TRY(hel_reader_finish(&r));
	if (fsync(e.fd) || renameat(s->dir, part, s->dir, use) || fsync(s->dir))
		st = hel_store_disk_failure("keep expanded keys");
done:
	if (st != HEL_OK)
		unlinkat(s->dir, part, 0);
	if (e.fd >= 0)
		close(e.fd);
	if (map != MAP_FAILED)
		munmap(map, k->bytes);
	if (fd >= 0)
		close(fd);
	return st;
}

static bool fault_of_upload(hel_status st)
{
	return st != HEL_EIO && st != HEL_ESPACE && st != HEL_ENOMEM;
}

hel_status hel_store_write_end(hel_store *s, hel_keyset *k, int fd, uint64_t written,
			       const hel_params *params)
{
	hel_status st = HEL_OK;
	uint64_t have = k->have + written;
	if (fsync(fd)) {
		st = hel_store_disk_failure("write keys");
		have = k->have; /* what came before is safe */
		goto done;
	}
	if (have < k->bytes || !params)
		goto done;
	st = hel_store_expand(s, k, params);
	if (st != HEL_OK && fault_of_upload(st)) {
		have = 0;
		if (ftruncate(fd, 0))
			hel_log("error", "store", "{s:s}", "reason", strerror(errno));
	}
	if (st == HEL_OK)
		st = hel_registry_ready(s->registry, k->id, k->client, hel_store_now());
	if (st == HEL_OK) {
		pthread_mutex_lock(&s->lock);
		k->state = HEL_KEYSET_READY;
		s->ready += !k->dead;
		pthread_mutex_unlock(&s->lock);
		hel_count(&s->metrics->sessions_completed, 1);
	}
done:
	close(fd);
	if (k->dead) /* removed meanwhile: what was written since must go, too */
		hel_store_remove_files(s, k);
	hel_store_unclaim(s, k, have);
	return st;
}
