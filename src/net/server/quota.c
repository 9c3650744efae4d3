/* Who must go: room for key sets, and their time. Nothing here looks at the wall clock. */
#include "log.h"
#include "store.h"
#include <math.h>
#include <string.h>
#include <sys/statvfs.h>

#define DISK_SPARE (16u << 20) /* for the registry and its journal */
#define USED_EVERY 60	       /* seconds a time of use may be newer in memory than on disk */

/* Unfinished uploads are worth little: seconds of silence before they may be given up, and of
 * being slower than any request may be. */
#define UNFINISHED_KEEP 60
#define UNFINISHED_SLOW 10

/* Complete sessions that may expire in an hour: more at once is not age but a fault. */
#define EXPIRE_AT_ONCE 100

/* --- room --------------------------------------------------------------------------------- */

static bool is_slow(const hel_store *s, const hel_keyset *k, double now, double patience)
{
	const double seconds = now - k->opened;
	return k->state != HEL_KEYSET_READY && seconds >= patience &&
	       (double)k->have < 1024 * (double)s->settings->min_rate * seconds;
}

static bool may_go(const hel_store *s, const hel_keyset *k, double now)
{
	const double keep = (double)s->settings->session_keep;
	if (k->refs)
		return false;
	if (s->fleet) /* a copy, made again when it is asked for */
		return true;
	if (k->state == HEL_KEYSET_READY)
		return now - k->used >= keep;
	return now - k->used >= fmin(UNFINISHED_KEEP, keep) || is_slow(s, k, now, UNFINISHED_KEEP);
}

/* Before what else: unfinished uploads first, then what was used longest ago. */
static bool goes_before(const hel_keyset *k, const hel_keyset *other)
{
	const bool unfinished = k->state != HEL_KEYSET_READY;
	if (!other || unfinished != (other->state != HEL_KEYSET_READY))
		return !other || unfinished;
	return k->used < other->used;
}

static bool same_key(const hel_keyset *k, const hel_opener *o)
{
	return *o->api_key && strcmp(k->opener.api_key, o->api_key) == 0;
}

static bool same_address(const hel_keyset *k, const hel_opener *o)
{
	return *o->address && strcmp(k->opener.address, o->address) == 0;
}

/* The key set to give up first, taken out and referenced; of one API key only, or of all. */
static hel_keyset *evict_locked(hel_store *s, const hel_opener *only)
{
	const double now = hel_store_now_locked(s, hel_clock());
	hel_keyset *first = NULL;
	for (unsigned b = 0; b < HEL_STORE_BUCKETS; b++)
		for (hel_keyset *k = s->bucket[b]; k; k = k->next)
			if (may_go(s, k, now) && (!only || same_key(k, only)) &&
			    goes_before(k, first))
				first = k;
	if (first) {
		first->refs++;
		hel_store_take_out_locked(s, first);
	}
	return first;
}

/* What an opener has by now; *slowest: the unfinished upload of its own that it may replace. */
typedef struct holdings {
	uint64_t sessions, bytes, unfinished_key, unfinished_address;
	hel_keyset *slowest;
} holdings;

static holdings count_locked(hel_store *s, const hel_opener *o)
{
	const double now = hel_store_now_locked(s, hel_clock());
	holdings h = {0};
	double least = INFINITY;
	for (unsigned b = 0; b < HEL_STORE_BUCKETS; b++)
		for (hel_keyset *k = s->bucket[b]; k; k = k->next) {
			const bool key = same_key(k, o), address = same_address(k, o);
			h.sessions += key;
			h.bytes += key ? k->bytes : 0;
			if (k->state == HEL_KEYSET_READY)
				continue;
			h.unfinished_key += key;
			h.unfinished_address += address;
			const double rate = (double)k->have / (now - k->opened + 1);
			if ((key || address) && !k->refs && rate < least &&
			    is_slow(s, k, now, UNFINISHED_SLOW)) {
				least = rate;
				h.slowest = k;
			}
		}
	return h;
}

/* May this opener have one more? *victim: what it gives up for it. */
static hel_status admit_opener_locked(hel_keyset **victim, hel_store *s, const hel_keyset *new)
{
	const hel_opener *o = &new->opener;
	const holdings h = count_locked(s, o);
	*victim = NULL;
	if ((o->sessions && h.sessions >= o->sessions) ||
	    (o->bytes && h.bytes + new->bytes > o->bytes)) {
		*victim = evict_locked(s, o);
		return *victim ? HEL_OK
			       : hel_fail(HEL_ESPACE,
					  "this API key has %llu sessions with %llu MB of keys, "
					  "more than it is allowed with another, and none is old "
					  "enough to be given up",
					  (unsigned long long)h.sessions,
					  (unsigned long long)(h.bytes >> 20));
	}
	if (h.unfinished_address < s->settings->unfinished_address &&
	    h.unfinished_key < s->settings->unfinished_key)
		return HEL_OK;
	if (!h.slowest)
		return hel_fail(HEL_EBUSY,
				"%llu unfinished uploads of this address, %llu of this API key; at "
				"most %llu and %llu are allowed",
				(unsigned long long)h.unfinished_address,
				(unsigned long long)h.unfinished_key,
				(unsigned long long)s->settings->unfinished_address,
				(unsigned long long)s->settings->unfinished_key);
	h.slowest->refs++;
	hel_store_take_out_locked(s, h.slowest);
	*victim = h.slowest;
	return HEL_OK;
}

/* A fleet counts by its rows. */
static hel_status admit_shared(hel_store *s, hel_keyset *k)
{
	pthread_mutex_lock(&s->lock);
	k->generation = 1;
	k->opened = k->used = k->used_on_disk = hel_store_now_locked(s, hel_clock());
	pthread_mutex_unlock(&s->lock);
	const hel_status st = s->fleet->call->create(s->fleet, k);
	if (st != HEL_OK)
		return st;
	pthread_mutex_lock(&s->lock);
	k->refs = 1;
	hel_store_insert_locked(s, k);
	pthread_mutex_unlock(&s->lock);
	return HEL_OK;
}

static void give_up(hel_store *s, hel_keyset *victim)
{
	hel_store_destroy(s, victim);
	hel_count(&s->metrics->sessions_evicted, 1);
}

static hel_status no_quota(uint64_t bytes)
{
	return hel_fail(HEL_ESPACE,
			"no room for %llu MB of keys: the quota is used by sessions that are too "
			"young to be given up",
			(unsigned long long)(bytes >> 20));
}

hel_status hel_quota_admit(hel_store *s, hel_keyset *k)
{
	const uint64_t need = k->bytes + hel_store_expanded_file(k);
	struct statvfs disk;
	hel_status st = HEL_OK;
	if (need > s->settings->disk << 20)
		return hel_fail(
		    HEL_ELIMIT, "%llu MB of keys and their form for use, disk-mb is %llu",
		    (unsigned long long)(need >> 20), (unsigned long long)s->settings->disk);
	if (fstatvfs(s->dir, &disk) == 0 &&
	    (uint64_t)disk.f_bavail * disk.f_frsize < need + DISK_SPARE)
		return hel_fail(HEL_ESPACE, "the server's disk is full");
	if (s->fleet)
		return admit_shared(s, k);
	for (bool in = false; !in;) {
		hel_keyset *victim = NULL;
		pthread_mutex_lock(&s->lock);
		st = admit_opener_locked(&victim, s, k);
		in = st == HEL_OK && !victim && s->count < s->settings->sessions;
		if (in) { /* nobody knows the token yet */
			k->opened = k->used = k->used_on_disk =
			    hel_store_now_locked(s, hel_clock());
			k->refs = 1;
			hel_store_insert_locked(s, k);
		} else if (st == HEL_OK && !victim) {
			victim = evict_locked(s, NULL);
			st = victim ? HEL_OK : no_quota(need);
		}
		pthread_mutex_unlock(&s->lock);
		if (victim)
			give_up(s, victim);
		if (st != HEL_OK)
			return st;
	}
	return HEL_OK;
}

hel_status hel_store_reserve(hel_store *s, hel_keyset *k, uint64_t bytes)
{
	const uint64_t quota = s->settings->disk << 20;
	for (;;) {
		hel_keyset *victim = NULL;
		pthread_mutex_lock(&s->lock);
		const bool dead = k->dead; /* holds nothing; its bytes go with its files */
		const bool fits = bytes <= quota && s->disk <= quota - bytes;
		if (fits && !dead) {
			s->disk += bytes;
			k->held += bytes;
		} else if (!dead) {
			victim = evict_locked(s, NULL);
		}
		pthread_mutex_unlock(&s->lock);
		if (dead || (fits && !victim))
			return HEL_OK;
		if (!victim)
			return no_quota(bytes);
		give_up(s, victim);
	}
}

/* --- time --------------------------------------------------------------------------------- */

static bool is_over(const hel_store *s, const hel_keyset *k, double now)
{
	if (k->state == HEL_KEYSET_READY)
		return !k->refs && now - k->used > (double)s->settings->session_ttl;
	/* the second also ends one that is written to at this moment */
	return (!k->refs && now - k->used > (double)s->settings->upload_ttl) ||
	       now - k->opened > (double)s->settings->upload_seconds;
}

/* Whether one more complete session may expire now. */
static bool may_expire_locked(hel_store *s, double now)
{
	const double most = fmax(EXPIRE_AT_ONCE, 0.1 * (double)s->ready);
	if (now - s->hour >= 3600) {
		s->hour = now;
		s->expired = 0;
	}
	if (s->expired < most)
		return true;
	if (s->expired < INFINITY)
		hel_log("error", "expiry_held", "{s:I, s:s}", "sessions", (json_int_t)s->ready,
			"reason", "too many sessions expired within an hour; others stay for now");
	s->expired = INFINITY; /* said once */
	return false;
}

static hel_keyset *take_expired_locked(hel_store *s, unsigned bucket, double now)
{
	for (hel_keyset *k = s->bucket[bucket]; k; k = k->next) {
		if (!is_over(s, k, now))
			continue;
		const bool ready = k->state == HEL_KEYSET_READY;
		if (ready && !may_expire_locked(s, now))
			continue;
		s->expired += ready;
		k->refs++;
		hel_store_take_out_locked(s, k);
		return k;
	}
	return NULL;
}

/* A fleet's clock is written with each server's word that it lives. */
static hel_status write_clock(hel_store *s, double now)
{
	return s->fleet ? HEL_OK : hel_registry_set_clock(s->registry, now);
}

static hel_status write_used(hel_store *s, const uint8_t id[HEL_SESSION_ID_BYTES], double used)
{
	return s->fleet ? s->fleet->call->used(s->fleet, id, used)
			: hel_registry_used(s->registry, id, used);
}

void hel_store_write_times(hel_store *s, double older_than)
{
	pthread_mutex_lock(&s->lock);
	const double now = hel_store_now_locked(s, hel_clock());
	const bool due = now - s->clock_on_disk > older_than;
	if (due)
		s->clock_on_disk = now;
	pthread_mutex_unlock(&s->lock);
	if (due && write_clock(s, now) != HEL_OK)
		return; /* a full disk: the next time will do */
	for (unsigned b = 0; b < HEL_STORE_BUCKETS; b++) {
		for (;;) {
			uint8_t id[HEL_SESSION_ID_BYTES];
			double used = 0;
			pthread_mutex_lock(&s->lock);
			for (hel_keyset *k = s->bucket[b]; k && used <= 0; k = k->next)
				if (k->used - k->used_on_disk > older_than) {
					memcpy(id, k->id, sizeof id);
					used = k->used_on_disk = k->used;
				}
			pthread_mutex_unlock(&s->lock);
			if (used <= 0)
				break;
			if (write_used(s, id, used) != HEL_OK)
				return;
		}
	}
}

void hel_store_sweep(hel_store *s, double monotonic)
{
	if (s->fleet) {
		hel_shared_sweep(s, monotonic);
		hel_store_write_times(s, USED_EVERY);
		return;
	}
	for (unsigned b = 0; b < HEL_STORE_BUCKETS; b++) {
		pthread_mutex_lock(&s->lock);
		hel_keyset *old = take_expired_locked(s, b, hel_store_now_locked(s, monotonic));
		pthread_mutex_unlock(&s->lock);
		if (!old)
			continue;
		b--; /* there may be more */
		hel_store_destroy(s, old);
		hel_count(&s->metrics->sessions_expired, 1);
	}
	hel_store_write_times(s, USED_EVERY);
}
