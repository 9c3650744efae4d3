/* calibration_option.h -- which calibration a command goes by. */
#ifndef HEL_CLI_CALIBRATION_OPTION_H
#define HEL_CLI_CALIBRATION_OPTION_H

#include "cli.h"
#include "owner/calibration_choice.h"

#define HEL_CALIBRATION_OPTION                                                                     \
	{                                                                                          \
		"calibration", "FILE|none",                                                        \
		    "what 'bench --calibrate' wrote on the machine that will serve (default: "     \
		    "$HELRM_CALIBRATION, then helrm/calibration.json in $XDG_CACHE_HOME or "       \
		    "~/.cache); none: built-in figures",                                           \
		    false, false                                                                   \
	}

/** The calibration of --calibration, and a line that says which (hel_calibration_choose). */
HEL_CHECKED hel_status hel_cli_calibration(hel_calibration *c, const hel_args *args, json_t *out);
/** Says which was chosen: its path, or why one was not taken; both may be NULL. */
void hel_cli_tell_calibration(const hel_args *args, const char *path, const char *refused);

#endif
