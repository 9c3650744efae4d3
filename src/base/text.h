/* text.h -- text of others: is it UTF-8, which number does it say; and numbers as text. None of it
 * depends on the locale that a program around the library has set (text.c).
 */
#ifndef HEL_TEXT_H
#define HEL_TEXT_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

/** Valid UTF-8. */
bool hel_is_utf8(const char *text);
/** Valid UTF-8 without control characters: fit to print and for JSON. */
bool hel_is_text(const char *text);

#define HEL_EXCERPT_MAX 48
/** The text, or its first 40 bytes or fewer and "...": never part of a character. */
const char *hel_excerpt(char out[HEL_EXCERPT_MAX], const char *text);

/** strtod with a decimal point. */
double hel_number_of(const char *text, char **end);
/** snprintf with decimal points. */
int hel_print(char *out, size_t size, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
int hel_print_list(char *out, size_t size, const char *format, va_list args)
    __attribute__((format(printf, 3, 0)));

#endif
