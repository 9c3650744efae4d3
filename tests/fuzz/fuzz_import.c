/* A foreign model: the length of its schema (u32), the schema, its weights. What is taken over can
 * be scored. */
#include "fuzz.h"
#include "import/import.h"
#include <math.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	hel_dlrm *m = NULL;
	hel_import_report report;
	hel_import_config config = hel_import_config_default();
	const uint8_t seed[HEL_SEED_BYTES] = "import";
	hel_prng g;
	hel_reader r = hel_reader_of(data, size);
	config.bottom_last_activation = HEL_YES; /* it would be asked for, always */
	const uint32_t length = hel_read_u32(&r);
	const uint8_t *schema = hel_read_bytes(&r, length);
	if (r.status != HEL_OK)
		return 0;
	char *text = (char *)fuzz_copy(schema, length);
	uint8_t *weights = fuzz_copy(r.at, hel_reader_left(&r));
	if (hel_import(&m, &report, &config, NULL, (hel_text){text, length}, weights,
		       hel_reader_left(&r)) == HEL_OK) {
		double logit, *dense = hel_alloc(m->schema->dense_count + 1, sizeof *dense);
		uint32_t *hots = hel_alloc(hel_schema_hots(m->schema) + 1, sizeof *hots);
		fuzz_expect(dense && hots);
		hel_prng_init(&g, seed, 0);
		hel_schema_random(m->schema, &g, dense, hots);
		if (hel_dlrm_logit(&logit, m, dense, hots) == HEL_OK)
			fuzz_expect(isfinite(logit));
		hel_free(dense);
		hel_free(hots);
		hel_dlrm_free(m);
	}
	free(text);
	free(weights);
	return 0;
}
