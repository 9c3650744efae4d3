/* heart_schema.h -- schemas with the columns of heart, and nothing learned from records. */
#ifndef HEL_TEST_HEART_SCHEMA_H
#define HEL_TEST_HEART_SCHEMA_H

#include "../features/vocabulary.h"
#include "../testing.h"

#define HEART_DENSE 5
#define HEART_TABLES 8

/* All dense columns have this mean and deviation, all tables the values 0, 1, ... */
static inline hel_schema *heart_schema(double clip, double mean, double deviation, uint32_t values)
{
	hel_schema *s;
	size_t dense = 0, tables = 0;
	const hel_dataset *set = hel_dataset_by_name("heart");
	assert_ok(hel_schema_new(&s, HEART_DENSE, HEART_TABLES));
	strcpy(s->dataset, "heart");
	s->clip = clip;
	for (size_t i = 0; i < set->columns; i++) {
		const hel_column *column = &set->column[i];
		if (column->kind == HEL_DENSE) {
			hel_dense_field *d = &s->dense[dense++];
			strcpy(d->name, column->name);
			d->mean = mean;
			d->deviation = deviation;
		} else if (column->kind == HEL_CATEGORICAL) {
			hel_table_field *t = &s->table[tables++];
			strcpy(t->name, column->name);
			t->digits = 1;
			list_values(t, values, "%u");
		}
	}
	return s;
}

#endif
