/* A model configuration. */
#include "fuzz.h"
#include "model/dlrm.h"
#include <math.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	hel_dlrm_config c;
	uint8_t *text = fuzz_copy(data, size);
	if (hel_dlrm_config_from_json(&c, (const char *)text, size) == HEL_OK) {
		fuzz_expect(c.embedding_dim && c.clip > 0 && isfinite(c.clip));
		fuzz_expect(c.bottom_layers <= HEL_MAX_LAYERS && c.top_layers <= HEL_MAX_LAYERS);
		fuzz_expect(c.top_layers && c.top[c.top_layers - 1] == 1);
		for (size_t i = 0; i < c.bottom_layers; i++)
			fuzz_expect(c.bottom[i] && c.bottom[i] <= HEL_MAX_WIDTH);
		for (size_t i = 0; i < c.top_layers; i++)
			fuzz_expect(c.top[i] && c.top[i] <= HEL_MAX_WIDTH);
		fuzz_expect(isfinite(hel_activate(c.activation, 2)));
		char *text_again = NULL;
		hel_dlrm_config again;
		fuzz_expect(hel_dlrm_config_to_json(&text_again, &c) == HEL_OK);
		fuzz_expect(hel_dlrm_config_from_json(&again, text_again, strlen(text_again)) ==
			    HEL_OK);
		fuzz_expect(again.plan.kind.own == c.plan.kind.own &&
			    again.plan.kind.base == c.plan.kind.base &&
			    again.plan.exceptions == c.plan.exceptions &&
			    again.training.validation == c.training.validation);
		hel_free(text_again);
		fuzz_expect(c.training.epochs && c.training.batch && c.training.rate > 0);
	}
	free(text);
	return 0;
}
