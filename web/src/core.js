// A client as a whole, on whatever thread this is: index.js puts it into a worker where there are any.
import { HelrmError } from "./error.js";
import { Access, Model, SECRET_BYTES, newSecret, sealSecret, unsealSecret } from "./library.js";
import { Module } from "./module.js";
import { Server, addressOf } from "./server.js";
import * as store from "./store.js";

let loading;
/** One module for all: a failed load is tried again. */
const module = (options) => (loading ??= Module.load(options).catch((e) => { loading = undefined; throw e; }));

const SECRET_FILE = "secret.key";

/** The secret that options name: bytes of the caller; { file, passphrase }: a sealed file of the caller; { passphrase }:
 *  kept here under it, made on first use; none: a new one, which nobody keeps. */
async function secretOf(m, secret) {
  if (!secret) return newSecret(m);
  if (secret instanceof Uint8Array) {
    if (secret.length !== SECRET_BYTES) throw new HelrmError("EINVAL", `a secret has ${SECRET_BYTES} bytes, not ${secret.length}`);
    return secret.slice();
  }
  const { file, passphrase } = secret;
  if (file) return unsealSecret(m, file, passphrase);
  if (typeof passphrase !== "string" || !passphrase) throw new HelrmError("EINVAL", "a stored secret needs a passphrase");
  const kept = await store.read(SECRET_FILE);
  if (kept) return unsealSecret(m, kept, passphrase);
  const made = newSecret(m);
  if (await store.add(SECRET_FILE, sealSecret(m, made, passphrase))) return made;
  return unsealSecret(m, await store.read(SECRET_FILE), passphrase); // another tab was first
}

export class Core {
  static async open(manifest, { pin, secret, module: options } = {}) {
    const m = await module(options), core = new Core(), key = await secretOf(m, secret);
    core.m = m;
    core.kept = Boolean(secret && !(secret instanceof Uint8Array) && !secret.file); // in IndexedDB
    try { core.model = new Model(m, manifest, pin, key); } finally { key.fill(0); }
    core.sent = 0;
    return core;
  }
  static async hasSecret() { return Boolean(await store.read(SECRET_FILE)); }
  static async forgetSecret() { await store.remove(SECRET_FILE); }
  static async seal(secret, passphrase) { return sealSecret(await module(), secret, passphrase); }
  static async unseal(file, passphrase) { return unsealSecret(await module(), file, passphrase); }

  /** What a page needs to know. */
  describe() {
    const { name, pin, parameters, batch } = this.model;
    return { model: name, pin, parameters, batch, simd: this.m.simd, ...this.model.columns(), memoryBytes: this.m.memory.byteLength };
  }

  accessName(address) { return `servers/${encodeURIComponent(address)}/${this.model.parameters}.access`; }

  /** The access of before, where it fits: of the caller, or kept here. */
  async accessOf(address, text) {
    const kept = text ?? (this.kept ? await store.read(this.accessName(address)) : undefined);
    if (!kept) return undefined;
    try {
      const access = new Access(this.model, typeof kept === "string" ? kept : new TextDecoder().decode(kept));
      if (access.token && JSON.parse(access.text).server === address) return access;
      access.free();
    } catch (e) {
      if (text) throw e;
    }
    return undefined;
  }

  async openSession(server, text) {
    const access = await this.accessOf(server.address, text);
    if (access) return access;
    const fresh = new Access(this.model);
    try {
      await server.open(fresh);
      if (this.kept) await store.write(this.accessName(server.address), new TextEncoder().encode(fresh.text));
    } catch (e) { fresh.free(); throw e; }
    return fresh;
  }

  /** Opens or takes up a session, and uploads what is missing. An access that the server does not know any more is
   *  replaced, once. */
  async createSession(address, { progress, signal, apiKey, access: text, patience, count } = {}) {
    const server = new Server(address, { apiKey, signal, patience, count });
    const model = await server.nameOf(this.model.pin);
    for (let first = true; ; first = false) {
      const access = await this.openSession(server, first ? text : undefined);
      try {
        access.use();
        await server.upload(access, progress);
        this.access?.free();
        Object.assign(this, { access, session: { address: server.address, apiKey, model, patience } });
        return { access: access.text, bytes: access.size };
      } catch (e) {
        access.free();
        if (!first || e.status !== 401) throw e;
        await store.remove(this.accessName(server.address));
      }
    }
  }

  /** Records, objects of columns or a text as the data set is published, to what `read` makes of their result. */
  async ask(records, read, { signal, count, candidates } = {}) {
    if (!this.access) throw new HelrmError("EINVAL", "createSession() comes first");
    const text = typeof records === "string" ? records : JSON.stringify(records), n = this.model.count(text);
    const doubts = Array.from({ length: n }, (_, i) => this.model.doubts(text, i));
    const begun = performance.now(), whole = this.model.query(text, 0, n);
    const query = candidates ? this.model.narrow(whole, candidates) : whole, encrypted = performance.now();
    const { address, apiKey, model, patience } = this.session;
    const result = await new Server(address, { apiKey, signal, patience, count }).predict(this.access, model, query);
    const answered = performance.now(), said = read(result, doubts), done = performance.now();
    return {
      ...said, queryBytes: query.length, resultBytes: result.length, query: query.slice(0, 256),
      milliseconds: { encrypt: encrypted - begun, server: answered - encrypted, decrypt: done - answered },
    };
  }
  /** Scores of records. */
  async query(records, hooks) {
    if (this.model.ranks) throw new HelrmError("EMODEL", `'${this.model.name}' ranks items: queryTop() asks it`);
    return this.ask(records, (result, doubts) => ({ scores: this.model.scores(result, doubts.length).map((s, i) => ({ ...s, doubts: doubts[i] })) }), hooks);
  }
  /** The best items for one record. */
  async queryTop(records, k, hooks = {}) {
    if (!this.model.ranks) throw new HelrmError("EMODEL", `'${this.model.name}' scores records one by one: query() asks it`);
    if (!(k >= 1)) throw new HelrmError("EINVAL", "k is a number from 1 on");
    const { candidates } = hooks;
    if (candidates && !(Array.isArray(candidates) && candidates.every((id) => typeof id === "string")))
      throw new HelrmError("EINVAL", "candidates are a list of texts");
    return this.ask(records, (result, doubts) => ({ ...this.model.rank(result, Math.floor(k)), doubts: doubts[0] }), hooks);
  }

  /** forget: the server removes keys, results and session. */
  async close({ forget = false } = {}) {
    if (forget && this.access) {
      const { address, apiKey } = this.session;
      await new Server(address, { apiKey }).forget(this.access);
      await store.remove(this.accessName(address));
    }
    this.access?.free();
    this.access = undefined;
    this.model?.free();
    this.model = undefined;
  }
}
export { addressOf };
