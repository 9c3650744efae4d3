#include "../testing.h"
#include "model/front.h"
#include <math.h>

static hel_choice random_choice(hel_prng *g)
{
	/* a few times and a few AUCs, so that there are equals */
	return (hel_choice){(double)(1 + (unsigned)(8 * hel_prng_unit(g))),
			    0.7 + floor(6 * hel_prng_unit(g)) / 100, hel_prng_unit(g) < 0.8};
}

/* A front by sorting: along it, time and AUC both grow. */
static void test_front(void **state)
{
	(void)state;
	enum { N = 20 };
	hel_prng g;
	test_prng(&g, 1);
	for (int round = 0; round < 200; round++) {
		hel_choice c[N];
		for (size_t i = 0; i < N; i++)
			c[i] = random_choice(&g);
		for (size_t i = 0; i < N; i++) {
			double quicker = -INFINITY, as_quick = -INFINITY;
			for (size_t k = 0; k < N; k++) {
				if (c[k].possible && c[k].seconds < c[i].seconds)
					quicker = fmax(quicker, c[k].auc);
				if (c[k].possible && c[k].seconds == c[i].seconds)
					as_quick = fmax(as_quick, c[k].auc);
			}
			const bool expected =
			    c[i].possible && c[i].auc > quicker && c[i].auc >= as_quick;
			assert_int_equal(hel_on_front(c, N, i), expected);
			if (expected) /* 0 where another is just as good and as quick */
				assert_true(hel_front_gain(c, N, i, 1) >= 0);
			else if (c[i].possible)
				assert_true(hel_front_gain(c, N, i, 1) <= 0);
		}
	}
}

static void test_gain(void **state)
{
	(void)state;
	const hel_choice c[] = {
	    {1, 0.70, true}, {2, 0.75, true}, {3, 0.74, true}, {2.5, 0.9, false}};
	assert_true(isinf(hel_front_gain(c, 4, 0, 1)));
	assert_within(hel_front_gain(c, 4, 1, 1), 0.05, 1e-12);
	assert_within(hel_front_gain(c, 4, 2, 1), -0.01, 1e-12);
	assert_within(hel_front_gain(c, 4, 0, 2.1), -0.05, 1e-12);
}

/* Where AUC is 1 - 1/ms the bend is known: the slope of the line from end to end, over log time. */
static void test_knee(void **state)
{
	(void)state;
	enum { N = 91 };
	hel_choice c[N];
	for (size_t i = 0; i < N; i++) {
		const double ms = 1 + (double)i / 10; /* 1 .. 10 */
		c[(i * 37) % N] = (hel_choice){ms, 1 - 1 / ms, true};
	}
	/* d(AUC)/d(log ms) = 1/ms equals 0.9 / log(10) at 2.558 */
	assert_within(c[hel_front_knee(c, N)].seconds, 2.558, 0.051);
	/* scales of either axis change nothing, nor does what is dominated or impossible */
	const double knee = c[hel_front_knee(c, N)].seconds;
	c[5].possible = c[6].possible = false;
	for (size_t i = 0; i < N; i++) {
		c[i].seconds *= 1e-3;
		c[i].auc = 0.7 + 0.01 * c[i].auc;
	}
	assert_within(c[hel_front_knee(c, N)].seconds, 1e-3 * knee, 0.11e-3);
	/* one, two in a line, none */
	const hel_choice two[] = {{2, 0.8, true}, {1, 0.7, true}, {3, 0.6, true}};
	assert_int_equal(hel_front_knee(two, 3), 0);
	assert_int_equal(hel_front_knee(two + 1, 1), 0);
	const hel_choice none[] = {{1, 0.7, false}};
	assert_int_equal(hel_front_knee(none, 1), 1);
}

static void test_within(void **state)
{
	(void)state;
	const hel_choice c[] = {{1, 0.70, true}, {2, 0.75, true}, {4, 0.76, true}, {1, 0.9, false}};
	assert_int_equal(hel_quickest_within(c, 4, 0), 2);
	assert_int_equal(hel_quickest_within(c, 4, 0.0101), 1);
	assert_int_equal(hel_quickest_within(c, 4, 0.5), 0);
	assert_int_equal(hel_quickest_within(c + 3, 1, 0.5), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_front),
	    cmocka_unit_test(test_gain),
	    cmocka_unit_test(test_knee),
	    cmocka_unit_test(test_within),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
