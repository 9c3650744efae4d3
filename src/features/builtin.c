/* Data sets that are compiled in, by name. */
#include "dataset.h"
#include <string.h>

static const hel_builtin *const builtins[] = {
#define X(name) &hel_builtin_##name,
    HEL_DATASET_LIST(X)
#undef X
};

/* Each is read from its text when it is first asked for, and from then on never changes. */
static hel_dataset *known[HEL_ARRAY_LEN(builtins)];

const hel_dataset *hel_dataset_number(size_t number)
{
	hel_dataset *set, *none = NULL;
	if (number >= HEL_ARRAY_LEN(builtins))
		return NULL;
	if ((set = __atomic_load_n(&known[number], __ATOMIC_ACQUIRE)))
		return set;
	const hel_builtin *b = builtins[number];
	if (hel_dataset_from_json(&set, b->text, strlen(b->text)) != HEL_OK)
		return NULL;
	set->synthesise = b->synthesise;
	set->implied = b->implied;
	set->uses = 0; /* nobody's: it stays */
	if (__atomic_compare_exchange_n(&known[number], &none, set, false, __ATOMIC_ACQ_REL,
					__ATOMIC_ACQUIRE))
		return set;
	set->uses = 1; /* another thread was first */
	hel_dataset_drop(set);
	return none;
}

const hel_dataset *hel_dataset_by_name(const char *name)
{
	static const char *const names[] = {
#define X(name) #name,
	    HEL_DATASET_LIST(X)
#undef X
	};
	for (size_t i = 0; i < HEL_ARRAY_LEN(names); i++)
		if (strcmp(names[i], name) == 0)
			return hel_dataset_number(i);
	hel_fail(HEL_EINVAL, "unknown data set '%.60s'; known: %s", name, hel_dataset_names());
	return NULL;
}

const char *hel_dataset_names(void)
{
#define X(name) ", " #name
	return &(HEL_DATASET_LIST(X))[2];
#undef X
}
