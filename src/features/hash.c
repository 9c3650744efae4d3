/* Values of hashed tables: 32 bits stand for a text, a salted fingerprint for those 32 bits. */
#include "hash.h"
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

/* An unknown value is taken for a known one of its table with probability 2^-FALSE_BITS; the
 * fingerprints say no more about the known values than they must. */
#define FALSE_BITS 10

uint32_t hel_value_hash(const char *text, size_t size)
{
	static const uint8_t key[crypto_shorthash_KEYBYTES] = "helrm category";
	uint8_t out[crypto_shorthash_BYTES];
	uint32_t h;
	if (!size)
		return 0;
	crypto_shorthash(out, (const uint8_t *)text, size, key);
	memcpy(&h, out, sizeof h);
	return h ? h : 1;
}

uint32_t hel_value_code(const hel_table_field *t, const char *text, size_t size)
{
	if (!t->modulo || !size)
		return hel_value_hash(text, size);
	return 1 + (uint32_t)strtoul(text, NULL, 10) % t->base;
}

/* SipHash of table and value under the schema's salt: high bits name the value, low bits place it
 * in the tail. */
static uint64_t salted(const hel_schema *s, size_t table, uint32_t hash)
{
	const uint32_t in[2] = {(uint32_t)table + s->table[table].moved, hash};
	uint8_t out[crypto_shorthash_BYTES];
	uint64_t h;
	_Static_assert(crypto_shorthash_KEYBYTES == HEL_SALT_BYTES, "a salt is a key");
	crypto_shorthash(out, (const uint8_t *)in, sizeof in, s->salt);
	memcpy(&h, out, sizeof h);
	return h;
}

static uint32_t print_of(uint64_t h, unsigned bits)
{
	return bits ? (uint32_t)(h >> (64 - bits)) : 0;
}

uint32_t hel_value_print(const hel_schema *s, size_t table, uint32_t hash)
{
	return print_of(salted(s, table, hash), s->table[table].print_bits);
}

static int ascending(const void *a, const void *b)
{
	const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	return (x > y) - (x < y);
}

/* Sorted fingerprints, each once. */
static void take_prints(hel_schema *s, size_t table, const uint32_t *hash, uint32_t count)
{
	hel_table_field *t = &s->table[table];
	for (uint32_t i = 0; i < count; i++)
		t->print[i] = hel_value_print(s, table, hash[i]);
	qsort(t->print, count, sizeof *t->print, ascending);
	t->values = 0;
	for (uint32_t i = 0; i < count; i++)
		if (!t->values || t->print[t->values - 1] != t->print[i])
			t->print[t->values++] = t->print[i];
}

/* Of fingerprints that tell `count` values from others. */
static unsigned bits_for(uint32_t count)
{
	unsigned bits = count ? FALSE_BITS : 0;
	while (count && (uint64_t)1 << (bits - FALSE_BITS) < count)
		bits++;
	return HEL_MIN(bits, 32u);
}

hel_status hel_table_know(hel_schema *s, size_t table, const uint32_t *hash, uint32_t count,
			  bool apart)
{
	hel_status st = HEL_OK;
	hel_table_field *t = &s->table[table];
	t->hashed = true;
	TRY_ALLOC(t->print, hel_alloc(HEL_MAX(count, 1u), sizeof *t->print));
	for (unsigned bits = bits_for(count);; bits++) {
		t->print_bits = (uint8_t)bits;
		take_prints(s, table, hash, count);
		if (!apart || t->values == count || bits >= 32)
			break;
	}
done:
	return st;
}

typedef struct rated {
	uint32_t print;
	uint8_t bucket;
} rated;

static int by_print(const void *a, const void *b)
{
	const rated *x = a, *y = b;
	return x->print == y->print ? x->bucket - y->bucket : x->print > y->print ? 1 : -1;
}

hel_status hel_table_sort_rated(hel_table_field *t, uint32_t *twice)
{
	hel_status st = HEL_OK;
	rated *r = NULL;
	const uint32_t count = t->rated;
	TRY_ALLOC(r, hel_alloc(HEL_MAX(count, 1u), sizeof *r));
	for (uint32_t i = 0; i < count; i++)
		r[i] = (rated){t->rated_print[i], t->bucket[i]};
	qsort(r, count, sizeof *r, by_print);
	t->rated = 0;
	for (uint32_t i = 0; i < count; i++) {
		if (i && r[i].print == r[i - 1].print)
			continue;
		t->rated_print[t->rated] = r[i].print;
		t->bucket[t->rated++] = r[i].bucket;
	}
	*twice = count - t->rated;
done:
	hel_free(r);
	return st;
}

hel_status hel_table_rate(hel_schema *s, size_t table, const uint32_t *hash, const uint8_t *bucket,
			  uint32_t count, uint32_t buckets)
{
	hel_status st = HEL_OK;
	hel_table_field *t = &s->table[table];
	uint32_t twice;
	TRY_ALLOC(t->rated_print, hel_alloc(HEL_MAX(count, 1u), sizeof *t->rated_print));
	TRY_ALLOC(t->bucket, hel_alloc(HEL_MAX(count, 1u), 1));
	t->rate_bits = (uint8_t)bits_for(count);
	for (; t->rated < count; t->rated++) {
		t->rated_print[t->rated] = print_of(salted(s, table, hash[t->rated]), t->rate_bits);
		t->bucket[t->rated] = bucket[t->rated];
	}
	TRY(hel_table_sort_rated(t, &twice));
	t->buckets = count ? buckets : 0;
done:
	return st;
}

/* The place of a fingerprint in a sorted list, or `count`. */
static uint32_t find(const uint32_t *list, uint32_t count, uint32_t print)
{
	uint32_t low = 0, high = count;
	while (low < high) {
		const uint32_t middle = low + (high - low) / 2;
		if (list[middle] < print)
			low = middle + 1;
		else
			high = middle;
	}
	return low < count && list[low] == print ? low : count;
}

void hel_table_hots(uint32_t *hots, const hel_schema *s, size_t table, uint32_t first,
		    uint32_t hash)
{
	const hel_table_field *t = &s->table[table];
	for (uint32_t d = 0; d < t->digits; d++)
		hots[d] = HEL_NO_HOT;
	hots[0] = first;
	if (!hash)
		return;
	if (t->modulo) {
		hots[0] = first + 1 + (hash - 1) % t->base;
		return;
	}
	const uint64_t h = salted(s, table, hash);
	const uint32_t known = find(t->print, t->values, print_of(h, t->print_bits));
	hots[0] = first + 1 + known; /* of an unknown value: the shared row */
	if (known < t->values)
		return;
	if (t->buckets) {
		const uint32_t at = find(t->rated_print, t->rated, print_of(h, t->rate_bits));
		hots[0] += at < t->rated ? t->bucket[at] : t->buckets;
	}
	if (!t->base)
		return;
	uint32_t number = (uint32_t)h;
	for (uint32_t d = 0; d < t->digits; d++) {
		hots[d] = first + 1 + t->values + d * t->base + number % t->base;
		number /= t->base;
	}
}
