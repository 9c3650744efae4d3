#include "verify_items.h"
#include "compile/side.h"
#include "model/samples.h"
#include "net/server/rank.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define TOP 10
/* As for single scores: what goes so far is no noise. */
#define FOREIGN_ERRORS 256
#define FOREIGN_SHARE 0x1p-5

/* One model, its two sides, and what is compared over all users. */
typedef struct comparison {
	hel_parties *p;
	const hel_dlrm *m;
	hel_catalogue *c;
	hel_side hidden, open;
	size_t users, items;
	double *clear, *encrypted; /* of one user, per item */
	double error, worst, tau, overlap, spread;
	double *ms;
} comparison;

static bool has_table(const hel_schema *s, const char *name)
{
	for (size_t i = 0; i < s->table_count; i++)
		if (strcmp(s->table[i].name, name) == 0)
			return true;
	return false;
}

static bool has_dense(const hel_schema *s, const char *name)
{
	for (size_t i = 0; i < s->dense_count; i++)
		if (strcmp(s->dense[i].name, name) == 0)
			return true;
	return false;
}

/* The columns that the client's manifest knows are hidden, all others public. */
static hel_status find_sides(comparison *x)
{
	hel_status st = HEL_OK;
	const hel_schema *s = x->m->schema, *told = x->p->client->schema;
	bool *column[4] = {NULL};
	for (size_t k = 0; k < 4; k++)
		TRY_ALLOC(column[k],
			  hel_alloc(HEL_MAX(s->dense_count, s->table_count) + 1, sizeof **column));
	for (size_t i = 0; i < s->dense_count; i++)
		column[2][i] = !(column[0][i] = has_dense(told, s->dense[i].name));
	for (size_t i = 0; i < s->table_count; i++)
		column[3][i] = !(column[1][i] = has_table(told, s->table[i].name));
	TRY(hel_side_new(&x->hidden, s, column[0], column[1], true));
	TRY(hel_side_new(&x->open, s, column[2], column[3], false));
	const hel_catalogue_head *h = hel_catalogue_head_of(x->c);
	if (h->dense != x->open.schema->dense_count || h->hots != hel_schema_hots(x->open.schema) ||
	    hel_schema_hots(x->hidden.schema) != hel_schema_hots(told))
		FAIL(HEL_EMODEL, "the catalogue's items are not of this model's columns");
done:
	for (size_t k = 0; k < 4; k++)
		hel_free(column[k]);
	return st;
}

/* All pairs of one user, in the clear. */
static hel_status score_clear(comparison *x, const double *own_dense, const uint32_t *own_hot)
{
	hel_status st = HEL_OK;
	const hel_schema *s = x->m->schema;
	double *dense = NULL, *item_dense = NULL;
	uint32_t *hot = NULL, *item_hot = NULL;
	TRY_ALLOC(dense, hel_alloc(s->dense_count + 1, sizeof *dense));
	TRY_ALLOC(item_dense, hel_alloc(s->dense_count + 1, sizeof *dense));
	TRY_ALLOC(hot, hel_alloc(hel_schema_hots(s) + 1, sizeof *hot));
	TRY_ALLOC(item_hot, hel_alloc(hel_schema_hots(s) + 1, sizeof *hot));
	hel_side_put(&x->hidden, s, dense, hot, own_dense, own_hot);
	for (size_t i = 0; i < x->items; i++) {
		hel_catalogue_record(x->c, i, item_dense, item_hot);
		hel_side_put(&x->open, s, dense, hot, item_dense, item_hot);
		TRY(hel_dlrm_logit(&x->clear[i], x->m, dense, hot));
	}
done:
	hel_free(dense);
	hel_free(item_dense);
	hel_free(hot);
	hel_free(item_hot);
	return st;
}

static hel_status score_encrypted(comparison *x, const hel_records *records, size_t row)
{
	hel_status st = HEL_OK;
	hel_writer query = {0}, result = {0};
	hel_ranking *r = NULL;
	hel_infer_times t = {0};
	TRY(hel_client_encrypt(&query, x->p->contributor ? x->p->contributor : x->p->client,
			       records, row, 1));
	TRY(hel_server_rank(&result, x->p->evaluation, x->c, NULL, query.bytes, query.size, &t,
			    NULL));
	TRY(hel_client_rank(&r, x->p->client, result.bytes, result.size));
	const size_t ranked = hel_ranking_count(r);
	if (ranked != x->items)
		FAIL(HEL_EMODEL, "%zu items were ranked, the catalogue has %zu", ranked, x->items);
	for (size_t i = 0; i < ranked; i++) {
		const hel_ranked_item *item = hel_ranking_item(r, i);
		x->encrypted[hel_catalogue_find(x->c, item->id)] = item->logit;
	}
	x->ms[row] = 1e3 * (t.read + t.evaluate + t.write);
	x->p->query_bytes = query.size;
	x->p->result_bytes = result.size;
done:
	hel_ranking_free(r);
	hel_writer_clear(&query);
	hel_writer_clear(&result);
	return st;
}

static int falling(const void *a, const void *b, void *score)
{
	const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	const double *s = score;
	return s[x] != s[y] ? (s[x] > s[y] ? -1 : 1) : (x > y) - (x < y);
}

static void order(uint32_t *out, double *score, size_t count)
{
	for (size_t i = 0; i < count; i++)
		out[i] = (uint32_t)i;
	qsort_r(out, count, sizeof *out, falling, score);
}

/* How many pairs of v stand the wrong way round; v is sorted, with as much room behind it. */
static double inversions(uint32_t *v, uint32_t *room, size_t count)
{
	if (count < 2)
		return 0;
	const size_t half = count / 2;
	double found = inversions(v, room, half) + inversions(v + half, room, count - half);
	for (size_t i = 0, k = half, at = 0; at < count; at++) {
		const bool left = k == count || (i < half && v[i] <= v[k]);
		found += left ? 0 : (double)(half - i);
		room[at] = left ? v[i++] : v[k++];
	}
	memcpy(v, room, count * sizeof *v);
	return found;
}

/* Kendall's tau of both orders, over pairs that the model tells apart, and how many of the first
 * ten are the same. */
static hel_status compare_orders(comparison *x)
{
	hel_status st = HEL_OK;
	const size_t n = x->items, top = HEL_MIN(n, (size_t)TOP);
	uint32_t *clear = NULL, *encrypted, *rank, *room;
	size_t same = 0;
	double pairs = (double)n * (double)(n - 1) / 2;
	TRY_ALLOC(clear, hel_alloc(4 * n, sizeof *clear));
	encrypted = clear + n;
	rank = encrypted + n;
	room = rank + n;
	order(clear, x->clear, n);
	order(encrypted, x->encrypted, n);
	for (size_t i = 0; i < top; i++)
		for (size_t k = 0; k < top; k++)
			same += clear[i] == encrypted[k];
	for (size_t i = 0, first = 0; i < n; i++) {
		first = i && x->clear[clear[i]] == x->clear[clear[i - 1]] ? first : i;
		rank[clear[i]] = (uint32_t)first;
		pairs -= (double)(i - first);
	}
	for (size_t i = 0; i < n; i++)
		clear[i] = rank[encrypted[i]];
	x->tau += (pairs > 0 ? 1 - 2 * inversions(clear, room, n) / pairs : 1) / (double)x->users;
	x->overlap += (double)same / (double)top / (double)x->users;
done:
	hel_free(clear);
	return st;
}

static hel_status compare_scores(comparison *x, size_t row)
{
	hel_status st = HEL_OK;
	const hel_manifest *m = hel_client_manifest(x->p->client);
	const double most =
	    fmax(FOREIGN_ERRORS * hel_manifest_error(m) * m->unit, FOREIGN_SHARE * m->spread);
	double sum = 0, squares = 0;
	const double n = (double)x->items;
	for (size_t i = 0; i < x->items; i++) {
		const double error = fabs(x->encrypted[i] - x->clear[i]);
		x->error += error / n / (double)x->users;
		x->worst = fmax(x->worst, error);
		sum += x->clear[i] / n;
		squares += x->clear[i] * x->clear[i] / n;
		if (!(error <= most))
			FAIL(HEL_EMODEL,
			     "row %zu, item %s: encrypted %.4g, clear %.4g: the catalogue was not "
			     "made from this model",
			     row + 1, hel_catalogue_id(x->c, i), x->encrypted[i], x->clear[i]);
	}
	x->spread += sqrt(fmax(squares - sum * sum, 0)) / (double)x->users;
done:
	return st;
}

static int ascending(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

static void report(const hel_args *args, json_t *out, comparison *x)
{
	const hel_manifest *m = hel_client_manifest(x->p->client);
	const double bits = x->error > 0 ? log2(m->spread / x->error) : 60;
	qsort(x->ms, x->users, sizeof *x->ms, ascending);
	const double median = x->ms[x->users / 2];
	hel_say(args,
		"%zu users, %zu items each, spread of scores %.3g (of one user's %.3g)\n"
		"%.2f bits, largest error %.2g; predicted %.2f bits\n"
		"Kendall's tau %.6f, of the first ten %.1f are the same\n"
		"server: median %.2f ms on %u thread%s; query %.1f kB, result %.1f kB, keys %.2f "
		"MB, peak memory %.1f MB\n",
		x->users, x->items, m->spread, x->spread, bits, x->worst, m->bits, x->tau,
		TOP * x->overlap, median, args->threads, args->threads > 1 ? "s" : "",
		(double)x->p->query_bytes / 1e3, (double)x->p->result_bytes / 1e3,
		(double)x->p->keys_bytes / 1e6, (double)hel_peak_rss() / 1e6);
	json_object_update_new(
	    out,
	    json_pack("{s:I, s:I, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:i, s:I, s:I, s:I, s:I, "
		      "s:f}",
		      "rows", (json_int_t)x->users, "items", (json_int_t)x->items, "bits", bits,
		      "predicted_bits", m->bits, "max_error", x->worst, "mean_error", x->error,
		      "tau", x->tau, "top10_overlap", x->overlap, "server_ms_median", median,
		      "threads", (int)args->threads, "query_bytes", (json_int_t)x->p->query_bytes,
		      "result_bytes", (json_int_t)x->p->result_bytes, "evaluation_keys_bytes",
		      (json_int_t)x->p->keys_bytes, "peak_rss_bytes", (json_int_t)hel_peak_rss(),
		      "spread", m->spread));
}

hel_status hel_verify_items(const hel_args *args, json_t *out, hel_parties *p, const hel_dlrm *m)
{
	hel_status st = HEL_OK;
	comparison x = {.p = p, .m = m};
	hel_records records = {0};
	hel_samples samples = {0};
	hel_progress progress;
	uint64_t rows;
	size_t paths;
	const char *const *path = hel_arg_all(args, "data", &paths);
	TRY(hel_catalogue_open(&x.c, hel_arg(args, "catalogue"), hel_client_manifest(p->client),
			       hel_client_params(p->client), args->pool));
	TRY(find_sides(&x));
	TRY(hel_records_read(&records, hel_client_dataset(p->client), path, paths));
	TRY(hel_arg_number(&rows, args, "rows", 1, records.count, records.count));
	TRY(hel_samples_new(&samples, x.hidden.schema, &records, NULL, rows,
			    HEL_UNKNOWN_IS_MISSING));
	x.users = rows;
	x.items = hel_catalogue_head_of(x.c)->items;
	TRY_ALLOC(x.clear, hel_alloc(x.items, sizeof *x.clear));
	TRY_ALLOC(x.encrypted, hel_alloc(x.items, sizeof *x.encrypted));
	TRY_ALLOC(x.ms, hel_alloc(x.users, sizeof *x.ms));
	hel_progress_begin(&progress, "verifying");
	for (size_t i = 0; i < rows; i++) {
		TRY(score_clear(&x, samples.value + i * samples.dense,
				samples.hot + i * samples.hots));
		TRY(score_encrypted(&x, &records, i));
		TRY(compare_scores(&x, i));
		TRY(compare_orders(&x));
		hel_progress_step(&progress, (double)(i + 1) / (double)rows);
	}
	hel_progress_end(&progress);
	report(args, out, &x);
done:
	hel_side_clear(&x.hidden);
	hel_side_clear(&x.open);
	hel_catalogue_free(x.c);
	hel_free(x.clear);
	hel_free(x.encrypted);
	hel_free(x.ms);
	hel_samples_clear(&samples);
	hel_records_clear(&records);
	return st;
}
