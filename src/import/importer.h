/* importer.h -- what recognisers work with: a checkpoint that becomes a graph with weights.
 *
 * A form (a library's names) is a row of a table: whether a checkpoint looks like it, and a
 * function that (1) finds layers and tables, (2) calls hel_importer_columns once it knows the
 * tables, (3) builds the graph, saying for each node where its weights are.
 */
#ifndef HEL_IMPORTER_H
#define HEL_IMPORTER_H

#include "foreign_tables.h"
#include "import.h"
#include "layers.h"
#include "model/graph_builder.h"

/** Where a node's weights are: one of the two; all are borrowed. */
typedef struct hel_source {
	const hel_layer *layer;
	hel_foreign_table *table;
	uint32_t column; /* the schema's table whose values number the rows */
} hel_source;

typedef struct hel_importer {
	hel_checkpoint file;
	hel_import_config config;
	hel_import_report *report;
	json_t *schema_json;	      /* as given */
	const hel_dataset *set;	      /* owned */
	uint8_t salt[HEL_SALT_BYTES]; /* of the schema: what the weights hash to */
	hel_schema *schema;
	hel_builder b;
	hel_source *source; /* [HEL_MAX_NODES], by node */
	size_t tables;
	/* [HEL_MAX_TABLES], of each column of categories: its vectors, and a weight per value */
	hel_foreign_table *table, *wide;
	uint32_t *order; /* [HEL_MAX_TABLES]: the columns, as the model reads their vectors */
	hel_tower bottom, top, cross; /* a form's layers */
} hel_importer;

typedef struct hel_form {
	const char *name;
	const char *roots[4]; /* some tensor's name begins so */
	const char *parts[8]; /* every tensor's name begins with one of these */
	hel_status (*import)(hel_importer *im);
	/* Why a tensor that was not taken is not understood, and what would help; NULL: nothing
	 * known */
	const char *(*reason)(const char *name);
} hel_form;

extern const hel_form hel_form_dlrm, hel_form_torchrec, hel_form_deepctr, hel_form_pytorch_fm;

void hel_importer_say(hel_importer *im, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/** im->set: `given`, or what the schema says.
 *  @retval HEL_EFORMAT it says nothing that is known. */
HEL_CHECKED hel_status hel_importer_dataset(hel_importer *im, const hel_dataset *given);
/** The schema, with a vocabulary for each of im->table[0 .. im->tables); begins the graph.
 *  @retval HEL_EFORMAT its columns are not those of the tables; by name. */
HEL_CHECKED hel_status hel_importer_columns(hel_importer *im);
/** The rows of a table, as the schema numbers them. */
HEL_CHECKED hel_status hel_importer_rows(float *to, const hel_importer *im,
					 const hel_source *source);
/** How many dense columns the schema lists, and how many values one of its tables. */
size_t hel_importer_dense(const hel_importer *im);
size_t hel_importer_column_rows(const hel_importer *im, size_t table);
/** Tables called PREFIX NAME.weight, as im->table and im->order. Each is of the schema's column of
 * its name, or, where names are not those of columns, of the column in its place. Where their order
 *  `matters` and the file does not tell it, numbers in names do.
 *  @retval HEL_EUNSUPPORTED nothing does: asks for "tables". */
HEL_CHECKED hel_status hel_importer_named_tables(hel_importer *im, const char *prefix,
						 bool matters);

/* Nodes with weights. */
uint32_t hel_importer_linear(hel_importer *im, uint32_t x, const hel_layer *l, const char *name);
uint32_t hel_importer_embed(hel_importer *im, uint32_t column, hel_foreign_table *t,
			    const char *prefix);
/** Layers with their activations, called as nn.Sequential numbers them; after the last one only
 * with `last`. */
uint32_t hel_importer_tower(hel_importer *im, uint32_t x, const hel_tower *t, bool last,
			    const char *name);
/** Takes the tensors that "polynomials" names: no layer has them.
 *  @retval HEL_EFORMAT an entry that makes no sense, a tensor that is not there. */
HEL_CHECKED hel_status hel_importer_take_polynomials(hel_importer *im);
/** Whether there are as many as activations in im->b.g.
 *  @retval HEL_EFORMAT says how many. */
HEL_CHECKED hel_status hel_importer_count_polynomials(const hel_importer *im);
/** A record to try a model on. Polynomials are good for values as standardised ones are, not for
 *  all that the schema allows: Gaussian dense values where there are any. */
void hel_import_random(const hel_dlrm *m, hel_prng *g, double *dense, uint32_t *hots);
/** The model's activations become what "polynomials" says: one for each, in the order in which a
 *  record meets them, or one for all. Ranges that are not given are what random records reach.
 *  @retval HEL_EFORMAT of another number; coefficients that are none. */
HEL_CHECKED hel_status hel_importer_polynomials(hel_dlrm *m, hel_importer *im);
/** Says which activation was taken, and what was multiplied out and folded. */
void hel_importer_tell(hel_importer *im);
/** The last layer gives one logit, or the one that "output" chooses.
 *  @retval HEL_EUNSUPPORTED asks for it. */
HEL_CHECKED hel_status hel_importer_one_logit(hel_importer *im, hel_tower *t);

#endif
