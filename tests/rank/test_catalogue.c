/* Catalogues: products with an encrypted vector against plain sums, the file, and what stops a run.
 */
#include "../testing.h"
#include "ckks/secret.h"
#include "rank/multiply.h"
#include <unistd.h>

#define LOG_WIDTH 3
#define WIDTH ((size_t)1 << LOG_WIDTH)
#define ROWS ((size_t)7) /* one of the vector's elements is padding */
#define UNIT 2.5

typedef struct fixture {
	hel_params *params;
	hel_secret_key *secret;
	hel_keys *keys;
	hel_eval *ev;
	hel_scratch *scratch;
	atomic_bool stop;
	hel_manifest manifest;
	hel_complex turn[ROWS];
	double a[ROWS];
	hel_ct *vector;
	size_t items;
	char **id;
	double *dense; /* an item's record: its constant and weights */
	char path[64];
} fixture;

static hel_status weigh(void *arg, double *value, const double *dense, const uint32_t *hot,
			size_t count)
{
	(void)arg;
	(void)hot;
	memcpy(value, dense, count * (1 + ROWS) * sizeof *value);
	return HEL_OK;
}

static hel_item_source source_of(const fixture *f, size_t first, size_t count)
{
	return (hel_item_source){.count = count,
				 .id = (const char *const *)f->id + first,
				 .dense = f->dense + first * (1 + ROWS),
				 .denses = 1 + ROWS,
				 .weigh = weigh};
}

static hel_item_form form_of(const fixture *f)
{
	return (hel_item_form){.params = f->params,
			       .log_width = LOG_WIDTH,
			       .rows = ROWS,
			       .turn = f->turn,
			       .unit = UNIT,
			       .usual = 0.25};
}

static void encrypt_vector(fixture *f)
{
	const size_t slots = hel_params_slots(f->params);
	hel_complex *x = hel_alloc(slots, sizeof *x);
	hel_pt *pt;
	assert_non_null(x);
	for (size_t s = 0; s < slots; s++)
		if (s % WIDTH < ROWS)
			x[s] = (hel_complex){f->a[s % WIDTH] * f->turn[s % WIDTH].re,
					     f->a[s % WIDTH] * f->turn[s % WIDTH].im};
	assert_ok(hel_encode(&pt, f->params, x, 1, HEL_FOR_ADD));
	assert_ok(hel_ct_new(&f->vector, f->params));
	assert_ok(hel_encrypt(f->vector, f->secret, pt));
	hel_pt_free(pt);
	hel_free(x);
}

static void setup(fixture *f, uint8_t base, uint8_t scale_bits, size_t blocks)
{
	memset(f, 0, sizeof *f);
	const hel_params_spec spec = {.log_n = 12,
				      .levels = 1,
				      .primes_per_level = 1,
				      .scale_bits = scale_bits,
				      .base = base,
				      .alpha = 1,
				      .special = 1};
	hel_prng g;
	hel_key_request request[2 * WIDTH];
	int32_t step[2 * WIDTH];
	uint8_t seed[HEL_SEED_BYTES] = "catalogue";
	assert_ok(hel_random_init());
	hel_prng_init(&g, seed, base);
	assert_ok(hel_params_new_insecure_test(&f->params, &spec));
	assert_ok(hel_secret_key_new(&f->secret, f->params));
	const size_t steps = hel_item_steps(step, LOG_WIDTH);
	for (size_t i = 0; i < steps; i++)
		request[i] = (hel_key_request){hel_galois_of_rotation(f->params, step[i]), 1};
	assert_ok(hel_keys_generate(&f->keys, f->secret, request, steps, NULL));
	assert_ok(hel_eval_new(&f->ev, f->params, f->keys, NULL));
	f->manifest = (hel_manifest){.model = (char *)"m", .params = spec, .unit = UNIT};
	f->manifest.items = (hel_items){.any = true, .log_width = LOG_WIDTH};
	memset(f->manifest.id, 7, sizeof f->manifest.id);
	for (size_t i = 0; i < ROWS; i++) {
		const double angle = 6 * hel_prng_unit(&g);
		f->turn[i] = (hel_complex){cos(angle), sin(angle)};
		f->a[i] = 2 * hel_prng_unit(&g) - 1;
	}
	f->items = blocks * hel_block_items(f->params->ring.n) - 17;
	f->id = hel_alloc(f->items, sizeof *f->id);
	f->dense = hel_alloc(f->items * (1 + ROWS), sizeof *f->dense);
	assert_non_null(f->id);
	assert_non_null(f->dense);
	for (size_t i = 0; i < f->items; i++) {
		char text[32];
		snprintf(text, sizeof text, "film %zu", (i * 7919) % f->items);
		f->id[i] = hel_strdup(text);
	}
	for (size_t i = 0; i < f->items * (1 + ROWS); i++)
		f->dense[i] = hel_prng_unit(&g) - 0.5;
	snprintf(f->path, sizeof f->path, "catalogue-%d.helm", (int)getpid());
	encrypt_vector(f);
}

static void teardown(fixture *f)
{
	unlink(f->path);
	hel_ct_free(f->vector);
	hel_eval_free(f->ev);
	hel_keys_free(f->keys);
	hel_secret_key_free(f->secret);
	hel_params_free(f->params);
	for (size_t i = 0; i < f->items; i++)
		hel_free(f->id[i]);
	hel_free(f->id);
	hel_free(f->dense);
}

static hel_catalogue *make(const fixture *f, size_t first, size_t count,
			   const hel_catalogue *before)
{
	hel_catalogue *c;
	const hel_item_source s = source_of(f, first, count);
	const hel_item_form form = form_of(f);
	assert_ok(hel_catalogue_write(f->path, &f->manifest, &form, &s, before, NULL, NULL));
	assert_ok(hel_catalogue_open(&c, f->path, &f->manifest, f->params, NULL));
	return c;
}

/* What comes of a block, against sums in doubles. */
typedef struct seen {
	const fixture *f;
	size_t blocks;
	double worst;
} seen;

static hel_status compare(void *arg, size_t block, const hel_ct *scores)
{
	seen *x = arg;
	const fixture *f = x->f;
	const size_t slots = hel_params_slots(f->params), most = hel_block_items(2 * slots);
	hel_complex *got = hel_alloc(slots, sizeof *got);
	assert_non_null(got);
	assert_int_equal(scores->level, 0);
	assert_ok(hel_decrypt(got, f->secret, scores));
	for (size_t i = 0; i < most; i++) {
		const size_t item = block * most + i, slot = hel_item_slot(i);
		const double *w = f->dense + item * (1 + ROWS);
		double want = 0;
		assert_false(hel_slot_is_known(slot));
		if (item < f->items) {
			want = (w[0] + 0.25) / UNIT;
			for (size_t k = 0; k < ROWS; k++)
				want += w[1 + k] * f->a[k] / UNIT;
		}
		x->worst = fmax(x->worst, fabs((i & 1 ? got[slot].im : got[slot].re) - want));
	}
	for (size_t s = 0; s < slots; s++)
		if (hel_slot_is_known(s))
			x->worst = fmax(x->worst, hypot(got[s].re, got[s].im));
	x->blocks++;
	hel_free(got);
	return HEL_OK;
}

static void check_products(uint8_t base, uint8_t scale_bits, double most)
{
	fixture f;
	setup(&f, base, scale_bits, 2);
	hel_catalogue *c = make(&f, 0, f.items, NULL);
	size_t block[2] = {0, 1};
	seen x = {.f = &f};
	assert_int_equal(hel_catalogue_blocks(c), 2);
	assert_ok(hel_catalogue_apply(c, block, 2, f.ev, f.vector, NULL, compare, &x, NULL));
	assert_int_equal(x.blocks, 2);
	printf("base %u: largest error 2^%.1f\n", base, log2(x.worst));
	assert_less(x.worst, most);
	x.blocks = 0;
	assert_ok(hel_catalogue_apply(c, block + 1, 1, f.ev, f.vector, NULL, compare, &x, NULL));
	assert_int_equal(x.blocks, 1);
	hel_catalogue_free(c);
	teardown(&f);
}

static void test_products(void **state)
{
	(void)state;
	check_products(1, 28, 0x1p-13);
	check_products(0, 30, 0x1p-15);
}

static void test_file(void **state)
{
	(void)state;
	fixture f;
	double dense[1 + ROWS];
	setup(&f, 1, 28, 2);
	hel_catalogue *all = make(&f, 0, f.items, NULL);
	uint8_t id[HEL_HASH_BYTES];
	memcpy(id, hel_catalogue_head_of(all)->id, sizeof id);
	for (size_t i = 0; i < f.items; i += 997) {
		assert_string_equal(hel_catalogue_id(all, i), f.id[i]);
		assert_int_equal(hel_catalogue_find(all, f.id[i]), i);
		hel_catalogue_record(all, i, dense, NULL);
		assert_memory_equal(dense, f.dense + i * (1 + ROWS), sizeof dense);
	}
	assert_true(hel_catalogue_find(all, "film") == SIZE_MAX);
	hel_catalogue_free(all);
	/* in two parts, the cut within a block and at its end: the same, byte for byte */
	const size_t cuts[] = {100, hel_block_items(f.params->ring.n)};
	for (size_t i = 0; i < HEL_ARRAY_LEN(cuts); i++) {
		hel_catalogue *part = make(&f, 0, cuts[i], NULL);
		all = make(&f, cuts[i], f.items - cuts[i], part);
		assert_memory_equal(hel_catalogue_head_of(all)->id, id, sizeof id);
		hel_catalogue_free(part);
		hel_catalogue_free(all);
	}
	/* an id twice, and none */
	const hel_item_form form = form_of(&f);
	hel_item_source s = source_of(&f, 0, 3);
	char *kept = f.id[2];
	f.id[2] = f.id[0];
	assert_status(HEL_EDATA,
		      hel_catalogue_write(f.path, &f.manifest, &form, &s, NULL, NULL, NULL));
	f.id[2] = (char *)"";
	assert_status(HEL_EDATA,
		      hel_catalogue_write(f.path, &f.manifest, &form, &s, NULL, NULL, NULL));
	f.id[2] = kept;
	/* what belongs to another program */
	f.manifest.id[0] ^= 1;
	assert_status(HEL_EMODEL, hel_catalogue_open(&all, f.path, &f.manifest, f.params, NULL));
	f.manifest.id[0] ^= 1;
	teardown(&f);
}

static void test_refusals(void **state)
{
	(void)state;
	fixture f;
	setup(&f, 1, 28, 1);
	hel_catalogue *c = make(&f, 0, f.items, NULL);
	size_t block = 0;
	seen x = {.f = &f};
	hel_eval stopped = *f.ev;
	atomic_store(&f.stop, true);
	stopped.stop = &f.stop;
	assert_status(HEL_ECANCEL, hel_catalogue_apply(c, &block, 1, &stopped, f.vector, NULL,
						       compare, &x, NULL));
	f.vector->scale *= 2;
	assert_status(HEL_ESCALE,
		      hel_catalogue_apply(c, &block, 1, f.ev, f.vector, NULL, compare, &x, NULL));
	f.vector->scale /= 2;
	f.vector->level = 0;
	assert_status(HEL_ELEVEL,
		      hel_catalogue_apply(c, &block, 1, f.ev, f.vector, NULL, compare, &x, NULL));
	f.vector->level = 1;
	hel_eval without = *f.ev;
	without.keys = NULL;
	assert_status(HEL_EKEY, hel_catalogue_apply(c, &block, 1, &without, f.vector, NULL, compare,
						    &x, NULL));
	assert_int_equal(x.blocks, 0);
	hel_catalogue_free(c);
	teardown(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_products),
	    cmocka_unit_test(test_file),
	    cmocka_unit_test(test_refusals),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
