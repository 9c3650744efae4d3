#include "prog.h"

int32_t hel_layout_at(const hel_layout *l, size_t slot)
{
	uint32_t index = 0;
	for (unsigned j = 0; j < l->bits; j++)
		index |= (uint32_t)(slot >> l->position[j] & 1) << j;
	return index < l->width ? (int32_t)index : HEL_SLOT_ZERO;
}

void hel_layout_map(int32_t *map, const hel_layout *l, bool imaginary)
{
	const size_t slots = (size_t)1 << l->log_slots;
	uint32_t bit[32] = {0}; /* what each slot bit adds to the index */
	for (unsigned j = 0; j < l->bits; j++)
		bit[l->position[j]] = 1u << j;
	map[0] = (int32_t)(imaginary ? bit[l->log_slots] : 0);
	for (unsigned j = 0; j < l->log_slots; j++) /* all there is, again with one more bit */
		for (size_t p = 0; p < (size_t)1 << j; p++)
			map[p + ((size_t)1 << j)] = map[p] | (int32_t)bit[j];
	for (size_t p = 0; l->width < 1u << l->bits && p < slots; p++)
		map[p] = (uint32_t)map[p] < l->width ? map[p] : HEL_SLOT_ZERO;
}

uint32_t hel_layout_mask(const hel_layout *l)
{
	uint32_t mask = 0;
	for (unsigned j = 0; j < l->bits; j++)
		mask |= 1u << l->position[j];
	return mask;
}

bool hel_layout_is_complex(const hel_layout *l)
{
	return hel_layout_mask(l) >> l->log_slots & 1;
}

int32_t hel_input_at(const hel_input *in, size_t slot)
{
	const int32_t e = hel_layout_at(&in->layout, slot);
	if (e < 0 || (slot >> in->layout.log_slots && !hel_layout_is_complex(&in->layout)))
		return HEL_SLOT_ZERO;
	if (!in->pieces)
		return (int32_t)in->first + e;
	const hel_piece *piece = &in->piece[e >> in->log_piece];
	const uint32_t at = (uint32_t)e & ((1u << in->log_piece) - 1);
	return at < piece->width ? (int32_t)(piece->first + at) : HEL_SLOT_ZERO;
}

void hel_input_fill(hel_complex *slots, const hel_input *in, const double *features)
{
	const size_t count = (size_t)1 << in->layout.log_slots;
	for (size_t p = 0; p < count; p++) {
		const int32_t re = hel_input_at(in, p), im = hel_input_at(in, p + count);
		slots[p] = (hel_complex){re < 0 ? 0 : features[re], im < 0 ? 0 : features[im]};
	}
}

hel_status hel_layout_check(const hel_layout *l)
{
	uint32_t used = 0;
	bool ok = l->log_slots >= HEL_MIN_LOG_SLOTS && l->log_slots <= 16 &&
		  l->bits <= l->log_slots + 1 && l->bits <= HEL_MAX_INDEX_BITS && l->width >= 1 &&
		  l->width <= (uint64_t)1 << l->bits;
	for (unsigned j = 0; ok && j < l->bits; j++) {
		ok = l->position[j] <= l->log_slots && !(used >> l->position[j] & 1);
		used |= ok ? 1u << l->position[j] : 0;
	}
	return ok ? HEL_OK : hel_fail(HEL_EFORMAT, "a slot layout is not consistent");
}

void hel_layout_describe(char *out, size_t size, const hel_layout *l)
{
	size_t n = (size_t)snprintf(out, size, "%u elements", l->width);
	for (unsigned j = 0; j < l->bits && n < size; j++) {
		unsigned last = j;
		while (last + 1u < l->bits && l->position[last + 1] == l->position[last] + 1)
			last++;
		n +=
		    (size_t)snprintf(out + n, size - n, last > j ? "%s%u-%u" : "%s%u",
				     j ? "," : " at slot bits ", l->position[j], l->position[last]);
		j = last;
	}
	const bool both = hel_layout_is_complex(l);
	if (n < size)
		snprintf(out + n, size - n, "%s, %u copies", both ? " (the imaginary part)" : "",
			 1u << (l->log_slots + both - l->bits));
}

size_t hel_subset_sums(int32_t *out, uint32_t mask)
{
	size_t n = 0;
	for (uint32_t sub = 0;; sub = (sub - mask) & mask) {
		out[n++] = (int32_t)sub;
		if (sub == mask)
			return n;
	}
}
