/* fail.h -- failing (status.c): one line of detail, one label. */
#ifndef HEL_FAIL_H
#define HEL_FAIL_H

#include <helrm/status.h>

/** Records one line of detail for hel_error_detail() and returns `status`. */
HEL_API hel_status hel_fail(hel_status status, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* In a function with `hel_status st = HEL_OK;` and one `done:` label. */
#define TRY(call)                                                                                  \
	do {                                                                                       \
		st = (call);                                                                       \
		if (st != HEL_OK)                                                                  \
			goto done;                                                                 \
	} while (0)
#define TRY_ALLOC(ptr, call)                                                                       \
	do {                                                                                       \
		(ptr) = (call);                                                                    \
		if (!(ptr)) {                                                                      \
			st = hel_fail(HEL_ENOMEM, "out of memory in %s", __func__);                \
			goto done;                                                                 \
		}                                                                                  \
	} while (0)
#define FAIL(...)                                                                                  \
	do {                                                                                       \
		st = hel_fail(__VA_ARGS__);                                                        \
		goto done;                                                                         \
	} while (0)

#endif
