/* Who owns a data set, and its columns by name and number. */
#include "dataset.h"
#include <math.h>
#include <string.h>

/* 0: one that was compiled in, which nobody frees. */
static unsigned long uses_of(const hel_dataset *s)
{
	return __atomic_load_n(&s->uses, __ATOMIC_RELAXED);
}

const hel_dataset *hel_dataset_keep(const hel_dataset *set)
{
	hel_dataset *s = (hel_dataset *)(uintptr_t)set;
	if (s && uses_of(s))
		__atomic_add_fetch(&s->uses, 1, __ATOMIC_RELAXED);
	return set;
}

void hel_dataset_drop(const hel_dataset *set)
{
	hel_dataset *s = (hel_dataset *)(uintptr_t)set;
	if (!s || !uses_of(s) || __atomic_sub_fetch(&s->uses, 1, __ATOMIC_ACQ_REL))
		return;
	hel_free(s->column);
	hel_free(s);
}

const hel_column *hel_dataset_column(const hel_dataset *set, const char *name)
{
	for (size_t i = 0; i < set->columns; i++)
		if (strcmp(set->column[i].name, name) == 0)
			return &set->column[i];
	return NULL;
}

const hel_column *hel_dataset_nth(const hel_dataset *set, hel_column_kind kind, size_t nth)
{
	for (size_t i = 0; i < set->columns; i++)
		if (set->column[i].kind == kind && set->column[i].nth == nth)
			return &set->column[i];
	return NULL;
}

double hel_column_raw(const hel_column *c, double v)
{
	return c->log ? expm1(v) - (c->plus - 1) : v;
}
