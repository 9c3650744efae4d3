#include "base/json.h"
#include "base/base.h"
#include "base/text.h"
#include <math.h>
#include <string.h>

#define DEPTH_MAX 32
#define MEMBERS_MAX 4096 /* of one object: each name is compared with all before */
#define BLOCK_VALUES_MAX 8192

/* Values stand in blocks, so that they never move. */
typedef struct block {
	struct block *next;
	size_t used, room;
	hel_json_value value[];
} block;

struct hel_json {
	char *text; /* a copy, in which texts are decoded in place */
	size_t size;
	block *blocks;
	hel_json_value *root;
};

typedef struct parser {
	hel_json *json;
	char *at, *end;
	unsigned line, depth;
} parser;

void hel_json_free(hel_json *json)
{
	if (!json)
		return;
	for (block *b = json->blocks; b;) {
		block *next = b->next;
		hel_free_secret(b, sizeof *b + b->room * sizeof *b->value);
		b = next;
	}
	hel_free_secret(json->text, json->size);
	hel_free(json);
}

static hel_status wrong(const parser *p, const char *what)
{
	return hel_fail(HEL_EFORMAT, "line %u: %s", p->line, what);
}

static hel_status new_value(hel_json_value **out, parser *p)
{
	block *b = p->json->blocks;
	if (!b || b->used == b->room) {
		const size_t room = b ? HEL_MIN(2 * b->room, BLOCK_VALUES_MAX) : 16;
		block *more = hel_alloc(1, sizeof *more + room * sizeof *more->value);
		if (!more)
			return hel_fail(HEL_ENOMEM, "out of memory for JSON");
		*more = (block){.next = b, .room = room};
		p->json->blocks = b = more;
	}
	*out = &b->value[b->used++];
	return HEL_OK;
}

/* The next character that is no blank; 0 at the end. */
static char peek(parser *p)
{
	for (; p->at < p->end; p->at++) {
		if (*p->at == '\n')
			p->line++;
		else if (*p->at != ' ' && *p->at != '\t' && *p->at != '\r')
			return *p->at;
	}
	return 0;
}

static bool take(parser *p, char c)
{
	if (peek(p) != c)
		return false;
	p->at++;
	return true;
}

/* --- texts ------------------------------------------------------------------- */

static hel_status read_hex(uint32_t *out, parser *p)
{
	*out = 0;
	for (int i = 0; i < 4; i++, p->at++) {
		const char c = p->at < p->end ? *p->at : 0;
		const int digit = c >= '0' && c <= '9'	 ? c - '0'
				  : c >= 'a' && c <= 'f' ? c - 'a' + 10
				  : c >= 'A' && c <= 'F' ? c - 'A' + 10
							 : -1;
		if (digit < 0)
			return wrong(p, "\\u without four hexadecimal digits");
		*out = *out << 4 | (uint32_t)digit;
	}
	return HEL_OK;
}

/* Behind \u. In UTF-8 it is shorter. */
static hel_status read_code(char **to, parser *p)
{
	hel_status st = HEL_OK;
	uint32_t code, low;
	TRY(read_hex(&code, p));
	if (code >= 0xd800 && code < 0xdc00 && p->end - p->at >= 2 && p->at[0] == '\\' &&
	    p->at[1] == 'u') {
		p->at += 2;
		TRY(read_hex(&low, p));
		code = low >= 0xdc00 && low < 0xe000
			   ? 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00)
			   : 0;
	}
	if (!code || (code >= 0xd800 && code < 0xe000))
		return wrong(p, "a character that does not exist");
	const unsigned more = code < 0x80 ? 0 : code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
	static const uint8_t mark[] = {0, 0xc0, 0xe0, 0xf0};
	*(*to)++ = (char)(mark[more] | code >> (6 * more));
	for (unsigned i = more; i--;)
		*(*to)++ = (char)(0x80 | (code >> (6 * i) & 0x3f));
done:
	return st;
}

static hel_status read_escape(char **to, parser *p)
{
	static const char name[] = "\"\\/bfnrt", is[] = "\"\\/\b\f\n\r\t";
	const char c = p->at < p->end ? *p->at++ : 0;
	if (c == 'u')
		return read_code(to, p);
	const char *found = c ? strchr(name, c) : NULL;
	if (!found)
		return wrong(p, "an escape that does not exist");
	*(*to)++ = is[found - name];
	return HEL_OK;
}

/* Zero-ended, in place: decoded texts are never longer. */
static hel_status read_text(const char **out, parser *p)
{
	hel_status st = HEL_OK;
	if (!take(p, '"'))
		return wrong(p, "a text in quotes is expected");
	char *to = p->at, *const start = to;
	for (;;) {
		const unsigned char c = p->at < p->end ? (unsigned char)*p->at++ : 0;
		if (c == '"')
			break;
		if (c < 0x20)
			return wrong(p, "a control character or the end inside a text");
		if (c == '\\')
			TRY(read_escape(&to, p));
		else
			*to++ = (char)c;
	}
	*to = 0;
	if (!hel_is_utf8(start))
		return wrong(p, "a text that is not UTF-8");
	*out = start;
done:
	return st;
}

/* --- other values ------------------------------------------------------------ */

static char *digits(char *at)
{
	while (*at >= '0' && *at <= '9')
		at++;
	return at;
}

/* The copy is zero-ended, so that looking ahead stays inside. */
static hel_status read_number(double *out, parser *p)
{
	char *at = p->at + (*p->at == '-'), *end;
	bool good = *at >= '0' && *at <= '9';
	at = *at == '0' ? at + 1 : digits(at);
	if (*at == '.') {
		good = good && at[1] >= '0' && at[1] <= '9';
		at = digits(at + 1);
	}
	if (*at == 'e' || *at == 'E') {
		at += at[1] == '+' || at[1] == '-' ? 2 : 1;
		good = good && *at >= '0' && *at <= '9';
		at = digits(at);
	}
	*out = hel_number_of(p->at, &end);
	if (!good || end != at)
		return wrong(p, "a value is expected");
	if (!isfinite(*out))
		return wrong(p, "a number is too large");
	p->at = at;
	return HEL_OK;
}

static bool take_word(parser *p, const char *word)
{
	const size_t n = strlen(word);
	if ((size_t)(p->end - p->at) < n || memcmp(p->at, word, n) != 0)
		return false;
	p->at += n;
	return true;
}

static hel_status read_value(hel_json_value *v, parser *p);

static hel_status read_name(hel_json_value *v, const hel_json_value *object, parser *p)
{
	hel_status st = HEL_OK;
	TRY(read_text(&v->name, p));
	if (!take(p, ':'))
		return wrong(p, "':' is expected");
	if (object->count == MEMBERS_MAX)
		return wrong(p, "an object has too many members");
	for (const hel_json_value *other = object->first; other; other = other->next)
		if (strcmp(other->name, v->name) == 0)
			return hel_fail(HEL_EFORMAT, "line %u: duplicate member '%.40s'", p->line,
					v->name);
done:
	return st;
}

static hel_status read_list(hel_json_value *list, parser *p, char close)
{
	hel_status st = HEL_OK;
	hel_json_value **next = &list->first, *v = NULL;
	p->at++;
	if (++p->depth > DEPTH_MAX)
		return wrong(p, "arrays and objects are too deep");
	if (take(p, close))
		goto closed;
	do {
		TRY(new_value(&v, p));
		if (close == '}')
			TRY(read_name(v, list, p));
		TRY(read_value(v, p));
		*next = v;
		next = &v->next;
		list->count++;
	} while (take(p, ','));
	if (!take(p, close))
		return wrong(p, close == '}' ? "',' or '}' is expected" : "',' or ']' is expected");
closed:
	p->depth--;
done:
	return st;
}

static hel_status read_value(hel_json_value *v, parser *p)
{
	const char c = peek(p);
	if (c == '{' || c == '[') {
		v->kind = c == '{' ? HEL_JSON_OBJECT : HEL_JSON_ARRAY;
		return read_list(v, p, c == '{' ? '}' : ']');
	}
	if (c == '"') {
		v->kind = HEL_JSON_TEXT;
		return read_text(&v->text, p);
	}
	if (c && take_word(p, "null"))
		return HEL_OK;
	if (c && (take_word(p, "true") || take_word(p, "false"))) {
		v->kind = p->at[-2] == 'u' ? HEL_JSON_TRUE : HEL_JSON_FALSE;
		return HEL_OK;
	}
	v->kind = HEL_JSON_NUMBER;
	return read_number(&v->number, p);
}

hel_status hel_json_read(hel_json **out, const void *text, size_t size)
{
	hel_status st = HEL_OK;
	hel_json *json = NULL;
	TRY_ALLOC(json, hel_alloc(1, sizeof *json));
	TRY_ALLOC(json->text, hel_alloc_raw(size + 1, 1));
	json->size = size;
	if (size)
		memcpy(json->text, text, size);
	json->text[size] = 0;
	parser p = {json, json->text, json->text + size, 1, 0};
	TRY(new_value(&json->root, &p));
	if (peek(&p) != '{' && peek(&p) != '[')
		FAIL(HEL_EFORMAT, "line %u: '{' or '[' is expected", p.line);
	TRY(read_value(json->root, &p));
	if (peek(&p) || p.at != p.end)
		FAIL(HEL_EFORMAT, "line %u: something stands behind the end", p.line);
	*out = json;
	json = NULL;
done:
	hel_json_free(json);
	return st;
}

/* --- looking at it ----------------------------------------------------------- */

const hel_json_value *hel_json_root(const hel_json *json)
{
	return json ? json->root : NULL;
}

const hel_json_value *hel_json_member(const hel_json_value *object, const char *name)
{
	if (!object || object->kind != HEL_JSON_OBJECT)
		return NULL;
	const hel_json_value *v = object->first;
	while (v && strcmp(v->name, name) != 0)
		v = v->next;
	return v;
}

const char *hel_json_text(const hel_json_value *object, const char *name)
{
	const hel_json_value *v = hel_json_member(object, name);
	return v ? v->text : NULL;
}

bool hel_json_integer(uint64_t *out, const hel_json_value *object, const char *name, uint64_t most)
{
	const hel_json_value *v = hel_json_member(object, name);
	if (!v || v->kind != HEL_JSON_NUMBER || !(v->number >= 0) || v->number > 0x1p53 ||
	    v->number != floor(v->number) || (uint64_t)v->number > most)
		return false;
	*out = (uint64_t)v->number;
	return true;
}
