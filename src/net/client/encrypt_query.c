/* Records become a query. */
#include "client_inside.h"
#include "features/coding.h"
#include <math.h>
#include <stdarg.h>
#include <string.h>

hel_status hel_client_check_count(const hel_client *c, size_t count)
{
	const size_t most = hel_client_batch(c);
	return count && count <= most
		   ? HEL_OK
		   : hel_fail(HEL_EINVAL,
			      most > 1 ? "%zu records in one query; '%s' takes 1 to %zu at once"
				       : "%zu records in one query; '%s' takes %zu at a time (more "
					 "with 'helrm compile --batch')",
			      count, c->manifest->model, most);
}

/* Features of a batch, one record after the other. */
typedef struct batch {
	size_t count;
	double *features;
	hel_complex *record, *slots; /* of one input */
} batch;

/* Places without a record repeat the last one: what holds for records holds for all places. */
static void fill_slots(const batch *b, const hel_manifest *m, const hel_input *in)
{
	const size_t records = (size_t)1 << m->log_batch;
	const size_t own = (size_t)1 << hel_manifest_log_slots(m);
	for (size_t r = 0; r < records; r++) {
		if (r < b->count)
			hel_input_fill(b->record, in, b->features + r * m->features);
		for (size_t q = 0; q < own; q++)
			b->slots[q * records + r] = b->record[q];
	}
}

static hel_status encrypt_input(hel_writer *w, const hel_client *c, const hel_input *in,
				const batch *b, hel_ct *ct)
{
	hel_status st = HEL_OK;
	hel_pt *pt = NULL;
	uint8_t seed[HEL_SEED_BYTES];
	fill_slots(b, c->manifest, in);
	TRY(hel_encode(&pt, c->params, b->slots, in->level, HEL_FOR_ADD));
	if (c->secret) {
		TRY(hel_encrypt_seeded(ct, seed, c->secret, pt));
		hel_ct_write_seeded(w, ct, seed);
	} else {
		TRY(hel_encrypt_public(ct, c->public, pt));
		hel_ct_write(w, ct);
	}
	st = w->status;
done:
	hel_pt_free(pt);
	return st;
}

/* What a record holds must not decide whether its query comes: nothing in here may fail by it. */
static hel_status fill_features(const batch *b, const hel_client *c, const hel_records *records,
				size_t first)
{
	hel_status st = HEL_OK;
	const size_t dense = c->schema->dense_count, hots = hel_schema_hots(c->schema);
	double *values = NULL;
	uint32_t *hot = NULL;
	TRY_ALLOC(values, hel_secret_alloc(dense, sizeof *values));
	TRY_ALLOC(hot, hel_secret_alloc(hots, sizeof *hot));
	for (size_t r = 0; r < b->count; r++) {
		TRY(hel_schema_apply(c->schema, records, first + r, HEL_UNKNOWN_IS_MISSING, values,
				     hot, NULL));
		hel_features_fill(b->features + r * c->manifest->features, c->schema, values, hot,
				  c->manifest->degree);
		hel_client_leave_items(b->features + r * c->manifest->features, c->manifest);
	}
done:
	hel_secret_free(values);
	hel_secret_free(hot);
	return st;
}

hel_status hel_client_encrypt(hel_writer *w, const hel_client *c, const hel_records *records,
			      size_t first, size_t count)
{
	hel_status st = HEL_OK;
	const hel_manifest *m = c->manifest;
	const size_t slots = hel_params_slots(c->params);
	const size_t own = (size_t)1 << hel_manifest_log_slots(m);
	batch b = {.count = count};
	hel_ct *ct = NULL;
	if (!c->secret && !c->public)
		FAIL(HEL_EINVAL, "no key to encrypt with");
	TRY(hel_client_check_count(c, count));
	if (first >= records->count || count > records->count - first)
		FAIL(HEL_EINVAL, "records %zu to %zu of %zu", first + 1, first + count,
		     records->count);
	TRY_ALLOC(b.features, hel_secret_alloc(count * m->features, sizeof *b.features));
	TRY_ALLOC(b.record, hel_secret_alloc(own, sizeof *b.record));
	TRY_ALLOC(b.slots, hel_secret_alloc(slots, sizeof *b.slots));
	TRY(hel_ct_new(&ct, c->params));
	TRY(fill_features(&b, c, records, first));
	hel_container_begin(w, HEL_KIND_QUERY);
	hel_write_bytes(w, m->id, sizeof m->id);
	hel_write_bytes(w, c->id, sizeof c->id);
	hel_write_u8(w, c->secret ? HEL_CT_SEEDED : HEL_CT_FULL);
	hel_write_u32(w, m->inputs);
	for (uint32_t i = 0; i < m->inputs; i++)
		TRY(encrypt_input(w, c, &m->input[i], &b, ct));
	st = hel_container_end(w);
done:
	hel_secret_free(b.features);
	hel_secret_free(b.record);
	hel_secret_free(b.slots);
	hel_ct_free(ct);
	return st;
}

hel_status hel_client_records(hel_records *out, const hel_client *c, const char *name,
			      const char *text, size_t size, size_t least)
{
	return c->set->implied ? hel_records_parse(out, c->set, name, text, size)
			       : hel_records_take(out, c->set, name, text, size, least);
}

hel_status hel_client_count(size_t *count, const hel_client *c, const char *text, size_t size)
{
	hel_records records = {0};
	hel_status st = hel_client_records(&records, c, "input", text, size, 1);
	if (st == HEL_OK)
		*count = records.count;
	hel_records_clear(&records);
	return st;
}

hel_status hel_client_query_batch(uint8_t **query, size_t *query_size, const hel_client *c,
				  const char *text, size_t size, size_t first, size_t count)
{
	hel_status st = HEL_OK;
	hel_records records = {0};
	hel_writer w = {0};
	TRY(hel_client_check_count(c, count));
	TRY(hel_client_records(&records, c, "input", text, size, first + count));
	TRY(hel_client_encrypt(&w, c, &records, first, count));
	*query = w.bytes;
	*query_size = w.size;
	w = (hel_writer){0};
done:
	hel_writer_clear(&w);
	hel_records_clear(&records);
	return st;
}

hel_status hel_client_query(uint8_t **query, size_t *query_size, const hel_client *c,
			    const char *text, size_t size, size_t record)
{
	return hel_client_query_batch(query, query_size, c, text, size, record, 1);
}

/* --- what a query does not carry ---------------------------------------------------------- */

static void doubt(hel_doubts *d, size_t row, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The first one is told. */
static void doubt(hel_doubts *d, size_t row, const char *format, ...)
{
	if (*d->text)
		return;
	va_list args;
	const int n = hel_print(d->text, sizeof d->text, "record %zu: ", row + 1);
	va_start(args, format);
	hel_print_list(d->text + n, sizeof d->text - (size_t)n, format, args);
	va_end(args);
}

/* Of a data set that is read as a stream the missing value's row is rare values', too: nothing is
 * wrong with one. */
static void compare_category(hel_doubts *d, const hel_client *c, const hel_table_field *t,
			     const char *text, size_t row)
{
	char known[96] = "", shown[HEL_EXCERPT_MAX];
	if (t->hashed || hel_table_row(t, text))
		return;
	for (uint32_t i = 0; i < t->values && i < 4; i++)
		if (strlen(t->value[i]) < sizeof known / 4 - 1)
			snprintf(known + strlen(known), sizeof known - strlen(known), "%s ",
				 t->value[i]);
	d->unknown += c->set->small;
	doubt(d, row, "unknown category '%s' for %s, sent as missing; known: %s%sor ? for missing",
	      hel_excerpt(shown, text), t->name, known, t->values > 4 ? "... " : "");
}

static void compare_number(hel_doubts *d, const hel_schema *s, size_t column, double v, size_t row,
			   const hel_column *c)
{
	const hel_dense_field *f = &s->dense[column];
	const double cut = s->clip * f->deviation, low = fmax(f->mean - cut, f->low),
		     high = fmin(f->mean + cut, f->high);
	if (!isnan(v) && v >= low && v <= high && (v < f->least || v > f->most)) {
		d->unseen++;
		doubt(d, row, "%s is %.6g, the model learned from about %.6g to %.6g", f->name,
		      hel_column_raw(c, v), hel_column_raw(c, f->least),
		      hel_column_raw(c, f->most));
	}
	if (isnan(v) || (v >= low && v <= high))
		return;
	d->cut++;
	doubt(d, row, "%s is %.6g, the model knows %.6g to %.6g: cut to that", f->name,
	      hel_column_raw(c, v), hel_column_raw(c, low), hel_column_raw(c, high));
}

void hel_client_compare(hel_doubts *out, const hel_client *c, const hel_records *records,
			size_t row)
{
	const hel_schema *s = c->schema;
	*out = (hel_doubts){0};
	if (records->state[row] & HEL_RECORD_UNREADABLE) {
		out->unknown++;
		doubt(out, row, "it cannot be read, and is sent as missing: %s",
		      records->unreadable);
	}
	if (records->state[row] & HEL_RECORD_CUT) {
		out->cut++;
		doubt(out, row,
		      "a bag has more entries or larger weights than the model takes: cut");
	}
	for (size_t i = 0; i < s->table_count; i++) {
		const hel_span cell = hel_records_cell(records, row, i);
		for (size_t k = cell.first; k < cell.first + cell.count; k++)
			compare_category(out, c, &s->table[i], hel_records_text(records, k), row);
	}
	for (size_t i = 0; i < s->dense_count; i++)
		compare_number(out, s, i, records->value[row * s->dense_count + i], row,
			       hel_dataset_nth(c->set, HEL_DENSE, i));
}

hel_status hel_client_doubts(hel_doubts *out, const hel_client *c, const char *text, size_t size,
			     size_t record)
{
	hel_status st = HEL_OK;
	hel_records records = {0};
	TRY(hel_client_records(&records, c, "input", text, size, record + 1));
	if (record >= records.count)
		FAIL(HEL_EINVAL, "record %zu of %zu", record + 1, records.count);
	hel_client_compare(out, c, &records, record);
done:
	hel_records_clear(&records);
	return st;
}

/* Whether it has the form of one of the built-in data sets, whatever its values are. */
static bool looks_built_in(const char *text, size_t size)
{
	const hel_dataset *set;
	for (size_t i = 0; (set = hel_dataset_number(i)); i++)
		if (set->implied && hel_records_look_like(set, text, size))
			return true;
	return false;
}

hel_status hel_client_check_input(size_t *records, bool *exact, const char *name, const char *text,
				  size_t size)
{
	char why[400] = "";
	size_t n = 0;
	const hel_dataset *set;
	*exact = true;
	for (size_t i = 0; (set = hel_dataset_number(i)); i++) {
		hel_records found = {0};
		if (!set->implied) /* as any other that a manifest describes */
			continue;
		const hel_status st = hel_records_parse(&found, set, name, text, size);
		*records = st == HEL_OK ? found.count : 0;
		hel_records_clear(&found);
		if (st == HEL_OK || st == HEL_ENOMEM)
			return st;
		n += (size_t)snprintf(why + n, sizeof why - n, "%s%s: %.150s", i ? "; " : "",
				      set->name, hel_error_detail());
		n = HEL_MIN(n, sizeof why - 1);
	}
	*exact = false;
	return looks_built_in(text, size)
		   ? hel_fail(HEL_EDATA, "%s holds no records of a known data set (%s)", name, why)
		   : hel_records_count(records, name, text, size);
}

hel_status hel_input_check(size_t *records, const char *text, size_t size)
{
	bool exact;
	return hel_client_check_input(records, &exact, "input", text, size);
}
