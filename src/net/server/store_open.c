/* A store of a directory, from its opening to its end, and the opening of sessions in it. */
#include "log.h"
#include "store.h"
#ifdef HELRM_POSTGRESQL
#include "fleet/fleet_open.h"
#endif
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <sodium.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

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
	hel_keyset_free(k);
	return st;
}

/* Names of the files of a directory; the caller frees them. */
static size_t list_files(char (**names)[64], int dir)
{
	size_t count = 0, capacity = 0;
	int copy = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = copy < 0 ? NULL : fdopendir(copy);
	for (struct dirent *e; d && (e = readdir(d));) {
		const size_t size = strlen(e->d_name) + 1;
		if (size > sizeof **names)
			continue;
		if (count == capacity) {
			capacity = 2 * capacity + 64;
			char(*more)[64] = hel_alloc(capacity, sizeof *more);
			if (!more)
				break;
			if (count)
				memcpy(more, *names, count * sizeof *more);
			hel_free(*names);
			*names = more;
		}
		memcpy((*names)[count++], e->d_name, size);
	}
	if (d)
		closedir(d);
	else if (copy >= 0)
		close(copy);
	return count;
}

static bool read_id(uint8_t id[HEL_SESSION_ID_BYTES], const char *name)
{
	size_t size;
	return strlen(name) > 2 * HEL_SESSION_ID_BYTES &&
	       sodium_hex2bin(id, HEL_SESSION_ID_BYTES, name, 2 * HEL_SESSION_ID_BYTES, NULL, &size,
			      NULL) == 0 &&
	       size == HEL_SESSION_ID_BYTES;
}

static bool is_owned(hel_store *s, const char *name, const char *suffix)
{
	uint8_t id[HEL_SESSION_ID_BYTES];
	char own[64];
	if (!read_id(id, name) ||
	    (strcmp(suffix, HEL_STORE_UPLOADED) != 0 && strcmp(suffix, HEL_STORE_EXPANDED) != 0))
		return false;
	for (const hel_keyset *k = *hel_store_bucket(s, id); k; k = k->next) {
		hel_store_file_name(own, k, suffix);
		if (strcmp(own, name) == 0)
			return true;
	}
	return false;
}

/* Copies of a fleet's key sets that an earlier process left here are still good. */
static hel_status adopt_copies(hel_store *s)
{
	hel_status st = HEL_OK;
	char(*names)[64] = NULL;
	const size_t count = list_files(&names, s->dir);
	for (size_t i = 0; i < count; i++) {
		uint8_t id[HEL_SESSION_ID_BYTES];
		hel_keyset *k = NULL;
		if (!strstr(names[i], HEL_STORE_EXPANDED) || !read_id(id, names[i]))
			continue;
		st = hel_shared_find(&k, s, id);
		hel_keyset_release(s, k);
		st = st == HEL_EDENIED ? HEL_OK : st;
		TRY(st);
	}
done:
	hel_free(names);
	return st;
}

/* Removes files no key set owns: those of a process that was killed. */
static void remove_orphans(hel_store *s)
{
	char(*names)[64] = NULL;
	size_t count = list_files(&names, s->dir);
	for (size_t i = 0; i < count; i++) {
		const char *dot = strchr(names[i], '.');
		if (!dot || (strcmp(dot, HEL_STORE_UPLOADED) != 0 && strncmp(dot, ".use", 4) != 0 &&
			     strcmp(dot, HEL_STORE_PARTIAL) != 0))
			continue;
		if (is_owned(s, names[i], dot))
			continue;
		unlinkat(s->dir, names[i], 0);
		hel_log("info", "orphan_removed", "{s:s}", "file", names[i]);
	}
	hel_free(names);
}

/* Where rows are, and what they say of the time. */
static hel_status open_rows(hel_store *s, const char *path)
{
	hel_status st = HEL_OK;
	if (!*s->settings->registry) {
		TRY(hel_registry_open(&s->registry, path));
		TRY(hel_registry_clock(&s->seconds, s->registry));
		goto done;
	}
#ifdef HELRM_POSTGRESQL
	TRY(hel_fleet_open(&s->fleet, s->settings, s->metrics));
	TRY(s->fleet->call->clock(&s->seconds, s->fleet));
#else
	st = hel_fail(HEL_EUNSUPPORTED, "registry: this helrm was built without PostgreSQL");
#endif
done:
	return st;
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
	TRY(open_rows(s, path));
	s->clock_on_disk = s->hour = s->seconds;
	s->looked = hel_clock();
	TRY(s->fleet ? adopt_copies(s) : hel_registry_each(s->registry, adopt, s));
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
	if (s->registry || s->fleet)
		hel_store_write_times(s, 0);
	if (s->fleet)
		s->fleet->call->close(s->fleet);
	hel_registry_close(s->registry);
	for (unsigned b = 0; b < HEL_STORE_BUCKETS; b++)
		for (hel_keyset *k = s->bucket[b], *next; k; k = next) {
			next = k->next;
			hel_keyset_free(k);
		}
	if (s->lock_file >= 0)
		close(s->lock_file);
	if (s->dir >= 0)
		close(s->dir);
	pthread_cond_destroy(&s->changed);
	pthread_mutex_destroy(&s->lock);
	hel_free(s);
}

/* --- a session --------------------------------------------------------------------------- */

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
	if (!s->fleet) {
		st = create_file(s, k);
		if (st == HEL_OK)
			st = hel_registry_add(s->registry, k);
	}
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
	hel_keyset_free(k);
	return st;
}
