#include "store.h"
#include "log.h"
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#define MAPPED_MAX 256 /* key sets mapped at once; each costs some tables beside the mapping */
#define USED_EVERY 60  /* seconds a time of use may be newer in memory than on disk */
#define DISK_SPARE (16u << 20) /* for the registry and its journal */

int64_t hel_store_now(void)
{
	return (int64_t)time(NULL);
}

static hel_keyset **bucket_of(hel_store *s, const uint8_t id[HEL_SESSION_ID_BYTES])
{
	/* ids are random */
	return &s->bucket[(id[0] | (unsigned)id[1] << 8) % HEL_STORE_BUCKETS];
}

void hel_store_file_name(char out[64], const hel_keyset *k, const char *suffix)
{
	char hex[2 * HEL_SESSION_ID_BYTES + 1];
	sodium_bin2hex(hex, sizeof hex, k->id, sizeof k->id);
	snprintf(out, 64, "%s%s", hex, suffix);
}

hel_status hel_store_disk_failure(const char *what)
{
	const bool full = errno == ENOSPC || errno == EDQUOT;
	return hel_fail(full ? HEL_ESPACE : HEL_EIO, "cannot %s: %s", what, strerror(errno));
}

/* --- the table --------------------------------------------------------------------------- */

static void keyset_free(hel_keyset *k)
{
	if (!k)
		return;
	hel_keys_free(k->keys);
	if (k->map)
		munmap(k->map, k->expanded);
	hel_free(k->request);
	hel_free(k);
}

static void insert_locked(hel_store *s, hel_keyset *k)
{
	hel_keyset **slot = bucket_of(s, k->id);
	k->next = *slot;
	*slot = k;
	s->count++;
	s->ready += k->state == HEL_KEYSET_READY;
	s->disk += k->bytes + k->expanded;
}

/* Out of the table: nobody finds it any more. The caller removes its files and row. */
static void take_out_locked(hel_store *s, hel_keyset *k)
{
	hel_keyset **slot = bucket_of(s, k->id);
	while (*slot != k)
		slot = &(*slot)->next;
	*slot = k->next;
	k->dead = true;
	s->count--;
	s->ready -= k->state == HEL_KEYSET_READY;
	s->disk -= k->bytes + k->expanded;
}

void hel_keyset_hold(hel_store *s, hel_keyset *k)
{
	pthread_mutex_lock(&s->lock);
	k->refs++;
	pthread_mutex_unlock(&s->lock);
}

void hel_keyset_release(hel_store *s, hel_keyset *k)
{
	if (!k)
		return;
	pthread_mutex_lock(&s->lock);
	const bool last = --k->refs == 0 && k->dead;
	if (last && k->map)
		s->mapped--;
	pthread_mutex_unlock(&s->lock);
	if (last)
		keyset_free(k);
}

/* The row first: files without a row are orphans, which the next start removes. */
void hel_store_remove_files(hel_store *s, const hel_keyset *k)
{
	static const char *const suffix[] = {HEL_STORE_UPLOADED, HEL_STORE_EXPANDED,
					     HEL_STORE_PARTIAL};
	char name[64];
	if (hel_registry_remove(s->registry, k->id) != HEL_OK)
		hel_log("error", "registry", "{s:s}", "reason", hel_error_detail());
	for (size_t i = 0; i < HEL_ARRAY_LEN(suffix); i++) {
		hel_store_file_name(name, k, suffix[i]);
		unlinkat(s->dir, name, 0);
	}
}

/* Ends a key set that take_out_locked took; the caller's reference goes with it. */
static void destroy(hel_store *s, hel_keyset *k)
{
	hel_store_remove_files(s, k);
	hel_keyset_release(s, k);
}

/* --- start ------------------------------------------------------------------------------- */

static hel_status adopt(void *arg, const hel_keyset *row)
{
	hel_status st = HEL_OK;
	hel_store *s = arg;
	hel_keyset *k = NULL;
	struct stat info;
	char name[64];
	hel_store_file_name(name, row, HEL_STORE_UPLOADED);
	if (fstatat(s->dir, name, &info, 0) || (uint64_t)info.st_size > row->bytes ||
	    (row->state == HEL_KEYSET_READY && (uint64_t)info.st_size != row->bytes)) {
		hel_log("error", "session_lost", "{s:s, s:s}", "file", name, "reason",
			"the file is missing or has another size than the registry says");
		hel_store_remove_files(s, row);
		return HEL_OK;
	}
	TRY_ALLOC(k, hel_alloc(1, sizeof *k));
	*k = *row;
	TRY_ALLOC(k->request, hel_alloc(k->count, sizeof *k->request));
	memcpy(k->request, row->request, k->count * sizeof *k->request);
	k->have = (uint64_t)info.st_size;
	k->used_on_disk = k->used;
	insert_locked(s, k);
	k = NULL;
done:
	keyset_free(k);
	return st;
}

/* Removes files no key set owns: those of a process that was killed. */
static void remove_orphans(hel_store *s)
{
	char(*names)[64] = NULL;
	size_t count = hel_registry_files(&names, s->dir);
	for (size_t i = 0; i < count; i++) {
		uint8_t id[HEL_SESSION_ID_BYTES];
		size_t size;
		const char *end;
		bool known = false;
		const char *dot = strchr(names[i], '.');
		if (!dot || (strcmp(dot, HEL_STORE_UPLOADED) != 0 && strncmp(dot, ".use", 4) != 0 &&
			     strcmp(dot, HEL_STORE_PARTIAL) != 0))
			continue;
		if (sodium_hex2bin(id, sizeof id, names[i], (size_t)(dot - names[i]), NULL, &size,
				   &end) == 0 &&
		    size == sizeof id && strncmp(dot, HEL_STORE_PARTIAL, 5) != 0 &&
		    (strcmp(dot, HEL_STORE_UPLOADED) == 0 || strcmp(dot, HEL_STORE_EXPANDED) == 0))
			for (const hel_keyset *k = *bucket_of(s, id); k; k = k->next)
				known |= memcmp(k->id, id, sizeof id) == 0;
		if (known)
			continue;
		unlinkat(s->dir, names[i], 0);
		hel_log("info", "orphan_removed", "{s:s}", "file", names[i]);
	}
	hel_free(names);
}

hel_status hel_store_open(hel_store **out, const hel_settings *settings, hel_counters *metrics)
{
	hel_status st = HEL_OK;
	hel_store *s = NULL;
	char path[HEL_SETTING_TEXT_MAX + 32];
	TRY_ALLOC(s, hel_alloc(1, sizeof *s));
	s->settings = settings;
	s->metrics = metrics;
	s->dir = s->lock_file = -1;
	pthread_mutex_init(&s->lock, NULL);
	TRY(hel_dir_make(settings->data));
	snprintf(path, sizeof path, "%s/keys", settings->data);
	TRY(hel_dir_make(path));
	if (chmod(settings->data, 0700) || chmod(path, 0700))
		FAIL(HEL_EIO, "cannot protect %s: %s", settings->data, strerror(errno));
	s->dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	snprintf(path, sizeof path, "%s/lock", settings->data);
	s->lock_file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (s->dir < 0 || s->lock_file < 0)
		FAIL(HEL_EIO, "cannot open %s: %s", settings->data, strerror(errno));
	if (flock(s->lock_file, LOCK_EX | LOCK_NB))
		FAIL(HEL_EIO, "another server uses %s; give this one its own --data",
		     settings->data);
	snprintf(path, sizeof path, "%s/registry.sqlite", settings->data);
	TRY(hel_registry_open(&s->registry, path));
	TRY(hel_registry_each(s->registry, adopt, s));
	remove_orphans(s);
	hel_log("info", "store_open", "{s:s, s:i, s:i, s:I}", "data", settings->data, "sessions",
		(int)s->count, "ready", (int)s->ready, "disk_bytes", (json_int_t)s->disk);
	*out = s;
	s = NULL;
done:
	hel_store_close(s);
	return st;
}

static void write_times_of_use(hel_store *s, int64_t older_than)
{
	for (unsigned b = 0; b < HEL_STORE_BUCKETS; b++) {
		for (;;) {
			uint8_t id[HEL_SESSION_ID_BYTES];
			int64_t used = 0;
			pthread_mutex_lock(&s->lock);
			for (hel_keyset *k = s->bucket[b]; k && !used; k = k->next)
				if (k->used - k->used_on_disk > older_than) {
					memcpy(id, k->id, sizeof id);
					used = k->used_on_disk = k->used;
				}
			pthread_mutex_unlock(&s->lock);
			if (!used)
				break;
			if (hel_registry_used(s->registry, id, used) != HEL_OK)
				return; /* a full disk: the next time will do */
		}
	}
}

void hel_store_close(hel_store *s)
{
	if (!s)
		return;
	if (s->registry)
		write_times_of_use(s, 0);
	hel_registry_close(s->registry);
	for (unsigned b = 0; b < HEL_STORE_BUCKETS; b++)
		for (hel_keyset *k = s->bucket[b], *next; k; k = next) {
			next = k->next;
			keyset_free(k);
		}
	if (s->lock_file >= 0)
		close(s->lock_file);
	if (s->dir >= 0)
		close(s->dir);
	pthread_mutex_destroy(&s->lock);
	hel_free(s);
}

/* --- sessions ---------------------------------------------------------------------------- */

/* Unfinished uploads are worth little: seconds of silence before they may be given up. */
#define UNFINISHED_KEEP 60

/* May be given up, and before what else. */
static bool evicted_before(const hel_keyset *k, const hel_keyset *other)
{
	const bool unfinished = k->state != HEL_KEYSET_READY;
	if (!other || unfinished != (other->state != HEL_KEYSET_READY))
		return !other || unfinished;
	return k->used < other->used;
}

/* The key set to give up first, unfinished uploads before least recently used ones, taken out and
 * referenced. */
static hel_keyset *evict_locked(hel_store *s, int64_t now)
{
	hel_keyset *oldest = NULL;
	for (unsigned b = 0; b < HEL_STORE_BUCKETS; b++)
		for (hel_keyset *k = s->bucket[b]; k; k = k->next) {
			const int64_t keep =
			    k->state == HEL_KEYSET_READY
				? (int64_t)s->settings->session_keep
				: HEL_MIN(UNFINISHED_KEEP, (int64_t)s->settings->session_keep);
			if (!k->refs && now - k->used >= keep && evicted_before(k, oldest))
				oldest = k;
		}
	if (oldest) {
		oldest->refs++;
		take_out_locked(s, oldest);
	}
	return oldest;
}

static hel_status make_room(hel_store *s, hel_keyset *k)
{
	const uint64_t need = k->bytes + k->expanded, quota = s->settings->disk << 20;
	struct statvfs disk;
	for (;;) {
		pthread_mutex_lock(&s->lock);
		if (s->count < s->settings->sessions && need <= quota && s->disk <= quota - need) {
			insert_locked(s, k); /* reserves; nobody knows the token yet */
			k->refs = 1;
			pthread_mutex_unlock(&s->lock);
			break;
		}
		hel_keyset *victim = need <= quota ? evict_locked(s, hel_store_now()) : NULL;
		pthread_mutex_unlock(&s->lock);
		if (!victim)
			return hel_fail(
			    HEL_ESPACE,
			    "no room for %llu MB of keys: the quota is used by sessions "
			    "that are too young to be given up",
			    (unsigned long long)(need >> 20));
		destroy(s, victim);
		hel_count(&s->metrics->sessions_evicted, 1);
	}
	if (fstatvfs(s->dir, &disk) == 0 &&
	    (uint64_t)disk.f_bavail * disk.f_frsize < need + DISK_SPARE) {
		pthread_mutex_lock(&s->lock);
		take_out_locked(s, k);
		k->refs = 0;
		pthread_mutex_unlock(&s->lock);
		return hel_fail(HEL_ESPACE, "the server's disk is full");
	}
	return HEL_OK;
}

static hel_status create_file(hel_store *s, const hel_keyset *k)
{
	char name[64];
	hel_store_file_name(name, k, HEL_STORE_UPLOADED);
	int fd = openat(s->dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0 || fsync(s->dir)) {
		hel_status st = hel_store_disk_failure("create a file for keys");
		if (fd >= 0)
			close(fd);
		return st;
	}
	close(fd);
	return HEL_OK;
}

hel_status hel_store_create(hel_keyset **out, char *token, hel_store *s, const hel_params *params,
			    const hel_key_request *request, size_t count)
{
	hel_status st = HEL_OK;
	hel_keyset *k = NULL;
	uint8_t secret[HEL_TOKEN_BYTES];
	TRY_ALLOC(k, hel_alloc(1, sizeof *k));
	k->bytes = hel_keys_file_bytes(params, request, count);
	k->expanded = hel_keys_expanded_bytes(params, request, count);
	if (k->bytes > s->settings->keys << 20)
		FAIL(HEL_ELIMIT, "%llu MB of keys, at most %llu are accepted",
		     (unsigned long long)(k->bytes >> 20), (unsigned long long)s->settings->keys);
	TRY_ALLOC(k->request, hel_alloc(count, sizeof *k->request));
	memcpy(k->request, request, count * sizeof *k->request);
	k->count = count;
	memcpy(k->fingerprint, params->fingerprint, HEL_HASH_BYTES);
	k->created = k->used = k->used_on_disk = hel_store_now();
	hel_random_bytes(secret, sizeof secret);
	memcpy(k->id, secret, HEL_SESSION_ID_BYTES);
	hel_hash(k->proof, secret + HEL_SESSION_ID_BYTES, sizeof secret - HEL_SESSION_ID_BYTES);
	TRY(make_room(s, k));
	st = create_file(s, k);
	if (st == HEL_OK)
		st = hel_registry_add(s->registry, k);
	if (st != HEL_OK) {
		char detail[256];
		snprintf(detail, sizeof detail, "%s", hel_error_detail());
		pthread_mutex_lock(&s->lock);
		take_out_locked(s, k);
		pthread_mutex_unlock(&s->lock);
		destroy(s, k);
		k = NULL;
		FAIL(st, "%s", detail);
	}
	sodium_bin2hex(token, HEL_TOKEN_CHARS + 1, secret, sizeof secret);
	hel_count(&s->metrics->sessions_opened, 1);
	*out = k;
	k = NULL;
done:
	hel_wipe(secret, sizeof secret);
	keyset_free(k);
	return st;
}

hel_keyset *hel_store_find(hel_store *s, const char *token)
{
	uint8_t secret[HEL_TOKEN_BYTES], proof[HEL_HASH_BYTES];
	static const uint8_t nobody[HEL_HASH_BYTES];
	size_t size;
	if (!token || strlen(token) != HEL_TOKEN_CHARS ||
	    sodium_hex2bin(secret, sizeof secret, token, HEL_TOKEN_CHARS, NULL, &size, NULL) ||
	    size != sizeof secret)
		return NULL;
	hel_hash(proof, secret + HEL_SESSION_ID_BYTES, sizeof secret - HEL_SESSION_ID_BYTES);
	pthread_mutex_lock(&s->lock);
	hel_keyset *k = *bucket_of(s, secret);
	while (k && sodium_memcmp(k->id, secret, HEL_SESSION_ID_BYTES) != 0)
		k = k->next;
	/* compared in any case, so that time does not tell which ids exist */
	if (sodium_memcmp(k ? k->proof : nobody, proof, HEL_HASH_BYTES) != 0)
		k = NULL;
	if (k)
		k->refs++;
	pthread_mutex_unlock(&s->lock);
	hel_wipe(secret, sizeof secret);
	return k;
}

double hel_keyset_rate(hel_store *s, hel_keyset *k, uint64_t per_minute)
{
	pthread_mutex_lock(&s->lock);
	k->used = hel_store_now();
	double wait = hel_bucket_take(&k->rate, per_minute);
	pthread_mutex_unlock(&s->lock);
	return wait;
}

hel_keyset_state hel_keyset_progress(hel_store *s, const hel_keyset *k, uint64_t *have)
{
	pthread_mutex_lock(&s->lock);
	hel_keyset_state state = k->state;
	*have = k->have;
	pthread_mutex_unlock(&s->lock);
	return state;
}

void hel_store_remove(hel_store *s, hel_keyset *k)
{
	pthread_mutex_lock(&s->lock);
	const bool first = !k->dead;
	if (first) {
		take_out_locked(s, k);
		k->refs++; /* destroy gives it back */
	}
	pthread_mutex_unlock(&s->lock);
	if (first)
		destroy(s, k);
}

void hel_store_gauges(hel_store *s, hel_gauges *g)
{
	pthread_mutex_lock(&s->lock);
	g->sessions = s->count;
	g->sessions_ready = s->ready;
	g->disk_bytes = s->disk;
	g->mapped = s->mapped;
	pthread_mutex_unlock(&s->lock);
}

/* --- use --------------------------------------------------------------------------------- */

/* Of those nobody uses, the one used longest ago gives up its mapping. */
static void unmap_one_locked(hel_store *s)
{
	hel_keyset *oldest = NULL;
	for (unsigned b = 0; b < HEL_STORE_BUCKETS; b++)
		for (hel_keyset *k = s->bucket[b]; k; k = k->next)
			if (!k->refs && k->map && (!oldest || k->used < oldest->used))
				oldest = k;
	if (!oldest)
		return;
	hel_keys_free(oldest->keys);
	munmap(oldest->map, oldest->expanded);
	oldest->keys = NULL;
	oldest->map = NULL;
	s->mapped--;
}

static hel_status map_keys(hel_keys **keys, void **map, hel_store *s, hel_keyset *k,
			   const hel_params *params)
{
	hel_status st = HEL_OK;
	char use[64];
	struct stat info;
	*map = NULL;
	hel_store_file_name(use, k, HEL_STORE_EXPANDED);
	/* made anew when an older helrm made it, or someone freed its space */
	if (fstatat(s->dir, use, &info, 0) || (uint64_t)info.st_size != k->expanded)
		TRY(hel_store_expand(s, k, params));
	if (memcmp(k->fingerprint, params->fingerprint, HEL_HASH_BYTES) != 0)
		FAIL(HEL_EPARAMS, "these keys were made for other parameters than the model's");
	int fd = openat(s->dir, use, O_RDONLY | O_CLOEXEC);
	void *p = fd < 0 ? MAP_FAILED : mmap(NULL, k->expanded, PROT_READ, MAP_SHARED, fd, 0);
	if (fd >= 0)
		close(fd);
	if (p == MAP_FAILED) {
		st = hel_store_disk_failure("map keys");
		goto done;
	}
	st = hel_keys_borrow(keys, params, k->client, k->request, k->count, p);
	if (st == HEL_OK && hel_keys_expanded_bytes(params, k->request, k->count) != k->expanded) {
		hel_keys_free(*keys);
		st = hel_fail(HEL_EFORMAT, "the registry and the parameters disagree on a size");
	}
	if (st == HEL_OK)
		*map = p;
	else
		munmap(p, k->expanded);
done:
	return st;
}

hel_status hel_store_keys(const hel_keys **out, hel_store *s, hel_keyset *k,
			  const hel_params *params)
{
	hel_status st = HEL_OK;
	hel_keys *keys = NULL;
	void *map = NULL;
	pthread_mutex_lock(&s->lock);
	const bool there = k->keys != NULL;
	pthread_mutex_unlock(&s->lock);
	if (!there) {
		for (;;) { /* one maps, others wait for it */
			st = hel_store_claim(s, k);
			if (st == HEL_OK)
				break;
			nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
		}
		if (!k->keys) {
			st = map_keys(&keys, &map, s, k, params);
			pthread_mutex_lock(&s->lock);
			if (st == HEL_OK) {
				while (s->mapped >= MAPPED_MAX) {
					const size_t before = s->mapped;
					unmap_one_locked(s);
					if (s->mapped == before)
						break;
				}
				k->keys = keys;
				k->map = map;
				s->mapped++;
			}
			pthread_mutex_unlock(&s->lock);
		}
		pthread_mutex_lock(&s->lock);
		const bool dead = k->dead;
		pthread_mutex_unlock(&s->lock);
		if (dead) /* removed meanwhile: what was written since must go, too */
			hel_store_remove_files(s, k);
		hel_store_unclaim(s, k, k->have);
	}
	if (st == HEL_OK)
		*out = k->keys;
	return st;
}

/* --- time -------------------------------------------------------------------------------- */

void hel_store_sweep(hel_store *s)
{
	const int64_t now = hel_store_now();
	for (unsigned b = 0; b < HEL_STORE_BUCKETS; b++) {
		hel_keyset *old = NULL;
		pthread_mutex_lock(&s->lock);
		for (hel_keyset *k = s->bucket[b]; k && !old; k = k->next) {
			const uint64_t ttl = k->state == HEL_KEYSET_READY ? s->settings->session_ttl
									  : s->settings->upload_ttl;
			if (!k->refs && now - k->used > (int64_t)ttl)
				old = k;
		}
		if (old) {
			old->refs++;
			take_out_locked(s, old);
			b--; /* there may be more */
		}
		pthread_mutex_unlock(&s->lock);
		if (old) {
			destroy(s, old);
			hel_count(&s->metrics->sessions_expired, 1);
		}
	}
	write_times_of_use(s, USED_EVERY);
}
