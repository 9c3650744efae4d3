/* Embedding kinds as people write them: full, hash(m), digits(base), digits(base,count),
 * frequent(K), frequent(K)+digits(base), frequent(K)+hash(m), rates(B), frequent(K)+rates(B). */
#include "embedding.h"
#include "schema.h"
#include <stdlib.h>
#include <string.h>

static hel_status bad_embedding(const char *text)
{
	return hel_fail(
	    HEL_EINVAL,
	    "'%.60s' is no embedding; expected full, hash(ROWS), digits(BASE), "
	    "digits(BASE,DIGITS), "
	    "frequent(VALUES), frequent(VALUES)+digits(BASE), frequent(VALUES)+hash(ROWS), "
	    "rates(BUCKETS) or frequent(VALUES)+rates(BUCKETS)",
	    text);
}

/* "name(number)": the number, or 0 when the text does not start so. *end: behind it. */
static uint32_t call_of(const char *text, const char *name, uint32_t low, const char **end)
{
	const size_t n = strlen(name);
	if (strncmp(text, name, n) != 0 || text[n] != '(' || text[n + 1] < '0' || text[n + 1] > '9')
		return 0;
	char *after;
	unsigned long v = strtoul(text + n + 1, &after, 10);
	if (*after != ')' || v < low || v > HEL_MAX_OWN)
		return 0;
	*end = after + 1;
	return (uint32_t)v;
}

/* "digits(base)" or "digits(base,count)": the base, or 0. */
static uint32_t digits_of(uint32_t *count, const char *text, const char **end)
{
	unsigned base;
	int length = 0;
	*count = 0;
	if (sscanf(text, "digits(%9u,%2u)%n", &base, count, &length) == 2 && length && base >= 2 &&
	    *count >= 2 && *count <= HEL_MAX_DIGITS && !strpbrk(text, " +-")) {
		*end = text + length;
		return base;
	}
	*count = 0;
	return call_of(text, "digits", 2, end);
}

hel_status hel_embedding_parse(hel_embedding *out, const char *text)
{
	hel_embedding e = {0};
	const char *at = text;
	if (strcmp(text, "full") == 0) {
		*out = (hel_embedding){.own = HEL_ALL_VALUES};
		return HEL_OK;
	}
	if (strncmp(text, "frequent(all)", 13) == 0) {
		e.own = HEL_ALL_VALUES;
		at += 13;
	} else
		e.own = call_of(text, "frequent", 1, &at);
	if (e.own && *at == '+')
		at++;
	else if (e.own && *at)
		return bad_embedding(text);
	if (strncmp(at, "rates(", 6) == 0) {
		const char *tail = at;
		e.buckets = call_of(tail, "rates", 1, &at);
		if (!e.buckets || *at)
			return bad_embedding(text);
		if (e.buckets > HEL_MAX_BUCKETS)
			return hel_fail(HEL_EINVAL, "'%.60s': at most %d buckets", text,
					HEL_MAX_BUCKETS);
	} else if (*at || !e.own) {
		const char *tail = at;
		e.base = digits_of(&e.digits, tail, &at);
		if (!e.base) {
			e.base = call_of(tail, "hash", 1, &at);
			e.digits = 1;
		}
		if (!e.base)
			return bad_embedding(text);
		if (e.base > HEL_MAX_BASE)
			return hel_fail(HEL_EINVAL, "'%.60s': at most %u rows can be hashed to",
					text, HEL_MAX_BASE);
	} else if (at[-1] == '+')
		return bad_embedding(text);
	if (*at)
		return bad_embedding(text);
	*out = e;
	return HEL_OK;
}

void hel_embedding_describe(char *out, size_t size, hel_embedding e)
{
	char own[32] = "", tail[32] = "";
	if (e.own == HEL_ALL_VALUES)
		snprintf(own, sizeof own, e.base || e.buckets ? "frequent(all)" : "full");
	else if (e.own)
		snprintf(own, sizeof own, "frequent(%u)", e.own);
	if (e.buckets)
		snprintf(tail, sizeof tail, "rates(%u)", e.buckets);
	else if (e.digits > 1)
		snprintf(tail, sizeof tail, "digits(%u,%u)", e.base, e.digits);
	else if (e.base)
		snprintf(tail, sizeof tail, e.digits == 1 ? "hash(%u)" : "digits(%u)", e.base);
	snprintf(out, size, "%s%s%s", own, *own && *tail ? "+" : "", tail);
}

hel_embedding_plan hel_embedding_plan_default(void)
{
	return (hel_embedding_plan){
	    .kind = {.own = HEL_ALL_VALUES}, .threshold = 2000, .min_count = 2};
}

hel_embedding hel_embedding_of(const hel_embedding_plan *plan, const char *table, uint64_t values)
{
	for (size_t i = 0; i < plan->exceptions; i++)
		if (strcmp(plan->exception[i].table, table) == 0)
			return plan->exception[i].kind;
	return values > plan->threshold
		   ? plan->kind
		   : (hel_embedding){.own = HEL_ALL_VALUES, .buckets = plan->kind.buckets};
}
