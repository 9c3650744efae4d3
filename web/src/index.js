/** Private recommendation scores: the client of helrm. docs/web.md. */
import { Core } from "./core.js";
import { HelrmError, revived } from "./error.js";
import { Server } from "./server.js";

export { HelrmError };

/** Runs operations in a worker. */
class Remote {
  constructor() {
    this.waiting = new Map();
    this.next = 1;
    this.worker = new Worker(new URL("./worker.js", import.meta.url), { type: "module", name: "helrm" });
    this.worker.onmessage = ({ data: { id, result, error, progress, count } }) => {
      const call = this.waiting.get(id);
      if (!call) return;
      if (progress) call.progress?.(...progress);
      else if (count) call.count?.(count);
      else if (error) call.reject(revived(error));
      else call.resolve(result);
    };
    this.worker.onerror = (e) => {
      for (const call of this.waiting.values()) call.reject(new HelrmError("internal", e.message || "the worker did not start"));
    };
  }
  call(name, args, { signal, progress, count } = {}) {
    const id = this.next++;
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(new HelrmError("aborted", "as asked"));
      const stop = () => this.worker.postMessage({ id, abort: true });
      const settle = (how) => (value) => {
        this.waiting.delete(id);
        signal?.removeEventListener("abort", stop);
        how(value);
      };
      this.waiting.set(id, { resolve: settle(resolve), reject: settle(reject), progress, count });
      signal?.addEventListener("abort", stop);
      this.worker.postMessage({ id, name, args });
    });
  }
}

/** The same on this thread, where there are no workers of that kind: node. */
class Local {
  constructor() { this.clients = new Map(); }
  async call(name, { client, manifest, options, server, records, k } = {}, hooks = {}) {
    const core = this.clients.get(client);
    switch (name) {
      case "open": {
        const opened = await Core.open(manifest, options);
        this.clients.set(client, opened);
        return opened.describe();
      }
      case "close":
        this.clients.delete(client);
        return core?.close(options);
      case "describe": return core.describe();
      case "createSession": return core.createSession(server, { ...options, ...hooks });
      case "query": return core.query(records, hooks);
      case "queryTop": return core.queryTop(records, k, { ...options, ...hooks });
      default: return Core[name]();
    }
  }
}

let place;
const home = () => (place ??= typeof Worker === "function" && typeof document === "object" ? new Remote() : new Local());
let clients = 0;

class Client {
  constructor(number, description) {
    this.number = number;
    Object.assign(this, description);
  }
  /** Keys are made and sent; an upload that broke off is taken up where it stood. */
  async createSession(server, { progress, signal, count, ...options } = {}) {
    this.session = await home().call("createSession", { client: this.number, server: String(server), options }, { progress, signal, count });
    return this.session;
  }
  async query(record, hooks) {
    const { scores, ...rest } = await this.queryBatch(typeof record === "string" ? record : [record], hooks);
    return { ...scores[0], ...rest };
  }
  queryBatch(records, { signal, count } = {}) {
    return home().call("query", { client: this.number, records }, { signal, count });
  }
  /** The k best items of a catalogue for one record, of a model that ranks. */
  queryTop(record, k = 10, { candidates, signal, count } = {}) {
    const records = typeof record === "string" ? record : [record];
    return home().call("queryTop", { client: this.number, records, k, options: { candidates } }, { signal, count });
  }
  async memory() { return (await home().call("describe", { client: this.number })).memoryBytes; }
  close(options) { return home().call("close", { client: this.number, options }); }
}

/** A manifest, as a server gave it, becomes a client: checked, and compared with its pin. */
export async function open(manifest, { pin, secret, module } = {}) {
  const number = ++clients;
  return new Client(number, await home().call("open", { client: number, manifest, options: { pin, secret, module } }));
}
/** Is there a secret under a passphrase in this browser? */
export const hasSecret = () => home().call("hasSecret", {});
/** Without it, what servers hold is of no use. */
export const forgetSecret = () => home().call("forgetSecret", {});
/** The models of a server. */
export const listModels = (server, options) => new Server(server, options).models();
/** A model's manifest; not checked: open() does. */
export const fetchManifest = (server, model, options) => new Server(server, options).manifest(model);
