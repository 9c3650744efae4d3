/* temporary.h -- files that must not stay: a file on its way is written aside and named when it is
 * whole; a file of one run lies under $TMPDIR. Both are gone when the process fails or is told to
 * end; what a killed one left is removed by the next that comes to the same place.
 */
#ifndef HEL_TEMPORARY_H
#define HEL_TEMPORARY_H

#include <helrm/status.h>
#include <stdbool.h>

/** PATH.PID.partial beside `path`, open for writing and locked. */
typedef struct hel_partial {
	char *path, *directory, *name;
	int fd; /* -1: none */
} hel_partial;

/** Its mode is `mode` less the umask; where `path` exists, never wider than that.
 *  @retval HEL_EIO it cannot be made, or `path` is no regular file. */
HEL_CHECKED hel_status hel_partial_open(hel_partial *p, const char *path, unsigned mode);
/** On the disk, not yet in its place.
 *  @retval HEL_EIO the disk is full. */
HEL_CHECKED hel_status hel_partial_sync(hel_partial *p);
/** Puts it in place, synced.
 *  @retval HEL_EIO the disk is full, or the place is gone; hel_partial_close removes it. */
HEL_CHECKED hel_status hel_partial_finish(hel_partial *p);
/** Frees; removes what was not finished. */
void hel_partial_close(hel_partial *p);
/** Removes PATH.N.partial of processes N that are gone. */
void hel_partial_sweep(const char *path);

/** A file of this run alone: in a directory under $TMPDIR (or /tmp) that others cannot enter. */
typedef struct hel_temporary {
	char *directory, *file;
	int lock;
} hel_temporary;

/** A place for a file that does not exist yet.
 *  @retval HEL_EIO there is no such place. */
HEL_CHECKED hel_status hel_temporary_open(hel_temporary *t);
void hel_temporary_close(hel_temporary *t);

/** For others' files: a name that signals remove from now on, and no more. Who gets false must not
 *  free it: a signal is at work on it. */
void hel_temporary_list(char *name);
bool hel_temporary_unlist(char *name);

/** For programs: from now on, signals that end this process (Ctrl-C among them) remove all such
 *  files first. Ignored signals stay ignored. */
void hel_temporary_on_signals(void);

#endif
