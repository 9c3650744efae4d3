#include "server.h"
#include "server_inside.h"
#include "vm/encrypted.h"
#include <string.h>

void hel_server_free(hel_server *s)
{
	if (!s)
		return;
	hel_loaded_free(s->loaded);
	hel_params_free(s->own);
	hel_program_free(s->program);
	hel_free(s);
}

hel_status hel_server_open(hel_server **out, const void *program, size_t size, hel_pool *pool,
			   const hel_server_options *o)
{
	hel_status st = HEL_OK;
	const hel_params *params = o->params;
	hel_server *s = NULL;
	TRY(hel_random_init());
	TRY_ALLOC(s, hel_alloc(1, sizeof *s));
	s->pool = pool;
	TRY(hel_program_read(&s->program, program, size));
	const hel_params_spec *spec = &s->program->manifest->params;
	if (params && memcmp(spec, &params->spec, sizeof *spec) != 0)
		FAIL(HEL_EPARAMS, "the program has other parameters than those it shall share");
	if (!params)
		TRY(hel_params_new(&s->own, spec));
	s->params = params ? params : s->own;
	TRY(hel_loaded_open(&s->loaded, s->program, s->params, pool, &o->load));
	hel_program_drop_vectors(s->program);
	*out = s;
	s = NULL;
done:
	hel_server_free(s);
	return st;
}

hel_status hel_server_new(hel_server **out, const void *program, size_t size, hel_pool *pool)
{
	return hel_server_open(out, program, size, pool, &(hel_server_options){0});
}

const hel_program *hel_server_program(const hel_server *s)
{
	return s->program;
}

const hel_params *hel_server_params(const hel_server *s)
{
	return s->params;
}

const char *hel_server_model(const hel_server *s)
{
	return s->program->manifest->model;
}

void hel_server_id(uint8_t id[HEL_PROGRAM_ID_BYTES], const hel_server *s)
{
	memcpy(id, s->program->manifest->id, HEL_PROGRAM_ID_BYTES);
}

const hel_loaded *hel_server_weights(const hel_server *s)
{
	return s->loaded;
}

void hel_evaluation_free(hel_evaluation *evaluation)
{
	if (!evaluation)
		return;
	if (evaluation->ev != &evaluation->lent)
		hel_eval_free(evaluation->ev);
	hel_keys_free(evaluation->own);
	hel_free(evaluation);
}

static hel_status covered(const hel_server *s, const hel_keys *keys)
{
	const hel_manifest *m = s->program->manifest;
	for (uint32_t i = 0; i < m->keys; i++)
		if (!hel_keys_find(keys, m->key[i].galois, m->key[i].level))
			return HEL_EKEY;
	return HEL_OK;
}

hel_status hel_evaluation_borrow(hel_evaluation **out, const hel_server *s, const hel_keys *keys,
				 const hel_run_means *means)
{
	hel_status st = HEL_OK;
	hel_evaluation *evaluation = NULL;
	if (keys->params != s->params)
		FAIL(HEL_EPARAMS, "these keys were made for other parameters than the model's");
	TRY(covered(s, keys));
	TRY_ALLOC(evaluation, hel_alloc(1, sizeof *evaluation));
	evaluation->server = s;
	evaluation->keys = keys;
	evaluation->lent = (hel_eval){.params = s->params,
				      .keys = keys,
				      .pool = means->pool,
				      .scratch = means->scratch,
				      .stop = means->stop};
	evaluation->ev = &evaluation->lent;
	*out = evaluation;
done:
	return st;
}

hel_status hel_evaluation_new(hel_evaluation **out, const hel_server *s, const void *keys,
			      size_t size)
{
	hel_status st = HEL_OK;
	hel_evaluation *evaluation = NULL;
	TRY_ALLOC(evaluation, hel_alloc(1, sizeof *evaluation));
	evaluation->server = s;
	TRY(hel_keys_load(&evaluation->own, s->params, keys, size));
	evaluation->keys = evaluation->own;
	TRY(covered(s, evaluation->keys));
	TRY(hel_eval_new(&evaluation->ev, s->params, evaluation->keys, s->pool));
	*out = evaluation;
	evaluation = NULL;
done:
	hel_evaluation_free(evaluation);
	return st;
}

hel_status hel_server_read_query(hel_ct **in, const hel_evaluation *evaluation, const hel_eval *ev,
				 const void *query, size_t size)
{
	hel_status st = HEL_OK;
	const hel_server *s = evaluation->server;
	const hel_manifest *m = s->program->manifest;
	hel_reader r;
	TRY(hel_container_open(&r, HEL_KIND_QUERY, query, size));
	const uint8_t *id = hel_read_bytes(&r, HEL_HASH_BYTES);
	const uint8_t *client = hel_read_bytes(&r, HEL_CLIENT_ID_BYTES);
	const uint8_t form = hel_read_u8(&r);
	const uint32_t inputs = hel_read_u32(&r);
	TRY(r.status);
	if (memcmp(id, m->id, HEL_HASH_BYTES) != 0)
		FAIL(HEL_EMODEL,
		     "this query is for another model than '%s'; encrypt it with this model's "
		     "manifest",
		     m->model);
	if (memcmp(client, evaluation->keys->client, HEL_CLIENT_ID_BYTES) != 0)
		FAIL(HEL_ECLIENT,
		     "this query was encrypted by another client than the evaluation keys'");
	if (form != HEL_CT_SEEDED && form != HEL_CT_FULL)
		FAIL(HEL_EFORMAT, "a query of form %u, expected %d (seeded) or %d (full)", form,
		     HEL_CT_SEEDED, HEL_CT_FULL);
	if (inputs != m->inputs)
		FAIL(HEL_EFORMAT, "a query of %u ciphertexts, expected %u", inputs, m->inputs);
	for (uint32_t i = 0; i < inputs; i++) {
		TRY(hel_ct_take(&in[i], ev));
		TRY(form == HEL_CT_SEEDED ? hel_ct_read_seeded(in[i], &r) : hel_ct_read(in[i], &r));
		if (in[i]->level != m->input[i].level)
			FAIL(HEL_ELEVEL, "input %u of the query has level %u, expected %u", i,
			     in[i]->level, m->input[i].level);
	}
	TRY(hel_reader_finish(&r));
done:
	return st;
}

void hel_server_free_query(hel_ct **in, size_t inputs)
{
	for (size_t i = 0; in && i < inputs; i++)
		hel_ct_free(in[i]);
	hel_free(in);
}

/* ev: the evaluation's own, or one like it that somebody follows. */
static hel_status infer(hel_writer *w, const hel_evaluation *evaluation, const hel_eval *ev,
			const void *query, size_t size, hel_infer_times *times)
{
	hel_status st = HEL_OK;
	const hel_server *s = evaluation->server;
	const hel_manifest *m = s->program->manifest;
	hel_ct **in = NULL, *result = NULL;
	double start = hel_clock(), read, evaluated;
	if (m->items.any)
		FAIL(HEL_EMODEL, "'%s' ranks the items of a catalogue: --catalogue names one",
		     m->model);
	TRY_ALLOC(in, hel_alloc(m->inputs, sizeof *in));
	TRY(hel_server_read_query(in, evaluation, ev, query, size));
	read = hel_clock();
	TRY(hel_ckks_run(&result, s->loaded, ev, (const hel_ct *const *)in,
			 times ? times->op : NULL));
	evaluated = hel_clock();
	if (hel_loaded_damaged(s->loaded))
		FAIL(HEL_EHASH, "the file of weights was damaged while it was mapped");
	hel_container_begin(w, HEL_KIND_RESULT);
	hel_write_bytes(w, m->id, sizeof m->id);
	hel_write_bytes(w, evaluation->keys->client, HEL_CLIENT_ID_BYTES);
	TRY(hel_ct_write_sampled(w, ev, result, m->samples));
	TRY(hel_container_end(w));
	if (times) {
		times->read = read - start;
		times->evaluate = evaluated - read;
		times->write = hel_clock() - evaluated;
	}
done:
	hel_server_free_query(in, m->inputs);
	hel_ct_free(result);
	return st;
}

hel_status hel_server_infer(hel_writer *w, const hel_evaluation *evaluation, const void *query,
			    size_t size, hel_infer_times *times)
{
	return infer(w, evaluation, evaluation->ev, query, size, times);
}

hel_status hel_server_run(uint8_t **result, size_t *result_size, const hel_evaluation *evaluation,
			  const void *query, size_t size, const hel_watch *watch)
{
	hel_status st = HEL_OK;
	hel_writer w = {0};
	hel_watching watching;
	hel_eval followed = *evaluation->ev; /* keys and scratch are those of all runs */
	hel_watching_begin(&watching, watch);
	followed.watching = &watching;
	TRY(infer(&w, evaluation, &followed, query, size, NULL));
	*result = w.bytes;
	*result_size = w.size;
	w = (hel_writer){0};
done:
	hel_writer_clear(&w);
	return st;
}
