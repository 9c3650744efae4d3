#!/bin/sh
# service.sh HELRM HELRM_SERVER PREDICT CLIENT_LIBRARY [HEART_DATA_FILE]
#
# The service as a person uses it: 'helrm query' against 'helrm-server serve', the example program, the
# client library's size and exports. Prints one line per check, then the totals.
set -u
helrm=$(realpath "$1") server=$(realpath "$2") predict=$(realpath "$3") library=$(realpath "$4")
root=$(realpath "$(dirname "$0")/../..")
data=${5:+$(realpath "$5")}
. "$(dirname "$0")/steps.sh"

[ -n "$data" ] || { "$helrm" synth --dataset heart --rows 303 --seed 1 --out cohort && data=$work/cohort; } >/dev/null
"$helrm" train --dataset heart --data "$data" --out heart >/dev/null 2>&1 &&
	"$helrm" compile --model heart --out models/heart >/dev/null || exit 1
"$helrm" compile --model heart --out models/batch --batch 8 >/dev/null || exit 1
head -n 12 "$data" | cut -d, -f1-13 >records.csv
head -n 1 records.csv >one.csv

check "a good configuration is accepted" run 0 "$server" serve --check-config --models models --queue 7
check "and shown" says "^queue = 7$"
printf 'queue = 9\nlisten = 127.0.0.1:0\nmodels = models\ndata = data\n' >server.conf
check "a file's settings are taken" run 0 "$server" serve --check-config --config server.conf
check "from the file" says "^queue = 9$"
check "the environment wins over it" env HELRM_SERVE_QUEUE=10 sh -c "'$server' serve --check-config --config server.conf | grep -q '^queue = 10\$'"
check "flags win over both" env HELRM_SERVE_QUEUE=10 sh -c "'$server' serve --check-config --config server.conf --queue 11 | grep -q '^queue = 11\$'"
check "plain HTTP beyond loopback is refused" run 2 "$server" serve --check-config --models models --listen 0.0.0.0:80

serve "$server" server.conf
url=http://127.0.0.1:$port
query="$helrm query --server $url --model heart"

check "without a passphrase nothing is written" run 2 setsid $query --state s --input one.csv
check "no secret was made" [ ! -e s/secret.key ]
echo "correct horse" >passphrase
check "first use: keys, upload, score" run 0 $query --state s --input one.csv --passphrase-file passphrase
check "it prints a score" says "^1: logit"
cp out first
check "second use is silent but for the score" run 0 $query --state s --input one.csv --passphrase-file passphrase
check "one line" [ "$(wc -l <out)" = 1 ]
echo wrong >wrong
check "a wrong passphrase is refused" run 6 $query --state s --input one.csv --passphrase-file wrong
check "none comes from the environment" run 2 env HELRM_PASSPHRASE="correct horse" setsid $query --state s --input one.csv
check "a batch" run 0 $query --state s --passphrase-file passphrase --input records.csv --batch --json
cp out batch.json
check "of all records" [ "$(tr '{' '\n' <batch.json | grep -c '"logit"')" = 12 ]
# the scores are the model's: compared digit by digit up to 1e-3
tr '{' '\n' <batch.json | sed -n 's/.*"row":\([0-9]*\),"logit":\([-0-9.e]*\),.*/\1 \2/p' >encrypted
"$helrm" predict --model heart --input records.csv | sed -n 's/^\([0-9][0-9]*\)  *\([-+0-9.]*\)  *[0-9.]*$/\1 \2/p' >clear
check "twelve to compare" [ "$(wc -l <clear)" = 12 ]
check "encrypted scores are the clear ones" sh -c 'join encrypted clear | awk "{ d = \$2 - \$3; if (d > 1e-3 || d < -1e-3) bad = 1 } END { exit bad || NR != 12 }"'
nm "$library" | grep -q __asan && sanitized=1 || sanitized=
if [ "$sanitized" ]; then
	echo "the client's memory and its library's size: not judged with sanitizers in it"
else
	check "client memory stays under 100 MB" sh -c 'rss=$(sed "s/.*\"peak_rss_bytes\":\([0-9]*\).*/\1/" batch.json); [ "$rss" -lt 100000000 ]'
fi
requests() { grep -c '"route":"/v1/models/{name}/queries"' log; }
before=$(requests)
check "the same from a model that takes eight at once" run 0 "$helrm" query --passphrase-file passphrase \
	--server "$url" --model batch --state s --input records.csv --batch --json
tr '{' '\n' <out | sed -n 's/.*"row":\([0-9]*\),"logit":\([-0-9.e]*\),.*/\1 \2/p' >encrypted
check "their scores are the clear ones" sh -c 'join encrypted clear | awk "{ d = \$2 - \$3; if (d > 1e-3 || d < -1e-3) bad = 1 } END { exit bad || NR != 12 }"'
check "in two queries" [ $(($(requests) - before)) = 2 ]
check "one record of them" run 0 "$helrm" query --server "$url" --model batch --passphrase-file passphrase \
	--state s --input records.csv --row 3
check "is that record's" says "^3: logit"
sed '1s/^\([^,]*,[^,]*,[^,]*,[^,]*\),[^,]*/\1,9999/' one.csv >far.csv
check "a number beyond the model's" run 0 $query --state s --passphrase-file passphrase --input far.csv
check "is cut, and no precision is claimed" grep -q "beyond what its precision is known for" out
check "several records need a choice" run 2 $query --state s --passphrase-file passphrase --input records.csv
check "a wrong pin is refused" run 5 $query --state s --passphrase-file passphrase --input one.csv --pin "$(printf %064d 0)"
check "an unknown model" run 2 "$helrm" query --passphrase-file passphrase --server "$url" --model nope --state s --input one.csv
check "nobody listens there" run 7 "$helrm" query --passphrase-file passphrase --server http://127.0.0.1:1 --model heart --state s --input one.csv --patience 1
check "in the clear only when asked" run 0 $query --state t --input one.csv --no-passphrase
check "and said" says "NOT encrypted"
check "the secret is for its owner" [ "$(stat -c %a t/secret.key)" = 600 ]
sessions() { grep -c '"route":"/v1/sessions"' log; }
before=$(sessions)
check "a changed model is not accepted silently" sh -c "'$helrm' compile --model heart --name other --out models/heart >/dev/null && kill -HUP $pid && sleep 1"
check "but refused" run 5 $query --state t --input one.csv
check "with what to do" says "changed on the server since it was accepted.*--accept-manifest"
check "until accepted" run 0 $query --state t --input one.csv --accept-manifest
check "without a new upload" [ "$(sessions)" = "$before" ]
# other keys: the session's do not cover them, the server says so, and so does the command
check "a model whose keys changed" sh -c "'$helrm' compile --model heart --optimize keys --out models/heart >/dev/null && kill -HUP $pid && sleep 1"
check "is refused" run 5 $query --state t --input one.csv
check "with the same advice" says "--accept-manifest"
check "until it is accepted" run 0 $query --state t --input one.csv --accept-manifest
check "a name that is a path" run 2 "$helrm" query --server "$url" --model ../heart --state t --input one.csv
check "no HOME, no secret in the working directory" run 2 env -u HOME -u XDG_STATE_HOME $query --input one.csv --no-passphrase
check "none was made" [ ! -e .local ]
mkdir shared && chmod 750 shared
check "a state directory that exists" run 0 $query --state shared --input one.csv --no-passphrase
check "keeps its mode" [ "$(stat -c %a shared)" = 750 ]
check "what query makes in it is its owner's" [ "$(stat -c %a shared/servers shared/secret.key | tr '\n' ' ')" = "700 600 " ]
chmod 666 t/secret.key
check "a secret that others can read" run 0 $query --state t --input one.csv
check "is warned of" says "warning: t/secret.key can be read or written by others (mode 666)"
check "forgetting" run 0 $query --state t --forget
check "and coming back" run 0 $query --state t --input one.csv
check "the example program" run 0 "$predict" "$url" heart one.csv
check "gives a probability" says "^probability 0\."
check "the example has under 70 lines" [ "$(wc -l <"$root/examples/predict.c")" -lt 70 ]

strip -o stripped "$library"
[ "$sanitized" ] || check "the client library has at most 500 kB" [ "$(wc -c <stripped)" -le 500000 ]
check "and exports what its header declares" sh -c "nm -D --defined-only stripped | sed -n 's/.* T \([a-z_]*\).*/\1/p' | sort >exports
	sed -n 's/.*\(hel_[a-z_]*\)(.*/\1/p' '$root/include/helrm/client.h' | grep -v hel_remote | sort -u >declared
	comm -23 declared exports | { ! grep -v 'hel_error_detail\|hel_fail'; }"
check "the log holds no token and no payload" sh -c "! grep -qi 'bearer' log && ! tr -d '\"' <log | grep -qE '[0-9a-f]{96}'"
check "every line of the log is an object" sh -c "! grep -v '^{.*}$' log"

kill "$pid"
wait "$pid"
check "the server ends in order" [ $? = 0 ]
pid=
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
