#!/bin/sh
# Catalogues: a model's public columns as items, one private user ranked against all of them, compared with the
# model pair by pair; appending, candidates, bad input. ranking.sh HELRM SERVER HEART_DATA RANK_EXAMPLE
RANK=$(realpath "$4")
. "$(dirname "$0")/lib.sh"

field() { sed -n "s/.*\"$1\":\([-0-9.e]*\).*/\1/p" "$2"; }
holds() { # NAME VALUE OPERATOR LIMIT
	check "$1" "$2, expected $3 $4" awk "BEGIN { exit !(\"$2\" != \"\" && $2 $3 $4) }"
}

"$HELRM" synth --dataset movies --rows 6000 --out rows.csv >/dev/null || die "synth" "failed"
# every film once; the title is nobody's column
awk -F, 'NR == 1 { print "title,genres,item" } NR > 1 && !($2 in seen) { seen[$2]; print "\"Film, " $2 "\"," $3 "," $2 }' \
	rows.csv >items.csv
items=$(($(wc -l <items.csv) - 1))
head -4 rows.csv >users.csv
printf '{"item_columns": ["item", "genres"], "bottom": [8], "top": [8, 1]}\n' >item_towers.json
printf '{"top": [16, 1], "embedding_dim": 8}\n' >dot.json
printf '{"top": [12, 6, 1], "embedding_dim": 8, "activation": {"kind": "square"}}\n' >deep.json
awk -F, 'NR == 1 { print "user,age,timestamp" } NR == 2 { print $1 "," $4 "," $5 }' rows.csv >user.csv

# --- networks: each split, encoded, ranked, compared pair by pair ------------------------------------
network() { # NAME TRAIN_ARGUMENT ...
	name=$1
	shift
	section "$name"
	"$HELRM" train --dataset movies --data rows.csv --out "$name" "$@" >/dev/null 2>log/err ||
		die "train $name" "$(cat log/err)"
	json "compile $name" compile --model "$name" --public item,genres --data rows.csv --out "$name.c" $how || return
	check "$name: form" "$(cat log/out)" grep -q "\"form\":\"${how:+batched}" log/out
	json "plan $name" inspect plan "$name.c/program.helm"
	holds "$name: price" "$(field ms_per_1000 log/out)" ">" 0
	json "catalogue $name" catalogue --program "$name.c/program.helm" --items items.csv --out "$name.c/items.helm" ||
		return
	holds "$name: items" "$(field items log/out)" == "$items"
	json "verify $name" verify --model "$name" --compiled "$name.c" --catalogue "$name.c/items.helm" --data users.csv ||
		return
	cp log/out "$name.json"
	holds "$name: pairs" "$(field items "$name.json") * $(field rows "$name.json")" == "3 * $items"
	holds "$name: bits" "$(field bits "$name.json")" ">=" 12
	holds "$name: bits as predicted" "$(field bits "$name.json")" ">=" "$(field predicted_bits "$name.json") - 1.6"
	holds "$name: tau" "$(field tau "$name.json")" ">=" .999
	holds "$name: the first ten" "$(field top10_overlap "$name.json")" ">=" .9
}
how=
network squares
network towers --architecture two-tower --config item_towers.json
network dot --architecture fm --config dot.json
how='--batch 32'
network deep --architecture mlp --config deep.json

# --- step by step -------------------------------------------------------------------------------------
section "files"
c=towers.c
works "keygen" keygen --manifest $c/manifest.helm --out keys
works "encrypt" encrypt --manifest $c/manifest.helm --key keys/secret.key --input user.csv --out query.ct
works "infer" infer --program $c/program.helm --catalogue $c/items.helm --keys keys/evaluation.keys --query query.ct --out all.ct
works "decrypt" decrypt --manifest $c/manifest.helm --key keys/secret.key --input all.ct --top 10 --json
cp log/out all.json
awk -F, 'NR == FNR { if (FNR == 2) user = $0; next } FNR == 1 { print "user,age,timestamp,item,genres" }
	FNR > 1 { n = split($0, cell, ","); print user "," cell[n] "," cell[n - 1] }' user.csv items.csv >pairs.csv
"$HELRM" predict --model towers --input pairs.csv --json >clear.json
# the ten best in the clear, id and logit, and what was decrypted
python3 - all.json clear.json pairs.csv <<'P' >log/compared
import csv, json, sys
items = json.load(open(sys.argv[1]))["items"]
clear = json.load(open(sys.argv[2]))["predictions"]
ids = [row["item"] for row in csv.DictReader(open(sys.argv[3]))]
logit = {i: p["logit"] for i, p in zip(ids, clear)}
best = sorted(logit.values(), reverse=True)[:10]
assert len(items) == 10 and all(a["logit"] >= b["logit"] for a, b in zip(items, items[1:]))
assert all(abs(i["logit"] - logit[i["id"]]) < 2e-3 for i in items)
assert all(abs(i["logit"] - b) < 4e-3 for i, b in zip(items, best))
assert all(0 < i["probability"] < 1 for i in items)
print("same")
P
check "ten best items are the model's" "$(cat log/compared)" grep -q same log/compared

"$RANK" $c/manifest.helm $c/program.helm $c/items.helm user.csv >log/rank 2>&1
python3 - all.json log/rank <<'P' >log/compared
import json, re, sys
items = json.load(open(sys.argv[1]))["items"]
lines = open(sys.argv[2]).read().splitlines()[1:]
ours = [re.fullmatch(r"\d+: (.*), probability ([01]\.\d+)", line).groups() for line in lines]
assert len(ours) == 10 and {i for i, _ in ours[:9]} <= {i["id"] for i in items}
assert all(abs(float(p) - i["probability"]) < 2e-3 for (_, p), i in zip(ours, items))
print("same")
P
check "and those of a program on the shared libraries" "$(cat log/rank log/compared)" grep -q same log/compared

section "candidates"
first=$(awk -F, 'NR == 2 { print $NF }' items.csv) third=$(awk -F, 'NR == 4 { print $NF }' items.csv)
works "a list and a range" infer --program $c/program.helm --catalogue $c/items.helm --keys keys/evaluation.keys \
	--query query.ct --candidates "$third,5..7,$first" --out few.ct
json "decrypt them" decrypt --manifest $c/manifest.helm --key keys/secret.key --input few.ct
holds "as many" "$(field ranked log/out)" == 5

section "items that are no matrix"
works "keygen" keygen --manifest deep.c/manifest.helm --out deep.keys
works "encrypt" encrypt --manifest deep.c/manifest.helm --key deep.keys/secret.key --input user.csv --out deep.q
works "some" infer --program deep.c/program.helm --catalogue deep.c/items.helm --keys deep.keys/evaluation.keys \
	--query deep.q --candidates "$third,33..40,$first" --out deep.ct
json "decrypt them" decrypt --manifest deep.c/manifest.helm --key deep.keys/secret.key --input deep.ct
holds "as many" "$(field ranked log/out)" == 10
cp log/out deep.out
"$HELRM" predict --model deep --input pairs.csv --json >deep.clear
python3 - deep.out deep.clear pairs.csv <<'P' >log/compared
import csv, json, sys
items = json.load(open(sys.argv[1]))["items"]
clear = json.load(open(sys.argv[2]))["predictions"]
ids = [row["item"] for row in csv.DictReader(open(sys.argv[3]))]
logit = {i: p["logit"] for i, p in zip(ids, clear)}
assert len(items) == 10 and all(abs(i["logit"] - logit[i["id"]]) < 4e-3 for i in items), items
print("same")
P
check "scores are the model's" "$(cat log/compared)" grep -q same log/compared
head -40 items.csv >first.csv
sed -n '1p;41,$p' items.csv >rest.csv
works "the first" catalogue --program deep.c/program.helm --items first.csv --out part.helm
works "the rest" catalogue --program deep.c/program.helm --items rest.csv --append part.helm --out whole.helm
check "appended is the same as at once" "they differ" cmp -s whole.helm deep.c/items.helm

section "public columns of a description"
cat >films.json <<'J'
{"helrm_columns": 1, "name": "films", "columns": [{"name": "user", "kind": "category", "values": "hashed"},
 {"name": "item", "kind": "category", "values": "hashed", "public": true},
 {"name": "genres", "kind": "bag", "separator": "|", "limit": 6, "public": true},
 {"name": "age", "kind": "dense"}, {"name": "timestamp", "kind": "dense", "public": false},
 {"name": "rating", "kind": "label", "above": 3.5}]}
J
works "train" train --dataset films.json --data rows.csv --out described --architecture two-tower --config item_towers.json
json "compile" compile --model described --data rows.csv --out described.c
check "its items are told" "$(cat log/out)" grep -q '"form":"matrix"' log/out
works "catalogue" catalogue --program described.c/program.helm --items items.csv --out described.c/items.helm
json "verify" verify --model described --compiled described.c --catalogue described.c/items.helm --data users.csv
holds "tau" "$(field tau log/out)" ">=" .999
json "other columns" compile --model described --public genres --data rows.csv --out out/x
rm -rf out/x
json "none" compile --model described --public none --data rows.csv --out out/x
check "records are scored" "$(cat log/out)" sh -c '! grep -q "\"form\"" log/out'
rm -rf out/x
json "a coding of a private table" compile --model towers --public item,genres --lookup user=onehot --out out/x
rm -rf out/x
keys=$(field evaluation_keys_bytes log/out)
json "keys that fit" compile --model towers --public item,genres --max-keys $((keys / 1000000 + 1)) --out out/x
rm -rf out/x

section "appending"
head -100 items.csv >first.csv
sed -n '1p;101,$p' items.csv >rest.csv
works "the first" catalogue --program $c/program.helm --items first.csv --out part.helm
works "the rest" catalogue --program $c/program.helm --items rest.csv --append part.helm --out whole.helm
check "appended is the same as at once" "they differ" cmp -s whole.helm $c/items.helm
section "in service"
mkdir -p models/films data
cp $c/program.helm models/films/
cp part.helm models/films/items.helm
printf 'listen = 127.0.0.1:0\nmodels = models\ndata = data\nreload-seconds = 1\n' >serve.conf
"$SERVER" serve --config serve.conf 2>log/serve &
served=$!
trap 'kill $served 2>/dev/null; cleanup' EXIT
port=
for _ in $(seq 200); do
	port=$(sed -n 's/.*"listening".*"port":\([0-9]*\).*/\1/p' log/serve)
	[ -z "$port" ] || break
	sleep 0.05
done
query() { # NAME ARGUMENT ...
	query_name=$1
	shift
	works "$query_name" query --server "http://127.0.0.1:$port" --model films --state state --no-passphrase --input user.csv "$@"
}
query "a part of the films" --json
holds "all of the part" "$(field ranked log/out)" == 99
cp $c/items.helm models/films/next && mv models/films/next models/films/items.helm
for _ in $(seq 100); do
	[ "$(grep -c catalogue_in_service log/serve)" -lt 2 ] || break
	sleep 0.1
done
query "all films, once they are there" --top 10 --json
holds "all" "$(field ranked log/out)" == "$items"
cp log/out served.json
python3 - served.json all.json <<'P' >log/compared
import json, sys
a, b = (json.load(open(p))["items"] for p in sys.argv[1:])
assert len(a) == 10 and all(abs(x["logit"] - y["logit"]) < 4e-3 for x, y in zip(a, b))
print("same")
P
check "the ten best are those of files" "$(cat log/compared)" grep -q same log/compared
awk -F, 'NR >= 2 && NR <= 30 { print $NF }' items.csv >some.txt
printf '40..49\n' >>some.txt
cat some.txt some.txt >twice.txt # named twice is ranked once
query "some films" --candidates twice.txt --json
holds "as many as are named" "$(field ranked log/out)" == 39
cp log/out some.json
"$HELRM" infer --program $c/program.helm --catalogue $c/items.helm --keys keys/evaluation.keys --query query.ct \
	--candidates "$(paste -sd, some.txt)" --out some.ct >/dev/null
"$HELRM" decrypt --manifest $c/manifest.helm --key keys/secret.key --input some.ct --json >some_files.json
python3 - some.json some_files.json <<'P' >log/compared
import json, sys
a, b = ({i["id"]: i["logit"] for i in json.load(open(p))["items"]} for p in sys.argv[1:])
assert len(a) == 39 and a.keys() == b.keys() and all(abs(a[i] - b[i]) < 4e-3 for i in a)
print("same")
P
check "they are those of files" "$(cat log/compared)" grep -q same log/compared
query_refused() { # NAME CANDIDATES
	run query --server "http://127.0.0.1:$port" --model films --state state --no-passphrase --input user.csv \
		--candidates "$2"
	refused "$1" any query
}
printf 'nobody\n' >nobody.txt
query_refused "an item that is not there" nobody.txt
check "by its name" "$(cat log/err)" grep -q "no item 'nobody'" log/err
printf '\n\n' >nothing.txt
query_refused "no candidates" nothing.txt
printf 'a\033b\n' >control.txt
query_refused "what is no text" control.txt
head -c 1100000 /dev/zero | tr '\0' '1' >long.txt
query_refused "too many candidates" long.txt
query "all films again" --json
holds "all again" "$(field ranked log/out)" == "$items"
head -c 5000 $c/items.helm >models/films/next && mv models/films/next models/films/items.helm
for _ in $(seq 100); do
	! grep -q catalogue_refused log/serve || break
	sleep 0.1
done
query "a damaged catalogue leaves the old one" --top 3 --json
holds "all of the old one" "$(field ranked log/out)" == "$items"
kill $served
wait $served 2>/dev/null

empty_out
rejects() { # NAME STATUS ARGUMENT ...
	rejects_name=$1 rejects_status=$2
	shift 2
	run "$@"
	refused "$rejects_name" "$rejects_status" "$1"
}
section "bad input"
cat items.csv >twice.csv
tail -1 items.csv >>twice.csv
rejects "an id that is there twice" any catalogue --program $c/program.helm --items twice.csv --out out/x
printf 'item\n7\n' >narrow.csv
rejects "a column that is missing" any catalogue --program $c/program.helm --items narrow.csv --out out/x
: >empty.csv
rejects "no items" any catalogue --program $c/program.helm --items empty.csv --out out/x
rejects "an ordinary program" any catalogue --program $c/manifest.helm --items items.csv --out out/x
rejects "nothing is private" any compile --model towers --public user,item,genres,age,timestamp --out out/x
rejects "nothing is public" any compile --model towers --public "" --out out/x
rejects "keys within 1 MB" any compile --model towers --public item,genres --max-keys 1 --out out/x
check "says what there is" "$(cat log/err)" grep -q "within the limits" log/err
rejects "a coding of a public table" any compile --model towers --public item,genres --lookup genres=onehot --out out/x
sed 's/"public": true/"public": 1/' films.json >wrong.json
rejects "public is yes or no" any train --dataset wrong.json --data rows.csv --out out/x
rejects "no such column" any compile --model towers --public film --out out/x
rejects "another program's catalogue" any infer --program $c/program.helm --catalogue squares.c/items.helm \
	--keys keys/evaluation.keys --query query.ct --out out/x
rejects "no catalogue" any infer --program $c/program.helm --keys keys/evaluation.keys --query query.ct --out out/x
rejects "an unknown candidate" any infer --program $c/program.helm --catalogue $c/items.helm --keys keys/evaluation.keys \
	--query query.ct --candidates nobody --out out/x
cp $c/items.helm cut.helm
size=$(wc -c <cut.helm)
for at in 5 100 4000 70000 $((size - 9)); do
	cp $c/items.helm bad.helm
	printf '\377\252' | dd of=bad.helm bs=1 seek=$at conv=notrunc 2>/dev/null
	rejects "a catalogue damaged at $at" any infer --program $c/program.helm --catalogue bad.helm \
		--keys keys/evaluation.keys --query query.ct --out out/x
done
truncate -s $((size / 2)) cut.helm
rejects "half a catalogue" any infer --program $c/program.helm --catalogue cut.helm --keys keys/evaluation.keys \
	--query query.ct --out out/x
for at in 90 300 3000; do
	cp all.ct bad.ct
	printf '\377\252' | dd of=bad.ct bs=1 seek=$at conv=notrunc 2>/dev/null
	rejects "a ranking damaged at $at" any decrypt --manifest $c/manifest.helm --key keys/secret.key --input bad.ct
done

finish
