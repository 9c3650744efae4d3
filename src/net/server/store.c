#include "store.h"
#include "log.h"
#include <errno.h>
#include <math.h>
#include <sodium.h>
#include <string.h>
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

hel_keyset **hel_store_bucket(hel_store *s, const uint8_t id[HEL_SESSION_ID_BYTES])
{
	/* ids are random */
	return &s->bucket[(id[0] | (unsigned)id[1] << 8) % HEL_STORE_BUCKETS];
}

void hel_store_file_name(char out[64], const hel_keyset *k, const char *suffix)
{
	char hex[2 * HEL_SESSION_ID_BYTES + 1];
	sodium_bin2hex(hex, sizeof hex, k->id, sizeof k->id);
	if (k->generation)
		snprintf(out, 64, "%s-%llu%s", hex, (unsigned long long)k->generation, suffix);
	else
		snprintf(out, 64, "%s%s", hex, suffix);
}

uint64_t hel_store_expanded_file(const hel_keyset *k)
{
	return k->expanded + HEL_HASH_BYTES;
}

hel_status hel_store_disk_failure(const char *what)
{
	const bool full = errno == ENOSPC || errno == EDQUOT;
	return hel_fail(full ? HEL_ESPACE : HEL_EIO, "cannot %s: %s", what, strerror(errno));
}

/* --- the table --------------------------------------------------------------------------- */

void hel_keyset_free(hel_keyset *k)
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
	hel_keyset **slot = hel_store_bucket(s, k->id);
	k->next = *slot;
	*slot = k;
	s->count++;
	s->ready += k->state == HEL_KEYSET_READY;
	s->disk += k->held;
}

void hel_store_take_out_locked(hel_store *s, hel_keyset *k)
{
	hel_keyset **slot = hel_store_bucket(s, k->id);
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
		hel_keyset_free(k);
}

/* The row first: files without a row are orphans, which the next start removes. A fleet's row
 * stays: it goes by hel_store_remove. */
void hel_store_remove_files(hel_store *s, const hel_keyset *k)
{
	static const char *const suffix[] = {HEL_STORE_UPLOADED, HEL_STORE_EXPANDED,
					     HEL_STORE_PARTIAL};
	char name[64];
	if (!s->fleet && hel_registry_remove(s->registry, k->id) != HEL_OK)
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

void hel_store_gauges(hel_store *s, hel_gauges *g)
{
	pthread_mutex_lock(&s->lock);
	g->sessions = s->count;
	g->sessions_ready = s->ready;
	g->disk_bytes = s->disk;
	g->mapped = s->mapped;
	pthread_mutex_unlock(&s->lock);
}
