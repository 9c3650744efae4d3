#include "../testing.h"
#include "base/progress.h"
#include <string.h>

/* The clock stands still but for what the test says: linked in the place of hel_clock. */
static double now;
double __wrap_hel_clock(void);
double __wrap_hel_clock(void)
{
	return now;
}

static const char *line(void)
{
	static char text[HEL_PROGRESS_LINE];
	hel_progress_line(text);
	return text;
}

static void test_line(void **state)
{
	(void)state;
	hel_progress p;
	now = 1000;
	assert_string_equal("", line());
	hel_progress_begin(&p, "working");
	now += 1.9;
	assert_string_equal("", line()); /* quick work is not told of */
	now += 1.1;
	assert_string_equal("working: 3 s so far", line());
	now += 1; /* a quarter in 4 s: 12 are left */
	hel_progress_step(&p, 0.25);
	assert_string_equal("working: 25 %, about 12 s left", line());
	now += 5; /* it comes down by itself */
	assert_string_equal("working: 25 %, about 7 s left", line());
	hel_progress_step(&p, 0.125); /* and never goes back */
	assert_string_equal("working: 25 %, about 7 s left", line());
	now += 100; /* later than the pace promised: nobody says "0 s left" */
	assert_string_equal("working: 25 %, 109 s so far", line());
	const hel_progress_span whole = hel_progress_within(&p, 0.5, 0.75);
	const hel_progress_span quarter = hel_progress_within(&p, 0.2, 0.6);
	hel_progress_step(&p, 0.5); /* 0.4 of a quarter, after the first half */
	assert_string_equal("working: 60 %, about 73 s left", line());
	hel_progress_leave(&p, quarter); /* 0.6 of it, without having said so */
	assert_string_equal("working: 65 %, about 59 s left", line());
	hel_progress_step(&p, 0.8); /* of the quarter again */
	assert_string_equal("working: 70 %, about 47 s left", line());
	hel_progress_leave(&p, whole);
	assert_string_equal("working: 75 %, about 36 s left", line());
	hel_progress_leave(NULL, hel_progress_within(NULL, 0, 1));
	hel_progress_step(NULL, 0.5);
	hel_progress_note(&p, 1, "writing");
	assert_string_equal("working: 100 %, writing, 109 s so far", line());
	hel_progress_end(&p);
	assert_string_equal("", line());
	hel_progress_end(&p);
}

/* Work inside work is named in the line of the outer, which goes on as it was. */
static void test_nested(void **state)
{
	(void)state;
	hel_progress outer, inner, many[20];
	now = 50;
	hel_progress_begin(&outer, "compiling");
	now += 10;
	hel_progress_step(&outer, 0.5);
	hel_progress_begin(&inner, "measuring");
	hel_progress_step(&inner, 0.01);
	assert_string_equal("compiling: 50 %, measuring, about 10 s left", line());
	hel_progress_end(&inner);
	assert_string_equal("compiling: 50 %, about 10 s left", line());
	/* left open by failures, begun again, more than there is room for */
	for (int i = 0; i < 20; i++)
		hel_progress_begin(&many[i], "deep");
	hel_progress_begin(&many[3], "again");
	hel_progress_end(&outer);
	assert_string_equal("", line());
	hel_progress_begin(&outer, "anew");
	now += 3;
	assert_string_equal("anew: 3 s so far", line());
	hel_progress_hide();
	assert_string_equal("", line());
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_line),
	    cmocka_unit_test(test_nested),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
