/* A directory that all servers see. */
#include "object_store.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PIECE ((size_t)1 << 20)

typedef struct directory {
	hel_objects objects;
	char root[1024];
} directory;

typedef char file_name[1024 + HEL_OBJECT_NAME_MAX + 2];

static void path_of(file_name out, hel_objects *o, const char *name)
{
	snprintf(out, sizeof(file_name), "%s/%s", ((directory *)o)->root, name);
}

static hel_status failure(const char *what)
{
	const bool full = errno == ENOSPC || errno == EDQUOT;
	return hel_fail(full ? HEL_ESPACE : HEL_EIO, "cannot %s an object: %s", what,
			strerror(errno));
}

static hel_status make_folders(hel_objects *o, const char *name)
{
	hel_status st = HEL_OK;
	file_name path;
	for (const char *slash = strchr(name, '/'); slash && st == HEL_OK;
	     slash = strchr(slash + 1, '/')) {
		snprintf(path, sizeof path, "%s/%.*s", ((directory *)o)->root, (int)(slash - name),
			 name);
		st = hel_dir_make_private(path);
	}
	return st;
}

static hel_status put(hel_objects *o, const char *name, const void *bytes, size_t size)
{
	hel_status st = HEL_OK;
	file_name path;
	path_of(path, o, name);
	for (int i = 0; i < 3; i++) { /* another server may remove the folder, as it was empty */
		TRY(make_folders(o, name));
		st = hel_file_write(path, bytes, size, 0600);
		if (st != HEL_EIO)
			break;
	}
done:
	return st;
}

static hel_status get(hel_objects *o, const char *name, hel_object_sink *fn, void *arg)
{
	hel_status st = HEL_OK;
	file_name path;
	uint8_t *piece = NULL;
	path_of(path, o, name);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		FAIL(errno == ENOENT ? HEL_ETRUNC : HEL_EIO, "cannot read an object: %s",
		     strerror(errno));
	TRY_ALLOC(piece, hel_alloc(PIECE, 1));
	for (uint64_t at = 0;;) {
		const ssize_t n = read(fd, piece, PIECE);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			st = failure("read");
			goto done;
		}
		if (!n)
			break;
		TRY(fn(arg, at, piece, (size_t)n));
		at += (uint64_t)n;
	}
done:
	hel_free(piece);
	if (fd >= 0)
		close(fd);
	return st;
}

/* And folders that are empty then. */
static hel_status remove_file(hel_objects *o, const char *name)
{
	file_name path;
	path_of(path, o, name);
	if (unlink(path) && errno != ENOENT)
		return failure("remove");
	for (char *slash; (slash = strrchr(path, '/')) > path + strlen(((directory *)o)->root);) {
		*slash = 0;
		if (rmdir(path))
			break;
	}
	return HEL_OK;
}

static hel_status list(hel_objects *o, const char *prefix, hel_object_name *fn, void *arg)
{
	hel_status st = HEL_OK;
	file_name path;
	path_of(path, o, prefix);
	DIR *d = opendir(path);
	if (!d)
		return errno == ENOENT ? HEL_OK : failure("list");
	for (struct dirent *e; (e = readdir(d)) && st == HEL_OK;) {
		char name[HEL_OBJECT_NAME_MAX + 1];
		struct stat info;
		const int size = snprintf(name, sizeof name - 1, "%s%s", prefix, e->d_name);
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 ||
		    size >= (int)sizeof name - 1 ||
		    fstatat(dirfd(d), e->d_name, &info, AT_SYMLINK_NOFOLLOW))
			continue;
		const bool folder = S_ISDIR(info.st_mode);
		st = folder ? list(o, strcat(name, "/"), fn, arg) : fn(arg, name);
	}
	closedir(d);
	return st;
}

static void close_directory(hel_objects *o)
{
	hel_free(o);
}

static const hel_objects_calls calls = {
    .close = close_directory, .put = put, .get = get, .remove = remove_file, .list = list};

hel_status hel_objects_directory(hel_objects **out, const hel_objects_options *options)
{
	hel_status st = HEL_OK;
	directory *d = NULL;
	TRY_ALLOC(d, hel_alloc(1, sizeof *d));
	d->objects.call = &calls;
	if ((size_t)snprintf(d->root, sizeof d->root, "%s", options->where) >= sizeof d->root)
		FAIL(HEL_EINVAL, "store: the directory's name is too long");
	TRY(hel_dir_make_private(d->root));
	*out = &d->objects;
	d = NULL;
done:
	hel_free(d);
	return st;
}
