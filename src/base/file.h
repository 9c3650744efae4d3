/* file.h -- whole files, all or nothing (file.c), and in pieces (stream.c). */
#ifndef HEL_FILE_H
#define HEL_FILE_H

#include "base/container.h"

/** Reads a whole file of at most `limit` bytes. *bytes is zero-ended; the caller frees it. */
HEL_CHECKED hel_status hel_file_read(const char *path, size_t limit, uint8_t **bytes, size_t *size);

/** Writes all or nothing: a temporary file beside `path`, synced, then renamed. */
HEL_CHECKED hel_status hel_file_write(const char *path, const void *bytes, size_t size,
				      unsigned mode);

/** A file that is written piece by piece (stream.c), all or nothing like hel_file_write. */
typedef struct hel_stream hel_stream;
HEL_CHECKED hel_status hel_stream_new(hel_stream **out, const char *path);
HEL_CHECKED hel_status hel_stream_write(hel_stream *s, const void *bytes, size_t size);
/** BLAKE2b-256 of all that was written so far. */
void hel_stream_hash(hel_stream *s, uint8_t out[HEL_HASH_BYTES]);
/** Puts the file in place, its first bytes replaced by `front` (may be NULL, 0). */
HEL_CHECKED hel_status hel_stream_finish(hel_stream *s, const void *front, size_t front_size);
/** An unfinished file leaves nothing behind. */
void hel_stream_free(hel_stream *s);

/** Makes a directory and its parents; an existing one is fine. */
HEL_CHECKED hel_status hel_dir_make(const char *path);

#endif
