// libhelrm-client as a WebAssembly module: its memory, and calls that throw what fails.
import { HelrmError } from "./error.js";

// In the order of HEL_STATUS_LIST, include/helrm/status.h.
export const STATUS = ["OK", "EINVAL", "ENOMEM", "EIO", "EFORMAT", "EVERSION", "ETRUNC", "ELIMIT", "EHASH", "ELEVEL",
  "ESCALE", "EKEY", "EPARAMS", "ESECURITY", "EMODEL", "ECLIENT", "EDATA", "EUNSUPPORTED", "ERANGE", "EBUSY", "ESPACE",
  "ECANCEL", "EDENIED"];

// (module (func (result v128) (i32x4.splat (i32.const 0)))): valid where there is SIMD128
const PROBE = Uint8Array.of(0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 8, 1, 6, 0, 65, 0, 253, 17, 11);

const isNode = typeof process === "object" && Boolean(process.versions?.node);

/** Of the browser; node 18 (Debian 12's) has it in a module only. */
export const crypto = globalThis.crypto ?? (await import("node:crypto")).webcrypto;

async function bytesOf(url) {
  if (isNode && url.protocol === "file:") {
    const { readFile } = await import("node:fs/promises");
    return readFile(url);
  }
  const answer = await fetch(url);
  if (!answer.ok) throw new HelrmError("network", `${url} answers ${answer.status}`, answer.status);
  return answer.arrayBuffer();
}

export class Module {
  /** simd: true, false, or undefined: whatever runs here. */
  static async load({ simd = WebAssembly.validate(PROBE) } = {}) {
    const m = new Module();
    const url = simd ? new URL("./helrm.wasm", import.meta.url) : new URL("./helrm-scalar.wasm", import.meta.url);
    const none = () => 0;
    const imports = {
      env: {
        helrm_random: (at, size) => m.random(at, size),
        emscripten_notify_memory_growth: none,
      },
      // what the C library links, and a client never asks for: there are no files, no environment, no time
      wasi_snapshot_preview1: {
        environ_get: none, environ_sizes_get: (count, size) => (m.set(count, 0), m.set(size, 0), 0),
        fd_write: () => 8, fd_read: () => 8, fd_close: () => 8, fd_seek: () => 8, fd_fdstat_get: () => 8,
        clock_time_get: () => 52,
        proc_exit: () => { throw new HelrmError("internal", "the module gave up"); },
      },
    };
    const { instance, module } = await WebAssembly.instantiate(await bytesOf(url), imports);
    m.exports = instance.exports;
    m.imports = WebAssembly.Module.imports(module);
    m.simd = simd;
    m.exports._initialize();
    return m;
  }

  /** The only source of randomness. */
  random(at, size) {
    for (let done = 0; done < size; done += 65536)
      crypto.getRandomValues(new Uint8Array(this.exports.memory.buffer, at + done, Math.min(65536, size - done)));
  }

  get memory() { return this.exports.memory.buffer; }
  view() { return new DataView(this.memory); }
  get(at) { return this.view().getUint32(at, true); }
  set(at, value) { this.view().setUint32(at, value, true); }
  bytes(at, size) { return new Uint8Array(this.memory, at, size); }
  copy(at, size) { return this.bytes(at, size).slice(); }
  text(at) {
    const from = this.bytes(at, this.memory.byteLength - at);
    return new TextDecoder().decode(from.subarray(0, from.indexOf(0)));
  }

  /** Runs `use` with room for `size` bytes, which are wiped. */
  room(size, use) {
    const at = this.exports.malloc(Math.max(size, 8));
    if (!at) throw new HelrmError("ENOMEM", `no memory for ${size} bytes`);
    this.bytes(at, Math.max(size, 8)).fill(0);
    try { return use(at); } finally {
      this.exports.hel_wipe(at, Math.max(size, 8));
      this.exports.free(at);
    }
  }
  /** Runs `use(at, size)` with bytes or a text (zero-ended) inside; null stays 0. */
  put(value, use) {
    if (value === null || value === undefined) return use(0, 0);
    const bytes = typeof value === "string" ? new TextEncoder().encode(value + "\0")
      : ArrayBuffer.isView(value) ? new Uint8Array(value.buffer, value.byteOffset, value.byteLength) : new Uint8Array(value);
    const size = bytes.length - (typeof value === "string" ? 1 : 0);
    return this.room(bytes.length, (at) => (this.bytes(at, bytes.length).set(bytes), use(at, size)));
  }
  /** A fallible call. */
  call(name, ...args) {
    const status = this.exports[name](...args);
    if (status) throw new HelrmError(STATUS[status] ?? "internal", this.text(this.exports.hel_error_detail()));
  }
  /** What a fallible call puts where its first argument points. */
  made(name, ...args) {
    return this.room(8, (at) => (this.call(name, at, ...args), this.get(at)));
  }
  /** Bytes that a fallible call makes: its first two arguments. */
  taken(name, ...args) {
    return this.room(8, (at) => {
      this.call(name, at, at + 4, ...args);
      const bytes = this.get(at), size = this.get(at + 4);
      try { return this.copy(bytes, size); } finally { this.exports.hel_bytes_free(bytes, size); }
    });
  }
}
