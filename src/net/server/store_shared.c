/* A store whose key sets are a fleet's: the table and the files here are a copy of what was used
 * here, made when it is asked for and given up when there is no room. */
#include "log.h"
#include "store.h"
#include <fcntl.h>
#include <math.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BUCKETS_EACH_SWEEP 64

hel_fleet *hel_store_fleet(const hel_store *s)
{
	return s ? s->fleet : NULL;
}

hel_status hel_store_find_id(hel_keyset **out, hel_store *s, const uint8_t id[HEL_SESSION_ID_BYTES])
{
	return hel_shared_find(out, s, id);
}

static uint64_t expanded_here(hel_store *s, const hel_keyset *k)
{
	char name[64];
	struct stat info;
	hel_store_file_name(name, k, HEL_STORE_EXPANDED);
	return fstatat(s->dir, name, &info, 0) == 0 ? (uint64_t)info.st_size : 0;
}

/* What other servers did since. */
static void follow_locked(hel_store *s, hel_keyset *k, const hel_keyset *row)
{
	if (k->busy) /* what is being done here is newer */
		return;
	k->have = row->have;
	k->used = fmax(k->used, row->used);
	if (row->state == HEL_KEYSET_READY && k->state != HEL_KEYSET_READY) {
		k->state = HEL_KEYSET_READY;
		memcpy(k->client, row->client, sizeof k->client);
		s->ready++;
	}
}

static hel_keyset *in_table_locked(hel_store *s, const uint8_t id[HEL_SESSION_ID_BYTES])
{
	hel_keyset *k = *hel_store_bucket(s, id);
	while (k && memcmp(k->id, id, HEL_SESSION_ID_BYTES) != 0)
		k = k->next;
	return k;
}

/* One that is gone, or began anew: those who use it may end. */
static void drop_old(hel_store *s, const uint8_t id[HEL_SESSION_ID_BYTES], uint64_t generation)
{
	pthread_mutex_lock(&s->lock);
	hel_keyset *old = in_table_locked(s, id);
	/* a failed upload is counted by the server that judges before its row is read again */
	if (old && (old->generation == generation || (generation && old->busy)))
		old = NULL;
	if (old) {
		old->refs++;
		hel_store_take_out_locked(s, old);
	}
	pthread_mutex_unlock(&s->lock);
	if (old)
		hel_store_destroy(s, old);
}

/* Takes the row's `request`. */
static hel_status adopt(hel_keyset **out, hel_store *s, hel_keyset *row)
{
	hel_status st = HEL_OK;
	hel_keyset *k = NULL;
	TRY_ALLOC(k, hel_alloc(1, sizeof *k));
	*k = *row;
	k->held = expanded_here(s, k);
	pthread_mutex_lock(&s->lock);
	hel_keyset *other = in_table_locked(s, k->id);
	if (other && other->busy && other->state != row->state &&
	    row->state == HEL_KEYSET_READY) { /* the one thing that must not be told otherwise */
		st = hel_fail(HEL_EBUSY, "another server has judged this upload; ask again");
	} else if (other) { /* another thread was faster */
		follow_locked(s, other, row);
		other->refs++;
		*out = other;
	} else {
		row->request = NULL;
		k->used_on_disk = k->used;
		k->refs = 1;
		hel_store_insert_locked(s, k);
		*out = k;
		k = NULL;
	}
	pthread_mutex_unlock(&s->lock);
done:
	hel_free(k);
	return st;
}

hel_status hel_shared_find(hel_keyset **out, hel_store *s, const uint8_t id[HEL_SESSION_ID_BYTES])
{
	hel_keyset row = {0};
	hel_status st = s->fleet->call->find(&row, s->fleet, id);
	if (st == HEL_EFORMAT) {
		hel_registry_log_lost(&row);
		st = hel_fail(HEL_EDENIED, "the session was removed");
	}
	if (st == HEL_OK || st == HEL_EDENIED)
		drop_old(s, id, st == HEL_OK ? row.generation : 0);
	if (st == HEL_OK)
		st = adopt(out, s, &row);
	hel_free(row.request);
	return st;
}

/* --- uploads ------------------------------------------------------------------------------ */

double hel_store_clock(hel_store *s)
{
	pthread_mutex_lock(&s->lock);
	const double now = hel_store_now_locked(s, hel_clock());
	pthread_mutex_unlock(&s->lock);
	return now;
}

hel_status hel_shared_put(hel_store *s, hel_keyset *k, int fd, uint64_t at, uint64_t size)
{
	hel_status st = HEL_OK;
	uint8_t *bytes = NULL;
	TRY_ALLOC(bytes, hel_alloc((size_t)size, 1));
	for (size_t done = 0; done < size;) {
		const ssize_t n = pread(fd, bytes + done, (size_t)size - done, (off_t)(at + done));
		if (n <= 0) {
			st = hel_store_disk_failure("read what was uploaded");
			goto done;
		}
		done += (size_t)n;
	}
	TRY(s->fleet->call->piece(s->fleet, k, at, bytes, (size_t)size, hel_store_clock(s)));
	if (k->local == at)
		k->local = at + size;
done:
	hel_free(bytes);
	return st;
}

hel_status hel_shared_fetch(hel_store *s, hel_keyset *k)
{
	char name[64];
	hel_store_file_name(name, k, HEL_STORE_UPLOADED);
	k->local = 0;
	int fd = openat(s->dir, name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		return hel_store_disk_failure("create a file for keys");
	const hel_status st = s->fleet->call->fetch(s->fleet, k, fd);
	if (st == HEL_OK)
		k->local = k->bytes;
	close(fd);
	return st;
}

hel_status hel_shared_ready(hel_store *s, hel_keyset *k, int fd, double now)
{
	hel_status st = HEL_OK;
	hel_mapping *map = NULL;
	TRY(hel_mapping_open(&map, fd, k->bytes));
	TRY(s->fleet->call->ready(s->fleet, k, hel_mapping_bytes(map), now));
done:
	hel_mapping_close(map);
	return st;
}

/* --- time --------------------------------------------------------------------------------- */

/* Some of those that nobody uses: removed on another server, they would stay for ever. */
static void look_for_gone(hel_store *s)
{
	for (unsigned n = 0; n < BUCKETS_EACH_SWEEP; n++) {
		const unsigned b = s->looked_at++ % HEL_STORE_BUCKETS;
		uint8_t id[16][HEL_SESSION_ID_BYTES];
		size_t count = 0;
		pthread_mutex_lock(&s->lock);
		for (hel_keyset *k = s->bucket[b]; k && count < HEL_ARRAY_LEN(id); k = k->next)
			if (!k->refs)
				memcpy(id[count++], k->id, sizeof *id);
		pthread_mutex_unlock(&s->lock);
		while (count) {
			hel_keyset *k = NULL;
			const hel_status st = hel_shared_find(&k, s, id[--count]);
			hel_keyset_release(s, k);
			if (st != HEL_OK && st != HEL_EDENIED)
				return;
		}
	}
}

void hel_shared_sweep(hel_store *s, double monotonic)
{
	double clock;
	pthread_mutex_lock(&s->lock);
	const double now = hel_store_now_locked(s, monotonic);
	pthread_mutex_unlock(&s->lock);
	if (s->fleet->call->tick(&clock, s->fleet, now) != HEL_OK) {
		hel_log("error", "fleet", "{s:s}", "reason", hel_error_detail());
		return;
	}
	pthread_mutex_lock(&s->lock);
	s->seconds = fmax(s->seconds, clock);
	pthread_mutex_unlock(&s->lock);
	look_for_gone(s);
}
