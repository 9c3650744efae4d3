#!/bin/sh
# places.sh HELRM_BINARY HELRM_SERVER_BINARY [HEART_DATA_FILE]
# Where files go: modes, missing and full places, pipes, kill -9 at any moment.
. "$(dirname "$0")/lib.sh"
need default deep digits

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
# Every file that a command writes keeps to the umask, and a replaced one to the mode it had.
umask 077
made "$HELRM" train --data data.csv --out closed/m
made "$HELRM" compile --model closed/m --out closed/c
made "$HELRM" keygen --manifest closed/c/manifest.helm --out closed/k
made "$HELRM" encrypt --manifest closed/c/manifest.helm --key closed/k/secret.key --input one.csv --out closed/q
made "$HELRM" infer --program closed/c/program.helm --keys closed/k/evaluation.keys --query closed/q --out closed/r \
	--cache closed/w
made "$HELRM" synth --out closed/s
umask 022
check "umask 077: nothing is open to others" "$(find closed -perm /077)" [ -z "$(find closed -perm /077)" ]
works "again, under umask 022" train --data data.csv --out closed/m
check "a replaced file stays as closed" "$(mode closed/m/model.json)" [ "$(mode closed/m/model.json)" = -rw------- ]
chmod 755 closed
works "into a directory that exists" keygen --manifest c-default/manifest.helm --out closed
check "which keeps its mode" "$(mode closed)" [ "$(mode closed)" = drwxr-xr-x ]

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
# A path that no buffer may cut: the file's name must not lose its end.
deep=$PWD/$(awk 'BEGIN { for (i = 0; i < 15; i++) { for (k = 0; k < 250; k++) printf "d"; printf "/" } }')
deep=$deep$(awk -v n=$((4088 - ${#deep})) 'BEGIN { for (i = 0; i < n; i++) printf "e" }')
refuse 2 "keygen to a path that is too long" keygen --manifest c-default/manifest.helm --out "$deep"
for line in "train --data data.csv" "compile --model m-default"; do
	refuse any "${line%% *} to a path that is too long" $line --out "$deep"
done
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
"$HELRM" predict --model m-default --input - <&- >log/out 2>log/err
code=$?
read_message
empty_out
refused "a closed standard input" 7 predict
"$HELRM" encrypt --manifest c-default/manifest.helm --key k-default/secret.key --input one.csv --out closed.ct >&- 2>log/err
run inspect closed.ct
check "a closed stdout does not get into files" "$message" [ "$code" -eq 0 ]

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
rm -rf killed # what kill -9 interrupts is tidied up by the next run there

finish
