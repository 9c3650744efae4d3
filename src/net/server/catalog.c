#include "catalog_inside.h"
#include "log.h"
#include "net/ranking_file.h"
#include "rank/multiply.h"
#include "shares.h"
#include "stock.h"
#include "vm/encrypted.h"
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define PATH_BYTES (HEL_SETTING_TEXT_MAX + 600)
#define READ_FACTOR 4 /* memory that reading and checking a program takes, in its file's sizes */

static void model_free(hel_model *m)
{
	if (!m)
		return;
	hel_stock_clear(m);
	hel_server_free(m->server);
	if (m->server)
		hel_budget_give(m->catalog->budget, m->weight_bytes);
	for (size_t i = 0; i < m->idle_count; i++)
		hel_scratch_free(m->idle[i]);
	hel_free(m->idle);
	hel_manifest_free(m->manifest);
	hel_free(m->manifest_bytes);
	hel_free(m->path);
	pthread_mutex_destroy(&m->loading);
	hel_free(m);
}

static void release_locked(hel_model *m, hel_model **dead)
{
	if (--m->refs == 0)
		*dead = m;
}

void hel_model_release(hel_model *m)
{
	hel_model *dead = NULL;
	if (!m)
		return;
	pthread_mutex_lock(&m->catalog->lock);
	release_locked(m, &dead);
	pthread_mutex_unlock(&m->catalog->lock);
	model_free(dead);
}

static hel_status shared_params(const hel_params **out, hel_catalog *c, const hel_params_spec *spec)
{
	hel_status st = HEL_OK;
	hel_params *new = NULL;
	pthread_mutex_lock(&c->lock);
	for (size_t i = 0; i < c->params_count; i++)
		if (memcmp(&c->params[i]->spec, spec, sizeof *spec) == 0) {
			*out = c->params[i];
			goto done;
		}
	if (c->params_count == MODELS_MAX)
		FAIL(HEL_ELIMIT, "more than %d different parameter sets", MODELS_MAX);
	TRY(hel_params_new(&new, spec));
	*out = c->params[c->params_count++] = new;
done:
	pthread_mutex_unlock(&c->lock);
	return st;
}

const hel_params *hel_catalog_params(hel_catalog *c, const uint8_t fingerprint[HEL_HASH_BYTES])
{
	const hel_params *found = NULL;
	pthread_mutex_lock(&c->lock);
	for (size_t i = 0; i < c->params_count && !found; i++)
		if (memcmp(c->params[i]->fingerprint, fingerprint, HEL_HASH_BYTES) == 0)
			found = c->params[i];
	pthread_mutex_unlock(&c->lock);
	return found;
}

static size_t query_bytes(const hel_manifest *m, const hel_params *p, hel_ct_form form)
{
	size_t bytes = HEL_CONTAINER_OVERHEAD + HEL_HASH_BYTES + HEL_CLIENT_ID_BYTES + 1 + 4;
	for (uint32_t i = 0; i < m->inputs; i++) {
		const size_t half =
		    p->limbs[m->input[i].level] * hel_packed_size(p->ring.n, HEL_PRIME_BITS);
		bytes += 1 + half + (form == HEL_CT_SEEDED ? HEL_SEED_BYTES : half);
	}
	return bytes;
}

static size_t result_bytes(const hel_manifest *m, const hel_params *p)
{
	return HEL_CONTAINER_OVERHEAD + HEL_HASH_BYTES + HEL_CLIENT_ID_BYTES + 5 +
	       p->limbs[0] * (hel_packed_size(m->samples, HEL_PRIME_BITS) +
			      hel_packed_size(p->ring.n, HEL_PRIME_BITS));
}

bool hel_model_takes(const hel_model *m, uint64_t bytes)
{
	return bytes == m->query_bytes || bytes == m->contributed_bytes ||
	       (m->candidates_bytes && bytes > m->query_bytes &&
		bytes <= m->contributed_bytes + m->candidates_bytes);
}

/* NAME or NAME@LABEL. */
static bool is_name(const char *name)
{
	static const char of[] =
	    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
	const size_t size = strlen(name), base = strspn(name, of),
		     label = name[base] == '@' ? strspn(name + base + 1, of) : 0;
	return base && size <= HEL_ROUTE_NAME_MAX && *name != '.' &&
	       (base == size || (label && base + 1 + label == size));
}

/* A model that never fits is refused before it is read, and before a query waits for it in vain. */
static hel_status check_file_size(const hel_catalog *c, uint64_t bytes)
{
	return READ_FACTOR * bytes <= c->budget->limit
		   ? HEL_OK
		   : hel_fail(
			 HEL_ELIMIT, "reading a program of %llu MB takes %llu, memory-mb is %zu",
			 (unsigned long long)(bytes >> 20),
			 (unsigned long long)(READ_FACTOR * bytes >> 20), c->budget->limit >> 20);
}

static hel_status check_memory(const hel_catalog *c, const hel_model *m, const hel_manifest *f)
{
	const size_t keys = hel_keys_expanded_bytes(m->params, f->key, f->keys),
		     need = m->weight_bytes + m->run_bytes + keys + m->contributed_bytes +
			    m->candidates_bytes + m->result_bytes;
	return need <= c->budget->limit
		   ? HEL_OK
		   : hel_fail(HEL_ELIMIT,
			      "one query takes %zu MB (weights %zu, evaluation %zu, keys %zu); "
			      "memory-mb is %zu",
			      need >> 20, m->weight_bytes >> 20, m->run_bytes >> 20, keys >> 20,
			      c->budget->limit >> 20);
}

/* Reads and checks a whole file, but keeps only what describes it: see loading.c for weights. */
static hel_status model_new(hel_model **out, hel_catalog *c, const char *name, const char *path,
			    const struct stat *info)
{
	hel_status st = HEL_OK;
	hel_model *m = NULL;
	uint8_t *bytes = NULL;
	size_t size, reserved = 0;
	hel_program *p = NULL;
	hel_writer w = {0};
	TRY_ALLOC(m, hel_alloc(1, sizeof *m));
	pthread_mutex_init(&m->loading, NULL);
	m->catalog = c;
	m->refs = 1;
	m->changed = info->st_mtim;
	m->inode = info->st_ino;
	m->bytes = (uint64_t)info->st_size;
	snprintf(m->name, sizeof m->name, "%s", name);
	TRY_ALLOC(m->path, hel_strdup(path));
	TRY(check_file_size(c, m->bytes));
	reserved = READ_FACTOR * (size_t)m->bytes;
	while (!hel_budget_take(c->budget, reserved))
		if (!hel_model_make_room(m)) {
			reserved = 0;
			FAIL(HEL_EBUSY, "no memory to read '%s' now", name);
		}
	TRY(hel_file_read(path, HEL_PROGRAM_MAX, &bytes, &size));
	TRY(hel_program_read(&p, bytes, size));
	TRY(shared_params(&m->params, c, &p->manifest->params));
	for (uint32_t i = 0; i < p->manifest->inputs; i++)
		if (p->manifest->input[i].level > m->params->spec.levels)
			FAIL(HEL_EFORMAT, "input %u lies above all levels", i);
	TRY(hel_ckks_run_bytes(&m->run_bytes, p, m->params,
			       (unsigned)c->settings->evaluation_threads));
	if (p->manifest->items.any && !p->manifest->items.batched)
		m->run_bytes += hel_catalogue_apply_bytes(m->params, p->manifest->items.log_width);
	TRY(hel_ckks_weight_bytes(&m->weight_bytes, p, m->params));
	m->weight_bytes += size; /* the program itself */
	m->query_bytes = query_bytes(p->manifest, m->params, HEL_CT_SEEDED);
	m->contributed_bytes = query_bytes(p->manifest, m->params, HEL_CT_FULL);
	m->candidates_bytes = p->manifest->items.any ? HEL_CANDIDATES_ROOM : 0;
	m->result_bytes = result_bytes(p->manifest, m->params);
	TRY(check_memory(c, m, p->manifest));
	TRY(hel_manifest_write(&w, p->manifest));
	TRY_ALLOC(m->manifest_bytes, hel_alloc(w.size, 1));
	memcpy(m->manifest_bytes, w.bytes, w.size);
	m->manifest_size = w.size;
	memcpy(m->program, p->hash, sizeof m->program);
	m->manifest = p->manifest;
	p->manifest = NULL;
	*out = m;
	m = NULL;
done:
	hel_writer_clear(&w);
	hel_program_free(p);
	hel_free(bytes);
	hel_budget_give(c->budget, reserved);
	model_free(m);
	return st;
}

static bool same_file(const struct stat *info, struct timespec changed, uint64_t inode,
		      uint64_t bytes)
{
	return info->st_mtim.tv_sec == changed.tv_sec && info->st_mtim.tv_nsec == changed.tv_nsec &&
	       info->st_ino == inode && (uint64_t)info->st_size == bytes;
}

hel_model *hel_catalog_find_locked(const hel_catalog *c, const char *name, size_t *index)
{
	for (size_t i = 0; i < c->models; i++)
		if (strcmp(c->model[i]->name, name) == 0) {
			if (index)
				*index = i;
			return c->model[i];
		}
	return NULL;
}

hel_model *hel_catalog_find(hel_catalog *c, const char *name)
{
	pthread_mutex_lock(&c->lock);
	hel_model *m = hel_catalog_find_locked(c, name, NULL);
	if (m)
		m->refs++;
	pthread_mutex_unlock(&c->lock);
	return m;
}

hel_model *hel_model_hold(hel_model *m)
{
	pthread_mutex_lock(&m->catalog->lock);
	m->refs++;
	pthread_mutex_unlock(&m->catalog->lock);
	return m;
}

static refusal *refusal_of(hel_catalog *c, const char *name)
{
	for (size_t i = 0; i < c->refusals; i++)
		if (strcmp(c->refused[i].name, name) == 0)
			return &c->refused[i];
	return NULL;
}

static void refuse(hel_catalog *c, const char *name, const char *path, const struct stat *info,
		   bool twice)
{
	pthread_mutex_lock(&c->lock);
	refusal *r = refusal_of(c, name);
	if (!r && c->refusals < MODELS_MAX)
		r = &c->refused[c->refusals++];
	if (r) {
		*r = (refusal){.changed = info->st_mtim,
			       .inode = info->st_ino,
			       .bytes = (uint64_t)info->st_size,
			       .twice = twice};
		snprintf(r->name, sizeof r->name, "%s", name);
		snprintf(r->reason, sizeof r->reason, "%.159s", hel_error_detail());
	}
	pthread_mutex_unlock(&c->lock);
	hel_count(&c->metrics->model_refusals, 1);
	hel_model *old = hel_catalog_find(c, name);
	hel_log("error", "model_refused", "{s:s, s:s, s:s, s:b}", "model", name, "file", path,
		"reason", hel_error_detail(), "old_version_stays", old != NULL);
	hel_model_release(old);
}

static void forget_refusal(hel_catalog *c, const char *name)
{
	pthread_mutex_lock(&c->lock);
	refusal *r = refusal_of(c, name);
	if (r)
		*r = c->refused[--c->refusals];
	pthread_mutex_unlock(&c->lock);
}

void hel_catalog_refusals(char *out, size_t size, hel_catalog *c)
{
	size_t n = 0;
	*out = 0;
	pthread_mutex_lock(&c->lock);
	for (size_t i = 0; i < c->refusals && n < size; i++)
		n += (size_t)snprintf(out + n, size - n, "%s'%s' was refused: %s", i ? "; " : "",
				      c->refused[i].name, c->refused[i].reason);
	pthread_mutex_unlock(&c->lock);
}

static void put_in_service(hel_catalog *c, hel_model *m)
{
	hel_model *dead = NULL;
	size_t i = 0;
	char id[2 * HEL_HASH_BYTES + 1] = {0};
	for (size_t k = 0; k < HEL_HASH_BYTES; k++)
		snprintf(id + 2 * k, 3, "%02x", m->manifest->id[k]);
	hel_log("info", "model_in_service", "{s:s, s:s, s:I, s:I, s:I}", "model", m->name,
		"manifest", id, "weight_bytes", (json_int_t)m->weight_bytes, "run_bytes",
		(json_int_t)m->run_bytes, "query_bytes", (json_int_t)m->query_bytes);
	pthread_mutex_lock(&c->lock);
	hel_model *old = hel_catalog_find_locked(c, m->name, &i);
	if (old) {
		m->seconds = (double)old->seconds;
		c->model[i] = m;
		release_locked(old, &dead);
	} else if (c->models < MODELS_MAX) {
		c->model[c->models++] = m;
	} else {
		dead = m;
	}
	pthread_mutex_unlock(&c->lock);
	model_free(dead);
}

/* NAME.items.helm is no program, but what NAME.helm ranks. */
static bool is_stock(const char *entry, const char *dot)
{
	static const char items[] = ".items";
	const size_t size = sizeof items - 1;
	return (size_t)(dot - entry) > size && memcmp(dot - size, items, size) == 0;
}

/* An entry of the directory as a model: NAME.helm or NAME/program.helm. False for others. *twice:
 * both are there. */
static bool find_file(char path[PATH_BYTES], char name[HEL_ROUTE_NAME_MAX + 1], struct stat *info,
		      bool *twice, const hel_catalog *c, const char *entry)
{
	const char *dot = strrchr(entry, '.'), *models = c->settings->models;
	char other[PATH_BYTES];
	struct stat unused;
	if (strlen(entry) > HEL_ROUTE_NAME_MAX)
		return false;
	snprintf(path, PATH_BYTES, "%s/%s/program.helm", models, entry);
	snprintf(other, sizeof other, "%s/%s.helm", models, entry);
	snprintf(name, HEL_ROUTE_NAME_MAX + 1, "%.*s", HEL_ROUTE_NAME_MAX, entry);
	if (stat(path, info) != 0) {
		if (!dot || strcmp(dot, ".helm") != 0 || is_stock(entry, dot))
			return false;
		snprintf(path, PATH_BYTES, "%s/%s", models, entry);
		snprintf(name, HEL_ROUTE_NAME_MAX + 1, "%.*s", (int)(dot - entry), entry);
		snprintf(other, sizeof other, "%s/%s/program.helm", models, name);
		if (stat(path, info) != 0)
			return false;
	}
	*twice = stat(other, &unused) == 0;
	return is_name(name) && S_ISREG(info->st_mode);
}

/* One that is in use is replaced by one that is ready. */
static hel_status make_ready(hel_model *new, const hel_model *old)
{
	const hel_server *unused;
	hel_catalog *c = new->catalog;
	pthread_mutex_lock(&c->lock);
	const bool in_use = old && old->server;
	pthread_mutex_unlock(&c->lock);
	const hel_status st = in_use ? hel_model_ready(&unused, new) : HEL_OK;
	if (in_use && st == HEL_OK)
		(void)hel_model_done(new, NULL, 0);
	return st == HEL_EBUSY ? HEL_OK : st; /* without memory now: when a query comes */
}

static hel_status take_in(hel_catalog *c, const char *name, const char *path,
			  const struct stat *info, bool twice, const hel_model *old)
{
	hel_status st = HEL_OK;
	hel_model *new = NULL;
	if (twice)
		FAIL(HEL_EINVAL, "%s.helm and %s/program.helm are both there: keep one", name,
		     name);
	TRY(model_new(&new, c, name, path, info));
	TRY(make_ready(new, old));
	put_in_service(c, new);
	new = NULL;
done:
	model_free(new);
	return st;
}

static void scan_shares(hel_catalog *c, const char *entry)
{
	char path[PATH_BYTES];
	struct stat info;
	const refusal *r = refusal_of(c, entry);
	snprintf(path, sizeof path, "%s/%s", c->settings->models, entry);
	if (stat(path, &info) != 0 || (r && same_file(&info, r->changed, r->inode, r->bytes)))
		return;
	if (hel_shares_read(c, entry, path) != HEL_OK)
		refuse(c, entry, path, &info, false);
	else
		forget_refusal(c, entry);
}

/* One entry of the directory; *name is "" for what is no model. */
static void scan_entry(hel_catalog *c, const char *entry, char name[HEL_ROUTE_NAME_MAX + 1])
{
	char path[PATH_BYTES];
	struct stat info;
	bool twice;
	if (hel_shares_are(entry)) {
		snprintf(name, HEL_ROUTE_NAME_MAX + 1, "%.*s", HEL_ROUTE_NAME_MAX, entry);
		scan_shares(c, entry);
		return;
	}
	if (!find_file(path, name, &info, &twice, c, entry)) {
		*name = 0;
		return;
	}
	hel_model *old = hel_catalog_find(c, name);
	const refusal *r = refusal_of(c, name);
	const bool served = old && same_file(&info, old->changed, old->inode, old->bytes);
	const bool refused =
	    r && r->twice == twice && (twice || same_file(&info, r->changed, r->inode, r->bytes));
	const hel_status st =
	    refused || (served && !twice) ? HEL_OK : take_in(c, name, path, &info, twice, old);
	if (st != HEL_OK && st != HEL_EBUSY) /* busy: the next look will do */
		refuse(c, name, path, &info, twice);
	else if (st == HEL_OK && !refused)
		forget_refusal(c, name);
	hel_model_release(old);
	hel_model *now = hel_catalog_find(c, name);
	if (now)
		hel_stock_look(now);
	hel_model_release(now);
}

static bool is_among(const char *name, char (*names)[HEL_ROUTE_NAME_MAX + 1], size_t count)
{
	size_t i = 0;
	while (i < count && strcmp(names[i], name) != 0)
		i++;
	return i < count;
}

static void scan(hel_catalog *c)
{
	DIR *dir = opendir(c->settings->models);
	if (!dir) {
		hel_log("error", "models_unreadable", "{s:s, s:s}", "directory",
			c->settings->models, "reason", strerror(errno));
		return;
	}
	char(*seen)[HEL_ROUTE_NAME_MAX + 1] = hel_alloc(MODELS_MAX, sizeof *seen);
	size_t count = 0;
	for (struct dirent *e; seen && count < MODELS_MAX && (e = readdir(dir));) {
		scan_entry(c, e->d_name, seen[count]);
		count += *seen[count] != 0;
	}
	closedir(dir);
	for (size_t i = 0; seen && i < c->models;) {
		if (is_among(c->model[i]->name, seen, count)) {
			i++;
			continue;
		}
		hel_log("info", "model_removed", "{s:s}", "model", c->model[i]->name);
		char weights[WEIGHTS_PATH_MAX];
		unlink(hel_weights_path(weights, c, c->model[i]->name));
		pthread_mutex_lock(&c->lock);
		hel_model *gone = c->model[i];
		c->model[i] = c->model[--c->models];
		pthread_mutex_unlock(&c->lock);
		hel_model_release(gone);
	}
	if (seen)
		hel_shares_keep(c, seen, count);
	for (size_t i = 0; seen && i < c->refusals;)
		if (is_among(c->refused[i].name, seen, count))
			i++;
		else
			forget_refusal(c, c->refused[i].name);
	hel_free(seen);
}

/* Of models that are gone, and of what a killed server was writing. */
static void remove_orphans(hel_catalog *c)
{
	char path[WEIGHTS_PATH_MAX], name[WEIGHTS_PATH_MAX];
	snprintf(path, sizeof path, "%s/" WEIGHTS_DIR, c->settings->data);
	DIR *dir = c->models ? opendir(path) : NULL;
	for (struct dirent *e; dir && (e = readdir(dir));) {
		bool wanted = strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0;
		for (size_t i = 0; i < c->models && !wanted; i++) {
			snprintf(name, sizeof name, "%s.weights", c->model[i]->name);
			wanted = strcmp(e->d_name, name) == 0;
		}
		if (!wanted && unlinkat(dirfd(dir), e->d_name, 0) == 0)
			hel_log("info", "orphan_removed", "{s:s}", "file", e->d_name);
	}
	if (dir)
		closedir(dir);
}

/* Models whose caches nobody has looked for yet. */
static void prepare_models(hel_catalog *c)
{
	for (bool more = true; more && !atomic_load(&c->stop);) {
		hel_model *next = NULL;
		pthread_mutex_lock(&c->lock);
		for (size_t i = 0; i < c->models && !next; i++)
			if (!c->model[i]->prepared)
				next = c->model[i];
		if (next) { /* once: if it fails now, the first query tries again */
			next->prepared = true;
			next->refs++;
		}
		pthread_mutex_unlock(&c->lock);
		if (next)
			hel_model_prepare(next);
		more = next != NULL;
		hel_model_release(next);
	}
}

static void *keeper(void *arg)
{
	hel_catalog *c = arg;
	struct timespec until;
	prepare_models(c);
	pthread_mutex_lock(&c->lock);
	while (!atomic_load(&c->stop)) {
		clock_gettime(CLOCK_MONOTONIC, &until);
		until.tv_sec += (time_t)c->settings->reload_seconds;
		while (!c->asked && !atomic_load(&c->stop) &&
		       pthread_cond_clockwait(&c->wake, &c->lock, CLOCK_MONOTONIC, &until) !=
			   ETIMEDOUT)
			;
		c->asked = false;
		pthread_mutex_unlock(&c->lock);
		if (!atomic_load(&c->stop)) {
			scan(c);
			prepare_models(c);
		}
		pthread_mutex_lock(&c->lock);
	}
	pthread_mutex_unlock(&c->lock);
	return NULL;
}

hel_status hel_catalog_open(hel_catalog **out, const hel_settings *settings, hel_budget *budget,
			    hel_counters *metrics, hel_pool *pool)
{
	hel_status st = HEL_OK;
	hel_catalog *c = NULL;
	char weights[WEIGHTS_PATH_MAX];
	TRY_ALLOC(c, hel_alloc(1, sizeof *c));
	*c =
	    (hel_catalog){.settings = settings, .budget = budget, .metrics = metrics, .pool = pool};
	pthread_mutex_init(&c->lock, NULL);
	pthread_cond_init(&c->wake, NULL);
	snprintf(weights, sizeof weights, "%s/" WEIGHTS_DIR, settings->data);
	if (hel_dir_make(weights) != HEL_OK)
		hel_log("error", "weights_uncached", "{s:s}", "reason", hel_error_detail());
	scan(c);
	remove_orphans(c);
	if (pthread_create(&c->keeper, NULL, keeper, c))
		FAIL(HEL_ENOMEM, "cannot start a thread");
	c->kept = true;
	*out = c;
	c = NULL;
done:
	hel_catalog_close(c);
	return st;
}

void hel_catalog_look(hel_catalog *c)
{
	pthread_mutex_lock(&c->lock);
	c->asked = true;
	pthread_cond_signal(&c->wake);
	pthread_mutex_unlock(&c->lock);
}

void hel_catalog_stop(hel_catalog *c)
{
	if (!c || !c->kept)
		return;
	atomic_store(&c->stop, true);
	hel_catalog_look(c);
	pthread_join(c->keeper, NULL);
	c->kept = false;
}

void hel_catalog_close(hel_catalog *c)
{
	if (!c)
		return;
	hel_catalog_stop(c);
	for (size_t i = 0; i < c->models; i++)
		hel_model_release(c->model[i]);
	hel_shares_clear(c);
	for (size_t i = 0; i < c->params_count; i++)
		hel_params_free(c->params[i]);
	pthread_cond_destroy(&c->wake);
	pthread_mutex_destroy(&c->lock);
	hel_free(c);
}

hel_status hel_catalog_all(hel_model ***out, size_t *count, hel_catalog *c)
{
	hel_status st = HEL_OK;
	pthread_mutex_lock(&c->lock);
	hel_model **all;
	TRY_ALLOC(all, hel_alloc(HEL_MAX(c->models, 1), sizeof(hel_model *)));
	for (size_t i = 0; i < c->models; i++) {
		all[i] = c->model[i];
		all[i]->refs++;
	}
	*out = all;
	*count = c->models;
done:
	pthread_mutex_unlock(&c->lock);
	return st;
}

size_t hel_catalog_loaded(hel_catalog *c)
{
	size_t loaded = 0;
	pthread_mutex_lock(&c->lock);
	for (size_t i = 0; i < c->models; i++)
		loaded += c->model[i]->server != NULL;
	pthread_mutex_unlock(&c->lock);
	return loaded;
}
