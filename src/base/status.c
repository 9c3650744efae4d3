/* What all libraries share: libhelrm-base, so that a program that links several reads one detail.
 */
#include "base.h"
#include <sodium.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

static _Thread_local char detail[512];

const char *hel_status_text(hel_status status)
{
	switch (status) {
#define X(code, text)                                                                              \
	case code:                                                                                 \
		return text;
		HEL_STATUS_LIST(X)
#undef X
	}
	return "unknown status";
}

const char *hel_error_detail(void)
{
	return detail;
}

hel_status hel_fail(hel_status status, const char *format, ...)
{
	char text[sizeof detail]; /* an argument may be the old detail */
	va_list args;
	va_start(args, format);
	hel_print_list(text, sizeof text, format, args);
	va_end(args);
	memcpy(detail, text, sizeof detail);
	/* foreign text must not break the line or steer a terminal */
	for (char *p = detail; *p; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			*p = '?';
	return status;
}

void hel_wipe(void *p, size_t size)
{
	sodium_memzero(p, size);
}

void hel_bytes_free(void *bytes, size_t size)
{
	if (bytes)
		hel_wipe(bytes, size);
	free(bytes);
}

const char *hel_version(void)
{
	return HELRM_VERSION;
}
