/* The client's feature vector, table by table as its coding says. */
#include "coding.h"
#include "hash.h"
#include <math.h>
#include <string.h>

const char *hel_coding_name(hel_coding coding)
{
	static const char *const name[] = {
#define X(coding, name) name,
	    HEL_CODING_LIST(X)
#undef X
	};
	return name[coding];
}

hel_coding hel_coding_by_name(const char *name)
{
	hel_coding c = 0;
	while (c < HEL_CODINGS && strcmp(name, hel_coding_name(c)) != 0)
		c++;
	return c;
}

/* --- digits ------------------------------------------------------------------ */

/* Entries before the digits: of a missing or known value, named in the first place. */
static uint32_t entries_alone(const hel_table_field *t)
{
	return !t->base ? (uint32_t)hel_table_width(t) : t->hashed ? t->values + 1 : 0;
}

hel_digit hel_table_digit(const hel_table_field *t, uint32_t place)
{
	const uint32_t alone = entries_alone(t);
	return place ? (hel_digit){alone + place * t->base, t->base}
		     : (hel_digit){0, alone + t->base};
}

uint32_t hel_table_order(const hel_table_field *t)
{
	uint32_t most = 0;
	for (uint32_t place = 0; place < t->digits; place++)
		most = HEL_MAX(most, hel_table_digit(t, place).width);
	/* a known value leaves the other places empty */
	return HEL_MAX(most + (t->hashed && t->digits > 1), 2);
}

bool hel_table_can_be(const hel_table_field *t, hel_coding coding, uint32_t size)
{
	if (t->bag.limit) /* entries that are no ones, several at a time: as they are */
		return coding == HEL_CODING_ONE_HOT;
	switch (coding) {
	case HEL_CODING_ONE_HOT:
		return true;
	case HEL_CODING_GRID: /* several ones at once would be seen in every place */
		return t->digits == 1 && size && size <= hel_table_width(t);
	case HEL_CODING_ROOTS:
		if (size & (size - 1))
			return false;
		/* fallthrough */
	case HEL_CODING_POWERS:
	case HEL_CODING_CODED:
		return size <= HEL_CODE_ORDER_MAX && size >= hel_table_order(t);
	case HEL_CODINGS:
		break;
	}
	return false;
}

/* --- features ---------------------------------------------------------------- */

size_t hel_table_features(const hel_table_field *t)
{
	const size_t width = hel_table_width(t);
	switch (t->coding) {
	case HEL_CODING_GRID:
		return t->coding_size + (width + t->coding_size - 1) / t->coding_size;
	case HEL_CODING_POWERS:
		return 2 * (size_t)t->digits;
	case HEL_CODING_ROOTS:
		return 2 * width;
	case HEL_CODING_ONE_HOT:
	case HEL_CODING_CODED:
	case HEL_CODINGS:
		break;
	}
	return width;
}

size_t hel_monomials(size_t dense)
{
	return dense * (dense + 1) / 2;
}

size_t hel_features_dense(const hel_schema *s, unsigned degree)
{
	return s->dense_count + (degree >= 2 ? hel_monomials(s->dense_count) : 0);
}

static bool has_constant(const hel_schema *s)
{
	for (size_t i = 0; i < s->table_count; i++)
		if (s->table[i].coding == HEL_CODING_GRID)
			return true;
	return false;
}

uint64_t hel_features_width(const hel_schema *s, unsigned degree)
{
	uint64_t n = hel_features_dense(s, degree) + has_constant(s);
	for (size_t i = 0; i < s->table_count; i++)
		n += hel_table_features(&s->table[i]);
	return n;
}

uint32_t hel_features_ranges(double *range, uint32_t *group, const hel_schema *s, unsigned degree)
{
	const size_t dense = hel_features_dense(s, degree);
	const size_t width = (size_t)hel_features_width(s, degree);
	uint32_t groups = 0;
	size_t at = dense;
	for (size_t i = 0; i < width; i++) {
		range[i] = i < s->dense_count ? s->clip : i < dense ? s->clip * s->clip : 1;
		group[i] = HEL_NO_GROUP;
	}
	for (size_t i = 0; i < s->table_count; i++) {
		const hel_table_field *t = &s->table[i];
		const size_t features = hel_table_features(t);
		const hel_coding c = t->coding;
		for (size_t k = 0;
		     (c == HEL_CODING_POWERS || c == HEL_CODING_ROOTS) && k < features; k += 2)
			group[at + k] = HEL_COSINE;
		for (uint32_t place = 0; c == HEL_CODING_ONE_HOT && place < t->digits;
		     place++, groups++) {
			const hel_digit d = hel_table_digit(t, place);
			for (uint32_t k = 0; k < d.width; k++) {
				group[at + d.first + k] = groups;
				range[at + d.first + k] = hel_bag_reach(&t->bag);
			}
		}
		for (size_t k = 0; c == HEL_CODING_GRID && k < features; k++)
			group[at + k] = groups + (k >= t->coding_size);
		groups += c == HEL_CODING_GRID ? 2 : 0;
		at += features;
	}
	return groups;
}

/* A root of unity: cosine and sine. */
static void fill_root(double *out, uint32_t power, uint32_t order)
{
	const double angle = 2 * M_PI * power / order;
	out[0] = cos(angle);
	out[1] = sin(angle);
}

/* Counts or weights. */
static void fill_bag(double *out, const hel_table_field *t, const uint32_t *words, uint32_t first)
{
	const size_t places = hel_table_places(t);
	for (size_t p = 0; p < places; p++)
		if (words[p] != HEL_NO_HOT)
			out[words[p] - first] += (double)hel_word_weight(words[places + p]);
}

/* hot: of the entries of this table, counted from its first. */
static void fill_table(double *out, const hel_table_field *t, const uint32_t *hot)
{
	const uint32_t size = t->coding_size;
	for (uint32_t place = 0; place < t->digits; place++) {
		const hel_digit d = hel_table_digit(t, place);
		/* the number behind all entries of the digit stands for none */
		const uint32_t x = hot[place] == HEL_NO_HOT ? d.width : hot[place] - d.first;
		switch (t->coding) {
		case HEL_CODING_ONE_HOT:
			if (hot[place] != HEL_NO_HOT)
				out[hot[place]] = 1;
			break;
		case HEL_CODING_GRID:
			if (hot[place] != HEL_NO_HOT)
				out[hot[place] % size] = out[size + hot[place] / size] = 1;
			break;
		case HEL_CODING_POWERS:
			fill_root(out + 2 * place, x, size);
			break;
		case HEL_CODING_ROOTS:
			for (uint32_t k = d.first; k < d.first + d.width; k++)
				fill_root(out + 2 * (size_t)k, x, size);
			break;
		case HEL_CODING_CODED:
			for (uint32_t k = 0; k < d.width; k++)
				out[d.first + k] = ((double)x - k) / size;
			break;
		case HEL_CODINGS:
			break;
		}
	}
}

void hel_features_fill(double *out, const hel_schema *s, const double *dense, const uint32_t *hots,
		       unsigned degree)
{
	const size_t n = s->dense_count, all = (size_t)hel_features_width(s, degree);
	uint32_t first = 0, local[HEL_MAX_DIGITS];
	double *const end = out + all;
	memcpy(out, dense, n * sizeof *out);
	out += n;
	for (size_t i = 0; degree >= 2 && i < n; i++)
		for (size_t j = i; j < n; j++)
			*out++ = dense[i] * dense[j];
	memset(out, 0, (size_t)(end - out) * sizeof *out);
	for (size_t i = 0; i < s->table_count; i++) {
		const hel_table_field *t = &s->table[i];
		for (uint32_t k = 0; k < t->digits; k++)
			local[k] = hots[k] == HEL_NO_HOT ? HEL_NO_HOT : hots[k] - first;
		if (t->bag.limit)
			fill_bag(out, t, hots, first);
		else
			fill_table(out, t, local);
		hots += hel_table_words(t);
		first += (uint32_t)hel_table_width(t);
		out += hel_table_features(t);
	}
	if (out < end)
		*out = 1;
}
