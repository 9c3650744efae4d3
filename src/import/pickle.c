#include "pickle.h"
#include <string.h>

#define MOST ((size_t)1 << 22) /* of values, cells, memos, names */
#define MARK UINT32_MAX
#define NO_CELL UINT32_MAX
#define NAME_MOST 512 /* bytes of a class's name and its module's */

enum {
	OP_PROTO = 0x80,
	OP_NEWOBJ = 0x81,
	OP_TUPLE1 = 0x85,
	OP_TUPLE3 = 0x87,
	OP_NEWTRUE = 0x88,
	OP_NEWFALSE = 0x89,
	OP_LONG1 = 0x8a,
	OP_LONG4 = 0x8b,
	OP_SHORT_BINUNICODE = 0x8c,
	OP_BINUNICODE8 = 0x8d,
	OP_BINBYTES8 = 0x8e,
	OP_EMPTY_SET = 0x8f,
	OP_ADDITEMS = 0x90,
	OP_FROZENSET = 0x91,
	OP_NEWOBJ_EX = 0x92,
	OP_STACK_GLOBAL = 0x93,
	OP_MEMOIZE = 0x94,
	OP_FRAME = 0x95
};

/* --- growing arrays ---------------------------------------------------------------- */

static hel_status grow(void **array, size_t *room, size_t used, size_t size)
{
	hel_status st = HEL_OK;
	void *more = NULL;
	if (used < *room)
		return st;
	if (used >= MOST)
		FAIL(HEL_ELIMIT, "weights: a pickle of more than %zu values", MOST);
	const size_t room_then = HEL_MAX(2 * *room, (size_t)256);
	TRY_ALLOC(more, hel_alloc(room_then, size));
	if (used)
		memcpy(more, *array, used * size);
	hel_free(*array);
	*array = more;
	*room = room_then;
done:
	return st;
}

static hel_status push(hel_pickle *p, uint32_t value)
{
	hel_status st = grow((void **)&p->stack, &p->stack_room, p->depth, sizeof *p->stack);
	if (st == HEL_OK)
		p->stack[p->depth++] = value;
	return st;
}

static hel_status make(hel_pickle *p, hel_pickle_value v)
{
	hel_status st = grow((void **)&p->value, &p->value_room, p->values, sizeof *p->value);
	v.first = v.last = NO_CELL;
	if (st == HEL_OK) {
		p->value[p->values++] = v;
		st = push(p, (uint32_t)p->values - 1);
	}
	return st;
}

static hel_status make_kind(hel_pickle *p, hel_pickle_kind kind)
{
	return make(p, (hel_pickle_value){.kind = kind});
}

static hel_status append(hel_pickle *p, uint32_t to, uint32_t item)
{
	hel_status st = grow((void **)&p->cell, &p->cell_room, p->cells, sizeof *p->cell);
	if (st != HEL_OK)
		return st;
	hel_pickle_value *v = &p->value[to];
	const uint32_t at = (uint32_t)p->cells++;
	p->cell[at] = (hel_pickle_cell){item, NO_CELL};
	if (v->count++)
		p->cell[v->last].next = at;
	else
		v->first = at;
	v->last = at;
	return HEL_OK;
}

/* --- the stack ------------------------------------------------------------------------ */

static hel_status malformed(const char *what)
{
	return hel_fail(HEL_EFORMAT, "weights: a malformed pickle: %s", what);
}

static hel_status pop(uint32_t *out, hel_pickle *p)
{
	if (!p->depth || p->stack[p->depth - 1] == MARK)
		return malformed("its stack is empty");
	*out = p->stack[--p->depth];
	return HEL_OK;
}

/* The place after the last mark. */
static hel_status find_mark(size_t *out, const hel_pickle *p)
{
	size_t at = p->depth;
	while (at && p->stack[at - 1] != MARK)
		at--;
	*out = at;
	return at ? HEL_OK : malformed("it has no mark");
}

/* What stands from `begin` on becomes the items of `to`; then the stack ends before `end`. */
static hel_status take_items(hel_pickle *p, uint32_t to, size_t begin, size_t end)
{
	hel_status st = HEL_OK;
	for (size_t i = begin; i < p->depth; i++)
		TRY(append(p, to, p->stack[i]));
	p->depth = end;
done:
	return st;
}

/* A new value of what stands from `begin` on, in place of what stands from `end` on. */
static hel_status collect(hel_pickle *p, hel_pickle_kind kind, size_t begin, size_t end)
{
	hel_status st = HEL_OK;
	uint32_t made = 0;
	TRY(make_kind(p, kind));
	TRY(pop(&made, p));
	TRY(take_items(p, made, begin, end));
	TRY(push(p, made));
done:
	return st;
}

static hel_status collect_last(hel_pickle *p, hel_pickle_kind kind, size_t count)
{
	if (p->depth < count)
		return malformed("its stack is empty");
	for (size_t i = p->depth - count; i < p->depth; i++)
		if (p->stack[i] == MARK)
			return malformed("its stack is empty");
	return collect(p, kind, p->depth - count, p->depth - count);
}

static hel_status collect_marked(hel_pickle *p, hel_pickle_kind kind)
{
	size_t at;
	hel_status st = find_mark(&at, p);
	return st == HEL_OK ? collect(p, kind, at, at - 1) : st;
}

/* Adds what stands from `begin` on to the list, dictionary or object below `below`. */
static hel_status extend(hel_pickle *p, size_t begin, size_t below)
{
	if (!below || p->stack[below - 1] == MARK)
		return malformed("nothing to add to");
	const uint32_t to = p->stack[below - 1];
	const hel_pickle_kind kind = p->value[to].kind;
	if (kind == HEL_PICKLE_SEQUENCE || kind == HEL_PICKLE_DICT)
		return take_items(p, to, begin, below);
	p->depth = below; /* a set, or an object of a class of its own */
	return HEL_OK;
}

static hel_status extend_marked(hel_pickle *p)
{
	size_t at;
	hel_status st = find_mark(&at, p);
	return st == HEL_OK ? extend(p, at, at - 1) : st;
}

static hel_status extend_last(hel_pickle *p, size_t count)
{
	if (p->depth < count + 1)
		return malformed("its stack is empty");
	for (size_t i = p->depth - count; i < p->depth; i++)
		if (p->stack[i] == MARK)
			return malformed("its stack is empty");
	return extend(p, p->depth - count, p->depth - count);
}

/* --- texts ------------------------------------------------------------------------------ */

static hel_status text(hel_pickle *p, hel_reader *r, uint64_t size)
{
	if (size > hel_reader_left(r))
		return hel_fail(HEL_ETRUNC, "weights: a pickle that ends within a text");
	const uint8_t *at = hel_read_bytes(r, (size_t)size);
	return make(p, (hel_pickle_value){.kind = HEL_PICKLE_TEXT,
					  .text = (const char *)at,
					  .size = (size_t)size});
}

/* "module name" */
static hel_status global(hel_pickle *p, const char *module, size_t module_size, const char *name,
			 size_t name_size)
{
	hel_status st = HEL_OK;
	char *both = NULL;
	if (module_size + name_size > NAME_MOST)
		FAIL(HEL_ELIMIT, "weights: a pickle with a name of more than %d bytes", NAME_MOST);
	TRY(grow((void **)&p->name, &p->name_room, p->names, sizeof *p->name));
	TRY_ALLOC(both, hel_alloc(module_size + name_size + 2, 1));
	memcpy(both, module, module_size);
	both[module_size] = ' ';
	memcpy(both + module_size + 1, name, name_size);
	p->name[p->names++] = both;
	TRY(make(p, (hel_pickle_value){.kind = HEL_PICKLE_GLOBAL,
				       .text = both,
				       .size = module_size + name_size + 1}));
done:
	return st;
}

static const char *line(size_t *size, hel_reader *r)
{
	const uint8_t *at = r->at, *end = memchr(at, '\n', hel_reader_left(r));
	if (!end)
		return NULL;
	*size = (size_t)(end - at);
	(void)hel_read_bytes(r, *size + 1);
	return (const char *)at;
}

static hel_status global_in_lines(hel_pickle *p, hel_reader *r)
{
	size_t module_size, name_size;
	const char *module = line(&module_size, r), *name = module ? line(&name_size, r) : NULL;
	return name ? global(p, module, module_size, name, name_size)
		    : hel_fail(HEL_ETRUNC, "weights: a pickle that ends within a name");
}

static hel_status global_on_stack(hel_pickle *p)
{
	hel_status st = HEL_OK;
	uint32_t name = 0, module = 0;
	TRY(pop(&name, p));
	TRY(pop(&module, p));
	const hel_pickle_value *m = &p->value[module], *n = &p->value[name];
	if (m->kind != HEL_PICKLE_TEXT || n->kind != HEL_PICKLE_TEXT)
		TRY(malformed("a name that is no text"));
	TRY(global(p, m->text, m->size, n->text, n->size));
done:
	return st;
}

/* --- numbers --------------------------------------------------------------------------- */

static hel_status integer(hel_pickle *p, int64_t v)
{
	return make(p, (hel_pickle_value){.kind = HEL_PICKLE_INTEGER, .integer = v});
}

/* Little-endian, in two's complement; longer than 8 bytes it is of no use here. */
static hel_status long_integer(hel_pickle *p, hel_reader *r, uint64_t size)
{
	if (size > hel_reader_left(r))
		return hel_fail(HEL_ETRUNC, "weights: a pickle that ends within a number");
	const uint8_t *at = hel_read_bytes(r, (size_t)size);
	if (size > 8)
		return make_kind(p, HEL_PICKLE_OTHER);
	uint64_t v = size && at[size - 1] >> 7 ? UINT64_MAX : 0;
	for (size_t i = (size_t)size; i-- > 0;)
		v = v << 8 | at[i];
	return integer(p, (int64_t)v);
}

static hel_status big_endian_float(hel_pickle *p, hel_reader *r)
{
	uint64_t bits = 0;
	double v;
	for (int i = 0; i < 8; i++)
		bits = bits << 8 | hel_read_u8(r);
	memcpy(&v, &bits, sizeof v);
	return make(p, (hel_pickle_value){.kind = HEL_PICKLE_FLOAT, .number = v});
}

/* --- the memo --------------------------------------------------------------------------- */

static hel_status put(hel_pickle *p, size_t at)
{
	hel_status st = HEL_OK;
	if (!p->depth || p->stack[p->depth - 1] == MARK)
		TRY(malformed("nothing to remember"));
	if (at >= MOST)
		FAIL(HEL_ELIMIT, "weights: a pickle of more than %zu values", MOST);
	while (p->memos <= at) {
		TRY(grow((void **)&p->memo, &p->memo_room, p->memos, sizeof *p->memo));
		p->memo[p->memos++] = MARK;
	}
	p->memo[at] = p->stack[p->depth - 1];
done:
	return st;
}

static hel_status get(hel_pickle *p, size_t at)
{
	if (at >= p->memos || p->memo[at] == MARK)
		return malformed("it recalls what it has not kept");
	return push(p, p->memo[at]);
}

/* --- objects -------------------------------------------------------------------------------- */

/* Dictionaries by another name are what they hold. */
static hel_status reduce(hel_pickle *p)
{
	hel_status st = HEL_OK;
	if (p->depth >= 2 && p->stack[p->depth - 2] != MARK) {
		const hel_pickle_value *f = &p->value[p->stack[p->depth - 2]];
		if (hel_pickle_is(f, HEL_PICKLE_GLOBAL, "collections OrderedDict") ||
		    hel_pickle_is(f, HEL_PICKLE_GLOBAL, "collections defaultdict")) {
			p->depth -= 2;
			return make_kind(p, HEL_PICKLE_DICT);
		}
	}
	TRY(collect_last(p, HEL_PICKLE_OBJECT, 2));
done:
	return st;
}

/* The state of an object; of a dictionary it says nothing. */
static hel_status build(hel_pickle *p)
{
	hel_status st = HEL_OK;
	uint32_t state = 0, object = 0;
	TRY(pop(&state, p));
	TRY(pop(&object, p));
	if (p->value[object].kind == HEL_PICKLE_OBJECT)
		TRY(append(p, object, state));
	TRY(push(p, object));
done:
	return st;
}

static hel_status drop_marked(hel_pickle *p)
{
	size_t at;
	hel_status st = find_mark(&at, p);
	if (st == HEL_OK)
		p->depth = at - 1;
	return st;
}

static hel_status duplicate(hel_pickle *p)
{
	return p->depth && p->stack[p->depth - 1] != MARK ? push(p, p->stack[p->depth - 1])
							  : malformed("its stack is empty");
}

/* --- opcodes --------------------------------------------------------------------------------- */

static hel_status run_number_or_text(hel_pickle *p, hel_reader *r, uint8_t op)
{
	switch (op) {
	case 'J':
		return integer(p, (int32_t)hel_read_u32(r));
	case 'K':
		return integer(p, hel_read_u8(r));
	case 'M':
		return integer(p, hel_read_u16(r));
	case OP_LONG1:
		return long_integer(p, r, hel_read_u8(r));
	case OP_LONG4:
		return long_integer(p, r, hel_read_u32(r));
	case 'G':
		return big_endian_float(p, r);
	case 'U': /* SHORT_BINSTRING */
	case 'C': /* SHORT_BINBYTES */
	case OP_SHORT_BINUNICODE:
		return text(p, r, hel_read_u8(r));
	case 'X': /* BINUNICODE */
	case 'T': /* BINSTRING */
	case 'B': /* BINBYTES */
		return text(p, r, hel_read_u32(r));
	case OP_BINUNICODE8:
	case OP_BINBYTES8:
		return text(p, r, hel_read_u64(r));
	default:
		return hel_fail(
		    HEL_EUNSUPPORTED,
		    "weights: a pickle with opcode 0x%02x, which no checkpoint needs; save "
		    "the model's state_dict()",
		    op);
	}
}

static hel_status run_object(hel_pickle *p, hel_reader *r, uint8_t op)
{
	switch (op) {
	case 'c':
		return global_in_lines(p, r);
	case OP_STACK_GLOBAL:
		return global_on_stack(p);
	case 'R': /* REDUCE */
	case OP_NEWOBJ:
		return reduce(p);
	case OP_NEWOBJ_EX:
		return collect_last(p, HEL_PICKLE_OBJECT, 3);
	case 'b': /* BUILD */
		return build(p);
	case 'Q': /* BINPERSID */
		return collect_last(p, HEL_PICKLE_STORED, 1);
	case 'q': /* BINPUT */
		return put(p, hel_read_u8(r));
	case 'r': /* LONG_BINPUT */
		return put(p, hel_read_u32(r));
	case OP_MEMOIZE:
		return put(p, p->memos);
	case 'h': /* BINGET */
		return get(p, hel_read_u8(r));
	case 'j': /* LONG_BINGET */
		return get(p, hel_read_u32(r));
	default:
		return run_number_or_text(p, r, op);
	}
}

static hel_status run(hel_pickle *p, hel_reader *r, uint8_t op)
{
	switch (op) {
	case OP_PROTO:
		(void)hel_read_u8(r);
		return HEL_OK;
	case OP_FRAME:
		(void)hel_read_u64(r);
		return HEL_OK;
	case '(':
		return push(p, MARK);
	case '0': { /* POP */
		uint32_t gone;
		return pop(&gone, p);
	}
	case '1': /* POP_MARK */
		return drop_marked(p);
	case '2': /* DUP */
		return duplicate(p);
	case 'N':
	case OP_EMPTY_SET:
		return make_kind(p, HEL_PICKLE_OTHER);
	case OP_NEWTRUE:
	case OP_NEWFALSE:
		return integer(p, op == OP_NEWTRUE);
	case ')':
	case ']':
		return make_kind(p, HEL_PICKLE_SEQUENCE);
	case '}':
		return make_kind(p, HEL_PICKLE_DICT);
	case 't':
	case 'l':
		return collect_marked(p, HEL_PICKLE_SEQUENCE);
	case OP_TUPLE1:
	case OP_TUPLE1 + 1:
	case OP_TUPLE3:
		return collect_last(p, HEL_PICKLE_SEQUENCE, op - OP_TUPLE1 + 1U);
	case OP_FROZENSET:
		return collect_marked(p, HEL_PICKLE_OTHER);
	case 'd':
		return collect_marked(p, HEL_PICKLE_DICT);
	case 'a': /* APPEND */
		return extend_last(p, 1);
	case 's': /* SETITEM */
		return extend_last(p, 2);
	case 'e': /* APPENDS */
	case 'u': /* SETITEMS */
	case OP_ADDITEMS:
		return extend_marked(p);
	default:
		return run_object(p, r, op);
	}
}

hel_status hel_pickle_run(hel_pickle *p, hel_reader *r)
{
	hel_status st = HEL_OK;
	p->depth = p->memos = 0;
	for (;;) {
		const uint8_t op = hel_read_u8(r);
		TRY(r->status);
		if (op == '.')
			break;
		TRY(run(p, r, op));
		TRY(r->status);
	}
	TRY(pop(&p->root, p));
done:
	return st;
}

void hel_pickle_clear(hel_pickle *p)
{
	for (size_t i = 0; i < p->names; i++)
		hel_free(p->name[i]);
	hel_free(p->name);
	hel_free(p->value);
	hel_free(p->cell);
	hel_free(p->stack);
	hel_free(p->memo);
	*p = (hel_pickle){0};
}

/* --- values ----------------------------------------------------------------------------------- */

const hel_pickle_value *hel_pickle_item(const hel_pickle *p, const hel_pickle_value *v, size_t i)
{
	if (!v || i >= v->count)
		return NULL;
	uint32_t at = v->first;
	while (i--)
		at = p->cell[at].next;
	return &p->value[p->cell[at].value];
}

bool hel_pickle_is(const hel_pickle_value *v, hel_pickle_kind kind, const char *words)
{
	return v && v->kind == kind && v->size == strlen(words) &&
	       memcmp(v->text, words, v->size) == 0;
}

const hel_pickle_value *hel_pickle_get(const hel_pickle *p, const hel_pickle_value *dict,
				       const char *key)
{
	if (!dict || dict->kind != HEL_PICKLE_DICT)
		return NULL;
	const hel_pickle_value *found = NULL;
	for (uint32_t at = dict->first, i = 0; i + 1 < dict->count; i += 2) {
		const uint32_t value = p->cell[at].next;
		if (hel_pickle_is(&p->value[p->cell[at].value], HEL_PICKLE_TEXT, key))
			found = &p->value[p->cell[value].value];
		at = p->cell[value].next;
	}
	return found;
}
