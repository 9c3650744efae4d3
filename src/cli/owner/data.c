#include "data.h"
#include "model/model_file.h"
#include <math.h>
#include <string.h>

hel_status hel_cli_dataset(const hel_dataset **out, const hel_args *args, const char *otherwise)
{
	hel_status st = HEL_OK;
	const char *name = hel_arg(args, "dataset") ? hel_arg(args, "dataset") : otherwise;
	uint8_t *text = NULL;
	size_t size;
	hel_dataset *set;
	if (!strpbrk(name, "./")) {
		*out = hel_dataset_by_name(name);
		return *out ? HEL_OK : HEL_EINVAL;
	}
	TRY(hel_input_read(name, HEL_SCHEMA_TEXT_MAX, &text, &size));
	st = hel_dataset_from_json(&set, (const char *)text, size);
	if (st != HEL_OK)
		FAIL(st, "%s: %s", name, hel_error_detail());
	*out = set;
done:
	hel_free(text);
	return st;
}

hel_status hel_cli_records(hel_records *out, const hel_args *args, const char *option,
			   const hel_dataset *set, bool labelled)
{
	size_t count;
	const char *const *paths = hel_arg_all(args, option, &count);
	hel_status st = hel_records_read(out, set, paths, count);
	if (st == HEL_OK && labelled && !out->labelled) {
		st = hel_fail(HEL_EDATA, "%s: the row has no label", out->unlabelled);
		hel_records_clear(out);
	}
	return st;
}

hel_status hel_cli_model_and_samples(hel_dlrm **m, hel_samples *samples,
				     uint8_t stamp[HEL_HASH_BYTES], const hel_args *args,
				     const char *option, bool labelled, hel_unknown policy)
{
	hel_status st = HEL_OK;
	hel_records records = {0};
	TRY(hel_dlrm_load(m, hel_arg(args, "model")));
	TRY(hel_cli_records(&records, args, option, (*m)->schema->set, labelled));
	if (stamp)
		hel_records_stamp(stamp, &records);
	if (!(*m)->schema->set->small) /* rare values are the missing one's, as in training */
		policy = HEL_UNKNOWN_IS_MISSING;
	TRY(hel_samples_new(samples, (*m)->schema, &records, NULL, records.count, policy));
done:
	hel_records_clear(&records);
	return st;
}

hel_status hel_cli_logits(double *out, const hel_dlrm *m, const hel_samples *s)
{
	hel_status st = HEL_OK;
	for (size_t i = 0; i < s->count; i++)
		TRY(hel_dlrm_logit(&out[i], m, s->value + i * s->dense, s->hot + i * s->hots));
done:
	return st;
}

hel_status hel_cli_config(hel_dlrm_config *out, const hel_args *args, const hel_dataset *set)
{
	hel_status st = HEL_OK;
	uint8_t *text = NULL;
	size_t size;
	uint64_t threshold, most, seed;
	hel_dlrm_config c = hel_dlrm_config_for(set);
	if (hel_arg(args, "config")) {
		TRY(hel_arg_file(&text, &size, args, "config"));
		TRY(hel_dlrm_config_update(&c, (const char *)text, size));
	}
	if (hel_arg(args, "architecture")) {
		c.architecture = hel_architecture_by_name(hel_arg(args, "architecture"));
		if (c.architecture >= HEL_ARCHITECTURE_GRAPH)
			FAIL(HEL_EINVAL, "--architecture %.40s: expected " HEL_ARCHITECTURE_NAMES,
			     hel_arg(args, "architecture"));
	}
	uint64_t members;
	TRY(hel_arg_number(&members, args, "members", 1, HEL_MAX_MEMBERS, c.members));
	c.members = (uint32_t)members;
	if (hel_arg(args, "embedding"))
		TRY(hel_embedding_parse(&c.plan.kind, hel_arg(args, "embedding")));
	TRY(hel_arg_number(&threshold, args, "threshold", 0, 1000000000, c.plan.threshold));
	TRY(hel_arg_number(&most, args, "max-onehot", 1, 1 << 26, c.plan.max_onehot));
	TRY(hel_arg_number(&seed, args, "seed", 0, (uint64_t)9e15, c.training.seed));
	c.plan.threshold = (uint32_t)threshold;
	c.plan.max_onehot = (uint32_t)most;
	c.training.seed = seed;
	*out = c;
done:
	hel_free(text);
	return st;
}

hel_status hel_cli_cache(hel_cache **out, const hel_args *args, json_t *report,
			 const hel_dataset *set, const char *path)
{
	hel_status st = HEL_OK;
	size_t count;
	uint64_t most;
	hel_scan_report scan;
	bool made;
	const char *const *paths = hel_arg_all(args, "data", &count);
	TRY(hel_arg_number(&most, args, "max-malformed", 0, UINT64_MAX, 0));
	const double start = hel_clock();
	TRY(hel_cache_open(out, &scan, &made, path, set, paths, count, most, args->pool));
	const double rate = (double)scan.rows / fmax(hel_clock() - start, 1e-9);
	if (made)
		hel_say(args, "%llu rows read, %.0f per second", (unsigned long long)scan.rows,
			rate);
	else
		hel_say(args, "%llu rows in the cache %s", (unsigned long long)scan.rows, path);
	hel_say(args, ", %llu malformed left out\n", (unsigned long long)scan.malformed);
	for (size_t i = 0; made && i < HEL_MIN(scan.malformed, (uint64_t)HEL_MALFORMED_SHOWN); i++)
		hel_say(args, "  %s\n", scan.shown[i]);
	json_object_set_new(report, "rows", json_integer((json_int_t)scan.rows));
	json_object_set_new(report, "malformed", json_integer((json_int_t)scan.malformed));
	if (made)
		json_object_set_new(report, "rows_per_second", json_real(rate));
done:
	return st;
}
