// The page in Chromium, through HTTPS, against a real server. PLAYWRIGHT: where playwright-core is;
// CHROMIUM: the browser.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { proxy, serve } from "./server.js";

const packaged = resolve(process.env.HELRM_PACKAGE ?? "build-wasm/package");
const { chromium } = (await import(pathToFileURL(join(resolve(process.env.PLAYWRIGHT ?? "build-wasm/node_modules/playwright-core"), "index.js")).href)).default;
const { Core } = await import(pathToFileURL(join(packaged, "src/core.js")).href);

let server, between, browser, cut = () => false;
before(async () => {
  server = await serve(["--web", packaged], { tls: true, datasets: ["heart", "movies"], films: true });
  between = await proxy(server.url, { tls: server.tls, cut: (...what) => cut(...what) });
  browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox"] });
});
after(async () => {
  await browser?.close();
  await between?.stop();
  await server?.stop();
});

const PASSPHRASE = "correct horse battery";
const faults = [];
async function visit(context) {
  const page = await context.newPage();
  page.on("pageerror", (e) => faults.push(String(e)));
  page.on("console", (m) => m.type() === "error" && !/net::ERR_|Failed to load resource/.test(m.text()) && faults.push(m.text()));
  await page.goto(between.url + "/");
  await page.waitForSelector("#start:enabled");
  return page;
}
async function connect(page, { model = "heart", passphrase = PASSPHRASE, pin } = {}) {
  await page.getByLabel("Which model").selectOption(model);
  await page.getByLabel("Passphrase").fill(passphrase);
  if (pin) await page.getByLabel("Pin").fill(pin);
  await page.getByRole("button", { name: "Make keys and send them" }).click();
}
/** A click makes the page busy at once: this is its end. What it complains of is the test's failure. */
async function done(page) {
  await page.waitForSelector('body[aria-busy="false"]', { timeout: 90000 });
  assert.equal(await page.locator("#message").textContent(), "");
}
async function ready(page) {
  await done(page);
  assert.ok(await page.locator("#ask").isEnabled());
}
async function enter(page, record) {
  for (const [name, value] of Object.entries(record)) {
    const field = page.locator(`#columns [name="${name}"]`);
    if (await page.locator(`#columns input[type="checkbox"][name="${name}"]`).count())
      for (const box of await field.all()) await box.setChecked((value ?? "").split("|").includes(await box.getAttribute("value")));
    else if ((await field.evaluate((f) => f.tagName)) === "SELECT") await field.selectOption(value === null ? "" : String(Number(value)));
    else await field.fill(value ?? "");
  }
}
async function ask(page, record) {
  await enter(page, record);
  await page.getByRole("button", { name: "Encrypt and ask" }).click();
  await done(page);
  return Number(/Logit (-?[\d.]+)/.exec(await page.locator("#precision").textContent())?.[1]);
}
const context = () => browser.newContext({ ignoreHTTPSErrors: true });

test("heart, end to end: the clear score; a broken upload goes on; a reload keeps the session; two tabs; no secret is sent", async () => {
  const visitor = await context(), page = await visit(visitor), { record, clear } = server.record(4);
  let cuts = 0;
  cut = (request, got) => request.method === "PATCH" && cuts < 2 && got > 500000 && Boolean(++cuts);
  await connect(page);
  await ready(page);
  assert.equal(cuts, 2);
  assert.ok(Math.abs((await ask(page, record)) - clear.logit) < 1e-3);
  assert.match(await page.locator("#seen").textContent(), /Last query/);

  // two tabs: the other takes up the same session, at the same time as this one after a reload
  const uploads = () => between.seen().toString("latin1").split("PATCH /v1/session/keys").length;
  const before = uploads(), other = await visit(visitor);
  await page.reload();
  await page.waitForSelector("#start:enabled");
  await Promise.all([connect(page), connect(other)]);
  await Promise.all([ready(page), ready(other)]);
  assert.equal(uploads(), before, "keys were sent again");
  const second = server.record(7);
  assert.ok(Math.abs((await ask(other, second.record)) - second.clear.logit) < 1e-3);
  assert.ok(Math.abs((await ask(page, record)) - clear.logit) < 1e-3);

  // the secret, as it is kept: no part of it, nor of the passphrase, went over the wire
  const file = await page.evaluate(() => new Promise((done) => {
    indexedDB.open("helrm").onsuccess = ({ target: { result: db } }) => {
      db.transaction("files").objectStore("files").get("secret.key").onsuccess = ({ target }) => done([...target.result]);
    };
  }));
  const secret = Buffer.from(await Core.unseal(Uint8Array.from(file), PASSPHRASE)), seen = between.seen();
  assert.ok(seen.length > 1e6);
  for (let i = 0; i + 8 <= secret.length; i++) {
    const part = secret.subarray(i, i + 8);
    for (const form of [part, part.toString("hex"), part.toString("base64").slice(0, 10)]) assert.equal(seen.indexOf(form), -1);
  }
  assert.equal(seen.indexOf(PASSPHRASE), -1);
  await visitor.close();
});

test("another model: hashed texts, a bag and numbers have their fields; the clear score; a bag that is cut", async () => {
  const visitor = await context(), page = await visit(visitor), { record, clear } = server.record(4, "movies");
  delete record.rating; // the label
  await connect(page, { model: "movies", passphrase: "" });
  await ready(page);
  assert.ok(await page.getByRole("group", { name: "genres" }).getByLabel("Drama").count());
  assert.ok(Math.abs((await ask(page, record)) - clear.logit) < 1e-3);
  assert.ok(await page.locator("#doubts").isHidden());
  assert.ok(Number.isFinite(await ask(page, { ...record, genres: "Action|Comedy|Crime|Drama|Horror|Thriller|War", user: null })));
  assert.match(await page.locator("#doubts").textContent(), /more entries/);
  // the first model again: nothing of this one stays
  await connect(page, { passphrase: "" });
  await ready(page);
  assert.equal(await page.locator("#columns > *").count(), 13);
  assert.ok(await page.locator("#score").isHidden());
  await visitor.close();
});

test("a model that ranks: the form has the user's columns, the list the clear model's best", async () => {
  const visitor = await context(), page = await visit(visitor), { user, clear } = server.ranking(6), logit = new Map(clear);
  await connect(page, { model: "films", passphrase: "" });
  await ready(page);
  assert.equal(await page.locator("#columns > *").count(), Object.keys(user).length);
  await enter(page, user);
  await page.getByRole("button", { name: "Encrypt and ask" }).click();
  await done(page);
  assert.ok(await page.locator("#one").isHidden());
  const items = await page.getByRole("list", { name: /Ranking/ }).getByRole("listitem").all();
  assert.equal(items.length, 10);
  for (const [place, item] of items.entries()) {
    const id = await item.locator("span").textContent(), shown = Number((await item.locator("b").textContent()).replace(" %", "")) / 100;
    assert.ok(Math.abs(logit.get(id) - clear[place][1]) < 0.02, `place ${place}: ${id}`);
    assert.ok(Math.abs(shown - 1 / (1 + Math.exp(-logit.get(id)))) < 2e-3);
  }
  assert.match(await page.locator("#precision").textContent(), new RegExp(`The best 10 of ${clear.length} items`));
  await connect(page, { passphrase: "" }); // and back to one that scores
  await ready(page);
  assert.ok(Number.isFinite(await ask(page, server.record(4).record)));
  assert.ok(await page.locator("#items").isHidden());
  await visitor.close();
});

test("a wrong pin and a wrong passphrase are refused, and nothing is opened", async () => {
  const visitor = await context(), page = await visit(visitor);
  await connect(page, { pin: "0".repeat(64) });
  await page.waitForSelector("#message p");
  assert.match(await page.locator("#message").textContent(), /not the one that you pinned/);
  assert.ok(await page.locator("#ask").isHidden());
  await page.getByLabel("Pin").fill("");
  await connect(page);
  await ready(page);
  await page.reload();
  await page.waitForSelector("#start:enabled");
  await connect(page, { passphrase: "wrong" });
  await page.waitForSelector("#message p");
  assert.match(await page.locator("#message").textContent(), /passphrase is wrong/);
  await visitor.close();
});

test("by keyboard alone; refused and doubtful records; forgotten", async () => {
  const visitor = await context(), page = await visit(visitor), { record } = server.record(2);
  const tabTo = async (id) => {
    for (let i = 0; i < 12 && (await page.evaluate(() => document.activeElement.id)) !== id; i++) await page.keyboard.press("Tab");
  };
  await tabTo("model");
  await page.keyboard.type("heart");
  await tabTo("start");
  await page.keyboard.press("Enter");
  await ready(page);
  const score = await ask(page, { ...record, age: "1000" });
  assert.ok(Number.isFinite(score));
  assert.match(await page.locator("#doubts").textContent(), /age is 1000/);
  await page.getByRole("button", { name: "Forget" }).click();
  await page.waitForSelector("#record", { state: "hidden" });
  await visitor.close();
});

test("accessible names, a width of 360 pixels, a strict policy, no fault on the console", async () => {
  const visitor = await browser.newContext({ ignoreHTTPSErrors: true, viewport: { width: 360, height: 740 } }), page = await visit(visitor);
  await connect(page, { passphrase: "" });
  await ready(page);
  const wide = await page.evaluate(() => [...document.querySelectorAll("body *")].filter((e) => e.getClientRects().length && e.getBoundingClientRect().right > innerWidth + 1
    && !e.closest(".visually-hidden")).map((e) => e.id || e.tagName));
  assert.deepEqual(wide, []);
  const nameless = await page.evaluate(() => [...document.querySelectorAll("input, select, button, progress, meter")]
    .filter((e) => !(e.labels?.length || e.textContent.trim() || e.getAttribute("aria-labelledby") || e.getAttribute("aria-label"))).map((e) => e.id));
  assert.deepEqual(nameless, []);
  assert.deepEqual(faults, []);
  const ran = await page.evaluate(() => {
    document.body.append(Object.assign(document.createElement("script"), { textContent: "window.ran = true" }));
    return window.ran;
  });
  assert.equal(ran, undefined, "an inline script ran");
  await visitor.close();
});
