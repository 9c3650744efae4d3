/* facebookresearch/dlrm (dlrm_s_pytorch.py): emb_l.N, bot_l.N, top_l.N, v_W_l.N.
 *
 * What shapes say decides: how wide a table's vectors are (quotient-remainder tables may be joined
 * or combined), whether there are dense values, and which interaction gives as many values as the
 * top layers take. What several readings explain, the owner is asked.
 */
#include "importer.h"
#include "sequential.h"
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* One way to read the shapes. */
typedef struct reading {
	bool concat, dense, dot, self;
} reading;

#define MAX_READINGS 16

/* --- tables ------------------------------------------------------------------------------ */

/* How many tables there are: their largest number. */
static size_t count_tables(const hel_checkpoint *c)
{
	size_t count = 0;
	for (size_t i = 0; i < c->count; i++) {
		const char *name = c->tensor[i].name;
		if (strncmp(name, "emb_l.", 6) == 0 && isdigit((unsigned char)name[6]))
			count = HEL_MAX(count, (size_t)strtoul(name + 6, NULL, 10) + 1);
	}
	return count;
}

static hel_status find_pooling(hel_importer *im, size_t table)
{
	hel_status st = HEL_OK;
	hel_foreign_table *t = &im->table[table];
	size_t least, most;
	hel_stored *factors = hel_checkpoint_find(&im->file, "v_W_l.%zu", table);
	if (!factors)
		goto done;
	hel_table_rows(&least, &most, t);
	if (factors->rows < least || factors->rows > most)
		FAIL(HEL_EFORMAT, "'%s' has %zu entries, its table %zu rows", factors->name,
		     factors->rows, most);
	TRY(hel_stored_vector(factors, factors->rows));
	t->pooling = factors;
done:
	return st;
}

static hel_status find_tables(hel_importer *im)
{
	hel_status st = HEL_OK;
	char name[HEL_NAME_MAX];
	im->tables = count_tables(&im->file);
	if (im->tables > HEL_MAX_TABLES)
		FAIL(HEL_ELIMIT, "more than %d tables", HEL_MAX_TABLES);
	for (size_t i = 0; i < im->tables; i++) {
		snprintf(name, sizeof name, "emb_l.%zu", i);
		TRY(hel_table_find(&im->table[i], &im->file, name));
		TRY(find_pooling(im, i));
	}
done:
	return st;
}

static bool is_quotient(const hel_foreign_table *t)
{
	return t->form == HEL_TABLE_MULT;
}

static size_t width_of(const hel_foreign_table *t, bool concat)
{
	return t->width + (is_quotient(t) && concat ? t->second->columns : 0);
}

/* --- readings ------------------------------------------------------------------------------ */

/* Whether so read the top layers take what the interaction gives. */
static bool fits(const hel_importer *im, reading r)
{
	const size_t bottom = !r.dense		 ? 0
			      : im->bottom.count ? hel_tower_outputs(&im->bottom)
						 : hel_importer_dense(im);
	const size_t vectors = im->tables + r.dense, takes = hel_tower_inputs(&im->top);
	size_t sum = bottom;
	for (size_t i = 0; i < im->tables; i++) {
		const hel_foreign_table *t = &im->table[i];
		const size_t width = width_of(t, r.concat);
		if (is_quotient(t) && !r.concat && t->first->columns != t->second->columns)
			return false;
		if (r.dot && width != (r.dense ? bottom : width_of(&im->table[0], r.concat)))
			return false;
		sum += width;
	}
	if (!r.dot)
		return takes == sum;
	return takes == bottom + (r.self ? vectors * (vectors + 1) : vectors * (vectors - 1)) / 2;
}

static bool allowed(const hel_importer *im, reading r)
{
	const hel_import_config *c = &im->config;
	bool quotients = false;
	for (size_t i = 0; i < im->tables; i++)
		quotients |= is_quotient(&im->table[i]);
	if (r.concat &&
	    (!quotients || c->qr_operation == HEL_QR_MULT || c->qr_operation == HEL_QR_ADD))
		return false;
	if (!r.concat && quotients && c->qr_operation == HEL_QR_CONCAT)
		return false;
	if (r.dense ? !hel_importer_dense(im) : im->bottom.count != 0)
		return false;
	if (r.dot ? c->interaction == HEL_INTERACTION_CAT || !im->tables
		  : (c->interaction == HEL_INTERACTION_DOT && im->tables) || r.self)
		return false;
	return !r.dot || c->interaction_self == HEL_YES_UNSAID ||
	       (c->interaction_self == HEL_YES) == r.self;
}

static size_t find_readings(reading out[MAX_READINGS], const hel_importer *im)
{
	size_t count = 0;
	for (unsigned i = 0; i < MAX_READINGS; i++) {
		const reading r = {i & 1, i & 2, i & 4, i & 8};
		if (allowed(im, r) && fits(im, r))
			out[count++] = r;
	}
	return count;
}

/* The number of inputs is that of pairs, but some vector is as wide as no other. */
static hel_status check_dot_widths(const hel_importer *im, size_t bottom)
{
	const size_t takes = hel_tower_inputs(&im->top), n = im->tables;
	for (size_t i = 0; i < n; i++)
		if (im->table[i].width != bottom &&
		    (takes == bottom + n * (n + 1) / 2 || takes == bottom + (n + 1) * (n + 2) / 2))
			return hel_fail(
			    HEL_EFORMAT,
			    "%s takes the products of all pairs, but '%s' has dimension %zu "
			    "and the dense part %zu: they have no product",
			    im->top.step[0].name, im->table[i].name, im->table[i].width, bottom);
	return HEL_OK;
}

static hel_status none_fits(const hel_importer *im)
{
	const hel_import_config *c = &im->config;
	const size_t takes = hel_tower_inputs(&im->top),
		     bottom =
			 im->bottom.count ? hel_tower_outputs(&im->bottom) : hel_importer_dense(im);
	size_t cat = bottom;
	const hel_status widths = check_dot_widths(im, bottom);
	if (widths != HEL_OK)
		return widths;
	for (size_t i = 0; i < im->tables; i++)
		cat += width_of(&im->table[i], c->qr_operation == HEL_QR_CONCAT);
	return hel_fail(HEL_EFORMAT,
			"%s takes %zu inputs: neither concatenation (%zu) nor dot (%zu, with "
			"squares %zu) of %zu dense and %zu tables gives them%s",
			im->top.step[0].name, takes, cat,
			bottom + im->tables * (im->tables + 1) / 2,
			bottom + (im->tables + 1) * (im->tables + 2) / 2, bottom, im->tables,
			c->root ? " as the configuration says" : "");
}

/* Two readings differ in a word. */
static hel_status ask(const reading *a, const reading *b)
{
	const char *choice =
	    a->concat != b->concat ? "\"qr_operation\": \"mult\", \"add\" or \"concat\""
	    : a->dot != b->dot	   ? "\"interaction\": \"cat\" or \"dot\""
	    : a->dense != b->dense ? "\"dense\": [] in the schema where dense values are not read"
				   : "\"interaction_self\": true or false";
	return hel_fail(HEL_EUNSUPPORTED,
			"the shapes of these weights fit two readings: --config must say %s",
			choice);
}

static hel_status choose(reading *out, hel_importer *im)
{
	hel_status st = HEL_OK;
	reading r[MAX_READINGS];
	const size_t count = find_readings(r, im);
	if (!count)
		TRY(none_fits(im));
	if (count > 1)
		TRY(ask(&r[0], &r[1]));
	*out = r[0];
	for (size_t i = 0; i < im->tables; i++) {
		hel_foreign_table *t = &im->table[i];
		if (!is_quotient(t))
			continue;
		if (!r->concat && im->config.qr_operation == HEL_QR_UNSAID)
			FAIL(HEL_EUNSUPPORTED,
			     "'%s' is a quotient-remainder table whose two rows are multiplied or "
			     "added: --config must say \"qr_operation\": \"mult\" or \"add\"",
			     t->name);
		t->form = r->concat				  ? HEL_TABLE_CONCAT
			  : im->config.qr_operation == HEL_QR_ADD ? HEL_TABLE_ADD
								  : HEL_TABLE_MULT;
		t->width += r->concat ? t->second->columns : 0;
	}
done:
	return st;
}

/* --- the graph ---------------------------------------------------------------------------- */

static void build(hel_importer *im, reading r)
{
	hel_builder *b = &im->b;
	const bool last = im->config.bottom_last_activation != HEL_NO;
	hel_group in = {0};
	if (r.dense)
		in = hel_group_of(
		    hel_importer_tower(im, hel_build_dense(b), &im->bottom, last, "bot_l"));
	for (uint32_t t = 0; t < im->tables; t++)
		hel_group_join(&in, hel_importer_embed(im, t, &im->table[t], "emb_l"));
	if (r.dot) {
		const hel_node dot = {.kind = HEL_NODE_DOT,
				      .self = r.self,
				      .upper = im->config.order == HEL_ORDER_UPPER};
		const uint32_t pairs = hel_build(b, dot, &in, "pairs");
		in = r.dense ? hel_group_of_two(in.node[0], pairs) : hel_group_of(pairs);
	}
	hel_importer_tower(im, hel_build_gather(b, HEL_NODE_CONCAT, &in, "interaction"), &im->top,
			   false, "top_l");
}

/* Whether names do not tell what follows the last bottom layer. */
static bool open_end(const hel_importer *im)
{
	return im->bottom.count && !im->config.no_activation &&
	       im->bottom.step[im->bottom.count - 1].after == HEL_AFTER_USUAL;
}

static void tell(hel_importer *im, reading r)
{
	size_t of_form[5] = {0}, pooled = 0;
	for (size_t i = 0; i < im->tables; i++) {
		of_form[im->table[i].form]++;
		pooled += im->table[i].pooling != NULL;
	}
	const size_t quotients =
	    of_form[HEL_TABLE_MULT] + of_form[HEL_TABLE_ADD] + of_form[HEL_TABLE_CONCAT];
	hel_importer_say(im, "interaction: %s%s%s", r.dot ? "dot" : "cat",
			 r.self ? ", each vector with itself too" : "",
			 im->config.order == HEL_ORDER_UPPER ? ", pairs above the diagonal" : "");
	if (quotients)
		hel_importer_say(im, "quotient-remainder tables: %zu, written out in full",
				 quotients);
	if (of_form[HEL_TABLE_PROJECTED])
		hel_importer_say(im, "tables of another dimension: %zu, multiplied out",
				 of_form[HEL_TABLE_PROJECTED]);
	if (pooled)
		hel_importer_say(im, "tables with weighted pooling: %zu, multiplied out", pooled);
	if (open_end(im))
		hel_importer_say(im, "after the last bottom layer: %s%s",
				 im->config.bottom_last_activation == HEL_NO ? "none"
									     : "the activation",
				 im->config.bottom_last_activation == HEL_YES_UNSAID
				     ? ", as dlrm_s_pytorch.py has it, which wrote this file"
				     : "");
	hel_importer_tell(im);
}

static hel_status import(hel_importer *im)
{
	hel_status st = HEL_OK;
	reading r;
	TRY(hel_tower_read(&im->bottom, &im->file, &im->config, "bot_l", "", false));
	TRY(hel_tower_read(&im->top, &im->file, &im->config, "top_l", "", false));
	TRY(find_tables(im));
	if (!im->top.count)
		FAIL(HEL_EFORMAT, "weights: no layer 'top_l.N.weight'");
	if (im->bottom.count && hel_tower_inputs(&im->bottom) != hel_importer_dense(im))
		FAIL(HEL_EFORMAT, "%s takes %zu inputs, the schema has %zu dense columns",
		     im->bottom.step[0].name, hel_tower_inputs(&im->bottom),
		     hel_importer_dense(im));
	TRY(choose(&r, im));
	if (open_end(im) && im->config.bottom_last_activation == HEL_YES_UNSAID &&
	    !im->file.by_dlrm)
		FAIL(HEL_EUNSUPPORTED,
		     "names do not tell whether an activation follows %s, the last bottom layer: "
		     "--config must say \"bottom_last_activation\": true (as dlrm_s_pytorch.py "
		     "has it) or false",
		     im->bottom.step[im->bottom.count - 1].name);
	TRY(hel_importer_one_logit(im, &im->top));
	TRY(hel_importer_columns(im));
	build(im, r);
	tell(im, r);
done:
	return st;
}

const hel_form hel_form_dlrm = {
    .name = "facebookresearch/dlrm",
    .roots = {"bot_l.", "emb_l.", "top_l.", "v_W_l."},
    .parts = {"bot_l.", "emb_l.", "top_l.", "v_W_l."},
    .import = import,
};
