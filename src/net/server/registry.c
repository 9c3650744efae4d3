#include "registry.h"
#include <string.h>
#ifdef HELRM_POSTGRESQL
#include "fleet/registry_postgresql.h"
#endif

static bool is_postgresql(const char *where)
{
	return strncmp(where, "postgresql://", 13) == 0 || strncmp(where, "postgres://", 11) == 0;
}

hel_status hel_registry_open(hel_registry **out, const char *where, const char *path)
{
	if (!*where)
		return hel_registry_sqlite(out, path);
	if (!is_postgresql(where))
		return hel_fail(HEL_EINVAL, "registry: expected postgresql://..., or nothing for "
					    "SQLite");
#ifdef HELRM_POSTGRESQL
	return hel_registry_postgresql(out, where);
#else
	return hel_fail(HEL_EUNSUPPORTED, "registry: this helrm was built without PostgreSQL");
#endif
}

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
