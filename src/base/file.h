/* file.h -- whole files, all or nothing (file.c), and in pieces (stream.c). */
#ifndef HEL_FILE_H
#define HEL_FILE_H

#include "base/container.h"

/** Reads a whole file of at most `limit` bytes. *bytes is zero-ended; the caller frees it.
 *  @retval HEL_EIO it is no regular file: never waits for a pipe. */
HEL_CHECKED hel_status hel_file_read(const char *path, size_t limit, uint8_t **bytes, size_t *size);
/** The same for what a user names: "-" is standard input, and pipes are read to their end. */
HEL_CHECKED hel_status hel_input_read(const char *path, size_t limit, uint8_t **bytes,
				      size_t *size);

/** All bytes to an open file; `path` names it in the error. */
HEL_CHECKED hel_status hel_write_all(int fd, const char *path, const void *bytes, size_t size);
/** Writes all or nothing: aside (temporary.h), synced, then renamed. Its mode is `mode` less the
 *  umask; a file that is replaced stays as closed as it was. */
HEL_CHECKED hel_status hel_file_write(const char *path, const void *bytes, size_t size,
				      unsigned mode);

/** A file that is written piece by piece (stream.c), all or nothing like hel_file_write. */
typedef struct hel_stream hel_stream;
HEL_CHECKED hel_status hel_stream_new(hel_stream **out, const char *path, unsigned mode);
HEL_CHECKED hel_status hel_stream_write(hel_stream *s, const void *bytes, size_t size);
/** BLAKE2b-256 of all that was written so far. */
void hel_stream_hash(hel_stream *s, uint8_t out[HEL_HASH_BYTES]);
/** Puts the file in place, its first bytes replaced by `front` (may be NULL, 0). */
HEL_CHECKED hel_status hel_stream_finish(hel_stream *s, const void *front, size_t front_size);
/** An unfinished file leaves nothing behind. */
void hel_stream_free(hel_stream *s);

/** Makes a directory and its parents; existing ones are fine, and keep their mode. */
HEL_CHECKED hel_status hel_dir_make(const char *path);
/** The same; what is made can be entered by nobody else. */
HEL_CHECKED hel_status hel_dir_make_private(const char *path);

#endif
