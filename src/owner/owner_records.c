/* Rows of a model's columns. */
#include "owner_inside.h"
#include <string.h>

void hel_records_free(hel_records *r)
{
	if (!r)
		return;
	hel_dataset_drop(r->set);
	hel_records_clear(r);
	hel_free(r);
}

size_t hel_records_rows(const hel_records *r)
{
	return r->count;
}

hel_status hel_records_of_text(hel_records **out, const hel_recommender *model, const char *text,
			       size_t size)
{
	hel_status st = HEL_OK;
	hel_records *r = NULL;
	const hel_dataset *set = model->m->schema->set;
	TRY_ALLOC(r, hel_alloc(1, sizeof *r));
	TRY(hel_records_parse(r, set, "records", text, size));
	r->set = hel_dataset_keep(set);
	*out = r;
	r = NULL;
done:
	hel_records_free(r);
	return st;
}

hel_status hel_records_of_files(hel_records **out, const hel_recommender *model,
				const char *const *paths, size_t count)
{
	hel_status st = HEL_OK;
	hel_records *r = NULL;
	const hel_dataset *set = model->m->schema->set;
	TRY_ALLOC(r, hel_alloc(1, sizeof *r));
	TRY(hel_records_read(r, set, paths, count));
	r->set = hel_dataset_keep(set);
	*out = r;
	r = NULL;
done:
	hel_records_free(r);
	return st;
}

/* Models of one description read each other's records. */
static hel_status check_columns(const hel_dataset *theirs, const hel_dataset *ours)
{
	hel_status st = HEL_OK;
	char *a = NULL, *b = NULL;
	if (theirs == ours)
		return HEL_OK;
	TRY(hel_dataset_to_json(&a, theirs));
	TRY(hel_dataset_to_json(&b, ours));
	if (strcmp(a, b) != 0)
		FAIL(HEL_EPARAMS, "these records are of the columns of '%s', not of this model's",
		     theirs->name);
done:
	hel_free(a);
	hel_free(b);
	return st;
}

hel_status hel_owner_samples(hel_samples *out, const hel_dlrm *m, const hel_records *r,
			     bool labelled, hel_unknown policy)
{
	hel_status st = HEL_OK;
	TRY(check_columns(r->set, m->schema->set));
	if (labelled && !r->labelled)
		FAIL(HEL_EDATA, "%s: the row has no label", r->unlabelled);
	if (!m->schema->set->small) /* rare values are the missing one's, as in training */
		policy = HEL_UNKNOWN_IS_MISSING;
	TRY(hel_samples_new(out, m->schema, r, NULL, r->count, policy));
done:
	return st;
}
