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

/* The same of modules' names, which are what stands before their parts'. */
static hel_status drop_wrappers_of_modules(hel_checkpoint *c)
{
	hel_status st = HEL_OK;
	json_t *named = json_object(), *list;
	const char *key;
	char *name = NULL;
	json_object_foreach(c->sequential, key, list)
	{
		const size_t n = strlen(key);
		TRY_ALLOC(name, hel_alloc(n + 3, 1));
		memcpy(name, key, n);
		memcpy(name + n, ".0", 2);
		drop_wrappers(name);
		name[strlen(name) - 2] = 0;
		json_object_set(named, name, list);
		hel_free(name);
		name = NULL;
	}
	json_decref(c->sequential);
	c->sequential = named;
	named = NULL;
done:
	hel_free(name);
	json_decref(named);
	return st;
}

const json_t *hel_checkpoint_sequential(const hel_checkpoint *c, const char *name)
{
	char whole[600];
	const int n = snprintf(whole, sizeof whole, "%s%s", c->prefix ? c->prefix : "", name);
	return n < (int)sizeof whole ? json_object_get(c->sequential, whole) : NULL;
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
	TRY(drop_wrappers_of_modules(&c));
	*out = c;
	c = (hel_checkpoint){0};
done:
	hel_checkpoint_clear(&c);
	return st;
}
