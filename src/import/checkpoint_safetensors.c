/* Tensors of a .safetensors file: the header says all. */
#include "checkpoint.h"
#include "model/safetensors.h"
#include <string.h>

static hel_element element_of(const char *type)
{
	static const char *const names[] = {
#define X(element, name, bytes) name,
	    HEL_ELEMENT_LIST(X)
#undef X
	};
	hel_element e = 0;
	while (e < HEL_NO_NUMBER && strcmp(type, names[e]) != 0)
		e++;
	return e;
}

/* hel_safetensors_open has checked that shape, type and place fit each other and the file. */
static hel_status add(hel_checkpoint *c, const char *name, const json_t *entry,
		      const hel_safetensors *f)
{
	const json_t *shape = json_object_get(entry, "shape");
	const char *type = json_string_value(json_object_get(entry, "dtype"));
	const size_t dimensions = json_array_size(shape);
	size_t side[2] = {1, 1};
	for (size_t i = 0; i < dimensions && i < 2; i++)
		side[i] = (size_t)json_integer_value(json_array_get(shape, i));
	const json_t *begin = json_array_get(json_object_get(entry, "data_offsets"), 0);
	return hel_checkpoint_add(c, name,
				  &(hel_stored){.type = (char *)type,
						.element = element_of(type),
						.dimensions = dimensions,
						.rows = side[0],
						.columns = side[1],
						.stride = {side[1], 1},
						.data = f->data + json_integer_value(begin)});
}

hel_status hel_checkpoint_safetensors(hel_checkpoint *c, const uint8_t *bytes, size_t size)
{
	hel_status st = HEL_OK;
	hel_safetensors f = {0};
	const char *name;
	json_t *entry;
	c->container = "safetensors";
	TRY(hel_safetensors_open(&f, bytes, size));
	json_object_foreach(f.header, name, entry)
	{
		if (strcmp(name, "__metadata__") != 0)
			TRY(add(c, name, entry, &f));
	}
done:
	hel_safetensors_close(&f);
	return st;
}
