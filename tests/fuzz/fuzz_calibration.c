/* What a machine takes, as 'bench --calibrate' writes it. */
#include "compile/calibration.h"
#include "fuzz.h"
#include <math.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const hel_params_spec spec = {14, 8, 1, 30, 3, 3};
	hel_calibration c, again;
	uint8_t *text = fuzz_copy(data, size);
	if (hel_calibration_from_json(&c, (const char *)text, size) == HEL_OK) {
		const double seconds = hel_cost_seconds(&c.model, hel_cost_decompose(&spec, 10));
		fuzz_expect(isfinite(seconds) && seconds > 0);
		fuzz_expect(
		    isfinite(hel_cost_seconds_on(&c.model, hel_cost_finish(&spec, 10), 64)));
		char *printed = NULL;
		fuzz_expect(hel_calibration_to_json(&printed, &c) == HEL_OK);
		fuzz_expect(hel_calibration_from_json(&again, printed, strlen(printed)) == HEL_OK);
		fuzz_expect(strcmp(c.cpu, again.cpu) == 0);
		(void)hel_calibration_fits_here(&again);
		free(printed);
	}
	free(text);
	return 0;
}
