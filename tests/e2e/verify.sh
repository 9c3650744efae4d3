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
	holds "$name bits" "$(field bits "$work/json")" ">=" 12.5
	holds "$name bits against prediction" "$(field bits "$work/json")" ">=" "$(field predicted_bits "$work/json")"
	holds "$name decisions that differ" "$(field decisions_differ "$work/json")" "==" 0
	holds "$name keys" "$(field evaluation_keys_bytes "$work/json")" "<=" $keys
	"$helrm" verify --model "$work/$name" --compiled "$work/$name.c" --data "$data" --rows 20 --contributed --json \
		>"$work/public"
	holds "$name bits, contributed" "$(field bits "$work/public")" ">=" 12.5
	holds "$name bits, contributed, against prediction" "$(field bits "$work/public")" ">=" \
		"$(field predicted_bits "$work/public")"
	holds "$name decisions that differ, contributed" "$(field decisions_differ "$work/public")" "==" 0
	holds "$name query" "$(field query_bytes "$work/json")" "<=" 500000
	holds "$name result" "$(field result_bytes "$work/json")" "<=" 100000
done
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
