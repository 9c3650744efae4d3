// The client in a worker: secrets are made, used and kept here, and answers to the page hold none.
import { Core } from "./core.js";
import { plain } from "./error.js";

const clients = new Map(), running = new Map();

const operations = {
  async open({ client, manifest, options }) {
    const core = await Core.open(manifest, options);
    clients.set(client, core);
    return core.describe();
  },
  hasSecret: () => Core.hasSecret(),
  forgetSecret: () => Core.forgetSecret(),
  describe: ({ client }) => clients.get(client).describe(),
  createSession: ({ client, server, options }, hooks) => clients.get(client).createSession(server, { ...options, ...hooks }),
  query: ({ client, records }, hooks) => clients.get(client).query(records, hooks),
  queryTop: ({ client, records, k, options }, hooks) => clients.get(client).queryTop(records, k, { ...options, ...hooks }),
  async close({ client, options }) {
    await clients.get(client)?.close(options);
    clients.delete(client);
  },
};

globalThis.onmessage = async ({ data: { id, name, args, abort } }) => {
  if (abort) return void running.get(id)?.abort();
  const stop = new AbortController();
  running.set(id, stop);
  const hooks = {
    signal: stop.signal,
    progress: (done, total) => postMessage({ id, progress: [done, total] }),
    count: (what) => postMessage({ id, count: what }),
  };
  try {
    postMessage({ id, result: await operations[name](args, hooks) });
  } catch (e) {
    postMessage({ id, error: plain(e) });
  } finally { running.delete(id); }
};
