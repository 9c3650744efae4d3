#!/bin/sh
# cli.sh HELRM_BINARY HELRM_SERVER_BINARY [HEART_DATA_FILE]
#
# An adversarial test of the command-line contract: what works must work from files alone, and every
# bad input must end in exactly one line on stderr, a documented exit status and no file left behind.
# Without a data file it trains on synthetic rows. Prints one line per check, then the totals.

set -u
LC_ALL=C
export LC_ALL
umask 022

if [ $# -lt 2 ]; then
	echo "usage: $0 HELRM_BINARY HELRM_SERVER_BINARY [HEART_DATA_FILE]" >&2
	exit 2
fi
absolute() { # PATH: the same from any directory
	case $1 in
	/*) printf '%s\n' "$1" ;;
	*) printf '%s\n' "$PWD/$1" ;;
	esac
}
HELRM=$(absolute "$1")
SERVER=$(absolute "$2")
HEART=${3:+$(absolute "$3")}

W=$(mktemp -d) || exit 2
cleanup() {
	[ -d "$W/full" ] && umount "$W/full" 2>/dev/null
	cd / && rm -rf "$W"
}
trap cleanup EXIT
trap 'exit 1' HUP INT TERM
cd "$W" || exit 2
mkdir out log # out: where commands under test write; log: what they say

# --- reporting -----------------------------------------------------------------------------------

passed=0
failed=0
ok() { # NAME
	passed=$((passed + 1))
	printf 'ok %s\n' "$1"
}
fail() { # NAME WHY
	failed=$((failed + 1))
	printf 'FAIL %s: %s\n' "$1" "$2" | tee -a "$W/failures"
}
check() { # NAME WHY COMMAND ...: passes when the command does
	check_name=$1 check_why=$2
	shift 2
	if "$@"; then ok "$check_name"; else fail "$check_name" "$check_why"; fi
}
skip() { # NAME WHY
	printf 'SKIPPED, NOT TESTED: %s: %s\n' "$1" "$2"
}
section() {
	printf '%s\n' "--- $1"
}
die() {
	fail "$1" "$2; the rest cannot run"
	printf '%d passed, %d failed\n' "$passed" "$failed"
	exit 1
}

# --- running a command -----------------------------------------------------------------------------

binary=$HELRM program=helrm # `on_server` switches both
on_helrm() { binary=$HELRM program=helrm; }
on_server() { binary=$SERVER program=helrm-server; }

# Long commands may report progress on stderr: that is neither error nor message.
run() { # ARGUMENT ...: fills log/out, log/err, $code, $message (the first line on stderr)
	"$binary" "$@" >log/out 2>log/err </dev/null
	code=$?
	read_message
	case $message in
	*" s left")
		sed '/^[a-z]*: *[0-9]* %, [0-9]* s left$/d' log/err >log/kept
		mv log/kept log/err
		read_message
		;;
	esac
}
read_message() { # fills $message, $more (whether log/err goes on after it)
	more=no
	{
		IFS= read -r message || [ -z "$message" ] || more="no newline"
		IFS= read -r more_line || [ -n "$more_line" ]
	} <log/err && more=yes
	[ -n "$message" ] || message="(nothing)"
}
empty_out() { # an empty out/ for the next command
	left_behind
	[ -z "$left" ] || { rm -rf out && mkdir out; }
}
left_behind() { # fills $left: the first entry of out/, if any
	for left in out/* out/.[!.]*; do
		if [ -e "$left" ] || [ -L "$left" ]; then
			return
		fi
	done
	left=
}

works() { # NAME ARGUMENT ...: exit 0 and silence on stderr
	works_name=$1
	shift
	run "$@"
	if [ "$code" -ne 0 ]; then
		fail "$works_name" "exit $code: $message"
	elif [ -s log/err ]; then
		fail "$works_name" "done, but says on stderr: $message"
	else
		ok "$works_name"
		return 0
	fi
	return 1
}

one_json_object() { # FILE
	[ "$(wc -l <"$1")" -eq 1 ] && grep -q '^{.*}$' "$1"
}
json() { # NAME ARGUMENT ...: as `works`, and one JSON object on stdout
	json_name=$1
	shift
	works "$json_name" "$@" --json || return 1
	check "$json_name prints one JSON object" "stdout: $(cut -c 1-80 log/out)" one_json_object log/out
}

# Judges the last run, of command $3: a proper refusal with status $2 ("any": one of 3 to 7)?
refused() { # NAME STATUS COMMAND
	flaw=
	left_behind
	if [ "$code" -eq 0 ]; then
		flaw="accepted"
	elif [ "$code" -ge 126 ]; then
		flaw="died with status $code: $message"
	elif [ "$2" = any ] && { [ "$code" -lt 2 ] || [ "$code" -gt 7 ]; }; then
		flaw="exit $code is not documented: $message"
	elif [ "$2" != any ] && [ "$code" -ne "$2" ]; then
		flaw="exit $code, expected $2: $message"
	elif [ "$more" != no ]; then
		flaw="not one line on stderr: $message"
	elif [ -s log/out ]; then
		flaw="stdout is not empty: $(head -n 1 log/out | cut -c 1-80)"
	elif [ -n "$left" ]; then
		flaw="left $left behind"
	fi
	case $message in
	*[[:cntrl:]]*) flaw=${flaw:-"control characters on stderr"} ;;
	*"(null)"*) flaw=${flaw:-"unhelpful message: $message"} ;;
	"$program $3: "?*) ;;
	*) flaw=${flaw:-"message without '$program $3': $message"} ;;
	esac
	if [ -z "$flaw" ]; then ok "$1"; else fail "$1" "$flaw"; fi
}
# --json makes stdout comparable: it must stay empty when the command fails.
refuse() { # STATUS NAME ARGUMENT ...
	refuse_code=$1 refuse_name=$2
	shift 2
	empty_out
	run "$@" --json
	refused "$refuse_name" "$refuse_code" "$1"
}
says() { # NAME PATTERN: the last message contains it
	check "$1" "message is: $message" grep -q -e "$2" log/err
}
survives() { # NAME ARGUMENT ...: a clean success or a clean refusal, never a crash
	survives_name=$1
	shift
	empty_out
	run "$@" --json
	if [ "$code" -eq 0 ] && [ ! -s log/err ]; then
		ok "$survives_name (accepted)"
	else
		refused "$survives_name" any "$1"
	fi
}

# --- making bad files --------------------------------------------------------------------------------

size_of() {
	echo $(($(wc -c <"$1")))
}
first_bytes() { # FILE COUNT
	dd if="$1" bs="$2" count=1 2>/dev/null
}
flip() { # FILE OFFSET MASK: in place
	flip_byte=$(od -An -v -tu1 -j "$2" -N 1 "$1")
	printf "\\$(printf '%03o' $((flip_byte ^ $3)))" |
		dd of="$1" bs=1 seek="$2" conv=notrunc 2>/dev/null
}
poke() { # FILE OFFSET BYTES: in place; BYTES as for printf
	printf "$3" | dd of="$1" bs=1 seek="$2" conv=notrunc 2>/dev/null
}
seal() { # FILE: makes its checksum right again; needs b2sum
	first_bytes "$1" $(($(size_of "$1") - 32)) >sealed
	b2sum -l 256 sealed | awk '
	function digit(at) { return index("0123456789abcdef", substr($1, at, 1)) - 1 }
	{
		for (i = 1; i < 64; i += 2)
			printf "\\%03o", 16 * digit(i) + digit(i + 1)
	}' >octal
	printf "$(cat octal)" >>sealed
	mv sealed "$1"
}
# Damaged copies of a container: calls VISIT CASE COPY ... for each.
damaged() { # FILE VISIT ARGUMENT ...
	damaged_of=$1 visit=$2
	shift 2
	damaged_size=$(size_of "$damaged_of")
	: >bad
	"$visit" "cut to 0 bytes" bad "$@"
	for n in 1 15 16 47 48 60 $((damaged_size / 2)) $((damaged_size - 32)) $((damaged_size - 1)); do
		[ "$n" -lt "$damaged_size" ] || continue
		first_bytes "$damaged_of" "$n" >bad
		"$visit" "cut to $n bytes" bad "$@"
	done
	# magic, kind, version, length, first and middle and last body byte, checksum
	for n in 0 4 5 8 15 16 50 $((damaged_size / 2)) $((damaged_size - 33)) $((damaged_size - 1)); do
		cp "$damaged_of" bad
		flip bad "$n" 1
		"$visit" "bit flipped at $n" bad "$@"
	done
	cp "$damaged_of" bad
	poke bad 6 '\377'
	"$visit" "other version" bad "$@"
	cp "$damaged_of" bad
	printf 'x' >>bad
	"$visit" "one byte too many" bad "$@"
	cat "$damaged_of" "$damaged_of" >bad
	"$visit" "twice itself" bad "$@"
	"$visit" "binary garbage" garbage "$@"
	"$visit" "text" deep.json "$@"
}
# Damaged copies of a JSON text.
damaged_text() { # FILE VISIT ARGUMENT ...
	damaged_of=$1 visit=$2
	shift 2
	damaged_size=$(size_of "$damaged_of")
	: >bad
	"$visit" "cut to 0 bytes" bad "$@"
	for n in 1 $((damaged_size / 2)) $((damaged_size - 1)); do
		first_bytes "$damaged_of" "$n" >bad
		"$visit" "cut to $n bytes" bad "$@"
	done
	# A low bit can turn a digit into another digit, which no reader can see: flip the top one.
	for n in 0 $((damaged_size / 3)) $((damaged_size / 2)) $((damaged_size - 1)); do
		cp "$damaged_of" bad
		flip bad "$n" 128
		"$visit" "bit flipped at $n" bad "$@"
	done
	for n in x '\000'; do
		cp "$damaged_of" bad
		printf "$n" >>bad
		"$visit" "one byte too many ($n)" bad "$@"
	done
	"$visit" "binary garbage" garbage "$@"
}

# --- the files every check starts from ----------------------------------------------------------------

section "happy path"
works "synth" synth --out data.csv --rows 303 --seed 7 || die "synth" "no data"
check "synth writes the rows asked for" "$(wc -l <data.csv) rows" [ "$(wc -l <data.csv)" -eq 303 ]
works "synth again" synth --out again.csv --rows 303 --seed 7
check "synth: same seed, same file" "files differ" cmp -s data.csv again.csv
if [ -n "$HEART" ] && [ -r "$HEART" ]; then
	cp "$HEART" data.csv
	echo "training on the data file given"
else
	echo "################################################################################"
	echo "### NO HEART DATA FILE GIVEN: everything below uses SYNTHETIC rows instead   ###"
	echo "################################################################################"
fi

printf '{"bottom":[16,4],"top":[16,8,1]}' >deep.json
printf '{"embedding":"digits(2)"}' >digits.json
printf '{"training":{"seed":2}}' >seed2.json
printf '{"top":[16,1]}' >wide.json
printf '{"activation":{"kind":"relu"}}' >relu.json
i=0
while [ $i -lt 64 ]; do # fixed, so that a failure can be repeated
	printf '\211\000\377\012\177\003\240\\'
	i=$((i + 1))
done >garbage

header=age,sex,cp,trestbps,chol,fbs,restecg,thalach,exang,oldpeak,slope,ca,thal
row=63,1,4,145,233,0,2,150,1,2.3,2,2,7
printf '%s\n%s\n' $header $row >one.csv
record() { # COLUMN VALUE: one.csv with one cell replaced; the value as for awk
	awk -F, -v OFS=, -v column="$1" -v value="$2" '
		NR == 1 { for (i = 1; i <= NF; i++) if ($i == column) at = i }
		NR == 2 { $at = value }
		{ print }' one.csv
}
json_record() { # COLUMN VALUE: one.csv as a JSON object, one value replaced by a JSON text
	new=$2 awk -F, -v column="$1" '
		NR == 1 { split($0, name); next }
		{ for (i = 1; i <= NF; i++)
			printf "%s\"%s\":%s", (i > 1 ? "," : "{"), name[i],
				(name[i] == column ? ENVIRON["new"] : $i)
		  printf "}" }' one.csv
}

for model in default deep digits seed2 wide relu; do
	config=
	[ $model = default ] || config="--config $model.json"
	works "train $model" train --data data.csv --out m-$model $config || die "train $model" "no model"
	works "eval $model" eval --model m-$model --data data.csv
	works "predict $model" predict --model m-$model --input one.csv
done
for model in default deep digits seed2 wide; do
	works "compile $model" compile --model m-$model --out c-$model || die "compile $model" "no program"
	works "keygen $model" keygen --manifest c-$model/manifest.helm --out k-$model || die "keygen" "no keys"
done
works "keygen for a second client" keygen --manifest c-default/manifest.helm --out k-other

number() { # KEY FILE: the first value of a JSON key
	sed -n "s/.*\"$1\":\\(-\\{0,1\\}[0-9.eE+-]*\\).*/\\1/p" "$2" | head -n 1
}
close() { # A B TOLERANCE
	awk -v a="$1" -v b="$2" -v t="$3" 'BEGIN {
		if (a !~ /^-?[0-9]/ || b !~ /^-?[0-9]/) exit 1
		d = a - b; exit !(d <= t && d >= -t) }'
}
# From one record to a decrypted score, by files only, against the model in the clear.
private_score() { # NAME MODEL RECORD WHICH-ROW
	works "$1: encrypt" encrypt --manifest c-$2/manifest.helm --key k-$2/secret.key --input "$3" \
		--out query.ct --row "$4" || return
	works "$1: infer" infer --program c-$2/program.helm --keys k-$2/evaluation.keys --query query.ct \
		--out result.ct || return
	run decrypt --manifest c-$2/manifest.helm --key k-$2/secret.key --input result.ct --json
	got=$(number logit log/out)
	run predict --model m-$2 --input "$3" --json
	tr '{' '\n' <log/out | grep '"logit"' | sed -n "$4p" >log/row
	wanted=$(number logit log/row)
	check "$1: decrypted logit is predict's" "got '$got', expected '$wanted'" close "$got" "$wanted" 1e-3
}
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

# --- what --json promises -------------------------------------------------------------------------------

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
	check "verify $model: at least 12.5 bits" "$(number bits log/out)" \
		awk -v b="$(number bits log/out)" 'BEGIN { exit !(b >= 12.5) }'
	check "verify $model: no decision differs" "$(number decisions_differ log/out)" \
		[ "$(number decisions_differ log/out)" = 0 ]
	check "verify $model: 10 rows" "$(number rows log/out)" [ "$(number rows log/out)" = 10 ]
done
works "verify for people" verify --model m-default --compiled c-default --data data.csv --rows 3
works "verify batches, the last one not full" verify --model m-default --compiled c-batch --data data.csv --rows 10
check "verify batches: time per query and per record" "$(cat log/out)" \
	grep -q "^4 records in a query, 3 queries: [0-9.]* ms per record" log/out

commands="synth train eval predict compile keygen encrypt infer decrypt verify inspect"
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
helps "--version" --version
helps "--help wins over bad options" encrypt --bogus --help
on_server
helps "helrm-server --help" --help
helps "helrm-server infer --help" infer --help
on_helrm

# --- modes and output paths -----------------------------------------------------------------------------

section "output files"
mode() {
	ls -ld "$1" | cut -c 1-10
}
keygen_in() { # NAME DIR: after a check's own preparation
	run keygen --manifest c-default/manifest.helm --out "$2" --force
	check "$1" "exit $code, mode $(mode "$2/secret.key")" [ "$(mode "$2/secret.key")" = -rw------- ]
}
for mask in 000 022 077; do
	umask $mask
	keygen_in "secret.key is 0600 under umask $mask" modes-$mask
	umask 022
done
chmod 644 modes-022/secret.key
keygen_in "secret.key becomes 0600 when it replaces an open file" modes-022
# The temporary file's name can be guessed: a planted one must not keep its mode (or its owner).
mkdir planted
sh -c ': >"planted/secret.key.$$.partial" && chmod 666 "planted/secret.key.$$.partial" && exec "$@"' sh \
	"$HELRM" keygen --manifest c-default/manifest.helm --out planted >log/out 2>log/err
check "a planted temporary file does not open the secret key" "mode $(mode planted/secret.key 2>/dev/null)" \
	[ ! -e planted/secret.key -o "$(mode planted/secret.key 2>/dev/null)" = -rw------- ]
works "output directories are made" keygen --manifest c-default/manifest.helm --out new/deeply/nested

# A path below a regular file cannot be written, not even by root.
no_room() { # NAME PATH: every command that writes, with the output there
	refuse 7 "synth to $1" synth --out "$2"
	refuse 7 "train to $1" train --data data.csv --out "$2"
	refuse 7 "compile to $1" compile --model m-default --out "$2"
	refuse 7 "keygen to $1" keygen --manifest c-default/manifest.helm --out "$2"
	refuse 7 "encrypt to $1" encrypt --manifest c-default/manifest.helm --key k-default/secret.key \
		--input one.csv --out "$2"
	refuse 7 "infer to $1" infer --program c-default/program.helm --keys k-default/evaluation.keys \
		--query q.ct --out "$2"
	on_server
	refuse 7 "helrm-server infer to $1" infer --program c-default/program.helm \
		--keys k-default/evaluation.keys --query q.ct --out "$2"
	on_helrm
}
no_room "a path below a file" one.csv/x
no_room "an endless name" "$(awk 'BEGIN { for (i = 0; i < 300; i++) printf "x" }')"
refuse 7 "synth onto a directory" synth --out m-default
refuse 7 "encrypt into a missing directory" encrypt --manifest c-default/manifest.helm \
	--key k-default/secret.key --input one.csv --out nowhere/q.ct
refuse 7 "infer onto a directory" infer --program c-default/program.helm --keys k-default/evaluation.keys \
	--query q.ct --out m-default
refuse 7 "infer to an empty name" infer --program c-default/program.helm --keys k-default/evaluation.keys \
	--query q.ct --out ''
# With an empty directory name the files must not land in the root directory.
if [ "$(id -u)" -ne 0 ]; then
	for line in "keygen --manifest c-default/manifest.helm" "compile --model m-default" "train --data data.csv"; do
		empty_out
		run $line --out '' --json
		refused "${line%% *} into an empty name" any "${line%% *}"
		if grep -q ' /[a-z]*\.' log/err; then
			fail "${line%% *} into an empty name stays out of /" "$message"
		else
			ok "${line%% *} into an empty name stays out of /"
		fi
	done
else
	skip "an empty output directory name" "would write to / when it is wrong, and root may"
fi
cp r.ct kept && cp kept out.ct
run infer --program c-default/program.helm --keys k-default/evaluation.keys --query one.csv --out out.ct
check "a refused command keeps the older output" "it changed" cmp -s kept out.ct
# Whoever replaces a device node by a file breaks the machine (--out /dev/null as root): a pipe stands in.
if mkfifo pipe 2>/dev/null; then
	refuse 7 "encrypt onto a pipe" encrypt --manifest c-default/manifest.helm --key k-default/secret.key \
		--input one.csv --out pipe
	check "encrypt does not replace a pipe" "it is a regular file now" [ -p pipe ]
	rm -f pipe && mkfifo pipe
	# What is read may come through a pipe, or from standard input: records need not lie on a disk.
	works "predict from a file" predict --model m-default --input one.csv
	cp log/out from-file
	cat one.csv >pipe &
	works "predict from a pipe" predict --model m-default --input pipe
	check "the pipe's record scores as the file's" "$(head -n 2 log/out)" cmp -s from-file log/out
	"$HELRM" predict --model m-default --input - <one.csv >log/out 2>&1
	check "so does standard input" "$(head -n 2 log/out)" cmp -s from-file log/out
	cat c-default/manifest.helm >pipe &
	works "inspect a pipe" inspect pipe
	: >pipe &
	refuse 4 "an empty manifest from a pipe" keygen --manifest pipe --out out/k
	refuse 7 "a model is a directory, not a pipe" predict --model pipe --input one.csv
else
	skip "pipes" "mkfifo does not work here"
fi

# A full disk, first by the file size limit (any user), then by a small file system (root only).
limited() { # NAME BLOCKS COMMAND ...: at most BLOCKS * 512 bytes in a file; the signal becomes an error
	limited_name=$1 limited_blocks=$2
	shift 2
	empty_out
	if (trap '' XFSZ && ulimit -f "$limited_blocks") 2>/dev/null; then
		(trap '' XFSZ && ulimit -f "$limited_blocks" && "$HELRM" "$@" --json >log/out 2>log/err)
		code=$?
		read_message
		[ -d out/d ] && rmdir out/d 2>/dev/null # an empty directory is no half-written file
		refused "$limited_name" 7 "$1"
	else
		skip "$limited_name" "no ulimit -f here"
	fi
}
limited "keygen, file too large" 100 keygen --manifest c-default/manifest.helm --out out/d
limited "compile, file too large" 8 compile --model m-default --out out/d
limited "encrypt, file too large" 100 encrypt --manifest c-default/manifest.helm --key k-default/secret.key \
	--input one.csv --out out/q
limited "infer, file too large" 100 infer --program c-default/program.helm --keys k-default/evaluation.keys \
	--query q.ct --out out/r
limited "synth, file too large" 8 synth --out out/s
mkdir full
if [ "$(id -u)" -eq 0 ] && mount -t tmpfs -o size=64k tmpfs full 2>/dev/null; then
	mkdir full/d
	for line in "keygen --manifest c-default/manifest.helm --out full/d" \
		"encrypt --manifest c-default/manifest.helm --key k-default/secret.key --input one.csv --out full/d/q" \
		"synth --rows 10000 --out full/d/s"; do
		refuse 7 "${line%% *} to a full disk" $line
		check "${line%% *} to a full disk leaves nothing" "$(ls -A full/d)" [ -z "$(ls -A full/d)" ]
	done
	umount full
else
	skip "a full file system" "needs root and mount"
fi
if [ -c /dev/full ]; then
	for line in "predict --model m-default --input data.csv" "predict --model m-default --input one.csv --json" \
		"inspect c-default/manifest.helm" "eval --model m-default --data data.csv"; do
		"$HELRM" $line >/dev/full 2>log/err
		code=$?
		read_message
		: >log/out
		empty_out
		refused "${line%% *} to a full stdout" 7 "${line%% *}"
	done
else
	skip "a full stdout" "no /dev/full"
fi
"$HELRM" encrypt --manifest c-default/manifest.helm --key k-default/secret.key --input one.csv --out closed.ct >&- 2>log/err
run inspect closed.ct
check "a closed stdout does not get into files" "$message" [ "$code" -eq 0 ]

# --- usage: always status 2 -------------------------------------------------------------------------------

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

# --- damaged files, in the place of every file argument ------------------------------------------------------

section "bad files"
# Every command line that takes a file of this kind, with FILE in its place and all else right.
in_place_of() { # CASE FILE STATUS KIND
	case $4 in
	manifest)
		refuse $3 "keygen: manifest: $1" keygen --manifest "$2" --out out/k
		refuse $3 "encrypt: manifest: $1" encrypt --manifest "$2" --key k-default/secret.key --input one.csv --out out/q
		refuse $3 "decrypt: manifest: $1" decrypt --manifest "$2" --key k-default/secret.key --input r.ct
		rm -rf badc && mkdir badc && cp c-default/program.helm badc
		[ ! -e "$2" ] || cp -R "$2" badc/manifest.helm
		refuse $3 "verify: manifest: $1" verify --model m-default --compiled badc --data data.csv --rows 2
		;;
	program)
		refuse $3 "infer: program: $1" infer --program "$2" --keys k-default/evaluation.keys --query q.ct --out out/r
		on_server
		refuse $3 "helrm-server infer: program: $1" infer --program "$2" --keys k-default/evaluation.keys --query q.ct --out out/r
		on_helrm
		rm -rf badc && mkdir badc && cp c-default/manifest.helm badc
		[ ! -e "$2" ] || cp -R "$2" badc/program.helm
		refuse $3 "verify: program: $1" verify --model m-default --compiled badc --data data.csv --rows 2
		;;
	secret)
		refuse $3 "encrypt: key: $1" encrypt --manifest c-default/manifest.helm --key "$2" --input one.csv --out out/q
		refuse $3 "decrypt: key: $1" decrypt --manifest c-default/manifest.helm --key "$2" --input r.ct
		;;
	public)
		refuse $3 "encrypt: public key: $1" encrypt --manifest c-default/manifest.helm --public-key "$2" --input one.csv --out out/q
		;;
	keys)
		refuse $3 "infer: keys: $1" infer --program c-default/program.helm --keys "$2" --query q.ct --out out/r
		on_server
		refuse $3 "helrm-server infer: keys: $1" infer --program c-default/program.helm --keys "$2" --query q.ct --out out/r
		on_helrm
		;;
	query)
		refuse $3 "infer: query: $1" infer --program c-default/program.helm --keys k-default/evaluation.keys --query "$2" --out out/r
		on_server
		refuse $3 "helrm-server infer: query: $1" infer --program c-default/program.helm --keys k-default/evaluation.keys --query "$2" --out out/r
		on_helrm
		;;
	result)
		refuse $3 "decrypt: result: $1" decrypt --manifest c-default/manifest.helm --key k-default/secret.key --input "$2"
		;;
	model.json | weights.safetensors)
		rm -rf badm && cp -R m-default badm && rm badm/$4
		[ ! -e "$2" ] || cp -R "$2" badm/$4
		refuse $3 "eval: $4: $1" eval --model badm --data data.csv
		refuse $3 "predict: $4: $1" predict --model badm --input one.csv
		refuse $3 "compile: $4: $1" compile --model badm --out out/c
		refuse $3 "verify: $4: $1" verify --model badm --compiled c-default --data data.csv --rows 2
		refuse $3 "inspect: $4: $1" inspect badm
		;;
	config)
		refuse $3 "train: config: $1" train --data data.csv --config "$2" --out out/m
		;;
	record)
		refuse $3 "predict: input: $1" predict --model m-default --input "$2"
		refuse $3 "encrypt: input: $1" encrypt --manifest c-default/manifest.helm --key k-default/secret.key --input "$2" --out out/q
		;;
	data)
		refuse $3 "train: data: $1" train --data "$2" --out out/m
		refuse $3 "eval: data: $1" eval --model m-default --data "$2"
		refuse $3 "verify: data: $1" verify --model m-default --compiled c-default --data "$2" --rows 2
		;;
	esac
}
file_of() { # KIND
	case $1 in
	manifest) echo c-default/manifest.helm ;;
	program) echo c-default/program.helm ;;
	secret) echo k-default/secret.key ;;
	public) echo k-default/public.key ;;
	keys) echo k-default/evaluation.keys ;;
	query) echo q.ct ;;
	result) echo r.ct ;;
	model.json | weights.safetensors) echo m-default/$1 ;;
	config) echo deep.json ;;
	record) echo object.json ;;
	esac
}
containers="manifest program secret public keys query result"
and_inspect() { # CASE FILE STATUS KIND
	in_place_of "$@"
	refuse $3 "inspect: $4: $1" inspect "$2"
}
for kind in $containers; do
	damaged "$(file_of $kind)" and_inspect 4 $kind
	for other in $containers; do
		[ $other = $kind ] || in_place_of "a $other instead" "$(file_of $other)" 4 $kind
	done
done
for kind in model.json config; do
	damaged_text "$(file_of $kind)" in_place_of 4 $kind
done
damaged_text object.json in_place_of 3 record
for kind in $containers model.json weights.safetensors config record data; do
	in_place_of "a directory" m-deep 7 $kind
	in_place_of "a missing file" nosuch 7 $kind
done
for kind in model.json weights.safetensors config; do
	in_place_of "a manifest instead" c-default/manifest.helm 4 $kind
done
in_place_of "a query instead" q.ct 3 record
in_place_of "weights instead" m-default/weights.safetensors 3 data
refuse 7 "inspect a missing file" inspect nosuch
refuse 7 "inspect a directory without a model" inspect k-default
refuse 4 "inspect a data file" inspect data.csv
refuse 7 "predict: the model is a file" predict --model one.csv --input one.csv
refuse 7 "verify: the compiled directory is a file" verify --model m-default --compiled one.csv --data data.csv

# Weights: a length, a JSON header, raw floats.
weights=m-default/weights.safetensors
weights_size=$(size_of $weights)
weights_header=$(od -An -v -tu1 -N 2 $weights | awk '{ print $1 + 256 * $2 }')
: >bad
in_place_of "cut to 0 bytes" bad 4 weights.safetensors
for n in 1 7 8 9 $((8 + weights_header / 2)) $((8 + weights_header)) $((weights_size - 1)); do
	first_bytes $weights $n >bad
	in_place_of "cut to $n bytes" bad 4 weights.safetensors
done
for n in 0 1 2 7 8 20 $((8 + weights_header / 2)); do
	cp $weights bad && flip bad "$n" 128
	in_place_of "bit flipped at $n" bad 4 weights.safetensors
done
for value in '\000\000\300\177' '\000\000\200\177' '\000\000\200\377'; do
	cp $weights bad && poke bad $((weights_size - 4)) "$value"
	in_place_of "a weight that is not finite ($value)" bad 4 weights.safetensors
done
cp $weights bad && poke bad 0 '\377\377\377\377\377\377\377\377'
in_place_of "an endless header" bad 4 weights.safetensors
printf '\002\000\000\000\000\000\000\000{}' >bad
in_place_of "no tensor" bad 4 weights.safetensors
in_place_of "binary garbage" garbage 4 weights.safetensors
in_place_of "weights of another shape" m-digits/weights.safetensors 4 weights.safetensors
cp $weights bad && printf 'x' >>bad
in_place_of "one byte too many" bad 4 weights.safetensors
cp $weights bad && flip bad $((8 + weights_header + 402)) 1
in_place_of "bit flipped in a number" bad 4 weights.safetensors
# Finite weights whose scores overflow: no score is better than an infinite one.
cp -R m-deep overflow
header_size=$(od -An -v -tu1 -N 2 overflow/weights.safetensors | awk '{ print $1 + 256 * $2 }')
first_bytes m-deep/weights.safetensors $((8 + header_size)) >bad
awk -v n=$(($(size_of m-deep/weights.safetensors) - 8 - header_size)) 'BEGIN { for (; n > 0; n--) printf "\177" }' >>bad
cp bad overflow/weights.safetensors
refuse any "predict: the score overflows" predict --model overflow --input one.csv
refuse any "eval: the score overflows" eval --model overflow --data data.csv
refuse any "compile: the score overflows" compile --model overflow --out out/c

# model.json: right JSON, wrong content.
while IFS='|' read -r what pattern; do
	sed "$pattern" m-default/model.json >bad
	check "model.json with $what differs" "the edit did nothing" [ -n "$(cmp m-default/model.json bad 2>&1)" ]
	in_place_of "$what" bad 4 model.json
done <<'END'
another version|s/"helrm_model": 1/"helrm_model": 2/
no version|s/"helrm_model"/"model"/
no config|s/"config"/"confug"/
no schema|s/"schema"/"scheme"/
another data set|s/"heart"/"lungs"/
an unknown config key|s/"clip"/"clap"/
values that are not sorted|s/"values": \[/"values": ["zz",/
a table renamed to nothing|s/"name": "cp"/"name": ""/
a mean that is a text|s/"mean": [-0-9.e]*/"mean": "x"/
a deviation of 0|s/"deviation": [-0-9.e]*/"deviation": 0/
digits that do not fit|s/"digits": 1/"digits": 2/
END

# Configs: right JSON, wrong content.
while read -r config; do
	printf '%s' "$config" >bad
	in_place_of "$config" bad 4 config
done <<'END'
[]
5
null
{"typo":1}
{"top":[]}
{"top":[8]}
{"top":[0,1]}
{"top":[1.5,1]}
{"top":[-8,1]}
{"top":["8",1]}
{"top":8}
{"top":null}
{"top":[70000,1]}
{"top":[65536,65536,1]}
{"top":[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]}
{"bottom":"x"}
{"embedding_dim":0}
{"embedding_dim":1.5}
{"embedding_dim":5000}
{"clip":0}
{"clip":"4"}
{"clip":1e999}
{"clip":NaN}
{"embedding":"digits(1)"}
{"embedding":"digits(-2)"}
{"embedding":"full","embedding":"full"}
{"activation":null}
{"activation":{}}
{"activation":"square"}
{"activation":{"kind":"tanh"}}
{"activation":{"kind":"quadratic","a":0}}
{"activation":{"kind":"quadratic","c":1}}
{"bottom_last_activation":1}
{"training":{"epochs":0}}
{"training":{"epochs":1.5}}
{"training":{"seed":-1}}
{"training":{"seed":1.5}}
{"training":{"sede":2}}
{"training":5}
{"training":[]}
{"training":null}
{"training":"fast"}
END
printf '{"training":{"rate":10,"gradient_clip":1e9}}' >bad
refuse 6 "train: diverges" train --data data.csv --config bad --out out/m

# --- records and data files --------------------------------------------------------------------------------

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
thal 1234567890123456789012345678901234567890123456789012345678901234567890
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
	fi
}
sed '5s/^\([^,]*\),[^,]*/\1,caf@/' data.csv | tr '@' '\351' >bad
train_then_use "a category that is no UTF-8" bad
for age in 1e20 1e155 1e300; do
	sed "5s/^[^,]*/$age/" data.csv >bad
	train_then_use "an age of $age" bad
done
sed 's/^[^,]*/?/' data.csv >bad
train_then_use "a dense column that is always missing" bad
sed 's/^[^,]*/50/' data.csv >bad
train_then_use "a dense column that never changes" bad
sed 1q data.csv >bad
empty_out
json "train on one row" train --data bad --out out/m
json "eval on one row" eval --model m-default --data bad
works "train on one row, for people" train --data bad --out out/m
if grep -qi 'nan' log/out; then
	fail "one row: no nan is shown" "$(grep -i nan log/out | head -n 1)"
else
	ok "one row: no nan is shown"
fi

# --- files that do not belong together: status 5 ---------------------------------------------------------------

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

# --- what this machine takes ----------------------------------------------------------------------------------------

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

# --- what compile refuses ---------------------------------------------------------------------------------------

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

# --- forged files: damaged, but with the right checksum -----------------------------------------------------------

section "forged files"
forged() { # KIND OFFSET ...
	forged_kind=$1
	shift
	for offset in "$@"; do
		for mask in 1 128; do
			cp "$(file_of $forged_kind)" forged
			flip forged "$offset" $mask
			seal forged
			name="forged $forged_kind, byte $offset xor $mask"
			case $forged_kind in
			manifest)
				survives "$name: keygen" keygen --manifest forged --out out/k
				survives "$name: encrypt" encrypt --manifest forged --key k-default/secret.key --input one.csv --out out/q
				survives "$name: decrypt" decrypt --manifest forged --key k-default/secret.key --input r.ct
				survives "$name: inspect" inspect forged
				;;
			program)
				on_server
				survives "$name: helrm-server infer" infer --program forged --keys k-default/evaluation.keys --query q.ct --out out/r
				on_helrm
				survives "$name: inspect" inspect forged
				;;
			secret)
				survives "$name: encrypt" encrypt --manifest c-default/manifest.helm --key forged --input one.csv --out out/q
				survives "$name: decrypt" decrypt --manifest c-default/manifest.helm --key forged --input r.ct
				;;
			public)
				survives "$name: encrypt" encrypt --manifest c-default/manifest.helm --public-key forged --input one.csv --out out/q
				;;
			keys)
				on_server
				survives "$name: helrm-server infer" infer --program c-default/program.helm --keys forged --query q.ct --out out/r
				on_helrm
				;;
			query)
				on_server
				survives "$name: helrm-server infer" infer --program c-default/program.helm --keys k-default/evaluation.keys --query forged --out out/r
				on_helrm
				;;
			result)
				survives "$name: decrypt" decrypt --manifest c-default/manifest.helm --key k-default/secret.key --input forged
				;;
			esac
		done
	done
}
# Where counts, levels and sizes stand: right after the head, after the embedded manifest, at the end.
if b2sum -l 256 one.csv >/dev/null 2>&1; then
	manifest=$(size_of c-default/manifest.helm)
	name_length=9 # "m-default"
	params=$((16 + 4 + name_length))
	forged manifest 8 16 19 $params $((params + 1)) $((params + 2)) $((params + 3)) $((params + 4)) $((params + 5)) \
		$((params + 6)) $((manifest - 33)) $((manifest - 37)) $((manifest - 36 - 14 * 5)) $((manifest - 36 - 14 * 5 - 8))
	program_size=$(size_of c-default/program.helm)
	forged program 16 17 24 $((24 + manifest)) $((25 + manifest)) $((28 + manifest)) \
		$((program_size - 33)) $((program_size - 36)) $((program_size - 40)) $((program_size - 44)) \
		$((program_size - 50)) $((program_size - 53)) $((program_size - 60)) $((program_size / 2))
	forged secret 16 50 79
	forged keys 16 48 64 96 97 100 104 3000000
	forged public 16 48 64 80 95 96 97 60000 $(($(size_of k-default/public.key) - 33))
	forged query 16 48 64 65 68 69 70 80 100 60000 $(($(size_of q.ct) - 33))
	forged result 16 48 64 65 66 67 68 72 80 30000 $(($(size_of r.ct) - 33))
else
	skip "forged files" "no b2sum -l here"
fi

# --- kill -9 at any moment ------------------------------------------------------------------------------------------

section "kill -9"
kill_after() { # SECONDS COMMAND ...
	kill_delay=$1
	shift
	"$HELRM" "$@" >/dev/null 2>&1 &
	pid=$!
	sleep "$kill_delay" 2>/dev/null || sleep 1
	kill -9 $pid 2>/dev/null
	wait $pid 2>/dev/null
}
whole() { # NAME FILE-THAT-TELLS WHAT-TO-INSPECT: absent or valid
	if [ ! -e "$2" ]; then
		ok "$1 (absent)"
	else
		works "$1 (valid)" inspect "$3"
	fi
}
for delay in 0.01 0.015 0.02 0.03 0.05 0.08 0.13; do
	rm -rf killed && kill_after $delay keygen --manifest c-deep/manifest.helm --out killed
	whole "keygen killed after $delay s: evaluation.keys" killed/evaluation.keys killed/evaluation.keys
	whole "keygen killed after $delay s: secret.key" killed/secret.key killed/secret.key
	rm -rf killed && kill_after $delay train --data data.csv --out killed
	whole "train killed after $delay s" killed/model.json killed
	# Into the place of an older model: one or the other, not half of each.
	rm -rf killed && cp -R m-digits killed && kill_after $delay train --data data.csv --out killed
	whole "train over another model killed after $delay s" killed/model.json killed
done 2>/dev/null # the shell's own notices about killed jobs

# --- the lookup laboratory ------------------------------------------------------------------------------------------------

section "lookup-bench"
lab="lookup-bench --threads 1 --milliseconds 1"
json "lookup-bench --json" $lab --method full digits --rows 40 9 --dim 3 --base 4 --digits 3 --batch 1 2
for key in median_ms query_bytes key_bytes server_bytes relative_bits outputs_checked retrain levels log_n; do
	check "lookup-bench reports $key" "no such key" grep -q "\"$key\":" log/out
done
printf '0.5\t1\n-2\t3\n1\t1\n0\t-1\n' >book.tsv
works "lookup-bench with a codebook" $lab --method digits powers --codebook book.tsv --base 2 --batch 1 --out lab.json
check "lookup-bench writes what it measured" "$(cat lab.json)" grep -q '"method": "powers"' lab.json
works "lookup-bench in parts, from disk" $lab --method full --rows 50 --dim 2 --parts 2 --disk . --batch 1
check "lookup-bench leaves no weights behind" "$(ls ./*.tmp 2>&1)" [ -z "$(find . -name '*.tmp')" ]
refuse 2 "lookup-bench: an unknown method" $lab --method fast
says "lookup-bench: an unknown method: the message lists them" powers
refuse 2 "lookup-bench: a codebook that does not fit" $lab --method digits --codebook book.tsv --base 3
refuse 2 "lookup-bench: rows and tables" $lab --rows 4 --table book.tsv
refuse 2 "lookup-bench: no rows" $lab --rows 0
refuse 6 "lookup-bench: precision out of reach" $lab --method digits --log-n 12 --bits 40 --batch 1
refuse 7 "lookup-bench: no such table" $lab --method full --table nosuch.npy
refuse 7 "lookup-bench: no such directory" $lab --method full --rows 9 --disk nowhere --batch 1
printf '1 2\n3\n' >bad.tsv
refuse 3 "lookup-bench: rows of different length" $lab --method full --table bad.tsv
says "lookup-bench: rows of different length: the message names the line" "bad.tsv: line 2"
printf 'no array' >bad.npy
refuse 4 "lookup-bench: not an array" $lab --method full --table bad.npy
cp garbage garbage.safetensors
refuse 4 "lookup-bench: not weights" $lab --method full --table garbage.safetensors

# --- no secrets in the server binary ----------------------------------------------------------------------------------

section "symbols"
if nm "$HELRM" >log/helrm.nm 2>/dev/null && nm "$SERVER" >log/server.nm 2>/dev/null && [ -s log/helrm.nm ]; then
	for symbol in hel_public_key_new hel_encrypt_public hel_secret_key_new hel_secret_key_from_seed hel_encrypt hel_encrypt_seeded hel_decrypt \
		hel_decrypt_coefficients hel_keys_generate; do
		check "helrm has $symbol" "absent: this test tests nothing" grep -q "[ _]$symbol\$" log/helrm.nm
		if grep -q "[ _]$symbol" log/server.nm; then
			fail "helrm-server lacks $symbol" "present"
		else
			ok "helrm-server lacks $symbol"
		fi
	done
	if grep -q 'hel_secret_key\|hel_decrypt' log/server.nm; then
		fail "helrm-server has no secret-key code" "$(grep 'hel_secret_key\|hel_decrypt' log/server.nm | head -n 1)"
	else
		ok "helrm-server has no secret-key code"
	fi
else
	skip "symbols of both binaries" "no nm, or they are stripped"
fi

# --- nothing left ----------------------------------------------------------------------------------------------------------

section "leftovers"
rm -rf killed # what kill -9 interrupts cannot be tidied up
find . -name '*.partial' >log/partial
check "no .partial file is left" "$(head -n 1 log/partial)" [ ! -s log/partial ]

[ ! -e failures ] || cat failures # once more, where the end of a long log shows them
printf '%d passed, %d failed\n' "$passed" "$failed"
[ "$failed" -eq 0 ]
