#include "import_config.h"
#include "features/cells.h"
#include <ctype.h>
#include <string.h>

hel_import_config hel_import_config_default(void)
{
	return (hel_import_config){.activation = {HEL_ACT_RELU, 0, 0},
				   .architecture = HEL_ARCHITECTURES,
				   .batchnorm_eps = 1e-5,
				   .output = -1};
}

static hel_status wrong(const char *key, const char *expected)
{
	return hel_fail(HEL_EFORMAT, "import config: '%s' must be %s", key, expected);
}

/* One of `words`, numbered from 1; 0 when the key is missing. */
static hel_status word(int *out, const json_t *o, const char *key, const char *const *words)
{
	char expected[96] = "";
	const json_t *v = json_object_get(o, key);
	const char *text = json_string_value(v);
	*out = 0;
	for (int i = 0; words[i]; i++) {
		snprintf(expected + strlen(expected), sizeof expected - strlen(expected),
			 "%s\"%s\"", i ? words[i + 1] ? ", " : " or " : "", words[i]);
		if (text && strcmp(text, words[i]) == 0)
			*out = i + 1;
	}
	return v && !*out ? wrong(key, expected) : HEL_OK;
}

static hel_status yes(hel_yes *out, const json_t *o, const char *key)
{
	const json_t *v = json_object_get(o, key);
	if (v && !json_is_boolean(v))
		return wrong(key, "true or false");
	*out = !v ? HEL_YES_UNSAID : json_is_true(v) ? HEL_YES : HEL_NO;
	return HEL_OK;
}

/* "LeakyReLU", "leaky-relu" and "leaky_relu" are one word. */
static void plain_word(char out[32], const char *text)
{
	size_t n = 0;
	for (; *text && n < 31; text++)
		if (*text != '_' && *text != '-' && *text != ' ')
			out[n++] = (char)tolower((unsigned char)*text);
	out[n] = 0;
}

/* Our name of what PyTorch calls so; the text itself where there is none. */
static const char *kind_named(const char *text)
{
	char given[32], own[32];
	plain_word(given, text);
	if (strcmp(given, "swish") == 0)
		return hel_activation_name(HEL_ACT_SILU);
	if (strcmp(given, "none") == 0 || strcmp(given, "linear") == 0)
		return "identity";
	for (hel_activation_kind k = 0; k < HEL_ACT_KINDS; k++) {
		plain_word(own, hel_activation_name(k));
		if (strcmp(given, own) == 0)
			return hel_activation_name(k);
	}
	return strcmp(given, "identity") == 0 ? "identity" : text;
}

/* PyTorch's arguments: nn.LeakyReLU(negative_slope), nn.ELU(alpha), nn.GELU(approximate). */
static void take_arguments(json_t *o)
{
	static const char *const of_a[] = {"negative_slope", "alpha"};
	for (size_t i = 0; i < HEL_ARRAY_LEN(of_a); i++)
		if (json_object_get(o, of_a[i]) && !json_object_get(o, "a")) {
			json_object_set(o, "a", json_object_get(o, of_a[i]));
			json_object_del(o, of_a[i]);
		}
	const char *approximate = json_string_value(json_object_get(o, "approximate")),
		   *kind = json_string_value(json_object_get(o, "kind"));
	if (approximate && kind && strcmp(kind, "gelu") == 0 && strcmp(approximate, "tanh") == 0) {
		json_object_set_new(o, "kind", json_string("gelu_tanh"));
		json_object_del(o, "approximate");
	}
}

hel_status hel_import_activation(hel_activation *out, bool *none, const json_t *v)
{
	hel_status st = HEL_OK;
	json_t *o = json_is_string(v) ? json_pack("{s:O}", "kind", v) : json_copy((json_t *)v);
	const char *kind = json_string_value(json_object_get(o, "kind"));
	if (!kind)
		TRY(wrong("activation", "a word, or an object with 'kind'"));
	kind = kind_named(kind);
	json_object_set_new(o, "kind", json_string(kind));
	take_arguments(o);
	kind = json_string_value(json_object_get(o, "kind"));
	if (strcmp(kind, "prelu") == 0)
		FAIL(HEL_EUNSUPPORTED,
		     "import config: the slopes of 'prelu' are tensors of the file, and are read "
		     "from it; the activation named here is that of all other layers");
	*none = strcmp(kind, "identity") == 0;
	if (!*none)
		TRY(hel_activation_read(out, o));
done:
	json_decref(o);
	return st;
}

/* {"bot_l": ["Linear", "ReLU", ...]} */
static hel_status check_layers(const json_t *o)
{
	const json_t *layers = json_object_get(o, "layers"), *list;
	const char *key;
	if (layers && !json_is_object(layers))
		return wrong("layers", "an object of arrays: what is in each nn.Sequential");
	json_object_foreach((json_t *)layers, key, list) if (!json_is_array(list)) return wrong(
	    "layers", "an object of arrays: what is in each nn.Sequential");
	return HEL_OK;
}

const json_t *hel_import_layers(const hel_import_config *c, const char *prefix)
{
	return json_object_get(json_object_get(c->root, "layers"), prefix);
}

static hel_status check_texts(const json_t *o, const char *key)
{
	const json_t *v = json_object_get(o, key);
	const json_t *name;
	size_t i;
	if (v && !json_is_array(v))
		return wrong(key, "an array of texts");
	json_array_foreach((json_t *)v, i,
			   name) if (!json_is_string(name)) return wrong(key, "an array of texts");
	return HEL_OK;
}

static hel_status check_text(const json_t *o, const char *key)
{
	const json_t *v = json_object_get(o, key);
	return v && !json_is_string(v) ? wrong(key, "a text") : HEL_OK;
}

static hel_status check_keys(const json_t *o)
{
	static const char *const known[] = {
	    "architecture",	"activation",	 "bottom_last_activation",
	    "interaction",	"ignore",	 "qr_operation",
	    "interaction_self", "batchnorm_eps", "output",
	    "tables",		"layers",	 "order",
	    "prefix",		"state_dict",	 "polynomials"};
	const char *key;
	json_t *value;
	json_object_foreach((json_t *)o, key, value)
	{
		size_t i = 0;
		while (i < HEL_ARRAY_LEN(known) && strcmp(known[i], key) != 0)
			i++;
		if (i == HEL_ARRAY_LEN(known))
			return hel_fail(HEL_EFORMAT,
					"import config: unknown key '%.40s'; docs/import.md lists "
					"what is known",
					key);
	}
	return HEL_OK;
}

static hel_status numbers_from(hel_import_config *c, const json_t *o)
{
	const json_t *eps = json_object_get(o, "batchnorm_eps"),
		     *output = json_object_get(o, "output");
	if (eps) {
		c->batchnorm_eps = json_number_value(eps);
		if (!json_is_number(eps) || !(c->batchnorm_eps > 0 && c->batchnorm_eps < 1))
			return wrong("batchnorm_eps", "a number between 0 and 1");
	}
	if (output) {
		const json_int_t v = json_integer_value(output);
		if (!json_is_integer(output) || v < 0 || v >= HEL_MAX_WIDTH)
			return wrong("output", "the number of an output, from 0");
		c->output = (int)v;
	}
	return HEL_OK;
}

static hel_status config_from(hel_import_config *c)
{
	static const char *const interactions[] = {"cat", "dot", NULL};
	static const char *const operations[] = {"mult", "add", "concat", NULL};
	static const char *const orders[] = {"lower", "upper", NULL};
	hel_status st = HEL_OK;
	const json_t *o = c->root;
	int number;
	TRY(check_keys(o));
	c->activation_said = json_object_get(o, "activation");
	if (c->activation_said)
		TRY(hel_import_activation(&c->activation, &c->no_activation,
					  json_object_get(o, "activation")));
	TRY(check_layers(o));
	TRY(word(&number, o, "order", orders));
	c->order = (hel_order)number;
	TRY(yes(&c->bottom_last_activation, o, "bottom_last_activation"));
	TRY(yes(&c->interaction_self, o, "interaction_self"));
	TRY(word(&number, o, "interaction", interactions));
	c->interaction = (hel_interaction)number;
	TRY(word(&number, o, "qr_operation", operations));
	c->qr_operation = (hel_qr_operation)number;
	const json_t *architecture = json_object_get(o, "architecture");
	if (architecture) {
		c->architecture = json_is_string(architecture)
				      ? hel_architecture_by_name(json_string_value(architecture))
				      : HEL_ARCHITECTURES;
		if (c->architecture == HEL_ARCHITECTURES)
			TRY(wrong("architecture", HEL_ARCHITECTURE_NAMES));
	}
	TRY(numbers_from(c, o));
	TRY(check_texts(o, "ignore"));
	TRY(check_texts(o, "tables"));
	TRY(check_text(o, "prefix"));
	TRY(check_text(o, "state_dict"));
done:
	return st;
}

hel_status hel_import_config_read(hel_import_config *out, const char *text, size_t size)
{
	hel_status st = HEL_OK;
	json_error_t error;
	hel_import_config c = hel_import_config_default();
	const char *foreign = hel_skip_mark(&text, &size);
	if (foreign)
		FAIL(HEL_EFORMAT, "import config: %s, expected UTF-8", foreign);
	c.root = json_loadb(text, size, JSON_REJECT_DUPLICATES, &error);
	if (!c.root)
		FAIL(HEL_EFORMAT, "import config, line %d: %s", error.line, error.text);
	if (!json_is_object(c.root))
		FAIL(HEL_EFORMAT, "import config: expected a JSON object");
	TRY(config_from(&c));
	*out = c;
	c.root = NULL;
done:
	hel_import_config_clear(&c);
	return st;
}

const char *hel_import_said(const hel_import_config *c, const char *key)
{
	return json_string_value(json_object_get(c->root, key));
}

void hel_import_config_clear(hel_import_config *c)
{
	json_decref(c->root);
	c->root = NULL;
}

bool hel_import_ignores(const hel_import_config *c, const char *name)
{
	const json_t *ignored = json_object_get(c->root, "ignore"), *v;
	size_t i;
	json_array_foreach((json_t *)ignored, i, v)
	{
		const char *text = json_string_value(v);
		if (strncmp(name, text, strlen(text)) == 0)
			return true;
	}
	return false;
}
