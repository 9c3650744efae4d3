#include "scatter.h"
#include <string.h>

#define MOST_ROTATIONS 256

/* An element that is still wanted in a slot, or, behind all slots, in the imaginary part of one. */
typedef struct wish {
	uint32_t slot, element;
} wish;

/* Where each of several numbers occurs: those of number n are at[first[n] .. first[n + 1]). */
typedef struct places {
	uint32_t *first, *at;
} places;

static void places_clear(places *p)
{
	hel_free(p->first);
	hel_free(p->at);
}

static hel_status places_of(places *p, const int32_t *number, size_t count, size_t numbers)
{
	hel_status st = HEL_OK;
	*p = (places){0};
	TRY_ALLOC(p->first, hel_alloc(numbers + 2, sizeof *p->first));
	TRY_ALLOC(p->at, hel_alloc(count, sizeof *p->at));
	for (size_t i = 0; i < count; i++)
		if (number[i] >= 0)
			p->first[number[i] + 2]++;
	for (size_t n = 0; n < numbers; n++)
		p->first[n + 2] += p->first[n + 1];
	for (size_t i = 0; i < count; i++)
		if (number[i] >= 0)
			p->at[p->first[number[i] + 1]++] = (uint32_t)i;
done:
	return st;
}

static hel_status make_wishes(wish **out, size_t *count, const int32_t *to, size_t slots,
			      const places *parts, size_t rows)
{
	hel_status st = HEL_OK;
	*count = 0;
	for (size_t p = 0; p < slots; p++)
		if (to[p] >= 0 && (size_t)to[p] < rows)
			*count += parts->first[to[p] + 1] - parts->first[to[p]];
	TRY_ALLOC(*out, hel_alloc(*count, sizeof **out));
	*count = 0;
	for (size_t p = 0; p < slots; p++)
		for (uint32_t i = 0; to[p] >= 0 && (size_t)to[p] < rows &&
				     i < parts->first[to[p] + 1] - parts->first[to[p]];
		     i++)
			(*out)[(*count)++] =
			    (wish){(uint32_t)p, parts->at[parts->first[to[p]] + i]};
done:
	return st;
}

/* The rotation that grants most wishes. */
static size_t most_wanted(uint32_t *votes, const wish *w, size_t wishes, const places *standing,
			  size_t slots)
{
	size_t best = 0;
	memset(votes, 0, slots * sizeof *votes);
	for (size_t i = 0; i < wishes; i++)
		for (uint32_t k = standing->first[w[i].element];
		     k < standing->first[w[i].element + 1]; k++)
			votes[(standing->at[k] - w[i].slot) & (slots - 1)]++;
	for (size_t r = 1; r < slots; r++)
		if (votes[r] > votes[best])
			best = r;
	return best;
}

hel_status hel_scatter_new(hel_scatter **out, const int32_t *from, const int32_t *to, size_t parts,
			   size_t slots, const int32_t *column, size_t elements)
{
	hel_status st = HEL_OK;
	hel_scatter *s = NULL;
	places standing = {0}, summed = {0};
	wish *w = NULL;
	uint32_t *votes = NULL;
	size_t rows = 0, wishes;
	for (size_t e = 0; e < elements; e++)
		rows = HEL_MAX(rows, (size_t)(column[e] + 1));
	TRY(places_of(&standing, from, slots, elements));
	TRY(places_of(&summed, column, elements, rows));
	TRY(make_wishes(&w, &wishes, to, parts * slots, &summed, rows));
	TRY_ALLOC(votes, hel_alloc(slots, sizeof *votes));
	TRY_ALLOC(s, hel_alloc(1, sizeof *s));
	s->slots = slots;
	s->giant = 1;
	TRY_ALLOC(s->rotation, hel_alloc(MOST_ROTATIONS, sizeof *s->rotation));
	TRY_ALLOC(s->taken, hel_alloc(MOST_ROTATIONS * slots, 1));
	while (wishes) {
		const size_t r = most_wanted(votes, w, wishes, &standing, slots);
		size_t left = 0;
		if (s->count == MOST_ROTATIONS || !votes[r])
			FAIL(HEL_EUNSUPPORTED, "elements cannot be brought to their slots");
		for (size_t i = 0; i < wishes; i++) {
			const size_t seen = (w[i].slot + r) & (slots - 1);
			if (from[seen] == (int32_t)w[i].element)
				s->taken[s->count * slots + (w[i].slot & (slots - 1))] |=
				    w[i].slot < slots ? HEL_TAKEN_REAL : HEL_TAKEN_IMAGINARY;
			else
				w[left++] = w[i];
		}
		s->rotation[s->count++] = (int32_t)r;
		wishes = left;
	}
	*out = s;
	s = NULL;
done:
	places_clear(&standing);
	places_clear(&summed);
	hel_free(w);
	hel_free(votes);
	hel_scatter_free(s);
	return st;
}

void hel_scatter_free(hel_scatter *s)
{
	if (!s)
		return;
	hel_free(s->rotation);
	hel_free(s->taken);
	hel_free(s);
}

void hel_scatter_steps(size_t *babies, size_t *giants, const hel_scatter *s, int32_t giant)
{
	*babies = *giants = 0;
	for (size_t k = 0; k < s->count; k++) {
		const int32_t baby = s->rotation[k] & (giant - 1), rest = s->rotation[k] - baby;
		bool new_baby = baby != 0, new_giant = rest != 0;
		for (size_t i = 0; i < k; i++) {
			const int32_t other = s->rotation[i] & (giant - 1);
			new_baby &= other != baby;
			new_giant &= s->rotation[i] - other != rest;
		}
		*babies += new_baby;
		*giants += new_giant;
	}
}
