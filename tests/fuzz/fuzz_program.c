/* The program a server loads, and the machines on what was loaded.
 *
 * Input: the body of the container. A body starts with the length and the bytes of the manifest,
 * which is a container itself: its frame is taken off by position (16 bytes in front, the checksum
 * behind) and made anew around whatever the mutation left inside, with the length to match.
 */
#include "ckks/secret.h"
#include "fuzz.h"
#include "net/client/client_inside.h"
#include "vm/clear.h"
#include "vm/encrypted.h"
#include "vm/shape.h"

/* What the machines may be asked for: it must stay cheap, honest models are larger. */
enum { LOG_N_MAX = 6, LEVELS_MAX = 6, SPECIAL_MAX = 4, FEATURES_MAX = 4096, KEYS_MAX = 12 };
#define FRAME_FRONT (HEL_CONTAINER_OVERHEAD - HEL_HASH_BYTES)

/* Kept from one input to the next: most mutations leave the parameters alone. */
static struct {
	hel_params *params;
	hel_secret_key *secret;
	hel_keys *keys;
	hel_key_request *request;
	uint32_t requests;
} kept;

static void forget_keys(void)
{
	hel_keys_free(kept.keys);
	hel_free(kept.request);
	kept.keys = NULL;
	kept.request = NULL;
	kept.requests = 0;
}

static const hel_params *params_for(const hel_manifest *m)
{
	static const uint8_t seed[HEL_SEED_BYTES] = {1};
	if (kept.params && memcmp(&kept.params->spec, &m->params, sizeof m->params) == 0)
		return kept.params;
	forget_keys();
	hel_secret_key_free(kept.secret);
	hel_params_free(kept.params);
	kept.secret = NULL;
	kept.params = NULL;
	if (m->params.log_n > LOG_N_MAX || m->params.levels > LEVELS_MAX ||
	    m->params.special > SPECIAL_MAX ||
	    hel_params_new_insecure_test(&kept.params, &m->params) != HEL_OK)
		return NULL;
	fuzz_expect(hel_secret_key_from_seed(&kept.secret, kept.params, seed) == HEL_OK);
	return kept.params;
}

static const hel_keys *keys_for(const hel_manifest *m)
{
	const size_t bytes = m->keys * sizeof *m->key;
	if (m->keys > KEYS_MAX)
		return NULL;
	if (kept.keys && kept.requests == m->keys &&
	    (!bytes || memcmp(kept.request, m->key, bytes) == 0))
		return kept.keys;
	forget_keys();
	if (hel_keys_generate(&kept.keys, kept.secret, m->key, m->keys, NULL) != HEL_OK)
		return NULL;
	kept.request = hel_alloc(m->keys, sizeof *kept.request);
	fuzz_expect(kept.request);
	memcpy(kept.request, m->key, bytes);
	kept.requests = m->keys;
	return kept.keys;
}

/* What the server does with a query. */
static void try_ckks(const hel_program *p, const hel_params *params)
{
	const hel_manifest *m = p->manifest;
	const hel_keys *keys = keys_for(m);
	hel_loaded *loaded = NULL;
	hel_eval *ev = NULL;
	hel_ct *result = NULL, **in = hel_alloc(m->inputs, sizeof *in);
	hel_writer w = {0};
	fuzz_expect(in);
	for (uint32_t i = 0; i < m->inputs; i++) {
		fuzz_expect(hel_ct_new(&in[i], params) == HEL_OK);
		in[i]->level = m->input[i].level;
		in[i]->scale = params->scale[in[i]->level];
	}
	if (keys && hel_loaded_new(&loaded, p, params, NULL) == HEL_OK) {
		fuzz_expect(hel_eval_new(&ev, params, keys, NULL) == HEL_OK);
		if (hel_ckks_run(&result, loaded, ev, (const hel_ct *const *)in, NULL) == HEL_OK)
			(void)!hel_ct_write_sampled(&w, ev, result, m->samples);
	}
	hel_writer_clear(&w);
	hel_ct_free(result);
	hel_eval_free(ev);
	hel_loaded_free(loaded);
	for (uint32_t i = 0; i < m->inputs; i++)
		hel_ct_free(in[i]);
	hel_free(in);
}

static void try_machines(const hel_program *p)
{
	const hel_manifest *m = p->manifest;
	const hel_params *params = params_for(m);
	if (!params || m->features > FEATURES_MAX)
		return;
	hel_shape shape = {0};
	double logit, *features = hel_alloc(m->features, sizeof *features);
	fuzz_expect(features);
	for (uint32_t i = 0; i < m->features; i++)
		features[i] = 1;
	if (hel_shape_run(&shape, p, params, &(hel_ranges){.feature = features}, NULL) == HEL_OK)
		fuzz_expect(shape.bound >= 0 && shape.keys <= HEL_MAX_KEYS);
	hel_shape_clear(&shape);
	/* a foreign program may leave different values in different slots, and that is told */
	const hel_status clear = hel_clear_run_features(&logit, p, features);
	fuzz_expect(clear == HEL_OK || clear == HEL_ERANGE);
	hel_free(features);
	try_ckks(p, params);
}

static void try_program(const uint8_t *bytes, size_t size)
{
	hel_program *p = NULL;
	hel_writer w = {0};
	if (hel_program_read(&p, bytes, size) != HEL_OK)
		return;
	fuzz_expect(hel_program_write(&w, p) == HEL_OK);
	fuzz_expect(w.size == size && memcmp(w.bytes, bytes, size) == 0);
	hel_writer_clear(&w);
	try_machines(p);
	hel_program_free(p);
}

/* The body with its manifest sealed again; false when there is no room for one. */
static bool reseal(hel_writer *body, const uint8_t *data, size_t size)
{
	hel_reader r = hel_reader_of(data, size);
	const uint64_t length = hel_read_u64(&r);
	if (length < HEL_CONTAINER_OVERHEAD || length > hel_reader_left(&r))
		return false;
	const uint8_t *inside = hel_read_bytes(&r, (size_t)length);
	size_t manifest_size;
	uint8_t *manifest = fuzz_seal(&manifest_size, HEL_KIND_MANIFEST, inside + FRAME_FRONT,
				      (size_t)length - HEL_CONTAINER_OVERHEAD);
	hel_write_u64(body, manifest_size);
	hel_write_bytes(body, manifest, manifest_size);
	hel_write_bytes(body, r.at, hel_reader_left(&r));
	free(manifest);
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t sealed_size;
	hel_writer body = {0};
	uint8_t *sealed = fuzz_seal(&sealed_size, HEL_KIND_PROGRAM, data, size);
	fuzz_expect(hel_random_init() == HEL_OK);
	try_program(data, size);
	try_program(sealed, sealed_size);
	free(sealed);
	if (reseal(&body, data, size)) {
		sealed = fuzz_seal(&sealed_size, HEL_KIND_PROGRAM, body.bytes, body.size);
		try_program(sealed, sealed_size);
		free(sealed);
	}
	hel_writer_clear(&body);
	return 0;
}
