// A server, by fetch: what src/net/client/remote.c does with libcurl. Nothing here knows a secret.
import { HelrmError } from "./error.js";
import { crypto } from "./module.js";

const PIECE = 2 << 20; // of an upload, sent at once
const ANSWER_MAX = 128 << 20; // of a manifest; results are far smaller
const WAIT_SECONDS = 30;

/** https://host[:port][/path] without a slash at its end; http:// to this machine only. */
export function addressOf(server) {
  let url;
  try { url = new URL(server); } catch { throw new HelrmError("EINVAL", `'${server}' is no address`); }
  const local = ["localhost", "127.0.0.1", "[::1]"].includes(url.hostname);
  if (url.protocol !== "https:" && !(url.protocol === "http:" && local))
    throw new HelrmError("EINVAL", "plain HTTP to another machine shows your session's token to everyone on the way: use https://");
  if (url.username || url.password) throw new HelrmError("EINVAL", `the server is '${url.host}', not what stands before the @`);
  return (url.origin + url.pathname).replace(/\/+$/, "");
}

function checkModel(name) {
  if (!/^[A-Za-z0-9._@-]{1,64}$/.test(name)) throw new HelrmError("EINVAL", `'${name}' is no name of a model`);
  return name;
}

const forTheMoment = (answer) => !answer.status || [429, 502, 503].includes(answer.status);

export class Server {
  /** patience: seconds to try again without any progress; limit: seconds for one prediction. */
  constructor(address, { apiKey, patience = 60, limit = 3600, signal, count } = {}) {
    this.address = addressOf(address);
    Object.assign(this, { apiKey, patience, limit, signal, count });
  }

  aborted() { return new HelrmError("aborted", "as asked"); }

  /** One request; status 0 where there was no answer. */
  async once(method, path, { token, body, headers = {} } = {}) {
    const all = { ...headers };
    if (token) all.Authorization = `Bearer ${token}`;
    if (this.apiKey) all["X-API-Key"] = this.apiKey;
    if (body && !all["Content-Type"]) all["Content-Type"] = "application/octet-stream";
    if (this.signal?.aborted) throw this.aborted();
    this.count?.({ method, path, sent: body ? body.length : 0 });
    try {
      // nothing of a page goes along: no cookies, no address of it; and what a token gets stays in no cache
      const answer = await fetch(this.address + path, { method, headers: all, body, signal: this.signal, credentials: "omit",
        redirect: "error", referrerPolicy: "no-referrer", cache: "no-store" });
      const said = Number(answer.headers.get("Content-Length") ?? 0);
      if (said > ANSWER_MAX) throw new HelrmError("ELIMIT", `${this.address} answers ${said} bytes`);
      const bytes = new Uint8Array(await answer.arrayBuffer());
      this.count?.({ method, path, received: bytes.length });
      return { status: answer.status, bytes, retryAfter: Number(answer.headers.get("Retry-After") ?? 0) || 0 };
    } catch (e) {
      if (this.signal?.aborted) throw this.aborted();
      if (e instanceof HelrmError) throw e;
      return { status: 0, bytes: new Uint8Array(0), retryAfter: 0, why: String(e.cause?.message ?? e.message) };
    }
  }

  json(answer) {
    try { return JSON.parse(new TextDecoder().decode(answer.bytes)); } catch { return {}; }
  }

  refusal(answer) {
    const { code, detail } = this.json(answer);
    return new HelrmError(typeof code === "string" ? code : "refused",
      `${this.address} answers ${answer.status}: ${typeof detail === "string" ? detail : "it gave no reason"}`, answer.status);
  }

  async sleep(seconds) {
    if (this.signal?.aborted) throw this.aborted();
    await new Promise((resolve, reject) => {
      const done = () => (clearTimeout(timer), this.signal?.removeEventListener("abort", stop));
      const stop = () => (done(), reject(this.aborted()));
      const timer = setTimeout(() => (done(), resolve()), seconds * 1000);
      this.signal?.addEventListener("abort", stop);
    });
  }

  /** Pauses that grow, until `patience` seconds have brought no progress. */
  pauses() {
    let since = performance.now(), pause = 0.1;
    return {
      renew: () => { since = performance.now(); pause = 0.1; },
      after: async (answer) => {
        const wait = Math.max(pause * (0.5 + Math.random()), Math.min(answer.retryAfter, 3600));
        if ((performance.now() - since) / 1000 + wait > this.patience)
          throw answer.status ? this.refusal(answer)
            : new HelrmError("network", `no answer from ${this.address} for ${this.patience} s: ${answer.why}`);
        pause = Math.min(pause * 2, 10);
        await this.sleep(wait);
      },
    };
  }

  /** Until there is an answer that will not change. */
  async persist(method, path, options) {
    const pauses = this.pauses();
    for (;;) {
      const answer = await this.once(method, path, options);
      if (!forTheMoment(answer)) return answer;
      await pauses.after(answer);
    }
  }
  async expect(status, method, path, options) {
    const answer = await this.persist(method, path, options);
    if (answer.status !== status) throw this.refusal(answer);
    return answer;
  }

  async models() { return this.json(await this.expect(200, "GET", "/v1/models")).models ?? []; }
  /** Under which name it serves the manifest of this pin. */
  async nameOf(pin) {
    const found = (await this.models()).find((model) => model.manifest === pin);
    if (!found) throw new HelrmError("EMODEL", `${this.address} does not serve the model of this manifest (any more)`);
    return found.name;
  }
  /** Not checked: open() does. */
  async manifest(model) { return (await this.expect(200, "GET", `/v1/models/${checkModel(model)}/manifest`)).bytes; }

  /** Opens a session for an access, which gets its server and token. */
  async open(access) {
    const body = new TextEncoder().encode(access.request);
    const answer = await this.expect(201, "POST", "/v1/sessions", { body, headers: { "Content-Type": "application/json" } });
    const { token } = this.json(answer);
    if (typeof token !== "string") throw new HelrmError("EFORMAT", `${this.address} answers without a token`);
    access.set(this.address, token);
  }

  standing(answer) {
    const { state, offset, bytes } = this.json(answer);
    if (typeof state !== "string" || !Number.isSafeInteger(bytes) || !(offset >= 0 && offset <= bytes))
      throw new HelrmError("EFORMAT", `${this.address} describes the session wrongly`);
    return { ready: state === "ready", offset, bytes };
  }
  async askStanding(access) { return this.standing(await this.expect(200, "GET", "/v1/session", { token: access.token })); }

  /** Sends bytes that begin at `begin`; none ask the server to check what it has. Returns where it stands; null: it
   *  lost what it had. */
  async sendPiece(access, piece, begin, at) {
    const end = begin + piece.length, pauses = this.pauses();
    do {
      const answer = await this.once("PATCH", "/v1/session/keys", { token: access.token, body: piece.subarray(at.offset - begin),
        headers: { "Upload-Offset": String(at.offset) } });
      if (answer.status === 200) {
        at = this.standing(answer);
        continue;
      }
      const moved = answer.status === 409 && this.json(answer).code === "offset";
      if (!forTheMoment(answer) && answer.status !== 507 && !moved) throw this.refusal(answer);
      if (!moved) await pauses.after(answer);
      const before = at.offset;
      at = await this.askStanding(access);
      if (at.offset > before) pauses.renew();
      if (at.offset < begin || at.offset > end) return null;
    } while (at.offset < end || (at.offset === at.bytes && !at.ready));
    return at;
  }

  /** Everything that the server does not have yet; keys that it has are generated for their hash, not sent. */
  async uploadOnce(access, at, progress) {
    const piece = new Uint8Array(PIECE);
    let fill = 0, generated = 0;
    for (const part of access.keys()) {
      let rest = part.subarray(Math.min(Math.max(at.offset - generated, 0), part.length));
      generated += part.length - rest.length;
      if (!rest.length && generated % (1 << 22) < part.length) await this.sleep(0); // others have their turn
      rest = rest.length ? rest.slice() : rest; // the module's memory may move while we wait
      while (rest.length) {
        const n = Math.min(rest.length, PIECE - fill);
        piece.set(rest.subarray(0, n), fill);
        fill += n;
        generated += n;
        rest = rest.subarray(n);
        if (fill < PIECE) break;
        at = await this.sendPiece(access, piece, generated - fill, at);
        if (!at) return null;
        fill = 0;
        progress?.(at.offset, at.bytes);
      }
    }
    at = await this.sendPiece(access, piece.subarray(0, fill), generated - fill, at);
    if (at) progress?.(at.offset, at.bytes);
    return at;
  }

  async upload(access, progress) {
    let at = await this.askStanding(access);
    if (at.bytes !== access.size) throw new HelrmError("EFORMAT", `${this.address} expects ${at.bytes} bytes of keys, they have ${access.size}`);
    progress?.(at.offset, at.bytes);
    const pauses = this.pauses();
    while (!at.ready) {
      at = await this.uploadOnce(access, at, progress);
      if (at?.ready) break;
      await pauses.after({ status: 0, retryAfter: 0, why: "uploads are lost again and again" });
      at ??= await this.askStanding(access);
    }
  }

  /** One query, one result; a query is always sent under one idempotency key. */
  async predict(access, model, query) {
    const key = Array.from(crypto.getRandomValues(new Uint8Array(16)), (b) => b.toString(16).padStart(2, "0")).join("");
    const prefer = { Prefer: `wait=${WAIT_SECONDS}` }, token = access.token;
    const post = ["POST", `/v1/models/${checkModel(model)}/queries`, { token, body: query, headers: { ...prefer, "Idempotency-Key": key } }];
    const begun = performance.now(), pauses = this.pauses();
    let request = post, pause = 0.1, again = false;
    for (;;) {
      const asked = performance.now(), answer = await this.once(...request);
      if (answer.status === 200) return answer.bytes;
      if (answer.status === 202) { // accepted, not done
        const { query: id } = this.json(answer);
        if (typeof id !== "string" || !/^[A-Za-z0-9-]{1,64}$/.test(id)) throw new HelrmError("EFORMAT", `${this.address} accepts a query without naming it`);
        request = ["GET", `/v1/queries/${id}`, { token, headers: prefer }];
        const now = performance.now();
        if (now - begun > this.limit * 1000) throw new HelrmError("EBUSY", `${this.address} has no result after ${this.limit} s`);
        if (now - asked > 1000) pause = 0.1;
        else { await this.sleep(pause); pause = Math.min(pause * 2, 5); }
        pauses.renew();
      } else if (forTheMoment(answer)) {
        await pauses.after(answer);
      } else if (request !== post && (answer.status === 404 || (answer.status === 504 && !again))) {
        again ||= answer.status === 504; // the server started anew, or gave up because we were gone
        request = post;
      } else throw this.refusal(answer);
    }
  }

  async forget(access) {
    const answer = await this.persist("DELETE", "/v1/session", { token: access.token });
    if (answer.status !== 204 && answer.status !== 401) throw this.refusal(answer);
  }
}
