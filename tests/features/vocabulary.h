/* Vocabularies of tables that nobody learned. */
#ifndef HEL_TEST_VOCABULARY_H
#define HEL_TEST_VOCABULARY_H

#include "../testing.h"
#include "features/schema.h"

/** The values 0, 1, .. as `format` writes them. */
__attribute__((format(printf, 3, 0))) static inline void
list_values(hel_table_field *t, uint32_t count, const char *format)
{
	char(*text)[HEL_VALUE_MAX] = hel_alloc(count + 1, sizeof *text);
	const char **value = hel_alloc(count + 1, sizeof *value);
	assert_true(text && value);
	for (uint32_t v = 0; v < count; v++) {
		value[v] = text[v];
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
		snprintf(text[v], sizeof *text, format, v);
#pragma GCC diagnostic pop
	}
	assert_ok(hel_table_list(t, value, count));
	hel_free(text);
	hel_free(value);
}

#endif
