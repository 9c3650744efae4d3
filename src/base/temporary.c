#include "base/temporary.h"
#include "base/base.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* --- what a signal removes ----------------------------------------------------------------- */

/* Names that exist now. Who takes a name out of its place owns it: the handler never reads one that
 * is being freed. */
static _Atomic(char *) listed[64];

void hel_temporary_list(char *name)
{
	for (size_t i = 0; i < HEL_ARRAY_LEN(listed); i++) {
		char *none = NULL;
		if (atomic_compare_exchange_strong(&listed[i], &none, name))
			return;
	}
}

bool hel_temporary_unlist(char *name)
{
	bool found = false;
	for (size_t i = 0; i < HEL_ARRAY_LEN(listed) && !found; i++) {
		char *same = name;
		found = atomic_compare_exchange_strong(&listed[i], &same, NULL);
	}
	return found;
}

static void remove_listed(int number)
{
	char *name[HEL_ARRAY_LEN(listed)];
	for (size_t i = 0; i < HEL_ARRAY_LEN(listed); i++) {
		name[i] = atomic_exchange(&listed[i], NULL);
		if (name[i])
			unlink(name[i]);
	}
	for (size_t i = 0; i < HEL_ARRAY_LEN(listed); i++)
		if (name[i])
			rmdir(name[i]); /* they are empty now */
	signal(number, SIG_DFL);
	raise(number); /* as if it had never been caught */
}

void hel_temporary_on_signals(void)
{
	static const int numbers[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE, SIGXCPU};
	for (size_t i = 0; i < HEL_ARRAY_LEN(numbers); i++) {
		struct sigaction before, now = {.sa_handler = remove_listed};
		if (!sigaction(numbers[i], NULL, &before) && before.sa_handler == SIG_DFL)
			sigaction(numbers[i], &now, NULL);
	}
}

/* --- what the dead left ---------------------------------------------------------------------- */

/* The process of "HEAD.N" + tail; 0 when the name is none of these. */
static long owner_of(const char *name, const char *head, size_t head_size, const char *tail)
{
	char *end;
	if (strncmp(name, head, head_size) != 0 || name[head_size] != '.' ||
	    name[head_size + 1] < '1' || name[head_size + 1] > '9')
		return 0;
	const long number = strtol(name + head_size + 1, &end, 10);
	return strncmp(end, tail, strlen(tail)) == 0 ? number : 0;
}

/* Ended, though its parent has not asked how (a zombie). */
static bool is_gone(long owner)
{
	char path[64], text[512];
	if (kill((pid_t)owner, 0))
		return errno == ESRCH;
	snprintf(path, sizeof path, "/proc/%ld/stat", owner);
	const int fd = open(path, O_RDONLY | O_CLOEXEC);
	const ssize_t size = fd >= 0 ? read(fd, text, sizeof text - 1) : 0;
	if (fd >= 0)
		close(fd);
	text[HEL_MAX(size, 0)] = 0;
	const char *name_end = strrchr(text, ')'); /* "PID (NAME) STATE ..." */
	return name_end && strncmp(name_end, ") Z", 3) == 0;
}

/* Also where process numbers mean something else, as in a container: its lock says that it lives.
 */
static bool is_dead(int dir, const char *name, long owner, int flags)
{
	struct stat info;
	if (owner <= 0 || owner == (long)getpid() || !is_gone(owner))
		return false;
	const int fd = openat(dir, name, flags | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	const bool dead = fd >= 0 && !fstat(fd, &info) && info.st_uid == geteuid() &&
			  !flock(fd, LOCK_EX | LOCK_NB);
	if (fd >= 0)
		close(fd);
	return dead;
}

static void empty(int dir, const char *name)
{
	const int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
	if (!d) {
		if (fd >= 0)
			close(fd);
		return;
	}
	for (struct dirent *e; (e = readdir(d));)
		unlinkat(fd, e->d_name, 0); /* "." and ".." are none that it takes */
	closedir(d);
	unlinkat(dir, name, AT_REMOVEDIR);
}

/* Those called HEAD.N + tail, and more behind it where they are directories. */
static void sweep(const char *directory, const char *head, size_t head_size, const char *tail,
		  bool directories)
{
	DIR *d = opendir(directory);
	if (!d)
		return;
	for (struct dirent *e; (e = readdir(d));) {
		const long owner = owner_of(e->d_name, head, head_size, tail);
		if (!is_dead(dirfd(d), e->d_name, owner, directories ? O_DIRECTORY : O_RDWR))
			continue;
		if (directories)
			empty(dirfd(d), e->d_name);
		else
			unlinkat(dirfd(d), e->d_name, 0);
	}
	closedir(d);
}

/* --- files on their way -------------------------------------------------------------------------
 */

#define TAIL ".partial"
#define TAIL_MAX 32 /* ".PID.partial" */

/* The last part of a path, as far as a name with a tail has room for it. */
static const char *last_part(const char *path, size_t *size)
{
	const char *slash = strrchr(path, '/'), *last = slash ? slash + 1 : path;
	*size = HEL_MIN(strlen(last), (size_t)NAME_MAX - TAIL_MAX);
	return last;
}

/* asprintf, which not every C library has. NULL without memory. */
__attribute__((format(printf, 1, 2))) static char *text_of(const char *format, ...)
{
	va_list args, again;
	va_start(args, format);
	va_copy(again, args);
	const int size = vsnprintf(NULL, 0, format, args);
	char *text = size < 0 ? NULL : malloc((size_t)size + 1);
	if (text)
		vsnprintf(text, (size_t)size + 1, format, again);
	va_end(again);
	va_end(args);
	return text;
}

/* To be freed; NULL when out of memory. */
static char *directory_of(const char *path)
{
	const char *slash = strrchr(path, '/');
	char *copy = hel_strdup(slash ? path : ".");
	if (copy && slash)
		copy[slash == path ? 1 : slash - path] = 0;
	return copy;
}

void hel_partial_sweep(const char *path)
{
	size_t size;
	const char *last = last_part(path, &size);
	char *directory = directory_of(path);
	if (directory)
		sweep(directory, last, size, TAIL, false);
	hel_free(directory);
}

hel_status hel_partial_open(hel_partial *p, const char *path, unsigned mode)
{
	hel_status st = HEL_OK;
	struct stat info;
	size_t size;
	const char *last = last_part(path, &size);
	*p = (hel_partial){.fd = -1};
	const bool exists = lstat(path, &info) == 0;
	if (exists && !S_ISREG(info.st_mode))
		FAIL(HEL_EIO, "cannot create %s: it exists and is no regular file", path);
	TRY_ALLOC(p->path, hel_strdup(path));
	TRY_ALLOC(p->directory, directory_of(path));
	sweep(p->directory, last, size, TAIL, false);
	TRY_ALLOC(p->name, text_of("%.*s%.*s.%ld" TAIL, (int)(last - path), path, (int)size, last,
				   (long)getpid()));
	unlink(p->name); /* of a killed process with our number */
	p->fd = open(p->name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC,
		     (mode_t)mode & (exists ? info.st_mode : 0777));
	if (p->fd < 0)
		FAIL(HEL_EIO, "cannot create %s: %s", path, strerror(errno));
	flock(p->fd, LOCK_EX | LOCK_NB); /* who finds it knows that we live */
	hel_temporary_list(p->name);
done:
	if (st != HEL_OK)
		hel_partial_close(p);
	return st;
}

/* After a crash, names are as they were or as they are, in the order of calls. */
static void sync_directory(const char *directory)
{
	const int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0) {
		fsync(fd); /* not all file systems can */
		close(fd);
	}
}

hel_status hel_partial_sync(hel_partial *p)
{
	return fsync(p->fd) ? hel_fail(HEL_EIO, "cannot write %s: %s", p->path, strerror(errno))
			    : HEL_OK;
}

hel_status hel_partial_finish(hel_partial *p)
{
	hel_status st = HEL_OK;
	TRY(hel_partial_sync(p));
	if (rename(p->name, p->path))
		FAIL(HEL_EIO, "cannot write %s: %s", p->path, strerror(errno));
	sync_directory(p->directory);
	if (hel_temporary_unlist(p->name))
		free(p->name);
	p->name = NULL;
done:
	return st;
}

void hel_partial_close(hel_partial *p)
{
	if (p->name && p->fd >= 0) {
		unlink(p->name);
		if (!hel_temporary_unlist(p->name))
			p->name = NULL;
	}
	if (p->fd >= 0)
		close(p->fd);
	free(p->name);
	hel_free(p->path);
	hel_free(p->directory);
	*p = (hel_partial){.fd = -1};
}

/* --- files of one run --------------------------------------------------------------------------
 */

hel_status hel_temporary_open(hel_temporary *t)
{
	hel_status st = HEL_OK;
	const char *set = getenv("TMPDIR"), *under = set && *set ? set : "/tmp";
	*t = (hel_temporary){.lock = -1};
	sweep(under, "helrm", 5, ".", true);
	TRY_ALLOC(t->directory, text_of("%s/helrm.%ld.XXXXXX", under, (long)getpid()));
	if (!mkdtemp(t->directory)) {
		const int why = errno;
		free(t->directory);
		t->directory = NULL;
		FAIL(HEL_EIO, "cannot make a temporary directory under %s: %s; set TMPDIR", under,
		     strerror(why));
	}
	hel_temporary_list(t->directory);
	t->lock = open(t->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (t->lock >= 0)
		flock(t->lock, LOCK_EX | LOCK_NB);
	TRY_ALLOC(t->file, text_of("%s/file", t->directory));
	hel_temporary_list(t->file);
done:
	if (st != HEL_OK)
		hel_temporary_close(t);
	return st;
}

void hel_temporary_close(hel_temporary *t)
{
	if (t->file)
		unlink(t->file);
	if (t->directory)
		rmdir(t->directory);
	if (t->file && hel_temporary_unlist(t->file))
		free(t->file);
	if (t->directory && hel_temporary_unlist(t->directory))
		free(t->directory);
	if (t->lock >= 0)
		close(t->lock);
	*t = (hel_temporary){.lock = -1};
}
