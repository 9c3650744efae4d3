#include "versions.h"
#include "base/container.h"
#include "catalog_inside.h"
#include "shares.h"
#include <sodium.h>

#define HASH_DIGITS_LEAST 8

/* --- names -------------------------------------------------------------------------------- */

/* NAME, or NAME@ with a label or first digits of a hash. */
typedef struct wanted {
	const char *name, *label;
	size_t base;
} wanted;

static wanted parse(const char *name)
{
	const size_t base = hel_version_base(name);
	return (wanted){name, name[base] ? name + base + 1 : NULL, base};
}

static bool is_of(const hel_model *m, const wanted *w)
{
	return hel_version_base(m->name) == w->base && memcmp(m->name, w->name, w->base) == 0;
}

static bool has_digits(const hel_model *m, const char *digits)
{
	char hex[2 * HEL_HASH_BYTES + 1];
	const size_t n = strlen(digits);
	sodium_bin2hex(hex, sizeof hex, m->manifest->id, HEL_HASH_BYTES);
	return n >= HASH_DIGITS_LEAST && n < sizeof hex && memcmp(hex, digits, n) == 0;
}

/* A label of digits is a label before it is a hash. */
static hel_model *labelled_locked(const hel_catalog *c, const wanted *w)
{
	hel_model *by_hash = NULL;
	for (size_t i = 0; i < c->models; i++) {
		hel_model *m = c->model[i];
		if (strcmp(m->name, w->name) == 0)
			return m;
		if (is_of(m, w) && has_digits(m, w->label))
			by_hash = m;
	}
	return by_hash;
}

/* --- shares ------------------------------------------------------------------------------- */

static const hel_shares *shares_locked(const hel_catalog *c, const wanted *w)
{
	const hel_shares *s = c->shares;
	while (s && (strlen(s->base) != w->base || memcmp(s->base, w->name, w->base) != 0))
		s = s->next;
	return s;
}

/* Of those that are in service, in percent. */
static unsigned total_locked(const hel_catalog *c, const hel_shares *s)
{
	unsigned total = 0;
	for (size_t i = 0; s && i < s->count; i++)
		total += hel_catalog_find_locked(c, s->version[i].name, NULL)
			     ? s->version[i].percent
			     : 0;
	return total;
}

static hel_model *newest_locked(const hel_catalog *c, const wanted *w)
{
	hel_model *newest = NULL;
	for (size_t i = 0; i < c->models; i++) {
		hel_model *m = c->model[i];
		if (!is_of(m, w))
			continue;
		if (!m->name[w->base])
			return m;
		if (!newest || strverscmp(m->name, newest->name) > 0)
			newest = m;
	}
	return newest;
}

/* A number of [0, 1) that stays a customer's: a version whose share grows keeps those it has. */
static double draw(const wanted *w, const char *customer)
{
	uint64_t x;
	uint8_t hash[crypto_generichash_BYTES_MIN];
	crypto_generichash_state h;
	crypto_generichash_init(&h, NULL, 0, sizeof hash);
	crypto_generichash_update(&h, (const uint8_t *)w->name, w->base);
	crypto_generichash_update(&h, (const uint8_t *)"", 1);
	crypto_generichash_update(&h, (const uint8_t *)customer, strlen(customer));
	crypto_generichash_final(&h, hash, sizeof hash);
	memcpy(&x, hash, sizeof x);
	return (double)(x >> 11) * 0x1p-53;
}

static hel_model *drawn_locked(const hel_catalog *c, const wanted *w, const char *customer)
{
	const hel_shares *s = shares_locked(c, w);
	double left = draw(w, customer) * total_locked(c, s);
	hel_model *last = NULL;
	for (size_t i = 0; s && i < s->count; i++) {
		hel_model *m = s->version[i].percent
				   ? hel_catalog_find_locked(c, s->version[i].name, NULL)
				   : NULL;
		if (m && left < s->version[i].percent)
			return m;
		left -= m ? s->version[i].percent : 0;
		last = m ? m : last;
	}
	return last ? last : newest_locked(c, w);
}

/* --- which one ---------------------------------------------------------------------------- */

static hel_model *counted(hel_model *m)
{
	if (m)
		m->refs++;
	return m;
}

hel_model *hel_version_find(hel_catalog *c, const char *name, const char *customer)
{
	const wanted w = parse(name);
	pthread_mutex_lock(&c->lock);
	hel_model *m = counted(w.label ? labelled_locked(c, &w) : drawn_locked(c, &w, customer));
	pthread_mutex_unlock(&c->lock);
	return m;
}

hel_model *hel_version_that(hel_catalog *c, const char *name,
			    bool (*fits)(const hel_model *m, void *arg), void *arg)
{
	const wanted w = parse(name);
	hel_model *found = NULL;
	pthread_mutex_lock(&c->lock);
	for (size_t i = 0; i < c->models && !found && !w.label; i++)
		if (is_of(c->model[i], &w) && fits(c->model[i], arg))
			found = counted(c->model[i]);
	pthread_mutex_unlock(&c->lock);
	return found;
}

static bool has_manifest(const hel_model *m, void *id)
{
	return memcmp(m->manifest->id, id, HEL_HASH_BYTES) == 0;
}

hel_model *hel_version_of_query(hel_catalog *c, const char *name, const uint8_t *query, size_t size)
{
	uint8_t id[HEL_HASH_BYTES];
	if (size < HEL_CONTAINER_OVERHEAD + HEL_HASH_BYTES)
		return NULL;
	/* behind the container's head; who it is from is checked when it runs */
	memcpy(id, query + HEL_CONTAINER_OVERHEAD - HEL_HASH_BYTES, sizeof id);
	if (!name[hel_version_base(name)])
		return hel_version_that(c, name, has_manifest, id);
	hel_model *m = hel_version_find(c, name, "");
	if (m && has_manifest(m, id))
		return m;
	hel_model_release(m);
	return NULL;
}

double hel_version_share(hel_catalog *c, const hel_model *m)
{
	double share = 0;
	const wanted w = {m->name, NULL, hel_version_base(m->name)};
	pthread_mutex_lock(&c->lock);
	const hel_shares *s = shares_locked(c, &w);
	const unsigned total = total_locked(c, s);
	for (size_t i = 0; total && i < s->count; i++)
		if (strcmp(s->version[i].name, m->name) == 0)
			share = s->version[i].percent / (double)total;
	if (!total)
		share = newest_locked(c, &w) == m;
	pthread_mutex_unlock(&c->lock);
	return share;
}
