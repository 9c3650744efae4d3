# shellcheck shell=sh
# lib.sh -- what the tests of commands share: `. lib.sh` gives a scratch directory, checks, ways to run a
# command and to judge it, bad files, and the files that most checks start from.
#
# The contract they test: what works must work from files alone, and every bad input must end in exactly
# one line on stderr, a documented exit status and no file left behind. Without a data file all is trained
# on synthetic rows. Each script prints one line per check, then the totals.

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
	*" s left" | *" s so far")
		sed '/^[a-z ]*: .*[0-9] s \(left\|so far\)$/d' log/err >log/kept
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
	cat sealed >"$1" # its mode stays
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

# --- the files that checks start from -----------------------------------------------------------------

if [ -n "$HEART" ] && [ -r "$HEART" ]; then
	cp "$HEART" data.csv
	echo "training on the data file given"
else
	"$HELRM" synth --out data.csv --rows 303 --seed 7 >log/need 2>&1 || die "synth" "no data"
	echo "### NO HEART DATA FILE GIVEN: everything below uses SYNTHETIC rows instead"
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


config_of() { # MODEL: the option that trains it
	[ "$1" = default ] || echo "--config $1.json"
}
make_model() { # MODEL
	"$HELRM" train --data data.csv --out "m-$1" $(config_of "$1") || return 1
	[ "$1" = relu ] && return # compile refuses it
	"$HELRM" compile --model "m-$1" --out "c-$1" &&
		"$HELRM" keygen --manifest "c-$1/manifest.helm" --out "k-$1"
}
make_query() { # MODEL QUERY RESULT
	"$HELRM" encrypt --manifest "c-$1/manifest.helm" --key "k-$1/secret.key" --input one.csv --out "$2" &&
		"$HELRM" infer --program "c-$1/program.helm" --keys "k-$1/evaluation.keys" --query "$2" --out "$3"
}
# What most checks need, made in silence: models m-*, what compile wrote c-*, keys k-*, and of "default"
# a second client k-other, a query q.ct with its result r.ct, and object.json.
need() { # default MODEL ...
	for need_model in "$@"; do
		make_model "$need_model" >log/need 2>&1 || die "$need_model" "$(tail -n 1 log/need)"
	done
	json_record age 63 >object.json
	"$HELRM" keygen --manifest c-default/manifest.helm --out k-other >log/need 2>&1 &&
		make_query default q.ct r.ct >log/need 2>&1 || die "a query" "$(tail -n 1 log/need)"
}
made() { # COMMAND ...: something more, in silence
	"$@" >log/need 2>&1 || die "$*" "$(tail -n 1 log/need)"
}

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

# --- every command line that takes a file of a kind -----------------------------------------------------

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

# --- the end -----------------------------------------------------------------------------------------------

finish() {
	section "leftovers"
	find . -name '*.partial' >log/partial
	check "no .partial file is left" "$(head -n 1 log/partial)" [ ! -s log/partial ]
	[ ! -e failures ] || cat failures # once more, where the end of a long log shows them
	printf '%d passed, %d failed\n' "$passed" "$failed"
	[ "$failed" -eq 0 ]
}
