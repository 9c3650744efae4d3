/* Keys in use: mapped once for everybody, made again where their file is damaged. */
#include "log.h"
#include "store.h"
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAPPED_MAX 256 /* key sets mapped at once; each costs some tables beside the mapping */

static void unmap_locked(hel_store *s, hel_keyset *k)
{
	hel_keys_free(k->keys);
	hel_mapping_close(k->map);
	k->keys = NULL;
	k->map = NULL;
	s->mapped--;
}

/* Of those nobody uses, the one used longest ago gives up its mapping. */
static bool unmap_one_locked(hel_store *s)
{
	hel_keyset *oldest = NULL;
	for (unsigned b = 0; b < HEL_STORE_BUCKETS; b++)
		for (hel_keyset *k = s->bucket[b]; k; k = k->next)
			if (!k->users && !k->busy && k->map && (!oldest || k->used < oldest->used))
				oldest = k;
	if (oldest)
		unmap_locked(s, oldest);
	return oldest != NULL;
}

/* Maps the form for use as it is on disk, and compares its checksum. */
static hel_status map_file(hel_mapping **out, hel_store *s, const hel_keyset *k)
{
	hel_status st = HEL_OK;
	hel_mapping *map = NULL;
	uint8_t sum[HEL_HASH_BYTES];
	char use[64];
	hel_store_file_name(use, k, HEL_STORE_EXPANDED);
	int fd = openat(s->dir, use, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		FAIL(HEL_ETRUNC, "the file is missing");
	TRY(hel_mapping_open(&map, fd, hel_store_expanded_file(k)));
	const uint8_t *bytes = hel_mapping_bytes(map);
	hel_hash(sum, bytes, k->expanded);
	if (memcmp(sum, bytes + k->expanded, sizeof sum) != 0 || hel_mapping_damaged(map))
		FAIL(HEL_EHASH, "its checksum differs");
	*out = map;
	map = NULL;
done:
	hel_mapping_close(map);
	if (fd >= 0)
		close(fd);
	return st;
}

static bool is_damage(hel_status st)
{
	return st == HEL_EHASH || st == HEL_ETRUNC || st == HEL_EFORMAT || st == HEL_ERANGE;
}

/* The upload is damaged: it begins anew, under the same token. */
static hel_status lose(hel_store *s, hel_keyset *k)
{
	char name[64];
	hel_store_file_name(name, k, HEL_STORE_UPLOADED);
	hel_log("error", "keys_lost", "{s:s, s:s}", "file", name, "reason", hel_error_detail());
	int fd = openat(s->dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd >= 0)
		close(fd);
	if (s->fleet)
		unlinkat(s->dir, name, 0);
	hel_store_file_name(name, k, HEL_STORE_EXPANDED);
	unlinkat(s->dir, name, 0);
	pthread_mutex_lock(&s->lock);
	const double now = hel_store_now_locked(s, hel_clock());
	s->ready -= k->state == HEL_KEYSET_READY && !k->dead;
	k->state = HEL_KEYSET_UPLOADING;
	k->lost = true;
	k->have = 0;
	k->opened = k->used = now;
	pthread_mutex_unlock(&s->lock);
	const hel_status told = s->fleet
				    ? s->fleet->call->restart(s->fleet, k, now)
				    : hel_registry_state(s->registry, k, HEL_KEYSET_UPLOADING, now);
	k->generation += s->fleet != NULL;
	if (told != HEL_OK)
		hel_log("error", "registry", "{s:s}", "reason", hel_error_detail());
	return hel_fail(HEL_EKEY, "the server lost this session's keys: upload them again");
}

/* Whether the registry's row can be of these parameters. */
static bool makes_sense(const hel_keyset *k, const hel_params *params)
{
	for (size_t i = 0; i < k->count; i++)
		if (k->request[i].galois >= 2 * params->ring.n ||
		    k->request[i].level > params->spec.levels)
			return false;
	return hel_keys_file_bytes(params, k->request, k->count) == k->bytes &&
	       hel_keys_expanded_bytes(params, k->request, k->count) == k->expanded;
}

/* The form for use, from the upload, which a fleet has elsewhere. */
static hel_status make_anew(hel_store *s, hel_keyset *k, const hel_params *params)
{
	hel_status st = HEL_OK;
	char name[64];
	if (!s->fleet)
		return hel_store_expand(s, k, params);
	st = hel_store_reserve(s, k, k->bytes + hel_store_expanded_file(k));
	if (st != HEL_OK) /* others use all of the copies' room */
		FAIL(HEL_EBUSY, "no room for another key set now");
	TRY(hel_shared_fetch(s, k));
	TRY(hel_store_expand(s, k, params));
done:
	hel_store_file_name(name, k, HEL_STORE_UPLOADED);
	if (s->fleet)
		unlinkat(s->dir, name, 0);
	return st;
}

/* For the one that claimed it. */
static hel_status map_keys(hel_keys **keys, hel_mapping **map, hel_store *s, hel_keyset *k,
			   const hel_params *params)
{
	hel_status st = HEL_OK;
	char use[64];
	*map = NULL;
	hel_store_file_name(use, k, HEL_STORE_EXPANDED);
	if (memcmp(k->fingerprint, params->fingerprint, HEL_HASH_BYTES) != 0)
		FAIL(HEL_EPARAMS, "these keys were made for other parameters than the model's");
	if (!makes_sense(k, params)) { /* a damaged row: its client opens another session */
		hel_log("error", "session_lost", "{s:s, s:s}", "file", use, "reason",
			"the registry and the parameters disagree");
		TRY(hel_store_remove(s, k));
		FAIL(HEL_EDENIED, "the session was removed");
	}
	st = map_file(map, s, k);
	if (is_damage(st)) { /* or an older helrm made it, or someone freed its space */
		char why[160];
		const double begun = hel_clock();
		snprintf(why, sizeof why, "%s", hel_error_detail());
		st = make_anew(s, k, params);
		if (is_damage(st))
			FAIL(lose(s, k), "the server lost this session's keys: upload them again");
		TRY(st);
		hel_log("info", s->fleet ? "keys_fetched" : "keys_made_anew",
			"{s:s, s:s, s:I, s:f}", "file", use, "reason", why, "bytes",
			(json_int_t)k->bytes, "seconds", hel_clock() - begun);
		st = map_file(map, s, k);
	}
	TRY(st);
	TRY(hel_keys_borrow(keys, params, k->client, k->request, k->count,
			    hel_mapping_bytes(*map)));
done:
	if (st != HEL_OK && *map) {
		hel_mapping_close(*map);
		*map = NULL;
	}
	return st;
}

/* Claims a key set that is not mapped; false: it is, and counted as used. */
static hel_status use_or_claim(bool *claimed, hel_store *s, hel_keyset *k, const atomic_bool *stop)
{
	hel_status st = HEL_OK;
	*claimed = false;
	pthread_mutex_lock(&s->lock);
	for (;;) {
		/* one whose file was damaged is given up by its last user */
		const bool sound = k->keys && !hel_mapping_damaged(k->map);
		if (k->dead && !k->keys)
			FAIL(HEL_EDENIED, "the session was removed");
		if (sound)
			break;
		if (k->state != HEL_KEYSET_READY) /* lost to the query before this one */
			FAIL(HEL_EKEY, "the server lost this session's keys: upload them again");
		if (!k->busy && !k->users)
			break;
		if (stop && atomic_load(stop))
			FAIL(HEL_ECANCEL, "cancelled");
		pthread_cond_wait(&s->changed, &s->lock);
	}
	if (k->keys && hel_mapping_damaged(k->map))
		unmap_locked(s, k);
	if (k->keys)
		k->users++;
	else
		*claimed = k->busy = true;
done:
	pthread_mutex_unlock(&s->lock);
	return st;
}

hel_status hel_store_keys(const hel_keys **out, hel_store *s, hel_keyset *k,
			  const hel_params *params, const atomic_bool *stop)
{
	hel_keys *keys = NULL;
	hel_mapping *map = NULL;
	bool claimed;
	hel_status st = use_or_claim(&claimed, s, k, stop);
	if (st == HEL_OK && claimed) {
		st = map_keys(&keys, &map, s, k, params);
		pthread_mutex_lock(&s->lock);
		if (st == HEL_OK) {
			while (s->mapped >= MAPPED_MAX && unmap_one_locked(s))
				;
			k->keys = keys;
			k->map = map;
			k->users++;
			s->mapped++;
		}
		const uint64_t have = k->have;
		pthread_mutex_unlock(&s->lock);
		const hel_status end = hel_store_unclaim(s, k, have);
		st = st == HEL_OK || end == HEL_EDENIED ? (keys ? HEL_OK : end) : st;
	}
	if (st == HEL_OK)
		*out = k->keys;
	return st;
}

bool hel_store_keys_done(hel_store *s, hel_keyset *k)
{
	pthread_mutex_lock(&s->lock);
	const bool damaged = k->map && hel_mapping_damaged(k->map);
	if (--k->users == 0 && damaged)
		unmap_locked(s, k);
	pthread_cond_broadcast(&s->changed);
	pthread_mutex_unlock(&s->lock);
	return damaged;
}

void hel_store_interrupt(hel_store *s)
{
	pthread_mutex_lock(&s->lock);
	pthread_cond_broadcast(&s->changed);
	pthread_mutex_unlock(&s->lock);
}
