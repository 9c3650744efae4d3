#include "eval.h"
#include <string.h>

static hel_status ct_new(hel_ct **out, const hel_params *p, hel_scratch *home)
{
	hel_status st = HEL_OK;
	hel_ct *ct = NULL;
	const size_t words = p->ring.chain * p->ring.n;
	TRY_ALLOC(ct, hel_alloc(1, sizeof *ct));
	*ct = (hel_ct){.params = p, .scale = p->scale[0], .home = home};
	TRY_ALLOC(ct->part[0], home ? hel_scratch_take(home, 2 * words * sizeof *ct->part[0])
				    : hel_alloc(2 * words, sizeof *ct->part[0]));
	ct->part[1] = ct->part[0] + words;
	*out = ct;
	ct = NULL;
done:
	hel_ct_free(ct);
	return st;
}

hel_status hel_ct_new(hel_ct **out, const hel_params *p)
{
	return ct_new(out, p, NULL);
}

hel_status hel_ct_take(hel_ct **out, const hel_eval *ev)
{
	return ct_new(out, ev->params, ev->scratch);
}

void hel_ct_free(hel_ct *ct)
{
	if (!ct)
		return;
	if (ct->home)
		hel_scratch_give(ct->home, ct->part[0]);
	else
		hel_free(ct->part[0]);
	hel_free(ct);
}

unsigned hel_ct_level(const hel_ct *ct)
{
	return ct->level;
}

double hel_ct_scale(const hel_ct *ct)
{
	return ct->scale;
}

void hel_ct_copy(hel_ct *out, const hel_ct *ct)
{
	if (out == ct)
		return;
	const size_t words = ct->params->limbs[ct->level] * ct->params->ring.n;
	for (int i = 0; i < 2; i++)
		memcpy(out->part[i], ct->part[i], words * sizeof *out->part[i]);
	out->level = ct->level;
	out->scale = ct->scale;
}
