# steps.sh -- read by scripts that go step by step through what a user does, in a directory of their
# own, with the server they may start in $pid. A line per check, and totals in $passed and $failed.
# shellcheck shell=sh disable=SC2034
work=$(mktemp -d) || exit 2
pid=
trap '[ -z "$pid" ] || kill "$pid" 2>/dev/null; rm -rf "$work"' EXIT
cd "$work" || exit 2
passed=0 failed=0
check() { # NAME COMMAND ...
	name=$1
	shift
	if "$@"; then
		passed=$((passed + 1)) && echo "ok $name"
	else
		failed=$((failed + 1)) && echo "FAIL $name: $(cat out err 2>/dev/null)"
	fi
}
run() { # EXIT_STATUS COMMAND ...: stdout in out, stderr in err
	expected=$1
	shift
	"$@" >out 2>err </dev/null
	code=$?
	[ "$code" = "$expected" ] || { echo "exit $code, expected $expected: $(cat err)" >err2 && mv err2 err && return 1; }
}
says() { grep -q -e "$1" out err; }
serve() { # SERVER CONFIG: starts it, logging into log; its port in $port
	"$1" serve --config "$2" 2>log &
	pid=$!
	port=
	for _ in $(seq 200); do
		port=$(sed -n 's/.*"listening".*"port":\([0-9]*\).*/\1/p' log)
		[ -z "$port" ] || break
		sleep 0.05
	done
	[ -n "$port" ] || { cat log; exit 1; }
}
