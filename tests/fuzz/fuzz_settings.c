/* The server's configuration file. */
#include "fuzz.h"
#include "net/server/settings.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static hel_settings s, before, again;
	char *text = calloc(1, size + 1);
	fuzz_expect(text);
	memcpy(text, data, size);
	hel_settings_default(&s);
	before = s;
	if (hel_settings_parse(&s, text, "fuzz") == HEL_OK) {
		/* what is in force can be written down, and reads the same */
		char *printed = NULL;
		size_t length;
		FILE *out = open_memstream(&printed, &length);
		fuzz_expect(out);
		hel_settings_print(out, &s);
		fclose(out);
		hel_settings_default(&again);
		fuzz_expect(hel_settings_parse(&again, printed, "printed") == HEL_OK);
		fuzz_expect(memcmp(&s, &again, sizeof s) == 0);
		(void)!hel_settings_check(&s);
		free(printed);
	} else {
		fuzz_expect(memcmp(&s, &before, sizeof s) == 0);
	}
	free(text);
	return 0;
}
