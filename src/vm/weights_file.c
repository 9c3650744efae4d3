/* Encoded weights in a file that processes map: a head, a checksum of each weight, BLAKE2b-256 of
 * all that, then the weights as they lie in memory. All but the checksums follows from the program,
 * the parameters and the encoder, so that nothing in the file is believed: it must be what is
 * expected.
 *
 * The file is made under another name and a lock, and renamed. It is not synced: after a power
 * failure its checksums tell, and it is made again. */
#include "weights_file.h"
#include "base/temporary.h"
#include "weight.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define VERSION 1
#define PAGE 4096
#define WAIT_SECONDS 120 /* for another process that makes the same file */

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
	       "weights are stored as they lie in memory");

static const uint8_t magic[8] = {'H', 'E', 'L', 'W', 'G', 'H', 'T', 'S'};

/* --- the head ---------------------------------------------------------------------------- */

/* Head, checksums, the hash of both: whole pages. */
static uint64_t front_bytes(uint64_t weights)
{
	const uint64_t bytes =
	    HEL_WEIGHTS_HEAD_BYTES + HEL_CHECKSUM_BYTES * weights + HEL_HASH_BYTES;
	return (bytes + PAGE - 1) / PAGE * PAGE;
}

static void head_write(uint8_t out[HEL_WEIGHTS_HEAD_BYTES], const hel_weights_head *h)
{
	const uint64_t number[] = {VERSION, h->weights, h->data, h->bytes};
	memset(out, 0, HEL_WEIGHTS_HEAD_BYTES);
	memcpy(out, magic, sizeof magic);
	memcpy(out + 8, number, sizeof number);
	memcpy(out + 64, h->program, HEL_HASH_BYTES);
	memcpy(out + 96, h->params, HEL_HASH_BYTES);
	memcpy(out + 128, h->encoder, HEL_HASH_BYTES);
}

hel_status hel_weights_head_read(hel_weights_head *out, const void *bytes, uint64_t size)
{
	hel_weights_head h;
	uint64_t number[4];
	uint8_t again[HEL_WEIGHTS_HEAD_BYTES];
	const uint8_t *b = bytes;
	static const uint8_t nothing[sizeof magic];
	/* zeros: of a file that a power failure kept from the disk */
	const bool blank = size >= sizeof magic && memcmp(b, nothing, sizeof magic) == 0;
	if (size && (size < sizeof magic || (!blank && memcmp(b, magic, sizeof magic) != 0)))
		return hel_fail(HEL_EFORMAT, "not a file of encoded weights");
	if (size < HEL_WEIGHTS_HEAD_BYTES)
		return hel_fail(HEL_ETRUNC, "the file of weights ends within its head");
	memcpy(number, b + 8, sizeof number);
	if (blank || number[0] != VERSION)
		return hel_fail(HEL_EVERSION, "the file of weights has version %llu, expected %d",
				blank ? 0 : (unsigned long long)number[0], VERSION);
	h.weights = number[1];
	h.data = number[2];
	h.bytes = number[3];
	memcpy(h.program, b + 64, HEL_HASH_BYTES);
	memcpy(h.params, b + 96, HEL_HASH_BYTES);
	memcpy(h.encoder, b + 128, HEL_HASH_BYTES);
	head_write(again, &h);
	if (memcmp(again, b, sizeof again) != 0 || !h.weights || h.weights >> 32 ||
	    h.data != front_bytes(h.weights) || h.bytes <= h.data)
		return hel_fail(HEL_EHASH, "the file of weights has a damaged head");
	if (h.bytes != size)
		return hel_fail(HEL_ETRUNC, "the file of weights has %llu bytes, expected %llu",
				(unsigned long long)size, (unsigned long long)h.bytes);
	*out = h;
	return HEL_OK;
}

/* What decides an encoding beside the program and the parameters is this code: shown by what it
 * makes of known vectors. A changed transform makes other caches without anybody thinking of it. */
static hel_status probe_encoder(uint8_t out[HEL_HASH_BYTES], const hel_params *p)
{
	hel_status st = HEL_OK;
	const unsigned level = p->spec.levels;
	const size_t slots = hel_params_slots(p), words = p->limbs[level] * p->ring.n;
	hel_complex *x = NULL;
	uint32_t *data = NULL;
	TRY_ALLOC(x, hel_alloc(slots, sizeof *x));
	TRY_ALLOC(data, hel_alloc(2 * words, sizeof *data));
	for (size_t i = 0; i < slots; i++)
		x[i] = (hel_complex){(double)(hel_mix(2 * i) >> 40) * 0x1p-26,
				     (double)(hel_mix(2 * i + 1) >> 40) * 0x1p-26};
	const double scale = hel_params_scale(p, level);
	TRY(hel_encode_into(data, p, x, level, scale, HEL_FOR_MUL, NULL));
	TRY(hel_encode_into(data + words, p, x, level, scale, HEL_FOR_ADD, NULL));
	hel_hash(out, data, 8 * words);
done:
	hel_free(x);
	hel_free(data);
	return st;
}

static hel_status expected_head(hel_weights_head *h, const hel_loaded *l)
{
	hel_status st = HEL_OK;
	static const uint8_t unknown[HEL_HASH_BYTES];
	if (memcmp(l->p->hash, unknown, sizeof unknown) == 0)
		FAIL(HEL_EINVAL, "a program that was neither read nor written has no cache");
	h->weights = l->weights;
	h->data = front_bytes(l->weights);
	h->bytes = h->data + l->bytes;
	memcpy(h->program, l->p->hash, HEL_HASH_BYTES);
	memcpy(h->params, l->params->fingerprint, HEL_HASH_BYTES);
	TRY(probe_encoder(h->encoder, l->params));
done:
	return st;
}

/* --- using one -------------------------------------------------------------------------- */

static hel_status failure(const char *what, const char *path)
{
	const bool full = errno == ENOSPC || errno == EDQUOT || errno == EFBIG;
	return hel_fail(full ? HEL_ESPACE : HEL_EIO, "cannot %s %s: %s", what, path,
			strerror(errno));
}

static hel_status map_file(hel_loaded *l, int fd, uint64_t bytes)
{
	hel_status st = hel_mapping_open(&l->mapping, fd, (size_t)bytes);
	if (st != HEL_OK)
		return st;
	l->map = (void *)(uintptr_t)hel_mapping_bytes(l->mapping);
	l->map_bytes = (size_t)bytes;
	return HEL_OK;
}

static void unmap(hel_loaded *l)
{
	hel_mapping_close(l->mapping);
	l->mapping = NULL;
	l->map = NULL;
}

static void checksum(uint8_t out[HEL_CHECKSUM_BYTES], const hel_loaded *l, size_t weight,
		     const uint32_t *data)
{
	hel_checksum(out, data, 4 * hel_weight_words(&l->weight[weight].pt), l->p->hash);
}

static hel_status check_weight(void *arg, size_t i)
{
	const hel_loaded *l = arg;
	const uint8_t *front = l->map;
	uint8_t sum[HEL_CHECKSUM_BYTES];
	checksum(sum, l, i, l->weight[i].pt.data);
	return memcmp(sum, front + HEL_WEIGHTS_HEAD_BYTES + i * sizeof sum, sizeof sum)
		   ? hel_fail(HEL_EHASH, "the file of weights is damaged in weight %zu", i)
		   : HEL_OK;
}

static hel_status check_contents(hel_loaded *l, const hel_weights_head *want, hel_pool *pool,
				 const hel_load_options *o)
{
	hel_status st = HEL_OK;
	hel_weights_head have;
	uint8_t hash[HEL_HASH_BYTES];
	const uint8_t *front = l->map;
	TRY(hel_weights_head_read(&have, front, l->map_bytes));
	if (memcmp(have.program, want->program, HEL_HASH_BYTES) != 0)
		FAIL(HEL_EMODEL, "the file of weights is of another program");
	if (memcmp(have.params, want->params, HEL_HASH_BYTES) != 0)
		FAIL(HEL_EPARAMS, "the file of weights is for other parameters");
	if (memcmp(have.encoder, want->encoder, HEL_HASH_BYTES) != 0)
		FAIL(HEL_EVERSION, "the file of weights was made by another encoder");
	if (have.weights != want->weights || have.bytes != want->bytes)
		FAIL(HEL_EHASH, "the file of weights is damaged in its head");
	hel_hash(hash, front, (size_t)want->data - sizeof hash);
	if (memcmp(hash, front + want->data - sizeof hash, sizeof hash) != 0)
		FAIL(HEL_EHASH, "the file of weights is damaged in its list of checksums");
	madvise(l->map, l->map_bytes, MADV_WILLNEED); /* read ahead of what is hashed */
	hel_loaded_place(l, (uint8_t *)l->map + want->data);
	TRY(hel_loaded_each(l, pool, o, check_weight, l));
	if (hel_mapping_damaged(l->mapping))
		FAIL(HEL_EHASH, "the file of weights cannot be read as a whole");
done:
	return st;
}

/* Maps what is there if it is what is expected. Else *make says whether it may be replaced. */
static hel_status use(hel_loaded *l, const hel_weights_head *want, bool *make, hel_pool *pool,
		      const hel_load_options *o)
{
	hel_status st = HEL_OK;
	struct stat info, link;
	*make = false;
	int fd = open(o->cache, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0) {
		*make = errno == ENOENT;
		st = failure("open", o->cache);
		goto done;
	}
	if (fstat(fd, &info) || lstat(o->cache, &link) || !S_ISREG(info.st_mode) ||
	    !S_ISREG(link.st_mode))
		FAIL(HEL_EIO, "%s is not a regular file; it is left alone", o->cache);
	if (!info.st_size) { /* cannot be mapped */
		*make = true;
		FAIL(HEL_ETRUNC, "%s is empty", o->cache);
	}
	TRY(map_file(l, fd, (uint64_t)info.st_size));
	st = check_contents(l, want, pool, o);
	if (st == HEL_OK)
		goto done;
	unmap(l);
	if (st == HEL_EFORMAT)
		FAIL(HEL_EIO, "%s is not a file of encoded weights; it is left alone", o->cache);
	*make = st != HEL_ENOMEM && st != HEL_ECANCEL;
done:
	if (fd >= 0)
		close(fd);
	return st;
}

/* --- making one --------------------------------------------------------------------------- */

typedef struct making {
	const hel_loaded *l;
	const char *path;
	int fd;
	uint8_t *front;
	uint64_t data;
	hel_scratch *scratch;
} making;

static hel_status write_at(const making *m, const void *bytes, size_t size, uint64_t at)
{
	for (const uint8_t *from = bytes; size;) {
		const ssize_t n = pwrite(m->fd, from, size, (off_t)at);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return failure("write", m->path);
		from += n;
		at += (uint64_t)n;
		size -= (size_t)n;
	}
	return HEL_OK;
}

static hel_status make_weight(void *arg, size_t i)
{
	hel_status st = HEL_OK;
	const making *m = arg;
	const hel_weight *w = &m->l->weight[i];
	const size_t bytes = 4 * hel_weight_words(&w->pt);
	uint32_t *data = NULL;
	TRY_ALLOC(data, hel_scratch_take(m->scratch, bytes));
	TRY(hel_loaded_encode(m->l, i, data));
	checksum(m->front + HEL_WEIGHTS_HEAD_BYTES + i * HEL_CHECKSUM_BYTES, m->l, i, data);
	TRY(write_at(m, data, bytes, m->data + w->at));
done:
	if (data)
		hel_scratch_give(m->scratch, data);
	return st;
}

static hel_status write_file(hel_loaded *l, const hel_weights_head *h, int fd, hel_pool *pool,
			     const hel_load_options *o)
{
	hel_status st = HEL_OK;
	making m = {.l = l, .path = o->cache, .fd = fd, .data = h->data};
	TRY_ALLOC(m.scratch, hel_scratch_new());
	TRY_ALLOC(m.front, hel_alloc((size_t)h->data, 1));
	if (ftruncate(fd, 0)) {
		st = failure("write", o->cache);
		goto done;
	}
	/* a full disk is noticed now, not after minutes; some file systems cannot promise space */
	if (fallocate(fd, 0, 0, (off_t)h->bytes) && (errno == ENOSPC || errno == EFBIG)) {
		st = failure("write", o->cache);
		goto done;
	}
	TRY(hel_loaded_each(l, pool, o, make_weight, &m));
	head_write(m.front, h);
	hel_hash(m.front + h->data - HEL_HASH_BYTES, m.front, (size_t)h->data - HEL_HASH_BYTES);
	TRY(write_at(&m, m.front, (size_t)h->data, 0));
	if (ftruncate(fd, (off_t)h->bytes)) /* the last weight may end before its alignment does */
		st = failure("write", o->cache);
done:
	hel_scratch_free(m.scratch);
	hel_free(m.front);
	return st;
}

/* The file under its other name, empty or left by a killed process, and the lock on it. Whoever
 * waited may find that the one before has renamed or removed it: then it is opened again. */
static hel_status lock_partial(int *out, const char *partial, const hel_load_options *o)
{
	hel_status st = HEL_OK;
	struct stat mine, named;
	int fd = -1;
	for (const double start = hel_clock();;) {
		fd = open(partial, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0644);
		if (fd < 0 || fstat(fd, &mine)) {
			st = failure("write", partial);
			goto done;
		}
		if (!S_ISREG(mine.st_mode))
			FAIL(HEL_EIO, "%s is not a regular file", partial);
		const bool locked = flock(fd, LOCK_EX | LOCK_NB) == 0;
		if (!locked && errno != EWOULDBLOCK && errno != EINTR) {
			st = failure("lock", partial);
			goto done;
		}
		if (locked && stat(partial, &named) == 0 && named.st_ino == mine.st_ino &&
		    named.st_dev == mine.st_dev)
			break;
		close(fd);
		fd = -1;
		if (o->stop && atomic_load(o->stop))
			FAIL(HEL_ECANCEL, "loading was cancelled");
		if (hel_clock() - start > WAIT_SECONDS)
			FAIL(HEL_EBUSY, "%s is being made by another process for more than %d s",
			     o->cache, WAIT_SECONDS);
		nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
	}
	*out = fd;
	fd = -1;
done:
	if (fd >= 0)
		close(fd);
	return st;
}

static hel_status make(hel_loaded *l, const hel_weights_head *want, hel_pool *pool,
		       const hel_load_options *o)
{
	hel_status st = HEL_OK;
	char *partial = NULL;
	int fd = -1;
	bool again, renamed = false;
	if (asprintf(&partial, "%s.partial", o->cache) < 0) {
		partial = NULL;
		FAIL(HEL_ENOMEM, "out of memory");
	}
	TRY(lock_partial(&fd, partial, o));
	hel_temporary_list(partial);
	/* another process may have made it meanwhile */
	st = use(l, want, &again, pool, o);
	if (st == HEL_OK)
		l->origin = HEL_WEIGHTS_MAPPED;
	if (st == HEL_OK || !again)
		goto done;
	TRY(write_file(l, want, fd, pool, o));
	TRY(map_file(l, fd, want->bytes));
	if (rename(partial, o->cache)) {
		st = failure("create", o->cache);
		unmap(l);
		goto done;
	}
	renamed = true;
	hel_loaded_place(l, (uint8_t *)l->map + want->data);
	l->origin = HEL_WEIGHTS_WRITTEN;
done:
	if (fd >= 0 && !renamed)
		unlink(partial); /* before the lock goes */
	const bool mine = fd < 0 || hel_temporary_unlist(partial);
	if (fd >= 0)
		close(fd);
	if (mine)
		free(partial);
	return st;
}

hel_status hel_weights_map(hel_loaded *l, hel_pool *pool, const hel_load_options *o)
{
	hel_status st = HEL_OK;
	hel_weights_head want = {0};
	bool again;
	TRY(expected_head(&want, l));
	st = use(l, &want, &again, pool, o);
	if (st == HEL_OK)
		l->origin = HEL_WEIGHTS_MAPPED;
	if (st == HEL_OK || !again)
		goto done;
	if (st != HEL_EIO) /* not when it is simply missing */
		snprintf(l->note, sizeof l->note, "made anew: %s", hel_error_detail());
	st = make(l, &want, pool, o);
done:
	return st;
}
