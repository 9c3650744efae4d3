#!/bin/sh
# Criteo as users run it: criteo.sh HELRM [REAL_SAMPLE]. Synthetic rows everywhere; with the real sample
# also the AUC that the project promises. Prints one line per check, then the totals.
set -eu
absolute() {
	case $1 in
	'' | /*) printf '%s\n' "$1" ;;
	*) printf '%s\n' "$PWD/$1" ;;
	esac
}
helrm=$(absolute "$1") real=$(absolute "${2:-}")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
passed=0 failed=0
ok() {
	echo "ok $1"
	passed=$((passed + 1))
}
fail() {
	echo "FAIL $1"
	failed=$((failed + 1))
}
holds() { # NAME VALUE OPERATOR LIMIT
	if [ -n "$2" ] && awk "BEGIN { exit !($2 $3 $4) }"; then ok "$1: $2 $3 $4"; else fail "$1: $2, expected $3 $4"; fi
}
same() { # NAME FILE FILE
	if cmp -s "$2" "$3"; then ok "$1"; else fail "$1: $2 and $3 differ"; fi
}
refused() { # NAME EXIT_CODE TEXT COMMAND...: one line on stderr, but for progress, that has the text
	name=$1 code=$2 text=$3
	shift 3
	found=0
	"$@" >out 2>err || found=$?
	if [ "$found" = "$code" ] && [ "$(grep -vc 's so far$\|s left$' err)" = 1 ] &&
		grep -q -- "$text" err; then
		ok "$name"
	else
		fail "$name: exit $found, expected $code; said: $(cat err)"
	fi
}
field() { sed -n "s/.*\"$1\":\([-0-9.e]*\).*/\1/p" "$2"; }
json() { # FILE EXPRESSION: of d, what the file holds
	python3 -c 'import json, math, sys; d = json.load(open(sys.argv[1])); print(eval(sys.argv[2]))' "$1" "$2"
}
test_auc() { sed -n 's/.*"test":{[^}]*"auc":\([0-9.]*\).*/\1/p' "$1"; }

"$helrm" synth --dataset criteo --rows 40000 --seed 5 --out rows.txt >/dev/null
printf '{"embedding_dim":4,"bottom":[4],"top":[8,1],"max_onehot":1500}' >small.json
printf '{"training":{"test":0}}' >none.json

# the same seed and any number of threads: the same file
"$helrm" train --dataset criteo --data rows.txt --config small.json --out a --json >a.json 2>/dev/null
"$helrm" train --dataset criteo --data rows.txt --config small.json --out b --threads 1 >/dev/null 2>&1
same "two trainings give the same weights" a/weights.safetensors b/weights.safetensors
same "and the same model.json" a/model.json b/model.json
holds "synthetic test AUC" "$(test_auc a.json)" ">=" 0.68
holds "one-hot entries" "$(field onehots a.json)" "<=" 1500
if [ -e a/rows.cache ] || [ -e a/checkpoint ]; then fail "leftovers in the model's directory"; else ok "no leftovers"; fi
if grep -q "$(head -n 1 rows.txt | cut -f 15)" a/model.json; then fail "a value is published"; else ok "no value is published"; fi

# gz, several files, a kept cache
gzip -k rows.txt
"$helrm" train --dataset criteo --data rows.txt.gz --config small.json --cache kept --out c >/dev/null 2>&1
same "gz gives the same weights" a/weights.safetensors c/weights.safetensors
"$helrm" train --dataset criteo --data rows.txt.gz --config small.json --cache kept --out c >said 2>/dev/null
if grep -q "rows in the cache" said; then ok "the cache serves again"; else fail "the cache is not used"; fi
"$helrm" eval --model a --data rows.txt --held-out --json >eval.json
holds "eval --held-out repeats training's test" "$(test_auc eval.json) - $(test_auc a.json)" "==" 0
"$helrm" synth --dataset criteo --rows 700 --seed 99 --out others.txt >/dev/null
if "$helrm" eval --model a --data others.txt --held-out 2>says || ! grep -q "these are others" says; then fail "--held-out on other rows: $(cat says)"; else ok "--held-out is for the rows of the training"; fi
"$helrm" eval --model a --data others.txt >says
if grep -q warning says; then fail "a warning about other rows"; else ok "no warning about other rows"; fi
gzip -c rows.txt >again.gz
"$helrm" eval --model a --data again.gz >says
if grep -q "warning: the model was trained on these rows" says; then ok "eval says that it knows the rows"; else fail "eval on training data: $(cat says)"; fi
rm again.gz
sed 's/^[01]/1/' others.txt >ones.txt
"$helrm" eval --model a --data ones.txt >says
if grep -q "one class: AUC undefined" says && ! grep -q accuracy says; then ok "one class has no AUC"; else fail "one class: $(cat says)"; fi
# what judged teaches, too: then nothing is held out; the checkpoints of both trainings go
"$helrm" train --dataset criteo --data rows.txt --config small.json --refit --out all --json >all.json 2>/dev/null
same_auc=$(test_auc all.json)
holds "--refit judges before" "$same_auc - $(test_auc a.json)" "==" 0
holds "--refit takes as many steps on more rows" "$(json all.json 'abs(d["refit"]["steps"] / d["steps"] - 7 / 6)')" "<" 0.02
if "$helrm" eval --model all --data rows.txt --held-out 2>says || ! grep -q "none is held out" says; then fail "--held-out after --refit: $(cat says)"; else ok "--refit holds nothing out"; fi
if ls all/checkpoint* >/dev/null 2>&1; then fail "checkpoints are left: $(ls all)"; else ok "no checkpoints are left"; fi
if cmp -s a/weights.safetensors all/weights.safetensors; then fail "--refit changes nothing"; else ok "--refit is another training"; fi
rm -r all
# two models on the same rows; what is drawn has a point for each bin
"$helrm" train --dataset criteo --data rows.txt --config small.json --architecture fm --out fm >/dev/null 2>&1
"$helrm" eval --model a --against fm --data rows.txt --held-out --plot plot.svg --json >both.json
"$helrm" eval --model fm --data rows.txt --held-out --json >fm.json
"$helrm" eval --model a --against a --data others.txt --json >self.json
holds "eval --against: the difference of both AUCs" "$(json both.json 'd["test"]["against"]["auc_difference"]') - $(test_auc a.json) + $(test_auc fm.json)" "<" 1e-9
holds "eval --against a model itself: no difference" "$(json self.json 'd["evaluated"]["against"]["auc_difference_error"]')" "==" 0
holds "eval: guessing loses the base rate's entropy" "$(json both.json 'abs(d["test"]["guessing"]["log_loss"] + sum(p * math.log(p) for p in (d["test"]["base_rate"], 1 - d["test"]["base_rate"])))')" "<" 1e-12
holds "eval: the AUC lies in its interval" "$(json both.json 'd["test"]["auc_interval"][0] < d["test"]["auc"] < d["test"]["auc_interval"][1] and 1 or 0')" "==" 1
holds "eval --plot draws a point for each bin" "$(grep -c '<circle' plot.svg)" "==" 15
rm -r fm
cat others.txt | "$helrm" eval --model a --data - >piped
"$helrm" eval --model a --data others.txt >says
if [ "$(grep AUC piped)" = "$(grep AUC says)" ]; then ok "rows through a pipe"; else fail "rows through a pipe: $(cat piped)"; fi
# a limit that is too small for OpenBLAS: an end, not a loop (sanitizers take more for themselves)
if (ulimit -v 150000 && "$helrm" --version) >/dev/null 2>&1; then
	if (ulimit -v 150000 && timeout 60 "$helrm" train --dataset criteo --data others.txt --config small.json --out limited) >/dev/null 2>says; then fail "training without memory works"; elif grep -q "out of memory" says; then ok "training without memory says so"; else fail "training without memory: $(cat says)"; fi
fi

# bad rows
{ head -n 20 rows.txt; echo "not a row"; tail -n 20 rows.txt; } >bad.txt
refused "a malformed row is an error" 3 "bad.txt:21: 1 column, expected 40" \
	"$helrm" train --dataset criteo --data bad.txt --out bad
"$helrm" scan --data bad.txt --cache bad.cache --max-malformed 1 >said
if grep -q "40 rows read.*1 malformed" said && grep -q "bad.txt:21" said; then ok "or left out and reported"; else fail "malformed rows: $(cat said)"; fi
head -c 100000 rows.txt.gz >short.gz
refused "a gz file that ends too early" 4 "ends too early" "$helrm" scan --data short.gz --cache short.cache
refused "an embedding that does not exist" 2 "is no embedding" \
	"$helrm" train --dataset criteo --data rows.txt --embedding 'rare(4)' --out bad
refused "a budget that cannot be met" 6 "one-hot entries are too few" \
	"$helrm" train --dataset criteo --data rows.txt --max-onehot 50 --out bad
refused "nothing to resume" 7 "nothing to resume" \
	"$helrm" train --dataset criteo --data rows.txt --out bad --resume
refused "cross-validation of a stream" 2 "holds one row in 7 out" \
	"$helrm" train --dataset criteo --data rows.txt --out bad --cv 5

# killed, and resumed: the same weights
printf '{"embedding_dim":16,"bottom":[256,16],"top":[256,1],"max_onehot":1500,"training":{"epochs":4}}' >slow.json
"$helrm" train --dataset criteo --data rows.txt --config slow.json --out whole >/dev/null 2>&1
"$helrm" train --dataset criteo --data rows.txt --config slow.json --out killed --checkpoint-every 1 >/dev/null 2>&1 &
pid=$!
i=0
while [ ! -s killed/checkpoint ] && [ $i -lt 300 ] && kill -0 $pid 2>/dev/null; do
	sleep 0.1
	i=$((i + 1))
done
if kill -9 $pid 2>/dev/null; then
	wait $pid 2>/dev/null || true
	refused "a checkpoint of another configuration" 5 "another data, configuration\|other data, configuration" \
		"$helrm" train --dataset criteo --data rows.txt --config small.json --out killed --resume
	"$helrm" train --dataset criteo --data rows.txt --config slow.json --out killed --resume >said 2>/dev/null
	if grep -q "resumed after step" said; then ok "resumes"; else fail "resumes: $(cat said)"; fi
	same "killed and resumed gives the same weights" whole/weights.safetensors killed/weights.safetensors
else
	echo "SKIPPED, NOT TESTED: this machine trains faster than it can be killed"
fi

# killed at any point, of both passes over the rows for rates, of four members, of the second training on all rows:
# again and again a little later, until it is through
rated="--embedding frequent(all)+rates(4) --max-onehot 1500 --members 4 --refit --calibrate"
"$helrm" train --dataset criteo --data rows.txt --config small.json $rated --out calm --json >calm.json 2>/dev/null
"$helrm" train --dataset criteo --data rows.txt --config small.json $rated --out alone --threads 1 >/dev/null 2>&1
same "rates, members, all rows: threads change nothing" calm/weights.safetensors alone/weights.safetensors
again= kills=0
for wait in 0.05 0.1 0.15 0.2 0.3 0.4 0.5 0.6 0.8 1 1.5 2 3 4 60 60; do
	code=0
	timeout -s KILL "$wait" "$helrm" train --dataset criteo --data rows.txt --config small.json $rated --out hunted \
		--checkpoint-every 1 $again >/dev/null 2>says || code=$?
	[ "$code" = 0 ] && break
	[ "$code" = 137 ] || { fail "killed $kills times, then: $(cat says)" && break; }
	kills=$((kills + 1))
	# one that is being written, .PID.partial, is none yet
	if ls hunted/checkpoint hunted/checkpoint.[0-3] 2>/dev/null | grep -q .; then again=--resume; fi
done
holds "times that it was killed" "$kills" ">=" 3
same "killed at every point: the same weights" calm/weights.safetensors hunted/weights.safetensors
same "and the same tables" calm/model.json hunted/model.json
if ls hunted/checkpoint* >/dev/null 2>&1; then fail "checkpoints are left: $(ls hunted)"; else ok "no checkpoints are left behind"; fi
# calibrated on the held-out rows: of these, scores say what happened
"$helrm" train --dataset criteo --data rows.txt --config small.json --calibrate --out level --json >level.json 2>/dev/null
"$helrm" eval --model level --data rows.txt --held-out --json >eval.json
holds "--calibrate changes no ranking" "($(test_auc eval.json) - $(test_auc a.json)) ^ 2" "<" 1e-12
holds "--calibrate: the log loss that was told" "($(json eval.json 'd["test"]["log_loss"]') - $(json level.json 'd["calibrated"]["log_loss"]')) ^ 2" "<" 1e-12
holds "--calibrate loses less" "$(json level.json 'd["test"]["log_loss"] - d["calibrated"]["log_loss"]')" ">" 0
"$helrm" eval --model a --data others.txt --recalibrate there --json >eval.json
"$helrm" eval --model there --data others.txt --json >again.json
holds "eval --recalibrate: a copy that fits these rows" "$(json again.json 'd["evaluated"]["log_loss"]') - $(json eval.json 'd["evaluated"]["log_loss"]')" "<" 0
holds "eval --recalibrate tells what it is worth elsewhere" "$(json eval.json 'd["evaluated"]["recalibrated"]["log_loss"]') - $(json again.json 'd["evaluated"]["log_loss"]')" ">" 0
refused "no rows to calibrate on" 2 "--calibrate: the config holds no rows out" "$helrm" train --dataset criteo --data rows.txt \
	--config none.json --calibrate --out bad

# without a word on network or tables: those that are co-designed
"$helrm" train --dataset criteo --data rows.txt --out plain --json >plain.json 2>/dev/null
holds "the default's entries" "$(field onehots plain.json)" "<=" 4096
holds "the default's members and rates" "$(json plain/model.json 'd["config"]["members"] * (d["config"]["embedding"] == "frequent(all)+rates(16)")')" "==" 4
printf '{}' >base.json
"$helrm" train --dataset criteo --data rows.txt --config base.json --out plain --json >plain.json 2>/dev/null
holds "a config's other keys are of one member, full tables" "$(json plain/model.json 'd["config"]["members"] + d["config"]["max_onehot"]')" "==" 1

# from a model to an encrypted prediction, with a tail in digits
"$helrm" train --dataset criteo --data rows.txt --config small.json --embedding 'frequent(20)+digits(8)' \
	--threshold 60 --max-onehot 1500 --out tail >/dev/null 2>&1
"$helrm" compile --model tail --out compiled >/dev/null
head -n 12 rows.txt >some.txt
"$helrm" verify --model tail --compiled compiled --data some.txt --json >verify.json 2>/dev/null
holds "encrypted bits" "$(field bits verify.json)" ">=" 12
holds "decisions that differ" "$(field decisions_differ verify.json)" "==" 0
head -n 1 rows.txt | sed 's/^[01]//' >record.tsv # without its label
head -n 1 rows.txt | cut -f 2- >shifted.tsv
if "$helrm" predict --model tail --input shifted.tsv 2>says || ! grep -q "39 columns, expected 40: a row without its label starts with an empty cell" says; then fail "a lost cell: $(cat says)"; else ok "a lost cell is no shift"; fi
"$helrm" keygen --manifest compiled/manifest.helm --out keys >/dev/null
"$helrm" encrypt --manifest compiled/manifest.helm --key keys/secret.key --input record.tsv --out q >/dev/null
"$helrm" infer --program compiled/program.helm --keys keys/evaluation.keys --query q --out r >/dev/null
"$helrm" decrypt --manifest compiled/manifest.helm --key keys/secret.key --input r --json >decrypted
"$helrm" predict --model tail --input record.tsv --json >predicted
holds "one record from a file" "($(field logit decrypted)) - ($(sed -n 's/.*"logit":\([-0-9.e]*\),.*/\1/p' predicted))" "<" 0.001

# tune: what it says of an ensemble is what train says of the configuration that it writes
cat >candidates.json <<-'end'
	{"networks": {"a": {"top": [8, 1]}, "r": {"activation": {"kind": "relu"}}},
	 "plans": {"rated": {"embedding": "frequent(all)+rates(4)"}, "full": {"max_onehot": 0},
	  "the same": {"max_onehot": 0, "min_count": 2}},
	 "members": [2], "references": {"lines": {"activation": {"kind": "relu"}}}}
end
"$helrm" tune --data rows.txt --config small.json --candidates candidates.json --seeds 2 --out tuned --json >tune.json 2>/dev/null
"$helrm" train --dataset criteo --data rows.txt --config tuned/config.json --out chosen --json >chosen.json 2>/dev/null
holds "tune: the chosen configuration trained gives its AUC" "($(json tune.json '[c["auc"] for c in d["candidates"] if c["chosen"]][0]') - $(test_auc chosen.json)) ^ 2" "<" 1e-12
holds "tune: a network that cannot be compiled is dropped" "$(json tune.json 'sum(c["name"].startswith("r;") and "relu" in c["not_compiled"] for c in d["dropped"] if "not_compiled" in c)')" "==" 2
holds "tune: of two equal plans one is trained" "$(json tune.json 'sum("the tables of" in c.get("not_compiled", "") for c in d["dropped"])')" "==" 2
holds "tune: references are lines" "$(json tune.json 'sum(c["reference"] and "server_ms" not in c for c in d["candidates"])') + $(grep -c dasharray tuned/tune.svg)" "==" 2
holds "tune: every candidate is drawn and named" "$(json tune.json 'len(d["candidates"])') - $(grep -c '<text x="[0-9.]*" y="[0-9.]*" fill' tuned/tune.svg)" "==" 0
"$helrm" tune --data rows.txt --config small.json --candidates candidates.json --seeds 1 --within 0.5 --no-rates --out tuned --json >tune.json 2>/dev/null
holds "tune --within takes the quickest, --no-rates leaves rates out" "$(json tune.json 'min((c["server_ms"], c["chosen"]) for c in d["candidates"] if not c["reference"])[1] and "rated" not in str(d) and 1 or 0')" "==" 1
printf '{"plans":{"p":{}},"member":[1]}' >wrong.json
refused "tune: candidates of another form" 4 "candidates: expected" "$helrm" tune --data rows.txt --candidates wrong.json --out bad
refused "options of streams for heart" 2 "'heart' is not one" \
	"$helrm" train --dataset heart --data rows.txt --out bad --resume
refused "tune for heart" 6 "compare networks for 'heart'" "$helrm" tune --dataset heart --data rows.txt --out bad

if [ -z "$real" ]; then
	echo "### NO REAL SAMPLE: the promised AUC is NOT TESTED"
else
	network='"bottom":[512,256,64,16],"top":[512,256,1]'
	auc() { # [CONFIG]: the mean of two seeds; without a word, what is co-designed
		printf '%s' "${1:-}" >real.json
		for seed in 3 4; do
			"$helrm" train --dataset criteo --data "$real" --cache real.cache ${1:+--config real.json} --seed $seed \
				--out real --json 2>/dev/null >trained.json
			test_auc trained.json
		done | awk '{ sum += $1 } END { printf "%.5f", sum / NR }'
	}
	one=$(auc '{}')
	budget=$(auc '{"max_onehot":16384}')
	square=$(auc "{$network,\"training\":{\"rate\":1e-3}}")
	relu=$(auc "{$network,\"activation\":{\"kind\":\"relu\"},\"training\":{\"rate\":1e-3}}")
	codesigned=$(auc)
	holds "the default, 4096 entries, against full tables" "$one - $codesigned" "<=" 0.0005
	holds "real sample, published network, x^2+x" "$square" ">=" 0.760
	holds "real sample, published network, relu" "$relu" ">=" 0.760
	holds "relu against x^2+x" "$relu - $square" "<=" 0.002
	holds "x^2+x against relu" "$square - $relu" "<=" 0.002
	holds "one squaring against the published network" "$square - $one" "<=" 0.002
	holds "16384 one-hot entries against full tables" "$one - $budget" "<=" 0.005
fi
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
