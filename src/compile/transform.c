/* From slot layouts to the transform that circuit derives weights from. */
#include "transform.h"
#include <string.h>

/* Where the elements of a fresh source stand; of blocks, those that a column says are there. */
static void map_fresh(int32_t *map, const hel_packing_source *from, const int32_t *column,
		      bool imaginary, size_t slots)
{
	hel_layout_map(map, &from->layout, imaginary);
	for (size_t q = 0; column && q < slots; q++)
		if (map[q] >= 0 && column[map[q]] < 0)
			map[q] = HEL_SLOT_ZERO;
}

/* A value's copies along folds over bits that are not its own would be added up: one remains.
 * Imaginary parts are right where real ones are. */
static void map_computed(int32_t *map, const hel_packing *parent, uint32_t folds, bool imaginary,
			 size_t slots)
{
	const uint32_t others =
	    (folds & (uint32_t)(slots - 1) & ~hel_layout_mask(&parent->out)) | parent->again;
	if (imaginary)
		hel_layout_map(map, &parent->out, true);
	for (size_t q = 0; q < slots; q++)
		if (q & others || parent->result[q] == HEL_SLOT_ANY)
			map[q] = HEL_SLOT_ANY;
		else if (!imaginary)
			map[q] = parent->result[q];
}

/* Whether a source has elements in imaginary parts. */
static bool has_imaginary(const hel_packing_source *from, const hel_packing *parent)
{
	return hel_layout_is_complex(from->fresh ? &from->layout : &parent->out);
}

/* Which elements of a source matter: rows of blocks that are there ... */
static void fill_rows(int32_t *column, size_t width, const hel_packing_source *from,
		      const hel_blocks *b)
{
	const unsigned piece = hel_blocks_source(b, from->offset).codes->log_piece;
	for (size_t first = 0; first < width; first += (size_t)1 << piece) {
		const size_t rows = hel_blocks_rows(b, from->offset, first >> piece).width;
		for (size_t e = first; e < HEL_MIN(width, first + ((size_t)1 << piece)); e++)
			column[e] = e - first < rows ? (int32_t)e : -1;
	}
}

/* ... outputs of blocks that are used. */
static void fill_outputs(int32_t *column, size_t width, const hel_blocks *b)
{
	for (size_t e = 0; e < width; e++)
		column[e] = hel_blocks_column(b, e);
}

/* Elements whose columns are told: of blocks, up to two in each slot. */
static size_t column_room(const hel_packing *k, const hel_packing *parent, size_t slots)
{
	return k->blocks || (parent && parent->blocks) ? 2 * slots : 0;
}

/* Whether a source's elements stand where those of the one before do. */
static bool same_slots(const hel_packing *k, size_t i)
{
	const hel_packing_source *from = &k->source[i];
	if (!i || k->blocks || !from->fresh || !from[-1].fresh)
		return false;
	return from->layout.width == from[-1].layout.width &&
	       hel_layout_mask(&from->layout) == hel_layout_mask(&from[-1].layout);
}

static void fill_source(hel_transform *p, const hel_stage *s, const hel_packing *k,
			const hel_packing *parent, size_t i, int32_t *map, int32_t *columns)
{
	const hel_packing_source *from = &k->source[i];
	const hel_stage_source *whole = &s->source[from->source];
	const size_t slots = p->t.slots;
	hel_linear_source *to = &p->source[i];
	*to = (hel_linear_source){.map = map, .diagonals = from->diagonals};
	if (k->blocks) {
		to->blocks = true;
		to->log_blocks = (uint8_t)k->blocks->shape.log_blocks;
		to->log_piece =
		    (uint8_t)hel_blocks_source(k->blocks, from->offset).codes->log_piece;
		fill_rows(columns, from->layout.width, from, k->blocks);
	} else
		to->stride = whole->width;
	if (column_room(k, parent, slots))
		to->column = columns;
	if (same_slots(k, i)) {
		to->map = to[-1].map;
		to->imaginary = to[-1].imaginary;
		to->width = to[-1].width;
	} else if (from->fresh) {
		map_fresh(map, from, to->column, false, slots);
		if (hel_layout_is_complex(&from->layout)) {
			map_fresh(map + slots, from, to->column, true, slots);
			to->imaginary = map + slots;
		}
		to->width = from->layout.width;
	} else {
		map_computed(map, parent, k->folds, false, slots);
		if (has_imaginary(from, parent)) {
			map_computed(map + slots, parent, k->folds, true, slots);
			to->imaginary = map + slots;
		}
		to->width = parent->rows;
		if (parent->blocks)
			fill_outputs(columns, to->width, parent->blocks);
	}
}

hel_status hel_transform_new(hel_transform **out, const hel_stage *s, const hel_packing *k,
			     const hel_packing *const parent[HEL_MAX_SOURCES], unsigned log_slots)
{
	hel_status st = HEL_OK;
	const size_t slots = (size_t)1 << log_slots;
	hel_transform *p = NULL;
	TRY_ALLOC(p, hel_alloc(1, sizeof *p));
	TRY_ALLOC(p->source, hel_alloc(k->sources, sizeof *p->source));
	size_t maps = 1, columns = 0;
	for (size_t i = 0; i < k->sources; i++) {
		const hel_packing_source *from = &k->source[i];
		const hel_packing *before = from->fresh ? NULL : parent[from->source];
		maps += 1u + has_imaginary(from, before);
		columns += column_room(k, before, slots);
	}
	TRY_ALLOC(p->maps, hel_alloc_raw(maps * slots, sizeof *p->maps));
	TRY_ALLOC(p->columns, hel_alloc_raw(columns, sizeof *p->columns));
	int32_t *target = p->maps, *map = target + slots, *column = p->columns;
	hel_layout_map(target, &k->out, false);
	p->t = (hel_linear){.slots = slots,
			    .rows = k->rows,
			    .sources = k->sources,
			    .source = p->source,
			    .folds = k->folds,
			    .target = target};
	for (size_t i = 0; i < k->sources; i++) {
		const hel_packing_source *from = &k->source[i];
		const hel_packing *before = from->fresh ? NULL : parent[from->source];
		fill_source(p, s, k, before, i, map, column);
		map += slots << has_imaginary(from, before);
		column += column_room(k, before, slots);
	}
	hel_transform_factor(p, s, k, 0);
	*out = p;
	p = NULL;
done:
	hel_transform_free(p);
	return st;
}

void hel_transform_factor(hel_transform *p, const hel_stage *s, const hel_packing *k, size_t factor)
{
	for (size_t i = 0; !k->blocks && i < k->sources; i++) {
		const hel_packing_source *from = &k->source[i];
		const hel_complex *matrix = s->source[from->source].matrix[factor];
		p->source[i].matrix = matrix ? matrix + (from->fresh ? from->offset : 0) : NULL;
	}
}

hel_status hel_transform_lookup(hel_transform *p, const hel_packing *k, size_t source,
				size_t selection)
{
	hel_status st = HEL_OK;
	const hel_blocks *b = k->blocks;
	const size_t number = k->source[source].offset;
	const unsigned piece = hel_blocks_source(b, number).codes->log_piece;
	if (!p->matrix) /* the widest: a slot holds at most two elements */
		TRY_ALLOC(p->matrix, hel_alloc_raw((size_t)2 << (b->log_slots + b->log_outputs),
						   sizeof *p->matrix));
	for (size_t block = 0; block < b->used; block++) {
		const hel_piece rows = hel_blocks_rows(b, number, block);
		hel_complex *to = p->matrix + (block << (piece + b->log_outputs));
		for (uint32_t i = 0; i < rows.width; i++)
			hel_blocks_weights(to + ((size_t)i << b->log_outputs), b, number, selection,
					   block, rows.first + i);
	}
	p->source[source].matrix = p->matrix;
done:
	return st;
}

void hel_transform_free(hel_transform *p)
{
	if (!p)
		return;
	hel_free(p->source);
	hel_free(p->maps);
	hel_free(p->columns);
	hel_free(p->matrix);
	hel_free(p);
}
