/* A program with its weights, in memory or in a file. */
#include "loaded.h"
#include "refresh_op.h"
#include "vm.h"
#include "weight.h"
#include "weights_file.h"
#include <string.h>
#include <sys/mman.h>

static hel_status new_without_data(hel_loaded **out, const hel_program *p, const hel_params *params)
{
	hel_status st = HEL_OK;
	hel_loaded *l = NULL;
	TRY_ALLOC(l, hel_alloc(1, sizeof *l));
	l->p = p;
	l->params = params;
	TRY(hel_loaded_find_weights(l));
	*out = l;
	l = NULL;
done:
	hel_loaded_free(l);
	return st;
}

/* What refreshes multiply with depends on the parameters only, and stays in memory. weights: or
 * just what they will be. */
static hel_status find_refreshers(hel_loaded *l, bool weights, hel_pool *pool)
{
	hel_status st = HEL_OK;
	for (uint32_t i = 0; i < l->p->ops; i++) {
		const hel_op *op = &l->p->op[i];
		if (op->kind != HEL_OP_REFRESH)
			continue;
		TRY(hel_refresh_op_check(op, l->params));
		hel_refresher **r = &l->refresher[op->index];
		if (!*r && weights)
			TRY(hel_refresher_new_program(r, l->params, op->index, pool));
		else if (!*r)
			TRY(hel_refresher_sketch(r, l->params, op->index));
	}
done:
	return st;
}

static size_t refresher_bytes(const hel_loaded *l)
{
	size_t bytes = 0;
	for (size_t i = 0; i < HEL_ARRAY_LEN(l->refresher); i++)
		bytes += l->refresher[i] ? hel_refresher_bytes(l->refresher[i]) : 0;
	return bytes;
}

hel_status hel_ckks_weight_bytes(size_t *out, const hel_program *p, const hel_params *params)
{
	hel_status st = HEL_OK;
	hel_loaded *l = NULL;
	TRY(new_without_data(&l, p, params));
	TRY(find_refreshers(l, false, NULL));
	*out = l->bytes + refresher_bytes(l);
done:
	hel_loaded_free(l);
	return st;
}

static hel_status encode_in_place(void *arg, size_t i)
{
	const hel_loaded *l = arg;
	return hel_loaded_encode(l, i, l->weight[i].pt.data);
}

static hel_status encode_to_memory(hel_loaded *l, hel_pool *pool, const hel_load_options *o)
{
	hel_status st = HEL_OK;
	TRY_ALLOC(l->memory, hel_alloc_huge(l->bytes, 1));
	hel_loaded_place(l, l->memory);
	TRY(hel_loaded_each(l, pool, o, encode_in_place, l));
done:
	return st;
}

hel_status hel_loaded_open(hel_loaded **out, const hel_program *p, const hel_params *params,
			   hel_pool *pool, const hel_load_options *o)
{
	hel_status st = HEL_OK;
	hel_loaded *l = NULL;
	TRY(new_without_data(&l, p, params));
	TRY(find_refreshers(l, true, pool));
	TRY_ALLOC(l->fusion, hel_alloc(p->ops, sizeof *l->fusion));
	TRY(hel_vm_find_fused(l->fusion, p));
	if (o->cache && l->weights) {
		st = hel_weights_map(l, pool, o);
		if (st != HEL_OK &&
		    (o->cache_only || (st != HEL_EIO && st != HEL_ESPACE && st != HEL_EBUSY)))
			goto done;
		if (st != HEL_OK)
			snprintf(l->note, sizeof l->note, "%s", hel_error_detail());
	}
	if (!l->map)
		TRY(encode_to_memory(l, pool, o));
	st = HEL_OK;
	*out = l;
	l = NULL;
done:
	hel_loaded_free(l);
	return st;
}

hel_status hel_loaded_new(hel_loaded **out, const hel_program *p, const hel_params *params,
			  hel_pool *pool)
{
	return hel_loaded_open(out, p, params, pool, &(hel_load_options){0});
}

void hel_loaded_free(hel_loaded *l)
{
	if (!l)
		return;
	hel_mapping_close(l->mapping);
	for (size_t i = 0; i < HEL_ARRAY_LEN(l->refresher); i++)
		hel_refresher_free(l->refresher[i]);
	hel_free(l->memory);
	hel_free(l->weight);
	hel_free(l->of);
	hel_free(l->first);
	hel_free(l->fusion);
	hel_free(l);
}

void hel_loaded_prefetch(const hel_loaded *l)
{
	if (l->map)
		madvise(l->map, l->map_bytes, MADV_WILLNEED);
}

void hel_loaded_release(const hel_loaded *l)
{
	if (l->map)
		madvise(l->map, l->map_bytes, MADV_PAGEOUT);
}

bool hel_loaded_damaged(const hel_loaded *l)
{
	return l->mapping && hel_mapping_damaged(l->mapping);
}

size_t hel_loaded_bytes(const hel_loaded *l)
{
	return l->bytes + refresher_bytes(l);
}

hel_weights_origin hel_loaded_origin(const hel_loaded *l)
{
	return l->origin;
}

const char *hel_loaded_note(const hel_loaded *l)
{
	return l->note;
}

const char *hel_weights_origin_text(hel_weights_origin origin)
{
	static const char *const text[] = {"encoded", "encoded into the cache", "mapped"};
	return text[origin];
}
