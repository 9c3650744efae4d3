// The calls of include/helrm/client.h that a client makes, as objects. Each is of one Module.
import { HelrmError } from "./error.js";

export const SECRET_BYTES = 32;
// module.c holds them to the structs; a hel_ranked_item is an address and two doubles
const SCORE_BYTES = 24, DOUBTS_BYTES = 12 + 256, HASH_BYTES = 32;

export function newSecret(m) {
  return m.room(SECRET_BYTES, (at) => (m.call("hel_secret_new", at), m.copy(at, SECRET_BYTES)));
}
/** A file as `helrm query` keeps it; passphrase null: in the clear. */
export function sealSecret(m, secret, passphrase) {
  if (secret.length !== SECRET_BYTES) throw new HelrmError("EINVAL", `a secret has ${SECRET_BYTES} bytes`);
  return m.put(secret, (at) => m.put(passphrase, (text) => m.taken("hel_secret_seal", at, text)));
}
export function unsealSecret(m, file, passphrase) {
  return m.room(SECRET_BYTES, (secret) => m.put(file, (at, size) => m.put(passphrase, (text) => {
    m.call("hel_secret_unseal", secret, at, size, text);
    return m.copy(secret, SECRET_BYTES);
  })));
}

const hex = (bytes) => Array.from(bytes, (b) => b.toString(16).padStart(2, "0")).join("");
function pinOf(pin) {
  if (typeof pin !== "string") return pin ?? null;
  if (!/^[0-9a-f]{64}$/i.test(pin)) throw new HelrmError("EINVAL", "a pin has 32 bytes, 64 hexadecimal digits");
  return Uint8Array.from(pin.match(/../g), (pair) => parseInt(pair, 16));
}

/** hel_client: a checked manifest with a secret. */
export class Model {
  constructor(m, manifest, pin, secret) {
    const bytes = pinOf(pin);
    if (bytes && bytes.length !== 32) throw new HelrmError("EINVAL", "a pin has 32 bytes");
    this.m = m;
    this.at = m.put(manifest, (at, size) => m.put(bytes, (pinned) => m.put(secret, (key) =>
      m.made("hel_client_open", at, size, pinned, key))));
    this.pin = hex(m.room(32, (at) => (m.exports.hel_client_pin(at, this.at), m.copy(at, 32))));
    this.parameters = hex(m.room(32, (at) => (m.exports.hel_client_parameters(at, this.at), m.copy(at, 32))));
    this.name = m.text(m.exports.hel_client_model(this.at));
    this.batch = m.exports.hel_client_batch(this.at);
    this.ranks = Boolean(m.exports.hel_client_ranks(this.at));
  }
  free() {
    this.m.exports.hel_client_free(this.at);
    this.at = 0;
  }
  /** Of a form: hel_client_columns. */
  columns() {
    return JSON.parse(new TextDecoder().decode(this.m.taken("hel_client_columns", this.at)).replace(/\0$/, ""));
  }
  query(text, first, count) {
    return this.m.put(text, (at, size) => this.m.taken("hel_client_query_batch", this.at, at, size, first, count));
  }
  count(text) {
    return this.m.put(text, (at, size) => this.m.made("hel_client_count", this.at, at, size));
  }
  /** What of a record its query does not carry as it is. */
  doubts(text, record) {
    const { m } = this;
    return m.put(text, (at, size) => m.room(DOUBTS_BYTES, (out) => {
      m.call("hel_client_doubts", out, this.at, at, size, record);
      return { unknown: m.get(out), cut: m.get(out + 4), unseen: m.get(out + 8), text: m.text(out + 12) };
    }));
  }
  scores(result, count) {
    const { m } = this;
    return m.put(result, (at, size) => m.room(count * SCORE_BYTES, (out) => {
      m.call("hel_client_score_batch", out, count, this.at, at, size);
      const view = m.view();
      return Array.from({ length: count }, (_, i) => ({
        logit: view.getFloat64(out + i * SCORE_BYTES, true),
        probability: view.getFloat64(out + i * SCORE_BYTES + 8, true),
        bits: view.getFloat64(out + i * SCORE_BYTES + 16, true),
      }));
    }));
  }
  /** The query for some items only: ids, or "FROM..TO", which the server reads. */
  narrow(query, candidates) {
    return this.m.put(query, (at, size) => this.m.put(candidates.join("\n"), (text, length) =>
      this.m.taken("hel_client_candidates", this.at, at, size, text, length)));
  }
  /** The first k items of a ranking, by falling score. */
  rank(result, k) {
    const { m } = this;
    return m.put(result, (at, size) => {
      const ranking = m.made("hel_client_rank", this.at, at, size), { exports } = m;
      try {
        const ranked = exports.hel_ranking_count(ranking), view = m.view();
        const items = Array.from({ length: Math.min(k, ranked) }, (_, i) => {
          const item = exports.hel_ranking_item(ranking, i);
          return { id: m.text(m.get(item)), logit: view.getFloat64(item + 8, true), probability: view.getFloat64(item + 16, true) };
        });
        const catalogue = m.room(HASH_BYTES, (out) => (exports.hel_ranking_catalogue(out, ranking), m.copy(out, HASH_BYTES)));
        return { items, ranked, error: exports.hel_ranking_error(ranking), catalogue: hex(catalogue) };
      } finally { exports.hel_ranking_free(ranking); }
    });
  }
}

/** hel_access: one upload of evaluation keys. */
export class Access {
  constructor(model, text) {
    const { m } = model;
    this.m = m;
    this.model = model;
    this.at = text === undefined ? m.made("hel_access_new", model.at, 0)
      : m.put(text, (at, size) => m.made("hel_access_read", at, size));
    if (!m.exports.hel_access_covers(this.at, model.at)) {
      this.free();
      throw new HelrmError("EKEY", "this access holds no keys for the model");
    }
  }
  free() {
    this.m.exports.hel_access_free(this.at);
    this.at = 0;
  }
  get text() { return new TextDecoder().decode(this.m.taken("hel_access_write", this.at)).replace(/\0$/, ""); }
  get request() { return new TextDecoder().decode(this.m.taken("hel_access_request", this.at)).replace(/\0$/, ""); }
  get token() { return this.m.text(this.m.exports.hel_access_token(this.at)); }
  set(server, token) {
    this.m.put(server, (at) => this.m.call("hel_access_set_server", this.at, at));
    this.m.put(token, (at) => this.m.call("hel_access_set_token", this.at, at));
  }
  /** The model's queries are of this access from here on. */
  use() { this.m.call("hel_client_use", this.model.at, this.at); }
  get size() { return Number(this.m.exports.hel_access_keys_size(this.at, this.model.at)); }
  /** The keys, generated as they are asked for: views that live until the next one. */
  *keys() {
    const { m } = this, source = m.made("hel_access_keys_begin", this.at, this.model.at);
    try {
      for (;;) {
        const [bytes, size] = m.room(8, (at) => (m.call("hel_access_keys_next", at, at + 4, source), [m.get(at), m.get(at + 4)]));
        if (!size) return;
        yield m.bytes(bytes, size);
      }
    } finally { m.exports.hel_access_keys_end(source); }
  }
}
