/* A model's files. Input that starts with '{' is model.json, with '[' its approximations, any other
 * weights.safetensors for the small model below; the latter also with the header length that fits
 * its last brace. */
#include "fuzz.h"
#include "model/approximation.h"
#include "model/dlrm.h"
#include "model/model_file.h"
#include "model/network.h"
#include "model/safetensors.h"
#include <math.h>

/* As if the weights file had a megabyte: what asks for more is refused. */
#define PARAMETERS_MAX ((size_t)1 << 18)

static const char small_model[] =
    "{\"helrm_model\": 1, \"config\": {\"embedding_dim\": 2, \"bottom\": [3], \"top\": [2, 1]},"
    " \"schema\": {\"dataset\": \"heart\", \"clip\": 3, \"dense\": ["
    "{\"name\": \"age\", \"mean\": 50, \"deviation\": 8},"
    "{\"name\": \"oldpeak\", \"mean\": 1, \"deviation\": 1.5}], \"tables\": ["
    "{\"name\": \"sex\", \"base\": 0, \"digits\": 1, \"values\": [\"0\", \"1\"]},"
    "{\"name\": \"cp\", \"base\": 2, \"digits\": 3, \"values\": [\"1\", \"2\", \"3\", \"4\"]}]}}";

/* Forward and back, for one sample. */
static void try_passes(const hel_dlrm *m, double *dense, uint32_t *hots)
{
	hel_network n;
	uint8_t label = 1;
	const uint32_t row = 0;
	const hel_samples s = {.count = 1,
			       .dense = m->schema->dense_count,
			       .hots = hel_schema_hots(m->schema),
			       .value = dense,
			       .hot = hots,
			       .label = &label};
	fuzz_expect(hel_network_init(&n, m, 1, true) == HEL_OK);
	hel_network_forward(&n, &s, &row, 1);
	hel_network_backward(&n, 1);
	hel_network_clear(&n);
}

/* What is written is read. */
static void try_graph(const hel_dlrm *m)
{
	hel_graph *back = NULL;
	json_t *written = hel_graph_write(m->graph);
	fuzz_expect(hel_graph_read(&back, written, m->schema) == HEL_OK);
	fuzz_expect(back->nodes == m->graph->nodes && back->width == m->graph->width);
	hel_graph_free(back);
	json_decref(written);
}

static void try_model(const char *text, size_t size)
{
	hel_dlrm *m = NULL;
	if (hel_model_json_read(&m, text, size, PARAMETERS_MAX) != HEL_OK)
		return;
	size_t parameters = 0;
	for (size_t i = 0; i < m->tensors; i++) {
		fuzz_expect(m->tensor[i].offset == parameters);
		parameters += m->tensor[i].rows * m->tensor[i].columns;
	}
	fuzz_expect(parameters == m->parameters);
	/* a record of missing values */
	const hel_schema *s = m->schema;
	hel_records r = {.count = 1, .dense = s->dense_count, .tables = s->table_count};
	r.value = hel_alloc(r.dense, sizeof *r.value);
	r.cell = hel_alloc(r.tables, sizeof *r.cell);
	r.label = hel_alloc(1, 1);
	double logit, *dense = hel_alloc(r.dense, sizeof *dense);
	uint32_t *hots = hel_alloc(hel_schema_hots(s), sizeof *hots);
	fuzz_expect(r.value && r.cell && r.label && dense && hots);
	fuzz_expect(hel_schema_apply(s, &r, 0, HEL_UNKNOWN_IS_ERROR, dense, hots, NULL) == HEL_OK);
	/* a foreign graph may outgrow a double without a weight */
	const hel_status st = hel_dlrm_logit(&logit, m, dense, hots);
	fuzz_expect(st == HEL_OK ||
		    (st == HEL_ERANGE && m->config.architecture != HEL_ARCHITECTURE_DLRM));
	try_passes(m, dense, hots);
	try_graph(m);
	hel_free(dense);
	hel_free(hots);
	hel_records_clear(&r);
	hel_dlrm_free(m);
}

static void try_weights(hel_dlrm *m, const uint8_t *bytes, size_t size)
{
	if (hel_safetensors_read(m, bytes, size) != HEL_OK)
		return;
	for (size_t i = 0; i < m->parameters; i++) /* all read, all finite */
		fuzz_expect(m->parameter[i] - m->parameter[i] == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static hel_dlrm *small;
	if (!small)
		fuzz_expect(hel_model_json_read(&small, small_model, strlen(small_model),
						PARAMETERS_MAX) == HEL_OK);
	uint8_t *bytes = fuzz_copy(data, size);
	if (size && data[0] == '{') {
		try_model((const char *)bytes, size);
	} else if (size && data[0] == '[') {
		if (hel_approximations_from_json(small, (const char *)bytes, size) == HEL_OK)
			fuzz_expect(isfinite(hel_approximation_at(small->approximation,
								  small->approximation->range)));
	} else {
		try_weights(small, bytes, size);
		size_t end = size;
		while (end > 8 && bytes[end - 1] != '}')
			end--;
		for (size_t i = 0; end > 8 && i < 8; i++)
			bytes[i] = (uint8_t)((uint64_t)(end - 8) >> (8 * i));
		try_weights(small, bytes, size);
	}
	free(bytes);
	return 0;
}
