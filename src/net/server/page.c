/* Files that are there at the start, by their names: no path of a request reaches the file system.
 */
#include "page.h"
#include "answer.h"
#include "http.h"
#include <dirent.h>
#include <errno.h>
#include <string.h>

#define FILES_MAX 64
#define FILE_MAX ((size_t)4 << 20)
#define NAME_LONGEST 64
#define PATH_ROOM (HEL_SETTING_TEXT_MAX + 160)

typedef struct page_file {
	char url[160];
	const char *type;
	uint8_t *bytes;
	size_t size;
} page_file;

struct hel_page {
	size_t count;
	page_file file[FILES_MAX];
};

static const char *const types[][2] = {
    {".html", "text/html; charset=utf-8"},
    {".js", "text/javascript; charset=utf-8"},
    {".css", "text/css; charset=utf-8"},
    {".wasm", "application/wasm"},
    {".svg", "image/svg+xml"},
};

static const char *type_of(const char *name)
{
	const char *dot = strrchr(name, '.');
	for (size_t i = 0; dot && i < HEL_ARRAY_LEN(types); i++)
		if (strcmp(dot, types[i][0]) == 0)
			return types[i][1];
	return NULL;
}

void hel_page_close(hel_page *p)
{
	for (size_t i = 0; p && i < p->count; i++)
		hel_free(p->file[i].bytes);
	hel_free(p);
}

static hel_status read_one(hel_page *p, const char *dir, const char *folder, const char *name)
{
	char path[PATH_ROOM];
	page_file *f = &p->file[p->count];
	f->type = type_of(name);
	if (!f->type || *name == '.' || strlen(name) > NAME_LONGEST)
		return HEL_OK;
	if (p->count == FILES_MAX)
		return hel_fail(HEL_ELIMIT, "web: more than %d files in %s", FILES_MAX, dir);
	snprintf(path, sizeof path, "%s/%s/%s", dir, folder, name);
	snprintf(f->url, sizeof f->url, "/%s/%.*s", folder, NAME_LONGEST, name);
	hel_status st = hel_file_read(path, FILE_MAX, &f->bytes, &f->size);
	p->count += st == HEL_OK;
	return st;
}

static hel_status read_folder(hel_page *p, const char *dir, const char *folder)
{
	hel_status st = HEL_OK;
	char path[PATH_ROOM];
	snprintf(path, sizeof path, "%s/%s", dir, folder);
	DIR *d = opendir(path);
	if (!d)
		FAIL(HEL_EIO, "web: cannot read %s: %s (tools/web makes the directory)", path,
		     strerror(errno));
	for (const struct dirent *e; (e = readdir(d));)
		TRY(read_one(p, dir, folder, e->d_name));
done:
	if (d)
		closedir(d);
	return st;
}

static const page_file *find(const hel_page *p, const char *url)
{
	const char *wanted = strcmp(url, "/") == 0 ? "/page/index.html" : url;
	for (size_t i = 0; p && i < p->count; i++)
		if (strcmp(p->file[i].url, wanted) == 0)
			return &p->file[i];
	return NULL;
}

hel_status hel_page_open(hel_page **out, const char *dir)
{
	hel_status st = HEL_OK;
	hel_page *p = NULL;
	if (!*dir)
		goto done;
	TRY_ALLOC(p, hel_alloc(1, sizeof *p));
	TRY(read_folder(p, dir, "page"));
	TRY(read_folder(p, dir, "src"));
	if (!find(p, "/"))
		FAIL(HEL_EIO, "web: %s/page has no index.html", dir);
	*out = p;
	p = NULL;
done:
	hel_page_close(p);
	return st;
}

/* Scripts, styles and connections of this server alone; WebAssembly may be compiled; nobody frames
 * the page, and nothing of it goes elsewhere. */
static void page_end(hel_request *r)
{
	static const char *const headers[][2] = {
	    {"Content-Security-Policy",
	     "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; "
	     "connect-src 'self'; style-src 'self'; img-src 'self'; base-uri 'none'; "
	     "form-action 'none'; frame-ancestors 'none'"},
	    {"Cross-Origin-Opener-Policy", "same-origin"},
	    {"Cross-Origin-Embedder-Policy", "require-corp"},
	    {"Cross-Origin-Resource-Policy", "same-origin"},
	    {"Referrer-Policy", "no-referrer"},
	};
	const page_file *f = r->file_of_page;
	hel_answer_bytes(r, 200, f->type, f->bytes, f->size);
	for (size_t i = 0; i < HEL_ARRAY_LEN(headers); i++)
		hel_answer_header(r, headers[i][0], headers[i][1]);
}

bool hel_page_find(hel_request *r, const char *url)
{
	static const hel_route route = {
	    .method = "GET", .path = "/{page}", .open = true, .end = page_end};
	r->file_of_page = find(r->s->page, url);
	r->route = r->file_of_page ? &route : NULL;
	return r->route != NULL;
}
