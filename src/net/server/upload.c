/* Uploads: bytes into a file, checked and expanded once they are complete. */
#include "log.h"
#include "store.h"
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <string.h>
#include <unistd.h>

hel_status hel_store_claim(hel_store *s, hel_keyset *k)
{
	hel_status st = HEL_OK;
	pthread_mutex_lock(&s->lock);
	if (k->dead)
		st = hel_fail(HEL_EDENIED, "the session was removed");
	else if (k->busy)
		st = hel_fail(HEL_EBUSY, "another request writes to this session");
	else
		k->busy = true;
	pthread_mutex_unlock(&s->lock);
	return st;
}

hel_status hel_store_unclaim(hel_store *s, hel_keyset *k, uint64_t have)
{
	pthread_mutex_lock(&s->lock);
	const bool dead = k->dead;
	k->busy = false;
	k->have = have;
	k->used = hel_store_now_locked(s, hel_clock());
	if (!dead) { /* what is on disk now; a copy of a fleet's is its form for use */
		const bool ready = k->state == HEL_KEYSET_READY;
		const uint64_t holds =
		    (s->fleet && ready ? 0 : have) + (ready ? hel_store_expanded_file(k) : 0);
		s->disk += holds - k->held;
		k->held = holds;
	}
	pthread_cond_broadcast(&s->changed);
	pthread_mutex_unlock(&s->lock);
	if (!dead)
		return HEL_OK;
	hel_store_remove_files(s, k); /* what was written since it was removed must go, too */
	return hel_fail(HEL_EDENIED, "the session was removed");
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
		(void)hel_store_unclaim(s, k, k->have);
		goto done;
	}
	hel_store_file_name(name, k, HEL_STORE_UPLOADED);
	*fd = openat(s->dir, name, O_RDWR | O_CLOEXEC | (s->fleet ? O_CREAT : 0), 0600);
	if (*fd < 0 || lseek(*fd, (off_t)offset, SEEK_SET) < 0) {
		st = hel_store_disk_failure("open a file for keys");
		if (*fd >= 0)
			close(*fd);
		const hel_status end = hel_store_unclaim(s, k, k->have);
		st = end != HEL_OK ? end : st;
	}
done:
	return st;
}

typedef struct expansion {
	int fd;
	crypto_generichash_state hash;
} expansion;

static hel_status put_file(void *arg, const void *bytes, size_t size)
{
	expansion *e = arg;
	crypto_generichash_update(&e->hash, bytes, size);
	for (const uint8_t *p = bytes; size;) {
		ssize_t n = write(e->fd, p, size);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return hel_store_disk_failure("write keys");
		p += n;
		size -= (size_t)n;
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

/* All keys, then the hash of them. */
static hel_status write_expanded(expansion *e, const hel_params *params, hel_reader *r)
{
	hel_status st = HEL_OK;
	uint8_t sum[HEL_HASH_BYTES];
	crypto_generichash_init(&e->hash, NULL, 0, sizeof sum);
	TRY(hel_keys_expand(params, r, put_file, e));
	TRY(hel_reader_finish(r));
	crypto_generichash_final(&e->hash, sum, sizeof sum);
	TRY(put_file(e, sum, sizeof sum));
done:
	return st;
}

hel_status hel_store_expand(hel_store *s, hel_keyset *k, const hel_params *params)
{
	hel_status st = HEL_OK;
	char name[64], part[64], use[64];
	hel_mapping *map = NULL;
	expansion e = {.fd = -1};
	hel_reader r;
	hel_store_file_name(name, k, HEL_STORE_UPLOADED);
	hel_store_file_name(part, k, HEL_STORE_PARTIAL);
	hel_store_file_name(use, k, HEL_STORE_EXPANDED);
	int fd = openat(s->dir, name, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		st = errno == ENOENT ? hel_fail(HEL_ETRUNC, "the file of uploaded keys is missing")
				     : hel_store_disk_failure("read uploaded keys");
		goto done;
	}
	TRY(hel_mapping_open(&map, fd, k->bytes));
	TRY(hel_container_open(&r, HEL_KIND_EVALUATION_KEYS, hel_mapping_bytes(map), k->bytes));
	TRY(check_head(r, k, k->client));
	e.fd = openat(s->dir, part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (e.fd < 0) {
		st = hel_store_disk_failure("create a file for expanded keys");
		goto done;
	}
	TRY(write_expanded(&e, params, &r));
	if (hel_mapping_damaged(map))
		FAIL(HEL_EHASH, "the file of uploaded keys cannot be read as a whole");
	if (fsync(e.fd) || renameat(s->dir, part, s->dir, use) || fsync(s->dir))
		st = hel_store_disk_failure("keep expanded keys");
done:
	if (st != HEL_OK)
		unlinkat(s->dir, part, 0);
	if (e.fd >= 0)
		close(e.fd);
	hel_mapping_close(map);
	if (fd >= 0)
		close(fd);
	return st;
}

static bool fault_of_upload(hel_status st)
{
	return st != HEL_EIO && st != HEL_ESPACE && st != HEL_ENOMEM && st != HEL_EBUSY &&
	       st != HEL_EDENIED;
}

/* Pieces go when another server has judged them meanwhile: then its word is what counts. */
static hel_status fetch_rest(hel_store *s, hel_keyset *k)
{
	hel_keyset row = {0};
	hel_status st = hel_shared_fetch(s, k);
	if (st != HEL_ETRUNC)
		return st;
	st = s->fleet->call->find(&row, s->fleet, k->id);
	hel_free(row.request);
	if (st != HEL_OK)
		return st;
	return row.state == HEL_KEYSET_READY || row.generation != k->generation
		   ? hel_fail(HEL_EBUSY, "another server has judged this upload; ask for its state")
		   : hel_fail(HEL_ETRUNC, "a piece of the upload is lost: it begins anew");
}

/* Another upload under the same token: other files, and other objects where there is a fleet. */
static hel_status begin_anew(hel_store *s, hel_keyset *k, int fd, double now)
{
	if (!s->fleet)
		return ftruncate(fd, 0) ? hel_store_disk_failure("empty a file") : HEL_OK;
	const hel_status st = s->fleet->call->restart(s->fleet, k, now);
	hel_store_remove_files(s, k);
	pthread_mutex_lock(&s->lock);
	k->generation++;
	k->local = 0;
	pthread_mutex_unlock(&s->lock);
	return st;
}

/* That it is good is on disk, and known to all. */
static hel_status say_ready(hel_store *s, hel_keyset *k, int fd, double now)
{
	char name[64];
	hel_store_file_name(name, k, HEL_STORE_UPLOADED);
	if (!s->fleet)
		return hel_registry_state(s->registry, k, HEL_KEYSET_READY, now);
	const hel_status st = hel_shared_ready(s, k, fd, now);
	if (st == HEL_OK)
		unlinkat(s->dir, name, 0); /* its form for use is here, the upload elsewhere */
	return st;
}

/* Checks what is complete: ready for use, or empty again where it was bad. */
static hel_status complete(hel_store *s, hel_keyset *k, int fd, uint64_t *have,
			   const hel_params *params)
{
	hel_status st = HEL_OK;
	char detail[256];
	pthread_mutex_lock(&s->lock);
	const double now = hel_store_now_locked(s, hel_clock());
	pthread_mutex_unlock(&s->lock);
	TRY(hel_store_reserve(s, k, hel_store_expanded_file(k)));
	if (s->fleet && k->local != k->bytes) /* parts of it came to other servers */
		st = fetch_rest(s, k);
	if (st == HEL_OK)
		st = hel_store_expand(s, k, params);
	if (st != HEL_OK && fault_of_upload(st)) {
		*have = 0;
		snprintf(detail, sizeof detail, "%s", hel_error_detail());
		if (begin_anew(s, k, fd, now) != HEL_OK)
			hel_log("error", "store", "{s:s}", "reason", hel_error_detail());
		FAIL(st, "%s", detail);
	}
	TRY(st);
	TRY(say_ready(s, k, fd, now));
	pthread_mutex_lock(&s->lock);
	k->state = HEL_KEYSET_READY;
	k->lost = false;
	s->ready += !k->dead;
	pthread_mutex_unlock(&s->lock);
	hel_count(&s->metrics->sessions_completed, 1);
done:
	return st;
}

/* Bytes that have arrived are durable. Of a request that broke a fleet keeps what is worth an
 * object; its client asks where the upload stands. */
#define BROKEN_LEAST (256u << 10)

static hel_status keep(hel_store *s, hel_keyset *k, int fd, uint64_t *written, bool broken)
{
	if (!s->fleet)
		return fsync(fd) ? hel_store_disk_failure("write keys") : HEL_OK;
	if (broken && *written < BROKEN_LEAST)
		*written = 0;
	return *written ? hel_shared_put(s, k, fd, k->have, *written) : HEL_OK;
}

hel_status hel_store_write_end(hel_store *s, hel_keyset *k, int fd, uint64_t written,
			       const hel_params *params)
{
	hel_status st = HEL_OK;
	char detail[256] = "";
	uint64_t have = k->have;
	st = keep(s, k, fd, &written, params == NULL);
	if (st == HEL_OK) /* else what came before is safe */
		have += written;
	if (st == HEL_OK && have == k->bytes && params)
		st = complete(s, k, fd, &have, params);
	snprintf(detail, sizeof detail, "%s", hel_error_detail());
	close(fd);
	const hel_status end = hel_store_unclaim(s, k, have);
	if (end != HEL_OK) /* whatever went wrong, that is why */
		return end;
	return st == HEL_OK ? HEL_OK : hel_fail(st, "%s", detail);
}
