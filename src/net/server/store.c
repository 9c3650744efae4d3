#include "store.h"
#include "log.h"
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* What servers on this data were up. A step of the clock below counts for little, whatever made it:
 * a machine that slept, a clock that was set. */
#define STEP_MAX 10

double hel_store_now_locked(hel_store *s, double monotonic)
{
	s->seconds += fmin(fmax(monotonic - s->looked, 0), STEP_MAX);
	s->looked = fmax(s->looked, monotonic);
	return s->seconds;
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
	hel_mapping_close(k->map);
	hel_free(k->request);
	hel_free(k);
}

void hel_store_insert_locked(hel_store *s, hel_keyset *k)
{
	hel_keyset **slot = bucket_of(s, k->id);
	k->next = *slot;
	*slot = k;
	s->count++;
	s->ready += k->state == HEL_KEYSET_READY;
	s->disk += k->held;
}

void hel_store_take_out_locked(hel_store *s, hel_keyset *k)
{
	hel_keyset **slot = bucket_of(s, k->id);
	while (*slot != k)
		slot = &(*slot)->next;
	*slot = k->next;
	k->dead = true;
	s->count--;
	s->ready -= k->state == HEL_KEYSET_READY;
	s->disk -= k->held;
	k->held = 0;
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

void hel_store_destroy(hel_store *s, hel_keyset *k)
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
	k->held = k->have + (k->state == HEL_KEYSET_READY ? hel_store_expanded_file(k) : 0);
	/* a time of use that is still to come is no time of use */
	k->used = k->used_on_disk = fmin(k->used, s->seconds);
	k->opened = fmin(k->opened, s->seconds);
	hel_store_insert_locked(s, k);
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
	pthread_cond_init(&s->changed, NULL);
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
	TRY(hel_registry_clock(&s->seconds, s->registry));
	s->clock_on_disk = s->hour = s->seconds;
	s->looked = hel_clock();
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

void hel_store_close(hel_store *s)
{
	if (!s)
		return;
	if (s->registry)
		hel_store_write_times(s, 0);
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
	pthread_cond_destroy(&s->changed);
	pthread_mutex_destroy(&s->lock);
	hel_free(s);
}

/* --- sessions ---------------------------------------------------------------------------- */

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
			    const hel_key_request *request, size_t count, const hel_opener *opener)
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
	k->opener = *opener;
	hel_random_bytes(secret, sizeof secret);
	memcpy(k->id, secret, HEL_SESSION_ID_BYTES);
	hel_hash(k->proof, secret + HEL_SESSION_ID_BYTES, sizeof secret - HEL_SESSION_ID_BYTES);
	TRY(hel_quota_admit(s, k));
	st = create_file(s, k);
	if (st == HEL_OK)
		st = hel_registry_add(s->registry, k);
	if (st != HEL_OK) {
		char detail[256];
		snprintf(detail, sizeof detail, "%s", hel_error_detail());
		pthread_mutex_lock(&s->lock);
		hel_store_take_out_locked(s, k);
		pthread_mutex_unlock(&s->lock);
		hel_store_destroy(s, k);
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
	k->used = hel_store_now_locked(s, hel_clock());
	double wait = hel_bucket_take(&k->rate, per_minute);
	pthread_mutex_unlock(&s->lock);
	return wait;
}

hel_keyset_state hel_keyset_progress(hel_store *s, const hel_keyset *k, uint64_t *have, bool *lost)
{
	pthread_mutex_lock(&s->lock);
	hel_keyset_state state = k->state;
	*have = k->have;
	if (lost)
		*lost = k->lost;
	pthread_mutex_unlock(&s->lock);
	return state;
}

void hel_store_remove(hel_store *s, hel_keyset *k)
{
	pthread_mutex_lock(&s->lock);
	const bool first = !k->dead;
	if (first) {
		hel_store_take_out_locked(s, k);
		k->refs++; /* hel_store_destroy gives it back */
	}
	pthread_mutex_unlock(&s->lock);
	if (first)
		hel_store_destroy(s, k);
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
