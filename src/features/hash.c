/* Values of hashed tables: 32 bits stand for a text, a salted fingerprint for those 32 bits. */
#include "features.h"
#include <sodium.h>
#include <string.h>

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

/* SipHash of table and value under the schema's salt: high bits name the value, low bits place it
 * in the tail. */
static uint64_t salted(const hel_schema *s, size_t table, uint32_t hash)
{
	const uint32_t in[2] = {(uint32_t)table, hash};
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

/* The place of a fingerprint, or `values`. */
static uint32_t find(const hel_table_field *t, uint32_t print)
{
	uint32_t low = 0, high = t->values;
	while (low < high) {
		const uint32_t middle = low + (high - low) / 2;
		if (t->print[middle] < print)
			low = middle + 1;
		else
			high = middle;
	}
	return low < t->values && t->print[low] == print ? low : t->values;
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
	const uint64_t h = salted(s, table, hash);
	const uint32_t known = find(t, print_of(h, t->print_bits));
	hots[0] = first + 1 + known; /* of an unknown value: the shared row */
	if (known < t->values || !t->base)
		return;
	uint32_t number = (uint32_t)h;
	for (uint32_t d = 0; d < t->digits; d++) {
		hots[d] = first + 1 + t->values + d * t->base + number % t->base;
		number /= t->base;
	}
}
