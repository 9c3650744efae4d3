/* Training on rows in memory. */
#include "model/accuracy.h"
#include "model/train.h"
#include "owner_inside.h"
#include <math.h>
#include <string.h>

/* A model of one class would say it whatever it is asked. */
hel_status hel_owner_check_classes(const hel_records *r)
{
	size_t positive = 0;
	for (size_t i = 0; i < r->count; i++)
		positive += r->label[i];
	if (positive && positive < r->count)
		return HEL_OK;
	return hel_fail(
	    HEL_EDATA, "all %zu rows are of the %s class: there is nothing to learn from one class",
	    r->count, positive ? "positive" : "negative");
}

hel_status hel_owner_learn(hel_dlrm **out, hel_metrics *metrics, size_t *far,
			   const hel_dlrm_config *config, const hel_dataset *set,
			   const hel_records *records, hel_pool *pool, hel_watching *watching)
{
	hel_status st = HEL_OK;
	hel_schema *schema = NULL;
	hel_samples samples = {0};
	hel_dlrm *m = NULL;
	double *logits = NULL;
	hel_progress progress;
	uint32_t base;
	TRY(hel_dlrm_text_base(&base, config));
	TRY(hel_schema_fit(&schema, set, records, NULL, records->count, config->clip, base));
	TRY(hel_samples_new(&samples, schema, records, NULL, records->count, HEL_UNKNOWN_IS_ERROR));
	TRY(hel_dlrm_new(&m, config, schema, config->training.seed));
	schema = NULL;
	hel_progress_begin(&progress, "training");
	hel_progress_follow(&progress, watching);
	st = hel_dlrm_train(m, &samples, &progress);
	hel_progress_end(&progress);
	TRY(st);
	TRY_ALLOC(logits, hel_alloc(samples.count, sizeof *logits));
	TRY(hel_owner_logits(logits, m, &samples, pool, NULL));
	TRY(hel_metrics_of(metrics, logits, samples.label, samples.count));
	hel_records_stamp(m->trained_on, records);
	m->stamped = true;
	*far = samples.far;
	*out = m;
	m = NULL;
done:
	hel_free(logits);
	hel_dlrm_free(m);
	hel_schema_free(schema);
	hel_samples_clear(&samples);
	return st;
}

hel_status hel_recommender_train(hel_recommender **out, uint8_t **report, size_t *size,
				 const hel_training_source *source, const hel_watch *watch)
{
	hel_status st = HEL_OK;
	const hel_dataset *set = NULL;
	hel_records records = {0};
	hel_dlrm_config config;
	hel_dlrm *m = NULL;
	hel_recommender *r = NULL;
	hel_metrics metrics;
	hel_watching watching;
	size_t far;
	TRY(hel_random_init());
	hel_watching_begin(&watching, watch);
	if (!source->columns || !source->rows)
		FAIL(HEL_EINVAL, "training needs columns and rows");
	TRY(hel_owner_dataset(&set, source->columns));
	if (!set->small)
		FAIL(HEL_EUNSUPPORTED,
		     "'%s' is read as a stream: say \"small\": true, or train it by `helrm train`",
		     set->name);
	config = hel_dlrm_config_for(set);
	if (source->config)
		TRY(hel_dlrm_config_update(&config, source->config, strlen(source->config)));
	TRY(hel_records_parse(&records, set, "rows", source->rows, source->rows_size));
	if (!records.labelled)
		FAIL(HEL_EDATA, "%s: the row has no label", records.unlabelled);
	TRY(hel_owner_check_classes(&records));
	TRY(hel_owner_learn(&m, &metrics, &far, &config, set, &records, NULL, &watching));
	const size_t parameters = m->parameters;
	TRY(hel_recommender_of(&r, m));
	if (report)
		TRY(hel_owner_text(
		    report, size,
		    json_pack("{s:I, s:f, s:o, s:f, s:I}", "rows", (json_int_t)records.count,
			      "accuracy", metrics.accuracy, "auc", hel_owner_number(metrics.auc),
			      "log_loss", metrics.log_loss, "parameters", (json_int_t)parameters)));
	*out = r;
	r = NULL;
done:
	hel_recommender_free(r);
	hel_records_clear(&records);
	hel_dataset_drop(set);
	return st;
}
