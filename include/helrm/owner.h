/** @file owner.h
 * The party that has a model: from a model to what clients and servers need.
 *
 *   - A *recommender* is a model: a graph, its weights, and the columns of the records it scores
 *     (docs/models.md, docs/data.md). It is opened, imported or trained, and scores in the clear.
 *   - *Records* are rows as the recommender's columns say, read once for any number of calls.
 *   - What is *compiled* of a recommender are two files, a manifest for everybody and a program for
 *     the server (server.h), and a report.
 *   - Reports are zero-ended JSON; those with a size are freed with hel_bytes_free().
 *   - Nothing changes after it was made: any number of threads may use it.
 *   - Outputs come first; on any status but HEL_OK they are as they were. hel_error_detail() says
 *     what was expected, what was found, and what to do.
 *
 * Library: libhelrm-owner. The commands of `helrm` that work on models are built of these calls.
 */
#ifndef HELRM_OWNER_H
#define HELRM_OWNER_H

#include <helrm/pool.h>
#include <helrm/version.h>
#include <helrm/watch.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct hel_recommender hel_recommender; /**< A model with its columns. */
typedef struct hel_records hel_records;		/**< Rows of its columns. */
typedef struct hel_compiled hel_compiled;	/**< Its manifest, program and report. */

/* --- recommenders -------------------------------------------------------------------------- */

/** Opens a directory with model.json and weights.safetensors.
 *  - Cost: reading them; weights are checked against the hash that model.json has.
 *  @retval HEL_EIO there is no such directory.
 *  @retval HEL_EFORMAT, HEL_EVERSION, HEL_EHASH, HEL_ELIMIT it holds no model. */
HEL_API HEL_CHECKED hel_status hel_recommender_open(hel_recommender **out, const char *directory);

/** What is imported: as the options of `helrm import` (docs/import.md). */
typedef struct hel_import_source {
	const void *weights; /**< a file of torch.save or of safetensors */
	size_t weights_size; /**< its bytes */
	const char *schema;  /**< columns, and what every row of a table stands for: JSON */
	const char *config;  /**< what names and shapes do not tell: JSON; or NULL */
	const char *columns; /**< of the data set: its name or a description; NULL: the schema's */
} hel_import_source;

/** A model that was trained elsewhere.
 *  report: {"notes": [what was recognised and assumed, a line each], "parameters", "tables",
 *  "collisions", "no_missing_row"}; may be NULL, with its size.
 *  - Cost: one pass over the weights.
 *  @retval HEL_EUNSUPPORTED names the tensor that is not understood, or the word that must be said.
 *  @retval HEL_EFORMAT a part of the source is no such file. */
HEL_API HEL_CHECKED hel_status hel_recommender_import(hel_recommender **out, uint8_t **report,
						      size_t *size,
						      const hel_import_source *source);

/** What is learned from: as the options of `helrm train`. */
typedef struct hel_training_source {
	const char
	    *columns; /**< the data set: a built-in one's name or a description (docs/data.md) */
	const char *config; /**< network and training: JSON; NULL: the data set's default */
	const char *rows;   /**< labelled records: CSV or JSON */
	size_t rows_size;   /**< bytes of them */
} hel_training_source;

/** Trains on rows in memory, all of them, and always to the same weights. For rows that do not fit
 *  there are `helrm train` and hel_recommender_open().
 *  report: {"rows", "accuracy", "auc", "log_loss", "parameters"} on those rows; may be NULL.
 *  - Cost: epochs times rows times the network's weights, on one thread.
 *  @retval HEL_EDATA a row cannot be read, has no label, or all have one.
 *  @retval HEL_EFORMAT columns or config are none.
 *  @retval HEL_ECANCEL watch said so. */
HEL_API HEL_CHECKED hel_status hel_recommender_train(hel_recommender **out, uint8_t **report,
						     size_t *size,
						     const hel_training_source *source,
						     const hel_watch *watch);

/** Writes model.json and weights.safetensors, all or nothing.
 *  - Cost: writing them to disk.
 *  @retval HEL_EIO, HEL_ESPACE they cannot be written. */
HEL_API HEL_CHECKED hel_status hel_recommender_save(const hel_recommender *model,
						    const char *directory);
/** Frees it.
 *  NULL is fine. */
HEL_API void hel_recommender_free(hel_recommender *model);
/** What it is: zero-ended JSON {"dataset", "parameters", "columns": a description as in
 *  docs/data.md, "graph": nodes as in docs/models.md, "tables": [{"name", "entries"}]}.
 *  - Cost: one pass over columns and nodes.
 *  @retval HEL_ENOMEM out of memory. */
HEL_API HEL_CHECKED hel_status hel_recommender_describe(uint8_t **json, size_t *size,
							const hel_recommender *model);

/* --- records ------------------------------------------------------------------------------- */

/** Records of a text: CSV, with a row of names or without, or JSON, as the model's columns say.
 *  - Cost: one pass.
 *  @retval HEL_EDATA names record, column, what was found and what was expected. */
HEL_API HEL_CHECKED hel_status hel_records_of_text(hel_records **out, const hel_recommender *model,
						   const char *text, size_t size);
/** The same of files, one after the other; "-" is standard input.
 *  - Cost: reading them.
 *  @retval HEL_EDATA names file, line, column.
 *  @retval HEL_EIO a file cannot be read. */
HEL_API HEL_CHECKED hel_status hel_records_of_files(hel_records **out, const hel_recommender *model,
						    const char *const *paths, size_t count);
/** How many there are. */
HEL_API size_t hel_records_rows(const hel_records *records);
/** Frees them.
 *  NULL is fine. */
HEL_API void hel_records_free(hel_records *records);

/* --- scores in the clear ------------------------------------------------------------------- */

/** What was not as the model learned it, in all records together. */
typedef struct hel_score_notes {
	size_t unknown; /**< categories that the model does not know, taken as missing */
	size_t far;	/**< dense values far outside what it was trained on */
} hel_score_notes;

/** The logits of all records, in double precision: what `helrm predict` prints, bit for bit. The
 *  logit of a record that is beyond all numbers is NaN. notes may be NULL.
 *  - Cost: two operations for each weight and record, on the pool.
 *  @retval HEL_EDATA a category that the model does not know, for data sets held in memory.
 *  @retval HEL_EPARAMS the records are of other columns.
 *  @retval HEL_ECANCEL watch said so. */
HEL_API HEL_CHECKED hel_status hel_recommender_score(double *logits, hel_score_notes *notes,
						     const hel_recommender *model,
						     const hel_records *records, hel_pool *pool,
						     const hel_watch *watch);
/** How good it is on labelled records: {"rows", "accuracy", "auc" (null where one class is absent),
 *  "auc_error", "log_loss", "base_rate", "brier", "calibration_error", "trained_on": whether these
 *  are the rows it was trained on}.
 *  - Cost: that of scoring, and sorts.
 *  @retval HEL_EDATA a record has no label.
 *  @retval HEL_EPARAMS the records are of other columns. */
HEL_API HEL_CHECKED hel_status hel_recommender_judge(uint8_t **json, size_t *size,
						     const hel_recommender *model,
						     const hel_records *records, hel_pool *pool);
/** What polynomials in place of its activations would cost, degree by degree, on labelled records:
 *  {"activation", "rows", "auc", "accuracy", "spread", "degrees": [{"degree", "auc", "accuracy",
 *  "distance", "largest_change", "bits", "decisions_differ"}]}. fit: "poly" (least squares) or
 *  "chebyshev" (interpolation).
 *  - Cost: that of scoring for each of 62 degrees, on the pool.
 *  @retval HEL_EINVAL its activations are polynomials, or there is no such fit.
 *  @retval HEL_EDATA a record has no label.
 *  @retval HEL_ERANGE nothing can be fitted. */
HEL_API HEL_CHECKED hel_status hel_recommender_approximate(uint8_t **json, size_t *size,
							   const hel_recommender *model,
							   const char *fit,
							   const hel_records *records,
							   hel_pool *pool);

/* --- compiling ----------------------------------------------------------------------------- */

/** Compiles. Each option is a text "NAME=VALUE", or "NAME" where there is nothing more to say:
 *  those of `helrm compile` that are not files (docs/commands.md), under the same names. name,
 *  activation, optimize, max-keys, max-query, max-memory, bits, accept-loss, proved, lookup (as
 *  often as wanted), public (columns of items: "item,genres"), max-log-n, batch, no-monomials,
 * no-fusion, calibration. records: typical ones, for which precision is predicted; labelled with
 * "activation"; or NULL.
 *  - Cost: seconds to minutes, on the pool; two programs of the same input are the same bytes.
 *  @retval HEL_EINVAL an option is none, or its value.
 *  @retval HEL_EUNSUPPORTED nothing fits; names the layers, and what to change.
 *  @retval HEL_ELIMIT no plan within the limits, too few bits, or more is lost than may be.
 *  @retval HEL_ERANGE values outgrow the modulus.
 *  @retval HEL_ECANCEL watch said so. */
HEL_API HEL_CHECKED hel_status hel_recommender_compile(hel_compiled **out,
						       const hel_recommender *model,
						       const char *const *option, size_t options,
						       const hel_records *records, hel_pool *pool,
						       const hel_watch *watch);
/** Frees it.
 *  NULL is fine. */
HEL_API void hel_compiled_free(hel_compiled *compiled);
/** The bytes of manifest.helm, for clients: public. They live as long as what was compiled. */
HEL_API const void *hel_compiled_manifest(const hel_compiled *compiled, size_t *size);
/** The bytes of program.helm, for the server. They live as long as what was compiled. */
HEL_API const void *hel_compiled_program(const hel_compiled *compiled, size_t *size);
/** What was compiled, zero-ended JSON: ring, levels, sizes, predicted milliseconds and bits, and
 *  the layers, as `helrm compile --json` prints it. Lives as long as what was compiled. */
HEL_API const char *hel_compiled_report(const hel_compiled *compiled);
/** The model that the program computes: with polynomials where activations were replaced.
 *  - Cost: a copy of the weights.
 *  @retval HEL_ENOMEM out of memory. */
HEL_API HEL_CHECKED hel_status hel_compiled_model(hel_recommender **out,
						  const hel_compiled *compiled);
/** Writes manifest.helm and program.helm, and where activations were replaced the model with
 *  polynomials into the directory's model/; one that an earlier compile left there is removed.
 *  - Cost: writing them to disk.
 *  @retval HEL_EINVAL the model with polynomials would replace the one it was made of.
 *  @retval HEL_EIO, HEL_ESPACE they cannot be written. */
HEL_API HEL_CHECKED hel_status hel_compiled_save(const hel_compiled *compiled,
						 const char *directory);

/* --- catalogues ---------------------------------------------------------------------------- */

/** Items of a program that was compiled with public columns (docs/ranking.md). */
typedef struct hel_catalogue_source {
	const void *program; /**< program.helm */
	size_t program_size; /**< its bytes */
	const char *items;   /**< CSV with a header, or JSON objects: the public columns by name,
			      *   and one that names items; others are left out */
	size_t items_size;   /**< bytes of them */
	const char *name;    /**< of the items, in messages; NULL: "items" */
	const char *id; /**< the column that names items: any text of up to 255 bytes; NULL: "id",
			 *   "item_id" or "item", or the first */
	const char *before; /**< file of a catalogue whose items come first, or NULL: its full
			     *   blocks are copied */
} hel_catalogue_source;

/** Encodes items into a catalogue, a file for hel_server_catalogue() and `helrm serve`; it takes
 *  the place of an older one at once when it is whole.
 *  report: {"items", "blocks", "bytes", "kept": items that stood in front, "unknown_categories":
 *  taken as missing, "encoding_seconds"}; may be NULL, with its size.
 *  - Cost: for each new item one run of the public model in the clear, and its share of a block's
 *    encodings, on the pool; the file is read again and checked.
 *  @retval HEL_EMODEL the program ranks no items, or `before` is another program's.
 *  @retval HEL_EDATA names line or record, and column; or an id that is there twice.
 *  @retval HEL_EINVAL there is no such column of ids.
 *  @retval HEL_ERANGE an item's numbers are too large.
 *  @retval HEL_EFORMAT, HEL_EHASH, ... the program, or `before`, is none.
 *  @retval HEL_EIO, HEL_ESPACE the file cannot be written.
 *  @retval HEL_ECANCEL watch said so. */
HEL_API HEL_CHECKED hel_status hel_catalogue_make(uint8_t **report, size_t *size, const char *path,
						  const hel_catalogue_source *source,
						  hel_pool *pool, const hel_watch *watch);

#ifdef __cplusplus
}
#endif
#endif
