/* A checkpoint of any container, under the names that recognisers know. */
#include "checkpoint.h"
#include <string.h>

/* What wrappers put into names, anywhere: DataParallel and DDP, torch.compile, FSDP, activation
 * checkpointing. */
static void drop_wrappers(char *name)
{
	static const char *const wrapper[] = {"module.", "_orig_mod.", "_fsdp_wrapped_module.",
					      "_checkpoint_wrapped_module."};
	for (char *at = name; at;) {
		bool dropped = false;
		for (size_t i = 0; i < HEL_ARRAY_LEN(wrapper); i++) {
			const size_t n = strlen(wrapper[i]);
			if (strncmp(at, wrapper[i], n) == 0 && at[n]) {
				memmove(at, at + n, strlen(at + n) + 1);
				dropped = true;
			}
		}
		if (!dropped) {
			at = strchr(at, '.');
			at = at ? at + 1 : NULL;
		}
	}
}

/* Words with which the names of a known form begin: what stands before them is a wrapper's. */
static bool is_root(const char *name, size_t size)
{
	static const char *const roots[] = {
	    "bot_l",	  "emb_l",	"top_l",     "v_W_l",	       "sparse_arch",
	    "dense_arch", "inter_arch", "over_arch", "embedding_dict", "linear_model",
	    "dnn",	  "dnn_linear", "out",	     "embedding",      "linear",
	    "mlp",	  "fm"};
	for (size_t i = 0; i < HEL_ARRAY_LEN(roots); i++)
		if (strlen(roots[i]) == size && strncmp(name, roots[i], size) == 0)
			return true;
	return false;
}

/* Takes off what all names begin with, word by word ("model." of Lightning, say). */
static hel_status drop_prefix(hel_checkpoint *c)
{
	hel_status st = HEL_OK;
	size_t size = 0;
	while (c->count) {
		const char *first = c->tensor[0].name + size, *dot = strchr(first, '.');
		if (!dot || is_root(first, (size_t)(dot - first)))
			break;
		const size_t longer = size + (size_t)(dot - first) + 1;
		size_t i = 1;
		while (i < c->count && strncmp(c->tensor[i].name, c->tensor[0].name, longer) == 0)
			i++;
		if (i < c->count)
			break;
		size = longer;
	}
	TRY_ALLOC(c->prefix, hel_alloc(size + 1, 1));
	if (size)
		memcpy(c->prefix, c->tensor[0].name, size);
	for (size_t i = 0; i < c->count; i++)
		memmove(c->tensor[i].name, c->tensor[i].name + size,
			strlen(c->tensor[i].name + size) + 1);
done:
	return st;
}

hel_status hel_checkpoint_open(hel_checkpoint *out, const uint8_t *bytes, size_t size)
{
	hel_status st = HEL_OK;
	hel_checkpoint c = {0};
	TRY(hel_checkpoint_is_torch(bytes, size) ? hel_checkpoint_torch(&c, bytes, size)
						 : hel_checkpoint_safetensors(&c, bytes, size));
	if (!c.count)
		FAIL(HEL_EFORMAT, "weights: no tensors");
	for (size_t i = 0; i < c.count; i++)
		drop_wrappers(c.tensor[i].name);
	TRY(drop_prefix(&c));
	TRY(hel_checkpoint_index(&c));
	*out = c;
	c = (hel_checkpoint){0};
done:
	hel_checkpoint_clear(&c);
	return st;
}
