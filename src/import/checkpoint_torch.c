/* Tensors of a file of torch.save: a ZIP archive with a pickle and one entry for each storage;
 * before PyTorch 1.6, several pickles and then the storages. A state_dict, in whatever dictionary
 * it was put, or a whole module, whose parameters are collected as its state_dict() would; nothing
 * is executed.
 */
#include "checkpoint.h"
#include "pickle.h"
#include "zip.h"
#include <stdlib.h>
#include <string.h>

#define PICKLE_MOST ((size_t)64 << 20)
#define DEEPEST 24    /* of modules in modules */
#define VISITED 65536 /* of them in all */
#define NAME_MOST 512

/* The first pickle of a file of before PyTorch 1.6: 0x1950a86a20f9469cfc6c. */
static const uint8_t old_magic[] = {0x80, 2,	0x8a, 10,   0x6c, 0xfc, 0x9c,
				    0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19};

/* A storage of an old file: by number among those listed. */
typedef struct storage {
	const char *key;
	size_t key_size, bytes;
	const uint8_t *data;
} storage;

typedef struct torch_file {
	hel_checkpoint *out;
	hel_pickle p;
	hel_zip zip;
	char root[NAME_MOST]; /* of the archive's entries: "archive/" */
	storage *storage;     /* old files */
	size_t storages, visited;
	const char *key; /* of the dictionary that is wanted; NULL: unsaid */
} torch_file;

/* --- storages ---------------------------------------------------------------------------- */

static hel_status find_storage(storage *out, torch_file *f, const hel_pickle_value *key)
{
	char name[2 * NAME_MOST];
	const hel_zip_entry *e = NULL;
	hel_status st = HEL_OK;
	for (size_t i = 0; i < f->storages; i++)
		if (f->storage[i].key_size == key->size &&
		    memcmp(f->storage[i].key, key->text, key->size) == 0) {
			*out = f->storage[i];
			return HEL_OK;
		}
	if (!f->storage && key->size < NAME_MOST) {
		snprintf(name, sizeof name, "%sdata/%.*s", f->root, (int)key->size, key->text);
		TRY(hel_zip_find(&e, &f->zip, name));
	}
	if (!e)
		FAIL(HEL_ETRUNC, "weights: the storage '%.*s' is missing",
		     (int)HEL_MIN(key->size, (size_t)40), key->text);
	*out = (storage){.data = e->data, .bytes = e->size};
done:
	return st;
}

static const struct {
	const char *name, *type;
	hel_element element;
	size_t bytes;
} storage_types[] = {
    {"torch DoubleStorage", "F64", HEL_F64, 8},
    {"torch FloatStorage", "F32", HEL_F32, 4},
    {"torch HalfStorage", "F16", HEL_F16, 2},
    {"torch BFloat16Storage", "BF16", HEL_BF16, 2},
    {"torch LongStorage", "I64", HEL_NO_NUMBER, 8},
    {"torch IntStorage", "I32", HEL_NO_NUMBER, 4},
    {"torch ShortStorage", "I16", HEL_NO_NUMBER, 2},
    {"torch CharStorage", "I8", HEL_NO_NUMBER, 1},
    {"torch ByteStorage", "U8", HEL_NO_NUMBER, 1},
    {"torch BoolStorage", "BOOL", HEL_NO_NUMBER, 1},
};

/* --- tensors ----------------------------------------------------------------------------- */

static bool whole(int64_t *out, const hel_pickle_value *v)
{
	*out = v && v->kind == HEL_PICKLE_INTEGER ? v->integer : -1;
	return *out >= 0;
}

/* Sizes and strides; whether all elements lie in `elements` of the storage. A view that repeats
 * elements is larger than its storage, and refused. */
static bool read_shape(hel_stored *t, const hel_pickle *p, const hel_pickle_value *sizes,
		       const hel_pickle_value *strides, uint64_t offset, uint64_t elements)
{
	uint64_t count = 1, last = offset;
	int64_t side, stride;
	if (!sizes || !strides || sizes->kind != HEL_PICKLE_SEQUENCE ||
	    strides->kind != HEL_PICKLE_SEQUENCE || sizes->count != strides->count ||
	    sizes->count > 8)
		return false;
	t->dimensions = sizes->count;
	t->rows = t->columns = t->stride[0] = t->stride[1] = 1;
	for (size_t i = 0; i < t->dimensions; i++) {
		if (!whole(&side, hel_pickle_item(p, sizes, i)) ||
		    !whole(&stride, hel_pickle_item(p, strides, i)) || side > INT32_MAX ||
		    stride > INT64_MAX / INT32_MAX)
			return false;
		if (i < 2) {
			*(i ? &t->columns : &t->rows) = (size_t)side;
			t->stride[i] = (size_t)stride;
		}
		count = side && count > UINT64_MAX / (uint64_t)side ? UINT64_MAX
								    : count * (uint64_t)side;
		last += side ? (uint64_t)(side - 1) * (uint64_t)stride : 0;
		if (last > (uint64_t)INT64_MAX)
			return false;
	}
	return !count || (count <= elements && last < elements);
}

/* A tensor is what torch._utils makes of (storage, offset, sizes, strides, ...); parameters hold
 * one.
 */
static const hel_pickle_value *tensor_arguments(const hel_pickle *p, const hel_pickle_value *v)
{
	for (int depth = 0; depth < 4 && v && v->kind == HEL_PICKLE_OBJECT; depth++) {
		const hel_pickle_value *f = hel_pickle_item(p, v, 0),
				       *args = hel_pickle_item(p, v, 1);
		if (hel_pickle_is(f, HEL_PICKLE_GLOBAL, "torch._utils _rebuild_tensor_v2") ||
		    hel_pickle_is(f, HEL_PICKLE_GLOBAL, "torch._utils _rebuild_tensor"))
			return args;
		if (hel_pickle_is(f, HEL_PICKLE_GLOBAL, "torch._utils _rebuild_parameter") ||
		    hel_pickle_is(f, HEL_PICKLE_GLOBAL,
				  "torch._utils _rebuild_parameter_with_state"))
			v = hel_pickle_item(p, args, 0);
		else if (hel_pickle_is(f, HEL_PICKLE_GLOBAL,
				       "torch._tensor _rebuild_from_type_v2") &&
			 (hel_pickle_is(hel_pickle_item(p, args, 0), HEL_PICKLE_GLOBAL,
					"torch._utils _rebuild_tensor_v2")))
			return hel_pickle_item(p, args, 2);
		else
			return NULL;
	}
	return NULL;
}

static hel_status add_tensor(torch_file *f, const char *name, const hel_pickle_value *args)
{
	hel_status st = HEL_OK;
	const hel_pickle *p = &f->p;
	const hel_pickle_value *id = hel_pickle_item(p, hel_pickle_item(p, args, 0), 0),
			       *type = hel_pickle_item(p, id, 1), *key = hel_pickle_item(p, id, 2);
	hel_stored t = {0};
	storage s = {0};
	int64_t offset;
	size_t k = 0;
	if (!type || type->kind != HEL_PICKLE_GLOBAL || !key || key->kind != HEL_PICKLE_TEXT ||
	    !whole(&offset, hel_pickle_item(p, args, 1)))
		FAIL(HEL_EFORMAT, "weights: '%.80s' is not stored as a tensor is", name);
	while (k < HEL_ARRAY_LEN(storage_types) && strcmp(type->text, storage_types[k].name) != 0)
		k++;
	if (k == HEL_ARRAY_LEN(storage_types))
		FAIL(HEL_EUNSUPPORTED,
		     "weights: '%.80s' has type '%.40s', expected float, double, half or bfloat16",
		     name, type->text);
	TRY(find_storage(&s, f, key));
	t.element = storage_types[k].element;
	t.type = (char *)storage_types[k].type;
	if (!read_shape(&t, p, hel_pickle_item(p, args, 2), hel_pickle_item(p, args, 3),
			(uint64_t)offset, s.bytes / storage_types[k].bytes))
		FAIL(HEL_EFORMAT, "weights: '%.80s' does not lie within its storage", name);
	t.data = s.data + (size_t)offset * storage_types[k].bytes;
	TRY(hel_checkpoint_add(f->out, name, &t));
done:
	return st;
}

/* --- dictionaries and modules --------------------------------------------------------------- */

/* PREFIX KEY, where the key is a text. */
static bool name_of(char out[NAME_MOST], const char *prefix, const hel_pickle_value *key)
{
	if (key->kind != HEL_PICKLE_TEXT || memchr(key->text, 0, key->size))
		return false;
	const int n = snprintf(out, NAME_MOST, "%s%.*s", prefix,
			       (int)HEL_MIN(key->size, (size_t)NAME_MOST), key->text);
	return n > 0 && n < NAME_MOST;
}

typedef hel_status visitor(torch_file *f, const char *name, const hel_pickle_value *v,
			   unsigned depth);

static hel_status for_each(torch_file *f, const hel_pickle_value *dict, const char *prefix,
			   visitor *visit, unsigned depth)
{
	hel_status st = HEL_OK;
	char name[NAME_MOST];
	if (!dict || dict->kind != HEL_PICKLE_DICT)
		return st;
	for (uint32_t at = dict->first, i = 0; i + 1 < dict->count; i += 2) {
		const uint32_t value = f->p.cell[at].next;
		if (++f->visited > VISITED)
			FAIL(HEL_ELIMIT, "weights: more than %d tensors and modules", VISITED);
		if (name_of(name, prefix, &f->p.value[f->p.cell[at].value]))
			TRY(visit(f, name, &f->p.value[f->p.cell[value].value], depth));
		at = f->p.cell[value].next;
	}
done:
	return st;
}

static hel_status visit_tensor(torch_file *f, const char *name, const hel_pickle_value *v,
			       unsigned depth)
{
	(void)depth;
	const hel_pickle_value *args = tensor_arguments(&f->p, v);
	return args ? add_tensor(f, name, args) : HEL_OK;
}

/* An entry of a state_dict that is no tensor would be lost. */
static hel_status visit_entry(torch_file *f, const char *name, const hel_pickle_value *v,
			      unsigned depth)
{
	const size_t n = strlen(name);
	if (tensor_arguments(&f->p, v) || (n > 12 && strcmp(name + n - 12, "_extra_state") == 0))
		return visit_tensor(f, name, v, depth);
	return hel_fail(
	    HEL_EUNSUPPORTED,
	    "weights: '%.80s' is no dense tensor (sparse, quantised or sharded?); save it "
	    "as one",
	    name);
}

static hel_status walk_module(torch_file *f, const char *prefix, const hel_pickle_value *module,
			      unsigned depth);

static hel_status visit_module(torch_file *f, const char *name, const hel_pickle_value *v,
			       unsigned depth)
{
	char prefix[NAME_MOST + 2];
	snprintf(prefix, sizeof prefix, "%s.", name);
	return walk_module(f, prefix, v, depth + 1);
}

static const char *class_of(const hel_pickle *p, const hel_pickle_value *v)
{
	const hel_pickle_value *made_by =
	    v->kind == HEL_PICKLE_OBJECT ? hel_pickle_item(p, v, 0) : NULL;
	return made_by && made_by->kind == HEL_PICKLE_GLOBAL ? made_by->text
							     : "no dictionary of tensors";
}

/* What stands in an nn.Sequential, as a configuration says it: a word, with the arguments of an
 * activation; NULL: nothing of PyTorch's that may stand there. */
static json_t *layer_word(const hel_pickle *p, const hel_pickle_value *v)
{
	static const char *const plain[] = {
	    "torch.nn.modules.linear Linear",	      "torch.nn.modules.linear Identity",
	    "torch.nn.modules.batchnorm BatchNorm1d", "torch.nn.modules.dropout Dropout",
	    "torch.nn.modules.flatten Flatten",	      "torch.nn.modules.activation PReLU"};
	static const char activation[] = "torch.nn.modules.activation ";
	static const char *const argument[] = {"negative_slope", "alpha", "approximate"};
	const char *name = class_of(p, v);
	const hel_pickle_value *state = hel_pickle_item(p, v, 2);
	for (size_t i = 0; i < HEL_ARRAY_LEN(plain); i++)
		if (strcmp(name, plain[i]) == 0)
			return json_string(strchr(name, ' ') + 1);
	if (strncmp(name, activation, sizeof activation - 1) != 0)
		return NULL;
	json_t *word = json_pack("{s:s}", "kind", name + sizeof activation - 1);
	for (size_t i = 0; i < HEL_ARRAY_LEN(argument); i++) {
		const hel_pickle_value *a = hel_pickle_get(p, state, argument[i]);
		if (a && a->kind == HEL_PICKLE_FLOAT)
			json_object_set_new(word, argument[i], json_real(a->number));
		else if (a && a->kind == HEL_PICKLE_INTEGER)
			json_object_set_new(word, argument[i], json_integer(a->integer));
		else if (hel_pickle_is(a, HEL_PICKLE_TEXT, "tanh"))
			json_object_set_new(word, argument[i], json_string("tanh"));
	}
	return word;
}

/* Notes what an nn.Sequential holds, if it is one and all of it is known. prefix: "NAME.". */
static void note_sequential(torch_file *f, const char *prefix, const hel_pickle_value *module,
			    const hel_pickle_value *parts)
{
	const size_t n = strlen(prefix);
	char name[NAME_MOST + 2];
	if (!n || n >= sizeof name || !parts || parts->kind != HEL_PICKLE_DICT ||
	    strcmp(class_of(&f->p, module), "torch.nn.modules.container Sequential") != 0)
		return;
	json_t *list = json_array();
	for (uint32_t at = parts->first, i = 0; list && i + 1 < parts->count; i += 2) {
		const uint32_t value = f->p.cell[at].next;
		json_t *word = layer_word(&f->p, &f->p.value[f->p.cell[value].value]);
		if (!word) {
			json_decref(list);
			return;
		}
		json_array_append_new(list, word);
		at = f->p.cell[value].next;
	}
	if (!f->out->sequential)
		f->out->sequential = json_object();
	snprintf(name, sizeof name, "%.*s", (int)(n - 1), prefix);
	json_object_set_new(f->out->sequential, name, list);
}

/* nn.Module keeps its parts in three dictionaries. */
static hel_status walk_module(torch_file *f, const char *prefix, const hel_pickle_value *module,
			      unsigned depth)
{
	hel_status st = HEL_OK;
	const hel_pickle_value *state = hel_pickle_item(&f->p, module, 2);
	if (depth > DEEPEST)
		FAIL(HEL_ELIMIT, "weights: modules in modules, more than %d deep", DEEPEST);
	note_sequential(f, prefix, module, hel_pickle_get(&f->p, state, "_modules"));
	TRY(for_each(f, hel_pickle_get(&f->p, state, "_parameters"), prefix, visit_tensor, depth));
	TRY(for_each(f, hel_pickle_get(&f->p, state, "_buffers"), prefix, visit_tensor, depth));
	TRY(for_each(f, hel_pickle_get(&f->p, state, "_modules"), prefix, visit_module, depth));
done:
	return st;
}

/* --- which of them it is ---------------------------------------------------------------------- */

static bool is_module(const hel_pickle *p, const hel_pickle_value *v)
{
	return v->kind == HEL_PICKLE_OBJECT &&
	       hel_pickle_get(p, hel_pickle_item(p, v, 2), "_modules") != NULL;
}

/* Tensors directly in it. */
static bool is_state_dict(const hel_pickle *p, const hel_pickle_value *v)
{
	if (v->kind != HEL_PICKLE_DICT)
		return false;
	for (uint32_t at = v->first, i = 0; i + 1 < v->count; i += 2) {
		const uint32_t value = p->cell[at].next;
		if (tensor_arguments(p, &p->value[p->cell[value].value]))
			return true;
		at = p->cell[value].next;
	}
	return false;
}

/* The only state_dict or module in a dictionary, or the one of a usual name. */
static hel_status choose(const hel_pickle_value **out, const hel_pickle *p,
			 const hel_pickle_value *root)
{
	static const char *const usual[] = {"state_dict", "model_state_dict", "model"};
	const hel_pickle_value *found = NULL;
	size_t count = 0;
	if (root->kind != HEL_PICKLE_DICT)
		goto none;
	for (size_t i = 0; i < HEL_ARRAY_LEN(usual); i++) {
		*out = hel_pickle_get(p, root, usual[i]);
		if (*out && (is_state_dict(p, *out) || is_module(p, *out)))
			return HEL_OK;
	}
	for (uint32_t at = root->first, i = 0; i + 1 < root->count; i += 2) {
		const uint32_t value = p->cell[at].next;
		const hel_pickle_value *v = &p->value[p->cell[value].value];
		if (is_state_dict(p, v) || is_module(p, v)) {
			found = v;
			count++;
		}
		at = p->cell[value].next;
	}
	*out = found;
	if (count > 1)
		return hel_fail(
		    HEL_EUNSUPPORTED,
		    "weights: several dictionaries of tensors, none under 'state_dict', "
		    "'model_state_dict' or 'model'; save one of them");
	if (count)
		return HEL_OK;
none:
	return hel_fail(HEL_EUNSUPPORTED,
			"weights: no state_dict in the file (%s); save model.state_dict()",
			class_of(p, root));
}

/* What dlrm_s_pytorch.py --save-model writes. */
static bool is_by_dlrm(const hel_pickle *p, const hel_pickle_value *root)
{
	return root->kind == HEL_PICKLE_DICT && hel_pickle_get(p, root, "state_dict") &&
	       hel_pickle_get(p, root, "opt_state_dict") &&
	       hel_pickle_get(p, root, "nbatches_test");
}

static hel_status take_all(torch_file *f)
{
	hel_status st = HEL_OK;
	const hel_pickle_value *root = &f->p.value[f->p.root];
	f->out->by_dlrm = is_by_dlrm(&f->p, root);
	if (f->key) {
		root = hel_pickle_get(&f->p, root, f->key);
		if (!root || (!is_state_dict(&f->p, root) && !is_module(&f->p, root)))
			FAIL(HEL_EFORMAT, "weights: no dictionary of tensors under '%.60s'",
			     f->key);
	} else if (!is_state_dict(&f->p, root) && !is_module(&f->p, root))
		TRY(choose(&root, &f->p, root));
	if (is_module(&f->p, root))
		TRY(walk_module(f, "", root, 0));
	else
		TRY(for_each(f, root, "", visit_entry, 0));
done:
	return st;
}

/* --- the two containers -------------------------------------------------------------------- */

static hel_status read_archive(torch_file *f, const uint8_t *bytes, size_t size)
{
	static const char tail[] = "/data.pkl";
	hel_status st = HEL_OK;
	const hel_zip_entry *pickle = NULL, *order;
	char name[2 * NAME_MOST];
	const size_t n = strlen(tail);
	TRY(hel_zip_open(&f->zip, bytes, size));
	for (size_t i = 0; i < f->zip.count && !pickle; i++) {
		const hel_zip_entry *e = &f->zip.entry[i];
		if (e->name_size > n && e->name_size < NAME_MOST &&
		    memcmp(e->name + e->name_size - n, tail, n) == 0)
			pickle = e;
	}
	if (!pickle)
		FAIL(HEL_EFORMAT, "weights: an archive that torch.save did not write: no data.pkl");
	snprintf(f->root, sizeof f->root, "%.*s", (int)(pickle->name_size - n + 1), pickle->name);
	snprintf(name, sizeof name, "%sbyteorder", f->root);
	TRY(hel_zip_find(&order, &f->zip, name));
	if (order && (order->size < 6 || memcmp(order->data, "little", 6) != 0))
		FAIL(HEL_EUNSUPPORTED, "weights: written on a big-endian machine; save them on "
				       "another one");
	snprintf(name, sizeof name, "%sdata.pkl", f->root);
	TRY(hel_zip_find(&pickle, &f->zip, name));
	if (pickle->size > PICKLE_MOST)
		FAIL(HEL_ELIMIT, "weights: a pickle of %zu bytes", pickle->size);
	hel_reader r = hel_reader_of(pickle->data, pickle->size);
	TRY(hel_pickle_run(&f->p, &r));
	TRY(take_all(f));
done:
	return st;
}

static size_t bytes_of(const hel_pickle *p, const char *key, size_t key_size)
{
	for (size_t i = 0; i < p->values; i++) {
		const hel_pickle_value *v = &p->value[i];
		if (v->kind != HEL_PICKLE_STORED)
			continue;
		const hel_pickle_value *id = hel_pickle_item(p, v, 0),
				       *type = hel_pickle_item(p, id, 1),
				       *k = hel_pickle_item(p, id, 2);
		if (!k || k->kind != HEL_PICKLE_TEXT || k->size != key_size ||
		    memcmp(k->text, key, key_size) != 0)
			continue;
		for (size_t t = 0; t < HEL_ARRAY_LEN(storage_types); t++)
			if (hel_pickle_is(type, HEL_PICKLE_GLOBAL, storage_types[t].name))
				return storage_types[t].bytes;
	}
	return 0;
}

/* Keys in order, then for each the number of elements and the elements. */
static hel_status read_storages(torch_file *f, hel_reader *r, const hel_pickle_value *keys)
{
	hel_status st = HEL_OK;
	if (keys->kind != HEL_PICKLE_SEQUENCE || keys->count > VISITED)
		FAIL(HEL_EFORMAT, "weights: a list of storages is expected");
	TRY_ALLOC(f->storage, hel_alloc(keys->count + 1, sizeof *f->storage));
	uint32_t at = keys->first;
	for (; f->storages < keys->count; f->storages++) {
		const hel_pickle_value *key = &f->p.value[f->p.cell[at].value];
		storage *s = &f->storage[f->storages];
		const uint64_t count = hel_read_u64(r);
		if (key->kind != HEL_PICKLE_TEXT)
			FAIL(HEL_EFORMAT, "weights: a storage without a name");
		const size_t width = bytes_of(&f->p, key->text, key->size);
		TRY(r->status);
		if (count && (!width || count > hel_reader_left(r) / width))
			FAIL(HEL_ETRUNC, "weights: a storage that goes beyond the end of the file");
		*s = (storage){.key = key->text, .key_size = key->size, .bytes = count * width};
		s->data = hel_read_bytes(r, s->bytes);
		at = f->p.cell[at].next;
	}
	TRY(r->status);
done:
	return st;
}

static hel_status read_old(torch_file *f, const uint8_t *bytes, size_t size)
{
	hel_status st = HEL_OK;
	hel_reader r = hel_reader_of(bytes, size);
	uint32_t root = 0;
	for (int i = 0; i < 5; i++) { /* magic, protocol, system, what was saved, storages */
		TRY(hel_pickle_run(&f->p, &r));
		if (i == 3)
			root = f->p.root;
	}
	TRY(read_storages(f, &r, &f->p.value[f->p.root]));
	f->p.root = root;
	TRY(take_all(f));
done:
	return st;
}

bool hel_checkpoint_is_torch(const uint8_t *bytes, size_t size)
{
	return size > 4 &&
	       (memcmp(bytes, "PK\3\4", 4) == 0 ||
		(size > sizeof old_magic && memcmp(bytes, old_magic, sizeof old_magic) == 0));
}

hel_status hel_checkpoint_torch(hel_checkpoint *c, const uint8_t *bytes, size_t size,
				const char *key)
{
	hel_status st = HEL_OK;
	torch_file f = {.out = c, .key = key};
	c->container = "torch.save";
	c->ordered = true;
	TRY(bytes[0] == 'P' ? read_archive(&f, bytes, size) : read_old(&f, bytes, size));
done:
	hel_pickle_clear(&f.p);
	hel_zip_clear(&f.zip);
	hel_free(f.storage);
	return st;
}
