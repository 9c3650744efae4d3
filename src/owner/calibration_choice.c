#include "calibration_choice.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

hel_status hel_calibration_path(char *out, size_t size)
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
static void choose_path(char *path, size_t size, bool *built_in, const char *named)
{
	if (!named)
		named = getenv("HELRM_CALIBRATION");
	*built_in = named && strcmp(named, "none") == 0;
	if (named && *named)
		snprintf(path, size, "%s", *built_in ? "" : named);
	else if (hel_calibration_path(path, size) != HEL_OK || access(path, R_OK) != 0)
		*path = 0;
}

hel_status hel_calibration_choose(hel_calibration *c, hel_calibration_note *note, const char *named)
{
	hel_status st = HEL_OK;
	uint8_t *text = NULL;
	size_t size;
	*note = (hel_calibration_note){0};
	hel_calibration_here(c);
	choose_path(note->path, sizeof note->path, &note->built_in, named);
	if (!*note->path)
		goto done;
	TRY(hel_file_read(note->path, HEL_CALIBRATION_BYTES, &text, &size));
	hel_calibration read;
	st = hel_calibration_from_json(&read, (const char *)text, size);
	if (st != HEL_OK) {
		char detail[400];
		snprintf(detail, sizeof detail, "%s", hel_error_detail());
		FAIL(st, "%s: %s", note->path, detail);
	}
	if (hel_calibration_fits_here(&read)) {
		*c = read;
	} else {
		snprintf(note->refused, sizeof note->refused, "%.150s is not used: %.200s",
			 note->path, hel_error_detail());
		*note->path = 0;
	}
done:
	hel_free(text);
	return st;
}
