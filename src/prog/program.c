#include "prog.h"
#include <math.h>
#include <string.h>

#define LAYER_TEXT_MAX 1024

const char *hel_op_name(hel_op_kind kind)
{
	static const char *const names[] = {
#define X(k, name) [k] = name,
	    HEL_OP_LIST(X)
#undef X
	};
	return (size_t)kind < HEL_ARRAY_LEN(names) ? names[kind] : "?";
}

void hel_op_clear(hel_op *op)
{
	hel_free(op->term);
	hel_free(op->factor);
	hel_free(op->step);
	memset(op, 0, sizeof *op);
}

void hel_program_free(hel_program *p)
{
	if (!p)
		return;
	hel_manifest_free(p->manifest);
	for (uint32_t i = 0; i < p->layers; i++)
		hel_free(p->layer[i]);
	for (uint32_t i = 0; i < p->ops; i++)
		hel_op_clear(&p->op[i]);
	for (uint32_t i = 0; i < p->vectors; i++)
		hel_free(p->vector[i].value);
	hel_free(p->layer);
	hel_free(p->plan);
	hel_free(p->op);
	hel_free(p->vector);
	hel_free(p->items.turn);
	hel_free(p->items.model);
	hel_free(p);
}

void hel_program_drop_vectors(hel_program *p)
{
	for (uint32_t i = 0; i < p->vectors; i++)
		hel_free(p->vector[i].value);
	hel_free(p->vector);
	p->vector = NULL;
	p->vectors = 0;
}

/* Room for one more element; capacities are powers of two. */
static hel_status reserve(void *array, uint32_t count, size_t size)
{
	void **at = array;
	if (count & (count - 1))
		return HEL_OK;
	void *bigger = hel_alloc(count ? 2 * (size_t)count : 1, size);
	if (!bigger)
		return hel_fail(HEL_ENOMEM, "out of memory for the program");
	if (count)
		memcpy(bigger, *at, count * size);
	hel_free(*at);
	*at = bigger;
	return HEL_OK;
}

hel_status hel_program_add_op(hel_program *p, const hel_op *op)
{
	hel_status st = reserve(&p->op, p->ops, sizeof *p->op);
	if (st == HEL_OK)
		p->op[p->ops++] = *op;
	return st;
}

hel_status hel_program_add_layer(hel_program *p, const char *text)
{
	hel_status st = HEL_OK;
	TRY(reserve(&p->layer, p->layers, sizeof *p->layer));
	TRY_ALLOC(p->layer[p->layers], hel_strdup(text));
	p->layers++;
done:
	return st;
}

static uint32_t mark_of(const hel_vector *v)
{
	uint64_t mark = 0;
	for (size_t i = 0; i < ((size_t)1 << v->log_period) * (v->is_complex ? 2 : 1); i++) {
		uint32_t bits;
		memcpy(&bits, &v->value[i], sizeof bits);
		mark = hel_mix(mark ^ bits);
	}
	return (uint32_t)mark;
}

static bool same_vector(const hel_vector *a, const hel_vector *b)
{
	return a->mark == b->mark && a->log_period == b->log_period &&
	       a->is_complex == b->is_complex &&
	       memcmp(a->value, b->value,
		      (sizeof(float) << a->log_period) * (a->is_complex ? 2 : 1)) == 0;
}

hel_status hel_program_add_vector(hel_program *p, const hel_complex *slots, unsigned log_slots,
				  uint32_t *index)
{
	hel_status st = HEL_OK;
	hel_vector v = {.log_period = (uint8_t)log_slots};
	const size_t n = (size_t)1 << log_slots;
	for (; v.log_period > 0; v.log_period--) {
		const size_t half = (size_t)1 << (v.log_period - 1);
		if (memcmp(slots, slots + half, half * sizeof *slots) != 0)
			break;
	}
	for (size_t i = 0; i < n; i++)
		v.is_complex |= slots[i].im != 0;
	const size_t period = (size_t)1 << v.log_period;
	TRY_ALLOC(v.value, hel_alloc(period * (v.is_complex ? 2 : 1), sizeof *v.value));
	for (size_t i = 0; i < period; i++)
		if (v.is_complex) {
			v.value[2 * i] = (float)slots[i].re;
			v.value[2 * i + 1] = (float)slots[i].im;
		} else
			v.value[i] = (float)slots[i].re;
	v.mark = mark_of(&v);
	for (*index = 0; *index < p->vectors; ++*index)
		if (same_vector(&p->vector[*index], &v))
			goto done;
	TRY(reserve(&p->vector, p->vectors, sizeof *p->vector));
	p->vector[p->vectors++] = v;
	v.value = NULL;
done:
	hel_free(v.value);
	return st;
}

/* --- file --------------------------------------------------------------------- */

static void write_item_model(hel_writer *w, const hel_item_part *x)
{
	hel_write_u64(w, x->model_size);
	hel_write_bytes(w, x->model, x->model_size);
}

static void write_items(hel_writer *w, const hel_item_part *x, bool batched)
{
	if (batched) {
		hel_write_u32(w, x->rows);
		hel_write_f64(w, x->largest);
		write_item_model(w, x);
		return;
	}
	hel_write_u32(w, x->vector);
	hel_write_u32(w, x->rows);
	hel_write_f64(w, x->usual);
	for (uint32_t i = 0; i < x->rows; i++) {
		hel_write_f64(w, x->turn[i].re);
		hel_write_f64(w, x->turn[i].im);
	}
	write_item_model(w, x);
}

hel_status hel_program_write(hel_writer *w, hel_program *p)
{
	hel_status st = HEL_OK;
	hel_writer manifest = {0};
	TRY(hel_manifest_write(&manifest, p->manifest));
	hel_container_begin(w, HEL_KIND_PROGRAM);
	hel_write_u64(w, manifest.size);
	hel_write_bytes(w, manifest.bytes, manifest.size);
	hel_write_u32(w, p->layers);
	for (uint32_t i = 0; i < p->layers; i++)
		hel_write_text(w, p->layer[i]);
	hel_write_text(w, p->plan ? p->plan : "");
	hel_write_u32(w, p->vectors);
	for (uint32_t i = 0; i < p->vectors; i++) {
		const hel_vector *v = &p->vector[i];
		hel_write_u8(w, v->log_period);
		hel_write_u8(w, v->is_complex);
		for (size_t k = 0; k < ((size_t)1 << v->log_period) * (v->is_complex ? 2 : 1); k++)
			hel_write_f32(w, v->value[k]);
	}
	hel_write_u32(w, p->ops);
	for (uint32_t i = 0; i < p->ops; i++) {
		const hel_op *op = &p->op[i];
		hel_write_u8(w, (uint8_t)op->kind);
		hel_write_u16(w, op->layer);
		hel_write_u32(w, op->value);
		hel_write_u32(w, op->index);
		hel_write_u32(w, op->terms);
		for (uint32_t k = 0; k < op->terms; k++) {
			hel_write_u32(w, op->term[k].value);
			hel_write_u32(w, op->term[k].vector);
			hel_write_u32(w, (uint32_t)op->term[k].baby);
			hel_write_u32(w, (uint32_t)op->term[k].giant);
		}
		for (uint32_t k = 0; k < hel_op_factors(op); k++)
			hel_write_f64(w, op->factor[k]);
		hel_write_u32(w, op->steps);
		for (uint32_t k = 0; k < op->steps; k++)
			hel_write_u32(w, (uint32_t)op->step[k]);
	}
	if (p->manifest->items.any)
		write_items(w, &p->items, p->manifest->items.batched);
	TRY(hel_container_end(w));
	memcpy(p->hash, w->bytes + w->size - HEL_HASH_BYTES, HEL_HASH_BYTES);
done:
	hel_writer_clear(&manifest);
	return st;
}

static hel_status read_vector(hel_vector *v, unsigned log_slots, hel_reader *r)
{
	hel_status st = HEL_OK;
	v->log_period = hel_read_u8(r);
	uint8_t is_complex = hel_read_u8(r);
	TRY(r->status);
	if (v->log_period > log_slots || is_complex > 1)
		FAIL(HEL_EFORMAT, "a vector of the program has period 2^%u", v->log_period);
	v->is_complex = is_complex;
	const size_t count = ((size_t)1 << v->log_period) * (is_complex ? 2 : 1);
	if (hel_reader_left(r) < count * sizeof(float))
		FAIL(HEL_ETRUNC, "the program ends inside a vector");
	TRY_ALLOC(v->value, hel_alloc_raw(count, sizeof *v->value));
	memcpy(v->value, hel_read_bytes(r, count * sizeof *v->value), count * sizeof *v->value);
	bool finite = true;
	for (size_t i = 0; i < count; i++)
		finite &= isfinite(v->value[i]) != 0;
	if (!finite)
		FAIL(HEL_EFORMAT, "a vector of the program is not finite");
done:
	return st;
}

/* below: the first rotation that does not exist; conjugations lie above the slots' number */
static int32_t read_rotation(hel_reader *r, int32_t slots, int32_t below)
{
	int32_t v = (int32_t)hel_read_u32(r);
	if (r->status == HEL_OK && (v <= -slots || v >= below))
		r->status = hel_fail(HEL_EFORMAT, "a rotation by %d of %d slots", v, slots);
	return v;
}

static uint32_t read_below(hel_reader *r, uint32_t count, const char *what)
{
	uint32_t v = hel_read_u32(r);
	if (r->status == HEL_OK && v >= count)
		r->status = hel_fail(HEL_EFORMAT, "%s %u does not exist", what, v);
	return v;
}

/* As many values as slots, at most, and of one record. */
static hel_status check_refresh(const hel_op *op, const hel_manifest *m)
{
	const uint32_t most = HEL_MIN(hel_manifest_log_slots(m), (unsigned)HEL_MAX_LOG_REFRESHED);
	return op->index >= HEL_MIN_LOG_REFRESHED && op->index <= most && !m->log_batch
		   ? HEL_OK
		   : hel_fail(HEL_EFORMAT, "a refresh of 2^%u values in 2^%u slots of %u records",
			      op->index, hel_manifest_log_slots(m), 1u << m->log_batch);
}

static hel_status read_op(hel_op *op, const hel_program *p, hel_reader *r)
{
	hel_status st = HEL_OK;
	const int32_t slots = 1 << hel_manifest_log_slots(p->manifest);
	op->kind = (hel_op_kind)hel_read_u8(r);
	op->layer = hel_read_u16(r);
	TRY(r->status);
	if (op->kind >= HEL_OP_KINDS || op->layer >= p->layers)
		FAIL(HEL_EFORMAT, "unknown op %d", (int)op->kind);
	const bool sum = op->kind == HEL_OP_WEIGHTED_SUM, many = sum || op->kind == HEL_OP_LINEAR;
	const bool refresh = op->kind == HEL_OP_REFRESH;
	const bool unary = op->kind != HEL_OP_INPUT && !many;
	op->value = unary ? read_below(r, p->ops, "value") : hel_read_u32(r);
	op->index = op->kind == HEL_OP_INPUT	   ? read_below(r, p->manifest->inputs, "input")
		    : op->kind == HEL_OP_ADD_PLAIN ? read_below(r, p->vectors, "vector")
		    : op->kind == HEL_OP_MUL	   ? read_below(r, p->ops, "value")
		    : sum ? read_below(r, p->manifest->params.levels + 1u, "level")
			  : hel_read_u32(r);
	op->terms = hel_read_u32_max(r, HEL_MAX_TERMS_PER_OP, "number of terms");
	TRY(r->status);
	if (refresh)
		TRY(check_refresh(op, p->manifest));
	if ((op->terms > 0) != many || hel_reader_left(r) < 16 * (size_t)op->terms)
		FAIL(HEL_EFORMAT, "an op with %u terms", op->terms);
	TRY_ALLOC(op->term, hel_alloc(op->terms, sizeof *op->term));
	for (uint32_t k = 0; k < op->terms; k++) {
		op->term[k].value = read_below(r, p->ops, "value");
		op->term[k].vector = sum ? hel_read_u32(r) : read_below(r, p->vectors, "vector");
		op->term[k].baby = read_rotation(r, slots, slots);
		op->term[k].giant = read_rotation(r, slots, slots);
	}
	if (sum || refresh) {
		const uint32_t factors = hel_op_factors(op);
		if (hel_reader_left(r) < 8 * (size_t)factors)
			FAIL(HEL_ETRUNC, "the program ends inside an op's factors");
		TRY_ALLOC(op->factor, hel_alloc(factors, sizeof *op->factor));
		for (uint32_t k = 0; k < factors; k++) {
			op->factor[k] = hel_read_f64(r);
			if (!isfinite(op->factor[k]))
				FAIL(HEL_EFORMAT, "a factor of the program is not finite");
		}
		/* level 0's scale over its prime */
		if (refresh && !(*op->factor > 0.5 && *op->factor < 2))
			FAIL(HEL_EFORMAT, "a refresh of values in units of %g turns", *op->factor);
		if (refresh && !(op->factor[1] >= HEL_MIN_REFRESH_TURN &&
				 op->factor[1] <= HEL_MAX_REFRESH_TURN))
			FAIL(HEL_EFORMAT, "a refresh of %g turns", op->factor[1]);
	}
	op->steps = hel_read_u32_max(r, HEL_MAX_STEPS, "number of rotations");
	TRY(r->status);
	if ((op->steps > 0) != (op->kind == HEL_OP_ROTATE_SUM) ||
	    hel_reader_left(r) < 4 * (size_t)op->steps)
		FAIL(HEL_EFORMAT, "an op with %u rotations", op->steps);
	TRY_ALLOC(op->step, hel_alloc(op->steps, sizeof *op->step));
	for (uint32_t k = 0; k < op->steps; k++)
		op->step[k] = read_rotation(r, slots, 2 * slots);
	st = r->status;
done:
	return st;
}

static hel_status read_item_model(hel_item_part *x, hel_reader *r)
{
	hel_status st = HEL_OK;
	const uint64_t size = hel_read_u64(r);
	if (r->status == HEL_OK && size > HEL_ITEM_MODEL_MAX)
		FAIL(HEL_ELIMIT, "the items' model has %llu bytes", (unsigned long long)size);
	const uint8_t *bytes = hel_read_bytes(r, (size_t)size);
	TRY(r->status);
	TRY_ALLOC(x->model, hel_alloc_raw((size_t)size + 1, 1));
	memcpy(x->model, bytes, (size_t)size);
	x->model_size = (size_t)size;
done:
	return st;
}

static hel_status read_item_values(hel_program *p, hel_reader *r)
{
	hel_status st = HEL_OK;
	p->items.rows = hel_read_u32(r);
	p->items.largest = hel_read_f64(r);
	TRY(r->status);
	if (p->items.rows != p->manifest->items.width ||
	    !(p->items.largest > 0 && p->items.largest < 0x1p100))
		FAIL(HEL_EFORMAT, "the program's values of items are out of range");
	TRY(read_item_model(&p->items, r));
done:
	return st;
}

static hel_status read_items(hel_program *p, hel_reader *r)
{
	hel_status st = HEL_OK;
	hel_item_part *x = &p->items;
	if (p->manifest->items.batched)
		return read_item_values(p, r);
	x->vector = read_below(r, p->ops, "value");
	x->rows = hel_read_u32_max(r, 1u << p->manifest->items.log_width, "width of items");
	x->usual = hel_read_f64(r);
	TRY(r->status);
	if (!(fabs(x->usual) < 0x1p100))
		FAIL(HEL_EFORMAT, "the program's usual constant is out of range");
	if (hel_reader_left(r) < 16 * (size_t)x->rows)
		FAIL(HEL_ETRUNC, "the program ends before its items' model");
	TRY_ALLOC(x->turn, hel_alloc(x->rows, sizeof *x->turn));
	for (uint32_t i = 0; i < x->rows; i++) {
		x->turn[i].re = hel_read_f64(r);
		x->turn[i].im = hel_read_f64(r);
		const double size = hypot(x->turn[i].re, x->turn[i].im);
		if (!(size > 0x1p-100 && size < 0x1p100))
			FAIL(HEL_EFORMAT, "an element of the items' vector is out of range");
	}
	TRY(read_item_model(x, r));
done:
	return st;
}

hel_status hel_program_read(hel_program **out, const void *bytes, size_t size)
{
	hel_status st = HEL_OK;
	hel_program *p = NULL;
	hel_reader r;
	TRY(hel_container_open(&r, HEL_KIND_PROGRAM, bytes, size));
	TRY_ALLOC(p, hel_alloc(1, sizeof *p));
	memcpy(p->hash, (const uint8_t *)bytes + size - HEL_HASH_BYTES, HEL_HASH_BYTES);
	uint64_t manifest = hel_read_u64(&r);
	const uint8_t *inside = hel_read_bytes(&r, (size_t)HEL_MIN(manifest, SIZE_MAX));
	TRY(r.status);
	TRY(hel_manifest_read(&p->manifest, inside, (size_t)manifest));
	uint32_t layers = hel_read_u32_max(&r, 4096, "number of layers");
	TRY(r.status);
	TRY_ALLOC(p->layer, hel_alloc(layers, sizeof *p->layer));
	for (; p->layers < layers; p->layers++) {
		p->layer[p->layers] = hel_read_text(&r, LAYER_TEXT_MAX, "layer name");
		TRY(r.status);
		if (!hel_is_text(p->layer[p->layers])) {
			p->layers++; /* freed with the rest */
			FAIL(HEL_EFORMAT, "a layer's name is not plain text");
		}
	}
	p->plan = hel_read_text(&r, HEL_PLAN_TEXT_MAX, "plan");
	TRY(r.status);
	if (!hel_is_text(p->plan))
		FAIL(HEL_EFORMAT, "the program's plan is not plain text");
	uint32_t vectors = hel_read_u32_max(&r, HEL_MAX_VECTORS, "number of vectors");
	TRY(r.status);
	if (hel_reader_left(&r) < 6 * (size_t)vectors)
		FAIL(HEL_ETRUNC, "the program ends before its %u vectors", vectors);
	TRY_ALLOC(p->vector, hel_alloc(vectors, sizeof *p->vector));
	while (p->vectors < vectors)
		TRY(read_vector(&p->vector[p->vectors++], hel_manifest_log_slots(p->manifest), &r));
	uint32_t ops = hel_read_u32_max(&r, HEL_MAX_OPS, "number of ops");
	TRY(r.status);
	TRY_ALLOC(p->op, hel_alloc(HEL_MAX(ops, 1), sizeof *p->op));
	while (p->ops < ops) {
		hel_op op = {0};
		st = read_op(&op, p, &r);
		p->op[p->ops++] = op; /* before the check: its arrays must be freed */
		TRY(st);
	}
	if (p->manifest->items.any)
		TRY(read_items(p, &r));
	TRY(hel_reader_finish(&r));
	if (!ops)
		FAIL(HEL_EFORMAT, "the program is empty");
	*out = p;
	p = NULL;
done:
	hel_program_free(p);
	return st;
}
