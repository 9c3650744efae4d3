/* What tune found, as a table and as JSON. */
#include "tune.h"
#include <math.h>
#include <string.h>

void hel_tune_table(const hel_tuning *t, const hel_candidate *chosen)
{
	int width = 9;
	for (size_t i = 0; i < t->count; i++)
		width = HEL_MAX(width, (int)strlen(t->candidate[i].name));
	hel_say(t->args, "\n    %-*s %-17s %-17s %-8s %7s %7s %8s %7s %6s\n", width, "candidate",
		"AUC", "behind the best", "log loss", "one-hot", "ms", "query kB", "keys MB",
		"bits");
	for (const hel_candidate *c = t->candidate; c < t->candidate + t->count; c++) {
		char cost[64] = "";
		if (c->compiled)
			snprintf(cost, sizeof cost, " %7.1f %8.0f %7.1f %6.1f", 1e3 * c->seconds,
				 (double)c->query_bytes / 1e3, (double)c->key_bytes / 1e6, c->bits);
		else
			snprintf(cost, sizeof cost, "   %s",
				 c->trial->reference ? "a reference"
						     : "not compiled: see tune.json");
		hel_say(t->args, "%s %s %-*s %.4f+-%.4f   %7.4f+-%.4f   %.4f  %8zu%s\n",
			c == chosen ? "->" : "  ", c->front ? "*" : " ", width, c->name, c->auc,
			c->auc_error, c->behind, c->behind_error, c->log_loss, c->onehots, cost);
	}
	hel_say(t->args,
		"* on the front: no other candidate has a better AUC in less time\n"
		"AUC: one standard error, of rows and seeds; behind the best: of the same rows and "
		"seeds\n");
}

json_t *hel_tune_json(const hel_tuning *t, const hel_candidate *chosen)
{
	json_t *list = json_array();
	for (const hel_candidate *c = t->candidate; c < t->candidate + t->count; c++) {
		json_t *o = json_pack(
		    "{s:s, s:f, s:f, s:f, s:f, s:f, s:I, s:I, s:b, s:b, s:b}", "name", c->name,
		    "auc", c->auc, "auc_error", c->auc_error, "behind", c->behind, "behind_error",
		    c->behind_error, "log_loss", c->log_loss, "members",
		    (json_int_t)c->config.members, "onehots", (json_int_t)c->onehots, "front",
		    (int)c->front, "chosen", c == chosen, "reference", (int)c->trial->reference);
		if (c->compiled)
			json_object_update_new(
			    o, json_pack("{s:I, s:I, s:i, s:i, s:f, s:f}", "query_bytes",
					 (json_int_t)c->query_bytes, "evaluation_keys_bytes",
					 (json_int_t)c->key_bytes, "levels", (int)c->levels,
					 "log_n", (int)c->log_n, "server_ms", 1e3 * c->seconds,
					 "bits", c->bits));
		else
			json_object_set_new(o, "not_compiled", json_string(c->why));
		json_array_append_new(list, o);
	}
	return list;
}

json_t *hel_tune_dropped(const hel_tuning *t)
{
	json_t *list = json_array();
	for (const hel_trial *x = t->trial; x < t->trial + t->trials; x++) {
		if (hel_tune_is_final(x))
			continue;
		json_t *o = json_pack("{s:s}", "name", x->name);
		if (x->rows && x->mean > 0)
			json_object_update_new(o, json_pack("{s:I, s:f}", "rows",
							    (json_int_t)x->rows, "auc", x->mean));
		if (*x->why)
			json_object_set_new(o, "not_compiled", json_string(x->why));
		else
			json_object_set_new(o, "server_ms", json_real(1e3 * x->seconds));
		json_array_append_new(list, o);
	}
	return list;
}
