/* s3_credentials.h -- who we are for an S3-compatible store, from where its tools look: the
 * environment (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN), the file
 * AWS_SHARED_CREDENTIALS_FILE or ~/.aws/credentials (AWS_PROFILE), the container's endpoint
 * (AWS_CONTAINER_CREDENTIALS_FULL_URI), the instance's metadata (IMDSv2). */
#ifndef HEL_S3_CREDENTIALS_H
#define HEL_S3_CREDENTIALS_H

#include "base/base.h"

typedef struct hel_s3_credentials {
	char key[129], secret[257];
	char token[4097]; /* "" for none */
	double until;	  /* of hel_clock: to be asked for again; INFINITY: never */
} hel_s3_credentials;

/** @retval HEL_EDENIED there are none. @retval HEL_EBUSY who has them cannot be reached. */
HEL_CHECKED hel_status hel_s3_credentials_find(hel_s3_credentials *out);

/** Lines "name = value" of one profile of such a file; false when it has no key. For tests. */
bool hel_s3_credentials_parse(hel_s3_credentials *out, const char *text, const char *profile);
/** The answer of the metadata services; false for what is none. */
bool hel_s3_credentials_json(hel_s3_credentials *out, const void *text, size_t size);

#endif
