/* lookup_bench.h -- figures of `helrm lookup-bench`: lookup_run.c measures one method,
 * lookup_bench.c reads tables and reports.
 */
#ifndef HEL_BENCH_LOOKUP_BENCH_H
#define HEL_BENCH_LOOKUP_BENCH_H

#include "cli/cli.h"
#include "lookup/lookup.h"

/* The tables of a call: rows for those who keep rows, a codebook for those of digits. */
typedef struct lookup_tables {
	size_t tables;
	hel_table table[HEL_MAX_VALUES], codebook;
	float *owned[HEL_MAX_VALUES + 1];
	void *map[HEL_MAX_VALUES + 1]; /* files that stay on disk */
	size_t map_size[HEL_MAX_VALUES + 1];
	unsigned base, digits;
	bool rows_given, codebook_given;
} lookup_tables;

void lookup_tables_clear(lookup_tables *t);
/** What --rows, --table, --codebook, --base, --digits and --dim ask for; random where they do not.
 */
HEL_CHECKED hel_status lookup_tables_read(lookup_tables *t, const hel_args *args);

/** One method at one batch size. Times in milliseconds, of the server unless said. */
typedef struct lookup_figures {
	hel_lookup_method method;
	unsigned base, digits;
	size_t tables, rows, dim, batch; /* rows of all tables */
	hel_params_spec params;
	double log_qp;
	size_t parts, inputs, results, keys;
	size_t query_bytes, result_bytes, key_bytes; /* on the wire */
	size_t weight_bytes, memory_bytes;	     /* weights; all of the server, at most */
	size_t disk_bytes;			     /* of weights that are not kept in memory */
	double setup_ms, encrypt_ms, parse_ms, median_ms, least_ms, decrypt_ms;
	size_t runs, checked; /* outputs compared with the table */
	/* -log2 of errors: of the largest, and of their mean size; relative: to the largest output
	 * there can be */
	double predicted_bits, mean_bits, worst_bits, relative_bits;
} lookup_figures;

typedef struct lookup_plan {
	hel_lookup_spec spec;
	double seconds;	  /* to spend on runs */
	size_t parts;	  /* of each table, one program each: for tables larger than memory */
	const char *disk; /* a directory for encoded weights, or NULL: in memory */
} lookup_plan;

/** Builds, encrypts, runs, checks every output of every run: first codes, last ones, equal digits,
 *  then random ones.
 *  @retval HEL_ERANGE an output is wrong: by more than 2^-8 of the largest. */
HEL_CHECKED hel_status lookup_measure(lookup_figures *out, const lookup_plan *plan,
				      const hel_args *args);

#endif
