// The page that `helrm serve --web` serves: a model, keys, a record, a score. All texts that a server sent are set as
// text, never as markup.
import { HelrmError, fetchManifest, forgetSecret, hasSecret, listModels, open } from "../src/index.js";

const $ = (id) => document.getElementById(id);
const server = new URL("..", import.meta.url).href;
const size = (bytes) => bytes < 1000 ? `${bytes} B` : bytes < 1e6 ? `${(bytes / 1000).toFixed(1)} kB` : `${(bytes / 1e6).toFixed(2)} MB`;
const seen = { requests: 0, sent: 0, received: 0 };
let client, stop;

function element(name, attributes = {}, ...inside) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) if (value !== undefined && value !== false) made.setAttribute(key, value === true ? "" : value);
  made.append(...inside);
  return made;
}
const say = (text) => { $("status").textContent = text; };
function complain(text) {
  $("message").replaceChildren(...(text ? [element("p", { class: "error" }, text)] : []));
}

const help = {
  EMODEL: "The server's model is not the one that you pinned. Ask who runs the server why it changed.",
  EDENIED: "The passphrase is wrong.",
  EDATA: "The record cannot be read. Nothing was sent.",
  network: "The connection broke, and did not come back. What was sent is kept: try again to go on.",
  aborted: "Stopped. What was sent is kept for an hour; start again to go on.",
  ESECURITY: "The server asks for parameters that are not secure. It was refused.",
};
const explain = (e) => !(e instanceof HelrmError) ? String(e) : e.code === "aborted" ? help.aborted
  : `${help[e.code] ?? "That did not work."} (${e.detail})`;

function show() {
  const facts = [["Requests", seen.requests], ["Sent, all of it encrypted or public", size(seen.sent)], ["Received", size(seen.received)], ...(seen.more ?? [])];
  $("seen").replaceChildren(...facts.flatMap(([what, value]) => [element("dt", {}, what), element("dd", {}, String(value))]));
}
function count({ sent, received }) {
  if (sent !== undefined) { seen.requests++; seen.sent += sent; }
  seen.received += received ?? 0;
  show();
}

// --- the record's form, from the manifest ---------------------------------------------------------

const rounded = (v) => Number(v.toPrecision(4));

function numberField(column, id) {
  const low = column.low === undefined ? undefined : rounded(column.low), high = column.high === undefined ? undefined : rounded(column.high);
  const known = low !== undefined && high !== undefined && Math.abs(high) < 1e12;
  const hint = known ? `number; the model knows ${low} to ${high}` : "number";
  return [element("input", { id, name: column.name, type: "number", step: column.whole ? "1" : "any", inputmode: "decimal", "aria-describedby": `${id}-hint`,
    placeholder: "missing", autocomplete: "off" }), hint];
}
function categoryField(column, id) {
  if (!Array.isArray(column.values) || column.values.length > 500 || column.kind === "bag") {
    const hint = column.kind === "bag"
      ? `up to ${column.limit} values${column.separator ? `, separated by ${column.separator}` : ", as [\"a\", \"b\"]"}${column.weighted ? ", each VALUE:WEIGHT" : ""}`
      : column.values === "ids" ? "a whole number" : "a text";
    return [element("input", { id, name: column.name, placeholder: "missing", autocomplete: "off", spellcheck: "false", "aria-describedby": `${id}-hint` }), hint];
  }
  return [element("select", { id, name: column.name, "aria-describedby": `${id}-hint` }, element("option", { value: "" }, "missing"),
    ...column.values.map((value) => element("option", { value }, value))), `${column.values.length} categories`];
}
function drawForm() {
  $("columns").replaceChildren(...client.columns.map((column, i) => {
    const id = `column-${i}`, [field, hint] = column.kind === "number" ? numberField(column, id) : categoryField(column, id);
    return element("div", {}, element("label", { for: id }, column.name), field, element("p", { class: "hint", id: `${id}-hint` }, hint));
  }));
  $("record-empty").hidden = true;
  $("record").hidden = false;
}
const field = (i) => $(`column-${i}`);

function record() {
  return Object.fromEntries(client.columns.map((column, i) => {
    const text = field(i).value.trim();
    if (column.kind === "number" && field(i).validity.badInput) throw new HelrmError("EDATA", `${column.name} is no number`);
    if (text === "") return [column.name, null];
    if (column.kind === "bag" && !column.separator) {
      try { return [column.name, JSON.parse(text)]; } catch { throw new HelrmError("EDATA", `${column.name} is no list`); }
    }
    return [column.name, column.kind === "number" ? Number(text) : text];
  }));
}
function fill() {
  client.columns.forEach((column, i) => {
    if (column.kind === "number" && column.mean !== undefined) field(i).value = column.whole ? Math.round(column.mean) : rounded(column.mean);
    else if (column.kind === "category" && Array.isArray(column.values) && column.values.length) field(i).value = column.values[0];
  });
}

// --- what happens ----------------------------------------------------------------------------------

function busy(on) {
  for (const id of ["start", "model", "passphrase", "pin", "ask", "forget"]) $(id).disabled = on;
  document.body.setAttribute("aria-busy", String(on));
}
function progressOf(begun) {
  let first;
  return (done, total) => {
    first ??= done;
    $("progress").value = total ? done / total : 0;
    const seconds = (performance.now() - begun) / 1000, rate = (done - first) / seconds;
    $("progress-text").textContent = done === total ? `${size(total)} of keys are with the server, ${seconds.toFixed(1)} s`
      : `${size(done)} of ${size(total)}${first ? `, going on from ${size(first)}` : ""}${rate > 0 && seconds > 2 ? `, ${Math.ceil((total - done) / rate)} s left` : ""}`;
  };
}

async function start(event) {
  event.preventDefault();
  complain();
  busy(true);
  $("keys").hidden = false;
  $("stop").hidden = false;
  $("progress").removeAttribute("value");
  $("progress-text").textContent = "Opening the model …";
  stop = new AbortController();
  try {
    const name = $("model").value, passphrase = $("passphrase").value, pin = $("pin").value.trim() || localStorage.getItem(`pin ${name}`) || undefined;
    const manifest = await fetchManifest(server, name, { signal: stop.signal, count });
    await client?.close();
    client = undefined;
    const opened = await open(manifest, { pin, secret: passphrase ? { passphrase } : undefined });
    client = opened;
    if (passphrase) localStorage.setItem(`pin ${name}`, opened.pin); // as helrm query: pinned on first use
    $("passphrase").value = "";
    drawForm();
    say("The model is open. Keys are being made and sent.");
    await client.createSession(server, { progress: progressOf(performance.now()), signal: stop.signal, count });
    seen.more = [["Model's pin", `${client.pin.slice(0, 16)}…`]];
    $("ask").disabled = false;
    say("The keys are with the server. You can ask.");
    client.ready = true;
  } catch (e) {
    complain(explain(e));
    if ($("progress").position < 0) $("keys").hidden = true; // no upload had begun
  } finally {
    $("stop").hidden = true;
    busy(false);
    $("ask").disabled = !client?.ready;
    show();
  }
}

async function ask(event) {
  event.preventDefault();
  complain();
  busy(true);
  $("stop").hidden = true;
  try {
    const score = await client.query(record(), { count }), { encrypt, server: waited, decrypt } = score.milliseconds;
    $("score-empty").hidden = true;
    $("score").hidden = false;
    $("probability").textContent = `${(100 * score.probability).toFixed(score.probability > 0.001 && score.probability < 0.999 ? 1 : 3)} %`;
    $("meter").value = score.probability;
    const precision = score.bits > 0 ? `right to ${Math.floor(score.bits)} bits of the model's spread` : "outside of what its precision was predicted for";
    $("precision").textContent = `Logit ${score.logit.toFixed(6)}, ${precision}. Encrypted in ${encrypt.toFixed(0)} ms, answered in ${waited.toFixed(0)} ms, decrypted in ${decrypt.toFixed(1)} ms.`;
    $("doubts").hidden = !score.doubts.text;
    $("doubts").textContent = score.doubts.text.replace(/^record 1: /, "");
    seen.more = [["Last query", size(score.queryBytes)], ["Last result", size(score.resultBytes)], ["Model's pin", `${client.pin.slice(0, 16)}…`]];
    $("bytes").hidden = false;
    $("hex").textContent = Array.from(score.query, (b) => b.toString(16).padStart(2, "0")).join(" ");
    $("score").scrollIntoView({ block: "nearest" });
    say(`Score: ${$("probability").textContent}`);
  } catch (e) {
    complain(explain(e));
  } finally {
    busy(false);
    show();
  }
}

async function forget() {
  complain();
  try {
    await client?.close({ forget: true });
    await forgetSecret();
    localStorage.clear();
    location.reload();
  } catch (e) { complain(explain(e)); }
}

async function begin() {
  show();
  $("open").addEventListener("submit", start);
  $("record").addEventListener("submit", ask);
  $("fill").addEventListener("click", fill);
  $("stop").addEventListener("click", () => stop?.abort());
  $("forget").addEventListener("click", forget);
  try {
    const models = await listModels(server, { count, patience: 5 });
    if (!models.length) throw new HelrmError("no_model", "the server has no model in service");
    $("model").replaceChildren(...models.map((m) => element("option", { value: m.name }, `${m.name}: keys ${size(m.keys_bytes)}, query ${size(m.query_bytes)}`)));
    $("model").disabled = $("start").disabled = false;
    if (await hasSecret()) $("passphrase-hint").textContent = "Your key is here, sealed: give its passphrase to go on with it.";
  } catch (e) {
    $("model").replaceChildren(element("option", {}, "no model"));
    complain(explain(e));
  }
}
begin();
