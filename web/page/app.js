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
  no_model: "The server has no model in service. Reload the page in a moment.",
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
// what a list of choices holds, and from where on one types with suggestions
const CHOICES = 100, TICKS = 60, SUGGESTIONS = 5000, MANY_COLUMNS = 24;

function textField(column, id, hint) {
  const listed = Array.isArray(column.values) && column.kind === "category" && column.values.length <= SUGGESTIONS;
  return [element("input", { id, name: column.name, placeholder: "missing", autocomplete: "off", spellcheck: "false", "aria-describedby": `${id}-hint`,
    list: listed && `${id}-list`, inputmode: column.values === "ids" && column.kind === "category" && "numeric" }),
  hint, listed ? [element("datalist", { id: `${id}-list` }, ...column.values.map((value) => element("option", { value })))] : []];
}
function categoryField(column, id) {
  if (column.values === "ids") return textField(column, id, "a whole number");
  if (!Array.isArray(column.values)) return textField(column, id, "a text, as in the data");
  if (column.values.length > CHOICES) return textField(column, id, `one of ${column.values.length} values`);
  return [element("select", { id, name: column.name, "aria-describedby": `${id}-hint` }, element("option", { value: "" }, "missing"),
    ...column.values.map((value) => element("option", { value }, value))), `${column.values.length} categories`];
}
const ticked = (column) => column.kind === "bag" && Array.isArray(column.values) && !column.weighted && column.values.length <= TICKS;
function bagField(column, id) {
  if (ticked(column))
    return [element("div", { id, class: "ticks" }, ...column.values.map((value) => element("label", {}, element("input", { type: "checkbox", name: column.name, value }), value))),
      `up to ${column.limit} of ${column.values.length}`];
  const form = column.weighted ? "VALUE:WEIGHT" : "values";
  return textField(column, id, column.separator ? `up to ${column.limit} ${form}, separated by ${column.separator === " " ? "blanks" : column.separator}`
    : `up to ${column.limit}, as ${column.weighted ? '{"a": 2}' : '["a", "b"]'}`);
}
const fieldOf = { number: numberField, category: categoryField, bag: bagField };
const field = (i) => $(`column-${i}`);

function drawForm() {
  const { columns } = client;
  $("columns").replaceChildren(...columns.map((column, i) => {
    const id = `column-${i}`, [made, hint, more = []] = fieldOf[column.kind](column, id), about = element("p", { class: "hint", id: `${id}-hint` }, hint);
    return ticked(column) ? element("fieldset", { class: "wide", "aria-describedby": `${id}-hint` }, element("legend", {}, column.name), made, about)
      : element("div", {}, element("label", { for: id }, column.name), made, about, ...more);
  }));
  $("find-row").hidden = columns.length <= MANY_COLUMNS;
  $("find").value = "";
  find();
  $("score-title").lastChild.textContent = client.ranks ? " Ranking" : " Score";
  $("record-about").textContent = `${columns.length} columns${client.ranks ? " of yours: those of items are the server's" : ""}. What you leave empty counts as missing.`;
  $("record-empty").hidden = true;
  $("record").hidden = false;
}
/** Shows the columns whose names have what is looked for. */
function find() {
  const wanted = $("find").value.trim().toLowerCase(), rows = [...$("columns").children];
  client?.columns.forEach(({ name }, i) => { rows[i].hidden = !name.toLowerCase().includes(wanted); });
}
function closeForm() {
  $("record").hidden = $("score").hidden = $("bytes").hidden = true;
  $("record-empty").hidden = $("score-empty").hidden = false;
}

function valueOf(column, i) {
  if (ticked(column)) {
    const values = [...field(i).querySelectorAll(":checked")].map((box) => box.value);
    return values.length ? values : null;
  }
  const text = field(i).value.trim();
  if (column.kind === "number" && (field(i).validity.badInput || Number.isNaN(Number(text)))) throw new HelrmError("EDATA", `${column.name} is no number`);
  if (text === "") return null;
  if (column.kind === "bag" && !column.separator) {
    try { return JSON.parse(text); } catch { throw new HelrmError("EDATA", `${column.name} is no list`); }
  }
  return column.kind === "number" ? Number(text) : text;
}
const record = () => Object.fromEntries(client.columns.map((column, i) => [column.name, valueOf(column, i)]));
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
    closeForm();
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
    $("progress-text").textContent = $("progress-text").textContent.replace(/, \d+ s left$/, "");
    if ($("progress").position < 0) $("keys").hidden = true; // no upload had begun
  } finally {
    $("stop").hidden = true;
    busy(false);
    $("ask").disabled = !client?.ready;
    show();
  }
}

const percent = (p) => `${(100 * p).toFixed(p > 0.001 && p < 0.999 ? 1 : 3)} %`;
const BEST = 10; // items that are shown

function showScore(score) {
  $("probability").textContent = percent(score.probability);
  $("meter").setAttribute("aria-valuenow", score.probability.toFixed(3));
  $("meter").firstElementChild.style.width = `${100 * score.probability}%`;
  const precision = score.bits > 0 ? `right to ${Math.floor(score.bits)} bits of the model's spread` : "outside of what its precision was predicted for";
  say(`Score: ${$("probability").textContent}`);
  return `Logit ${score.logit.toFixed(6)}, ${precision}.`;
}
function showRanking({ items, ranked, error }) {
  $("items").replaceChildren(...items.map(({ id, probability }) => {
    const bar = element("u");
    bar.style.width = `${100 * probability}%`;
    return element("li", {}, element("span", {}, id), element("b", {}, percent(probability)), element("i", { "aria-hidden": "true" }, bar));
  }));
  say(`The best of ${ranked} items: ${items[0]?.id ?? "none"}`);
  return `The best ${items.length} of ${ranked} items; logits are right to about ${error.toPrecision(2)}.`;
}

async function ask(event) {
  event.preventDefault();
  complain();
  busy(true);
  $("stop").hidden = true;
  try {
    const said = client.ranks ? await client.queryTop(record(), BEST, { count }) : await client.query(record(), { count });
    const { encrypt, server: waited, decrypt } = said.milliseconds;
    $("score-empty").hidden = true;
    $("score").hidden = false;
    $("one").hidden = client.ranks;
    $("items").hidden = !client.ranks;
    $("precision").textContent = `${client.ranks ? showRanking(said) : showScore(said)} Encrypted in ${encrypt.toFixed(0)} ms, answered in ${waited.toFixed(0)} ms, decrypted in ${decrypt.toFixed(1)} ms.`;
    $("doubts").hidden = !said.doubts.text;
    $("doubts").textContent = said.doubts.text.replace(/^record 1: /, "");
    seen.more = [["Last query", size(said.queryBytes)], ["Last result", size(said.resultBytes)], ["Model's pin", `${client.pin.slice(0, 16)}…`]];
    $("bytes").hidden = false;
    $("hex").textContent = Array.from(said.query, (b) => b.toString(16).padStart(2, "0")).join(" ");
    $("score").scrollIntoView({ block: "nearest" });
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
  $("find").addEventListener("input", find);
  $("find").addEventListener("keydown", (e) => { if (e.key === "Enter") e.preventDefault(); }); // which would ask
  $("stop").addEventListener("click", () => stop?.abort());
  $("forget").addEventListener("click", forget);
  try {
    const models = await listModels(server, { count, patience: 5 });
    if (!models.length) throw new HelrmError("no_model", "the server has no model in service");
    $("model").replaceChildren(...models.map((m) => element("option", { value: m.name }, m.name)));
    const tell = () => {
      const m = models[$("model").selectedIndex];
      $("model-hint").textContent = `Keys ${size(m.keys_bytes)}, sent once; a query ${size(m.query_bytes)}, its result ${size(m.result_bytes)}.`;
    };
    $("model").addEventListener("change", tell);
    tell();
    $("model").disabled = $("start").disabled = false;
    if (await hasSecret()) $("passphrase-hint").textContent = "Your key is here, sealed: give its passphrase to go on with it.";
  } catch (e) {
    $("model").replaceChildren(element("option", {}, "no model"));
    complain(explain(e));
  }
}
begin();
