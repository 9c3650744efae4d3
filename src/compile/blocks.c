/* Embedding tables as blocks of slots: DESIGN 5.3. */
#include "compile.h"

#define MAX_BLOCK_INPUTS 512

static size_t ceil_div(size_t a, size_t b)
{
	return (a + b - 1) / b;
}

static size_t blocks_needed(const hel_schema *s, size_t capacity)
{
	size_t blocks = 0;
	for (size_t i = 0; i < s->table_count; i++)
		blocks += ceil_div(hel_table_width(&s->table[i]), capacity);
	return blocks;
}

hel_status hel_blocks_new(hel_blocks **out, const hel_schema *s, size_t dim, unsigned log_slots,
			  unsigned log_blocks, bool complex)
{
	hel_status st = HEL_OK;
	hel_blocks *b = NULL;
	const unsigned log_dim = hel_log2_ceil(dim);
	*out = NULL;
	if (log_dim + log_blocks > log_slots || s->table_count > (size_t)1 << log_blocks)
		return HEL_OK;
	const unsigned log_piece = log_slots - log_blocks + complex;
	size_t inputs = 1;
	while (inputs <= MAX_BLOCK_INPUTS &&
	       blocks_needed(s, inputs << log_piece) > (size_t)1 << log_blocks)
		inputs++;
	if (inputs > MAX_BLOCK_INPUTS)
		return HEL_OK;
	TRY_ALLOC(b, hel_alloc(1, sizeof *b));
	b->schema = s;
	b->dim = dim;
	b->log_slots = log_slots;
	b->log_dim = log_dim;
	b->log_blocks = log_blocks;
	b->log_piece = log_piece;
	b->complex = complex;
	b->inputs = inputs;
	TRY_ALLOC(b->table, hel_alloc((size_t)1 << log_blocks, sizeof *b->table));
	TRY_ALLOC(b->part, hel_alloc((size_t)1 << log_blocks, sizeof *b->part));
	for (uint32_t t = 0; t < s->table_count; t++) {
		const size_t parts = ceil_div(hel_table_width(&s->table[t]), inputs << log_piece);
		for (uint32_t i = 0; i < parts; i++) {
			b->table[b->used] = t;
			b->part[b->used++] = i;
		}
	}
	*out = b;
	b = NULL;
done:
	hel_blocks_free(b);
	return st;
}

void hel_blocks_free(hel_blocks *b)
{
	if (!b)
		return;
	hel_free(b->table);
	hel_free(b->part);
	hel_free(b);
}

hel_piece hel_blocks_rows(const hel_blocks *b, size_t input, size_t block)
{
	if (block >= b->used)
		return (hel_piece){0, 0};
	const size_t width = hel_table_width(&b->schema->table[b->table[block]]);
	const size_t first = (b->part[block] * b->inputs + input) << b->log_piece;
	const size_t piece = (size_t)1 << b->log_piece;
	return first >= width
		   ? (hel_piece){0, 0}
		   : (hel_piece){(uint32_t)first, (uint32_t)HEL_MIN(piece, width - first)};
}

int32_t hel_blocks_column(const hel_blocks *b, size_t element)
{
	const size_t block = element & (((size_t)1 << b->log_blocks) - 1);
	const size_t d = element >> b->log_blocks;
	return block < b->used && d < b->dim ? (int32_t)(b->table[block] * b->dim + d) : -1;
}

hel_layout hel_blocks_layout(const hel_blocks *b)
{
	hel_layout l = {.log_slots = (uint8_t)b->log_slots,
			.width = (uint32_t)b->used << b->log_piece};
	for (unsigned bit = b->log_blocks; bit < b->log_slots + b->complex; bit++)
		l.position[l.bits++] = (uint8_t)bit;
	for (unsigned bit = 0; bit < b->log_blocks; bit++)
		l.position[l.bits++] = (uint8_t)bit;
	return l;
}
