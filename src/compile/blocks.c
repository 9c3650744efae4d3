/* Embedding tables as blocks of slots: docs/packing.md. */
#include "blocks.h"
#include "codings.h"
#include "features/coding.h"
#include <string.h>

#define MAX_BLOCK_SOURCES 512 /* each takes memory for every slot while it is planned */

static size_t ceil_div(size_t a, size_t b)
{
	return (a + b - 1) / b;
}

/* --- the choice of codings and blocks ------------------------------------------- */

/* Blocks for one table, of which `lows` entries stand in one block in all inputs. */
static size_t parts_of(const hel_blocks *b, const hel_table_field *t, size_t lows)
{
	const hel_code *code = hel_code_of(t->coding);
	if (!code->one_hot)
		return 1;
	if (code->selects)
		lows *= b->shape.selections << b->shape.log_places;
	return ceil_div(hel_table_width(t), lows);
}

/* Sets the codings for `lows` entries; returns how many blocks all tables take. */
static size_t choose_codings(hel_blocks *b, const hel_stages *s, size_t lows)
{
	size_t blocks = 0;
	for (size_t i = 0; i < b->schema.table_count; i++) {
		hel_table_field *t = &b->schema.table[i];
		const hel_coding wanted = s->coding[i];
		const bool must = s->way.coding && s->way.coding[i] == wanted;
		t->coding = wanted;
		t->coding_size = s->order[i];
		if (hel_code_of(wanted)->selects) {
			const size_t selected = parts_of(b, t, lows);
			t->coding_size = (uint32_t)HEL_MIN(lows, hel_table_width(t));
			t->coding = HEL_CODING_ONE_HOT;
			if (b->shape.selections && (must || selected < parts_of(b, t, lows)))
				t->coding = wanted;
		}
		blocks += parts_of(b, t, lows);
	}
	return blocks;
}

/* The ciphertexts of codes that are not one-hot: every table in one block. */
static void add_codes(hel_blocks *b, hel_coding coding)
{
	const hel_code *code = hel_code_of(coding);
	hel_block_codes k = {.coding = coding, .complex = code->pairs, .powers = 1};
	k.log_piece = b->log_slots - b->shape.log_blocks + k.complex;
	for (size_t i = 0; i < b->schema.table_count; i++) {
		const hel_table_field *t = &b->schema.table[i];
		if (t->coding != coding)
			continue;
		k.ciphertexts =
		    HEL_MAX(k.ciphertexts, ceil_div(code->width(t), (size_t)1 << k.log_piece));
		k.powers = HEL_MAX(k.powers, code->vectors(t->coding_size));
	}
	if (k.ciphertexts)
		b->codes[b->kinds++] = k;
}

/* Whether all tables fit; fills in codings and codes. */
static bool fit(hel_blocks *b, const hel_stages *s)
{
	const size_t tables = b->schema.table_count, blocks = (size_t)1 << b->shape.log_blocks;
	hel_block_codes one = {
	    .coding = HEL_CODING_ONE_HOT, .complex = b->shape.complex, .powers = 1};
	bool any = false, selects = false;
	if (b->log_outputs + b->shape.log_blocks > b->log_slots || tables > blocks)
		return false;
	for (size_t i = 0; i < tables; i++)
		any |= hel_code_of(s->coding[i])->one_hot;
	one.log_piece = b->log_slots - b->shape.log_blocks + one.complex;
	one.ciphertexts = any;
	while (choose_codings(b, s, one.ciphertexts << one.log_piece) > blocks)
		if (++one.ciphertexts > MAX_BLOCK_SOURCES)
			return false;
	if (any)
		b->codes[b->kinds++] = one;
	for (hel_coding c = 0; c < HEL_CODINGS; c++)
		if (!hel_code_of(c)->one_hot)
			add_codes(b, c);
	for (size_t i = 0; i < tables; i++)
		selects |= hel_code_of(b->schema.table[i].coding)->selects;
	return selects == (b->shape.selections > 0) && (any || !b->shape.complex);
}

static size_t one_hot_entries(const hel_blocks *b)
{
	const hel_block_codes *k = &b->codes[0];
	return k->coding == HEL_CODING_ONE_HOT ? k->ciphertexts << k->log_piece : 0;
}

/* Part after part of all tables, the largest first: what brings a table's parts together then is
 * the same rotation for all. */
static void assign_in_turn(hel_blocks *b, const uint32_t *falling, size_t lows)
{
	const size_t tables = b->schema.table_count;
	bool more = true;
	for (uint32_t part = 0; more; part++) {
		more = false;
		for (size_t i = 0; i < tables; i++) {
			const size_t parts = parts_of(b, &b->schema.table[falling[i]], lows);
			if (part >= parts)
				continue;
			b->table[b->used] = falling[i];
			b->part[b->used++] = part;
			more = true;
		}
	}
}

static hel_status assign_blocks(hel_blocks *b, const uint32_t *falling)
{
	hel_status st = HEL_OK;
	const size_t lows = one_hot_entries(b), blocks = (size_t)1 << b->shape.log_blocks;
	TRY_ALLOC(b->table, hel_alloc(blocks, sizeof *b->table));
	TRY_ALLOC(b->part, hel_alloc(blocks, sizeof *b->part));
	if (falling)
		assign_in_turn(b, falling, lows);
	for (uint32_t t = 0; !falling && t < b->schema.table_count; t++) {
		const size_t parts = parts_of(b, &b->schema.table[t], lows);
		for (uint32_t i = 0; i < parts; i++) {
			b->table[b->used] = t;
			b->part[b->used++] = i;
		}
	}
done:
	return st;
}

hel_status hel_blocks_new(hel_blocks **out, const hel_stages *s, unsigned log_slots,
			  hel_blocks_shape shape)
{
	hel_status st = HEL_OK;
	hel_blocks *b = NULL;
	const hel_schema *schema = s->model->schema;
	*out = NULL;
	TRY_ALLOC(b, hel_alloc(1, sizeof *b));
	b->schema = *schema;
	b->schema.table = NULL;
	b->dim = s->dim;
	b->rows = s->table;
	b->log_slots = log_slots;
	b->log_dim = hel_log2_ceil(b->dim);
	b->log_outputs = b->log_dim + shape.log_places;
	b->shape = shape;
	TRY_ALLOC(b->schema.table, hel_alloc(schema->table_count, sizeof *b->schema.table));
	memcpy(b->schema.table, schema->table, schema->table_count * sizeof *schema->table);
	if (!fit(b, s))
		goto done;
	for (size_t i = 0; i < b->kinds; i++) {
		b->inputs += b->codes[i].ciphertexts;
		b->sources += b->codes[i].ciphertexts * b->codes[i].powers;
	}
	b->inputs += shape.selections;
	if (b->sources > MAX_BLOCK_SOURCES)
		goto done;
	TRY(assign_blocks(b, s->falling));
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
	hel_free(b->schema.table);
	hel_free(b->table);
	hel_free(b->part);
	hel_free(b);
}

/* --- where everything stands ------------------------------------------------------ */

hel_block_source hel_blocks_source(const hel_blocks *b, size_t source)
{
	const hel_block_codes *k = b->codes;
	for (; source >= k->ciphertexts * k->powers; k++)
		source -= k->ciphertexts * k->powers;
	return (hel_block_source){k, source / k->powers, source % k->powers + 1};
}

static hel_piece piece_of(size_t first, size_t room, size_t end)
{
	return first >= end ? (hel_piece){0, 0}
			    : (hel_piece){(uint32_t)first, (uint32_t)HEL_MIN(room, end - first)};
}

hel_piece hel_blocks_rows(const hel_blocks *b, size_t source, size_t block)
{
	const hel_block_source from = hel_blocks_source(b, source);
	if (block >= b->used)
		return (hel_piece){0, 0};
	const hel_table_field *t = &b->schema.table[b->table[block]];
	size_t first = from.ciphertext << from.codes->log_piece;
	const hel_code *code = hel_code_of(t->coding);
	if (from.codes->coding != (code->one_hot ? HEL_CODING_ONE_HOT : t->coding))
		return (hel_piece){0, 0};
	if (code->one_hot && !code->selects)
		first += b->part[block] * one_hot_entries(b);
	return piece_of(first, (size_t)1 << from.codes->log_piece,
			code->selects ? t->coding_size : code->width(t));
}

hel_piece hel_blocks_highs(const hel_blocks *b, size_t selection, size_t block)
{
	const hel_table_field *t = &b->schema.table[b->table[block]];
	const size_t places = (size_t)1 << b->shape.log_places;
	return piece_of((b->part[block] * b->shape.selections + selection) * places, places,
			hel_table_features(t) - t->coding_size);
}

int32_t hel_blocks_column(const hel_blocks *b, size_t element)
{
	const size_t block = element & (((size_t)1 << b->shape.log_blocks) - 1);
	const size_t output = element >> b->shape.log_blocks;
	const size_t d = output & (((size_t)1 << b->log_dim) - 1);
	if (block >= b->used || d >= b->dim ||
	    (output >> b->log_dim &&
	     !hel_code_of(b->schema.table[b->table[block]].coding)->selects))
		return -1;
	return (int32_t)(b->table[block] * b->dim + d);
}

static void add_bits(hel_layout *l, unsigned from, unsigned to)
{
	for (unsigned bit = from; bit < to; bit++)
		l->position[l->bits++] = (uint8_t)bit;
}

hel_layout hel_blocks_layout(const hel_blocks *b, size_t source, bool fresh)
{
	const hel_block_codes *k = hel_blocks_source(b, source).codes;
	const hel_code *code = hel_code_of(k->coding);
	const bool pairs = code->pairs || (fresh && code->parts == 2);
	hel_layout l = {.log_slots = (uint8_t)b->log_slots};
	if (pairs) /* the parts of a root next to each other */
		l.position[l.bits++] = (uint8_t)b->log_slots;
	add_bits(&l, b->shape.log_blocks, b->log_slots);
	if (code->one_hot && k->complex)
		l.position[l.bits++] = (uint8_t)b->log_slots;
	l.width = (uint32_t)b->used << l.bits;
	add_bits(&l, 0, b->shape.log_blocks);
	return l;
}

hel_layout hel_blocks_selector(const hel_blocks *b)
{
	const unsigned first = b->shape.log_blocks + b->log_dim;
	hel_layout l = {.log_slots = (uint8_t)b->log_slots};
	add_bits(&l, first, first + b->shape.log_places);
	l.width = (uint32_t)b->used << l.bits;
	add_bits(&l, 0, b->shape.log_blocks);
	return l;
}

bool hel_blocks_is_complex(const hel_blocks *b)
{
	bool complex = false;
	for (size_t i = 0; i < b->kinds; i++)
		complex |= b->codes[i].complex;
	return complex;
}

void hel_blocks_numbers(uint8_t *number, const hel_blocks *b, size_t source)
{
	const hel_layout l = hel_blocks_layout(b, source, false);
	const unsigned log_piece = hel_blocks_source(b, source).codes->log_piece;
	for (size_t p = 0; p < (size_t)1 << b->log_slots; p++) {
		const int32_t at = hel_layout_at(&l, p);
		const size_t block = at < 0 ? b->used : (size_t)at >> log_piece;
		const hel_piece rows = hel_blocks_rows(b, source, block);
		const uint32_t i = (uint32_t)at & ((1u << log_piece) - 1);
		number[p] = 0;
		if (i < rows.width)
			number[p] = (uint8_t)hel_entry_number(&b->schema.table[b->table[block]],
							      rows.first + i);
	}
}

uint32_t hel_blocks_order(const hel_blocks *b, hel_coding coding)
{
	uint32_t order = 0;
	for (size_t i = 0; i < b->schema.table_count; i++)
		if (b->schema.table[i].coding == coding)
			order = HEL_MAX(order, b->schema.table[i].coding_size);
	return order;
}

/* --- what it multiplies with -------------------------------------------------------- */

void hel_blocks_weights(hel_complex *out, const hel_blocks *b, size_t source, size_t selection,
			size_t block, uint32_t element)
{
	const hel_table_field *t = &b->schema.table[b->table[block]];
	const float *table = b->rows[b->table[block]];
	const hel_code *code = hel_code_of(t->coding);
	hel_code_element e = {.table = t, .element = element};
	hel_code_row row[HEL_MAX_CODE_ROWS];
	memset(out, 0, (sizeof *out) << b->log_outputs);
	if (selection && !code->selects)
		return;
	e.power = hel_blocks_source(b, source).power;
	e.highs = code->selects ? hel_blocks_highs(b, selection, block) : e.highs;
	const size_t count = code->rows(row, &e);
	for (size_t i = 0; i < count; i++) {
		const float *from = table + row[i].row * b->dim;
		hel_complex *to = out + (row[i].place << b->log_dim);
		for (size_t d = 0; d < b->dim; d++) {
			to[d].re += row[i].factor.re * (double)from[d];
			to[d].im += row[i].factor.im * (double)from[d];
		}
	}
}
