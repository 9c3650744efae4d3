#include "object_store.h"
#include <string.h>

hel_status hel_objects_open(hel_objects **out, const hel_objects_options *options)
{
	if (strncmp(options->where, "s3://", 5) != 0)
		return hel_objects_directory(out, options);
#ifdef HELRM_S3
	return hel_objects_s3(out, options);
#else
	return hel_fail(HEL_EUNSUPPORTED, "store: this helrm was built without libcurl");
#endif
}

void hel_objects_close(hel_objects *o)
{
	if (o)
		o->call->close(o);
}

hel_status hel_objects_put(hel_objects *o, const char *name, const void *bytes, size_t size)
{
	return o->call->put(o, name, bytes, size);
}

hel_status hel_objects_get(hel_objects *o, const char *name, hel_object_sink *fn, void *arg)
{
	return o->call->get(o, name, fn, arg);
}

hel_status hel_objects_remove(hel_objects *o, const char *name)
{
	return o->call->remove(o, name);
}

hel_status hel_objects_list(hel_objects *o, const char *prefix, hel_object_name *fn, void *arg)
{
	return o->call->list(o, prefix, fn, arg);
}

static hel_status remove_one(void *arg, const char *name)
{
	return hel_objects_remove(arg, name);
}

hel_status hel_objects_remove_all(hel_objects *o, const char *prefix)
{
	return hel_objects_list(o, prefix, remove_one, o);
}
