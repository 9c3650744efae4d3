#include "calibration_option.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

hel_status hel_cli_calibration_path(char *out, size_t size)
{
	const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
	int length = 0;
	if (cache && *cache == '/')
		length = snprintf(out, size, "%s/helrm/calibration.json", cache);
	else if (home && *home == '/')
		length = snprintf(out, size, "%s/.cache/helrm/calibration.json", home);
	return length > 0 && (size_t)length < size
		   ? HEL_OK
		   : hel_fail(HEL_EINVAL, "no place for a calibration: set HOME or XDG_CACHE_HOME, "
					  "or name a file");
}

/* The file to read; "" for none. Only what somebody named must exist. */
static void choose_path(char *path, size_t size, const hel_args *args)
{
	const char *named = hel_arg(args, "calibration");
	if (!named)
		named = getenv("HELRM_CALIBRATION");
	if (named && *named)
		snprintf(path, size, "%s", strcmp(named, "none") == 0 ? "" : named);
	else if (hel_cli_calibration_path(path, size) != HEL_OK || access(path, R_OK) != 0)
		*path = 0;
}

hel_status hel_cli_calibration(hel_calibration *c, const hel_args *args, json_t *out)
{
	hel_status st = HEL_OK;
	char path[4096];
	uint8_t *text = NULL;
	size_t size;
	hel_calibration_here(c);
	choose_path(path, sizeof path, args);
	if (!*path)
		goto done;
	TRY(hel_file_read(path, HEL_CALIBRATION_BYTES, &text, &size));
	hel_calibration read;
	st = hel_calibration_from_json(&read, (const char *)text, size);
	if (st != HEL_OK) {
		char detail[400];
		snprintf(detail, sizeof detail, "%s", hel_error_detail());
		FAIL(st, "%s: %s", path, detail);
	}
	if (!hel_calibration_fits_here(&read)) {
		fprintf(stderr,
			"helrm: %s is not used: %s; run 'helrm bench --calibrate' here, or pass "
			"--calibration none\n",
			path, hel_error_detail());
		goto done;
	}
	*c = read;
	hel_say(args, "planned for this machine: %s\n", path);
	json_object_set_new(out, "calibration", json_string(path));
done:
	hel_free(text);
	return st;
}
