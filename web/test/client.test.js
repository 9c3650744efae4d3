// The package under node against a real server. HELRM_PACKAGE: where tools/web put it.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { webcrypto as crypto } from "node:crypto"; // node 18 has no other in modules
import { after, before, test } from "node:test";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { blake2b256 } from "./blake2b.js";
import { proxy, readFileSync, run, serve, writeFileSync } from "./server.js";

const at = resolve(process.env.HELRM_PACKAGE ?? "build-wasm/package");
const load = (file) => import(pathToFileURL(join(at, "src", file)).href);
const { HelrmError, fetchManifest, listModels, open } = await load("index.js");
const { Core } = await load("core.js");
const { STATUS } = await load("module.js");

let server, manifest;
// under node a test that failed must not keep its servers
before(async () => {
  server = await serve([], { datasets: ["heart", "movies"], films: true });
  manifest = await fetchManifest(server.url, "heart");
});
after(() => server.stop());

const close = (score, clear, within = 1e-3) =>
  assert.ok(Math.abs(score.logit - clear.logit) < within, `${score.logit}, in the clear ${JSON.stringify(clear)}`);

test("statuses are those of the header", () => {
  const header = readFileSync(new URL("../../include/helrm/status.h", import.meta.url), "utf8");
  assert.deepEqual(STATUS, [...header.matchAll(/X\(HEL_(\w+), "/g)].map((m) => m[1]));
});

for (const simd of [true, false])
  test(`heart, end to end, ${simd ? "SIMD128" : "scalar"}: the clear prediction`, async () => {
    const { Module } = await load("module.js"), { Access, Model, newSecret } = await load("library.js"), { Server } = await load("server.js");
    const m = await Module.load({ simd }), model = new Model(m, manifest, null, newSecret(m)), access = new Access(model);
    const to = new Server(server.url);
    await to.open(access);
    access.use();
    await to.upload(access);
    for (const n of [0, 100, 200]) {
      const { record, clear } = server.record(n), text = JSON.stringify([record]);
      close(model.scores(await to.predict(access, "heart", model.query(text, 0, 1)), 1)[0], clear);
    }
    await to.forget(access);
    assert.ok(m.memory.byteLength < 16 << 20, `${m.memory.byteLength} bytes of memory for ${access.size} of keys`);
  });

test("nothing of the secret is sent, and what is broken off goes on where it stood", async (t) => {
  let cuts = 0, sizes = [];
  const between = await proxy(server.url, {
    cut: (request, got) => request.method === "PATCH" && (sizes.push(got), cuts < 2 && got > 700000 && ++cuts),
  });
  t.after(() => between.stop());
  const secret = crypto.getRandomValues(new Uint8Array(32)), client = await open(manifest, { secret }), steps = [];
  const session = await client.createSession(between.url, { progress: (done) => steps.push(done) });
  assert.equal(cuts, 2);
  assert.equal(steps.at(-1), session.bytes);
  for (let i = 1; i < steps.length; i++) assert.ok(steps[i] >= steps[i - 1]);
  const { record, clear } = server.record(5), score = await client.query(record), seen = between.seen();
  close(score, clear);
  assert.ok(score.bits > 10 && score.queryBytes > 10000);
  // 8 bytes of the secret anywhere, as they are, in hexadecimal or base64; the numbers of the record
  for (let i = 0; i + 8 <= 32; i++) {
    const part = Buffer.from(secret.subarray(i, i + 8));
    for (const form of [part, part.toString("hex"), part.toString("base64").slice(0, 10)])
      assert.equal(seen.indexOf(form), -1, "a part of the secret was sent");
  }
  assert.equal(seen.indexOf(JSON.stringify(record).slice(1, 30)), -1);
  await client.close({ forget: true });
});

test("the best films for a user: those of the clear model, in its order", async () => {
  const films = await open(await fetchManifest(server.url, "films"));
  assert.ok(films.ranks && !films.columns.some(({ name }) => name === "item" || name === "genres"));
  await films.createSession(server.url);
  for (const row of [3, 40]) {
    const { user, clear } = server.ranking(row), logit = new Map(clear), top = await films.queryTop(user, 10), all = await films.queryTop(user, Infinity);
    assert.deepEqual([top.items.length, top.ranked, all.items.length], [10, clear.length, clear.length]);
    assert.equal(new Set(all.items.map(({ id }) => id)).size, clear.length);
    const within = 4 * top.error, spread = clear[0][1] - clear.at(-1)[1];
    assert.ok(within < spread / 50, `${within} of ${spread}`);
    for (const { items } of [top, all])
      items.forEach(({ id, logit: found, probability }, place) => {
        assert.ok(Math.abs(found - logit.get(id)) < within, `${id}: ${found}, in the clear ${logit.get(id)}`);
        assert.ok(Math.abs(logit.get(id) - clear[place][1]) < 2 * within, `place ${place}`);
        assert.ok(Math.abs(probability - 1 / (1 + Math.exp(-found))) < 1e-12);
      });
    assert.equal(top.doubts.text, "");
    assert.match(top.catalogue, /^[0-9a-f]{64}$/);
  }
  const { user: somebody, clear: order } = server.ranking(3), named = [order[5][0], order[2][0]];
  const few = await films.queryTop(somebody, 10, { candidates: named });
  assert.deepEqual(few.items.map(({ id }) => id).sort(), [...named].sort());
  await assert.rejects(films.queryTop(somebody, 10, { candidates: ["no such film"] }), HelrmError);
  await assert.rejects(films.queryTop(somebody, 10, { candidates: "x" }), HelrmError);
  const said = (code) => (e) => e instanceof HelrmError && e.code === code;
  const { user } = server.ranking(3), heart = await open(manifest);
  await heart.createSession(server.url);
  await assert.rejects(films.query(user), said("EMODEL"));
  await assert.rejects(heart.queryTop(server.record(3).record), said("EMODEL"));
  for (const k of [0, -1, NaN, "x"]) await assert.rejects(films.queryTop(user, k), said("EINVAL"));
  await Promise.all([films, heart].map((client) => client.close({ forget: true })));
});

test("a session goes on with its access", async () => {
  const secret = crypto.getRandomValues(new Uint8Array(32)), first = await open(manifest, { secret });
  const { access } = await first.createSession(server.url);
  await first.close();
  let sent = 0;
  const again = await open(manifest, { secret, pin: first.pin });
  await again.createSession(server.url, { access, count: ({ sent: bytes = 0 }) => (sent += bytes) });
  assert.equal(sent, 0); // neither keys nor a new session
  const { record, clear } = server.record(9);
  close(await again.query(record), clear);
  await again.close({ forget: true });
  // forgotten there: keys are sent anew
  const anew = await open(manifest, { secret });
  const session = await anew.createSession(server.url, { access });
  assert.notEqual(session.access, access);
  close(await anew.query(record), clear);
  await anew.close({ forget: true });
});

test("refusals: pin, damage, records, aborts, addresses", async () => {
  const refused = (code, detail) => (e) => e instanceof HelrmError && e.code === code && detail.test(e.detail);
  await assert.rejects(open(manifest, { pin: "00".repeat(32) }), refused("EMODEL", /pinned before/));
  await assert.rejects(open(manifest, { pin: "0" }), refused("EINVAL", /32 bytes/));
  const damaged = manifest.slice();
  damaged[500] ^= 1;
  await assert.rejects(open(damaged), refused("EHASH", /checksum/));
  await assert.rejects(open(manifest, { secret: new Uint8Array(31) }), refused("EINVAL", /32 bytes/));
  const client = await open(manifest);
  await assert.rejects(client.createSession("http://example.org"), refused("EINVAL", /https/));
  await assert.rejects(client.createSession(server.url, { signal: AbortSignal.abort() }), refused("aborted", /asked/));
  const stop = new AbortController();
  await assert.rejects(client.createSession(server.url, { signal: stop.signal, progress: () => stop.abort() }), refused("aborted", /asked/));
  await assert.rejects(client.createSession("http://127.0.0.1:9", { patience: 0.5 }), refused("network", /no answer/));
  await assert.rejects(client.query({}), refused("EINVAL", /createSession/));
  await client.createSession(server.url);
  await assert.rejects(client.query({ age: "?" }), refused("EDATA", /missing/));
  const { record } = server.record(3);
  const doubtful = await client.query({ ...record, age: 1000 });
  const { unknown, cut, unseen } = doubtful.doubts;
  assert.deepEqual([unknown, cut, unseen], [0, 1, 0]);
  assert.match(doubtful.doubts.text, /age is 1000/);
  await assert.rejects(fetchManifest(server.url, "nothing"), refused("no_model", /answers 404/));
  await client.close({ forget: true });
});

/** A container of the manifest's kind and version around a body, with its length and checksum. */
function container(body) {
  const file = new Uint8Array(16 + body.length + 32);
  file.set(manifest.subarray(0, 8));
  new DataView(file.buffer).setBigUint64(8, BigInt(file.length), true);
  file.set(body, 16);
  file.set(blake2b256(file.subarray(0, 16 + body.length)), 16 + body.length);
  return file;
}

test("hostile manifests with right checksums: each ends in one line, or in a client", async () => {
  const { readdirSync } = await import("node:fs"), corpus = new URL("../../tests/fuzz/corpus/manifest/", import.meta.url);
  const own = manifest.subarray(16, manifest.length - 32), counts = { clients: 0, refused: 0 };
  assert.deepEqual(container(own), Uint8Array.from(manifest));
  const bodies = [own, ...readdirSync(corpus).map((name) => readFileSync(new URL(name, corpus)))];
  for (const body of bodies)
    for (let i = 0; i < 150; i++) {
      const changed = Uint8Array.from(body);
      for (let k = 0; k < i % 3; k++) changed[(i * 7919 + k * 104729) % changed.length] = [0, 255, 128, i & 255][(i + k) & 3];
      try {
        await (await open(container(changed))).close();
        counts.clients++;
      } catch (e) {
        assert.ok(e instanceof HelrmError && e.code !== "internal" && e.detail, String(e.stack));
        counts.refused++;
      }
    }
  assert.ok(counts.clients > 50 && counts.refused > 50, JSON.stringify(counts));
});

test("the secret's file is that of helrm query, both ways", async () => {
  const secret = crypto.getRandomValues(new Uint8Array(32)), file = await Core.seal(secret, "correct horse");
  assert.deepEqual(await Core.unseal(file, "correct horse"), secret);
  await assert.rejects(Core.unseal(file, "wrong horse"), (e) => e.code === "EDENIED");
  const state = join(server.at, "state"), { mkdirSync } = await import("node:fs"), words = join(server.at, "words");
  mkdirSync(state, { mode: 0o700 });
  writeFileSync(join(state, "secret.key"), file, { mode: 0o600 });
  writeFileSync(words, "correct horse\n", { mode: 0o600 });
  const { clear } = server.record(11);
  const said = JSON.parse(run("query", "--server", server.url, "--model", "heart", "--input", join(server.at, "one.csv"), "--state", state,
    "--passphrase-file", words, "--json"));
  close(said.results[0], clear);
  // a file that the command made
  const theirs = join(server.at, "state2");
  run("query", "--server", server.url, "--model", "heart", "--input", join(server.at, "one.csv"), "--state", theirs, "--passphrase-file", words);
  assert.equal((await Core.unseal(readFileSync(join(theirs, "secret.key")), "correct horse")).length, 32);
});

test("where randomness is in node:crypto only, as in node 18", { skip: typeof globalThis.crypto !== "object" && "so it is here" }, () => {
  const program = join(server.at, "client.mjs");
  writeFileSync(program, `
    import { readFileSync } from "node:fs";
    import { fetchManifest, open } from ${JSON.stringify(pathToFileURL(join(at, "src/index.js")).href)};
    const client = await open(await fetchManifest("${server.url}", "heart"));
    await client.createSession("${server.url}");
    console.log(typeof globalThis.crypto, (await client.query(${JSON.stringify(server.record(4).record)})).logit);
    await client.close({ forget: true });`);
  const said = execFileSync(process.execPath, ["--no-experimental-global-webcrypto", program], { encoding: "utf8" });
  assert.match(said, /^undefined -?\d/);
  close({ logit: Number(said.split(" ")[1]) }, server.record(4).clear);
});

test("models, columns, and randomness from crypto.getRandomValues alone", async () => {
  const models = await listModels(server.url), client = await open(manifest), { Module } = await load("module.js");
  assert.equal(models.find(({ name }) => name === "heart").manifest, client.pin);
  assert.equal(client.columns.length, 13);
  assert.deepEqual(client.columns.find((c) => c.name === "sex").values, ["0", "1"]);
  const names = (await Module.load()).imports.map((i) => i.name);
  assert.ok(names.includes("helrm_random"));
  assert.deepEqual(names.filter((n) => /random|entropy|clock|time/.test(n)), ["helrm_random"]);
  await client.close();
});
