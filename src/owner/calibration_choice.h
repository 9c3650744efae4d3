/* calibration_choice.h -- which machine programs are planned for. */
#ifndef HEL_CALIBRATION_CHOICE_H
#define HEL_CALIBRATION_CHOICE_H

#include "compile/calibration.h"

/** What was chosen: a file's path, "" for built-in figures; why one was not taken, "" for none;
 *  whether built-in figures were asked for. */
typedef struct hel_calibration_note {
	char path[4096], refused[400];
	bool built_in;
} hel_calibration_note;

/** Where 'bench --calibrate' writes by itself.
 *  @retval HEL_EINVAL neither XDG_CACHE_HOME nor HOME is set. */
HEL_CHECKED hel_status hel_calibration_path(char *out, size_t size);
/** The calibration to use. named: a file, "none", or NULL for that of $HELRM_CALIBRATION or of
 *  hel_calibration_path(). Without one, or with one of another machine: built-in figures. A named
 *  file must be there. */
HEL_CHECKED hel_status hel_calibration_choose(hel_calibration *c, hel_calibration_note *note,
					      const char *named);

#endif
