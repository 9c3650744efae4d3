/* Training on rows that need not fit into memory, with early stopping and checkpoints.
 *
 * Blocks of the cache are shuffled in every epoch; windows of consecutive ones are loaded, and the
 * rows of a window shuffled. What happens in step n follows from the configuration and the seed, so
 * that a checkpoint needs the optimiser's state and the number n only. */
#include "fit.h"
#include "accuracy.h"
#include "ensemble.h"
#include "train.h"
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <sodium.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define WINDOW_BLOCKS ((size_t)16) /* of HEL_BLOCK_ROWS rows */
#define CHECKPOINT_VERSION 2
#define CHECKPOINT_PATH 4096
#define BLOCK_STREAM ((uint64_t)1 << 32) /* of the seed's generator: epochs, windows */
#define WINDOW_STREAM ((uint64_t)1 << 48)

/* What a checkpoint holds beside the trainer's state and the best weights. */
typedef struct progress_state {
	uint64_t judged, stale; /* judgements; those since the best one */
	double best_auc, loss_sum, loss_count;
	uint64_t best_step, stopped;
} progress_state;

/* Members in training side by side: one line of progress for all. */
typedef struct fit_crew {
	hel_dlrm *m;
	const hel_cache *cache;
	const hel_split *split;
	const hel_fit_options *o;
	hel_fit_report *report; /* [member] */
	double *done;		/* [member]: shares */
	hel_progress progress;
} fit_crew;

typedef struct fit {
	fit_crew *crew; /* NULL: alone */
	size_t member;
	hel_dlrm *m;
	const hel_cache *cache;
	const hel_split *split;
	const hel_fit_options *o;
	hel_trainer *trainer;
	hel_listed *listed;
	size_t blocks, windows; /* windows of one epoch */
	uint32_t *rows;		/* [block]: rows of the training part */
	size_t *order;		/* blocks in this epoch's order */
	uint32_t *swap;
	uint64_t total, last; /* steps that the rate is planned for; that are taken */
	progress_state state;
	float *best; /* weights, once judged */
	uint8_t identity[HEL_HASH_BYTES];
	double saved, auc; /* when; the latest */
	hel_progress progress;
	hel_fit_report *report;
} fit;

static void seeded(hel_prng *g, const fit *f, uint64_t stream)
{
	uint8_t seed[HEL_SEED_BYTES] = {0};
	memcpy(seed, &f->m->config.training.seed, sizeof f->m->config.training.seed);
	hel_prng_init(g, seed, stream);
}

/* --- order of the rows -------------------------------------------------------------------- */

static void order_blocks(fit *f, uint32_t epoch)
{
	hel_prng g;
	seeded(&g, f, BLOCK_STREAM + epoch);
	for (size_t i = 0; i < f->blocks; i++)
		f->swap[i] = (uint32_t)i;
	hel_shuffle(f->swap, f->blocks, &g);
	for (size_t i = 0; i < f->blocks; i++)
		f->order[i] = f->swap[i];
}

static size_t window_blocks(const fit *f, size_t window)
{
	return HEL_MIN(WINDOW_BLOCKS, f->blocks - window * WINDOW_BLOCKS);
}

static uint64_t window_batches(const fit *f, size_t window)
{
	uint64_t rows = 0;
	for (size_t i = 0; i < window_blocks(f, window); i++)
		rows += f->rows[f->order[window * WINDOW_BLOCKS + i]];
	return (rows + f->m->config.training.batch - 1) / f->m->config.training.batch;
}

static void count_block(void *arg, size_t block)
{
	fit *f = arg;
	const uint64_t begin = (uint64_t)block * HEL_BLOCK_ROWS,
		       end = HEL_MIN(begin + HEL_BLOCK_ROWS, hel_cache_rows(f->cache));
	for (uint64_t row = begin; row < end; row++)
		f->rows[block] += hel_split_of(f->split, row) == HEL_TRAIN;
}

/* --- checkpoints ---------------------------------------------------------------------------- */

static hel_status identify(fit *f)
{
	hel_status st = HEL_OK;
	hel_writer w = {0};
	char *config = NULL, *schema = NULL;
	TRY(hel_dlrm_config_to_json(&config, &f->m->config));
	TRY(hel_schema_to_json(&schema, f->m->schema));
	hel_write_u32(&w, CHECKPOINT_VERSION);
	hel_write_text(&w, config);
	hel_write_text(&w, schema);
	hel_write_bytes(&w, hel_cache_stamp(f->cache), HEL_HASH_BYTES);
	hel_write_u64(&w, f->split->seed);
	hel_write_u32(&w, f->split->test);
	hel_write_f64(&w, f->split->validation);
	TRY(w.status);
	hel_hash(f->identity, w.bytes, w.size);
done:
	hel_writer_clear(&w);
	hel_free(config);
	hel_free(schema);
	return st;
}

static hel_status write_part(void *arg, void *bytes, size_t size)
{
	return hel_stream_write(arg, bytes, size);
}

static hel_status save(fit *f)
{
	hel_status st = HEL_OK;
	hel_stream *s = NULL;
	uint8_t hash[HEL_HASH_BYTES];
	uint64_t judged = f->best != NULL;
	TRY(hel_stream_new(&s, f->o->checkpoint, 0600));
	TRY(hel_stream_write(s, f->identity, sizeof f->identity));
	TRY(hel_stream_write(s, &judged, sizeof judged));
	TRY(hel_stream_write(s, &f->state, sizeof f->state));
	TRY(hel_trainer_state(f->trainer, write_part, s));
	if (judged)
		TRY(hel_stream_write(s, f->best, f->m->parameters * sizeof *f->best));
	hel_stream_hash(s, hash);
	TRY(hel_stream_write(s, hash, sizeof hash));
	TRY(hel_stream_finish(s, NULL, 0));
	f->saved = hel_clock();
done:
	hel_stream_free(s);
	return st;
}

typedef struct loader {
	int fd;
	const char *path;
	crypto_generichash_state hash;
} loader;

static hel_status read_part(void *arg, void *bytes, size_t size)
{
	loader *l = arg;
	for (uint8_t *p = bytes; size;) {
		const ssize_t n = read(l->fd, p, size);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return hel_fail(n ? HEL_EIO : HEL_ETRUNC, "cannot read %s: %s", l->path,
					n ? strerror(errno) : "it ends too early");
		crypto_generichash_update(&l->hash, p, (size_t)n);
		p += n;
		size -= (size_t)n;
	}
	return HEL_OK;
}

static hel_status load(fit *f)
{
	hel_status st = HEL_OK;
	loader l = {.path = f->o->checkpoint};
	uint8_t identity[HEL_HASH_BYTES], found[HEL_HASH_BYTES], hash[HEL_HASH_BYTES];
	uint64_t judged;
	struct stat info;
	crypto_generichash_init(&l.hash, NULL, 0, HEL_HASH_BYTES);
	l.fd = open(l.path, O_RDONLY | O_CLOEXEC);
	if (l.fd < 0)
		FAIL(HEL_EIO, "nothing to resume: cannot open %s: %s", l.path, strerror(errno));
	if (fstat(l.fd, &info) == 0 && info.st_size == 0)
		goto done; /* hel_fit_begin's: killed before the first checkpoint */
	TRY(read_part(&l, identity, sizeof identity));
	if (memcmp(identity, f->identity, sizeof identity) != 0)
		FAIL(HEL_EMODEL,
		     "%s belongs to a training with other data, configuration or version; start "
		     "anew without --resume",
		     l.path);
	TRY(read_part(&l, &judged, sizeof judged));
	TRY(read_part(&l, &f->state, sizeof f->state));
	TRY(hel_trainer_state(f->trainer, read_part, &l));
	if (judged) {
		TRY_ALLOC(f->best, hel_alloc(f->m->parameters, sizeof *f->best));
		TRY(read_part(&l, f->best, f->m->parameters * sizeof *f->best));
	}
	crypto_generichash_final(&l.hash, hash, sizeof hash);
	TRY(read_part(&l, found, sizeof found));
	if (memcmp(found, hash, sizeof hash) != 0 || !hel_trainer_sound(f->trainer))
		FAIL(HEL_EHASH, "%s is damaged: its checksum differs", l.path);
	f->report->resumed = hel_trainer_number(f->trainer);
done:
	if (l.fd >= 0)
		close(l.fd);
	return st;
}

/* --- judging -------------------------------------------------------------------------------- */

/* Keeps the weights when they are the best so far; counts judgements without progress. */
static hel_status judge(fit *f)
{
	hel_status st = HEL_OK;
	hel_metrics metrics;
	hel_trainer_settle(f->trainer);
	TRY(hel_metrics_of_part(&metrics, NULL, f->m, f->cache, f->split, HEL_VALIDATION,
				f->o->pool));
	if (!isfinite(metrics.auc))
		FAIL(HEL_EDATA, "the validation part has one class only: make it larger");
	f->auc = metrics.auc;
	f->state.judged++;
	if (!f->best || metrics.auc > f->state.best_auc) {
		if (!f->best)
			TRY_ALLOC(f->best, hel_alloc(f->m->parameters, sizeof *f->best));
		memcpy(f->best, f->m->parameter, f->m->parameters * sizeof *f->best);
		f->state.best_auc = metrics.auc;
		f->state.best_step = hel_trainer_number(f->trainer);
		f->state.stale = 0;
	} else
		f->state.stopped = ++f->state.stale >= f->m->config.training.patience;
done:
	return st;
}

/* --- the loop --------------------------------------------------------------------------------- */

static void show_crew(const fit *f, double share, const char *member)
{
	char note[128];
	double all = 0;
	const uint32_t members = f->m->config.members;
	snprintf(note, sizeof note, "member %zu: %s", f->member, member);
	__atomic_store(&f->crew->done[f->member], &share, __ATOMIC_RELAXED);
	for (uint32_t k = 0; k < members; k++) {
		double one;
		__atomic_load(&f->crew->done[k], &one, __ATOMIC_RELAXED);
		all += one / members;
	}
	hel_progress_note(&f->crew->progress, all, note);
}

static void show(fit *f, double loss)
{
	char note[96], auc[32] = "";
	if (f->o->quiet)
		return;
	/* of this run: what was done before it took none of its time */
	const uint64_t done = hel_trainer_number(f->trainer) - f->report->resumed,
		       all = f->total - f->report->resumed;
	const double seconds = hel_clock() - f->progress.start;
	if (f->auc > 0)
		snprintf(auc, sizeof auc, ", AUC %.4f", f->auc);
	snprintf(note, sizeof note, "%.0f rows/s, loss %.4f%s",
		 (double)f->report->rows / fmax(seconds, 1e-3), loss, auc);
	const double share = (double)done / (double)all;
	if (f->crew)
		show_crew(f, share, note);
	else
		hel_progress_note(&f->progress, share, note);
}

static hel_status after_step(fit *f, double loss, size_t rows)
{
	hel_status st = HEL_OK;
	const hel_training *c = &f->m->config.training;
	const uint64_t done = hel_trainer_number(f->trainer);
	const uint64_t every = HEL_MAX(f->total / ((uint64_t)c->epochs * c->evaluations), 1u);
	f->report->rows += rows;
	f->state.loss_sum += loss;
	f->state.loss_count++;
	if (done % 16 == 0)
		show(f, f->state.loss_sum / f->state.loss_count);
	if (f->split->validation > 0 && (done % every == 0 || done == f->total))
		TRY(judge(f));
	if (f->o->checkpoint && hel_clock() - f->saved >= f->o->interval)
		TRY(save(f));
done:
	return st;
}

static hel_status run_window(fit *f, uint32_t epoch, size_t window, uint64_t skip)
{
	hel_status st = HEL_OK;
	hel_samples s = {0};
	uint32_t *order = NULL;
	hel_prng g;
	const size_t batch = f->m->config.training.batch;
	TRY(hel_samples_load(&s, f->m->schema, f->cache, f->listed, f->split, HEL_TRAIN,
			     f->order + window * WINDOW_BLOCKS, window_blocks(f, window),
			     f->o->pool));
	TRY_ALLOC(order, hel_alloc(s.count, sizeof *order));
	for (size_t i = 0; i < s.count; i++)
		order[i] = (uint32_t)i;
	seeded(&g, f, WINDOW_STREAM + (uint64_t)epoch * f->windows + window);
	hel_shuffle(order, s.count, &g);
	for (size_t first = (size_t)skip * batch; first < s.count && !f->state.stopped;
	     first += batch) {
		const size_t count = HEL_MIN(batch, s.count - first);
		double loss;
		if (hel_trainer_number(f->trainer) >= f->last) {
			f->state.stopped = true;
			break;
		}
		TRY(hel_trainer_step(f->trainer, &s, order + first, count, &loss));
		TRY(after_step(f, loss, count));
	}
done:
	hel_samples_clear(&s);
	hel_free(order);
	return st;
}

static hel_status run_epochs(fit *f)
{
	hel_status st = HEL_OK;
	uint64_t number = 0;
	for (uint32_t epoch = 0; epoch < f->m->config.training.epochs; epoch++) {
		order_blocks(f, epoch);
		for (size_t w = 0; w < f->windows && !f->state.stopped; w++) {
			const uint64_t batches = window_batches(f, w),
				       done = hel_trainer_number(f->trainer);
			if (number == done) /* a new epoch's mean starts with its first step */
				f->state.loss_sum = w ? f->state.loss_sum : 0,
				f->state.loss_count = w ? f->state.loss_count : 0;
			if (number + batches > done)
				TRY(run_window(f, epoch, w, done - number));
			number += batches;
		}
	}
done:
	return st;
}

static hel_status prepare(fit *f)
{
	hel_status st = HEL_OK;
	uint64_t rows = 0;
	f->blocks = hel_cache_blocks(f->cache);
	f->windows = (f->blocks + WINDOW_BLOCKS - 1) / WINDOW_BLOCKS;
	TRY_ALLOC(f->rows, hel_alloc(2 * f->blocks, sizeof *f->rows));
	f->swap = f->rows + f->blocks;
	TRY_ALLOC(f->order, hel_alloc(f->blocks, sizeof *f->order));
	hel_pool_for(f->o->pool, f->blocks, count_block, f);
	for (size_t i = 0; i < f->blocks; i++)
		rows += f->rows[i];
	if (!rows)
		FAIL(HEL_EINVAL, "nothing to train on");
	for (uint32_t epoch = 0; epoch < f->m->config.training.epochs; epoch++) {
		order_blocks(f, epoch);
		for (size_t w = 0; w < f->windows; w++)
			f->total += window_batches(f, w);
	}
	f->last = f->o->share > 0 ? (uint64_t)llround(f->o->share * (double)f->total) : f->total;
	TRY(hel_listed_new(&f->listed, f->m->schema, f->cache));
	TRY(hel_trainer_new(&f->trainer, f->m, f->total, f->o->pool));
	TRY(identify(f));
done:
	return st;
}

static hel_status fit_one(hel_fit_report *report, hel_dlrm *m, const hel_cache *cache,
			  const hel_split *split, const hel_fit_options *o, fit_crew *crew,
			  size_t member)
{
	hel_status st = HEL_OK;
	fit f = {.m = m,
		 .cache = cache,
		 .split = split,
		 .o = o,
		 .report = report,
		 .crew = crew,
		 .member = member};
	*report = (hel_fit_report){.best_auc = NAN};
	TRY(prepare(&f));
	if (o->resume)
		TRY(load(&f));
	f.saved = f.progress.start = hel_clock();
	const bool told = !crew && !o->quiet;
	if (told)
		hel_progress_begin(&f.progress, "training");
	st = run_epochs(&f);
	if (told)
		hel_progress_end(&f.progress);
	TRY(st);
	if (o->keep && o->checkpoint)
		TRY(save(&f));
	hel_trainer_settle(f.trainer);
	report->steps = hel_trainer_number(f.trainer);
	report->planned = f.total;
	report->seconds = hel_clock() - f.progress.start;
	report->loss = f.state.loss_sum / fmax(f.state.loss_count, 1);
	report->stopped = f.state.stopped;
	report->best_share = (double)(f.best ? f.state.best_step : report->steps) / (double)f.total;
	if (f.best) {
		memcpy(m->parameter, f.best, m->parameters * sizeof *f.best);
		report->best_auc = f.state.best_auc;
	}
done:
	hel_trainer_free(f.trainer);
	hel_listed_free(f.listed);
	hel_free(f.rows);
	hel_free(f.order);
	hel_free(f.best);
	return st;
}

/* --- members ------------------------------------------------------------------------------- */

static void member_checkpoint(char path[CHECKPOINT_PATH], const char *checkpoint, size_t member)
{
	snprintf(path, CHECKPOINT_PATH, "%s.%zu", checkpoint, member);
}

static hel_status fit_member(void *arg, size_t k)
{
	hel_status st = HEL_OK;
	fit_crew *c = arg;
	hel_dlrm *member = NULL;
	hel_fit_options o = *c->o;
	char path[CHECKPOINT_PATH];
	o.keep = true; /* others may not be done: this one need not be trained again */
	if (o.checkpoint) {
		member_checkpoint(path, o.checkpoint, k);
		o.checkpoint = path;
		o.resume = o.resume && access(path, F_OK) == 0; /* not all had begun */
	}
	TRY(hel_ensemble_member(&member, c->m, (uint32_t)k));
	TRY(fit_one(&c->report[k], member, c->cache, c->split, &o, c, k));
	hel_ensemble_take(c->m, member, (uint32_t)k);
	member = NULL;
done:
	hel_ensemble_leave(member);
	return st;
}

static hel_fit_report sum_up(const hel_fit_report *r, uint32_t members, double seconds)
{
	hel_fit_report all = {.seconds = seconds};
	for (uint32_t k = 0; k < members; k++) {
		all.steps += r[k].steps;
		all.planned += r[k].planned;
		all.rows += r[k].rows;
		all.resumed += r[k].resumed;
		all.loss += r[k].loss / members;
		all.best_auc += r[k].best_auc / members;
		all.best_share += r[k].best_share / members;
		all.stopped |= r[k].stopped;
	}
	return all;
}

/* Side by side: steps of small networks have little that several threads could share. */
static hel_status fit_members(fit_crew *c)
{
	hel_status st = HEL_OK;
	const uint32_t members = c->m->config.members;
	hel_fit_report *all = c->report;
	if (c->o->resume && !hel_fit_begun(c->o->checkpoint, &c->m->config))
		FAIL(HEL_EIO, "nothing to resume: there is no %s.N", c->o->checkpoint);
	c->report = NULL;
	TRY_ALLOC(c->report, hel_alloc(members, sizeof *c->report));
	TRY_ALLOC(c->done, hel_alloc(members, sizeof *c->done));
	hel_progress_begin(&c->progress, "training");
	st = hel_pool_try(c->o->pool, members, fit_member, c);
	hel_progress_end(&c->progress);
	TRY(st);
	*all = sum_up(c->report, members, hel_clock() - c->progress.start);
done:
	if (c->report != all)
		hel_free(c->report);
	hel_free(c->done);
	return st;
}

hel_status hel_dlrm_fit(hel_fit_report *report, hel_dlrm *m, const hel_cache *cache,
			const hel_split *split, const hel_fit_options *o)
{
	if (m->config.members <= 1)
		return fit_one(report, m, cache, split, o, NULL, 0);
	return fit_members(&(fit_crew){m, cache, split, o, report, NULL, {0}});
}

hel_status hel_fit_begin(const char *checkpoint, const hel_dlrm_config *c)
{
	return hel_fit_begun(checkpoint, c) ? HEL_OK : hel_file_write(checkpoint, "", 0, 0600);
}

void hel_fit_abandon(const char *checkpoint)
{
	struct stat info;
	if (stat(checkpoint, &info) == 0 && info.st_size == 0)
		unlink(checkpoint);
}

bool hel_fit_begun(const char *checkpoint, const hel_dlrm_config *c)
{
	char path[CHECKPOINT_PATH];
	for (uint32_t k = 0; c->members > 1 && k < c->members; k++) {
		member_checkpoint(path, checkpoint, k);
		if (access(path, F_OK) == 0)
			return true;
	}
	return access(checkpoint, F_OK) == 0;
}

void hel_fit_forget(const char *checkpoint, const hel_dlrm_config *c)
{
	char path[CHECKPOINT_PATH];
	unlink(checkpoint);
	for (uint32_t k = 0; c->members > 1 && k < c->members; k++) {
		member_checkpoint(path, checkpoint, k);
		unlink(path);
	}
}
