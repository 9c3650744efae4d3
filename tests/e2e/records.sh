#!/bin/sh
# records.sh HELRM_BINARY HELRM_SERVER_BINARY [HEART_DATA_FILE]
# Bad records and data files.
. "$(dirname "$0")/lib.sh"
need default deep

section "bad records"
while read -r column value; do
	record "$column" "$value" >bad
	in_place_of "csv, $column is '$value'" bad 3 record
done <<'END'
age NaN
age nan
chol -nan
chol inf
trestbps -inf
thalach Infinity
oldpeak 1e999
age old
age 63x
age 6 3
age --63
chol 0x
sex nan
sex inf
thal \377
thal 1234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890
age 1\033[31m
sex 1\033[31m
END
# A model does not know it: no score in the clear, but a query, that a server may not tell by its absence.
while read -r column value; do
	record "$column" "$value" >bad
	refuse 3 "predict: $column is $value" predict --model m-default --input bad
	empty_out
	works "encrypt: $column is $value" encrypt --manifest c-default/manifest.helm --key k-default/secret.key --input bad --out out/q
	check "encrypt: $column is $value: the user is told" "$(cat log/out)" grep -q "unknown category '$value' for $column, sent as missing" log/out
	check "encrypt: $column is $value: a query like any other" "$(size_of out/q)" [ "$(size_of out/q)" = "$(size_of q.ct)" ]
done <<'END'
sex 7
cp -1
thal male
END
record chol 9999 >bad
empty_out
works "encrypt: chol is 9999" encrypt --manifest c-default/manifest.helm --key k-default/secret.key --input bad --out out/q
check "encrypt: chol is 9999: the user is told" "$(cat log/out)" grep -q "chol is 9999, the model knows .* to .*: cut to that" log/out
# Within the clip, beyond what was learned from: age is the first column.
old=$(awk -F'[:,]' '/"most"/ { print $2 + .01; exit }' m-default/model.json)
record age "$old" >bad
empty_out
works "encrypt: age is $old" encrypt --manifest c-default/manifest.helm --key k-default/secret.key --input bad --out out/q
check "encrypt: age is $old: the user is told" "$(cat log/out)" grep -q "age is .*, the model learned from about .* to" log/out
check "encrypt: age is $old: a query like any other" "$(size_of out/q)" [ "$(size_of out/q)" = "$(size_of q.ct)" ]
while read -r column value; do
	json_record "$column" "$value" >bad
	in_place_of "json, $column is $value" bad 3 record
done <<'END'
age NaN
age Infinity
age 1e999
age "NaN"
age "inf"
age "old"
age [63]
age {"a":63}
age 63,"age":64
age 63,"extra":1
age 63,"ex\ntra":1
age "6\n3"
age "\ud800"
age "6\u00003"
sex "ma\nle"
sex "1\u001b[31m"
END
printf '%s\n' "$header" >bad
in_place_of "csv, only a header" bad 3 record
in_place_of "csv, only a header" bad 3 data
printf '\n \n\r\n' >bad
in_place_of "csv, only blank lines" bad 3 record
in_place_of "csv, only blank lines" bad 3 data
: >bad
in_place_of "an empty file" bad 3 record
in_place_of "an empty file" bad 3 data
in_place_of "binary garbage" garbage 3 record
in_place_of "binary garbage" garbage 3 data
tr -d '\000' <garbage >bad
in_place_of "garbage without zero bytes" bad 3 record
in_place_of "garbage without zero bytes" bad 3 data
cut -d, -f 1-12 one.csv >bad
in_place_of "csv, a column is missing" bad 3 record
sed 's/$/,1/; 1s/1$/age/' one.csv >bad
in_place_of "csv, a column occurs twice" bad 3 record
sed 's/$/,1/; 1s/1$/weight/' one.csv >bad
in_place_of "csv, an unknown column" bad 3 record
sed '1s/chol/CHOL/' one.csv >bad
in_place_of "csv, a column in capitals" bad 3 record
sed '1s/^age/agee/' one.csv >bad
in_place_of "csv, the first column misspelt" bad 3 record
sed '2s/,7$//' one.csv >bad
in_place_of "csv, too few cells" bad 3 record
sed '2s/$/,0,0/' one.csv >bad
in_place_of "csv, too many cells" bad 3 record
sed '2s/,/;/g' one.csv >bad
in_place_of "csv, semicolons" bad 3 record
cat one.csv one.csv >bad
in_place_of "csv, a second header" bad 3 record
awk 'BEGIN { for (i = 0; i < 100000; i++) printf "," }' >bad
in_place_of "csv, 100000 commas" bad 3 record
awk 'BEGIN { for (i = 0; i < 100000; i++) printf "9" }' >bad
in_place_of "csv, 100000 digits" bad 3 record
awk 'BEGIN { for (i = 0; i < 100000; i++) printf "[" }' >bad
in_place_of "json, 100000 brackets" bad 3 record
for text in '{}' '[]' '[1]' '[[]]' '{"age":63}' '[{}]' '{"":1}'; do
	printf '%s' "$text" >bad
	in_place_of "json $text" bad 3 record
done
{ printf '[' && cat object.json && printf ',' && cat object.json && printf ']'; } >bad
refuse 2 "encrypt: json, two records without --row" encrypt --manifest c-default/manifest.helm \
	--key k-default/secret.key --input bad --out out/q
{ cat object.json && printf '[]'; } >bad
in_place_of "json, two values" bad 3 record

while IFS='|' read -r what edit; do
	sed "$edit" data.csv >bad
	in_place_of "$what in line 5" bad 3 data
done <<'END'
NaN|5s/^[^,]*/NaN/
inf|5s/^[^,]*/inf/
a text|5s/^[^,]*/old/
a column too few|5s/,[^,]*,[^,]*$//
a column too many|5s/$/,0/
a label that is no number|5s/[^,]*$/ill/
a label that is NaN|5s/[^,]*$/nan/
a stray letter|5s/^/x/
a zero-length first cell and no more|5s/.*/,/
END
cp data.csv bad && flip bad 1 128
in_place_of "bit flipped at 1" bad 3 data
cp data.csv bad && printf 'x' >>bad
in_place_of "one byte too many" bad 3 data
first_bytes data.csv $(($(size_of data.csv) / 2)) | sed '$s/,[^,]*$//; $s/,[^,]*$//' >bad
in_place_of "cut in a line" bad 3 data
tr '\n' '\r' <data.csv >bad
refuse 3 "predict: lines that end with CR" predict --model m-default --input bad
says "lines that end with CR" "a carriage return within the line"
in_place_of "lines that end with CR" bad 3 data
cut -d, -f 1-13 data.csv >bad
refuse 3 "train: data: no label" train --data bad --out out/m
refuse 3 "eval: data: no label" eval --model m-default --data bad
sed '5s/[^,]*$/?/' data.csv >bad
refuse 3 "train: data: one label missing" train --data bad --out out/m
refuse 3 "eval: data: one label missing" eval --model m-default --data bad

# What train accepts, all other commands must be able to read again.
train_then_use() { # NAME FILE
	empty_out
	run train --data "$2" --out out/m --json
	if [ "$code" -ne 0 ]; then
		refused "train: $1" any train
	else
		works "train: $1: the model can be used" predict --model out/m --input data.csv
		works "train: $1: it compiles" compile --model out/m --out out/c
		works "train: $1: clients take it" keygen --manifest out/c/manifest.helm --out out/k
	fi
}
sed '5s/^\([^,]*\),[^,]*/\1,caf@/' data.csv | tr '@' '\351' >bad
train_then_use "a category that is no UTF-8" bad
for age in 1e14 1e20 1e155 1e300; do
	sed "5s/^[^,]*/$age/" data.csv >bad
	train_then_use "an age of $age" bad
done
sed 's/^[^,]*/?/' data.csv >bad
train_then_use "a dense column that is always missing" bad
sed 's/^[^,]*/50/' data.csv >bad
train_then_use "a dense column that never changes" bad
{ head -n 9 data.csv | sed 's/[0-9]*$/0/' && sed -n '10s/[0-9]*$/1/p' data.csv; } >bad
empty_out
works "cross-validation with folds of one class" train --data bad --cv 2 --out out/m
if grep -q "this model.*undefined" log/out && ! grep -qi nan log/out; then
	ok "its AUC is undefined"
else
	fail "folds of one class" "$(head -n 2 log/out)"
fi
sed 1q data.csv >bad
empty_out
refuse 3 "train on one row: one class" train --data bad --out out/m
says "one class" "nothing to learn from one class"
json "eval on one row" eval --model m-default --data bad
works "eval on one row, for people" eval --model m-default --data bad
if grep -q "one class: AUC undefined" log/out && ! grep -q accuracy log/out; then
	ok "one class has no AUC and no accuracy"
else
	fail "one class" "$(head -n 1 log/out)"
fi
if grep -qi 'nan' log/out; then
	fail "one row: no nan is shown" "$(grep -i nan log/out | head -n 1)"
else
	ok "one row: no nan is shown"
fi

finish
