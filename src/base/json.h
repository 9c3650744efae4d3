/* json.h -- a strict reader of JSON (RFC 8259) for bytes of others, and a writer (json.c,
 * json_write.c). Objects and arrays at the root only, 32 deep, no member twice, texts valid UTF-8
 * without zeros, numbers finite doubles.
 */
#ifndef HEL_JSON_H
#define HEL_JSON_H

#include "base/bytes.h"
#include <stdbool.h>

typedef enum hel_json_kind {
	HEL_JSON_NULL,
	HEL_JSON_FALSE,
	HEL_JSON_TRUE,
	HEL_JSON_NUMBER,
	HEL_JSON_TEXT,
	HEL_JSON_ARRAY,
	HEL_JSON_OBJECT,
} hel_json_kind;

typedef struct hel_json hel_json; /* a whole text: owns all values */

typedef struct hel_json_value {
	hel_json_kind kind;
	uint32_t count;		      /* of an array's or object's values */
	const char *name;	      /* of an object's value, NULL of others */
	const char *text;	      /* of a TEXT, else NULL */
	double number;		      /* of a NUMBER, else 0 */
	struct hel_json_value *first; /* of an array or object */
	struct hel_json_value *next;  /* in the same array or object */
} hel_json_value;

/** @retval HEL_EFORMAT "line 3: ..." */
HEL_CHECKED hel_status hel_json_read(hel_json **out, const void *text, size_t size);
/** Wipes and frees all values. */
void hel_json_free(hel_json *json);
/** Both take NULL and what is no object, so that a member of a member can be asked for. */
const hel_json_value *hel_json_root(const hel_json *json);
const hel_json_value *hel_json_member(const hel_json_value *object, const char *name);
/** A member's text, NULL when there is none. */
const char *hel_json_text(const hel_json_value *object, const char *name);
/** A member that is a number, an integer in [0, most]; false when it is not. */
bool hel_json_integer(uint64_t *out, const hel_json_value *object, const char *name, uint64_t most);

/** A text as it grows. Members have names, elements NULL. The first failure sticks in w.status. */
typedef struct hel_json_writer {
	hel_writer w;
	unsigned depth;
	bool full;   /* something stands in the innermost array or object */
	bool indent; /* a line for each value */
} hel_json_writer;

void hel_json_open(hel_json_writer *j, const char *name, char bracket); /* { or [ */
void hel_json_close(hel_json_writer *j, char bracket);			/* } or ] */
void hel_json_put_text(hel_json_writer *j, const char *name, const char *text);
void hel_json_put_integer(hel_json_writer *j, const char *name, uint64_t v);
void hel_json_put_bool(hel_json_writer *j, const char *name, bool v);
/** 17 digits, so that it is read as the same double; always with a point or an exponent. */
void hel_json_put_number(hel_json_writer *j, const char *name, double v);
/** The zero-ended text; the writer is empty again. */
HEL_CHECKED hel_status hel_json_take(char **text, size_t *size, hel_json_writer *j);

#endif
