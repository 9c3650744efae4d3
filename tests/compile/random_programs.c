/* random_programs [COUNT]: hashes of the programs that random models are compiled to, one a line.
 * tools/programs compares them between two builds. */
#include "compile/compile.h"
#include "random_model.h"

static hel_status hash_program(uint8_t out[HEL_HASH_BYTES], const hel_dlrm *m)
{
	hel_status st = HEL_OK;
	const hel_compile_options o = {.name = "random"};
	hel_compile_report r = {.seconds = 0};
	hel_program *p = NULL;
	hel_writer w = {0};
	TRY(hel_compile(&p, &r, m, &o));
	TRY(hel_program_write(&w, p));
	hel_hash(out, w.bytes, w.size);
done:
	hel_compile_report_clear(&r);
	hel_program_free(p);
	hel_writer_clear(&w);
	return st;
}

int main(int argc, char **argv)
{
	const model_size small = {3, 20, 6, 30, 12, 9};
	const uint64_t count = argc > 1 ? strtoull(argv[1], NULL, 10) : 5;
	for (uint64_t i = 0; i < count; i++) {
		hel_prng g;
		uint8_t hash[HEL_HASH_BYTES] = {0};
		test_prng(&g, 1000 + i);
		hel_dlrm *m = random_model(&g, small, i % HEL_ACT_KINDS);
		const hel_status st = hash_program(hash, m);
		printf("random-%llu ", (unsigned long long)i);
		for (size_t b = 0; st == HEL_OK && b < HEL_HASH_BYTES; b++)
			printf("%02x", hash[b]);
		printf("%s\n", st == HEL_OK ? "" : hel_error_detail());
		hel_dlrm_free(m);
	}
	return 0;
}
