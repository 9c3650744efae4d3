/** @file status.h
 *  What every fallible call returns.
 *
 *  One list holds codes and texts. A failing call also leaves one line of
 *  detail (expected, found, what to do) for the calling thread.
 */
#ifndef HELRM_STATUS_H
#define HELRM_STATUS_H

#include <helrm/export.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/** All statuses with their texts: X(code, text). */
#define HEL_STATUS_LIST(X)                                                                         \
	X(HEL_OK, "ok")                                                                            \
	X(HEL_EINVAL, "invalid argument")                                                          \
	X(HEL_ENOMEM, "out of memory")                                                             \
	X(HEL_EIO, "input or output failed")                                                       \
	X(HEL_EFORMAT, "malformed file")                                                           \
	X(HEL_EVERSION, "file version not supported")                                              \
	X(HEL_ETRUNC, "file ends too early")                                                       \
	X(HEL_ELIMIT, "size over its limit")                                                       \
	X(HEL_EHASH, "file damaged (checksum differs)")                                            \
	X(HEL_ELEVEL, "ciphertext level does not fit")                                             \
	X(HEL_ESCALE, "ciphertext scale does not fit")                                             \
	X(HEL_EKEY, "evaluation key missing")                                                      \
	X(HEL_EPARAMS, "parameters do not match")                                                  \
	X(HEL_ESECURITY, "parameters below 128-bit security")                                      \
	X(HEL_EMODEL, "made for another model")                                                    \
	X(HEL_ECLIENT, "made with another client's key")                                           \
	X(HEL_EDATA, "bad input record")                                                           \
	X(HEL_EUNSUPPORTED, "not supported")                                                       \
	X(HEL_ERANGE, "value out of range")                                                        \
	X(HEL_EBUSY, "too busy now")                                                               \
	X(HEL_ESPACE, "no space left")                                                             \
	X(HEL_ECANCEL, "cancelled")                                                                \
	X(HEL_EDENIED, "not allowed")

/** A status: HEL_OK, or what went wrong. The texts stand in HEL_STATUS_LIST. */
typedef enum hel_status {
#define X(code, text) code,
	HEL_STATUS_LIST(X)
#undef X
} hel_status;

/** Short text of a status; never NULL. */
HEL_API const char *hel_status_text(hel_status status);

/** Detail of this thread's last failure, "" when there is none. Valid until the thread's next
 *  failing call. Never NULL. */
HEL_API const char *hel_error_detail(void);

/** Wipes and frees bytes that a call returned; NULL is fine. */
HEL_API void hel_bytes_free(void *bytes, size_t size);

/** Overwrites a secret with zeros, which no compiler leaves out. */
HEL_API void hel_wipe(void *bytes, size_t size);

/** HELRM_VERSION of the library that runs; the headers' may be another. */
HEL_API const char *hel_version(void);

#ifdef __cplusplus
}
#endif
#endif
