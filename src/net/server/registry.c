#include "registry.h"

void hel_registry_close(hel_registry *r)
{
	if (r)
		r->call->close(r);
}

hel_status hel_registry_each(hel_registry *r, hel_registry_row *fn, void *arg)
{
	return r->call->each(r, fn, arg);
}

hel_status hel_registry_add(hel_registry *r, const hel_keyset *k)
{
	return r->call->add(r, k);
}

hel_status hel_registry_state(hel_registry *r, const hel_keyset *k, hel_keyset_state state,
			      double used)
{
	return r->call->state(r, k, state, used);
}

hel_status hel_registry_used(hel_registry *r, const uint8_t id[HEL_SESSION_ID_BYTES], double used)
{
	return r->call->used(r, id, used);
}

hel_status hel_registry_remove(hel_registry *r, const uint8_t id[HEL_SESSION_ID_BYTES])
{
	return r->call->remove(r, id);
}

hel_status hel_registry_clock(double *seconds, hel_registry *r)
{
	return r->call->clock(seconds, r);
}

hel_status hel_registry_set_clock(hel_registry *r, double seconds)
{
	return r->call->set_clock(r, seconds);
}
