#include "service.h"
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define MODELS_MAX 1024

/* A file that was refused is not read again until it changes. */
typedef struct refusal {
	char name[HEL_ROUTE_NAME_MAX + 1];
	struct timespec changed;
	uint64_t inode, bytes;
} refusal;

struct hel_catalog {
	const hel_settings *settings;
	hel_budget *budget;
	hel_counters *metrics;
	hel_pool *pool;
	pthread_mutex_t lock; /* of all below and of models' counts */
	hel_model *model[MODELS_MAX];
	size_t models;
	hel_params *params[MODELS_MAX]; /* of any model ever, until the end: key sets share them */
	size_t params_count;
	refusal refused[MODELS_MAX];
	size_t refusals;
};

static void model_free(hel_model *m)
{
	if (!m)
		return;
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

static bool is_name(const char *name)
{
	const size_t size = strlen(name);
	return size && size <= HEL_ROUTE_NAME_MAX && *name != '.' &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") ==
		   size;
}

/* Reads and checks a whole file, but keeps only what describes it: weights are encoded when the
 * first query comes. */
static hel_status model_new(hel_model **out, hel_catalog *c, const char *name, const char *path,
			    const struct stat *info)
{
	hel_status st = HEL_OK;
	hel_model *m = NULL;
	uint8_t *bytes = NULL;
	size_t size;
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
	TRY(hel_file_read(path, HEL_PROGRAM_MAX, &bytes, &size));
	TRY(hel_program_read(&p, bytes, size));
	TRY(shared_params(&m->params, c, &p->manifest->params));
	for (uint32_t i = 0; i < p->manifest->inputs; i++)
		if (p->manifest->input[i].level > m->params->spec.levels)
			FAIL(HEL_EFORMAT, "input %u lies above all levels", i);
	TRY(hel_ckks_run_bytes(&m->run_bytes, p, m->params,
			       (unsigned)c->settings->evaluation_threads));
	TRY(hel_ckks_weight_bytes(&m->weight_bytes, p, m->params));
	m->weight_bytes += size; /* the program itself */
	m->query_bytes = query_bytes(p->manifest, m->params, HEL_CT_SEEDED);
	m->contributed_bytes = query_bytes(p->manifest, m->params, HEL_CT_FULL);
	m->result_bytes = result_bytes(p->manifest, m->params);
	TRY(hel_manifest_write(&w, p->manifest));
	TRY_ALLOC(m->manifest_bytes, hel_alloc(w.size, 1));
	memcpy(m->manifest_bytes, w.bytes, w.size);
	m->manifest_size = w.size;
	m->manifest = p->manifest;
	p->manifest = NULL;
	*out = m;
	m = NULL;
done:
	hel_writer_clear(&w);
	hel_program_free(p);
	hel_free(bytes);
	model_free(m);
	return st;
}

static bool same_file(const struct stat *info, struct timespec changed, uint64_t inode,
		      uint64_t bytes)
{
	return info->st_mtim.tv_sec == changed.tv_sec && info->st_mtim.tv_nsec == changed.tv_nsec &&
	       info->st_ino == inode && (uint64_t)info->st_size == bytes;
}

static hel_model *find_locked(const hel_catalog *c, const char *name, size_t *index)
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
	hel_model *m = find_locked(c, name, NULL);
	if (m)
		m->refs++;
	pthread_mutex_unlock(&c->lock);
	return m;
}

static refusal *refusal_of(hel_catalog *c, const char *name)
{
	for (size_t i = 0; i < c->refusals; i++)
		if (strcmp(c->refused[i].name, name) == 0)
			return &c->refused[i];
	return NULL;
}

static void refuse(hel_catalog *c, const char *name, const char *path, const struct stat *info)
{
	refusal *r = refusal_of(c, name);
	if (!r && c->refusals < MODELS_MAX)
		r = &c->refused[c->refusals++];
	if (r) {
		*r = (refusal){.changed = info->st_mtim,
			       .inode = info->st_ino,
			       .bytes = (uint64_t)info->st_size};
		snprintf(r->name, sizeof r->name, "%s", name);
	}
	hel_count(&c->metrics->model_refusals, 1);
	hel_model *old = hel_catalog_find(c, name);
	hel_log("error", "model_refused", "{s:s, s:s, s:s, s:b}", "model", name, "file", path,
		"reason", hel_error_detail(), "old_version_stays", old != NULL);
	hel_model_release(old);
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
	hel_model *old = find_locked(c, m->name, &i);
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

/* One entry of the directory, NAME.helm or NAME/program.helm; *name is "" for others. */
static void scan_entry(hel_catalog *c, const char *entry, char name[HEL_ROUTE_NAME_MAX + 1])
{
	char path[HEL_SETTING_TEXT_MAX + 600];
	struct stat info;
	const char *dot = strrchr(entry, '.');
	*name = 0;
	if (strlen(entry) > HEL_ROUTE_NAME_MAX)
		return;
	snprintf(path, sizeof path, "%s/%s/program.helm", c->settings->models, entry);
	if (stat(path, &info) == 0) {
		snprintf(name, HEL_ROUTE_NAME_MAX + 1, "%s", entry);
	} else if (dot && strcmp(dot, ".helm") == 0) {
		snprintf(path, sizeof path, "%s/%s", c->settings->models, entry);
		snprintf(name, HEL_ROUTE_NAME_MAX + 1, "%.*s", (int)(dot - entry), entry);
	}
	if (!is_name(name) || stat(path, &info) || !S_ISREG(info.st_mode)) {
		*name = 0;
		return;
	}
	hel_model *old = hel_catalog_find(c, name), *new = NULL;
	const refusal *r = refusal_of(c, name);
	if ((old && same_file(&info, old->changed, old->inode, old->bytes)) ||
	    (r && same_file(&info, r->changed, r->inode, r->bytes)))
		goto done;
	if (model_new(&new, c, name, path, &info) != HEL_OK) {
		refuse(c, name, path, &info);
		goto done;
	}
	/* one that is in use is replaced by one that is ready */
	const hel_server *unused;
	pthread_mutex_lock(&c->lock);
	const bool in_use = old && old->server;
	pthread_mutex_unlock(&c->lock);
	const hel_status ready = in_use ? hel_model_ready(&unused, new) : HEL_OK;
	if (ready != HEL_OK && ready != HEL_EBUSY) { /* without memory now: when a query comes */
		refuse(c, name, path, &info);
		model_free(new);
		goto done;
	}
	put_in_service(c, new);
done:
	hel_model_release(old);
}

void hel_catalog_scan(hel_catalog *c)
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
		size_t k = 0;
		while (k < count && strcmp(seen[k], c->model[i]->name) != 0)
			k++;
		if (k < count) {
			i++;
			continue;
		}
		hel_log("info", "model_removed", "{s:s}", "model", c->model[i]->name);
		pthread_mutex_lock(&c->lock);
		hel_model *gone = c->model[i];
		c->model[i] = c->model[--c->models];
		pthread_mutex_unlock(&c->lock);
		hel_model_release(gone);
	}
	hel_free(seen);
}

hel_status hel_catalog_open(hel_catalog **out, const hel_settings *settings, hel_budget *budget,
			    hel_counters *metrics, hel_pool *pool)
{
	hel_status st = HEL_OK;
	hel_catalog *c = NULL;
	TRY_ALLOC(c, hel_alloc(1, sizeof *c));
	*c =
	    (hel_catalog){.settings = settings, .budget = budget, .metrics = metrics, .pool = pool};
	pthread_mutex_init(&c->lock, NULL);
	hel_catalog_scan(c);
	*out = c;
done:
	return st;
}

void hel_catalog_close(hel_catalog *c)
{
	if (!c)
		return;
	for (size_t i = 0; i < c->models; i++)
		hel_model_release(c->model[i]);
	for (size_t i = 0; i < c->params_count; i++)
		hel_params_free(c->params[i]);
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

/* The loaded model that was used longest ago and that nobody uses now loses its weights. */
static bool unload_one(hel_catalog *c, const hel_model *but)
{
	hel_model *oldest = NULL;
	hel_server *weights = NULL;
	hel_scratch **idle = NULL;
	size_t idle_count = 0;
	pthread_mutex_lock(&c->lock);
	for (size_t i = 0; i < c->models; i++) {
		hel_model *m = c->model[i];
		if (m != but && m->server && m->refs == 1 && (!oldest || m->used < oldest->used))
			oldest = m;
	}
	if (oldest) {
		weights = oldest->server;
		oldest->server = NULL;
		idle = oldest->idle;
		idle_count = oldest->idle_count;
		oldest->idle = NULL;
		oldest->idle_count = 0;
		hel_budget_give(c->budget, oldest->weight_bytes);
	}
	pthread_mutex_unlock(&c->lock);
	if (weights)
		hel_log("info", "model_unloaded", "{s:s}", "model", oldest->name);
	hel_server_free(weights);
	for (size_t i = 0; i < idle_count; i++)
		hel_scratch_free(idle[i]);
	hel_free(idle);
	return weights != NULL;
}

static hel_status load(hel_server **out, hel_model *m)
{
	hel_status st = HEL_OK;
	hel_catalog *c = m->catalog;
	uint8_t *bytes = NULL;
	size_t size;
	hel_server *server = NULL;
	TRY(hel_file_read(m->path, HEL_PROGRAM_MAX, &bytes, &size));
	const hel_server_options o = {.params = m->params};
	TRY(hel_server_open(&server, bytes, size, c->pool, &o));
	if (memcmp(hel_server_program(server)->manifest->id, m->manifest->id, HEL_HASH_BYTES) != 0)
		FAIL(HEL_EBUSY, "the model '%s' is just being replaced", m->name);
	*out = server;
	server = NULL;
done:
	hel_free(bytes);
	hel_server_free(server);
	return st;
}

hel_status hel_model_ready(const hel_server **out, hel_model *m)
{
	hel_status st = HEL_OK;
	hel_catalog *c = m->catalog;
	hel_server *server = NULL;
	bool reserved = false;
	pthread_mutex_lock(&m->loading);
	pthread_mutex_lock(&c->lock);
	m->used = hel_clock();
	server = m->server; /* stays while the model is counted: unload_one leaves those alone */
	pthread_mutex_unlock(&c->lock);
	if (server) {
		*out = server;
		goto done;
	}
	while (!(reserved = hel_budget_take(c->budget, m->weight_bytes)) && unload_one(c, m))
		;
	if (!reserved)
		FAIL(HEL_EBUSY, "no memory for the weights of '%s' now", m->name);
	TRY(load(&server, m));
	pthread_mutex_lock(&c->lock);
	m->server = server;
	pthread_mutex_unlock(&c->lock);
	hel_count(&c->metrics->model_loads, 1);
	*out = server;
done:
	if (st != HEL_OK && reserved)
		hel_budget_give(c->budget, m->weight_bytes);
	pthread_mutex_unlock(&m->loading);
	return st;
}

hel_scratch *hel_model_scratch(hel_model *m)
{
	hel_scratch *scratch = NULL;
	pthread_mutex_lock(&m->catalog->lock);
	if (m->idle_count)
		scratch = m->idle[--m->idle_count];
	pthread_mutex_unlock(&m->catalog->lock);
	return scratch ? scratch : hel_scratch_new();
}

void hel_model_done(hel_model *m, hel_scratch *scratch, double seconds)
{
	pthread_mutex_lock(&m->catalog->lock);
	if (!m->idle)
		m->idle = hel_alloc((size_t)m->catalog->settings->workers, sizeof(hel_scratch *));
	if (scratch && m->idle && m->idle_count < m->catalog->settings->workers) {
		m->idle[m->idle_count++] = scratch;
		scratch = NULL;
	}
	if (seconds > 0)
		m->seconds = m->seconds > 0 ? 0.8 * (double)m->seconds + 0.2 * seconds : seconds;
	pthread_mutex_unlock(&m->catalog->lock);
	hel_scratch_free(scratch);
}
