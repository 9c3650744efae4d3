#include "codings.h"
#include "features/coding.h"
#include "prog/codes.h"

unsigned hel_entry_number(const hel_table_field *t, uint32_t entry)
{
	uint32_t place = 0;
	while (entry >= hel_table_digit(t, place).first + hel_table_digit(t, place).width)
		place++;
	return entry - hel_table_digit(t, place).first;
}

static unsigned no_levels(uint32_t order)
{
	(void)order;
	return 0;
}

static size_t one_vector(uint32_t order)
{
	(void)order;
	return 1;
}

static double no_products(size_t vectors, unsigned levels)
{
	(void)vectors;
	(void)levels;
	return 0;
}

static double no_constant(uint32_t order)
{
	(void)order;
	return 0;
}

/* An entry's own row. */
static size_t own_row(hel_code_row *out, const hel_code_element *e)
{
	out[0] = (hel_code_row){.row = e->element, .factor = {1, 0}};
	return 1;
}

/* --- grid ---------------------------------------------------------------------------- */

/* Row (high, low) in the place of its high entry, seen with its low one. */
static size_t grid_rows(hel_code_row *out, const hel_code_element *e)
{
	size_t count = 0;
	for (size_t place = 0; place < HEL_MAX_CODE_ROWS && place < e->highs.width; place++) {
		const size_t row = (e->highs.first + place) * e->table->coding_size + e->element;
		if (row < hel_table_width(e->table))
			out[count++] = (hel_code_row){place, row, {1, 0}};
	}
	return count;
}

/* --- powers -------------------------------------------------------------------------- */

static unsigned powers_levels(uint32_t order)
{
	return hel_log2_ceil(hel_powers_of(order));
}

static size_t powers_width(const hel_table_field *t)
{
	return 2 * (size_t)t->digits;
}

static size_t powers_vectors(uint32_t order)
{
	return hel_powers_of(order);
}

static double powers_products(size_t vectors, unsigned levels)
{
	(void)levels;
	return (double)vectors - 1;
}

static hel_status powers_emit(hel_builder *b, uint32_t *value, size_t vectors, uint32_t order,
			      unsigned level, const uint8_t *number)
{
	(void)order;
	(void)number;
	value[0] = b->value;
	return hel_emit_powers(b, value, vectors, level);
}

/* Cosine or sine of a digit. */
static size_t powers_rows(hel_code_row *out, const hel_code_element *e)
{
	const hel_table_field *t = e->table;
	const hel_digit digit = hel_table_digit(t, e->element / 2);
	if (e->power > hel_powers_of(t->coding_size))
		return 0;
	for (uint32_t x = 0; x < digit.width; x++) {
		const hel_complex c = hel_power_coefficient(t->coding_size, e->power, x);
		out[x] = (hel_code_row){.row = digit.first + x,
					.factor = {e->element % 2 ? -c.im : c.re, 0}};
	}
	return digit.width;
}

static double powers_constant(uint32_t order)
{
	return hel_power_coefficient(order, 0, 0).re;
}

/* --- roots --------------------------------------------------------------------------- */

static unsigned roots_levels(uint32_t order)
{
	return hel_log2_ceil(order);
}

static double roots_products(size_t vectors, unsigned levels)
{
	(void)vectors;
	return 2.0 * levels - 2;
}

static hel_status roots_emit(hel_builder *b, uint32_t *value, size_t vectors, uint32_t order,
			     unsigned level, const uint8_t *number)
{
	(void)vectors;
	const hel_status st =
	    hel_emit_geometric(b, hel_log2_ceil(order), number, level + roots_levels(order));
	value[0] = b->value;
	return st;
}

static size_t roots_rows(hel_code_row *out, const hel_code_element *e)
{
	const hel_table_field *t = e->table;
	const unsigned number = hel_entry_number(t, e->element);
	out[0] =
	    (hel_code_row){.row = e->element,
			   .factor = hel_geometric_factor(hel_log2_ceil(t->coding_size), number)};
	return 1;
}

/* --- coded --------------------------------------------------------------------------- */

static unsigned coded_levels(uint32_t order)
{
	return hel_indicator_levels(order);
}

static double coded_products(size_t vectors, unsigned levels)
{
	(void)vectors;
	return 1.5 * levels;
}

static hel_status coded_emit(hel_builder *b, uint32_t *value, size_t vectors, uint32_t order,
			     unsigned level, const uint8_t *number)
{
	(void)vectors;
	(void)number;
	const hel_status st = hel_emit_indicator(b, order, level + coded_levels(order));
	value[0] = b->value;
	return st;
}

/* ------------------------------------------------------------------------------------- */

static const hel_code codes[HEL_CODINGS] = {
    [HEL_CODING_ONE_HOT] = {.one_hot = true,
			    .parts = 1,
			    .levels = no_levels,
			    .width = hel_table_width,
			    .vectors = one_vector,
			    .products = no_products,
			    .rows = own_row,
			    .constant = no_constant},
    [HEL_CODING_GRID] = {.one_hot = true,
			 .parts = 1,
			 .selects = true,
			 .levels = no_levels,
			 .width = hel_table_width,
			 .vectors = one_vector,
			 .products = no_products,
			 .rows = grid_rows,
			 .constant = no_constant},
    [HEL_CODING_POWERS] = {.pairs = true,
			   .parts = 1,
			   .max_order = HEL_CODE_ORDER_MAX,
			   .levels = powers_levels,
			   .width = powers_width,
			   .vectors = powers_vectors,
			   .products = powers_products,
			   .emit = powers_emit,
			   .rows = powers_rows,
			   .constant = powers_constant},
    [HEL_CODING_ROOTS] = {.parts = 2,
			  .equal_order = true,
			  .power_of_two = true,
			  .max_order = HEL_CODE_ORDER_MAX,
			  .levels = roots_levels,
			  .width = hel_table_width,
			  .vectors = one_vector,
			  .products = roots_products,
			  .emit = roots_emit,
			  .rows = roots_rows,
			  .constant = no_constant},
    [HEL_CODING_CODED] = {.parts = 1,
			  .equal_order = true,
			  .max_order = HEL_CODE_ORDER_MAX,
			  .levels = coded_levels,
			  .width = hel_table_width,
			  .vectors = one_vector,
			  .products = coded_products,
			  .emit = coded_emit,
			  .rows = own_row,
			  .constant = no_constant},
};

const hel_code *hel_code_of(hel_coding coding)
{
	return &codes[coding];
}
