/* Tables for lookup-bench: read from files, or random. */
#include "lookup_bench.h"
#include "model/safetensors.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_MAX ((size_t)16 << 30)

void lookup_tables_clear(lookup_tables *t)
{
	for (size_t i = 0; i < HEL_ARRAY_LEN(t->owned); i++) {
		hel_free(t->owned[i]);
		if (t->map[i])
			munmap(t->map[i], t->map_size[i]);
	}
}

/* --- tables ------------------------------------------------------------------- */

/* The one matrix of a file, or the one that is named. */
static hel_status from_safetensors(float **value, size_t *rows, size_t *dim, const uint8_t *bytes,
				   size_t size, const char *name)
{
	hel_status st = HEL_OK;
	hel_safetensors f = {0};
	hel_stored_tensor tensor;
	float *v = NULL;
	const char *key;
	json_t *entry;
	size_t matrices = 0;
	TRY(hel_safetensors_open(&f, bytes, size));
	json_object_foreach(f.header, key, entry) if (!name || matrices)
	{
		if (json_array_size(json_object_get(entry, "shape")) != 2)
			continue;
		name = matrices++ ? name : key;
	}
	if (matrices > 1)
		FAIL(HEL_EINVAL, "the file holds %zu matrices: choose one with --tensor, e.g. %s",
		     matrices, name);
	if (!name)
		FAIL(HEL_EFORMAT, "the file holds no matrix");
	TRY(hel_safetensors_find(&tensor, &f, name));
	if (!tensor.rows || !tensor.columns || tensor.columns > HEL_LOOKUP_DIM_MAX)
		FAIL(HEL_ELIMIT, "'%.60s' is %zu x %zu, expected at most %d columns", name,
		     tensor.rows, tensor.columns, HEL_LOOKUP_DIM_MAX);
	TRY_ALLOC(v, hel_alloc(tensor.rows * tensor.columns, sizeof *v));
	TRY(hel_stored_tensor_read(v, &tensor, 0, tensor.rows * tensor.columns, name));
	*value = v;
	*rows = tensor.rows;
	*dim = tensor.columns;
	v = NULL;
done:
	hel_free(v);
	hel_safetensors_close(&f);
	return st;
}

static bool ends_with(const char *text, const char *end)
{
	const size_t n = strlen(text), m = strlen(end);
	return n >= m && strcmp(text + n - m, end) == 0;
}

/* An array of floats is used where it lies: it may be larger than memory. */
static hel_status map_npy(hel_table *out, lookup_tables *t, size_t at, const char *path)
{
	hel_status st = HEL_OK;
	struct stat info;
	hel_npy npy;
	const int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &info))
		FAIL(HEL_EIO, "cannot open: %s", strerror(errno));
	if (!info.st_size)
		FAIL(HEL_ETRUNC, "the file is empty");
	void *map = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (map == MAP_FAILED)
		FAIL(HEL_EIO, "cannot map: %s", strerror(errno));
	t->map[at] = map;
	t->map_size[at] = (size_t)info.st_size;
	TRY(hel_npy_open(&npy, map, t->map_size[at]));
	*out = (hel_table){npy.rows, npy.dim, (const float *)(const void *)npy.data};
	if (npy.wide || (uintptr_t)npy.data % sizeof(float)) {
		TRY(hel_npy_read(&t->owned[at], &npy));
		out->value = t->owned[at];
	}
done:
	if (fd >= 0)
		close(fd);
	return st;
}

static hel_status copy_table(hel_table *out, float **owned, const hel_args *args, const char *path)
{
	hel_status st = HEL_OK;
	uint8_t *bytes = NULL;
	size_t size;
	TRY(hel_file_read(path, FILE_MAX, &bytes, &size));
	if (ends_with(path, ".safetensors"))
		TRY(from_safetensors(owned, &out->rows, &out->dim, bytes, size,
				     hel_arg(args, "tensor")));
	else
		TRY(hel_table_from_text(owned, &out->rows, &out->dim, (const char *)bytes, size));
	out->value = *owned;
done:
	hel_free(bytes);
	return st;
}

static hel_status read_table(hel_table *out, lookup_tables *t, size_t at, const hel_args *args,
			     const char *path)
{
	hel_status st = ends_with(path, ".npy") ? map_npy(out, t, at, path)
						: copy_table(out, &t->owned[at], args, path);
	if (st == HEL_OK)
		return st;
	char detail[400];
	snprintf(detail, sizeof detail, "%s", hel_error_detail());
	return hel_fail(st, "%s: %s", path, detail);
}

/* Uniform in [-0.5, 0.5); on disk when there is a directory for it. */
static hel_status random_table(hel_table *out, lookup_tables *t, size_t at, size_t rows, size_t dim,
			       const char *disk)
{
	hel_status st = HEL_OK;
	float *value = NULL;
	int fd = -1;
	if (disk) {
		char path[4096];
		t->map_size[at] = rows * dim * sizeof *value;
		snprintf(path, sizeof path, "%s/helrm-table-%zu.tmp", disk, at);
		fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
		if (fd < 0 || unlink(path) || posix_fallocate(fd, 0, (off_t)t->map_size[at]))
			FAIL(HEL_EIO, "cannot make %s with %zu MB: %s", path, t->map_size[at] >> 20,
			     strerror(errno));
		void *map = mmap(NULL, t->map_size[at], PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		if (map == MAP_FAILED)
			FAIL(HEL_EIO, "cannot map %s: %s", path, strerror(errno));
		value = t->map[at] = map;
	} else {
		TRY_ALLOC(t->owned[at], hel_alloc(rows * dim, sizeof *value));
		value = t->owned[at];
	}
	for (size_t i = 0; i < rows * dim; i++)
		value[i] = (float)(hel_mix(i ^ (uint64_t)at << 40) >> 40) * 0x1p-24f - 0.5f;
	*out = (hel_table){rows, dim, value};
done:
	if (fd >= 0)
		close(fd);
	return st;
}

static hel_status read_rows(lookup_tables *t, const hel_args *args, uint64_t dim)
{
	hel_status st = HEL_OK;
	size_t files, sizes;
	const char *const *file = hel_arg_all(args, "table", &files);
	const char *const *rows = hel_arg_all(args, "rows", &sizes);
	if (files && sizes)
		FAIL(HEL_EINVAL, "--rows makes random tables, --table reads them: not both");
	t->rows_given = files || sizes;
	for (t->tables = 0; t->tables < files; t->tables++)
		TRY(read_table(&t->table[t->tables], t, t->tables, args, file[t->tables]));
	for (; t->tables < HEL_MAX(sizes, 1) && !files; t->tables++) {
		char *end;
		const char *text = sizes ? rows[t->tables] : "4096";
		const unsigned long long n = strtoull(text, &end, 10);
		if (*text < '0' || *text > '9' || *end || !n || n > UINT32_MAX)
			FAIL(HEL_EINVAL, "--rows is '%s', expected a whole number from 1", text);
		TRY(random_table(&t->table[t->tables], t, t->tables, (size_t)n, dim,
				 hel_arg(args, "disk")));
	}
done:
	return st;
}

static hel_status read_codebook(lookup_tables *t, const hel_args *args, uint64_t dim)
{
	hel_status st = HEL_OK;
	uint64_t base, digits;
	TRY(hel_arg_number(&base, args, "base", HEL_LOOKUP_BASE_MIN, HEL_LOOKUP_BASE_MAX, 8));
	TRY(hel_arg_number(&digits, args, "digits", 1, HEL_LOOKUP_DIGITS_MAX, 0));
	t->base = (unsigned)base;
	t->codebook_given = hel_arg(args, "codebook") != NULL;
	if (t->codebook_given) {
		TRY(read_table(&t->codebook, t, HEL_MAX_VALUES, args, hel_arg(args, "codebook")));
		t->digits = (unsigned)(digits ? digits : t->codebook.rows / base);
		goto done; /* whether it fits is the library's to say */
	}
	t->digits = (unsigned)(digits ? digits : 8);
	TRY(random_table(&t->codebook, t, HEL_MAX_VALUES, base * t->digits,
			 t->rows_given ? t->table[0].dim : dim, NULL));
done:
	return st;
}

hel_status lookup_tables_read(lookup_tables *t, const hel_args *args)
{
	hel_status st = HEL_OK;
	uint64_t dim;
	TRY(hel_arg_number(&dim, args, "dim", 1, HEL_LOOKUP_DIM_MAX, 50));
	TRY(read_rows(t, args, dim));
	TRY(read_codebook(t, args, dim));
done:
	return st;
}
