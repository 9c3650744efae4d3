/* The table of methods. */
#include "method.h"
#include <string.h>

static const hel_method *const methods[HEL_LOOKUP_METHODS] = {
    [HEL_LOOKUP_FULL] = &hel_method_full,     [HEL_LOOKUP_DIGITS] = &hel_method_digits,
    [HEL_LOOKUP_CODED] = &hel_method_coded,   [HEL_LOOKUP_ROOTS] = &hel_method_roots,
    [HEL_LOOKUP_POWERS] = &hel_method_powers, [HEL_LOOKUP_GRID] = &hel_method_grid,
};

const hel_method *hel_method_of(hel_lookup_method method)
{
	return methods[method];
}

const char *hel_lookup_name(hel_lookup_method method)
{
	return (unsigned)method < HEL_LOOKUP_METHODS ? methods[method]->name : "?";
}

bool hel_lookup_keeps_rows(hel_lookup_method method)
{
	return methods[method]->keeps_rows;
}

hel_status hel_lookup_method_parse(hel_lookup_method *out, const char *name)
{
	char known[120] = "";
	for (int i = 0; i < HEL_LOOKUP_METHODS; i++) {
		if (strcmp(name, methods[i]->name) == 0) {
			*out = (hel_lookup_method)i;
			return HEL_OK;
		}
		const size_t n = strlen(known);
		snprintf(known + n, sizeof known - n, "%s%s", i ? ", " : "", methods[i]->name);
	}
	return hel_fail(HEL_EINVAL, "method '%s' is unknown; expected one of %s", name, known);
}
