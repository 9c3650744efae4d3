// A real server with the heart model, for tests: HELRM names the command, and what goes over the wire is recorded.
import { execFileSync, spawn } from "node:child_process";
import { existsSync, mkdtempSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import http from "node:http";
import https from "node:https";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

const helrm = resolve(process.env.HELRM ?? "build/src/cli/helrm");
export const run = (...args) => execFileSync(helrm, args, { encoding: "utf8", env: { ...process.env, HELRM_CALIBRATION: "none" } });

/** A certificate for 127.0.0.1, of nobody. */
function certify(at) {
  const key = join(at, "key.pem"), cert = join(at, "cert.pem");
  execFileSync("openssl", ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", key, "-out", cert,
    "-days", "2", "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"], { stdio: "ignore" });
  return { key, cert };
}

const ROWS = { heart: 303, movies: 2000 };

/** Every item of the movies once, as rows of `item` and `genres`. */
const filmsOf = (rows) => [...new Map(readFileSync(rows, "utf8").trim().split("\n").slice(1).map((line) => line.split(",")).map((cells) => [cells[1], cells[2]]))];

/** The same network as "movies" with its films as a catalogue: the model "films". */
function rank(at) {
  const to = join(at, "models", "films"), rows = join(at, "movies.csv"), items = join(at, "items.csv");
  run("compile", "--model", join(at, "movies"), "--public", "item,genres", "--data", rows, "--name", "films", "--out", to);
  writeFileSync(items, "item,genres\n" + filmsOf(rows).map((film) => film.join(",") + "\n").join(""));
  run("catalogue", "--program", join(to, "program.helm"), "--items", items, "--out", join(to, "items.helm"));
}

/** Trains on synthetic rows of data sets, compiles and serves; with tls by HTTPS. films: items of the movies are
 *  ranked, too. */
export async function serve(flags = [], { tls = false, datasets = ["heart"], films = false } = {}) {
  const at = mkdtempSync(join(tmpdir(), "helrm-web-")), paths = tls ? certify(at) : null;
  mkdirSync(join(at, "models"));
  for (const name of datasets) {
    const rows = join(at, `${name}.csv`), model = join(at, name);
    run("synth", "--dataset", name, "--out", rows, "--rows", String(ROWS[name]), "--seed", "7");
    run("train", "--dataset", name, "--data", rows, "--out", model);
    run("compile", "--model", model, "--out", join(at, "models", name));
  }
  if (films) rank(at);
  let log = "";
  const child = spawn(helrm, ["serve", "--listen", "127.0.0.1:0", "--models", join(at, "models"), "--data", join(at, "data"),
    "--opens-per-minute", "1000", ...(tls ? ["--tls-cert", paths.cert, "--tls-key", paths.key] : []), ...flags], { stdio: ["ignore", "pipe", "pipe"] });
  child.stdout.on("data", (d) => (log += d));
  child.stderr.on("data", (d) => (log += d));
  const port = await new Promise((found, failed) => {
    child.on("exit", () => (clearInterval(look), failed(new Error("the server ended: " + log))));
    const look = setInterval(() => { // it listens before its models are there
      const said = /"port": ?(\d+)/.exec(log);
      if (said && (log.match(/"model_loaded"/g) ?? []).length >= datasets.length + films && (!films || log.includes("catalogue_in_service"))) (clearInterval(look), found(Number(said[1])));
    }, 50);
  });
  return {
    at, port, url: `${tls ? "https" : "http"}://127.0.0.1:${port}`,
    tls: tls ? { key: readFileSync(paths.key), cert: readFileSync(paths.cert) } : undefined, log: () => log,
    /** Row n of the data, as a record of columns, and its clear score; also left as a file. */
    record(n, dataset = "heart") {
      const lines = readFileSync(join(at, `${dataset}.csv`), "utf8").split("\n"), headed = dataset !== "heart", one = join(at, "one.csv");
      const names = headed ? lines[0].split(",") : ["age", "sex", "cp", "trestbps", "chol", "fbs", "restecg", "thalach", "exang", "oldpeak", "slope", "ca", "thal"];
      writeFileSync(one, (headed ? lines[0] + "\n" : "") + lines[n] + "\n");
      const clear = JSON.parse(run("predict", "--model", join(at, dataset), "--input", one, "--json")), cells = lines[n].split(",");
      return { record: Object.fromEntries(names.map((name, i) => [name, cells[i] === "?" ? null : cells[i]])), clear: clear.predictions[0] };
    },
    /** A user of row n, and all films by falling clear logit: [id, logit]. */
    ranking(n) {
      const user = this.record(n, "movies").record, pairs = join(at, "pairs.csv"), films = filmsOf(join(at, "movies.csv"));
      delete user.item;
      delete user.genres;
      delete user.rating;
      writeFileSync(pairs, [...Object.keys(user), "item", "genres"].join(",") + "\n" + films.map((film) => [...Object.values(user), ...film].join(",") + "\n").join(""));
      const { predictions } = JSON.parse(run("predict", "--model", join(at, "movies"), "--input", pairs, "--json"));
      return { user, clear: films.map(([id], i) => [id, predictions[i].logit]).sort((a, b) => b[1] - a[1]) };
    },
    stop: () => new Promise((stopped) => {
      child.removeAllListeners("exit");
      child.on("exit", () => (rmSync(at, { recursive: true, force: true }), stopped()));
      child.kill("SIGTERM");
    }),
  };
}

/** A proxy that records all bytes of bodies and heads, and cuts connections when `cut(request, sent)` says so. */
export async function proxy(target, { cut = () => false, tls } = {}) {
  const seen = [];
  const handle = (request, response) => {
    const { hostname, port, protocol } = new URL(target);
    seen.push(Buffer.from(`${request.method} ${request.url}\n${JSON.stringify(request.headers)}\n`));
    const on = (protocol === "https:" ? https : http).request({ hostname, port, rejectUnauthorized: false, method: request.method, path: request.url, headers: { ...request.headers, host: `${hostname}:${port}` } },
      (answer) => (response.writeHead(answer.statusCode, answer.headers), answer.pipe(response)));
    on.on("error", () => response.destroy());
    let got = 0;
    request.on("data", (d) => {
      seen.push(d);
      got += d.length;
      if (cut(request, got)) (on.destroy(), request.destroy());
      else on.write(d);
    });
    request.on("end", () => on.end());
    request.on("error", () => on.destroy());
  };
  const server = tls ? https.createServer(tls, handle) : http.createServer(handle);
  await new Promise((ready) => server.listen(0, "127.0.0.1", ready));
  return {
    url: `${tls ? "https" : "http"}://127.0.0.1:${server.address().port}`,
    seen: () => Buffer.concat(seen),
    stop: () => (server.closeAllConnections(), new Promise((done) => server.close(done))),
  };
}
export { existsSync, readFileSync, writeFileSync };
