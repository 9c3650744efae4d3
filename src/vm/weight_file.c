#include "weight_file.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct hel_weight_file {
	uint8_t *map;
	size_t bytes;
	int fd;
};

hel_status hel_weight_file_new(hel_weight_file **out, const char *path, size_t bytes)
{
	hel_status st = HEL_OK;
	hel_weight_file *f = NULL;
	TRY_ALLOC(f, hel_alloc(1, sizeof *f));
	f->bytes = HEL_MAX(bytes, 1);
	f->fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (f->fd < 0)
		FAIL(HEL_EIO, "cannot make %s: %s", path, strerror(errno));
	unlink(path);
	/* all blocks now: a full disk would be a signal later */
	const int full = posix_fallocate(f->fd, 0, (off_t)f->bytes);
	if (full)
		FAIL(full == ENOSPC ? HEL_ESPACE : HEL_EIO, "%s: no room for %zu MB of weights: %s",
		     path, f->bytes >> 20, strerror(full));
	f->map = mmap(NULL, f->bytes, PROT_READ | PROT_WRITE, MAP_SHARED, f->fd, 0);
	if (f->map == MAP_FAILED) {
		f->map = NULL;
		FAIL(HEL_EIO, "cannot map %s: %s", path, strerror(errno));
	}
	*out = f;
	f = NULL;
done:
	hel_weight_file_free(f);
	return st;
}

void hel_weight_file_free(hel_weight_file *f)
{
	if (!f)
		return;
	if (f->map)
		munmap(f->map, f->bytes);
	if (f->fd >= 0)
		close(f->fd);
	hel_free(f);
}

static size_t data_bytes(const hel_pt *pt)
{
	return 4 * pt->params->limbs[pt->level] * pt->params->ring.n;
}

void hel_weight_file_move(hel_weight_file *f, hel_pt *pt, size_t offset)
{
	memcpy(f->map + offset, pt->data, data_bytes(pt));
	hel_free(pt->data);
	pt->data = (uint32_t *)(void *)(f->map + offset);
}

void hel_weight_file_forget(const hel_weight_file *f, hel_pt *pt)
{
	const uint8_t *at = (const uint8_t *)pt->data;
	if (at >= f->map && at < f->map + f->bytes)
		pt->data = NULL;
}

void hel_weight_file_prefetch(const hel_weight_file *f)
{
	madvise(f->map, f->bytes, MADV_WILLNEED);
}

/* Only what has been written can leave the page cache. */
void hel_weight_file_release(const hel_weight_file *f)
{
	madvise(f->map, f->bytes, MADV_DONTNEED);
	fdatasync(f->fd);
	posix_fadvise(f->fd, 0, (off_t)f->bytes, POSIX_FADV_DONTNEED);
}
