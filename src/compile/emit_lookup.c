/* Lookups: the client's codes, what the server makes of them, the product with all tables, and the
 * selection among its sums. */
#include "emit_lookup.h"
#include "codings.h"
#include "features/coding.h"

/* Features before those of a table; one beyond the last: the constant's. */
static uint32_t table_first(const emitter *e, const hel_blocks *b, size_t table)
{
	size_t first = hel_features_dense(&b->schema, e->s->degree);
	for (size_t t = 0; t < table; t++)
		first += hel_table_features(&b->schema.table[t]);
	return (uint32_t)first;
}

/* An input of a piece for each block. */
static hel_status begin_pieces(hel_input *in, const hel_blocks *b, unsigned level,
			       const hel_layout *layout)
{
	hel_status st = HEL_OK;
	*in = (hel_input){.level = (uint8_t)level, .layout = *layout};
	TRY_ALLOC(in->piece, hel_alloc(b->used, sizeof *in->piece));
	in->pieces = (uint32_t)b->used;
	in->log_piece = (uint8_t)hel_log2_ceil(layout->width / b->used);
done:
	return st;
}

/* The ciphertext of a source's codes. */
static hel_status add_code_input(emitter *e, const hel_blocks *b, size_t source, unsigned level)
{
	hel_status st = HEL_OK;
	hel_input in = {0};
	const hel_layout layout = hel_blocks_layout(b, source, true);
	const uint32_t parts = hel_code_of(hel_blocks_source(b, source).codes->coding)->parts;
	TRY(begin_pieces(&in, b, level, &layout));
	for (size_t i = 0; i < b->used; i++) {
		const hel_piece rows = hel_blocks_rows(b, source, i);
		if (rows.width)
			in.piece[i] =
			    (hel_piece){table_first(e, b, b->table[i]) + parts * rows.first,
					parts * rows.width};
	}
	TRY(hel_emit_input(&e->b, in));
done:
	return st;
}

/* The high one-hots of one selection; 1 for tables that have none. */
static hel_status add_selector(emitter *e, const hel_blocks *b, size_t selection, unsigned level)
{
	hel_status st = HEL_OK;
	hel_input in = {0};
	const hel_layout layout = hel_blocks_selector(b);
	const uint32_t constant = table_first(e, b, b->schema.table_count);
	TRY(begin_pieces(&in, b, level, &layout));
	for (size_t i = 0; i < b->used; i++) {
		const hel_table_field *t = &b->schema.table[b->table[i]];
		if (hel_code_of(t->coding)->selects) {
			in.piece[i] = hel_blocks_highs(b, selection, i);
			in.piece[i].first +=
			    in.piece[i].width ? table_first(e, b, b->table[i]) + t->coding_size : 0;
		} else if (!selection)
			in.piece[i] = (hel_piece){constant, 1};
	}
	TRY(hel_emit_input(&e->b, in));
done:
	return st;
}

/* value[source] for all sources, at `level`: inputs, and what the server makes of their codes. */
static hel_status add_codes(emitter *e, const hel_blocks *b, uint32_t *value, unsigned level)
{
	hel_status st = HEL_OK;
	uint8_t *number = NULL;
	TRY_ALLOC(number, hel_alloc(e->b.slots, 1));
	for (size_t i = 0; i < b->sources; i += hel_blocks_source(b, i).codes->powers) {
		const hel_block_codes *k = hel_blocks_source(b, i).codes;
		const uint32_t order = hel_blocks_order(b, k->coding);
		const hel_code *code = hel_code_of(k->coding);
		TRY(add_code_input(e, b, i, level + code->levels(order)));
		value[i] = e->b.value;
		if (!code->emit)
			continue;
		hel_blocks_numbers(number, b, i);
		TRY(code->emit(&e->b, value + i, k->powers, order, level, number));
	}
done:
	hel_free(number);
	return st;
}

/* All sources times the tables' weights of one selection. */
static hel_status add_lookup_sum(emitter *e, size_t stage, hel_transform *packed, size_t most,
				 const uint32_t *value, size_t selection)
{
	hel_status st = HEL_OK;
	const hel_packing *k = &e->plan->packing[stage];
	hel_op op = {.kind = HEL_OP_LINEAR};
	TRY_ALLOC(op.term, hel_alloc(most, sizeof *op.term));
	for (size_t i = 0; i < k->sources; i++) {
		TRY(hel_transform_lookup(packed, k, i, selection));
		TRY(hel_emitter_terms(e, &op, packed, k, i, value[i], i + 1 == k->sources));
	}
	st = hel_emit_op(&e->b, op); /* takes the terms over, or frees them */
	op.term = NULL;
done:
	hel_free(op.term);
	return st;
}

hel_status hel_emit_embeddings(emitter *e, size_t stage, unsigned level)
{
	hel_status st = HEL_OK;
	const hel_blocks *b = e->plan->packing[stage].blocks;
	const size_t selections = b->shape.selections;
	hel_transform *packed = NULL;
	uint32_t *value = NULL;
	uint32_t *selected = NULL;
	size_t most;
	TRY(hel_emitter_transform(&packed, e, stage, &most));
	TRY_ALLOC(value, hel_alloc(b->sources, sizeof *value));
	TRY_ALLOC(selected, hel_alloc(selections + 1, sizeof *selected));
	TRY(add_codes(e, b, value, level));
	if (!selections)
		TRY(add_lookup_sum(e, stage, packed, most, value, 0));
	for (size_t i = 0; i < selections; i++) {
		TRY(add_lookup_sum(e, stage, packed, most, value, i));
		TRY(hel_emit_unary(&e->b, HEL_OP_RESCALE));
		const uint32_t looked_up = e->b.value;
		TRY(add_selector(e, b, i, level - 1));
		TRY(hel_emit_op(
		    &e->b, (hel_op){.kind = HEL_OP_MUL, .value = looked_up, .index = e->b.value}));
		selected[i] = e->b.value;
	}
	if (selections > 1)
		TRY(hel_emit_sum(&e->b, selected, selections, level - 1));
done:
	hel_free(selected);
	hel_free(value);
	hel_transform_free(packed);
	return st;
}

int hel_describe_blocks(char *out, size_t size, const hel_blocks *b)
{
	int n = snprintf(out, size, "; %zu blocks of %u", b->used, 1u << b->codes[0].log_piece);
	if (b->shape.selections)
		n += snprintf(out + n, size - (size_t)n, ", %u places, %zu selection%s",
			      1u << b->shape.log_places, b->shape.selections,
			      b->shape.selections > 1 ? "s" : "");
	for (hel_coding c = 0; c < HEL_CODINGS; c++) {
		size_t tables = 0;
		for (size_t i = 0; i < b->schema.table_count; i++)
			tables += b->schema.table[i].coding == c;
		if (tables && c != HEL_CODING_ONE_HOT)
			n += snprintf(out + n, size - (size_t)n, ", %zu by %s", tables,
				      hel_coding_name(c));
	}
	return n;
}
