#include "stock.h"
#include "catalog_inside.h"
#include "log.h"
#include "net/ranking_file.h"
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

struct hel_stock {
	hel_catalogue *catalogue;
	atomic_uint refs;
};

const hel_catalogue *hel_stock_catalogue(const hel_stock *s)
{
	return s->catalogue;
}

void hel_stock_release(hel_stock *s)
{
	if (!s || atomic_fetch_sub(&s->refs, 1) > 1)
		return;
	hel_catalogue_free(s->catalogue);
	hel_free(s);
}

hel_stock *hel_stock_of(hel_model *m)
{
	pthread_mutex_lock(&m->catalog->lock);
	hel_stock *s = m->stock;
	if (s)
		atomic_fetch_add(&s->refs, 1);
	pthread_mutex_unlock(&m->catalog->lock);
	return s;
}

/* "DIR/NAME/program.helm" has "DIR/NAME/items.helm", "DIR/NAME.helm" "DIR/NAME.items.helm". */
static bool path_of(char *out, size_t size, const char *program)
{
	static const char own[] = "/program.helm", ending[] = ".helm";
	const size_t length = strlen(program), kept = length - (sizeof own - 1);
	const bool within = length >= sizeof own && strcmp(program + kept, own) == 0;
	const size_t bare = within ? kept : length - (sizeof ending - 1);
	const int n =
	    snprintf(out, size, "%.*s%citems.helm", (int)bare, program, within ? '/' : '.');
	return n > 0 && (size_t)n < size;
}

/* Of a ranking of all items, at most. */
static size_t ranking_bytes(const hel_catalogue *c, const hel_params *p)
{
	const hel_catalogue_head *h = hel_catalogue_head_of(c);
	const size_t block = hel_catalogue_block_size(h) / 8 + 8 +
			     2 * p->limbs[0] * hel_packed_size(p->ring.n, HEL_PRIME_BITS);
	return HEL_CONTAINER_OVERHEAD + 2 * HEL_HASH_BYTES + HEL_CLIENT_ID_BYTES + 4 +
	       hel_catalogue_blocks(c) * block + h->ids + 2 * h->items;
}

static void put(hel_model *m, hel_stock *s)
{
	pthread_mutex_lock(&m->catalog->lock);
	hel_stock *old = m->stock;
	m->stock = s;
	pthread_mutex_unlock(&m->catalog->lock);
	hel_stock_release(old);
}

static hel_status take_in(hel_model *m, const char *path)
{
	hel_status st = HEL_OK;
	hel_stock *s = NULL;
	hel_catalogue *c = NULL;
	TRY_ALLOC(s, hel_alloc(1, sizeof *s));
	TRY(hel_catalogue_open(&c, path, m->manifest, m->params, m->catalog->pool));
	atomic_init(&s->refs, 1);
	s->catalogue = c;
	atomic_store(&m->result_bytes, ranking_bytes(c, m->params));
	hel_count(&m->catalog->metrics->catalogue_loads, 1);
	hel_log("info", "catalogue_in_service", "{s:s, s:I, s:I}", "model", m->name, "items",
		(json_int_t)hel_catalogue_head_of(c)->items, "bytes",
		(json_int_t)hel_catalogue_head_of(c)->bytes);
	put(m, s);
	s = NULL;
done:
	hel_free(s);
	return st;
}

void hel_stock_look(hel_model *m)
{
	char path[HEL_SETTING_TEXT_MAX + 700];
	struct stat info;
	if (!m->manifest->items.any || !path_of(path, sizeof path, m->path))
		return;
	if (stat(path, &info) != 0) {
		if (errno == ENOENT && m->stock) {
			hel_log("info", "catalogue_removed", "{s:s}", "model", m->name);
			put(m, NULL);
		}
		m->stocked = (struct timespec){0, 0};
		return;
	}
	if (info.st_mtim.tv_sec == m->stocked.tv_sec &&
	    info.st_mtim.tv_nsec == m->stocked.tv_nsec && info.st_ino == m->stock_inode)
		return;
	m->stocked = info.st_mtim; /* a bad file is not read again until it changes */
	m->stock_inode = info.st_ino;
	if (take_in(m, path) == HEL_OK)
		return;
	hel_count(&m->catalog->metrics->catalogue_refusals, 1);
	hel_log("error", "catalogue_refused", "{s:s, s:s, s:s, s:b}", "model", m->name, "file",
		path, "reason", hel_error_detail(), "old_one_stays", m->stock != NULL);
}

void hel_stock_clear(hel_model *m)
{
	hel_stock_release(m->stock);
	m->stock = NULL;
}
