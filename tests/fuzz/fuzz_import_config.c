/* What the owner of a checkpoint says of it: JSON text. */
#include "fuzz.h"
#include "import/import_config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	hel_import_config c;
	char *text = (char *)fuzz_copy(data, size);
	if (hel_import_config_read(&c, text, size) == HEL_OK) {
		fuzz_expect(c.activation.kind < HEL_ACT_KINDS && c.batchnorm_eps > 0);
		(void)hel_import_ignores(&c, "loss.weight");
		(void)hel_import_layers(&c, "bot_l");
		hel_import_config_clear(&c);
	}
	free(text);
	return 0;
}
