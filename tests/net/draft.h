/* draft.h -- a manifest as a server may write it: an honest one of heart, and anything changed. */
#ifndef HEL_TEST_DRAFT_H
#define HEL_TEST_DRAFT_H

#include "../features/vocabulary.h"
#include "features/coding.h"
#include "net/client/client_inside.h"

/* A manifest as a hostile server writes one: an honest one, then anything changed. */
typedef struct draft {
	hel_manifest m;
	hel_schema *s;
	hel_input input[80];
	hel_piece piece[8];
	hel_key_request key;
} draft;

static inline hel_schema *honest_schema(void)
{
	hel_schema *s;
	size_t dense = 0, tables = 0;
	assert_ok(hel_schema_new(&s, 5, 8));
	strcpy(s->dataset, "heart");
	s->clip = 3;
	for (size_t i = 0; i < hel_dataset_by_name("heart")->columns; i++) {
		const hel_column *column = &hel_dataset_by_name("heart")->column[i];
		if (column->kind == HEL_DENSE) {
			hel_dense_field *d = &s->dense[dense++];
			strcpy(d->name, column->name);
			d->mean = 100;
			d->deviation = 20;
		} else if (column->kind == HEL_CATEGORICAL) {
			hel_table_field *t = &s->table[tables++];
			strcpy(t->name, column->name);
			t->digits = 1;
			list_values(t, 4, "%u");
		}
	}
	return s;
}

static inline void draft_begin(draft *d)
{
	*d = (draft){.s = honest_schema()};
	d->key = (hel_key_request){5, 0};
	d->m = (hel_manifest){.model = hel_strdup("m"),
			      .params = {12, 0, 1, 30, 1, 1},
			      .degree = 1,
			      .inputs = 1,
			      .input = d->input,
			      .samples = 16,
			      .bound = 3,
			      .bits = 15,
			      .bits_contributed = 15,
			      .bits_model = 15,
			      .unit = 1,
			      .spread = 1,
			      .largest = 1,
			      .keys = 1,
			      .key = &d->key};
	d->input[0].layout = (hel_layout){11, 6, {0, 1, 2, 3, 4, 5}, 45};
}

/* As a file: features counted, the schema as JSON. */
static inline void draft_end(hel_writer *w, draft *d)
{
	if (!d->m.features)
		d->m.features = (uint32_t)hel_features_width(d->s, d->m.degree);
	assert_ok(hel_schema_to_json(&d->m.schema, d->s));
	w->size = 0;
	assert_ok(hel_manifest_write(w, &d->m));
	hel_free(d->m.schema);
	hel_free(d->m.model);
	hel_schema_free(d->s);
}

#endif
