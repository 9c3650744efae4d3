/* What a manifest, which comes from the server, may ask of a client. */
#include "client_inside.h"

/* What a manifest may make a client compute, store and send. */
#define KEYS_BYTES_MAX ((size_t)4 << 30)
#define QUERY_BYTES_MAX ((size_t)1 << 30)
#define FEATURES_MAX ((uint64_t)1 << 27) /* of a whole batch */

hel_status hel_client_check_demands(const hel_client *c)
{
	const hel_manifest *m = c->manifest;
	size_t keys = 0, query = 0;
	for (uint32_t i = 0; i < m->keys; i++) {
		const uint32_t galois = m->key[i].galois;
		if (galois != HEL_RELINEARISE && !(galois & 1))
			return hel_fail(HEL_EFORMAT,
					"the manifest asks for a key of Galois element %u", galois);
		for (uint32_t k = 0; k < i; k++)
			if (m->key[k].galois == galois)
				return hel_fail(HEL_EFORMAT, "the manifest asks twice for one key");
		keys += hel_switch_key_bytes(c->params, &m->key[i]);
	}
	for (uint32_t i = 0; i < m->inputs; i++)
		query += c->params->limbs[m->input[i].level] *
			 hel_packed_size(c->params->ring.n, HEL_PRIME_BITS);
	if (keys > KEYS_BYTES_MAX || query > QUERY_BYTES_MAX)
		return hel_fail(
		    HEL_ELIMIT,
		    "the manifest asks for %zu MB of keys and %zu MB per query; at most %zu and "
		    "%zu are accepted",
		    keys >> 20, query >> 20, KEYS_BYTES_MAX >> 20, QUERY_BYTES_MAX >> 20);
	if ((uint64_t)m->features << m->log_batch > FEATURES_MAX)
		return hel_fail(HEL_ELIMIT, "the manifest asks for %u features of %zu records",
				m->features, hel_client_batch(c));
	if (m->samples > c->params->ring.n || (m->samples & (m->samples - 1)))
		return hel_fail(HEL_EFORMAT, "the manifest asks for %u samples", m->samples);
	return HEL_OK;
}
