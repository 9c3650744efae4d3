#!/bin/sh
# The four heart networks, trained, compiled and verified over 40 rows: verify.sh HELRM CONFIG_DIR [DATA]
set -eu
helrm=$1 configs=$2 data=${3:-}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
passed=0 failed=0
if [ -z "$data" ]; then
	echo "### NO REAL DATA: a synthetic cohort takes its place"
	data=$work/cohort.data
	"$helrm" synth --out "$data" --rows 303 --seed 3 >/dev/null
fi
# The mean of few errors, and of rounded weights, whose errors are the same in every row: for how predictions do over
# many models see tests/compile/test_precision.c.
predicted() { # NAME FILE
	holds "$1 against prediction" "$(field bits "$2")" ">=" "$(field predicted_bits "$2") - 1.6"
	holds "$1 against prediction" "$(field bits "$2")" "<=" "$(field predicted_bits "$2") + 1.6"
}
field() { sed -n "s/.*\"$1\":\([-0-9.e]*\).*/\1/p" "$2"; }
holds() { # NAME VALUE OPERATOR LIMIT
	if [ -n "$2" ] && awk "BEGIN { exit !($2 $3 $4) }"; then
		echo "ok $1: $2 $3 $4"
		passed=$((passed + 1))
	else
		echo "FAIL $1: $2, expected $3 $4"
		failed=$((failed + 1))
	fi
}
for name in deep codesigned deep-digits codesigned-digits; do
	"$helrm" train --data "$data" --config "$configs/heart-$name.json" --out "$work/$name" >/dev/null
	"$helrm" compile --model "$work/$name" --out "$work/$name.c" >/dev/null
	"$helrm" verify --model "$work/$name" --compiled "$work/$name.c" --data "$data" --rows 40 --json \
		>"$work/json"
	case $name in
	deep*) keys=60e6 ;;
	*) keys=15e6 ;;
	esac
	holds "$name bits" "$(field bits "$work/json")" ">=" 12
	predicted "$name bits" "$work/json"
	holds "$name decisions that differ" "$(field decisions_differ "$work/json")" "==" 0
	holds "$name keys" "$(field evaluation_keys_bytes "$work/json")" "<=" $keys
	"$helrm" verify --model "$work/$name" --compiled "$work/$name.c" --data "$data" --rows 20 --contributed --json \
		>"$work/public"
	holds "$name bits, contributed" "$(field bits "$work/public")" ">=" 12
	predicted "$name bits, contributed," "$work/public"
	holds "$name decisions that differ, contributed" "$(field decisions_differ "$work/public")" "==" 0
	holds "$name query" "$(field query_bytes "$work/json")" "<=" 500000
	holds "$name result" "$(field result_bytes "$work/json")" "<=" 100000
done
# A model with polynomials that an earlier compile left goes with its program, one that was given stays.
printf '{"bottom": [4], "top": [8, 1], "activation": {"kind": "relu"}}\n' >"$work/config.json"
"$helrm" train --data "$data" --config "$work/config.json" --out "$work/r/model" >/dev/null
"$helrm" compile --model "$work/r/model" --activation relu=poly:7 --data "$data" --accept-loss --out "$work/again" >/dev/null
"$helrm" compile --model "$work/codesigned" --out "$work/again" >/dev/null
"$helrm" verify --model "$work/codesigned" --compiled "$work/again" --data "$data" --rows 4 --json >"$work/json"
holds "compiled over a program with polynomials" "$(field decisions_differ "$work/json")" "==" 0
holds "its model is gone" "$([ -e "$work/again/model" ] && echo 1 || echo 0)" "==" 0
if "$helrm" compile --model "$work/r/model" --activation relu=poly:7 --data "$data" --accept-loss --out "$work/r" 2>"$work/says"; then
	holds "polynomials do not replace what they are made of" 0 "==" 1
fi
holds "it says so" "$(grep -c "would replace the one that is compiled" "$work/says")" "==" 1
mkdir "$work/c"
cp -r "$work/codesigned" "$work/c/model"
"$helrm" compile --model "$work/c/model" --out "$work/c" >/dev/null
holds "a trained model beside its program stays" "$([ -f "$work/c/model/model.json" ] && echo 1 || echo 0)" "==" 1
# Networks with activations that ciphertexts cannot take, by polynomials; against the polynomials.
for kind in relu silu sigmoid gelu; do
	printf '{"bottom": [4], "top": [8, 1], "activation": {"kind": "%s"}}\n' $kind >"$work/config.json"
	"$helrm" train --data "$data" --config "$work/config.json" --out "$work/$kind" >/dev/null
	"$helrm" compile --model "$work/$kind" --activation $kind=poly:7 --data "$data" --out "$work/$kind.c" \
		--accept-loss --json >"$work/compiled"
	"$helrm" verify --model "$work/$kind.c/model" --compiled "$work/$kind.c" --data "$data" --rows 8 \
		--json >"$work/json"
	exact=$(field auc "$work/compiled")
	holds "$kind by polynomials, AUC" "$(field auc_polynomial "$work/compiled")" ">=" "$exact - 0.005"
	predicted "$kind by polynomials, bits" "$work/json"
	holds "$kind by polynomials, decisions that differ" "$(field decisions_differ "$work/json")" "==" 0
done
# Both references from either directory: the program's model and the model as trained.
for from in "$work/relu" "$work/relu.c/model"; do
	"$helrm" verify --model "$from" --compiled "$work/relu.c" --data "$data" --rows 8 --json >"$work/json"
	predicted "relu from $(basename "$from"): bits" "$work/json"
	holds "relu from $(basename "$from"): bits of the trained model" "$(field bits_model "$work/json")" ">=" \
		"$(field predicted_bits_model "$work/json")"
	holds "relu from $(basename "$from"): the trained model is another one" "$(field bits_model "$work/json")" "<" 10
done
"$helrm" approximate --model "$work/relu" --data "$data" --json >"$work/json"
holds "approximate: degrees" "$(grep -o '"degree"' "$work/json" | wc -l)" "==" 62
# Every way for entries to travel, of all tables, and two side by side.
for lookup in grid powers roots "powers thal=grid"; do
	set --
	for word in $lookup; do set -- "$@" --lookup "$word"; done
	"$helrm" compile --model "$work/codesigned" --out "$work/lookup" "$@" >/dev/null
	"$helrm" verify --model "$work/codesigned" --compiled "$work/lookup" --data "$data" --rows 8 --json \
		>"$work/json"
	predicted "lookup $lookup: bits" "$work/json"
	holds "lookup $lookup: decisions that differ" "$(field decisions_differ "$work/json")" "==" 0
	said=$("$helrm" inspect plan "$work/lookup/program.helm" | grep -c "by ${lookup%% *}")
	holds "lookup $lookup: the plan says so" "$said" "==" 1
done
refused() { # MESSAGE COMMAND...
	message=$1
	shift
	if "$@" >"$work/log" 2>&1; then
		echo "FAIL accepted: $*"
		failed=$((failed + 1))
	elif grep -q -- "$message" "$work/log"; then
		echo "ok refused: $message"
		passed=$((passed + 1))
	else
		echo "FAIL $*: $(cat "$work/log")"
		failed=$((failed + 1))
	fi
}
# A clip range so wide that no bound can be proved: bounds are measured on typical records.
printf '{"bottom": [16], "top": [16, 1], "activation": {"kind": "quadratic", "a": 1, "b": 1},
	"bottom_last_activation": true, "clip": 1000}\n' >"$work/config.json"
"$helrm" train --data "$data" --config "$work/config.json" --out "$work/wide" >/dev/null
refused "typical records" "$helrm" compile --model "$work/wide" --out "$work/none"
"$helrm" compile --model "$work/wide" --data "$data" --out "$work/wide.c" --json >"$work/compiled"
holds "measured: head room" "$(field head_room_bits "$work/compiled")" ">=" 4
"$helrm" verify --model "$work/wide" --compiled "$work/wide.c" --data "$data" --rows 20 --json >"$work/json"
predicted "measured: bits" "$work/json"
for file in manifest program; do
	bounds=$("$helrm" inspect "$work/wide.c/$file.helm" | grep -c MEASURED)
	holds "measured: $file says so" "$bounds" "==" 1
	bounds=$("$helrm" inspect "$work/codesigned.c/$file.helm" | grep -c "proved for every record")
	holds "proved: $file says so" "$bounds" "==" 1
done
# Errors predicted on one record hold for others, too; what is of one class has no AUC.
sed 1q "$data" >"$work/one"
"$helrm" compile --model "$work/codesigned" --data "$work/one" --out "$work/one.c" >/dev/null
"$helrm" verify --model "$work/codesigned" --compiled "$work/one.c" --data "$data" --rows 40 --json \
	>"$work/json"
predicted "compiled with one record, bits" "$work/json"
"$helrm" verify --model "$work/codesigned" --compiled "$work/one.c" --data "$work/one" >"$work/says"
holds "one class, lines with an undefined AUC" "$(grep -c 'AUC undefined' "$work/says")" "==" 2
holds "one class, lines with nan" "$(grep -ci nan "$work/says")" "==" 0
refused "no table 'nosuch'" "$helrm" compile --model "$work/deep" --out "$work/none" --lookup nosuch=grid
refused "expected auto, onehot (or full, digits), grid" "$helrm" compile --model "$work/deep" --out "$work/none" --lookup scan
refused "grid takes one entry at a time" "$helrm" compile --model "$work/deep-digits" --out "$work/none" --lookup grid
set -- "$helrm" compile --model "$work/relu" --out "$work/none" --data "$data" --activation
refused "compile with --activation relu=poly:7" "$helrm" compile --model "$work/relu" --out "$work/none"
refused "activation is relu" "$@" silu=poly:7
refused "a degree from 2 to 63" "$@" relu=cubic
refused "expected 2 to 63" "$@" relu=poly:64
refused "needs --data" "$helrm" compile --model "$work/relu" --out "$work/none" --activation relu=poly:3
refused "are polynomials already" "$helrm" compile --model "$work/relu.c/model" --out "$work/none" \
	--data "$data" --activation relu=poly:3
refused "weights differ" "$helrm" verify --model "$work/deep" --compiled "$work/relu.c" \
	--data "$data"
refused "40.0 are wanted" "$helrm" compile --model "$work/codesigned" --out "$work/none" --bits 40
refused "a number from 1 to 60" "$helrm" compile --model "$work/codesigned" --out "$work/none" --bits 12.5x
"$helrm" compile --model "$work/codesigned" --out "$work/proved" --bits 12.5 --proved --json >"$work/json"
holds "--proved" "$(grep -c '"bounds":"proved"' "$work/json")" "==" 1
refused "the modulus has" "$helrm" compile --model "$work/wide" --out "$work/none" --data "$data" --proved
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
