/* Data sets by name. */
#include "dataset.h"
#include <string.h>

static const hel_dataset *const datasets[] = {
#define X(name) &hel_dataset_##name,
    HEL_DATASET_LIST(X)
#undef X
};

const hel_dataset *hel_dataset_number(size_t number)
{
	return number < HEL_ARRAY_LEN(datasets) ? datasets[number] : NULL;
}

const hel_dataset *hel_dataset_by_name(const char *name)
{
	for (size_t i = 0; i < HEL_ARRAY_LEN(datasets); i++)
		if (strcmp(datasets[i]->name, name) == 0)
			return datasets[i];
	hel_fail(HEL_EINVAL, "unknown data set '%s'; known: %s", name, hel_dataset_names());
	return NULL;
}

const char *hel_dataset_names(void)
{
#define X(name) ", " #name
	return &(HEL_DATASET_LIST(X))[2];
#undef X
}
