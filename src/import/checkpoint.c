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

hel_status hel_checkpoint_below(hel_checkpoint *c, const char *prefix)
{
	hel_status st = HEL_OK;
	const size_t n = strlen(prefix);
	TRY_ALLOC(c->prefix, hel_strdup(prefix));
	for (size_t i = 0; i < c->count; i++) {
		char *name = c->tensor[i].name;
		c->tensor[i].outside = strncmp(name, prefix, n) != 0;
		if (!c->tensor[i].outside)
			memmove(name, name + n, strlen(name + n) + 1);
	}
	TRY(hel_checkpoint_index(c));
done:
	return st;
}

hel_status hel_checkpoint_open(hel_checkpoint *out, const uint8_t *bytes, size_t size,
			       const char *key)
{
	hel_status st = HEL_OK;
	hel_checkpoint c = {0};
	TRY(hel_checkpoint_is_torch(bytes, size) ? hel_checkpoint_torch(&c, bytes, size, key)
						 : hel_checkpoint_safetensors(&c, bytes, size));
	if (!c.count)
		FAIL(HEL_EFORMAT, "weights: no tensors");
	for (size_t i = 0; i < c.count; i++)
		drop_wrappers(c.tensor[i].name);
	*out = c;
	c = (hel_checkpoint){0};
done:
	hel_checkpoint_clear(&c);
	return st;
}
