#include "dictionary.h"
#include "hash.h"
#include <string.h>

#define MAX_TEXT ((size_t)256 << 20) /* bytes of one column's texts */

/* Texts one after the other; open addressing over their hashes. */
typedef struct listed {
	char *text;
	size_t *at;	 /* [count]: where each begins */
	uint32_t *place; /* [places]: number, 0 is empty */
	size_t used, room, places, at_room;
	uint32_t count;
} listed;

struct hel_dictionary {
	const hel_dataset *set;
	listed *table; /* [tables] */
};

hel_status hel_dictionary_new(hel_dictionary **out, const hel_dataset *set)
{
	hel_status st = HEL_OK;
	hel_dictionary *d = NULL;
	TRY_ALLOC(d, hel_alloc(1, sizeof *d));
	d->set = hel_dataset_keep(set);
	TRY_ALLOC(d->table, hel_alloc(HEL_MAX(set->tables, 1), sizeof *d->table));
	*out = d;
	d = NULL;
done:
	hel_dictionary_free(d);
	return st;
}

void hel_dictionary_free(hel_dictionary *d)
{
	if (!d)
		return;
	for (size_t t = 0; d->table && t < d->set->tables; t++) {
		hel_free(d->table[t].text);
		hel_free(d->table[t].at);
		hel_free(d->table[t].place);
	}
	hel_free(d->table);
	hel_dataset_drop(d->set);
	hel_free(d);
}

void hel_dictionary_empty(hel_dictionary *d)
{
	for (size_t t = 0; t < d->set->tables; t++) {
		listed *l = &d->table[t];
		if (l->count)
			memset(l->place, 0, l->places * sizeof *l->place);
		l->used = l->count = 0;
	}
}

size_t hel_dictionary_size(const hel_dictionary *d)
{
	size_t n = 0;
	for (size_t t = 0; t < d->set->tables; t++)
		n += d->table[t].count;
	return n;
}

uint32_t hel_dictionary_count(const hel_dictionary *d, size_t table)
{
	return d->table[table].count;
}

const char *hel_dictionary_text(const hel_dictionary *d, size_t table, uint32_t number)
{
	return d->table[table].text + d->table[table].at[number - 1];
}

/* Where the text's number stands or would. */
static uint32_t *place_of(const listed *l, const char *text, size_t size)
{
	size_t i = (size_t)hel_mix(hel_value_hash(text, size)) & (l->places - 1);
	while (l->place[i]) {
		const char *found = l->text + l->at[l->place[i] - 1];
		if (strncmp(found, text, size) == 0 && !found[size])
			break;
		i = (i + 1) & (l->places - 1);
	}
	return &l->place[i];
}

uint32_t hel_dictionary_find(const hel_dictionary *d, size_t table, const char *text, size_t size)
{
	const listed *l = &d->table[table];
	return l->count ? *place_of(l, text, size) : 0;
}

static hel_status grow(void **array, size_t used, size_t *room, size_t need, size_t size)
{
	size_t more = HEL_MAX(*room, 64);
	while (more < need)
		more *= 2;
	if (more == *room)
		return HEL_OK;
	void *bigger = hel_alloc(more, size);
	if (!bigger)
		return hel_fail(HEL_ENOMEM, "out of memory for %zu texts", need);
	if (used)
		memcpy(bigger, *array, used * size);
	hel_free(*array);
	*array = bigger;
	*room = more;
	return HEL_OK;
}

static hel_status grow_places(listed *l)
{
	hel_status st = HEL_OK;
	const size_t places = l->places ? 2 * l->places : 64;
	uint32_t *place;
	TRY_ALLOC(place, hel_alloc(places, sizeof *place));
	hel_free(l->place);
	l->place = place;
	l->places = places;
	for (uint32_t i = 0; i < l->count; i++) {
		const char *text = l->text + l->at[i];
		*place_of(l, text, strlen(text)) = i + 1;
	}
done:
	return st;
}

hel_status hel_dictionary_add(uint32_t *number, hel_dictionary *d, size_t table, const char *text,
			      size_t size)
{
	hel_status st = HEL_OK;
	listed *l = &d->table[table];
	void *all = l->text, *at = l->at;
	*number = hel_dictionary_find(d, table, text, size);
	if (*number)
		goto done;
	if (l->count == HEL_MAX_LISTED || l->used + size + 1 > MAX_TEXT)
		FAIL(HEL_ELIMIT,
		     "column '%s' has more values than can be listed (%u, %zu MB of text): make it "
		     "\"hashed\"",
		     hel_dataset_nth(d->set, HEL_CATEGORICAL, table)->name, HEL_MAX_LISTED,
		     MAX_TEXT >> 20);
	TRY(grow(&all, l->used, &l->room, l->used + size + 1, 1));
	l->text = all;
	TRY(grow(&at, l->count, &l->at_room, (size_t)l->count + 1, sizeof *l->at));
	l->at = at;
	if (4 * (size_t)l->count >= 3 * l->places)
		TRY(grow_places(l));
	memcpy(l->text + l->used, text, size);
	l->text[l->used + size] = 0;
	*place_of(l, text, size) = l->count + 1;
	l->at[l->count++] = l->used;
	l->used += size + 1;
	*number = l->count;
done:
	return st;
}

void hel_dictionary_write(hel_writer *w, const hel_dictionary *d)
{
	for (size_t t = 0; t < d->set->tables; t++) {
		const listed *l = &d->table[t];
		hel_write_u32(w, l->count);
		hel_write_u64(w, l->used);
		if (l->used)
			hel_write_bytes(w, l->text, l->used);
	}
}

hel_status hel_dictionary_read(hel_dictionary *d, const uint8_t *bytes, size_t size)
{
	hel_status st = HEL_OK;
	hel_reader r = hel_reader_of(bytes, size);
	for (size_t t = 0; t < d->set->tables; t++) {
		const uint32_t count = hel_read_u32(&r);
		const uint64_t used = hel_read_u64(&r);
		const char *text = used <= size ? (const char *)hel_read_bytes(&r, used) : NULL;
		if (r.status != HEL_OK || (used && (!text || text[used - 1])))
			FAIL(HEL_EFORMAT, "a dictionary is damaged");
		for (size_t at = 0; at < used;) {
			uint32_t number;
			const size_t n = strlen(text + at);
			TRY(hel_dictionary_add(&number, d, t, text + at, n));
			at += n + 1;
		}
		if (d->table[t].count != count)
			FAIL(HEL_EFORMAT, "a dictionary is damaged");
	}
	TRY(hel_reader_finish(&r));
done:
	return st;
}
