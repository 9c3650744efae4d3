#!/bin/sh
# usage.sh HELRM_BINARY HELRM_SERVER_BINARY [HEART_DATA_FILE]
# What --json and --help promise, and usage errors: always status 2.
tools=$(CDPATH='' cd -- "$(dirname -- "$0")/../../tools" && pwd)
. "$(dirname "$0")/lib.sh"
need default deep digits seed2
made "$HELRM" encrypt --manifest c-default/manifest.helm --public-key k-default/public.key --input one.csv \
	--out q-public.ct
made "$HELRM" infer --program c-default/program.helm --keys k-default/evaluation.keys --query q.ct --out r.ct \
	--cache default.weights
made "$HELRM" compile --model m-default --out c-batch --batch 4

section "--json and --help"
json "synth --json" synth --out s.csv --rows 5
json "train --json" train --data data.csv --out m-json
json "train --cv --json" train --data data.csv --out m-json --cv 2
json "eval --json" eval --model m-default --data data.csv
json "predict --json" predict --model m-default --input data.csv
# the default model's twin: another seed's weights, but its name, shape and parameters
json "compile --json" compile --model m-seed2 --out c-twin --name m-default
json "keygen --json" keygen --manifest c-twin/manifest.helm --out k-json
json "encrypt --json" encrypt --manifest c-twin/manifest.helm --key k-json/secret.key --input one.csv --out q-json
json "infer --json" infer --program c-twin/program.helm --keys k-json/evaluation.keys --query q-json --out r-json
json "infer --trace" infer --program c-twin/program.helm --keys k-json/evaluation.keys --query q-json --out r-json \
	--trace trace.json
check "infer --trace: every op once" "$(cut -c 1-80 trace.json)" python3 -c '
import json
events = json.load(open("trace.json"))["traceEvents"]
ops = [e for e in events if e["cat"] == "op"]
assert ops and sorted(e["args"]["op"] for e in ops) == list(range(len(ops)))
assert min(e["ts"] for e in ops) == 0 and all(e["dur"] >= 0 and e["ph"] == "X" for e in events)
assert all(r < e["args"]["op"] for e in ops for r in e["args"]["reads"])
loops = [e for e in events if e["cat"] == "loop"]
assert loops and all(e["args"]["count"] > 0 for e in loops)'
run infer --program c-twin/program.helm --keys k-json/evaluation.keys --query q-json --out r-json --threads 1 \
	--trace trace-1.json
check "tools/schedule: as fast as on one thread, and never beyond its bound" "see log" \
	python3 -c '
import json, subprocess, sys
out = json.loads(subprocess.run([sys.argv[1], "--json", "--threads", "1,2,8", "trace-1.json", "trace-1.json"],
	check=True, stdout=subprocess.PIPE).stdout)
assert abs(out[0]["speed_up"] - 1) < 1e-6 and 1 < out[1]["speed_up"] <= 2 + 1e-6
assert all(o["speed_up"] <= o["bound"] + 1e-6 <= o["threads"] + 2e-6 for o in out)' "$tools/schedule"
on_server
json "helrm-server infer --json" infer --program c-twin/program.helm --keys k-json/evaluation.keys --query q-json --out r-json
on_helrm
json "decrypt --json" decrypt --manifest c-twin/manifest.helm --key k-json/secret.key --input r-json
for file in c-default/manifest.helm c-deep/program.helm k-default/secret.key k-default/evaluation.keys \
	k-default/public.key q.ct q-public.ct r.ct default.weights \
	m-default m-deep m-digits; do
	works "inspect $file" inspect $file
	check "inspect $file tells something" "stdout is empty" [ -s log/out ]
	json "inspect $file --json" inspect $file
	check "inspect $file names the kind" "no kind" grep -q '"kind":"' log/out
done
# The seed is the last 32 bytes before the checksum: nothing of it may be shown.
secret=$(od -An -v -tx1 -j $(($(size_of k-default/secret.key) - 64)) -N 4 k-default/secret.key | tr -d ' \n')
run inspect k-default/secret.key
if grep -q "$secret" log/out; then
	fail "inspect keeps the secret" "the seed is printed"
else
	ok "inspect keeps the secret"
fi

for model in default deep; do
	json "verify $model" verify --model m-$model --compiled c-$model --data data.csv --rows 10
	for key in rows bits max_error decisions_differ auc_clear auc_encrypted server_ms_median server_ms_p95 \
		threads evaluation_keys_bytes query_bytes result_bytes peak_rss_bytes; do
		check "verify $model reports $key" "no such key" grep -q "\"$key\":" log/out
	done
	check "verify $model: at least 12 bits" "$(number bits log/out)" \
		awk -v b="$(number bits log/out)" 'BEGIN { exit !(b >= 12) }'
	check "verify $model: no decision differs" "$(number decisions_differ log/out)" \
		[ "$(number decisions_differ log/out)" = 0 ]
	check "verify $model: 10 rows" "$(number rows log/out)" [ "$(number rows log/out)" = 10 ]
done
works "verify for people" verify --model m-default --compiled c-default --data data.csv --rows 3
works "verify batches, the last one not full" verify --model m-default --compiled c-batch --data data.csv --rows 10
check "verify batches: time per query and per record" "$(cat log/out)" \
	grep -q "^4 records in a query, 3 queries: [0-9.]* ms per record" log/out

commands="synth train eval predict compile keygen seal encrypt infer decrypt verify inspect"
helps() { # NAME WORD ...
	helps_name=$1
	shift
	works "$helps_name" "$@" && check "$helps_name says something" "stdout is empty" [ -s log/out ]
}
for command in $commands; do
	helps "$command --help" $command --help
	check "$command --help shows the usage" "$(head -n 1 log/out)" grep -q "^usage: helrm $command" log/out
	run --help
	check "--help lists $command" "not listed" grep -q "^  $command " log/out
done
helps "--help" --help
"$HELRM" --help | sed -n 's/^  \([a-z][a-z -]*[a-z]\) *[A-Z].*/\1/p' >all
for command in $commands; do
	check "--help lists $command" "$(cat all)" grep -qx "$command" all
done
while read -r command; do
	"$HELRM" $command --help >log/out 2>&1 </dev/null
	check "$command --help fits a screen of 80 columns" "$(awk 'length > 80' log/out)" \
		[ -z "$(awk 'length > 80' log/out)" ]
	check "$command --help explains every option" "$(cat log/out)" sh -c \
		'sed "1,/^$/d" log/out >body; sed "/^$/q" log/out | grep -o -e "--[a-z][a-z-]*" | sort -u |
		while read -r o; do grep -q -e "^  $o" body || exit 1; done'
done <all
helps "--version" --version
helps "--help wins over bad options" encrypt --bogus --help
on_server
helps "helrm-server --help" --help
helps "helrm-server infer --help" infer --help
on_helrm

section "usage errors"
usage() { # NAME ARGUMENT ...
	usage_name=$1
	shift
	empty_out
	run "$@"
	refused "$usage_name" 2 "$1"
}
line_of() { # COMMAND: its options in a call that works
	case $1 in
	synth) echo "--out out/s.csv" ;;
	train) echo "--data data.csv --out out/m" ;;
	eval) echo "--model m-default --data data.csv" ;;
	predict) echo "--model m-default --input one.csv" ;;
	compile) echo "--model m-default --out out/c" ;;
	keygen) echo "--manifest c-default/manifest.helm --out out/k" ;;
	encrypt) echo "--manifest c-default/manifest.helm --key k-default/secret.key --input one.csv --out out/q" ;;
	infer) echo "--program c-default/program.helm --keys k-default/evaluation.keys --query q.ct --out out/r" ;;
	seal) echo "--key sealed.key" ;;
	decrypt) echo "--manifest c-default/manifest.helm --key k-default/secret.key --input r.ct" ;;
	verify) echo "--model m-default --compiled c-default --data data.csv" ;;
	inspect) echo "q.ct" ;;
	esac
}
without() { # OPTION WORD ...: the words but that option and its value
	without_option=$1
	shift
	while [ $# -gt 0 ]; do
		if [ "$1" = "$without_option" ]; then
			shift
		else
			printf '%s ' "$1"
		fi
		shift
	done
}
for command in $commands; do
	line=$(line_of $command)
	usage "$command: unknown option" $command $line --bogus
	usage "$command: unknown short option" $command -x $line
	usage "$command: empty option" $command $line --
	usage "$command: stray argument" $command stray $line stray
	usage "$command: nothing given" $command
	for threads in 0 257 -1 x 1.5 '' 99999999999999999999; do
		usage "$command: --threads '$threads'" $command $line --threads "$threads"
	done
	usage "$command: --threads without a number" $command $line --threads
	for word in $line; do
		case $word in
		--*) ;;
		*) continue ;;
		esac
		usage "$command: $word missing" $command $(without $word $line)
		usage "$command: $word without a value" $command $(without $word $line) $word
		usage "$command: $word followed by an option" $command $word --json $(without $word $line)
		[ $word = --data ] || usage "$command: $word twice" $command $line $word again
	done
done
while read -r command option values; do
	for value in $values; do
		[ "$value" = EMPTY ] && value=
		usage "$command: $option '$value'" $command $(line_of $command) $option "$value"
	done
	usage "$command: $option without a value" $command $(line_of $command) $option
done <<'END'
synth --rows 0 -1 1.5 1e3 x EMPTY 10000000001 99999999999999999999
synth --seed -1 x EMPTY 18446744073709551616
synth --dataset nosuch EMPTY Heart
train --dataset nosuch EMPTY
train --cv 1 1001 304 x -2 EMPTY
train --seeds 0 10001 x
compile --max-log-n 11 18 x -13 EMPTY
compile --batch 0 3 12 1024 x -2 EMPTY
encrypt --row 0 2 -1 x EMPTY
encrypt --rows 0 2 -1 x EMPTY
decrypt --rows 0 2 -1 x EMPTY
verify --rows 0 304 x -1 EMPTY
END
usage "synth: --seed ' -5'" synth --out out/s.csv --seed ' -5'
usage "encrypt: two records without --row" encrypt --manifest c-default/manifest.helm \
	--key k-default/secret.key --input data.csv --out out/q
usage "inspect: two files" inspect q.ct r.ct
for word in '' nosuch -x --bogus; do
	run $word
	check "command '$word' is exit 2" "exit $code" [ "$code" -eq 2 ]
	check "command '$word' says something" "stderr is empty" [ -s log/err ]
done
on_server
for command in keygen encrypt decrypt train verify nosuch; do
	run $command $(line_of $command)
	check "helrm-server has no $command" "exit $code" [ "$code" -eq 2 -a "$(wc -l <log/err)" -eq 1 ]
done
usage "helrm-server infer: nothing given" infer
usage "helrm-server infer: unknown option" infer $(line_of infer) --key k-default/secret.key
on_helrm

finish
