/* Models of other libraries: what torch.save writes, weights by their names, words of --config. */
#include "corpus.h"
#include <string.h>

/* --- what torch.save writes ------------------------------------------------------------ */

static void pickle_text(hel_writer *w, const char *text)
{
	hel_write_u8(w, 'X');
	hel_write_u32(w, (uint32_t)strlen(text));
	hel_write_bytes(w, text, strlen(text));
}

static void pickle_line(hel_writer *w, const char *text)
{
	hel_write_bytes(w, text, strlen(text));
}

/* key: _rebuild_tensor_v2(storage, 0, sizes, strides, False, OrderedDict()) */
static void pickle_tensor(hel_writer *w, const char *name, const char *storage, uint8_t rows,
			  uint8_t columns)
{
	pickle_text(w, name);
	pickle_line(w, "ctorch._utils\n_rebuild_tensor_v2\n((");
	pickle_text(w, "storage");
	pickle_line(w, "ctorch\nFloatStorage\n");
	pickle_text(w, storage);
	pickle_text(w, "cpu");
	const uint8_t count[] = {'K', (uint8_t)(rows * columns), 't', 'Q', 'K', 0};
	hel_write_bytes(w, count, sizeof count);
	const uint8_t shape[] = {'K', rows, 'K', columns, 0x86, 'K', columns, 'K', 1, 0x86, 0x89};
	hel_write_bytes(w, shape, sizeof shape);
	pickle_line(w, "ccollections\nOrderedDict\n)RtR");
}

static void pickle_state(hel_writer *w)
{
	hel_write_u8(w, 0x80);
	hel_write_u8(w, 2);
	hel_write_u8(w, '}');
	pickle_line(w, "q");
	hel_write_u8(w, 0);
	pickle_line(w, "(");
	pickle_text(w, "epoch");
	pickle_line(w, "K");
	hel_write_u8(w, 3);
	pickle_text(w, "state_dict");
	pickle_line(w, "ccollections\nOrderedDict\n)R(");
	pickle_tensor(w, "module.top_l.0.weight", "0", 4, 6);
	pickle_tensor(w, "module.top_l.0.bias", "1", 4, 1);
	pickle_line(w, "uu.");
}

/* A module of its own class, with a module in it. */
static void pickle_module(hel_writer *w)
{
	hel_write_u8(w, 0x80);
	hel_write_u8(w, 2);
	pickle_line(w, "c__main__\nNet\n)");
	hel_write_u8(w, 0x81);
	pickle_line(w, "}(");
	pickle_text(w, "_parameters");
	pickle_line(w, "}(");
	pickle_tensor(w, "weight", "0", 6, 4);
	pickle_line(w, "u");
	pickle_text(w, "_modules");
	pickle_line(w, "}");
	pickle_text(w, "inner");
	pickle_line(w, "c__main__\nNet\n)");
	hel_write_u8(w, 0x81);
	pickle_line(w, "}(");
	pickle_text(w, "_modules");
	pickle_line(w, "}");
	pickle_text(w, "_parameters");
	pickle_line(w, "}");
	pickle_tensor(w, "bias", "1", 2, 2);
	pickle_line(w, "sub");
	pickle_line(w, "sub.");
}

/* Before PyTorch 1.6: magic, protocol, system, what was saved, storages. */
static void old_file(hel_writer *w)
{
	static const uint8_t front[] = {0x80, 2,    0x8a, 10,	0x6c, 0xfc, 0x9c, 0x46, 0xf9,
					0x20, 0x6a, 0xa8, 0x50, 0x19, '.',  0x80, 2,	'M',
					0xe9, 3,    '.',  0x80, 2,    '}',  '.'};
	hel_write_bytes(w, front, sizeof front);
	pickle_state(w);
	pickle_line(w, "](");
	pickle_text(w, "0");
	pickle_text(w, "1");
	pickle_line(w, "e.");
	for (uint64_t count = 24; count; count = count == 24 ? 4 : 0) {
		hel_write_u64(w, count);
		for (uint64_t i = 0; i < count; i++)
			hel_write_f32(w, (float)i);
	}
}

static void make_checkpoint(void)
{
	static const struct {
		const char *name;
		void (*make)(hel_writer *w);
	} files[] = {{"checkpoint/state.pkl", pickle_state},
		     {"checkpoint/module.pkl", pickle_module},
		     {"checkpoint/old.pt", old_file}};
	for (size_t i = 0; i < HEL_ARRAY_LEN(files); i++) {
		hel_writer w = {0};
		files[i].make(&w);
		OK(w.status);
		save(files[i].name, w.bytes, w.size);
		hel_writer_clear(&w);
	}
}

static void make_import_config(void)
{
	save_text("import_config/all.json",
		  "{\"activation\": {\"kind\": \"LeakyReLU\", \"negative_slope\": 0.2}, "
		  "\"bottom_last_activation\": false,\n \"interaction\": \"dot\", "
		  "\"interaction_self\": true, \"qr_operation\": \"mult\", \"order\": \"upper\", "
		  "\"architecture\": \"deepfm\",\n \"tables\": [\"t_a\", \"t_b\"], \"layers\": "
		  "{\"bot_l\": [\"Linear\", \"ReLU\"]}, \"output\": 1,\n \"batchnorm_eps\": 1e-3, "
		  "\"prefix\": \"model.\", \"state_dict\": \"net\", \"ignore\": [\"loss\"]}\n");
	save_text("import_config/word.json", "{\"activation\": \"gelu\"}");
}

/* Weights of a foreign model and what their rows stand for. */
static void make_import(void)
{
	static const char *const table[] = {"sex",   "cp",    "fbs", "restecg",
					    "exang", "slope", "ca",  "thal"};
	static const char *const dense[] = {"age", "trestbps", "chol", "thalach", "oldpeak"};
	char text[4096], header[4096];
	size_t n =
	    (size_t)snprintf(text, sizeof text, "{\"dataset\":\"heart\",\"clip\":3,\"dense\":[");
	for (size_t i = 0; i < 5; i++)
		n += (size_t)snprintf(text + n, sizeof text - n,
				      "%s{\"name\":\"%s\",\"mean\":1,\"deviation\":2}",
				      i ? "," : "", dense[i]);
	n += (size_t)snprintf(text + n, sizeof text - n, "],\"tables\":[");
	for (size_t i = 0; i < 8; i++)
		n += (size_t)snprintf(text + n, sizeof text - n,
				      "%s{\"name\":\"%s\",\"values\":[\"2\",\"\",\"1\"]}",
				      i ? "," : "", table[i]);
	snprintf(text + n, sizeof text - n, "]}");
	unsigned at = 0;
	n = (size_t)snprintf(header, sizeof header, "{");
	for (size_t i = 0; i < 8; i++, at += 12)
		n += (size_t)snprintf(header + n, sizeof header - n,
				      "\"emb_l.%zu.weight\":{\"dtype\":\"F32\",\"shape\":[3,1],"
				      "\"data_offsets\":[%u,%u]},",
				      i, at, at + 12);
	snprintf(header + n, sizeof header - n,
		 "\"top_l.0.weight\":{\"dtype\":\"F32\",\"shape\":[1,13],\"data_offsets\":[%u,%u]},"
		 "\"top_l.0.bias\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[%u,%u]}}",
		 at, at + 52, at + 52, at + 56);
	hel_writer w = {0};
	hel_write_u32(&w, (uint32_t)strlen(text));
	hel_write_bytes(&w, text, strlen(text));
	hel_write_u64(&w, strlen(header));
	hel_write_bytes(&w, header, strlen(header));
	for (unsigned i = 0; i < (at + 56) / 4; i++)
		hel_write_f32(&w, (float)i / 16 - 1);
	OK(w.status);
	save("import/heart.bin", w.bytes, w.size);
	hel_writer_clear(&w);
}

/* Small models of every form, of two tables and a dense value. */
typedef struct foreign {
	const char *name;
	unsigned rows, columns; /* 0: a vector */
} foreign;

static void save_foreign(const char *name, const char *text, const foreign *tensor, size_t count)
{
	char header[4096] = "{";
	unsigned at = 0;
	hel_writer w = {0};
	for (size_t i = 0; i < count; i++) {
		const foreign *t = &tensor[i];
		const unsigned end = at + 4 * t->rows * (t->columns ? t->columns : 1);
		const size_t n = strlen(header);
		if (t->columns)
			snprintf(header + n, sizeof header - n,
				 "%s\"%s\":{\"dtype\":\"F32\",\"shape\":[%u,%u],"
				 "\"data_offsets\":[%u,%u]}",
				 i ? "," : "", t->name, t->rows, t->columns, at, end);
		else
			snprintf(header + n, sizeof header - n,
				 "%s\"%s\":{\"dtype\":\"F32\",\"shape\":[%u],\"data_offsets\":[%u,"
				 "%u]}",
				 i ? "," : "", t->name, t->rows, at, end);
		at = end;
	}
	hel_write_u32(&w, (uint32_t)strlen(text));
	hel_write_bytes(&w, text, strlen(text));
	hel_write_u64(&w, strlen(header) + 1);
	hel_write_bytes(&w, header, strlen(header));
	hel_write_bytes(&w, "}", 1);
	for (unsigned i = 0; i < at / 4; i++)
		hel_write_f32(&w, (float)(i % 7) / 4 - 0.5F);
	OK(w.status);
	save(name, w.bytes, w.size);
	hel_writer_clear(&w);
}

static void make_forms(void)
{
	static const char own[] =
	    "{\"columns\":{\"helrm_columns\":1,\"name\":\"own\",\"columns\":["
	    "{\"name\":\"d\",\"kind\":\"dense\"},"
	    "{\"name\":\"cat_0\",\"kind\":\"category\",\"values\":\"modulo\",\"modulo\":3},"
	    "{\"name\":\"cat_1\",\"kind\":\"bag\",\"values\":\"listed\",\"limit\":2}]},"
	    "\"clip\":3,\"tables\":[{\"name\":\"cat_0\",\"missing\":1},"
	    "{\"name\":\"cat_1\",\"values\":[\"a\",\"\",null,\"b\"]}]}";
	static const foreign
	    dlrm[] = {{"bot_l.0.weight", 4, 1},	     {"bot_l.0.bias", 4, 0},
		      {"bot_l.1.weight", 4, 0},	     {"bot_l.1.running_mean", 4, 0},
		      {"bot_l.1.running_var", 4, 0}, {"emb_l.0.weight_q", 2, 2},
		      {"emb_l.0.weight_r", 2, 2},    {"emb_l.1.embs.weight", 4, 1},
		      {"emb_l.1.proj.weight", 4, 1}, {"v_W_l.0", 3, 0},
		      {"top_l.0.weight", 2, 7},	     {"top_l.1.weight", 1, 0},
		      {"top_l.2.weight", 1, 2}},
	    torchrec[] = {{"sparse_arch.embedding_bag_collection.embedding_bags.t_cat_0.weight", 3,
			   2},
			  {"sparse_arch.embedding_bag_collection.embedding_bags.t_cat_1.weight", 4,
			   2},
			  {"dense_arch.model._mlp.0._linear.weight", 2, 1},
			  {"dense_arch.model._mlp.0._linear.bias", 2, 0},
			  {"inter_arch.crossnet.W_kernels.0", 6, 1},
			  {"inter_arch.crossnet.V_kernels.0", 1, 6},
			  {"inter_arch.crossnet.bias.0", 6, 0},
			  {"over_arch.model.0._mlp.0._linear.weight", 2, 6},
			  {"over_arch.model.1.weight", 1, 2}},
	    deepctr[] = {{"embedding_dict.cat_0.weight", 3, 2},
			 {"embedding_dict.cat_1.weight", 4, 2},
			 {"linear_model.weight", 1, 1},
			 {"linear_model.embedding_dict.cat_0.weight", 3, 1},
			 {"linear_model.embedding_dict.cat_1.weight", 4, 1},
			 {"out.bias", 1, 0}},
	    machine[] = {{"embedding.embedding.weight", 7, 2},
			 {"mlp.mlp.0.weight", 2, 4},
			 {"mlp.mlp.0.bias", 2, 0},
			 {"mlp.mlp.1.weight", 2, 0},
			 {"mlp.mlp.1.bias", 2, 0},
			 {"mlp.mlp.1.running_mean", 2, 0},
			 {"mlp.mlp.1.running_var", 2, 0},
			 {"mlp.mlp.4.weight", 1, 2}};
	save_foreign("import/dlrm.bin", own, dlrm, HEL_ARRAY_LEN(dlrm));
	save_foreign("import/torchrec.bin", own, torchrec, HEL_ARRAY_LEN(torchrec));
	save_foreign("import/deepctr.bin", own, deepctr, HEL_ARRAY_LEN(deepctr));
	save_foreign("import/pytorch_fm.bin", own, machine, HEL_ARRAY_LEN(machine));
}

void make_foreign_models(void)
{
	make_checkpoint();
	make_import_config();
	make_import();
	make_forms();
}
