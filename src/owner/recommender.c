/* A model as its owner has it: opened, imported, saved, described. */
#include "import/import.h"
#include "model/model_file.h"
#include "owner_inside.h"
#include <stdlib.h>
#include <string.h>

hel_status hel_recommender_of(hel_recommender **out, hel_dlrm *m)
{
	hel_status st = HEL_OK;
	TRY_ALLOC(*out, hel_alloc(1, sizeof **out));
	(*out)->m = m;
	m = NULL;
done:
	hel_dlrm_free(m);
	return st;
}

void hel_recommender_free(hel_recommender *r)
{
	if (!r)
		return;
	hel_dlrm_free(r->m);
	hel_free(r->directory);
	hel_free(r);
}

hel_status hel_recommender_open(hel_recommender **out, const char *directory)
{
	hel_status st = HEL_OK;
	hel_recommender *r = NULL;
	TRY(hel_random_init());
	TRY_ALLOC(r, hel_alloc(1, sizeof *r));
	TRY(hel_dlrm_load(&r->m, directory));
	TRY_ALLOC(r->directory, hel_strdup(directory));
	*out = r;
	r = NULL;
done:
	hel_recommender_free(r);
	return st;
}

hel_status hel_recommender_save(const hel_recommender *r, const char *directory)
{
	return hel_dlrm_save(r->m, directory);
}

/* --- texts ---------------------------------------------------------------------------------- */

hel_status hel_owner_text(uint8_t **out, size_t *size, json_t *value)
{
	hel_status st = HEL_OK;
	TRY_ALLOC(*out, value ? (uint8_t *)json_dumps(value, JSON_COMPACT | JSON_REAL_PRECISION(17))
			      : NULL);
	*size = strlen((char *)*out);
done:
	json_decref(value);
	return st;
}

json_t *hel_owner_number(double v)
{
	return v - v == 0 ? json_real(v) : json_null();
}

hel_status hel_owner_dataset(const hel_dataset **out, const char *columns)
{
	hel_dataset *set;
	const char *at = columns + strspn(columns, " \t\r\n");
	if (*at != '{') {
		*out = hel_dataset_by_name(columns);
		return *out ? HEL_OK : HEL_EINVAL;
	}
	const hel_status st = hel_dataset_from_json(&set, columns, strlen(columns));
	if (st == HEL_OK)
		*out = set;
	return st;
}

/* --- import --------------------------------------------------------------------------------- */

static json_t *import_notes(const hel_dlrm *m, const hel_import_report *r)
{
	json_t *notes = json_array();
	for (size_t i = 0; i < r->lines; i++)
		json_array_append_new(notes, json_string(r->line[i]));
	return json_pack("{s:o, s:I, s:I, s:I, s:I}", "notes", notes, "parameters",
			 (json_int_t)m->parameters, "tables", (json_int_t)m->schema->table_count,
			 "collisions", (json_int_t)r->collisions, "no_missing_row",
			 (json_int_t)r->no_missing_row);
}

hel_status hel_recommender_import(hel_recommender **out, uint8_t **report, size_t *size,
				  const hel_import_source *source)
{
	hel_status st = HEL_OK;
	hel_import_report said;
	hel_import_config config = hel_import_config_default();
	const hel_dataset *set = NULL;
	hel_dlrm *m = NULL;
	hel_recommender *r = NULL;
	TRY(hel_random_init());
	if (!source->weights || !source->schema)
		FAIL(HEL_EINVAL, "an import needs weights and a schema");
	if (source->config)
		TRY(hel_import_config_read(&config, source->config, strlen(source->config)));
	if (source->columns)
		TRY(hel_owner_dataset(&set, source->columns));
	TRY(hel_import(&m, &said, &config, set, (hel_text){source->schema, strlen(source->schema)},
		       source->weights, source->weights_size));
	TRY(hel_recommender_of(&r, m));
	if (report)
		TRY(hel_owner_text(report, size, import_notes(m, &said)));
	*out = r;
	r = NULL;
done:
	hel_recommender_free(r);
	hel_dataset_drop(set);
	hel_import_config_clear(&config);
	return st;
}

/* --- what it is ----------------------------------------------------------------------------- */

hel_status hel_recommender_describe(uint8_t **json, size_t *size, const hel_recommender *r)
{
	hel_status st = HEL_OK;
	const hel_schema *s = r->m->schema;
	char *columns = NULL;
	json_t *tables = json_array();
	TRY(hel_dataset_to_json(&columns, s->set));
	for (size_t i = 0; i < s->table_count; i++)
		json_array_append_new(tables,
				      json_pack("{s:s, s:I}", "name", s->table[i].name, "entries",
						(json_int_t)hel_table_width(&s->table[i])));
	TRY(hel_owner_text(json, size,
			   json_pack("{s:s, s:I, s:o, s:o, s:O}", "dataset", s->dataset,
				     "parameters", (json_int_t)r->m->parameters, "columns",
				     json_loads(columns, 0, NULL), "graph",
				     hel_graph_write(r->m->graph), "tables", tables)));
done:
	json_decref(tables);
	hel_free(columns);
	return st;
}
