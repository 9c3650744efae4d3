#!/bin/sh
# mismatch.sh HELRM_BINARY HELRM_SERVER_BINARY [HEART_DATA_FILE]
# Files that do not belong together, calibrations of other machines, what compile refuses.
. "$(dirname "$0")/lib.sh"
need default deep digits seed2 wide relu
made make_query deep q-deep.ct r-deep.ct
# the default model's twin: another seed's weights, but its name, shape and parameters
made "$HELRM" compile --model m-seed2 --out c-twin --name m-default

section "files that do not belong together"
infer_with() { # STATUS NAME PROGRAM KEYS QUERY: on both binaries
	refuse $1 "infer: $2" infer --program c-$3/program.helm --keys k-$4/evaluation.keys --query $5 --out out/r
	on_server
	refuse $1 "helrm-server infer: $2" infer --program c-$3/program.helm --keys k-$4/evaluation.keys --query $5 --out out/r
	on_helrm
}
query_of() { # MODEL CLIENT FILE: a query by that client for that model
	works "encrypt for $1 as client $2" encrypt --manifest c-$1/manifest.helm --key k-$2/secret.key \
		--input one.csv --out $3
}
# Equal parameters: one client's key serves the default model, its twin of another seed, and the wide one.
query_of seed2 default q-seed2.ct
query_of default other q-other.ct
infer_with 5 "query of a model with equal parameters" default default q-seed2.ct
infer_with 5 "query of a model with other parameters" default default q-deep.ct
infer_with 5 "query of another client" default default q-other.ct
infer_with 5 "keys of another client" default other q.ct
infer_with 5 "keys of other parameters" default deep q.ct
infer_with 5 "keys of fewer parameters" deep default q-deep.ct
infer_with 5 "query of a model with equal parameters and name" twin default q.ct

parameters_of() {
	run inspect k-$1/secret.key --json
	sed -n 's/.*"parameters_id":"\([0-9a-f]*\)".*/\1/p' log/out
}
if [ "$(parameters_of default)" = "$(parameters_of wide)" ]; then
	query_of wide default q-wide.ct
	infer_with 5 "keys that lack a rotation" wide default q-wide.ct
	says "keys that lack a rotation: the message tells so" key
else
	skip "keys that lack a rotation" "the wide model has other parameters than the default one"
fi

decrypt_with() { # NAME MODEL CLIENT RESULT
	refuse 5 "decrypt: $1" decrypt --manifest c-$2/manifest.helm --key k-$3/secret.key --input $4
}
decrypt_with "result with another client's secret" default other r.ct
decrypt_with "result of another model" seed2 default r.ct
decrypt_with "result of another model with the same name" twin default r.ct
decrypt_with "secret of other parameters" default deep r.ct
decrypt_with "result of other parameters" default default r-deep.ct
refuse 5 "encrypt: secret of other parameters" encrypt --manifest c-default/manifest.helm --key k-deep/secret.key \
	--input one.csv --out out/q
mkdir mixed && cp c-default/manifest.helm mixed && cp c-seed2/program.helm mixed
refuse 5 "verify: manifest and program of two models" verify --model m-default --compiled mixed --data data.csv --rows 2
for model in seed2 digits deep; do # else a mistaken path looks like a broken system, with exit 0
	refuse any "verify: compiled from another model ($model)" verify --model m-default --compiled c-$model \
		--data data.csv --rows 5
done

section "calibration"
works "bench --calibrate" bench --calibrate --milliseconds 1 --threads 1 --out machine.json
predicted() { # FILE|none: fills $ms
	json "compile --calibration $1" compile --model m-default --out c-machine --calibration "$1"
	ms=$(number estimated_ms log/out)
}
predicted machine.json
measured_here=$ms
check "compile says what it goes by" "$(cat log/out)" grep -q '"calibration":"machine.json"' log/out
cp c-machine/program.helm program.first
predicted machine.json
check "one calibration, one program" "the programs differ" cmp -s program.first c-machine/program.helm
predicted none
check "compile without one does not" "$(cat log/out)" sh -c '! grep -q calibration log/out'
json "verify, for the time" verify --model m-default --compiled c-machine --data data.csv --rows 20 --threads 1
check "the prediction is of the right size" "$measured_here ms predicted, $(cat log/out)" \
	awk "BEGIN { r = $measured_here / $(number server_cpu_ms_median log/out); exit !(r > 0.3 && r < 3) }"
# slower kernels are predicted to be slower: far beyond any machine's, sanitizers or not
sed 's/"butterflies": [^,]*/"butterflies": 1e-6/' machine.json >slow.json
predicted slow.json
check "the calibration drives the prediction" "$ms after $measured_here" awk "BEGIN { exit !($ms > 5 * $measured_here) }"
sed 's/"cpu": *"/"cpu": "not /' machine.json >other.json
run compile --model m-default --out c-machine --calibration other.json
check "another machine's is not used" "exit $code: $message" grep -q "other.json is not used: it was measured on" log/err
check "and that is no error" "exit $code" [ "$code" = 0 ]
refuse 4 "compile: a calibration that is none" compile --model m-default --out out/c --calibration data.csv
says "compile: a calibration that is none: the message names the file" data.csv
head -c 200 machine.json >cut.json
refuse 4 "compile: a truncated calibration" compile --model m-default --out out/c --calibration cut.json
sed 's/"sums": /"sums": -/' machine.json >negative.json
refuse 4 "compile: a negative time" compile --model m-default --out out/c --calibration negative.json
says "compile: a negative time: the message names it" sums
refuse 7 "compile: an absent calibration" compile --model m-default --out out/c --calibration nosuch.json
HELRM_CALIBRATION=cut.json refuse 4 "compile: HELRM_CALIBRATION is truncated" compile --model m-default --out out/c
# where nothing is named: the user's cache, if there is one
mkdir -p cache/helrm
cp machine.json cache/helrm/calibration.json
HELRM_CALIBRATION='' XDG_CACHE_HOME=$PWD/cache json "compile with a calibration in the cache" \
	compile --model m-default --out c-machine
check "it is used" "$(cat log/out)" grep -q 'cache/helrm/calibration.json' log/out

# and where there is none: the plan of built-in figures, times of this machine
HELRM_CALIBRATION='' XDG_CACHE_HOME=$PWD/nowhere json "compile without a calibration" \
	compile --model m-default --out c-here
check "it measures the machine" "$(cat log/out)" grep -q machine_factor log/out
here=$(number estimated_ms log/out)
factor=$(number machine_factor log/out)
predicted none
check "built-in figures are not scaled" "$(cat log/out)" sh -c '! grep -q machine_factor log/out'
check "the factor is what times differ by" "$here, $ms, $factor" \
	awk "BEGIN { r = $here / $ms / $factor; exit !(r > 0.999 && r < 1.001) }"
check "the program does not depend on it" "the programs differ" cmp -s c-here/program.helm c-machine/program.helm
json "verify, for the time" verify --model m-default --compiled c-here --data data.csv --rows 20 --threads 1
check "the scaled prediction is of the right size" "$here ms predicted, $(cat log/out)" \
	awk "BEGIN { r = $here / $(number server_cpu_ms_median log/out); exit !(r > 0.3 && r < 3) }"

section "compile refuses"
refuse 6 "compile: relu" compile --model m-relu --out out/c
says "compile: relu: the message names the layer" top_l
says "compile: relu: the message names relu" relu
refuse 6 "compile: deep in a small ring" compile --model m-deep --out out/c --max-log-n 12
says "compile: deep in a small ring: the message names levels" level
long=$(awk 'BEGIN { for (i = 0; i < 300; i++) printf "n" }')
refuse any "compile: a name too long for readers" compile --model m-default --out out/c --name "$long"
refuse any "compile: a name that is no UTF-8" compile --model m-default --out out/c --name "$(printf 'a\351b')"
# A manifest may come from a stranger: its name must not break or colour the messages about it.
run compile --model m-seed2 --out c-stranger --name "$(printf 'a\nb\033[31m')"
if [ "$code" -eq 0 ]; then
	infer_with 5 "a model name with control characters" stranger default q.ct
	refuse 5 "decrypt: a model name with control characters" decrypt --manifest c-stranger/manifest.helm \
		--key k-default/secret.key --input r.ct
else
	empty_out && : >log/out
	refused "compile: a name with control characters" any compile
fi

finish
