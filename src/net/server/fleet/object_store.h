/* object_store.h -- bytes by name, which all servers of a fleet reach: a directory (local, NFS,
 * CephFS) or a bucket of an S3-compatible store. Objects never change: who writes takes a new name.
 * Calls may come from any thread, and wait for at most some ten seconds. */
#ifndef HEL_OBJECTS_H
#define HEL_OBJECTS_H

#include "base/base.h"

typedef struct hel_objects hel_objects;

#define HEL_OBJECT_NAME_MAX 127 /* of [a-z0-9.-] in segments between '/' */

/** Takes bytes of an object at `at`; after a connection that broke, from 0 again. */
typedef hel_status hel_object_sink(void *arg, uint64_t at, const void *bytes, size_t size);
typedef hel_status hel_object_name(void *arg, const char *name);

/** What a kind of store answers. */
typedef struct hel_objects_calls {
	void (*close)(hel_objects *o);
	hel_status (*put)(hel_objects *o, const char *name, const void *bytes, size_t size);
	hel_status (*get)(hel_objects *o, const char *name, hel_object_sink *fn, void *arg);
	hel_status (*remove)(hel_objects *o, const char *name);
	hel_status (*list)(hel_objects *o, const char *prefix, hel_object_name *fn, void *arg);
} hel_objects_calls;

struct hel_objects {
	const hel_objects_calls *call;
};

typedef struct hel_objects_options {
	const char *where;    /* a directory, or s3://BUCKET[/PREFIX] */
	const char *endpoint; /* of S3: https://HOST; "": Amazon's of the region */
	const char *region;
	const char *encryption; /* of the server's side: AES256, aws:kms[:KEY]; "" for none */
} hel_objects_options;

/** @retval HEL_EUNSUPPORTED this helrm was built without libcurl. */
HEL_CHECKED hel_status hel_objects_open(hel_objects **out, const hel_objects_options *options);
void hel_objects_close(hel_objects *o);
/** Durable, and as a whole, when this returns.
 *  @retval HEL_EBUSY the store cannot be reached now. @retval HEL_ESPACE it is full. */
HEL_CHECKED hel_status hel_objects_put(hel_objects *o, const char *name, const void *bytes,
				       size_t size);
/** @retval HEL_ETRUNC there is no such object. */
HEL_CHECKED hel_status hel_objects_get(hel_objects *o, const char *name, hel_object_sink *fn,
				       void *arg);
/** One that is not there is removed. */
HEL_CHECKED hel_status hel_objects_remove(hel_objects *o, const char *name);
/** Names that begin with `prefix`, which ends with '/'. fn may remove them. */
HEL_CHECKED hel_status hel_objects_list(hel_objects *o, const char *prefix, hel_object_name *fn,
					void *arg);
/** Removes all of them. */
HEL_CHECKED hel_status hel_objects_remove_all(hel_objects *o, const char *prefix);

HEL_CHECKED hel_status hel_objects_directory(hel_objects **out, const hel_objects_options *options);
HEL_CHECKED hel_status hel_objects_s3(hel_objects **out, const hel_objects_options *options);

#endif
