/* cohort.h -- synthetic heart records for tests. */
#ifndef HEL_TEST_COHORT_H
#define HEL_TEST_COHORT_H

#include "../testing.h"
#include "features/records.h"

static inline void make_cohort(hel_records *r, size_t rows, uint64_t stream)
{
	char *text = NULL;
	size_t size;
	hel_prng g;
	test_prng(&g, stream);
	FILE *f = open_memstream(&text, &size);
	hel_dataset_by_name("heart")->synthesise(f, rows, &g);
	fclose(f);
	assert_ok(hel_records_parse(r, hel_dataset_by_name("heart"), "cohort", text, size));
	free(text);
}

#endif
