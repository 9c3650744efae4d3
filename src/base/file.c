#include "base.h"
#include "base/temporary.h"
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The rest of a file whose size nobody knows. */
static hel_status read_on(int fd, const char *path, size_t limit, uint8_t **bytes, size_t *size)
{
	hel_status st = HEL_OK;
	size_t room = (size_t)1 << 16, got = 0;
	uint8_t *buffer;
	TRY_ALLOC(buffer, hel_alloc_raw(room, 1));
	for (ssize_t n; (n = read(fd, buffer + got, room - 1 - got)) != 0;) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			FAIL(HEL_EIO, "cannot read %s: %s", path, strerror(errno));
		got += (size_t)n;
		if (got > limit)
			FAIL(HEL_ELIMIT, "%s has more than %zu bytes, the most allowed", path,
			     limit);
		if (got < room - 1)
			continue;
		uint8_t *more;
		TRY_ALLOC(more, hel_alloc_raw(2 * room, 1));
		memcpy(more, buffer, got);
		hel_free_secret(buffer, got);
		buffer = more;
		room *= 2;
	}
	buffer[got] = 0;
	*bytes = buffer;
	*size = got;
	buffer = NULL;
done:
	hel_free_secret(buffer, buffer ? got : 0);
	return st;
}

hel_status hel_input_read(const char *path, size_t limit, uint8_t **bytes, size_t *size)
{
	hel_status st = HEL_OK;
	struct stat info;
	int fd = -1;
	const bool standard = strcmp(path, "-") == 0;
	if (!standard && (stat(path, &info) || !S_ISFIFO(info.st_mode)))
		return hel_file_read(path, limit, bytes, size);
	fd = standard ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		FAIL(HEL_EIO, "cannot open %s: %s", path, strerror(errno));
	TRY(read_on(fd, standard ? "standard input" : path, limit, bytes, size));
done:
	if (fd > STDIN_FILENO)
		close(fd);
	return st;
}

hel_status hel_file_read(const char *path, size_t limit, uint8_t **bytes, size_t *size)
{
	hel_status st = HEL_OK;
	uint8_t *buffer = NULL;
	struct stat info = {0};
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a pipe must not block */
	if (fd < 0 || fstat(fd, &info))
		FAIL(HEL_EIO, "cannot open %s: %s", path, strerror(errno));
	if (!S_ISREG(info.st_mode))
		FAIL(HEL_EIO, "%s is not a regular file", path);
	if ((uintmax_t)info.st_size > limit)
		FAIL(HEL_ELIMIT, "%s has %jd bytes, at most %zu are allowed", path,
		     (intmax_t)info.st_size, limit);
	size_t want = (size_t)info.st_size, got = 0;
	TRY_ALLOC(buffer, hel_alloc_raw(want + 1, 1));
	buffer[want] = 0;
	while (got < want) {
		ssize_t n = read(fd, buffer + got, want - got);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			FAIL(HEL_EIO, "cannot read %s: %s", path,
			     n ? strerror(errno) : "it shrank");
		got += (size_t)n;
	}
	*bytes = buffer;
	*size = want;
	buffer = NULL;
done:
	if (fd >= 0)
		close(fd);
	hel_free_secret(buffer, buffer ? (size_t)info.st_size : 0);
	return st;
}

hel_status hel_write_all(int fd, const char *path, const void *bytes, size_t size)
{
	const uint8_t *at = bytes;
	while (size) {
		ssize_t n = write(fd, at, size);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return hel_fail(HEL_EIO, "cannot write %s: %s", path, strerror(errno));
		at += n;
		size -= (size_t)n;
	}
	return HEL_OK;
}

hel_status hel_file_write(const char *path, const void *bytes, size_t size, unsigned mode)
{
	hel_status st = HEL_OK;
	hel_partial p;
	TRY(hel_partial_open(&p, path, mode));
	st = hel_write_all(p.fd, path, bytes, size);
	if (st == HEL_OK)
		st = hel_partial_finish(&p);
	hel_partial_close(&p);
done:
	return st;
}

static hel_status make_directories(const char *path, mode_t mode)
{
	hel_status st = HEL_OK;
	char *copy = NULL;
	if (!*path)
		FAIL(HEL_EINVAL, "an empty directory name");
	TRY_ALLOC(copy, hel_strdup(path));
	for (char *p = copy + 1; *copy; p++) {
		if (*p != '/' && *p)
			continue;
		char kept = *p;
		*p = 0;
		struct stat info;
		if (mkdir(copy, mode) && errno != EEXIST)
			FAIL(HEL_EIO, "cannot make directory %s: %s", copy, strerror(errno));
		if (stat(copy, &info) || !S_ISDIR(info.st_mode))
			FAIL(HEL_EIO, "%s is not a directory", copy);
		*p = kept;
		if (!kept)
			break;
	}
done:
	hel_free(copy);
	return st;
}

hel_status hel_dir_make(const char *path)
{
	return make_directories(path, 0777);
}

hel_status hel_dir_make_private(const char *path)
{
	return make_directories(path, 0700);
}

static const uint8_t magic[4] = {'H', 'E', 'L', 'M'};

/* A version is raised when old files of its kind change meaning. */
static const struct {
	const char *name;
	uint16_t version;
} kinds[] = {
    [HEL_KIND_MANIFEST] = {"manifest", 5},	/* 2: pieces, batches; 3: measured bounds; 4: unit,
						   spread; 5: mean bits, contributed */
    [HEL_KIND_PROGRAM] = {"server program", 5}, /* like its manifest */
    [HEL_KIND_SECRET_KEY] = {"secret key", 1},
    [HEL_KIND_EVALUATION_KEYS] = {"evaluation keys", 1},
    [HEL_KIND_QUERY] = {"encrypted query", 2}, /* 2: says its form */
    [HEL_KIND_RESULT] = {"encrypted result", 1},
    [HEL_KIND_SEALED_SECRET] = {"sealed secret", 1},
    [HEL_KIND_PUBLIC_KEY] = {"public key", 1},
    [HEL_KIND_CIPHERTEXT] = {"ciphertext", 1},
    [HEL_KIND_RANKING] = {"encrypted ranking", 1},
    [HEL_KIND_CANDIDATES] = {"query with candidates", 1},
};

const char *hel_kind_name(hel_kind kind)
{
	return (size_t)kind < HEL_ARRAY_LEN(kinds) && kinds[kind].name ? kinds[kind].name
								       : "unknown file";
}

void hel_hash(uint8_t out[HEL_HASH_BYTES], const void *bytes, size_t size)
{
	crypto_generichash(out, HEL_HASH_BYTES, bytes, size, NULL, 0);
}

void hel_checksum(uint8_t out[HEL_CHECKSUM_BYTES], const void *bytes, size_t size,
		  const uint8_t key[HEL_HASH_BYTES])
{
	_Static_assert(crypto_onetimeauth_KEYBYTES == HEL_HASH_BYTES &&
			   crypto_onetimeauth_BYTES == HEL_CHECKSUM_BYTES,
		       "a hash is a key");
	crypto_onetimeauth(out, bytes, size, key);
}

void hel_container_begin_sized(hel_writer *w, hel_kind kind, uint64_t size)
{
	hel_write_bytes(w, magic, sizeof magic);
	hel_write_u16(w, (uint16_t)kind);
	hel_write_u16(w, kinds[kind].version);
	hel_write_u64(w, size);
}

void hel_container_begin(hel_writer *w, hel_kind kind)
{
	hel_container_begin_sized(w, kind, 0); /* filled in at the end */
}

hel_status hel_container_end(hel_writer *w)
{
	uint64_t size = (uint64_t)w->size + HEL_HASH_BYTES;
	for (unsigned i = 0; w->status == HEL_OK && i < 8; i++)
		w->bytes[8 + i] = (uint8_t)(size >> (8 * i));
	uint8_t hash[HEL_HASH_BYTES] = {0};
	if (w->status == HEL_OK)
		hel_hash(hash, w->bytes, w->size);
	hel_write_bytes(w, hash, sizeof hash);
	return w->status;
}

int hel_container_kind(const void *bytes, size_t size)
{
	const uint8_t *p = bytes;
	if (size < HEL_CONTAINER_OVERHEAD || memcmp(p, magic, sizeof magic) != 0)
		return 0;
	return p[4] | p[5] << 8;
}

hel_status hel_container_open(hel_reader *body, hel_kind kind, const void *bytes, size_t size)
{
	const char *name = hel_kind_name(kind);
	if (size < HEL_CONTAINER_OVERHEAD)
		return hel_fail(HEL_ETRUNC, "%s file ends too early: %zu bytes", name, size);
	hel_reader r = hel_reader_of(bytes, size);
	if (memcmp(hel_read_bytes(&r, 4), magic, sizeof magic) != 0)
		return hel_fail(HEL_EFORMAT, "not a helrm file; a %s was expected", name);
	unsigned found = hel_read_u16(&r), version = hel_read_u16(&r);
	uint64_t length = hel_read_u64(&r);
	if ((size_t)kind >= HEL_ARRAY_LEN(kinds) || !kinds[kind].name)
		return hel_fail(HEL_EFORMAT, "a file of unknown kind %u", (unsigned)kind);
	if (found != (unsigned)kind)
		return hel_fail(HEL_EFORMAT, "this file is a %s; a %s was expected",
				hel_kind_name((hel_kind)found), name);
	if (version != kinds[kind].version)
		return hel_fail(HEL_EVERSION, "%s file has version %u; this helrm reads version %u",
				name, version, kinds[kind].version);
	if (length > size)
		return hel_fail(HEL_ETRUNC, "%s file ends too early: %zu of %llu bytes", name, size,
				(unsigned long long)length);
	if (length < size)
		return hel_fail(HEL_EFORMAT, "%s file has %llu bytes too many", name,
				(unsigned long long)(size - length));
	uint8_t hash[HEL_HASH_BYTES];
	size_t covered = size - HEL_HASH_BYTES;
	hel_hash(hash, bytes, covered);
	if (memcmp(hash, (const uint8_t *)bytes + covered, HEL_HASH_BYTES) != 0)
		return hel_fail(HEL_EHASH, "%s file is damaged: its checksum differs", name);
	*body = hel_reader_of(r.at, covered - 16);
	return HEL_OK;
}
