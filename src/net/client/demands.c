/* What a manifest, which comes from the server, may ask of a client: bounded work, and nothing that
 * one record can do and another cannot. A server that could write a manifest under which some
 * records cannot be encoded would learn from a query that does not come (docs/threat-model.md). */
#include "ckks/params.h"
#include "client_inside.h"
#include "features/coding.h"
#include <math.h>
#include <string.h>

#define KEYS_BYTES_MAX ((uint64_t)4 << 30)
#define QUERY_BYTES_MAX ((uint64_t)1 << 30)
#define FEATURES_MAX ((uint64_t)1 << 27) /* of a whole batch */

/* How often one feature may be sent: the compiler sends it once for each stage and block that reads
 * it, the largest model of bench/criteo four times; the constant once for each selection. */
#define COVERS_MAX 64
#define CONSTANT_COVERS_MAX 4096

/* Of encoding: rounding to integers, and transforms in doubles. */
#define ENCODING_SLACK (1 + 0x1p-20)

/* The sparse secret has two keys, for refreshes alone. */
static hel_status check_sparse(const hel_manifest *m)
{
	unsigned into = 0, out = 0;
	for (uint32_t i = 0; i < m->keys; i++) {
		into += m->key[i].galois == HEL_ENCAPSULATE;
		out += m->key[i].galois == HEL_DECAPSULATE;
	}
	if (into != out)
		return hel_fail(HEL_EFORMAT,
				"the manifest asks for one of the two keys of a refresh");
	if (into && !hel_refresh_levels(&m->params))
		return hel_fail(HEL_ESECURITY, "the manifest asks for keys of a sparse secret with "
					       "parameters that are not those of a refresh");
	return HEL_OK;
}

static hel_status check_keys(const hel_client *c)
{
	const hel_manifest *m = c->manifest;
	uint64_t keys = 0;
	for (uint32_t i = 0; i < m->keys; i++) {
		const uint32_t galois = m->key[i].galois;
		if (!hel_key_stays(galois) && !(galois & 1))
			return hel_fail(HEL_EFORMAT,
					"the manifest asks for a key of Galois element %u", galois);
		for (uint32_t k = 0; k < i; k++)
			if (m->key[k].galois == galois)
				return hel_fail(HEL_EFORMAT, "the manifest asks twice for one key");
		const hel_status st = hel_key_request_check(c->params, &m->key[i]);
		if (st != HEL_OK)
			return st;
		keys += hel_switch_key_bytes(c->params, &m->key[i]);
	}
	const hel_status st = check_sparse(m);
	if (st != HEL_OK)
		return st;
	return keys <= KEYS_BYTES_MAX
		   ? HEL_OK
		   : hel_fail(HEL_ELIMIT,
			      "the manifest asks for %llu MB of keys; at most %llu are accepted",
			      (unsigned long long)keys >> 20,
			      (unsigned long long)KEYS_BYTES_MAX >> 20);
}

static hel_status check_sizes(const hel_client *c)
{
	const hel_manifest *m = c->manifest;
	uint64_t query = 0;
	for (uint32_t i = 0; i < m->inputs; i++)
		query += c->params->limbs[m->input[i].level] *
			 hel_packed_size(c->params->ring.n, HEL_PRIME_BITS);
	if (query > QUERY_BYTES_MAX)
		return hel_fail(HEL_ELIMIT,
				"the manifest asks for %llu MB per query; at most %llu are "
				"accepted",
				(unsigned long long)query >> 20,
				(unsigned long long)QUERY_BYTES_MAX >> 20);
	if ((uint64_t)m->features << m->log_batch > FEATURES_MAX)
		return hel_fail(HEL_ELIMIT, "the manifest asks for %u features of %zu records",
				m->features, (size_t)1 << m->log_batch);
	if (m->samples > c->params->ring.n || (m->samples & (m->samples - 1)))
		return hel_fail(HEL_EFORMAT, "the manifest asks for %u samples", m->samples);
	return HEL_OK;
}

/* --- the schema -------------------------------------------------------------------------- */

/* Its columns are the data set's: records that can be read can be applied. */
static hel_status check_columns(const hel_client *c)
{
	return hel_schema_fits(c->schema, c->set);
}

/* --- inputs ------------------------------------------------------------------------------ */

/* What an input's elements are made of, one run of features after the other. */
static hel_piece run_of(const hel_input *in, uint32_t k)
{
	return in->pieces ? in->piece[k] : (hel_piece){in->first, in->layout.width};
}

void hel_client_leave_items(double *features, const hel_manifest *m)
{
	const hel_items *x = &m->items;
	double *at = features + x->first;
	memmove(at + x->width, at, (m->features - x->first - x->width) * sizeof *at);
	memset(at, 0, x->width * sizeof *at);
}

/* Every record within the schema's ranges can be encoded: no coefficient of an encoding is larger
 * than the largest slot. */
static hel_status check_encodable(const hel_client *c, const hel_input *in, const double *range)
{
	double largest = 0;
	for (uint32_t k = 0; k < HEL_MAX(in->pieces, 1); k++) {
		const hel_piece run = run_of(in, k);
		for (uint32_t i = 0; i < run.width; i++)
			largest = fmax(largest, range[run.first + i]);
	}
	if (hel_layout_is_complex(&in->layout))
		largest *= M_SQRT2;
	const double scaled = largest * hel_params_scale(c->params, in->level) * ENCODING_SLACK + 1;
	return scaled < hel_encode_limit(c->params, in->level)
		   ? HEL_OK
		   : hel_fail(
			 HEL_ERANGE,
			 "the manifest asks for numbers up to %g at level %u, which holds %.3g: "
			 "some records could not be sent, and the server would learn which",
			 largest, in->level,
			 hel_encode_limit(c->params, in->level) /
			     hel_params_scale(c->params, in->level));
}

static hel_status check_covers(const hel_client *c, uint16_t *covers)
{
	const hel_manifest *m = c->manifest;
	for (uint32_t i = 0; i < m->inputs; i++)
		for (uint32_t k = 0; k < HEL_MAX(m->input[i].pieces, 1); k++) {
			const hel_piece run = run_of(&m->input[i], k);
			for (uint32_t f = run.first; f < run.first + run.width; f++)
				if (++covers[f] >
				    (f + 1 == m->features ? CONSTANT_COVERS_MAX : COVERS_MAX))
					return hel_fail(
					    HEL_EFORMAT,
					    "the manifest asks for feature %u more than "
					    "%d times: no compiler does",
					    f, COVERS_MAX);
		}
	return HEL_OK;
}

static hel_status check_inputs(const hel_client *c)
{
	hel_status st = HEL_OK;
	const hel_manifest *m = c->manifest;
	double *range = NULL;
	uint32_t *group = NULL;
	uint16_t *covers = NULL;
	TRY_ALLOC(range, hel_alloc(m->features, sizeof *range));
	TRY_ALLOC(group, hel_alloc(m->features, sizeof *group));
	TRY_ALLOC(covers, hel_alloc(m->features, sizeof *covers));
	hel_features_ranges(range, group, c->schema, m->degree);
	hel_client_leave_items(range, m);
	for (uint32_t i = 0; i < m->inputs; i++)
		TRY(check_encodable(c, &m->input[i], range));
	TRY(check_covers(c, covers));
done:
	hel_free(range);
	hel_free(group);
	hel_free(covers);
	return st;
}

hel_status hel_client_check_demands(const hel_client *c)
{
	hel_status st = HEL_OK;
	TRY(check_sizes(c));
	TRY(check_keys(c));
	TRY(check_columns(c));
	TRY(check_inputs(c));
done:
	return st;
}
