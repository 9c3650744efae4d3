/** Private recommendation scores: the client of helrm. docs/web.md. */

export class HelrmError extends Error {
  /** A status of include/helrm/status.h ("EMODEL"), a server's code ("rate"), "network", "aborted", "internal". */
  readonly code: string;
  /** One line for people. */
  readonly detail: string;
  /** Of HTTP; 0 where there was no answer. */
  readonly status: number;
}

export type Secret =
  /** 32 bytes, kept by the caller. */
  | Uint8Array
  /** A sealed file, as `helrm query` and `helrm seal` write it, kept by the caller. */
  | { file: Uint8Array; passphrase: string | null }
  /** Kept in IndexedDB, sealed; made on first use. */
  | { passphrase: string };

export interface OpenOptions {
  /** Of the manifest, as before: 32 bytes, or hexadecimal. Another manifest is refused with EMODEL. */
  pin?: Uint8Array | string;
  /** Without one, a new secret is made, and lost when the client is closed. */
  secret?: Secret;
  /** Which module to load; by itself, what runs here. */
  module?: { simd?: boolean };
}

export interface NumberColumn { name: string; kind: "number"; whole: boolean; mean?: number; low?: number; high?: number }
export interface CategoryColumn { name: string; kind: "category"; values: string[] | "any" | "ids" }
export interface BagColumn { name: string; kind: "bag"; values: string[] | "any" | "ids"; limit: number; separator: string; weighted: boolean }
export type Column = NumberColumn | CategoryColumn | BagColumn;

/** Values by column; null: missing. Every column of the model is named. */
export type RecordOfColumns = { [column: string]: number | string | null | Array<string | number> };

export interface Traffic { method: string; path: string; sent?: number; received?: number }

export interface RequestOptions {
  signal?: AbortSignal;
  /** Called for every request and every answer. */
  count?: (traffic: Traffic) => void;
}

export interface SessionOptions extends RequestOptions {
  progress?: (done: number, total: number) => void;
  /** Of the operator. */
  apiKey?: string;
  /** What createSession gave before: the session goes on. Keep it as a secret. */
  access?: string;
  /** Seconds to try again without any progress; 60. */
  patience?: number;
}
export interface Session {
  access: string;
  /** Of all keys. */
  bytes: number;
}

export interface Score {
  logit: number;
  probability: number;
  /** Right bits of the logit, relative to the spread of the model's logits; 0: nothing is known. */
  bits: number;
  /** What of the record its query does not carry as it is. */
  doubts: { unknown: number; cut: number; unseen: number; text: string };
}
export interface RankingOptions extends RequestOptions {
  /** Only these: ids, or "FROM..TO" by number. The server reads which: never let them depend on a private record. */
  candidates?: string[];
}
export interface RankedItem { id: string; logit: number; probability: number }
export interface Ranking {
  /** The best first. */
  items: RankedItem[];
  /** How many items were ranked. */
  ranked: number;
  /** Logits are right to about so much: items that are closer may stand in either order. */
  error: number;
  /** The name of the catalogue: another one after every change. */
  catalogue: string;
  doubts: Score["doubts"];
}
export interface Exchange {
  queryBytes: number;
  resultBytes: number;
  /** The first bytes of what was sent. */
  query: Uint8Array;
  milliseconds: { encrypt: number; server: number; decrypt: number };
}

export interface Client {
  readonly model: string;
  readonly dataset: string;
  readonly pin: string;
  readonly parameters: string;
  /** Records that one query takes. */
  readonly batch: number;
  /** Its results are rankings, for queryTop(); of all other models scores, for query(). */
  readonly ranks: boolean;
  /** Predicted, of a score. */
  readonly bits: number;
  readonly error: number;
  readonly columns: Column[];
  readonly simd: boolean;
  createSession(server: string | URL, options?: SessionOptions): Promise<Session>;
  query(record: RecordOfColumns | string, options?: RequestOptions): Promise<Score & Exchange>;
  queryBatch(records: RecordOfColumns[] | string, options?: RequestOptions): Promise<{ scores: Score[] } & Exchange>;
  /** The k best items (default 10) of the server's catalogue for one record; Infinity: all of them. */
  queryTop(record: RecordOfColumns | string, k?: number, options?: RankingOptions): Promise<Ranking & Exchange>;
  /** Bytes of the module. */
  memory(): Promise<number>;
  /** forget: the server removes keys, results and session. */
  close(options?: { forget?: boolean }): Promise<void>;
}

export interface ModelOfServer {
  name: string; manifest: string; parameters: string;
  manifest_bytes: number; query_bytes: number; result_bytes: number; keys_bytes: number;
}

export function open(manifest: Uint8Array | ArrayBuffer, options?: OpenOptions): Promise<Client>;
export function hasSecret(): Promise<boolean>;
export function forgetSecret(): Promise<void>;
export function listModels(server: string | URL, options?: { apiKey?: string; signal?: AbortSignal }): Promise<ModelOfServer[]>;
export function fetchManifest(server: string | URL, model: string, options?: { apiKey?: string; signal?: AbortSignal }): Promise<Uint8Array>;
