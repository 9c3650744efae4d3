#include "limits.h"
#include "codings.h"
#include "features/coding.h"
#include <math.h>

bool hel_limits_tighten(hel_objective *o, const hel_compile_report *r,
			const hel_compile_options *limit)
{
	const struct {
		size_t is, most;
		double *worth;
	} checks[] = {
	    {r->key_bytes, limit->max_key_bytes, &o->key_byte},
	    {r->query_bytes, limit->max_query_bytes, &o->query_byte},
	    {r->memory_bytes, limit->max_memory_bytes, &o->memory_byte},
	};
	bool exceeded = false;
	for (size_t i = 0; i < HEL_ARRAY_LEN(checks); i++)
		if (checks[i].most && checks[i].is > checks[i].most) {
			*checks[i].worth = fmax(4 * *checks[i].worth, 1e-9);
			exceeded = true;
		}
	return exceeded;
}

hel_status hel_limits_unmet(const hel_compile_report *r)
{
	return hel_fail(HEL_ELIMIT,
			"no plan was found within the limits; the closest has keys of %.1f MB, "
			"queries of %.3f MB and needs %.0f MB of memory",
			(double)r->key_bytes / 1e6, (double)r->query_bytes / 1e6,
			(double)r->memory_bytes / 1e6);
}

hel_status hel_limits_codings(const hel_schema *s, const hel_compile_options *o)
{
	hel_status st = HEL_OK;
	for (size_t i = 0; o->coding && i < s->table_count; i++) {
		const hel_table_field *t = &s->table[i];
		const uint32_t order = hel_table_order(t);
		const hel_coding c = o->coding[i];
		const hel_code *code = c == HEL_CODINGS ? NULL : hel_code_of(c);
		if (code && c != HEL_CODING_ONE_HOT && t->bag.limit)
			FAIL(HEL_EUNSUPPORTED,
			     "table %s is a bag: %s is of one value at a time, bags travel as "
			     "counts "
			     "or weights (onehot)",
			     t->name, hel_coding_name(c));
		if (code && code->selects && t->digits > 1)
			FAIL(HEL_EUNSUPPORTED,
			     "table %s: %s takes one entry at a time, the table adds up %u rows",
			     t->name, hel_coding_name(c), t->digits);
		if (code && code->max_order && order > code->max_order)
			FAIL(HEL_EUNSUPPORTED,
			     "table %s: %s tells apart at most %u rows, %s has %u; train it with "
			     "%sdigits (an \"embedding\" of \"digits(16)\", say), or use %s",
			     t->name, hel_coding_name(c), code->max_order,
			     t->digits > 1 ? "a digit, none included," : "the table", order,
			     t->digits > 1 ? "shorter " : "", t->digits > 1 ? "onehot" : "grid");
	}
done:
	return st;
}
