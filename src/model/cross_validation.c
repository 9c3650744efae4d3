#include "cross_validation.h"
#include "accuracy.h"
#include "logistic.h"
#include "train.h"
#include <math.h>
#include <string.h>

enum { MODEL, RELU, LOGISTIC, KINDS };

typedef struct cv_job {
	const hel_dataset *set;
	const hel_records *records;
	const hel_dlrm_config *config;
	size_t folds, seeds;
	hel_metrics (*metrics)[KINDS]; /* [run] */
} cv_job;

/* A stratified fold number for every record: each class is shuffled and dealt out. */
static void assign_folds(size_t *fold, const hel_records *r, size_t folds, uint64_t seed,
			 size_t *order)
{
	uint8_t bytes[HEL_SEED_BYTES] = {0};
	hel_prng g;
	memcpy(bytes, &seed, sizeof seed);
	hel_prng_init(&g, bytes, 2);
	for (unsigned label = 0, dealt = 0; label < 2; label++) {
		size_t n = 0;
		for (size_t i = 0; i < r->count; i++)
			if (r->label[i] == label)
				order[n++] = i;
		for (size_t i = n; i > 1; i--) {
			size_t j = (size_t)(((u128)hel_prng_u64(&g) * i) >> 64), t = order[i - 1];
			order[i - 1] = order[j];
			order[j] = t;
		}
		for (size_t i = 0; i < n; i++)
			fold[order[i]] = dealt++ % folds;
	}
}

static hel_status train_and_judge(hel_metrics *out, const cv_job *j, const hel_dlrm_config *config,
				  const size_t *train_rows, size_t train_count,
				  const size_t *test_rows, size_t test_count, hel_metrics *logistic)
{
	hel_status st = HEL_OK;
	hel_schema *schema = NULL;
	hel_dlrm *m = NULL;
	hel_samples train = {0}, test = {0};
	double *logits = NULL;
	uint32_t base;
	TRY(hel_dlrm_text_base(&base, config));
	TRY(hel_schema_fit(&schema, j->set, j->records, train_rows, train_count, config->clip,
			   base));
	TRY(hel_samples_new(&train, schema, j->records, train_rows, train_count,
			    HEL_UNKNOWN_IS_MISSING));
	TRY(hel_samples_new(&test, schema, j->records, test_rows, test_count,
			    HEL_UNKNOWN_IS_MISSING));
	TRY_ALLOC(logits, hel_alloc(test_count, sizeof *logits));
	if (logistic) {
		TRY(hel_logistic_fit_predict(logits, &train, &test, schema, 1));
		TRY(hel_metrics_of(logistic, logits, test.label, test_count));
	}
	TRY(hel_dlrm_new(&m, config, schema, config->training.seed));
	schema = NULL;
	TRY(hel_dlrm_train(m, &train, NULL));
	for (size_t i = 0; i < test_count; i++)
		TRY(hel_dlrm_logit(&logits[i], m, test.value + i * test.dense,
				   test.hot + i * test.hots));
	TRY(hel_metrics_of(out, logits, test.label, test_count));
done:
	hel_dlrm_free(m);
	hel_schema_free(schema);
	hel_samples_clear(&train);
	hel_samples_clear(&test);
	hel_free(logits);
	return st;
}

static hel_status run(void *arg, size_t index)
{
	hel_status st = HEL_OK;
	const cv_job *j = arg;
	const size_t seed = index / j->folds, hold = index % j->folds, n = j->records->count;
	size_t *fold = NULL, trained = 0, tested = 0;
	TRY_ALLOC(fold, hel_alloc(4 * n, sizeof *fold));
	size_t *train = fold + n, *test = train + n;
	assign_folds(fold, j->records, j->folds, seed + 1, test + n);
	for (size_t i = 0; i < n; i++)
		if (fold[i] == hold)
			test[tested++] = i;
		else
			train[trained++] = i;
	hel_dlrm_config config = *j->config;
	config.training.seed = j->config->training.seed + seed;
	TRY(train_and_judge(&j->metrics[index][MODEL], j, &config, train, trained, test, tested,
			    &j->metrics[index][LOGISTIC]));
	config.activation = (hel_activation){HEL_ACT_RELU, 0, 0};
	TRY(train_and_judge(&j->metrics[index][RELU], j, &config, train, trained, test, tested,
			    NULL));
done:
	hel_free(fold);
	return st;
}

static hel_cv_result summarise(hel_metrics (*metrics)[KINDS], size_t runs, int kind)
{
	hel_cv_result r = {0};
	const double n = (double)runs;
	for (size_t i = 0; i < runs; i++) {
		const hel_metrics *m = &metrics[i][kind];
		r.accuracy += m->accuracy / n;
		r.auc += m->auc / n;
		r.log_loss += m->log_loss / n;
	}
	for (size_t i = 0; i < runs; i++) {
		const hel_metrics *m = &metrics[i][kind];
		r.accuracy_error += (m->accuracy - r.accuracy) * (m->accuracy - r.accuracy);
		r.auc_error += (m->auc - r.auc) * (m->auc - r.auc);
	}
	const double divide = runs > 1 ? n * (n - 1) : 1;
	r.accuracy_error = sqrt(r.accuracy_error / divide);
	r.auc_error = sqrt(r.auc_error / divide);
	return r;
}

hel_status hel_cross_validate(hel_cv_report *out, const hel_dataset *set,
			      const hel_records *records, const hel_dlrm_config *config,
			      size_t folds, size_t seeds, hel_pool *pool)
{
	hel_status st = HEL_OK;
	cv_job j = {set, records, config, folds, seeds, NULL};
	if (folds < 2 || folds > records->count || !seeds || seeds > 10000)
		FAIL(HEL_EINVAL,
		     "%zu folds and %zu seeds: expected 2 to %zu folds, 1 to 10000 seeds", folds,
		     seeds, records->count);
	const size_t runs = folds * seeds;
	TRY_ALLOC(j.metrics, hel_alloc(runs, sizeof *j.metrics));
	TRY(hel_pool_try(pool, runs, run, &j));
	out->runs = runs;
	out->model = summarise(j.metrics, runs, MODEL);
	out->relu = summarise(j.metrics, runs, RELU);
	out->logistic = summarise(j.metrics, runs, LOGISTIC);
done:
	hel_free(j.metrics);
	return st;
}
