#include "ensemble.h"
#include <string.h>

/* Far apart: seeds next to each other are what people try one after another. */
#define SEED_STEP ((uint64_t)1000003)

hel_dlrm_config hel_ensemble_config(const hel_dlrm_config *c, uint32_t member)
{
	hel_dlrm_config own = *c;
	own.members = 1;
	own.training.seed += member * SEED_STEP;
	return own;
}

hel_status hel_ensemble_member(hel_dlrm **out, const hel_dlrm *m, uint32_t member)
{
	hel_status st = HEL_OK;
	hel_dlrm *own = NULL;
	const hel_dlrm_config c = hel_ensemble_config(&m->config, member);
	TRY(hel_dlrm_new(&own, &c, m->schema, c.training.seed));
	if (own->parameters * m->config.members != m->parameters)
		FAIL(HEL_EINVAL, "the graph is not that of %u members", m->config.members);
	*out = own;
	own = NULL;
done:
	hel_ensemble_leave(own);
	return st;
}

/* Members stand one after the other in the graph, and so do their weights. */
void hel_ensemble_take(hel_dlrm *m, hel_dlrm *trained, uint32_t member)
{
	memcpy(m->parameter + member * trained->parameters, trained->parameter,
	       trained->parameters * sizeof *m->parameter);
	hel_ensemble_leave(trained);
}

void hel_ensemble_leave(hel_dlrm *member)
{
	if (member)
		member->schema = NULL;
	hel_dlrm_free(member);
}
