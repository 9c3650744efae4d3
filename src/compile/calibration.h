/* calibration.h -- what this machine takes for what is counted in vm/cost.h: fitted to
 * measurements, kept in a file.
 */
#ifndef HEL_CALIBRATION_H
#define HEL_CALIBRATION_H

#include "vm/cost.h"

#define HEL_CALIBRATION_BYTES ((size_t)1 << 16) /* a file is far smaller */

typedef struct hel_calibration {
	hel_cost_model model;
	char cpu[128], backend[16]; /* what it was measured on: it holds for nothing else */
	char version[64];	    /* of the code that was measured */
} hel_calibration;

/** One measurement. */
typedef struct hel_cost_sample {
	const char *name;
	unsigned log_n;
	size_t limbs;
	hel_cost cost;
	double bytes; /* that all its repetitions come back to */
	double seconds;
} hel_cost_sample;

/** Of a sample, as the model has it. */
double hel_cost_predicted(const hel_cost_model *m, const hel_cost_sample *s, unsigned threads);
/** The seconds of each count, none negative, with the least sum of relative errors (iteratively
 *  reweighted least squares): a few disturbed measurements do not matter. Counts that no sample has
 *  get 0; those that samples do not tell apart, what is in proportion to the built-in ones. The
 *  cache is the best of the powers of two. */
HEL_CHECKED hel_status hel_cost_fit(hel_cost_model *model, const hel_cost_sample *sample,
				    size_t count);
/** What wall-clock times on `threads` threads say: model's efficiency and seconds per fork. */
void hel_cost_fit_threads(hel_cost_model *model, const hel_cost_sample *sample, size_t count,
			  unsigned threads);

/** This machine, with the default model of its backend. */
void hel_calibration_here(hel_calibration *c);
/** Whether it was measured on this CPU with this backend; if not, hel_error_detail says what
 *  differs. */
bool hel_calibration_fits_here(const hel_calibration *c);
/** The file's text; free() it. */
HEL_CHECKED hel_status hel_calibration_to_json(char **text, const hel_calibration *c);
/** @retval HEL_EFORMAT not such a file, or a number that is none, negative or absurd. */
HEL_CHECKED hel_status hel_calibration_from_json(hel_calibration *c, const char *text, size_t size);

#endif
