#include "../testing.h"
#include "features/embedding.h"

static void test_kinds(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		hel_embedding kind;
	} good[] = {
	    {"full", {HEL_ALL_VALUES, 0, 0}},
	    {"hash(1000)", {0, 1000, 1}},
	    {"digits(16)", {0, 16, 0}},
	    {"digits(4,12)", {0, 4, 12}},
	    {"frequent(512)", {512, 0, 0}},
	    {"frequent(512)+digits(4)", {512, 4, 0}},
	    {"frequent(512)+hash(64)", {512, 64, 1}},
	    {"frequent(all)+digits(2)", {HEL_ALL_VALUES, 2, 0}},
	};
	for (size_t i = 0; i < HEL_ARRAY_LEN(good); i++) {
		hel_embedding e;
		char text[80];
		assert_ok(hel_embedding_parse(&e, good[i].text));
		assert_memory_equal(&good[i].kind, &e, sizeof e);
		hel_embedding_describe(text, sizeof text, e);
		assert_string_equal(good[i].text, text);
	}
	static const char *const bad[] = {"",
					  "ful",
					  "fuller",
					  "hash",
					  "hash()",
					  "hash(0)",
					  "hash(-1)",
					  "hash(1.5)",
					  "digits(1)",
					  "digits(16",
					  "digits(4,1)",
					  "digits(4,33)",
					  "digits(4,-3)",
					  "digits(4, 3)",
					  "digits(1,3)",
					  "digits(4,3",
					  "digits(16)x",
					  "digits(99999999)",
					  "hash(2000000)",
					  "frequent(0)",
					  "frequent(5)+",
					  "frequent(5)digits(4)",
					  "frequent(5)+full",
					  "frequent(5)+frequent(6)",
					  "digits(4)+frequent(5)",
					  "frequent(99999999999999999999)",
					  "frequent(some)"};
	for (size_t i = 0; i < HEL_ARRAY_LEN(bad); i++) {
		hel_embedding e;
		if (hel_embedding_parse(&e, bad[i]) != HEL_EINVAL)
			fail_msg("'%s' was accepted", bad[i]);
	}
}

static void test_plan(void **state)
{
	(void)state;
	hel_embedding_plan p = hel_embedding_plan_default();
	p.kind = (hel_embedding){5, 4, 0};
	p.threshold = 100;
	p.exceptions = 1;
	strcpy(p.exception[0].table, "C2");
	p.exception[0].kind = (hel_embedding){0, 7, 1};
	assert_int_equal(HEL_ALL_VALUES, hel_embedding_of(&p, "C1", 100).own);
	assert_int_equal(5, hel_embedding_of(&p, "C1", 101).own);
	assert_int_equal(7, hel_embedding_of(&p, "C2", 3).base);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_kinds),
	    cmocka_unit_test(test_plan),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
