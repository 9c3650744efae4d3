#include "../testing.h"
#include "prog/prog.h"
#include <math.h>

static void test_layout(void **state)
{
	(void)state;
	hel_layout l = {.log_slots = 6, .bits = 3, .position = {1, 2, 5}, .width = 6};
	assert_ok(hel_layout_check(&l));
	for (size_t slot = 0; slot < 64; slot++) {
		int32_t index = (int32_t)((slot >> 1 & 3) | (slot >> 5 & 1) << 2);
		assert_int_equal(index < 6 ? index : HEL_SLOT_ZERO, hel_layout_at(&l, slot));
	}
	char text[100];
	hel_layout_describe(text, sizeof text, &l);
	assert_string_equal("6 elements at slot bits 1-2,5, 8 copies", text);
	l.position[2] = 1;
	assert_status(HEL_EFORMAT, hel_layout_check(&l));
	l.position[2] = 7;
	assert_status(HEL_EFORMAT, hel_layout_check(&l));
	assert_false(hel_layout_is_complex(&l));
	l.position[2] = 6; /* the imaginary part */
	assert_ok(hel_layout_check(&l));
	assert_true(hel_layout_is_complex(&l));
	assert_int_equal(5, hel_layout_at(&l, 64 + 2));
	for (int imaginary = 0; imaginary < 2; imaginary++) {
		int32_t map[64];
		hel_layout_map(map, &l, imaginary);
		for (size_t slot = 0; slot < 64; slot++)
			assert_int_equal(hel_layout_at(&l, slot + 64 * (size_t)imaginary),
					 map[slot]);
	}
	l.position[2] = 5;
	l.width = 9;
	assert_status(HEL_EFORMAT, hel_layout_check(&l));
}

/* Pieces, in both parts of the slots. */
static void test_input(void **state)
{
	(void)state;
	hel_piece piece[] = {{10, 4}, {3, 3}, {0, 0}, {20, 1}};
	hel_input in = {
	    .log_piece = 2,
	    .layout = {.log_slots = 3, .bits = 4, .position = {1, 3, 0, 2}, .width = 16},
	    .pieces = 4,
	    .piece = piece};
	double features[32];
	hel_complex slots[8];
	for (int i = 0; i < 32; i++)
		features[i] = 100 + i;
	assert_ok(hel_layout_check(&in.layout));
	hel_input_fill(slots, &in, features);
	for (unsigned e = 0; e < 16; e++) {
		const unsigned slot = (e & 1) << 1 | (e >> 2 & 1) | (e >> 3 & 1) << 2;
		const double want =
		    e % 4 < piece[e / 4].width ? 100 + piece[e / 4].first + e % 4 : 0;
		assert_equal(want, (e >> 1 & 1 ? slots[slot].im : slots[slot].re));
	}
	in.layout = (hel_layout){.log_slots = 3, .bits = 2, .position = {0, 2}, .width = 3};
	in.pieces = 0;
	in.first = 7;
	hel_input_fill(slots, &in, features);
	for (unsigned slot = 0; slot < 8; slot++) {
		const unsigned e = (slot & 1) | (slot >> 2 & 1) << 1;
		assert_equal(slots[slot].re, (e < 3 ? 107 + e : 0));
		assert_equal(slots[slot].im, 0);
	}
}

static hel_program *make_program(void)
{
	hel_program *p = hel_alloc(1, sizeof *p);
	hel_manifest *m = p->manifest = hel_alloc(1, sizeof *m);
	m->model = hel_strdup("test");
	m->schema = hel_strdup("{}");
	m->params = (hel_params_spec){4, 2, 1, 30, 1, 1};
	m->degree = 1;
	m->features = 4;
	m->inputs = 1;
	m->input = hel_alloc(1, sizeof *m->input);
	m->input[0] = (hel_input){.level = 2, .layout = {3, 2, {0, 1}, 4}};
	m->samples = 4;
	m->measured = true;
	m->bound = 10;
	m->bits = 15;
	m->bits_contributed = 15;
	m->bits_model = 15;
	m->unit = m->spread = m->largest = 1;
	m->keys = 1;
	m->key = hel_alloc(1, sizeof *m->key);
	m->key[0] = (hel_key_request){5, 1};
	assert_ok(hel_program_add_layer(p, "only"));
	hel_complex v[8], period[8];
	for (int i = 0; i < 8; i++) {
		v[i] = (hel_complex){i, -i};
		period[i] = (hel_complex){i % 2, 0};
	}
	uint32_t a, b, c;
	assert_ok(hel_program_add_vector(p, v, 3, &a));
	assert_ok(hel_program_add_vector(p, period, 3, &b));
	assert_ok(hel_program_add_vector(p, v, 3, &c));
	assert_equal(a, 0);
	assert_equal(b, 1);
	assert_equal(c, 0); /* equal vectors are shared */
	assert_int_equal(1, p->vector[1].log_period);
	assert_equal(hel_vector_at(&p->vector[0], 5).im, -5);
	assert_equal(hel_vector_at(&p->vector[1], 7).re, 1);
	hel_op op = {.kind = HEL_OP_INPUT};
	assert_ok(hel_program_add_op(p, &op));
	op = (hel_op){.kind = HEL_OP_LINEAR, .terms = 2, .term = hel_alloc(2, sizeof *op.term)};
	op.term[0] = (hel_term){0, 0, 0, 0};
	op.term[1] = (hel_term){0, 1, -3, 4};
	assert_ok(hel_program_add_op(p, &op));
	op = (hel_op){.kind = HEL_OP_ROTATE_SUM,
		      .value = 1,
		      .steps = 2,
		      .step = hel_alloc(2, sizeof *op.step)};
	op.step[1] = 1;
	assert_ok(hel_program_add_op(p, &op));
	op = (hel_op){.kind = HEL_OP_RESCALE, .value = 2};
	assert_ok(hel_program_add_op(p, &op));
	op = (hel_op){.kind = HEL_OP_ADD_PLAIN, .value = 3, .index = 1};
	assert_ok(hel_program_add_op(p, &op));
	op = (hel_op){.kind = HEL_OP_MUL, .value = 4, .index = 3};
	assert_ok(hel_program_add_op(p, &op));
	op = (hel_op){.kind = HEL_OP_WEIGHTED_SUM,
		      .index = 1,
		      .terms = 2,
		      .term = hel_alloc(2, sizeof *op.term),
		      .factor = hel_alloc(3, sizeof *op.factor)};
	op.term[0].value = 5;
	op.term[1].value = 3;
	op.factor[0] = 1;
	op.factor[2] = -0.5;
	assert_ok(hel_program_add_op(p, &op));
	return p;
}

/* 2^log_batch records of as many slots as the one had. */
static void make_batch(hel_program *p, uint8_t log_batch)
{
	p->manifest->log_batch = log_batch;
	p->manifest->params.log_n = (uint8_t)(4 + log_batch);
}

static void test_batch(void **state)
{
	(void)state;
	hel_program *p = make_program(), *back;
	hel_writer w = {0};
	make_batch(p, 1);
	assert_int_equal(3, hel_manifest_log_slots(p->manifest));
	assert_int_equal(-6, hel_manifest_step(p->manifest, -3));
	assert_ok(hel_program_write(&w, p));
	assert_ok(hel_program_read(&back, w.bytes, w.size));
	assert_int_equal(1, back->manifest->log_batch);
	assert_int_equal(3, back->manifest->input[0].layout.log_slots);
	hel_program_free(back);
	hel_writer_clear(&w);
	hel_program_free(p);
}

static void test_round_trip(void **state)
{
	(void)state;
	assert_ok(hel_random_init());
	hel_program *p = make_program(), *back;
	hel_writer w = {0}, again = {0};
	assert_ok(hel_program_write(&w, p));
	assert_ok(hel_program_read(&back, w.bytes, w.size));
	assert_memory_equal(p->manifest->id, back->manifest->id, HEL_HASH_BYTES);
	assert_ok(hel_program_write(&again, back));
	assert_int_equal(w.size, again.size);
	assert_memory_equal(w.bytes, again.bytes, w.size);
	hel_program_free(back);
	back = NULL;
	for (size_t size = 0; size < w.size; size++)
		assert_unequal(hel_program_read(&back, w.bytes, size), HEL_OK);
	hel_writer_clear(&w);
	hel_writer_clear(&again);
	hel_program_free(p);
}

/* Writes the program after one change and expects the reader to refuse it. */
#define REFUSED(change)                                                                            \
	do {                                                                                       \
		hel_program *p = make_program(), *back = NULL;                                     \
		hel_writer w = {0};                                                                \
		change;                                                                            \
		assert_ok(hel_program_write(&w, p));                                               \
		if (hel_program_read(&back, w.bytes, w.size) == HEL_OK)                            \
			fail_msg("accepted: %s", #change);                                         \
		hel_writer_clear(&w);                                                              \
		hel_program_free(p);                                                               \
	} while (0)

/* Cuts the first input into pieces of 2^log_piece; returns the last. */
static hel_piece *piece_of(hel_program *p, uint32_t pieces)
{
	hel_input *in = &p->manifest->input[0];
	in->log_piece = 1;
	in->pieces = pieces;
	in->first = 0;
	in->layout.width = 4;
	in->piece = hel_alloc(pieces, sizeof *in->piece);
	for (uint32_t i = 0; i < pieces; i++)
		in->piece[i] = (hel_piece){0, 1};
	return &in->piece[pieces - 1];
}

static void lengthen(hel_vector *v)
{
	hel_free(v->value);
	v->log_period = 4;
	v->value = hel_alloc((size_t)2 << v->log_period, sizeof *v->value);
}

static void test_refuses(void **state)
{
	(void)state;
	REFUSED(p->op[2].value = 2);	      /* reads itself */
	REFUSED(p->op[1].term[1].value = 7);  /* reads a later value */
	REFUSED(p->op[1].term[1].vector = 9); /* no such vector */
	REFUSED(p->op[1].term[1].baby = 8);   /* a rotation by all slots */
	REFUSED(p->op[1].term[0].giant = -99);
	REFUSED(p->op[2].step[1] = 16); /* beyond the conjugations */
	REFUSED(p->op[0].index = 1);	/* no such input */
	REFUSED(p->op[4].index = 2);
	REFUSED(p->op[3].layer = 1);
	REFUSED(p->op[5].index = 5); /* a product with itself */
	REFUSED(p->op[6].index = 9); /* no such level */
	REFUSED(p->op[6].factor[2] = INFINITY);
	REFUSED(p->op[6].term[1].value = 6);
	REFUSED(p->op[3].kind = HEL_OP_LINEAR); /* without terms */
	REFUSED(p->op[3].kind = HEL_OP_KINDS);
	REFUSED(p->vector[1].value[0] = 0.0f / 0.0f);
	REFUSED(p->manifest->input[0].first = 1); /* beyond the features */
	REFUSED(p->manifest->input[0].level = 3);
	REFUSED(p->manifest->input[0].log_piece = 1);
	REFUSED(piece_of(p, 2)->width = 3); /* wider than the elements' bits */
	REFUSED(piece_of(p, 2)->first = 99);
	REFUSED((void)piece_of(p, 1)); /* two of two make no layout of two */
	REFUSED(p->manifest->input[0].layout.position[0] = 1);
	REFUSED(p->manifest->key[0].level = 9);
	REFUSED(p->manifest->key[0].galois = 1u << 20);
	REFUSED(p->manifest->bound = -1);
	REFUSED(p->manifest->params.log_n = 40);
	REFUSED(p->manifest->degree = 3);
	REFUSED(p->manifest->samples = 0);
	REFUSED(p->manifest->log_batch = 1); /* four slots for each of two records */
	REFUSED(p->manifest->log_batch = 255);
	REFUSED(make_batch(p, 2)); /* four samples are two records' scores */
	REFUSED(make_batch(p, 1); p->manifest->input[0].layout.position[1] = 4);
	REFUSED(make_batch(p, 1); p->op[1].term[1].baby = 8);
	REFUSED(make_batch(p, 1); p->op[2].step[1] = 16);
	REFUSED(make_batch(p, 1); lengthen(&p->vector[0])); /* beyond one record's slots */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_layout),     cmocka_unit_test(test_input),
	    cmocka_unit_test(test_round_trip), cmocka_unit_test(test_batch),
	    cmocka_unit_test(test_refuses),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
