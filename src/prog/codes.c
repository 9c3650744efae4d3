/* Codes become one-hot slots, or powers. */
#include "codes.h"
#include <math.h>

static hel_status square(hel_builder *b)
{
	hel_status st = hel_emit_unary(b, HEL_OP_SQUARE);
	return st == HEL_OK ? hel_emit_unary(b, HEL_OP_RESCALE) : st;
}

/* --- coded --------------------------------------------------------------------------- */

/* [KPLC24]: squarings and cleaning steps by base. */
static void recipe(unsigned *squarings, unsigned *cleanings, unsigned base)
{
	static const struct {
		unsigned base, r, s;
	} known[] = {{4, 6, 1}, {8, 8, 1}, {16, 10, 2}, {32, 11, 2}, {64, 13, 3}};
	size_t i = 0;
	while (known[i].base < base)
		i++;
	*squarings = known[i].r;
	*cleanings = known[i].s;
}

unsigned hel_indicator_levels(unsigned base)
{
	unsigned r, c;
	recipe(&r, &c, base);
	return 1 + r + 2 * c;
}

hel_status hel_emit_indicator(hel_builder *b, unsigned base, unsigned level)
{
	hel_status st = HEL_OK;
	unsigned r, c;
	recipe(&r, &c, base);
	TRY(hel_emit_unary(b, HEL_OP_SQUARE));
	TRY(hel_emit_affine(b, b->value, 2, -1, level--));
	for (; r; r--, level--)
		TRY(square(b));
	for (; c; c--, level -= 2) {
		const uint32_t u = b->value;
		TRY(square(b));
		const uint32_t squared = b->value;
		TRY(hel_emit_affine(b, u, -2, 3, level));
		TRY(hel_emit_op(b,
				(hel_op){.kind = HEL_OP_MUL, .value = squared, .index = b->value}));
		TRY(hel_emit_unary(b, HEL_OP_RESCALE));
	}
done:
	return st;
}

/* --- roots --------------------------------------------------------------------------- */

hel_complex hel_root(unsigned order, uint64_t power)
{
	const double angle = 2 * M_PI * (double)(power % order) / (double)order;
	return (hel_complex){cos(angle), sin(angle)};
}

/* b->value = z^(2^i) + zeta^(2^i j) in the slots of entry j */
static hel_status emit_factor(hel_builder *b, uint32_t z, unsigned log_order, const uint8_t *number,
			      unsigned i)
{
	hel_status st = HEL_OK;
	uint32_t index;
	for (size_t p = 0; p < b->slots; p++)
		b->vector[p] = hel_root(1u << log_order, (uint64_t)number[p] << i);
	TRY(hel_program_add_vector(b->p, b->vector, hel_log2_ceil(b->slots), &index));
	TRY(hel_emit_op(b, (hel_op){.kind = HEL_OP_ADD_PLAIN, .value = z, .index = index}));
done:
	return st;
}

hel_status hel_emit_geometric(hel_builder *b, unsigned log_order, const uint8_t *number,
			      unsigned level)
{
	hel_status st = HEL_OK;
	uint32_t z = b->value, product = 0;
	for (unsigned i = 0; i < log_order; i++, level--) {
		uint32_t higher = z;
		if (i + 1 < log_order) {
			TRY(hel_emit_op(b, (hel_op){.kind = HEL_OP_SQUARE, .value = z}));
			TRY(hel_emit_unary(b, HEL_OP_RESCALE));
			higher = b->value;
		}
		TRY(emit_factor(b, z, log_order, number, i));
		if (i)
			TRY(hel_emit_op(
			    b, (hel_op){.kind = HEL_OP_MUL, .value = product, .index = b->value}));
		if (i)
			TRY(hel_emit_unary(b, HEL_OP_RESCALE));
		else
			TRY(hel_emit_affine(b, b->value, 1, 0, level));
		product = b->value;
		z = higher;
	}
done:
	return st;
}

hel_complex hel_geometric_factor(unsigned log_order, unsigned number)
{
	const hel_complex f = hel_root(1u << log_order, number);
	const double scale = exp2(-(double)log_order);
	return (hel_complex){scale * f.re, scale * f.im};
}

/* --- powers --------------------------------------------------------------------------- */

/* value at `level` as a value at `wanted` */
static hel_status lower(hel_builder *b, uint32_t *value, unsigned level, unsigned wanted)
{
	hel_status st = HEL_OK;
	if (level == wanted)
		return HEL_OK;
	TRY(hel_emit_affine(b, *value, 1, 0, wanted + 1));
	*value = b->value;
done:
	return st;
}

hel_status hel_emit_powers(hel_builder *b, uint32_t *power, size_t count, unsigned bottom)
{
	hel_status st = HEL_OK;
	const unsigned top = bottom + hel_log2_ceil(count);
	for (size_t m = 2; m <= count; m++) {
		const size_t low = m / 2, high = m - low;
		const unsigned low_level = top - hel_log2_ceil(low);
		const unsigned high_level = top - hel_log2_ceil(high);
		uint32_t x = power[low - 1], y = power[high - 1];
		TRY(lower(b, &x, low_level, high_level));
		TRY(hel_emit_op(b, low == high
				       ? (hel_op){.kind = HEL_OP_SQUARE, .value = y}
				       : (hel_op){.kind = HEL_OP_MUL, .value = y, .index = x}));
		TRY(hel_emit_unary(b, HEL_OP_RESCALE));
		power[m - 1] = b->value;
	}
	for (size_t m = 1; m <= count; m++)
		TRY(lower(b, &power[m - 1], top - hel_log2_ceil(m), bottom));
done:
	return st;
}

size_t hel_powers_of(unsigned order)
{
	return order / 2;
}

hel_complex hel_power_coefficient(unsigned order, size_t power, unsigned number)
{
	const hel_complex root = hel_root(order, power * number);
	const double scale = (power && 2 * power != order ? 2 : 1) / (double)order;
	return (hel_complex){scale * root.re, -scale * root.im};
}
