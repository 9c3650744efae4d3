#!/bin/sh
# secrets.sh HELRM_BINARY HELRM_SERVER_BINARY [HEART_DATA_FILE]
# A secret key at rest: sealed by a passphrase, opened, moved to another one, closed to others.
. "$(dirname "$0")/lib.sh"
need default

section "sealed keys"
echo 'correct horse' >passphrase
echo 'battery staple' >other
manifest="--manifest c-default/manifest.helm"
works "keygen seals" keygen $manifest --out k --seal --passphrase-file passphrase
check "the file is its owner's" "$(ls -l k/secret.key)" [ "$(ls -l k/secret.key | cut -c 1-10)" = -rw------- ]
works "inspect a sealed key" inspect k/secret.key
check "inspect says so" "$(cat log/out)" grep -q '^sealed by a passphrase' log/out
check "no key to read" "it looks like a secret key" sh -c '! head -c 8 k/secret.key | cmp -s -n 8 - k-default/secret.key'
key="--key k/secret.key --passphrase-file passphrase"
works "encrypt with a sealed key" encrypt $manifest $key --input one.csv --out sealed.ct
works "infer" infer --program c-default/program.helm --keys k/evaluation.keys --query sealed.ct --out sealed.result
works "decrypt" decrypt $manifest $key --input sealed.result
cp log/out score
run predict --model m-default --input one.csv --json
logit=$(number logit log/out)
check "the score is the model's" "$(cat score)" close "$(sed -n 's/^logit \([-+0-9.]*\),.*/\1/p' score | tr -d +)" "$logit" 1e-3
for from in - /dev/fd/3 /dev/stdin; do
	"$HELRM" decrypt $manifest --key k/secret.key --passphrase-file $from --input sealed.result \
		<passphrase 3<passphrase >log/out 2>log/err
	check "a passphrase from $from" "$(cat log/err)" cmp -s score log/out
done

section "what opens no key"
refuse 6 "a wrong passphrase" decrypt $manifest --key k/secret.key --passphrase-file other --input sealed.result
: >empty
refuse 2 "an empty passphrase" decrypt $manifest --key k/secret.key --passphrase-file empty --input sealed.result
head -c 2000 /dev/zero | tr '\0' x >long
refuse 2 "an endless passphrase" decrypt $manifest --key k/secret.key --passphrase-file long --input sealed.result
refuse 7 "no such passphrase file" decrypt $manifest --key k/secret.key --passphrase-file nosuch --input sealed.result
if command -v setsid >/dev/null; then
	for command in "decrypt $manifest --key k/secret.key --input sealed.result" "keygen $manifest --out out/k --seal"; do
		empty_out
		setsid "$HELRM" $command >log/out 2>log/err </dev/null
		code=$?
		read_message
		refused "${command%% *} without a terminal" 2 "${command%% *}"
		says "${command%% *} without a terminal: says what to give" "--passphrase-file"
		HELRM_PASSPHRASE='correct horse' setsid "$HELRM" $command >log/out 2>log/err </dev/null
		code=$?
		read_message
		refused "${command%% *}: not from the environment" 2 "${command%% *}"
		says "${command%% *}: not from the environment: says so" "HELRM_PASSPHRASE is not read"
	done
fi
broken_key() { # CASE FILE
	refuse 4 "a sealed key, $1" decrypt $manifest --key "$2" --passphrase-file passphrase --input sealed.result
}
damaged k/secret.key broken_key

section "a terminal"
cat >terminal.py <<'END'
# terminal.py ANSWER,ANSWER,... COMMAND ...: answers each prompt as a person does; prints what was said,
# whether the terminal echoed meanwhile and does now, and the status.
import os, pty, sys, termios, time
answers = sys.argv[1].encode().decode("unicode_escape").encode("latin1").split(b",")
pid, fd = pty.fork()
if pid == 0:
    os.execv(sys.argv[2], sys.argv[2:])
said, silent = b"", True
def echo():
    return bool(termios.tcgetattr(fd)[3] & termios.ECHO)
try:
    for answer in answers:
        seen = said.count(b": ")
        while said.count(b": ") == seen:
            said += os.read(fd, 4096)
        silent &= not echo()
        os.write(fd, answer)
        seen = said.count(b": ")
    end = time.time() + 60
    while time.time() < end:
        said += os.read(fd, 4096)
except OSError:
    pass
print("silent" if silent else "echoed", "echoes" if echo() else "mute", os.waitpid(pid, 0)[1])
print(said.decode(errors="replace"))
END
if command -v python3 >/dev/null; then
	python3 terminal.py 'typed words\n,typed words\n' "$HELRM" keygen $manifest --out typed --seal >log/out 2>&1
	check "a passphrase is typed twice, unseen" "$(cat log/out)" grep -q '^silent echoes 0$' log/out
	check "it is nowhere on the screen" "$(cat log/out)" sh -c '! grep -q typed.words log/out'
	echo 'typed words' >typed.file
	works "and opens the key" encrypt $manifest --key typed/secret.key --passphrase-file typed.file --input one.csv --out typed.ct
	python3 terminal.py 'one\n,other\n' "$HELRM" keygen $manifest --out mistyped --seal >log/out 2>&1
	check "two that differ are refused" "$(cat log/out)" grep -q 'the two passphrases differ' log/out
	check "and nothing is made" "it was" [ ! -e mistyped ]
	python3 terminal.py '\003' "$HELRM" keygen $manifest --out stopped --seal >log/out 2>&1
	check "Ctrl-C leaves a terminal that echoes" "$(cat log/out)" grep -q '^silent echoes 2$' log/out
else
	skip "a terminal" "no python3"
fi

section "seal"
cp k-default/secret.key plain.key
made make_query default q.ct r.ct
works "a key of before comes under a passphrase" seal --key plain.key --new-passphrase-file passphrase
works "and reads what it read" decrypt $manifest --key plain.key --passphrase-file passphrase --input r.ct
works "under another one" seal --key plain.key --passphrase-file passphrase --new-passphrase-file other
refuse 6 "the old one does not open it" decrypt $manifest --key plain.key --passphrase-file passphrase --input r.ct
cp plain.key kept
refuse 6 "seal: a wrong passphrase" seal --key plain.key --passphrase-file passphrase --no-passphrase
check "a refused seal changes nothing" "it changed" cmp -s kept plain.key
works "under none" seal --key plain.key --passphrase-file other --no-passphrase
check "it is the key it was" "it differs" cmp -s k-default/secret.key plain.key
refuse 2 "seal: both" seal --key plain.key --new-passphrase-file other --no-passphrase
refuse 4 "seal: no key" seal --key one.csv --new-passphrase-file other
refuse 4 "seal: a public key" seal --key k-default/public.key --new-passphrase-file other

section "who else can read it"
chmod 666 plain.key
run decrypt $manifest --key plain.key --input r.ct
check "a key that others can read still works" "exit $code" [ "$code" -eq 0 ]
says "and is warned of" "warning: plain.key can be read or written by others (mode 666)"
chmod 600 plain.key
works "silence where it is closed" decrypt $manifest --key plain.key --input r.ct

section "keygen --force"
# Whatever fails changes nothing; whatever interrupts it, no new keys lie beside a secret they are not of.
cp -R k-default forced
rm forced/evaluation.keys && mkdir forced/evaluation.keys
refuse 7 "keygen where the evaluation keys cannot go" keygen $manifest --out forced --force
check "the secret is as it was" "it changed" cmp -s k-default/secret.key forced/secret.key
for delay in 0.02 0.03 0.04 0.05 0.06 0.07 0.08 0.1; do
	rm -rf forced && cp -R k-default forced
	"$HELRM" keygen $manifest --out forced --force >log/out 2>&1 &
	pid=$!
	sleep $delay
	kill -9 $pid 2>/dev/null
	wait $pid 2>/dev/null
	! cmp -s k-default/secret.key forced/secret.key || cmp -s k-default/evaluation.keys forced/evaluation.keys
	check "killed after $delay s: no new keys beside the old secret" "they are" [ $? -eq 0 ]
done 2>/dev/null # the shell's own notices
works "the next one tidies up" keygen $manifest --out forced --force
refuse 2 "keygen keeps a secret that is there" keygen $manifest --out k-default

section "memory"
# Neither a debugger nor a core file sees a process that holds a secret.
if [ -r /proc/self/status ]; then
	mkfifo hold
	"$HELRM" decrypt $manifest --key k-default/secret.key --input hold >log/out 2>&1 &
	pid=$!
	exec 4>hold
	sleep 0.3
	check "no core file" "$(grep core /proc/$pid/limits)" grep -q '^Max core file size  *0  *0 ' /proc/$pid/limits
	cat r.ct >&4
	exec 4>&-
	wait $pid
	check "and it still works" "$(cat log/out)" grep -q '^logit' log/out
else
	skip "memory of a running process" "no /proc"
fi

finish
