#include "calibration_option.h"

void hel_cli_tell_calibration(const hel_args *args, const char *path, const char *refused)
{
	if (refused && *refused)
		fprintf(
		    stderr,
		    "helrm: %s; run 'helrm bench --calibrate' here, or pass --calibration none\n",
		    refused);
	if (path && *path)
		hel_say(args, "planned for this machine: %s\n", path);
}

hel_status hel_cli_calibration(hel_calibration *c, const hel_args *args, json_t *out)
{
	hel_calibration_note note;
	const hel_status st = hel_calibration_choose(c, &note, hel_arg(args, "calibration"));
	if (st != HEL_OK)
		return st;
	hel_cli_tell_calibration(args, note.path, note.refused);
	if (*note.path)
		json_object_set_new(out, "calibration", json_string(note.path));
	return HEL_OK;
}
