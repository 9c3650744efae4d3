#!/bin/sh
# scores.sh HELRM_BINARY HELRM_SERVER_BINARY [HEART_DATA_FILE]
# From records to scores by files alone: every command, every form of records, against the model in the clear.
. "$(dirname "$0")/lib.sh"

section "models"
works "synth" synth --out synthetic.csv --rows 303 --seed 7 || die "synth" "no data"
check "synth writes the rows asked for" "$(wc -l <synthetic.csv) rows" [ "$(wc -l <synthetic.csv)" -eq 303 ]
works "synth again" synth --out again.csv --rows 303 --seed 7
check "synth: same seed, same file" "files differ" cmp -s synthetic.csv again.csv
for model in default deep digits seed2 wide relu; do
	works "train $model" train --data data.csv --out m-$model $(config_of $model) || die "train $model" "no model"
	works "eval $model" eval --model m-$model --data data.csv
	works "predict $model" predict --model m-$model --input one.csv
done
for model in default deep digits seed2 wide; do
	works "compile $model" compile --model m-$model --out c-$model || die "compile $model" "no program"
	works "keygen $model" keygen --manifest c-$model/manifest.helm --out k-$model || die "keygen" "no keys"
done
works "keygen for a second client" keygen --manifest c-default/manifest.helm --out k-other


section "scores"
for model in default deep digits; do
	private_score "$model" $model one.csv 1
done

# Several records in one query, of a model compiled for as many.
head -n 5 data.csv >five.csv
head -n 4 data.csv >four.csv
works "compile for batches" compile --model m-default --out c-batch --batch 4
check "compile for batches says how many" "$(cat log/out)" grep -q "up to 4 records in one query" log/out
works "keygen for batches" keygen --manifest c-batch/manifest.helm --out k-batch
works "inspect a manifest for batches" inspect c-batch/manifest.helm
check "inspect: batches" "$(cat log/out)" grep -q "^up to 4 records in one query, each in 1024 slots" log/out
batch_of() { # NAME COUNT FIRST ENCRYPT-OPTION ...: against the model in the clear, record by record
	batch_name=$1 batch_count=$2 batch_first=$3
	shift 3
	works "$batch_name: encrypt" encrypt --manifest c-batch/manifest.helm --key k-batch/secret.key --out query.ct "$@"
	check "$batch_name: says what to decrypt with" "$(cat log/out)" grep -q -e "with --rows $batch_count$" log/out
	works "$batch_name: infer" infer --program c-batch/program.helm --keys k-batch/evaluation.keys --query query.ct \
		--out result.ct
	run predict --model m-default --input four.csv --json
	tr '{' '\n' <log/out | grep '"logit"' | tail -n +"$batch_first" | head -n "$batch_count" >log/clear
	json "$batch_name: decrypt" decrypt --manifest c-batch/manifest.helm --key k-batch/secret.key --input result.ct \
		--rows "$batch_count"
	tr '{' '\n' <log/out | grep '"logit"' >log/scores
	check "$batch_name: as many scores" "$(wc -l <log/scores)" [ "$(wc -l <log/scores)" -eq "$batch_count" ]
	batch_row=0
	while [ $batch_row -lt "$batch_count" ]; do
		batch_row=$((batch_row + 1))
		sed -n "${batch_row}p" log/scores >log/got
		sed -n "${batch_row}p" log/clear >log/want
		check "$batch_name: record $batch_row is predict's" "got '$(cat log/got)', expected '$(cat log/want)'" \
			close "$(number logit log/got)" "$(number logit log/want)" 1e-3
	done
}
batch_of "a whole file" 4 1 --input four.csv
batch_of "part of a file" 2 3 --input four.csv --row 3 --rows 2
batch_of "one record of a file" 1 2 --input four.csv --row 2
refuse 2 "encrypt: more records than a query holds" encrypt --manifest c-batch/manifest.helm --key k-batch/secret.key \
	--input five.csv --out out/q
says "encrypt: more records than a query holds: says how many" "5 records, a query of this model up to 4"
refuse 2 "encrypt: --rows beyond the batch" encrypt --manifest c-batch/manifest.helm --key k-batch/secret.key \
	--input five.csv --rows 5 --out out/q
refuse 2 "encrypt: --rows beyond the file" encrypt --manifest c-batch/manifest.helm --key k-batch/secret.key \
	--input four.csv --row 3 --rows 3 --out out/q
refuse 2 "decrypt: a batch without --rows" decrypt --manifest c-batch/manifest.helm --key k-batch/secret.key --input result.ct
says "decrypt: a batch without --rows: says what is missing" "up to 4 scores.*--rows"
refuse 2 "decrypt: --rows beyond the batch" decrypt --manifest c-batch/manifest.helm --key k-batch/secret.key \
	--input result.ct --rows 5
refuse 6 "compile: a batch without slots for it" compile --model m-default --out out/c --batch 512 --max-log-n 12
says "compile: a batch without slots for it: says so" "for each of 512 records"

# A party without the secret key contributes the record; only the owner reads the score.
works "encrypt under the public key" encrypt --manifest c-default/manifest.helm --public-key k-default/public.key \
	--input one.csv --out q-public.ct
works "infer on a contributed query" infer --program c-default/program.helm --keys k-default/evaluation.keys \
	--query q-public.ct --out r-public.ct
run predict --model m-default --input one.csv --json
wanted=$(number logit log/out)
json "decrypt what was contributed" decrypt --manifest c-default/manifest.helm --key k-default/secret.key --input r-public.ct
check "contributed: decrypted logit is predict's" "$(number logit log/out)" close "$(number logit log/out)" "$wanted" 1e-4
refuse 5 "decrypt what was contributed to another" decrypt --manifest c-default/manifest.helm \
	--key k-other/secret.key --input r-public.ct
refuse 5 "infer: contributed to another client" infer --program c-default/program.helm \
	--keys k-other/evaluation.keys --query q-public.ct --out out/r
refuse 5 "encrypt: a public key of other parameters" encrypt --manifest c-default/manifest.helm \
	--public-key k-deep/public.key --input one.csv --out out/q
refuse 2 "encrypt: both keys" encrypt --manifest c-default/manifest.helm --key k-default/secret.key \
	--public-key k-default/public.key --input one.csv --out out/q
refuse 2 "encrypt: no key" encrypt --manifest c-default/manifest.helm --input one.csv --out out/q
says "encrypt: no key: the message names both" "--key .*--public-key"
works "inspect tells the query's form" inspect q-public.ct
check "inspect: full" "$(cat log/out)" grep -q "^full form" log/out
works "encrypt under the public key again" encrypt --manifest c-default/manifest.helm \
	--public-key k-default/public.key --input one.csv --out q-public2.ct
if cmp -s q-public.ct q-public2.ct; then
	fail "two contributed queries differ" "they are equal: encryption is not randomised"
else
	ok "two contributed queries differ"
fi

# The same record in every form that records may have: all give the first one's score.
run predict --model m-default --input one.csv --json
expected=$(number logit log/out)
printf 'thal,ca,age,%s\n7,2,63,%s\n' sex,cp,trestbps,chol,fbs,restecg,thalach,exang,oldpeak,slope \
	1,4,145,233,0,2,150,1,2.3,2 >reordered.csv
printf '%s\n' $row >headless.csv
printf '%s,1\n' $row >headless-labelled.csv
printf '%s,num\n%s,0\n' $header $row >labelled.csv
printf 'num,%s\n1,%s\n' $header $row >label-first.csv
printf '\n%s \r\n\r\n%s\r\n' $header $row | sed 's/,/ , /g' >crlf.csv
printf '%s' $row >unfinished.csv
printf '63.0,1.0,4,145,233.00,0.0,2,1.5e2,1,2.3,2.0,2,7\n' >decimals.csv
json_record age 63 >object.json
json_record sex '"1"' >text.json
json_record exang true >bool.json
{ printf '[' && cat object.json && printf ']\n'; } >array.json
for form in reordered.csv headless.csv headless-labelled.csv labelled.csv label-first.csv crlf.csv \
	unfinished.csv decimals.csv object.json text.json bool.json array.json; do
	run predict --model m-default --input $form --json
	check "$form predicts the same" "$(number logit log/out) against $expected: $message" \
		close "$(number logit log/out)" "$expected" 1e-9
	private_score "$form" default $form 1
done
private_score "row 3 of many" default data.csv 3
record ca '?' >missing.csv
json_record chol null >null.json
private_score "missing category" default missing.csv 1
private_score "missing dense value" default null.json 1

works "encrypt" encrypt --manifest c-default/manifest.helm --key k-default/secret.key --input one.csv --out q.ct
for threads in 1 2 3; do
	works "infer, $threads threads" infer --program c-default/program.helm --keys k-default/evaluation.keys \
		--query q.ct --out r$threads.ct --threads $threads
done
check "2 threads, same result" "results differ" cmp -s r1.ct r2.ct
check "3 threads, same result" "results differ" cmp -s r1.ct r3.ct
works "encrypt for deep" encrypt --manifest c-deep/manifest.helm --key k-deep/secret.key --input one.csv --out q-deep.ct
on_server
works "helrm-server infer" infer --program c-default/program.helm --keys k-default/evaluation.keys \
	--query q.ct --out rs.ct
check "helrm-server, same result" "results differ" cmp -s r1.ct rs.ct
# encoded weights in a file: made, mapped, damaged, of another program, not a cache at all
on_server
cached() { # WHAT ORIGIN WHAT-IS-SAID
	run infer --program c-default/program.helm --keys k-default/evaluation.keys \
		--query q.ct --out rc.ct --cache default.weights --json
	check "infer --cache: $1" "exit $code: $message" [ "$code" -eq 0 ]
	check "infer --cache: $1: message" "says '$message'" sh -c 'grep -q "$1" log/err || [ -z "$1" ]' sh "$3"
	check "infer --cache: $1: weights" "not '$2'" grep -q "\"weights\":\"$2\"" log/out
	check "infer --cache: $1: same result" "results differ" cmp -s r1.ct rc.ct
}
cached "made" "encoded into the cache" ""
cached "there" "mapped" ""
printf 'X' | dd of=default.weights bs=1 seek=9000 conv=notrunc 2>/dev/null
cached "damaged" "encoded into the cache" "made anew: .* is damaged in weight 0"
run infer --program c-deep/program.helm --keys k-deep/evaluation.keys \
	--query q-deep.ct --out rd.ct --cache default.weights
check "infer --cache for another program" "exit $code: $message" [ "$code" -eq 0 ]
cached "of another program" "encoded into the cache" "of another program"
cp default.weights kept.weights
cp one.csv default.weights
cached "no cache" "encoded" "left alone; weights stay in memory"
check "infer --cache: no cache: left alone" "overwritten" cmp -s one.csv default.weights
mv kept.weights default.weights
on_helrm
cp r1.ct r.ct
works "encrypt again" encrypt --manifest c-default/manifest.helm --key k-default/secret.key --input one.csv --out q2.ct
if cmp -s q.ct q2.ct; then
	fail "two queries of one record differ" "they are equal: encryption is not randomised"
else
	ok "two queries of one record differ"
fi
works "infer for deep" infer --program c-deep/program.helm --keys k-deep/evaluation.keys --query q-deep.ct --out r-deep.ct

# Files carry all they need: they work elsewhere, under other names, without the model.
mkdir -p moved/server moved/client
cp c-default/program.helm moved/server/p && cp k-default/evaluation.keys moved/server/e
cp c-default/manifest.helm moved/client/m && cp k-default/secret.key moved/client/s
cp one.csv moved/client/o
cp -R m-default moved/model
(
	cd moved/client && "$HELRM" encrypt --manifest m --key s --input o --out ../server/q &&
		cd ../server && "$SERVER" infer --program p --keys e --query q --out ../client/r &&
		cd ../client && "$HELRM" decrypt --manifest m --key s --input r --json >logit &&
		"$HELRM" predict --model ../model --input o
) >log/out 2>log/err
read_message
check "moved files still work" "$message" [ -s moved/client/logit ]
check "moved files, same score" "$(cat moved/client/logit 2>/dev/null)" \
	close "$(number logit moved/client/logit)" "$expected" 1e-3
works "moved model directory, with a trailing slash" predict --model moved/model/ --input one.csv

finish
