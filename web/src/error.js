/** What fails says why: `code` is a status of include/helrm/status.h ("EMODEL"), the code of a server's answer
 *  ("rate"; docs/openapi.json), "network" or "aborted"; `detail` is one line for people. */
export class HelrmError extends Error {
  constructor(code, detail, status = 0) {
    super(detail ? `${code}: ${detail}` : code);
    this.name = "HelrmError";
    this.code = code;
    this.detail = detail;
    this.status = status; // of HTTP, 0 where there was no answer
  }
}

/** As it travels between a page and its worker, and back. */
export const plain = (e) =>
  e instanceof HelrmError
    ? { code: e.code, detail: e.detail, status: e.status }
    : { code: "internal", detail: String(e && e.message ? e.message : e), status: 0 };
export const revived = (e) => new HelrmError(e.code, e.detail, e.status);
