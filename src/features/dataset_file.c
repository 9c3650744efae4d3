/* Descriptions of data sets as JSON: a file of anybody's, inside a model's model.json and inside
 * every manifest. Bounded and checked here, so that whoever has a hel_dataset may rely on it. */
#include "dataset.h"
#include <math.h>
#include <string.h>

#define VERSION 1
#define NUMBER_MOST 1e15

static const char *const values_names[] = {
#define X(value, name) name,
    HEL_VALUES_LIST(X)
#undef X
};
static const char *const form_names[] = {
#define X(value, name) name,
    HEL_FORM_LIST(X)
#undef X
};
static const char *const pooling_names[] = {
#define X(value, name) name,
    HEL_POOLING_LIST(X)
#undef X
};
/* Separators of cells and of entries. */
static const char cell_separators[] = ",;\t|", entry_separators[] = "|,; /^\t";

const char *hel_values_name(hel_values v)
{
	return values_names[v];
}

/* --- reading ----------------------------------------------------------------------------- */

/* An object of the description, and who it is for messages. */
typedef struct part {
	const hel_json_value *object;
	char who[HEL_NAME_MAX + 16];
} part;

static hel_status wrong(const part *p, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static hel_status wrong(const part *p, const char *format, ...)
{
	char text[160];
	va_list args;
	va_start(args, format);
	hel_print_list(text, sizeof text, format, args);
	va_end(args);
	return hel_fail(HEL_EFORMAT, "columns%s: %s", p->who, text);
}

static hel_status check_keys(const part *p, const char *const *known)
{
	for (const hel_json_value *v = p->object->first; v; v = v->next) {
		size_t k = 0;
		while (known[k] && strcmp(known[k], v->name) != 0)
			k++;
		if (!known[k])
			return wrong(p, "unknown key '%.40s'", v->name);
	}
	return HEL_OK;
}

/* Each leaves *out as it is when there is no such member. */
static hel_status read_text(char *out, size_t size, const part *p, const char *key)
{
	const hel_json_value *v = hel_json_member(p->object, key);
	if (!v)
		return HEL_OK;
	if (!v->text || !*v->text || strlen(v->text) >= size || !hel_is_text(v->text))
		return wrong(p, "'%s' must be a text of 1 to %zu bytes", key, size - 1);
	memcpy(out, v->text, strlen(v->text) + 1);
	return HEL_OK;
}

static hel_status read_bool(bool *out, const part *p, const char *key)
{
	const hel_json_value *v = hel_json_member(p->object, key);
	if (v && v->kind != HEL_JSON_TRUE && v->kind != HEL_JSON_FALSE)
		return wrong(p, "'%s' must be true or false", key);
	*out = v ? v->kind == HEL_JSON_TRUE : *out;
	return HEL_OK;
}

static hel_status read_number(double *out, const part *p, const char *key, double low, double high)
{
	const hel_json_value *v = hel_json_member(p->object, key);
	if (v && (v->kind != HEL_JSON_NUMBER || !(v->number >= low && v->number <= high)))
		return wrong(p, "'%s' must be a number from %g to %g", key, low, high);
	*out = v ? v->number : *out;
	return HEL_OK;
}

static hel_status read_integer(uint32_t *out, const part *p, const char *key, uint32_t low,
			       uint32_t high)
{
	const hel_json_value *v = hel_json_member(p->object, key);
	if (v && (v->kind != HEL_JSON_NUMBER || v->number != floor(v->number) ||
		  !(v->number >= low && v->number <= high)))
		return wrong(p, "'%s' must be a whole number from %u to %u", key, low, high);
	*out = v ? (uint32_t)v->number : *out;
	return HEL_OK;
}

/* A word of a list; *out is its number. */
static hel_status read_word(unsigned *out, const part *p, const char *key, const char *const *names,
			    unsigned count)
{
	const hel_json_value *v = hel_json_member(p->object, key);
	char all[120] = "";
	if (!v)
		return HEL_OK;
	for (unsigned i = 0; i < count; i++) {
		if (v->text && strcmp(v->text, names[i]) == 0) {
			*out = i;
			return HEL_OK;
		}
		hel_print(all + strlen(all), sizeof all - strlen(all), "%s%s",
			  !i		  ? ""
			  : i + 1 < count ? ", "
					  : " or ",
			  names[i]);
	}
	return wrong(p, "'%s' must be %s", key, all);
}

static hel_status read_separator(char *out, const part *p, const char *allowed, bool json)
{
	const hel_json_value *v = hel_json_member(p->object, "separator");
	if (!v)
		return HEL_OK;
	if (json && v->text && strcmp(v->text, "json") == 0)
		*out = 0;
	else if (v->text && v->text[0] && !v->text[1] && strchr(allowed, v->text[0]))
		*out = v->text[0];
	else
		return wrong(p, "'separator' must be one character of '%s'%s",
			     json ? "|,; /^ and tab" : ",;| and tab", json ? ", or \"json\"" : "");
	return HEL_OK;
}

static hel_status read_dense(hel_column *c, const part *p)
{
	static const char *const keys[] = {
	    "name", "kind",  "public",	  "whole",   "zero_is_missing",
	    "log",  "least", "quantiles", "missing", NULL};
	hel_status st = HEL_OK;
	TRY(check_keys(p, keys));
	TRY(read_bool(&c->public, p, "public"));
	TRY(read_bool(&c->whole, p, "whole"));
	TRY(read_bool(&c->zero_is_missing, p, "zero_is_missing"));
	c->log = hel_json_member(p->object, "log") != NULL;
	TRY(read_number(&c->plus, p, "log", -NUMBER_MOST, NUMBER_MOST));
	if (!c->log && hel_json_member(p->object, "least"))
		TRY(wrong(p, "'least' is of 'log' only"));
	TRY(read_number(&c->least, p, "least", -NUMBER_MOST, NUMBER_MOST));
	if (c->log && !(c->least + c->plus >= 1e-9))
		TRY(wrong(p, "the logarithm of %g + %g ('least' and 'log') is none", c->least,
			  c->plus));
	const hel_json_value *fill = hel_json_member(p->object, "missing"),
			     *q = hel_json_member(p->object, "quantiles");
	c->fills = fill && !(fill->text && strcmp(fill->text, "mean") == 0);
	if (c->fills)
		TRY(read_number(&c->fill, p, "missing", -NUMBER_MOST, NUMBER_MOST));
	c->high = 1;
	if (q) {
		if (q->kind != HEL_JSON_ARRAY || q->count != 2 ||
		    q->first->kind != HEL_JSON_NUMBER || q->first->next->kind != HEL_JSON_NUMBER)
			TRY(wrong(p, "'quantiles' must be two numbers"));
		c->low = q->first->number;
		c->high = q->first->next->number;
		if (!(c->low >= 0 && c->low < c->high && c->high <= 1))
			TRY(wrong(p,
				  "'quantiles' must be two shares from 0 to 1, the lower first"));
	}
done:
	return st;
}

static hel_status read_values(hel_column *c, const part *p)
{
	static const char *const id_names[] = {"decimal", "hexadecimal"};
	hel_status st = HEL_OK;
	unsigned values = HEL_LISTED, form = HEL_FORM_EXACT, ids = 0;
	TRY(read_bool(&c->public, p, "public"));
	TRY(read_word(&values, p, "values", values_names, HEL_VALUES));
	TRY(read_word(&form, p, "text", form_names, HEL_FORMS));
	TRY(read_word(&ids, p, "ids", id_names, 2));
	c->values = values;
	c->form = form;
	c->hexadecimal = ids;
	if (c->values == HEL_MODULO) {
		if (!hel_json_member(p->object, "modulo"))
			TRY(wrong(p, "ids need 'modulo', the number of rows"));
		if (hel_json_member(p->object, "text"))
			TRY(wrong(p, "'text' is not of ids: they are numbers"));
		TRY(read_integer(&c->modulo, p, "modulo", 1, HEL_MAX_MODULO));
	} else if (hel_json_member(p->object, "modulo") || hel_json_member(p->object, "ids"))
		TRY(wrong(p, "'modulo' and 'ids' are of \"values\": \"modulo\" only"));
done:
	return st;
}

static hel_status read_category(hel_column *c, const part *p)
{
	static const char *const keys[] = {"name", "kind", "public", "values",
					   "text", "ids",  "modulo", NULL};
	hel_status st = HEL_OK;
	TRY(check_keys(p, keys));
	TRY(read_values(c, p));
done:
	return st;
}

static hel_status read_bag(hel_column *c, const part *p)
{
	static const char *const keys[] = {"name",	 "kind",   "public", "values",	  "text",
					   "ids",	 "modulo", "limit",  "separator", "weight",
					   "over_limit", "pool",   NULL};
	static const char *const over_names[] = {"cut", "error"};
	hel_status st = HEL_OK;
	unsigned pooling = HEL_POOL_SUM, over = 0;
	TRY(check_keys(p, keys));
	TRY(read_values(c, p));
	if (!hel_json_member(p->object, "limit"))
		TRY(wrong(p, "a bag needs 'limit', the most entries of a record"));
	TRY(read_integer(&c->bag.limit, p, "limit", 1, HEL_MAX_BAG));
	c->bag.separator = '|';
	TRY(read_separator(&c->bag.separator, p, entry_separators, true));
	TRY(read_word(&pooling, p, "pool", pooling_names, HEL_POOLINGS));
	TRY(read_word(&over, p, "over_limit", over_names, 2));
	c->bag.pooling = pooling;
	c->bag.refuse = over;
	c->bag.weighted = hel_json_member(p->object, "weight") != NULL;
	TRY(read_number(&c->bag.most, p, "weight", 1e-6, HEL_MAX_BAG_WEIGHT));
done:
	return st;
}

static hel_status read_label(hel_column *c, const part *p)
{
	static const char *const keys[] = {"name",     "kind",	   "most", "above",
					   "positive", "negative", NULL};
	hel_status st = HEL_OK;
	TRY(check_keys(p, keys));
	TRY(read_integer(&c->most, p, "most", 1, 1000000));
	TRY(read_number(&c->above, p, "above", -NUMBER_MOST, NUMBER_MOST));
	TRY(read_text(c->positive, sizeof c->positive, p, "positive"));
	TRY(read_text(c->negative, sizeof c->negative, p, "negative"));
	c->threshold = hel_json_member(p->object, "above") != NULL;
	c->words = *c->positive || *c->negative;
	if (c->words && (!*c->positive || !*c->negative || !strcmp(c->positive, c->negative)))
		TRY(wrong(p, "'positive' and 'negative' must be two texts"));
	if (c->threshold + c->words + (hel_json_member(p->object, "most") != NULL) > 1)
		TRY(wrong(p, "a label has 'most', 'above', or 'positive' and 'negative'"));
done:
	return st;
}

static hel_status read_ignored(hel_column *c, const part *p)
{
	static const char *const keys[] = {"name", "kind", NULL};
	(void)c;
	return check_keys(p, keys);
}

typedef struct kind_row {
	const char *name;
	hel_column_kind kind;
	hel_status (*read)(hel_column *c, const part *p);
} kind_row;

static const kind_row kinds[] = {{"dense", HEL_DENSE, read_dense},
				 {"category", HEL_CATEGORICAL, read_category},
				 {"bag", HEL_CATEGORICAL, read_bag},
				 {"label", HEL_LABEL, read_label},
				 {"ignore", HEL_IGNORED, read_ignored}};

static hel_status read_column(hel_column *c, const hel_json_value *object, size_t number)
{
	hel_status st = HEL_OK;
	part p = {.object = object};
	hel_print(p.who, sizeof p.who, ", column %zu", number + 1);
	*c = (hel_column){.plus = 1, .bag.most = 1, .most = 1};
	if (object->kind != HEL_JSON_OBJECT)
		TRY(wrong(&p, "expected an object"));
	TRY(read_text(c->name, sizeof c->name, &p, "name"));
	if (!*c->name)
		TRY(wrong(&p, "'name' is missing"));
	hel_print(p.who, sizeof p.who, ", column '%s'", c->name);
	const char *kind = hel_json_text(object, "kind");
	for (size_t k = 0; kind && k < HEL_ARRAY_LEN(kinds); k++)
		if (strcmp(kind, kinds[k].name) == 0) {
			c->kind = kinds[k].kind;
			st = kinds[k].read(c, &p);
			goto done;
		}
	TRY(wrong(&p, "'kind' must be dense, category, bag, label or ignore"));
done:
	return st;
}

/* Numbers among their kind; what all columns together must be. */
static hel_status check_columns(hel_dataset *set, const part *p)
{
	size_t count[HEL_IGNORED + 1] = {0}, bags = 0;
	for (size_t i = 0; i < set->columns; i++) {
		hel_column *c = &set->column[i];
		for (size_t k = 0; k < i; k++)
			if (strcmp(set->column[k].name, c->name) == 0)
				return wrong(p, "two columns are named '%s'", c->name);
		if (c->kind == HEL_CATEGORICAL && set->small && c->values == HEL_HASHED)
			return wrong(p,
				     "'%s' is hashed, which data sets in memory ('small') do not",
				     c->name);
		c->nth = (uint16_t)count[c->kind]++;
		bags += c->bag.limit;
		c->word = (uint32_t)set->words;
		if (c->kind == HEL_CATEGORICAL)
			set->words += (size_t)HEL_MAX(c->bag.limit, 1u) << c->bag.weighted;
	}
	set->dense = count[HEL_DENSE];
	set->tables = count[HEL_CATEGORICAL];
	if (set->dense > HEL_MAX_DENSE || set->tables > HEL_MAX_TABLES)
		return wrong(p,
			     "%zu dense columns and %zu categories; at most %d of each are "
			     "possible",
			     set->dense, set->tables, HEL_MAX_DENSE);
	if (set->dense + set->tables == 0)
		return wrong(p, "no column is dense, a category or a bag");
	if (count[HEL_LABEL] > 1)
		return wrong(p, "%zu columns are labels", count[HEL_LABEL]);
	return bags <= HEL_MAX_BAGS
		   ? HEL_OK
		   : wrong(p, "bags of %zu entries together; at most %u are possible", bags,
			   HEL_MAX_BAGS);
}

static hel_status read_missing(hel_dataset *set, const part *p)
{
	const hel_json_value *all = hel_json_member(p->object, "missing"), *v;
	if (!all)
		return HEL_OK;
	for (v = all->kind == HEL_JSON_ARRAY ? all->first : all; v; v = v->next) {
		if (v->kind == HEL_JSON_NUMBER && set->missing_numbers < HEL_MAX_MISSING) {
			set->missing_number[set->missing_numbers++] = v->number;
			continue;
		}
		if (!v->text || !*v->text || strlen(v->text) >= HEL_NAME_MAX ||
		    !hel_is_text(v->text) || set->missing_texts == HEL_MAX_MISSING)
			break;
		memcpy(set->missing_text[set->missing_texts++], v->text, strlen(v->text) + 1);
	}
	return all->kind == HEL_JSON_ARRAY && !v
		   ? HEL_OK
		   : wrong(p, "'missing' must be an array of at most %d texts and %d numbers",
			   HEL_MAX_MISSING, HEL_MAX_MISSING);
}

hel_status hel_dataset_from_value(hel_dataset **out, const hel_json_value *root)
{
	static const char *const keys[] = {"helrm_columns", "name",    "credit",  "separator",
					   "small",	    "missing", "columns", NULL};
	hel_status st = HEL_OK;
	hel_dataset *set = NULL;
	uint64_t version;
	part p = {.object = root};
	const hel_json_value *columns = hel_json_member(root, "columns"), *v;
	TRY_ALLOC(set, hel_alloc(1, sizeof *set));
	set->uses = 1;
	set->separator = ',';
	if (!hel_json_integer(&version, root, "helrm_columns", UINT32_MAX))
		TRY(wrong(&p, "no 'helrm_columns' version; not a description of columns"));
	if (version != VERSION)
		FAIL(HEL_EVERSION, "columns: version %llu; this helrm reads version %d",
		     (unsigned long long)version, VERSION);
	TRY(check_keys(&p, keys));
	TRY(read_text(set->name, sizeof set->name, &p, "name"));
	if (!*set->name)
		TRY(wrong(&p, "'name' is missing"));
	TRY(read_text(set->credit, sizeof set->credit, &p, "credit"));
	TRY(read_separator(&set->separator, &p, cell_separators, false));
	TRY(read_bool(&set->small, &p, "small"));
	TRY(read_missing(set, &p));
	if (!columns || columns->kind != HEL_JSON_ARRAY || !columns->count)
		TRY(wrong(&p, "'columns' must be an array"));
	if (columns->count > HEL_MAX_COLUMNS)
		TRY(wrong(&p, "%u columns; at most %d are possible", columns->count,
			  HEL_MAX_COLUMNS));
	TRY_ALLOC(set->column, hel_alloc(columns->count, sizeof *set->column));
	for (v = columns->first; v; v = v->next, set->columns++)
		TRY(read_column(&set->column[set->columns], v, set->columns));
	TRY(check_columns(set, &p));
	*out = set;
	set = NULL;
done:
	hel_dataset_drop(set);
	return st;
}

hel_status hel_dataset_from_json(hel_dataset **out, const char *text, size_t size)
{
	hel_status st = HEL_OK;
	hel_json *json = NULL;
	st = hel_json_read(&json, text, size);
	if (st != HEL_OK)
		FAIL(st, "columns, %s", hel_error_detail());
	st = hel_dataset_from_value(out, hel_json_root(json));
done:
	hel_json_free(json);
	return st;
}

/* --- writing ----------------------------------------------------------------------------- */

static void put_dense(hel_json_writer *j, const hel_column *c)
{
	if (c->whole)
		hel_json_put_bool(j, "whole", true);
	if (c->zero_is_missing)
		hel_json_put_bool(j, "zero_is_missing", true);
	if (c->log)
		hel_json_put_number(j, "log", c->plus);
	if (c->log && c->least != 0)
		hel_json_put_number(j, "least", c->least);
	if (c->fills)
		hel_json_put_number(j, "missing", c->fill);
	if (c->low > 0 || c->high < 1) {
		hel_json_open(j, "quantiles", '[');
		hel_json_put_number(j, NULL, c->low);
		hel_json_put_number(j, NULL, c->high);
		hel_json_close(j, ']');
	}
}

static void put_category(hel_json_writer *j, const hel_column *c)
{
	const hel_bag *b = &c->bag;
	hel_json_put_text(j, "values", values_names[c->values]);
	if (c->values == HEL_MODULO) {
		hel_json_put_integer(j, "modulo", c->modulo);
		hel_json_put_text(j, "ids", c->hexadecimal ? "hexadecimal" : "decimal");
	} else
		hel_json_put_text(j, "text", form_names[c->form]);
	if (!b->limit)
		return;
	hel_json_put_text(j, "separator", b->separator ? (char[]){b->separator, 0} : "json");
	hel_json_put_integer(j, "limit", b->limit);
	hel_json_put_text(j, "over_limit", b->refuse ? "error" : "cut");
	hel_json_put_text(j, "pool", pooling_names[b->pooling]);
	if (b->weighted)
		hel_json_put_number(j, "weight", b->most);
}

static void put_label(hel_json_writer *j, const hel_column *c)
{
	if (c->words) {
		hel_json_put_text(j, "positive", c->positive);
		hel_json_put_text(j, "negative", c->negative);
	} else if (c->threshold)
		hel_json_put_number(j, "above", c->above);
	else
		hel_json_put_integer(j, "most", c->most);
}

static void put_column(hel_json_writer *j, const hel_column *c)
{
	static const char *const names[] = {"dense", "category", "label", "ignore"};
	hel_json_open(j, NULL, '{');
	hel_json_put_text(j, "name", c->name);
	hel_json_put_text(j, "kind", c->bag.limit ? "bag" : names[c->kind]);
	if (c->public)
		hel_json_put_bool(j, "public", true);
	if (c->kind == HEL_DENSE)
		put_dense(j, c);
	else if (c->kind == HEL_CATEGORICAL)
		put_category(j, c);
	else if (c->kind == HEL_LABEL)
		put_label(j, c);
	hel_json_close(j, '}');
}

void hel_dataset_put(hel_json_writer *j, const char *name, const hel_dataset *set)
{
	hel_json_open(j, name, '{');
	hel_json_put_integer(j, "helrm_columns", VERSION);
	hel_json_put_text(j, "name", set->name);
	if (*set->credit)
		hel_json_put_text(j, "credit", set->credit);
	hel_json_put_text(j, "separator", (char[]){set->separator, 0});
	if (set->small)
		hel_json_put_bool(j, "small", true);
	hel_json_open(j, "missing", '[');
	for (size_t i = 0; i < set->missing_texts; i++)
		hel_json_put_text(j, NULL, set->missing_text[i]);
	for (size_t i = 0; i < set->missing_numbers; i++)
		hel_json_put_number(j, NULL, set->missing_number[i]);
	hel_json_close(j, ']');
	hel_json_open(j, "columns", '[');
	for (size_t i = 0; i < set->columns; i++)
		put_column(j, &set->column[i]);
	hel_json_close(j, ']');
	hel_json_close(j, '}');
}

hel_status hel_dataset_to_json(char **out, const hel_dataset *set)
{
	hel_json_writer j = {.indent = true};
	hel_dataset_put(&j, NULL, set);
	const hel_status st = hel_json_take(out, NULL, &j);
	hel_writer_clear(&j.w);
	return st;
}
