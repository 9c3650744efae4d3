#!/bin/sh
# columns.sh HELRM HELRM_SERVER: data of any columns, from 'scan' to a score from a service. A table of films (a bag of
# genres) and one of clicks (22 categories) go all the way; a table of everything that a description can say is scored
# again by Python, from the papers' definitions and the files alone. Prints one line per check, then the totals.
set -u
helrm=$(realpath "$1") server=$(realpath "$2")
. "$(dirname "$0")/steps.sh"
above() { # WHAT LEAST: the number after WHAT in out
	awk -v what="$1" -v least="$2" '{ for (i = 1; i < NF; i++) if ($i == what && $(i + 1) + 0 >= least) found = 1 }
		END { exit !found }' out
}

# --- scan to score --------------------------------------------------------------------------------

"$helrm" synth --dataset movies --rows 20000 --out movies.csv >/dev/null &&
	"$helrm" synth --dataset clicks --rows 12000 --out clicks.csv >/dev/null || exit 1

check "films are scanned" run 0 "$helrm" scan --data movies.csv --label rating --out movies.json
check "users are a category" says "^user  *category .* hashed"
check "genres are a bag" says "^genres  *bag .* 18  listed, up to 6 entries"
check "ages are numbers" says "^age  *dense .* 14 to 67"
check "ratings are the label" says "^rating  *label .*positive above 3"
check "clicks are scanned" run 0 "$helrm" scan --data clicks.csv --label click --out clicks.json
check "ids are left out" says "^id  *ignore "
check "all 22 are categories" [ "$(grep -c ' category ' out)" = 22 ]

for d in movies clicks; do
	check "$d: train" run 0 "$helrm" train --dataset $d.json --data $d.csv --out m-$d --max-onehot 1000
	check "$d: eval" run 0 "$helrm" eval --model m-$d --data $d.csv --held-out
	check "$d: something was learned" above AUC 0.6
	check "$d: compile" run 0 "$helrm" compile --model m-$d --out c/$d --bits 11
	check "$d: bounds are proved" says "bounds proved for every record"
	check "$d: verify" run 0 "$helrm" verify --model m-$d --compiled c/$d --data $d.csv --rows 40
	check "$d: no decision differs" says " 0 decisions differ"
	check "$d: keygen" run 0 "$helrm" keygen --manifest c/$d/manifest.helm --out k-$d
	head -n 5 $d.csv >few.csv
	check "$d: encrypt" run 0 "$helrm" encrypt --manifest c/$d/manifest.helm --key k-$d/secret.key --input few.csv \
		--row 3 --out q-$d.ct
	check "$d: infer" run 0 "$helrm" infer --program c/$d/program.helm --keys k-$d/evaluation.keys --query q-$d.ct \
		--out r-$d.ct
	"$helrm" predict --model m-$d --input few.csv | awk '$1 == 3 { print $2 }' >want
	check "$d: decrypt" run 0 "$helrm" decrypt --manifest c/$d/manifest.helm --key k-$d/secret.key --input r-$d.ct
	check "$d: the score is predict's" awk -v want="$(cat want)" \
		'$1 == "logit" { d = $2 - want; exit !(d < 0.001 && d > -0.001) }' out
done

# --- what a query does not say ----------------------------------------------------------------------

# As many entries as a record likes, values that nobody knows, cells that are no numbers: one size, one answer.
n=0
while read -r record; do
	n=$((n + 1))
	echo "$record" >one.csv
	check "record $n is encrypted" run 0 "$helrm" encrypt --manifest c/movies/manifest.helm --key k-movies/secret.key \
		--input one.csv --out q-$n.ct
	cp out said-$n
	check "and as large as any" [ "$(wc -c <q-$n.ct)" = "$(wc -c <q-movies.ct)" ]
done <<'END'
1,1,,30,1000000000
1,1,Drama,30,1000000000
1,1,Drama|Comedy|War|Crime|Western|Musical|Horror|Action|Drama|Drama|Drama,30,1000000000
no,such,Genre|Nor this,1e300,x
1;2;3
{"user": 1}
END
check "a bag over its limit is told" grep -q "record 1: a bag has more entries" said-3
check "what is no record, too" grep -q "1 column, expected 6" said-5
echo "1,1,Drama,old,1000000000" >one.csv
check "a cell that is no number" run 0 "$helrm" encrypt --manifest c/movies/manifest.helm --key k-movies/secret.key \
	--input one.csv --out q.ct
check "is told" says "cannot be read, and is sent as missing: age is 'old'"

mkdir models && cp -r c/movies models/films
printf 'listen = 127.0.0.1:0\nmodels = models\ndata = data\n' >server.conf
serve "$server" server.conf
query="$helrm query --server http://127.0.0.1:$port --model films --state state --no-passphrase"
head -n 2 movies.csv | cut -d, -f1-5 >one.csv
"$helrm" predict --model m-movies --input one.csv | awk '$1 == 1 { print $2 }' >want
# shellcheck disable=SC2086
check "a service scores a film" run 0 $query --input one.csv
check "as predict does" awk -v want="$(cat want)" \
	'{ for (i = 1; i < NF; i++) if ($i == "logit") { d = $(i + 1) - want; found = d < 0.001 && d > -0.001 } } END { exit !found }' out
echo '{"user": 5, "item": 7, "genres": ["Drama", "War"], "age": 33, "timestamp": 1000000000}' >one.json
# shellcheck disable=SC2086
check "a record of JSON" run 0 $query --input one.json
echo '5,7,Drama,old,1000000000' >bad.csv
# shellcheck disable=SC2086
check "a record that cannot be read is sent, and withheld" run 3 $query --input bad.csv
check "with the reason" says "age is 'old'"

# --- files ------------------------------------------------------------------------------------------

python3 - <<'PY'
import csv, gzip, json
rows = list(csv.DictReader(open("movies.csv")))
half = len(rows) // 2
with gzip.open("a.jsonl.gz", "wt") as f:
    for r in rows[:half]:
        f.write(json.dumps({**r, "genres": [g for g in r["genres"].split("|") if g], "user": int(r["user"])}) + "\n")
with open("b.tsv", "w") as f: # other order of columns, quotes
    names = ["rating", "genres", "user", "item", "timestamp", "age"]
    f.write(",".join(names) + "\n")
    for r in rows[half:]:
        f.write(",".join('"%s"' % r[k] for k in names) + "\n")
PY
check "JSON lines in gz, and a file of another order" run 0 "$helrm" train --dataset movies.json --data a.jsonl.gz \
	--data b.tsv --out m-again --max-onehot 1000
check "train the same model" cmp m-movies/weights.safetensors m-again/weights.safetensors
check "JSON lines are scanned" run 0 "$helrm" scan --data a.jsonl.gz --label rating --out j.json
check "arrays are bags" says "^genres  *bag .* 18  listed, up to 6 entries"

# --- errors -----------------------------------------------------------------------------------------

printf '{"networks": {"s": {"top": [8, 1]}, "dcn": {"architecture": "dcn", "top": [1], "embedding_dim": 4}},
	"plans": {"r": {"embedding": "frequent(all)+rates(4)", "max_onehot": 300}}, "members": [1, 2]}' >try.json
check "films are tuned" run 0 "$helrm" tune --dataset movies.json --data movies.csv --candidates try.json --seeds 2 --out tuned
check "one of four is recommended" [ "$(grep -c '"chosen": true' tuned/tune.json)" = 1 ]
{ head -n 3 movies.csv; echo "1,2,Drama,old,3,4"; } >bad.csv
check "a malformed row" run 3 "$helrm" train --dataset movies.json --data bad.csv --out m-bad
check "is named by file, line, column" says "bad.csv:4: age is 'old', not a finite number"
check "nobody's label" run 3 "$helrm" scan --data movies.csv --label stars
check "is named" says "no column is called 'stars'"
check "genres are no label" run 3 "$helrm" scan --data movies.csv --label genres
echo '{"helrm_columns": 1, "name": "x", "columns": [{"name": "a", "kind": "bag"}]}' >bad.json
check "a bad description" run 4 "$helrm" train --dataset bad.json --data movies.csv --out m-bad
check "is named by file, column, remedy" says "bad.json: columns, column 'a': a bag needs 'limit'"
check "codings of one value at a time are not for bags" run 6 "$helrm" compile --model m-movies --out c-bad \
	--lookup genres=powers
check "and say so" says "table genres is a bag: powers is of one value at a time"
check "for other tables they are" run 0 "$helrm" compile --model m-movies --out c-grid --bits 11 --lookup user=grid

# --- everything that a description can say, against Python -------------------------------------------

cat >all.json <<'END'
{"helrm_columns": 1, "name": "all", "separator": ";", "missing": ["NA"], "columns": [
 {"name": "skip", "kind": "ignore"},
 {"name": "city", "kind": "category"},
 {"name": "id", "kind": "category", "values": "modulo", "modulo": 40},
 {"name": "hex", "kind": "category", "values": "modulo", "modulo": 7, "ids": "hexadecimal"},
 {"name": "tags", "kind": "bag", "limit": 4, "separator": ","},
 {"name": "mean", "kind": "bag", "limit": 5, "pool": "mean", "weight": 2},
 {"name": "max", "kind": "bag", "limit": 6, "pool": "max", "separator": " "},
 {"name": "ids", "kind": "bag", "limit": 3, "values": "modulo", "modulo": 11, "separator": "json"},
 {"name": "x", "kind": "dense", "log": 3, "least": -2, "missing": 0},
 {"name": "y", "kind": "dense", "quantiles": [0.05, 0.9]},
 {"name": "bought", "kind": "label", "positive": "yes", "negative": "no"}]}
END
cat >all.py <<'PY'
import json, math, random, struct, sys
random.seed(5)
cities = ["Köln", "São Paulo", "Łódź", "New York, \"NY\"", "x" * 200, "?", "NA"]
tags, words = ["a b", "c", "d", "é"], ["one", "two", "three"]


def some(of, most):
    return [random.choice(of) for _ in range(random.randrange(most + 1))]


def row():
    return {"skip": random.random(), "city": random.choice(cities), "id": random.choice([random.randrange(2**63), "NA"]),
            "hex": "%x" % random.randrange(2**40), "tags": ",".join(some(tags, 7)),
            "mean": "|".join("%s:%.2f" % (w, random.uniform(-3, 3)) for w in some(words, 7)),
            "max": " ".join(some(words, 6)), "ids": json.dumps([random.randrange(1000) for _ in range(random.randrange(4))]),
            "x": random.choice([-9, 0, 3, 12345, ""]), "y": round(math.exp(random.gauss(0, 2)), 3),
            "bought": random.choice(["yes", "no"])}


def write(path, rows):
    with open(path, "w") as f:
        f.write(";".join(rows[0]) + "\n")
        for r in rows:
            f.write(";".join('"%s"' % str(v).replace('"', '""') for v in r.values()) + "\n")


def train():
    write("all.csv", [row() for _ in range(3000)])
    write("score.csv", [row() for _ in range(200)])


def load(directory):
    model = json.load(open(directory + "/model.json"))
    with open(directory + "/weights.safetensors", "rb") as f:
        size = struct.unpack("<Q", f.read(8))[0]
        header, data = json.loads(f.read(size)), f.read()
    w = {}
    for name, t in header.items():
        if name != "__metadata__":
            begin, end = t["data_offsets"]
            flat = struct.unpack("<%df" % ((end - begin) // 4), data[begin:end])
            rows = t["shape"][0]
            w[name] = [flat[i * len(flat) // rows:(i + 1) * len(flat) // rows] for i in range(rows)] \
                if len(t["shape"]) > 1 else list(flat)
    return model, w


def single(v):
    return struct.unpack("f", struct.pack("f", v))[0]


def entries(name, cell, table, limit):
    """[(row, weight)] of a cell as docs/data.md says."""
    missing = cell in ("", "?", "NA")
    if name in ("id", "hex", "ids"):
        values = [] if missing else json.loads(cell) if name == "ids" else [int(cell, 16 if name == "hex" else 10)]
        return [(1 + v % table["base"], 1) for v in values[:limit]]
    known = {v: i + 1 for i, v in enumerate(table["values"])}
    if name == "city":
        return [] if missing else [(known.get(cell, 0), 1)]
    if name == "tags":
        return [(known.get(v, 0), 1) for v in cell.split(",") if v][:limit]
    if name == "max":
        return [(known.get(v, 0), 1) for v in cell.split()][:limit]
    pairs = [p.rsplit(":", 1) for p in cell.split("|") if p][:limit]
    return [(known.get(v, 0), single(max(-2, min(2, float(w))))) for v, w in pairs]


def pooled(name, found):
    if not found:
        return [(0, 1)]
    if name == "mean":
        return [(r, w / len(found)) for r, w in found]
    return [(r, 1) for r in {r for r, _ in found}] if name == "max" else found


def dense(schema, name, cell):
    d = [d for d in schema["dense"] if d["name"] == name][0]
    if name == "x":
        v = math.log(max(float(cell or 0), -2) + 3)
    elif not cell:
        return 0
    else:
        v = min(max(float(cell), d["low"]), d["high"])
    return max(-schema["clip"], min(schema["clip"], (v - d["mean"]) / d["deviation"]))


def linear(w, name, x):
    return [sum(a * b for a, b in zip(row, x)) + c for row, c in zip(w[name + ".weight"], w[name + ".bias"])]


def score():
    import csv
    model, w = load("m-all")
    schema, a = model["schema"], model["config"]["activation"]
    limits = {c["name"]: c.get("limit", 1) for c in json.load(open("all.json"))["columns"]}
    got = [p["logit"] for p in json.load(open("scores.json"))["predictions"]]
    want = []
    for r in csv.DictReader(open("score.csv"), delimiter=";"):
        h = linear(w, "bot_l.0", [dense(schema, n, r[n]) for n in ("x", "y")])
        for i, table in enumerate(schema["tables"]):
            name = table["name"]
            vector = [0] * len(w["emb_l.%d.weight" % i][0])
            for e, weight in pooled(name, entries(name, r[name], table, limits[name])):
                vector = [v + weight * t for v, t in zip(vector, w["emb_l.%d.weight" % i][e])]
            h = h + vector
        h = [a["a"] * v * v + a["b"] * v for v in linear(w, "top_l.0", h)]
        want.append(linear(w, "top_l.2", h)[0])
    spread = max(want) - min(want)
    worst = max(abs(x - y) for x, y in zip(got, want))
    print("%d rows, spread %.3g, largest difference %.2g" % (len(want), spread, worst))
    sys.exit(not (len(got) == len(want) == 200 and spread > 0.05 and worst < 1e-5 * spread))


train() if sys.argv[1] == "rows" else score()
PY
python3 all.py rows
check "all kinds: train" run 0 "$helrm" train --dataset all.json --data all.csv --out m-all
"$helrm" predict --model m-all --input score.csv --json >scores.json
check "all kinds: predict is Python's" run 0 python3 all.py score
check "all kinds: compile" run 0 "$helrm" compile --model m-all --out c-all
check "all kinds: verify" run 0 "$helrm" verify --model m-all --compiled c-all --data score.csv --rows 30
check "all kinds: no decision differs" says " 0 decisions differ"
check "all kinds: predicted and found bits" above "model:" 12

echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
