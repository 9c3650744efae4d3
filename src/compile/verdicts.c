/* A table of verdicts by key: linear probing, at most half full. */
#include "verdicts.h"
#include "base/random.h"
#include <pthread.h>
#include <string.h>

typedef struct entry {
	uint64_t key;
	hel_verdict verdict;
	bool used;
} entry;

struct hel_verdicts {
	pthread_mutex_t lock;
	entry *at;
	size_t count, room; /* a power of two */
};

#define FIRST_ROOM 4096

hel_status hel_verdicts_new(hel_verdicts **out)
{
	hel_status st = HEL_OK;
	hel_verdicts *v = NULL;
	TRY_ALLOC(v, hel_alloc(1, sizeof *v));
	TRY_ALLOC(v->at, hel_alloc(FIRST_ROOM, sizeof *v->at));
	v->room = FIRST_ROOM;
	pthread_mutex_init(&v->lock, NULL);
	*out = v;
	v = NULL;
done:
	hel_free(v);
	return st;
}

void hel_verdicts_free(hel_verdicts *v)
{
	if (!v)
		return;
	pthread_mutex_destroy(&v->lock);
	hel_free(v->at);
	hel_free(v);
}

/* The entry of a key, or the free one that is to be its. */
static entry *place_of(entry *at, size_t room, uint64_t key)
{
	size_t i = key & (room - 1);
	while (at[i].used && at[i].key != key)
		i = (i + 1) & (room - 1);
	return &at[i];
}

bool hel_verdicts_find(hel_verdict *out, hel_verdicts *v, uint64_t key)
{
	pthread_mutex_lock(&v->lock);
	const entry e = *place_of(v->at, v->room, key);
	pthread_mutex_unlock(&v->lock);
	*out = e.verdict;
	return e.used;
}

static hel_status grow(hel_verdicts *v)
{
	hel_status st = HEL_OK;
	entry *more;
	TRY_ALLOC(more, hel_alloc(2 * v->room, sizeof *more));
	for (size_t i = 0; i < v->room; i++)
		if (v->at[i].used)
			*place_of(more, 2 * v->room, v->at[i].key) = v->at[i];
	hel_free(v->at);
	v->at = more;
	v->room *= 2;
done:
	return st;
}

hel_status hel_verdicts_add(hel_verdicts *v, uint64_t key, const hel_verdict *x)
{
	hel_status st = HEL_OK;
	pthread_mutex_lock(&v->lock);
	if (v->count + 1 > v->room / 2)
		TRY(grow(v));
	entry *e = place_of(v->at, v->room, key);
	v->count += !e->used;
	*e = (entry){key, *x, true};
done:
	pthread_mutex_unlock(&v->lock);
	return st;
}

uint64_t hel_digest(const int32_t *number, size_t count)
{
	uint64_t lane[4] = {1, 2, 3, 4}; /* side by side: one would wait for itself */
	size_t i = 0;
	for (; i + 8 <= count; i += 8) {
		uint64_t word[4];
		memcpy(word, number + i, sizeof word);
		for (size_t k = 0; k < 4; k++) {
			lane[k] = (lane[k] ^ word[k]) * 0xbf58476d1ce4e5b9u; /* of hel_mix */
			lane[k] ^= lane[k] >> 29;
		}
	}
	uint64_t all = count;
	for (size_t k = 0; k < 4; k++)
		all = hel_mix(all ^ lane[k]);
	for (; i < count; i++)
		all = hel_mix(all ^ (uint32_t)number[i]);
	return all;
}
