/* Rows of files in binary: a header, blocks of columns, each with its checksum, and the dictionary.
 * Little-endian, like every helrm file; read in place of the text from the second pass on. */
#include "cache.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define VERSION 3
#define HEADER_BYTES 256
#define SAMPLE_BYTES ((size_t)64 << 10) /* of each end of a file, and its middle */

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
	       "blocks are stored as they lie in memory");

static const uint8_t magic[8] = {'H', 'E', 'L', 'M', 'R', 'O', 'W', 'S'};

struct hel_cache {
	const hel_dataset *set;
	char *path;
	int fd;
	uint64_t rows, stored, malformed; /* rows: those of `stored` that are looked at */
	size_t dense, words;
	uint64_t texts; /* bytes of the dictionary */
	hel_dictionary *dictionary;
	uint8_t source[HEL_HASH_BYTES]; /* of the files as they are now */
	uint8_t stamp[HEL_HASH_BYTES];	/* of the rows */
};

void hel_cache_free(hel_cache *c)
{
	if (!c)
		return;
	if (c->fd >= 0)
		close(c->fd);
	hel_dictionary_free(c->dictionary);
	hel_dataset_drop(c->set);
	hel_free(c->path);
	hel_free(c);
}

const hel_dataset *hel_cache_dataset(const hel_cache *c)
{
	return c->set;
}

const hel_dictionary *hel_cache_dictionary(const hel_cache *c)
{
	return c->dictionary;
}

uint64_t hel_cache_rows(const hel_cache *c)
{
	return c->rows;
}

size_t hel_cache_blocks(const hel_cache *c)
{
	return (size_t)((c->rows + HEL_BLOCK_ROWS - 1) / HEL_BLOCK_ROWS);
}

void hel_cache_limit(hel_cache *c, uint64_t rows)
{
	/* blocks keep their size: their last rows are read, too */
	const uint64_t blocks = rows / HEL_BLOCK_ROWS + (rows % HEL_BLOCK_ROWS != 0);
	c->rows = blocks > c->stored / HEL_BLOCK_ROWS ? c->stored : blocks * HEL_BLOCK_ROWS;
}

const uint8_t *hel_cache_stamp(const hel_cache *c)
{
	return c->stamp;
}

static size_t block_bytes(const hel_cache *c, size_t rows)
{
	return rows * (1 + 4 * (c->dense + c->words)) + HEL_HASH_BYTES;
}

static size_t rows_of(const hel_cache *c, size_t block)
{
	return (size_t)HEL_MIN((uint64_t)HEL_BLOCK_ROWS,
			       c->rows - (uint64_t)block * HEL_BLOCK_ROWS);
}

static off_t offset_of(const hel_cache *c, size_t block)
{
	return (off_t)(HEADER_BYTES + block * block_bytes(c, HEL_BLOCK_ROWS));
}

/* --- what a cache was made from ------------------------------------------------------ */

static hel_status write_columns(hel_writer *w, const hel_dataset *set)
{
	char *text = NULL;
	hel_status st = set->implied ? HEL_OK : hel_dataset_to_json(&text, set);
	if (st == HEL_OK)
		hel_write_text(w, text ? text : set->name);
	hel_free(text);
	return st;
}

/* Columns, sizes, times, both ends and the middle of the files: enough to notice another or a
 * changed file, quick for any. A pipe is never the same twice. */
static hel_status source_of(uint8_t out[HEL_HASH_BYTES], const hel_dataset *set,
			    const char *const *paths, size_t count, uint64_t max_malformed)
{
	hel_status st = HEL_OK;
	hel_writer w = {0};
	uint8_t *sample = NULL;
	int fd = -1;
	TRY_ALLOC(sample, hel_alloc(SAMPLE_BYTES, 1));
	TRY(write_columns(&w, set));
	hel_write_u64(&w, max_malformed);
	for (size_t i = 0; i < count; i++) {
		struct stat info = {0};
		const bool standard = strcmp(paths[i], "-") == 0;
		fd = standard ? dup(STDIN_FILENO)
			      : open(paths[i], O_RDONLY | O_CLOEXEC | O_NONBLOCK);
		if (fd < 0 || fstat(fd, &info))
			FAIL(HEL_EIO, "cannot open %s: %s", paths[i], strerror(errno));
		if (standard || S_ISFIFO(info.st_mode)) {
			hel_random_bytes(sample, HEL_HASH_BYTES);
			hel_write_bytes(&w, sample, HEL_HASH_BYTES);
			info.st_size = 0;
		} else if (!S_ISREG(info.st_mode))
			FAIL(HEL_EIO, "%s is neither a regular file nor a pipe", paths[i]);
		hel_write_u64(&w, (uint64_t)info.st_size);
		hel_write_u64(&w, (uint64_t)info.st_mtim.tv_sec);
		hel_write_u64(&w, (uint64_t)info.st_mtim.tv_nsec);
		const off_t end = HEL_MAX((off_t)0, info.st_size - (off_t)SAMPLE_BYTES);
		for (int part = 0; info.st_size && part < 3; part++) {
			ssize_t n = pread(fd, sample, SAMPLE_BYTES, end * part / 2);
			if (n < 0)
				FAIL(HEL_EIO, "cannot read %s: %s", paths[i], strerror(errno));
			hel_write_bytes(&w, sample, (size_t)n);
		}
		close(fd);
		fd = -1;
	}
	TRY(w.status);
	hel_hash(out, w.bytes, w.size);
done:
	if (fd >= 0)
		close(fd);
	hel_free(sample);
	hel_writer_clear(&w);
	return st;
}

static void write_header(hel_writer *w, const hel_cache *c)
{
	char name[16] = {0};
	uint8_t hash[HEL_HASH_BYTES];
	snprintf(name, sizeof name, "%.15s", c->set->name);
	hel_write_bytes(w, magic, sizeof magic);
	hel_write_u32(w, VERSION);
	hel_write_u32(w, HEL_BLOCK_ROWS);
	hel_write_bytes(w, name, sizeof name);
	hel_write_u64(w, c->rows);
	hel_write_u64(w, c->malformed);
	hel_write_bytes(w, c->source, sizeof c->source);
	hel_write_bytes(w, c->stamp, sizeof c->stamp);
	hel_write_u64(w, c->texts);
	while (w->status == HEL_OK && w->size < HEADER_BYTES - HEL_HASH_BYTES)
		hel_write_u8(w, 0);
	if (w->status == HEL_OK)
		hel_hash(hash, w->bytes, w->size);
	hel_write_bytes(w, hash, sizeof hash);
}

/* --- reading --------------------------------------------------------------------------- */

static hel_status read_all(const hel_cache *c, void *to, size_t size, off_t at)
{
	for (uint8_t *p = to; size;) {
		ssize_t n = pread(c->fd, p, size, at);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return hel_fail(n ? HEL_EIO : HEL_ETRUNC, "cannot read %s: %s", c->path,
					n ? strerror(errno) : "it ends too early");
		p += n;
		at += n;
		size -= (size_t)n;
	}
	return HEL_OK;
}

static off_t texts_offset(const hel_cache *c)
{
	const size_t last = hel_cache_blocks(c) - 1;
	return offset_of(c, last) + (off_t)block_bytes(c, rows_of(c, last));
}

/* The dictionary, and behind it its hash. */
static hel_status read_texts(hel_cache *c)
{
	hel_status st = HEL_OK;
	uint8_t *bytes = NULL, hash[HEL_HASH_BYTES];
	TRY(hel_dictionary_new(&c->dictionary, c->set));
	if (!c->texts)
		goto done;
	if (c->texts < HEL_HASH_BYTES)
		FAIL(HEL_EFORMAT, "%s is damaged", c->path);
	TRY_ALLOC(bytes, hel_alloc_raw(c->texts, 1));
	TRY(read_all(c, bytes, c->texts, texts_offset(c)));
	hel_hash(hash, bytes, c->texts - HEL_HASH_BYTES);
	if (memcmp(hash, bytes + c->texts - HEL_HASH_BYTES, sizeof hash) != 0)
		FAIL(HEL_EHASH, "%s is damaged in its dictionary", c->path);
	TRY(hel_dictionary_read(c->dictionary, bytes, c->texts - HEL_HASH_BYTES));
done:
	hel_free(bytes);
	return st;
}

/* A damaged header counts as no cache: what is derived is made again. A file of another kind is
 * somebody's. */
static hel_status read_header(hel_cache *c, bool *usable)
{
	hel_status st = HEL_OK;
	uint8_t bytes[HEADER_BYTES];
	hel_writer expected = {0};
	struct stat info;
	*usable = false;
	const ssize_t n = pread(c->fd, bytes, sizeof magic, 0);
	if (n && (n < (ssize_t)sizeof magic || memcmp(bytes, magic, sizeof magic) != 0))
		FAIL(HEL_EFORMAT, "%s exists and is no row cache; it is not overwritten", c->path);
	if (fstat(c->fd, &info) || info.st_size < HEADER_BYTES)
		goto done;
	TRY(read_all(c, bytes, sizeof bytes, 0));
	hel_reader r = hel_reader_of(bytes + 32, sizeof bytes - 32);
	c->rows = hel_read_u64(&r);
	c->malformed = hel_read_u64(&r);
	(void)hel_read_bytes(&r, HEL_HASH_BYTES);
	memcpy(c->stamp, hel_read_bytes(&r, HEL_HASH_BYTES), HEL_HASH_BYTES);
	c->texts = hel_read_u64(&r);
	write_header(&expected, c); /* with our source: the files as they are now */
	TRY(expected.status);
	if (c->rows < 1 || c->rows >> 40 || c->texts >> 34 ||
	    memcmp(bytes, expected.bytes, HEADER_BYTES) != 0)
		goto done;
	*usable = info.st_size == texts_offset(c) + (off_t)c->texts && read_texts(c) == HEL_OK;
done:
	hel_writer_clear(&expected);
	return st;
}

hel_status hel_cache_read(const hel_cache *c, size_t i, hel_block *b)
{
	hel_status st = HEL_OK;
	const size_t rows = rows_of(c, i), size = block_bytes(c, rows) - HEL_HASH_BYTES;
	uint8_t *bytes = NULL, hash[HEL_HASH_BYTES];
	TRY_ALLOC(bytes, hel_alloc(size + HEL_HASH_BYTES, 1));
	TRY(read_all(c, bytes, size + HEL_HASH_BYTES, offset_of(c, i)));
	hel_hash(hash, bytes, size);
	if (memcmp(hash, bytes + size, sizeof hash) != 0)
		FAIL(HEL_EHASH, "%s is damaged in block %zu; delete it and run again", c->path, i);
	const uint8_t *at = bytes;
	b->count = rows;
	memcpy(b->hash, at, 4 * rows * c->words);
	memcpy(b->value, at += 4 * rows * c->words, 4 * rows * c->dense);
	memcpy(b->label, at + 4 * rows * c->dense, rows);
	for (size_t k = 0; k < rows; k++)
		if (b->label[k] > 1)
			FAIL(HEL_EFORMAT, "%s: block %zu holds a label that is not 0 or 1", c->path,
			     i);
done:
	hel_free(bytes);
	return st;
}

hel_status hel_cache_read_hashes(const hel_cache *c, size_t i, size_t word, uint32_t *hash,
				 size_t *count)
{
	*count = rows_of(c, i);
	return read_all(c, hash, 4 * *count, offset_of(c, i) + (off_t)(4 * *count * word));
}

/* --- making ---------------------------------------------------------------------------- */

typedef struct making {
	hel_stream *stream;
	hel_writer hashes; /* of all blocks */
} making;

static hel_status write_block(void *arg, const hel_block *b)
{
	hel_status st = HEL_OK;
	making *k = arg;
	const size_t n = b->count, hashes = 4 * n * b->words, values = 4 * n * b->dense;
	uint8_t *bytes = NULL;
	TRY_ALLOC(bytes, hel_alloc(hashes + values + n + HEL_HASH_BYTES, 1));
	memcpy(bytes, b->hash, hashes);
	memcpy(bytes + hashes, b->value, values);
	memcpy(bytes + hashes + values, b->label, n);
	hel_hash(bytes + hashes + values + n, bytes, hashes + values + n);
	hel_write_bytes(&k->hashes, bytes + hashes + values + n, HEL_HASH_BYTES);
	TRY(k->hashes.status);
	TRY(hel_stream_write(k->stream, bytes, hashes + values + n + HEL_HASH_BYTES));
done:
	hel_free(bytes);
	return st;
}

static hel_status make(hel_cache *c, hel_scan_report *report, const char *const *paths,
		       size_t count, uint64_t max_malformed, hel_pool *pool)
{
	hel_status st = HEL_OK;
	making k = {0};
	hel_progress progress;
	hel_writer header = {0}, texts = {0};
	const uint8_t blank[HEADER_BYTES] = {0};
	uint8_t hash[HEL_HASH_BYTES];
	TRY(hel_dictionary_new(&c->dictionary, c->set));
	TRY(hel_stream_new(&k.stream, c->path, 0600));
	TRY(hel_stream_write(k.stream, blank, sizeof blank));
	hel_progress_begin(&progress, "reading");
	st = hel_scan(report, c->dictionary, c->set, paths, count, max_malformed, pool, &progress,
		      write_block, &k);
	hel_progress_end(&progress);
	TRY(st);
	c->rows = report->rows;
	c->malformed = report->malformed;
	if (hel_dictionary_size(c->dictionary)) {
		hel_dictionary_write(&texts, c->dictionary);
		TRY(texts.status);
		hel_hash(hash, texts.bytes, texts.size);
		hel_write_bytes(&texts, hash, sizeof hash);
		TRY(hel_stream_write(k.stream, texts.bytes, texts.size));
		hel_write_bytes(&k.hashes, hash, sizeof hash);
		TRY(k.hashes.status);
	}
	c->texts = texts.size;
	hel_hash(c->stamp, k.hashes.bytes, k.hashes.size);
	write_header(&header, c);
	TRY(header.status);
	TRY(hel_stream_finish(k.stream, header.bytes, header.size));
done:
	hel_writer_clear(&header);
	hel_writer_clear(&texts);
	hel_stream_free(k.stream);
	hel_writer_clear(&k.hashes);
	return st;
}

hel_status hel_cache_open(hel_cache **out, hel_scan_report *report, bool *made, const char *path,
			  const hel_dataset *set, const char *const *paths, size_t count,
			  uint64_t max_malformed, hel_pool *pool)
{
	hel_status st = HEL_OK;
	hel_cache *c = NULL;
	bool usable = false;
	memset(report, 0, sizeof *report);
	TRY_ALLOC(c, hel_alloc(1, sizeof *c));
	c->fd = -1;
	c->set = hel_dataset_keep(set);
	c->dense = set->dense;
	c->words = set->words;
	TRY_ALLOC(c->path, hel_strdup(path));
	TRY(source_of(c->source, set, paths, count, max_malformed));
	c->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (c->fd >= 0)
		TRY(read_header(c, &usable));
	*made = !usable;
	if (!usable) {
		if (c->fd >= 0)
			close(c->fd);
		c->fd = -1;
		hel_dictionary_free(c->dictionary);
		c->dictionary = NULL;
		TRY(make(c, report, paths, count, max_malformed, pool));
		c->fd = open(path, O_RDONLY | O_CLOEXEC);
		if (c->fd < 0)
			FAIL(HEL_EIO, "cannot open %s: %s", path, strerror(errno));
	}
	report->rows = c->stored = c->rows;
	report->malformed = c->malformed;
	*out = c;
	c = NULL;
done:
	hel_cache_free(c);
	return st;
}
