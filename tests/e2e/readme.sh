#!/bin/sh
# readme.sh BUILD SOURCE
#
# Runs README.md's "Score your own model" as it stands there, in an empty directory, and compares the
# score that came over the network with the one in the clear. Then looks for every command and option in
# docs/commands.md, in the paragraph of its command.
set -eu
build=$(realpath "$1") source=$(realpath "$2")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
ln -s "$build" build
sed -n '/^## Score your own model/,/^## Results/p' "$source/README.md" | sed -n '/^```sh/,/^```/p' |
	sed '/^```/d' >block
lines=$(grep -c . block)
[ "$lines" -ge 8 ] && [ "$lines" -le 12 ] || { echo "FAIL: $lines lines of commands in README.md"; exit 1; }
# a port of our own: other tests run beside this one
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
sed -i "s/8443/$port/" block

sh -eu block >out 2>err || { cat out err; exit 1; }
sent=$(sed -n 's/^1: logit *\([-+0-9.]*\).*/\1/p' out)
clear=$(sed -n 's/^1  *\([-+0-9.]*\)  *[0-9.]*$/\1/p' out)
echo "over the network $sent, in the clear $clear"
awk -v a="$sent" -v b="$clear" 'BEGIN { exit !(a != "" && b != "" && a - b < 1e-3 && b - a < 1e-3) }' ||
	{ cat out err; exit 1; }

helrm=$build/src/cli/helrm
missing=
"$helrm" --help | sed -n 's/^  \([a-z][a-z -]*[a-z]\) *[A-Z].*/\1/p' >commands
[ -s commands ]
while read -r command; do
	# shellcheck disable=SC2086
	options=$("$helrm" $command --help | sed '/^$/q' | grep -o -e '--[a-z][a-z-]*' | sort -u)
	sed -n "/^- \`$command\`: /,/^- \`/{ /^- \`$command\`: /p; /^- \`/!p; }" "$source/docs/commands.md" >described
	[ -s described ] || missing="$missing $command"
	for option in $options; do
		grep -q -e "$option[\` ]" described || missing="$missing $command $option"
	done
done <commands
[ -z "$missing" ] || { echo "FAIL: docs/commands.md does not say:$missing"; exit 1; }
echo "docs/commands.md names all $(grep -c . commands) commands"
