/* draft.h -- a manifest as a server may write it: an honest one of heart, and anything changed. */
#ifndef HEL_TEST_DRAFT_H
#define HEL_TEST_DRAFT_H

#include "features/coding.h"
#include "heart_schema.h"
#include "net/client/client_inside.h"

/* A manifest as a hostile server writes one: an honest one, then anything changed. */
typedef struct draft {
	hel_manifest m;
	hel_schema *s;
	hel_input input[80];
	hel_piece piece[8];
	hel_key_request key;
} draft;

static inline void draft_begin(draft *d)
{
	*d = (draft){.s = heart_schema(3, 100, 20, 4)};
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

/* The client of a manifest that `write` changed, NULL where it is refused; that has to be as
 * expected. */
static inline hel_client *draft_open(const char *name, void (*write)(draft *), bool accepted,
				     const uint8_t secret[HEL_SECRET_BYTES])
{
	draft d;
	hel_client *c = NULL;
	hel_writer w = {0};
	draft_begin(&d);
	write(&d);
	draft_end(&w, &d);
	const hel_status st = hel_client_open(&c, w.bytes, w.size, NULL, secret);
	if ((st == HEL_OK) != accepted)
		fail_msg("%s: %s (%s)", name, hel_status_text(st),
			 st == HEL_OK ? "" : hel_error_detail());
	hel_writer_clear(&w);
	return c;
}

#endif
