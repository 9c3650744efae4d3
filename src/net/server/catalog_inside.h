/* catalog_inside.h -- the inside of the catalog: catalog.c (which models there are), loading.c
 * (their weights).
 */
#ifndef HEL_SERVER_CATALOG_INSIDE_H
#define HEL_SERVER_CATALOG_INSIDE_H

#include "catalog.h"

#define MODELS_MAX 1024
#define WEIGHTS_DIR "weights" /* within the server's data: encoded weights, one file per model */
#define WEIGHTS_PATH_MAX (HEL_SETTING_TEXT_MAX + HEL_ROUTE_NAME_MAX + 32)

/* A file that was refused is not read again until it changes. */
typedef struct refusal {
	char name[HEL_ROUTE_NAME_MAX + 1];
	char reason[160];
	struct timespec changed;
	uint64_t inode, bytes;
	bool twice; /* not for what the file holds */
} refusal;

struct hel_catalog {
	const hel_settings *settings;
	hel_budget *budget;
	hel_counters *metrics;
	hel_pool *pool;
	pthread_mutex_t lock; /* of all below and of models' counts */
	hel_model *model[MODELS_MAX];
	size_t models;
	hel_params *params[MODELS_MAX]; /* of any model ever, until the end: key sets share them */
	size_t params_count;
	refusal refused[MODELS_MAX]; /* the keeper changes them, under the lock */
	size_t refusals;
	struct hel_shares *shares; /* shares.c */
	/* looks at the directory and loads, so that nothing else waits for large models */
	pthread_t keeper;
	bool kept, asked;
	pthread_cond_t wake;
	atomic_bool stop;
};

/** The model of this name and its place (NULL: any), for whoever holds the lock; not counted. */
hel_model *hel_catalog_find_locked(const hel_catalog *c, const char *name, size_t *index);
/** The file of a model's encoded weights. */
const char *hel_weights_path(char out[WEIGHTS_PATH_MAX], const hel_catalog *c, const char *name);
/** Encodes a new model into its cache before anybody asks for it, and lets it go again: the first
 *  query maps it. Takes the memory of reading the program only. */
void hel_model_prepare(hel_model *m);

#endif
