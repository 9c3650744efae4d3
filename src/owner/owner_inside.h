/* owner_inside.h -- what helrm/owner.h hides from programs outside. */
#ifndef HEL_OWNER_INSIDE_H
#define HEL_OWNER_INSIDE_H

#include "compile/activations.h"
#include "features/records.h"
#include "model/accuracy.h"
#include "model/dlrm.h"
#include "model/samples.h"
#include "owner/calibration_choice.h"
#include "prog/prog.h"
#include <helrm/owner.h>
#include <jansson.h>

struct hel_recommender {
	hel_dlrm *m;
	char *directory; /* it was opened from; NULL: none */
};

struct hel_compiled {
	hel_writer manifest, program;
	char *report;
	hel_dlrm *fitted; /* with polynomials; NULL where no activation was replaced */
	char *directory;  /* of the model it was compiled from; NULL: none */
};

/** Takes over the model, also when it fails. */
HEL_CHECKED hel_status hel_recommender_of(hel_recommender **out, hel_dlrm *m);
/** Records of this model's columns as its numbers.
 *  @retval HEL_EPARAMS they are of others.
 *  @retval HEL_EDATA labels are wanted, and a row has none. */
HEL_CHECKED hel_status hel_owner_samples(hel_samples *out, const hel_dlrm *m,
					 const hel_records *records, bool labelled,
					 hel_unknown policy);
/** A built-in data set by its name, or what a description in JSON says; to be dropped. */
HEL_CHECKED hel_status hel_owner_dataset(const hel_dataset **out, const char *columns);
/** The logits of samples; those of no number are NaN. */
HEL_CHECKED hel_status hel_owner_logits(double *logits, const hel_dlrm *m, const hel_samples *s,
					hel_pool *pool, hel_watching *watching);
/** Whether writing a model with polynomials into the directory's model/ replaces the one that was
 *  opened from `opened` (may be NULL).
 *  @retval HEL_EINVAL it does. */
HEL_CHECKED hel_status hel_owner_check_place(const char *directory, const char *opened);
/** A report's text as bytes that hel_bytes_free() takes; drops the value. */
HEL_CHECKED hel_status hel_owner_text(uint8_t **out, size_t *size, json_t *value);
/** A number that may be none: null. */
json_t *hel_owner_number(double v);

/** Something can be learned of two classes only.
 *  @retval HEL_EDATA all rows have one. */
HEL_CHECKED hel_status hel_owner_check_classes(const hel_records *r);
/** A model of labelled records, and what it says of them. */
HEL_CHECKED hel_status hel_owner_learn(hel_dlrm **out, hel_metrics *metrics, size_t *far,
				       const hel_dlrm_config *config, const hel_dataset *set,
				       const hel_records *records, hel_pool *pool,
				       hel_watching *watching);

/* --- options of compile (compile_options.c) ------------------------------------------------ */

/** They point into the texts they were read from, and into themselves. */
typedef struct hel_compile_wishes {
	hel_compile_options options;
	hel_coding coding[HEL_MAX_TABLES];
	bool codes_named[HEL_MAX_TABLES]; /* of this table, not of all */
	hel_calibration machine;
	hel_calibration_note calibrated;
	double slower; /* than built-in figures this machine is, just now; 0: was not measured */
	bool shares;   /* columns of items: these are public, by option or by the data set */
	bool public_dense[HEL_MAX_DENSE], public_table[HEL_MAX_TABLES];
	size_t width;	/* of a user's vector, or values of an item */
	double item_ms; /* of 1,000 items */
	bool replaces;	/* activations */
	hel_activation_kind kind;
	hel_fit_choice fit; /* how; what was chosen */
} hel_compile_wishes;

/** What is not among the options stays as it is without any.
 *  @retval HEL_EINVAL "bits=99: expected ..." */
HEL_CHECKED hel_status hel_compile_wishes_read(hel_compile_wishes *out, const hel_recommender *r,
					       const char *const *option, size_t options);

/* --- the report (compile_report.c) --------------------------------------------------------- */

/** f: what polynomials changed; NULL without any. records: how many were given. */
HEL_CHECKED hel_status hel_compile_report_json(char **out, const hel_program *p,
					       const hel_compile_report *r,
					       const hel_compile_wishes *w, const hel_fidelity *f,
					       const hel_compiled *files, size_t records);

#endif
