/* Rankings and candidates for the corpus. */
#include "corpus.h"
#include "fuzz_ranking.h"
#include "net/ranking_file.h"

/* Scores of one block: every fifth item is ranked. */
static void put_block(hel_writer *w, const hel_client *c, const hel_eval *ev, unsigned number)
{
	const hel_manifest *m = c->manifest;
	const size_t most = hel_ranked_items(m), places = (size_t)1 << m->log_batch;
	hel_complex slots[FUZZ_RANKING_N / 2] = {{0, 0}};
	uint8_t bits[FUZZ_RANKING_N / 8 + 1] = {0};
	hel_pt *pt;
	hel_ct *ct;
	for (size_t i = 0; i < most; i += 5)
		bits[i / 8] |= (uint8_t)(1u << i % 8);
	for (size_t s = 0; s < FUZZ_RANKING_N / 2; s++)
		if (m->items.batched)
			slots[s].re = (double)(s % places) / 4 - 0.5;
		else if (!hel_slot_is_known(s))
			slots[s] =
			    (hel_complex){(double)(s % 7) / 8 - 0.5, (double)(s % 5) / 8 - 0.25};
	hel_write_bytes(w, bits, (most + 7) / 8);
	for (size_t i = 0; i < most; i += 5) {
		char id[48];
		const bool shares = i > 0;
		snprintf(id, sizeof id, "film %u.%02zu", number, i);
		hel_write_u8(w, shares ? 7 : 0);
		hel_write_u8(w, (uint8_t)strlen(id + (shares ? 7 : 0)));
		hel_write_bytes(w, id + (shares ? 7 : 0), strlen(id + (shares ? 7 : 0)));
	}
	OK(hel_encode(&pt, c->params, slots, 0, HEL_FOR_ADD));
	OK(hel_ct_new(&ct, c->params));
	OK(hel_encrypt(ct, c->secret, pt));
	if (m->items.batched)
		OK(hel_ct_write_sampled(w, ev, ct, m->samples));
	else
		hel_ct_write(w, ct);
	hel_ct_free(ct);
	hel_pt_free(pt);
}

static void make_ranking(const char *name, uint8_t client, uint32_t blocks)
{
	const hel_client *c = fuzz_ranking_client(client);
	const uint8_t names[2 * HEL_HASH_BYTES + HEL_CLIENT_ID_BYTES] = {0};
	hel_writer w = {0}, whole = {0};
	hel_eval *ev;
	hel_ranking *r;
	OK(hel_eval_new(&ev, c->params, NULL, NULL));
	hel_write_u8(&w, client);
	hel_write_u32(&w, blocks);
	for (uint32_t b = 0; b < blocks; b++)
		put_block(&w, c, ev, b);
	OK(w.status);
	save(name, w.bytes, w.size);
	hel_container_begin(&whole, HEL_KIND_RANKING);
	hel_write_bytes(&whole, names, sizeof names);
	hel_write_bytes(&whole, w.bytes + 1, w.size - 1);
	OK(hel_container_end(&whole));
	OK(hel_client_rank(&r, c, whole.bytes, whole.size));
	hel_ranking_free(r);
	hel_writer_clear(&whole);
	hel_writer_clear(&w);
	hel_eval_free(ev);
}

void make_rankings(void)
{
	make_ranking("ranking/none.bin", 0, 0);
	make_ranking("ranking/one.bin", 0, 1);
	make_ranking("ranking/two.bin", 0, 2);
	make_ranking("ranking/batches.bin", 1, 2);
	save_text("candidates/list.txt", "1\n2\r\n\n12\n39");
	save_text("candidates/ranges.txt", "2..9\n5..40\n1..1\n");
	save_text("candidates/alike.txt", "7..8\n3, 4\n17..18\n6..8\n007..0009\n");
	save_text("candidates/none.txt", "\n\n");
	save_text("candidates/beyond.txt", "0..4\n1..41\n99999999999999999999..4\nnobody\n");
}
