/* data.h -- what the owner's commands read: records, rows as a stream, configurations. */
#ifndef HEL_CLI_DATA_H
#define HEL_CLI_DATA_H

#include "cli/cli.h"
#include "features/cache.h"
#include "features/schema.h"
#include "model/dlrm.h"
#include "model/samples.h"

#define HEL_DATASET_OPTION                                                                         \
	{                                                                                          \
		"dataset", "NAME|FILE",                                                            \
		    "data set: heart (default), criteo, or a columns.json (docs/data.md)", false,  \
		    false                                                                          \
	}
#define HEL_DATA_OPTION                                                                            \
	{                                                                                          \
		"data", "FILE", "data files", true, true                                           \
	}
#define HEL_ROWS_OPTIONS                                                                           \
	{"cache", "FILE", "keep the rows in binary for the next run", false, false},               \
	{                                                                                          \
		"max-malformed", "N", "rows that may be left out (default 0)", false, false        \
	}
#define HEL_MODEL_OPTION                                                                           \
	{                                                                                          \
		"model", "DIR", "a trained model", true, false                                     \
	}

/** The data set of --dataset: a built-in one, or that of a file, which has a '.' or '/' in its
 * name; to be dropped. */
HEL_CHECKED hel_status hel_cli_dataset(const hel_dataset **out, const hel_args *args,
				       const char *otherwise);
/** The records of all files of an option.
 *  @retval HEL_EDATA labels are wanted, and a row has none. */
HEL_CHECKED hel_status hel_cli_records(hel_records *out, const hel_args *args, const char *option,
				       const hel_dataset *set, bool labelled);
/** The model of --model, and the records of an option as its numbers; stamp: of the records, or
 *  NULL. */
HEL_CHECKED hel_status hel_cli_model_and_samples(hel_dlrm **m, hel_samples *samples,
						 uint8_t stamp[HEL_HASH_BYTES],
						 const hel_args *args, const char *option,
						 bool labelled, hel_unknown policy);
/** Logits of all samples in double precision. */
HEL_CHECKED hel_status hel_cli_logits(double *out, const hel_dlrm *m, const hel_samples *s);
/** The data set's default configuration, changed by --config, --embedding, --threshold,
 *  --max-onehot and --seed, where the command has them. */
HEL_CHECKED hel_status hel_cli_config(hel_dlrm_config *out, const hel_args *args,
				      const hel_dataset *set);
/** The rows of --data, through the cache file `path`. */
HEL_CHECKED hel_status hel_cli_cache(hel_cache **out, const hel_args *args, json_t *report,
				     const hel_dataset *set, const char *path);

#endif
