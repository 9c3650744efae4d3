/* import.h -- models trained elsewhere: weights under the names of a library that is known, and a
 * schema that says which value every row of a table belongs to (docs/import.md).
 */
#ifndef HEL_IMPORT_H
#define HEL_IMPORT_H

#include "import_config.h"
#include "model/dlrm.h"

#define HEL_IMPORT_LINES 24

/** What was recognised, assumed and done, for people: a line each. */
typedef struct hel_import_report {
	size_t lines;
	char line[HEL_IMPORT_LINES][200];
	size_t no_missing_row; /* tables without a row for missing or other values: zero stands in
				*/
	size_t collisions;     /* values that share a fingerprint, and so a row, with another one */
} hel_import_report;

typedef struct hel_text {
	const char *at;
	size_t size;
} hel_text;

/** The model in `weights` (a file of any known container). The schema's tables list in "values"
 * what each row stands for: a text, "" for missing, null for all that are not listed.
 *  @retval HEL_EUNSUPPORTED names the tensor that is not understood, why, and what would help; or
 *  the word that must be said in the configuration where there are two readings. */
HEL_CHECKED hel_status hel_import(hel_dlrm **out, hel_import_report *report,
				  const hel_import_config *config, const hel_dataset *set,
				  hel_text schema, const uint8_t *weights, size_t size);

#endif
