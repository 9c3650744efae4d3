#include "prog.h"
#include <math.h>
#include <string.h>

#define SCHEMA_MAX (64u << 20)

#define HAS_RUNS 8 /* in the byte of primes_per_level, which is less */

static void runs_read(hel_params_spec *s, hel_reader *r)
{
	s->trim = hel_read_u8(r);
	s->runs = hel_read_u8(r);
	if (r->status == HEL_OK && (!s->runs || s->runs > HEL_MAX_RUNS))
		r->status = hel_fail(HEL_EFORMAT, "parameters with %u runs of levels", s->runs);
	for (unsigned i = 0; r->status == HEL_OK && i < s->runs; i++) {
		s->run[i].levels = hel_read_u8(r);
		s->run[i].primes = hel_read_u8(r);
		s->run[i].pass = hel_read_u8(r);
	}
}

static hel_params_spec spec_read(hel_reader *r)
{
	hel_params_spec s = {0}; /* all levels alike */
	s.log_n = hel_read_u8(r);
	s.levels = hel_read_u8(r);
	const uint8_t primes = hel_read_u8(r);
	s.primes_per_level = primes & (HAS_RUNS - 1);
	s.base = primes >> 4;
	s.scale_bits = hel_read_u8(r);
	s.alpha = hel_read_u8(r);
	s.special = hel_read_u8(r);
	if (primes & HAS_RUNS)
		runs_read(&s, r);
	return s;
}

static void spec_write(hel_writer *w, const hel_params_spec *s)
{
	hel_write_u8(w, s->log_n);
	hel_write_u8(w, s->levels);
	hel_write_u8(w, (uint8_t)(s->primes_per_level | (s->runs ? HAS_RUNS : 0) | s->base << 4));
	hel_write_u8(w, s->scale_bits);
	hel_write_u8(w, s->alpha);
	hel_write_u8(w, s->special);
	if (!s->runs)
		return;
	hel_write_u8(w, s->trim);
	hel_write_u8(w, s->runs);
	for (unsigned i = 0; i < s->runs; i++) {
		hel_write_u8(w, s->run[i].levels);
		hel_write_u8(w, s->run[i].primes);
		hel_write_u8(w, s->run[i].pass);
	}
}

void hel_manifest_free(hel_manifest *m)
{
	if (!m)
		return;
	hel_free(m->model);
	hel_free(m->schema);
	for (uint32_t i = 0; m->input && i < m->inputs; i++)
		hel_free(m->input[i].piece);
	hel_free(m->input);
	hel_free(m->key);
	hel_free(m);
}

hel_status hel_manifest_write(hel_writer *w, hel_manifest *m)
{
	hel_status st = HEL_OK;
	const size_t start = w->size;
	hel_writer file = {0};
	hel_container_begin(&file, HEL_KIND_MANIFEST);
	hel_write_text(&file, m->model);
	spec_write(&file, &m->params);
	hel_write_u8(&file, m->log_batch);
	hel_write_text(&file, m->schema);
	hel_write_u8(&file, m->degree);
	hel_write_u32(&file, m->features);
	hel_write_u32(&file, m->inputs);
	for (uint32_t i = 0; i < m->inputs; i++) {
		const hel_input *in = &m->input[i];
		hel_write_u8(&file, in->level);
		hel_write_u32(&file, in->first);
		hel_write_u32(&file, in->layout.width);
		hel_write_u8(&file, in->layout.bits);
		hel_write_bytes(&file, in->layout.position, in->layout.bits);
		hel_write_u8(&file, in->log_piece);
		hel_write_u32(&file, in->pieces);
		for (uint32_t k = 0; k < in->pieces; k++) {
			hel_write_u32(&file, in->piece[k].first);
			hel_write_u32(&file, in->piece[k].width);
		}
	}
	hel_write_u32(&file, m->samples);
	hel_write_u8(&file, m->measured);
	hel_write_f64(&file, m->bound);
	hel_write_f64(&file, m->unit);
	hel_write_f64(&file, m->spread);
	hel_write_f64(&file, m->bits);
	hel_write_f64(&file, m->bits_contributed);
	hel_write_f64(&file, m->bits_model);
	hel_write_f64(&file, m->largest);
	hel_write_u32(&file, m->keys);
	for (uint32_t i = 0; i < m->keys; i++) {
		hel_write_u32(&file, m->key[i].galois);
		hel_write_u8(&file, (uint8_t)m->key[i].level);
	}
	if (m->items.any) {
		hel_write_u8(&file, m->items.log_width);
		hel_write_u8(&file, (uint8_t)(m->items.common | m->items.batched << 1));
	}
	if (m->items.batched) {
		hel_write_u32(&file, m->items.first);
		hel_write_u32(&file, m->items.width);
	}
	TRY(hel_container_end(&file));
	hel_hash(m->id, file.bytes, file.size);
	hel_write_bytes(w, file.bytes, file.size);
	st = w->status;
done:
	if (st != HEL_OK)
		w->size = start;
	hel_writer_clear(&file);
	return st;
}

static hel_status read_pieces(hel_input *in, const hel_manifest *m, hel_reader *r)
{
	hel_status st = HEL_OK;
	in->log_piece = hel_read_u8(r);
	const uint32_t pieces = hel_read_u32_max(r, HEL_MAX_PIECES, "number of pieces");
	TRY(r->status);
	if (pieces ? in->first || in->log_piece > in->layout.bits ||
			 in->layout.width != (uint64_t)pieces << in->log_piece
		   : in->log_piece)
		FAIL(HEL_EFORMAT, "an input of the manifest has %u pieces of 2^%u in %u elements",
		     pieces, in->log_piece, in->layout.width);
	if (hel_reader_left(r) < 8 * (size_t)pieces)
		FAIL(HEL_ETRUNC, "the manifest ends inside an input");
	TRY_ALLOC(in->piece, hel_alloc(pieces, sizeof *in->piece));
	for (in->pieces = 0; in->pieces < pieces; in->pieces++) {
		hel_piece *p = &in->piece[in->pieces];
		p->first = hel_read_u32_max(r, HEL_MAX_FEATURES, "first feature of a piece");
		p->width = hel_read_u32_max(r, 1u << in->log_piece, "width of a piece");
		if (r->status == HEL_OK && p->first + p->width > m->features)
			FAIL(HEL_EFORMAT, "a piece of an input lies outside the features");
	}
	st = r->status;
done:
	return st;
}

static hel_status read_input(hel_input *in, const hel_manifest *m, hel_reader *r)
{
	hel_status st = HEL_OK;
	in->level = hel_read_u8(r);
	in->first = hel_read_u32_max(r, HEL_MAX_FEATURES, "first feature of an input");
	in->layout.width = hel_read_u32_max(r, HEL_MAX_FEATURES, "width of an input");
	in->layout.log_slots = (uint8_t)hel_manifest_log_slots(m);
	in->layout.bits = hel_read_u8(r);
	if (in->layout.bits > HEL_MAX_INDEX_BITS)
		FAIL(HEL_EFORMAT, "a slot layout has %u index bits", in->layout.bits);
	const uint8_t *position = hel_read_bytes(r, in->layout.bits);
	TRY(r->status);
	memcpy(in->layout.position, position, in->layout.bits);
	TRY(hel_layout_check(&in->layout));
	TRY(read_pieces(in, m, r));
	if (in->level > m->params.levels ||
	    (!in->pieces && in->first + in->layout.width > m->features))
		FAIL(HEL_EFORMAT, "an input of the manifest lies outside the features or levels");
done:
	return st;
}

double hel_manifest_error(const hel_manifest *m)
{
	return m->spread / m->unit * exp2(-fmin(m->bits, m->bits_contributed));
}

double hel_manifest_least_bits(const hel_manifest *m)
{
	const double replaced = fmax(exp2(-m->bits_model) - exp2(-m->bits), 0);
	return fmax(-log2(replaced + 4 * exp2(-fmin(m->bits, m->bits_contributed))), 0);
}

/* A number that may be divided by, and whose quotients are finite. */
static bool is_size(double x)
{
	return x > 0x1p-400 && x < 0x1p400;
}

/* Of manifests whose programs meet items; others end before. */
static hel_status read_items(hel_manifest *m, hel_reader *r)
{
	hel_status st = HEL_OK;
	if (!hel_reader_left(r))
		goto done;
	m->items.any = true;
	m->items.log_width = hel_read_u8(r);
	const uint8_t form = hel_read_u8(r);
	TRY(r->status);
	m->items.common = form & 1;
	m->items.batched = form & 2;
	if (m->items.batched) {
		m->items.first = hel_read_u32(r);
		m->items.width = hel_read_u32(r);
		TRY(r->status);
		if (form != 2 || m->items.log_width || m->degree != 1 ||
		    m->items.first > m->features || !m->items.width ||
		    m->items.width > HEL_MAX_ITEM_VALUES ||
		    m->items.width > m->features - m->items.first)
			FAIL(HEL_EFORMAT, "the manifest's values of items are out of range");
		goto done;
	}
	if (form > 1 || m->items.log_width > HEL_MAX_LOG_ITEM_WIDTH ||
	    m->items.log_width + 2u > m->params.log_n || m->log_batch || m->params.levels < 1 ||
	    m->params.log_n < 8)
		FAIL(HEL_EFORMAT, "the manifest's vector for items is out of range");
done:
	return st;
}

hel_status hel_manifest_read(hel_manifest **out, const void *bytes, size_t size)
{
	hel_status st = HEL_OK;
	hel_manifest *m = NULL;
	hel_reader r;
	TRY(hel_container_open(&r, HEL_KIND_MANIFEST, bytes, size));
	TRY_ALLOC(m, hel_alloc(1, sizeof *m));
	hel_hash(m->id, bytes, size);
	m->model = hel_read_text(&r, HEL_MODEL_NAME_MAX, "model name");
	m->params = spec_read(&r);
	m->log_batch = hel_read_u8(&r);
	m->schema = hel_read_text(&r, SCHEMA_MAX, "schema");
	m->degree = hel_read_u8(&r);
	m->features = hel_read_u32_max(&r, HEL_MAX_FEATURES, "number of features");
	m->inputs = hel_read_u32_max(&r, HEL_MAX_INPUTS, "number of inputs");
	TRY(r.status);
	if (!hel_is_text(m->model))
		FAIL(HEL_EFORMAT, "the model's name is not plain text");
	if (m->params.log_n < 4 || m->params.log_n > 17 || m->degree < 1 || m->degree > 2)
		FAIL(HEL_EFORMAT, "the manifest's parameters are out of range");
	if (m->log_batch + HEL_MIN_LOG_SLOTS + 1 > m->params.log_n)
		FAIL(HEL_EFORMAT, "2^%u records do not fit the slots of N = 2^%u", m->log_batch,
		     m->params.log_n);
	TRY_ALLOC(m->input, hel_alloc(m->inputs, sizeof *m->input));
	for (uint32_t i = 0; i < m->inputs; i++)
		TRY(read_input(&m->input[i], m, &r));
	m->samples = hel_read_u32_max(&r, 4096, "number of samples");
	const uint8_t measured = hel_read_u8(&r);
	m->measured = measured;
	m->bound = hel_read_f64(&r);
	m->unit = hel_read_f64(&r);
	m->spread = hel_read_f64(&r);
	m->bits = hel_read_f64(&r);
	m->bits_contributed = hel_read_f64(&r);
	m->bits_model = hel_read_f64(&r);
	m->largest = hel_read_f64(&r);
	m->keys = hel_read_u32_max(&r, 4096, "number of evaluation keys");
	TRY(r.status);
	if (!m->samples || measured > 1 || !is_size(m->bound) || !is_size(m->unit) ||
	    !is_size(m->spread) || !(fabs(m->bits) < 1000) || !(fabs(m->bits_contributed) < 1000) ||
	    !(fabs(m->bits_model) < 1000) || !(m->largest >= 0) || !isfinite(m->largest))
		FAIL(HEL_EFORMAT, "the manifest's result is out of range");
	if (m->samples >> m->log_batch < 2)
		FAIL(HEL_EFORMAT, "%u samples cannot hold the scores of 2^%u records", m->samples,
		     m->log_batch);
	TRY_ALLOC(m->key, hel_alloc(m->keys, sizeof *m->key));
	for (uint32_t i = 0; i < m->keys; i++) {
		m->key[i].galois =
		    hel_read_u32_max(&r, (2u << m->params.log_n) - 1, "Galois element");
		m->key[i].level = hel_read_u8(&r);
		if (r.status == HEL_OK && m->key[i].level > m->params.levels)
			FAIL(HEL_EFORMAT, "an evaluation key of the manifest is above all levels");
	}
	TRY(r.status);
	TRY(read_items(m, &r));
	TRY(hel_reader_finish(&r));
	*out = m;
	m = NULL;
done:
	hel_manifest_free(m);
	return st;
}
