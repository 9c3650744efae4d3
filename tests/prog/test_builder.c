/* Ops as builder.c writes them, followed by hand on slots of small numbers. */
#include "../testing.h"
#include "prog/builder.h"

#define SLOTS 64

/* What a rotation brings to a slot: that `step` places above it. */
static void follow(int64_t *value, const hel_op *op)
{
	int64_t sum[SLOTS];
	memcpy(sum, value, sizeof sum);
	for (uint32_t k = 0; k < op->steps; k++)
		for (int i = 0; op->step[k] && i < SLOTS; i++)
			sum[i] += value[(i + op->step[k]) % SLOTS];
	memcpy(value, sum, sizeof sum);
}

/* A fold sums over the slots that differ in its bits only, however many bits go at a time: checked
 * where no carry leaves the bits, at the slots that have none of them. */
static void test_fold(void **state)
{
	(void)state;
	static const uint32_t masks[] = {0, 1, 0x20, 0x2a, 0x3f, 0x38, 0x11};
	hel_prng g;
	test_prng(&g, 1);
	for (size_t m = 0; m < HEL_ARRAY_LEN(masks); m++)
		for (unsigned radix = 1; radix <= 8; radix++) {
			hel_program p = {.manifest = &(hel_manifest){0}};
			hel_builder b = {.p = &p, .slots = SLOTS};
			int64_t before[SLOTS], value[SLOTS];
			for (int i = 0; i < SLOTS; i++)
				before[i] = value[i] = (int64_t)(hel_prng_u64(&g) >> 40);
			assert_ok(hel_emit_fold(&b, masks[m], radix));
			const unsigned bits = (unsigned)__builtin_popcount(masks[m]);
			assert_equal(p.ops, (bits + radix - 1) / radix);
			for (uint32_t i = 0; i < p.ops; i++)
				follow(value, &p.op[i]);
			for (uint32_t i = 0; i < SLOTS; i++) {
				int64_t want = 0;
				for (uint32_t k = 0; k < SLOTS; k++)
					want += (k & ~masks[m]) == i ? before[k] : 0;
				if (!(i & masks[m]))
					assert_equal(value[i], want);
			}
			p.manifest = NULL;
			for (uint32_t i = 0; i < p.ops; i++)
				hel_op_clear(&p.op[i]);
			hel_free(p.op);
		}
	assert_status(HEL_EINVAL, hel_emit_fold(&(hel_builder){0}, 1, 0));
	assert_status(HEL_EINVAL, hel_emit_fold(&(hel_builder){0}, 1, 9));
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_fold)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
