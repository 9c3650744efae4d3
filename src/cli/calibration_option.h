/* calibration_option.h -- which calibration a command goes by. */
#ifndef HEL_CLI_CALIBRATION_OPTION_H
#define HEL_CLI_CALIBRATION_OPTION_H

#include "cli.h"
#include "compile/calibration.h"

#define HEL_CALIBRATION_OPTION                                                                     \
	{                                                                                          \
		"calibration", "FILE|none",                                                        \
		    "what 'bench --calibrate' wrote on the machine that will serve (default: "     \
		    "$HELRM_CALIBRATION, then helrm/calibration.json in $XDG_CACHE_HOME or "       \
		    "~/.cache); none: built-in figures",                                           \
		    false, false                                                                   \
	}

/** Where 'bench --calibrate' writes by itself.
 *  @retval HEL_EINVAL neither XDG_CACHE_HOME nor HOME is set. */
HEL_CHECKED hel_status hel_cli_calibration_path(char *out, size_t size);
/** The calibration to use, and a line that says which; without one, or with one of another machine
 *  (a warning): built-in figures. A named file must be there. */
HEL_CHECKED hel_status hel_cli_calibration(hel_calibration *c, const hel_args *args, json_t *out);

#endif
