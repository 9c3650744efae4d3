/* s3_answer.h -- what a store of the S3 protocol says: texts of a few elements of its XML. */
#ifndef HEL_S3_ANSWER_H
#define HEL_S3_ANSWER_H

#include "base/base.h"

/** The text of the next <name> from *at on that is well formed and fits, its entities decoded; *at
 *  moves behind it. Elements within it are not looked for: names here hold texts only. False: there
 *  is none. */
bool hel_s3_element(char *out, size_t size, const char **at, const char *name);

#endif
