#!/bin/sh
# install.sh BUILD SOURCE: installs into a directory of its own; there, the library exports its API
# and nothing else, every public header compiles alone in C and in C++, and the examples compile and
# run by pkg-config alone.
set -eu
LC_ALL=C
export LC_ALL
build=$1 source=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
passed=0 failed=0
try() { # NAME COMMAND ...
	name=$1
	shift
	if "$@" >"$work/log" 2>&1; then
		echo "ok $name"
		passed=$((passed + 1))
	else
		echo "FAIL $name"
		sed 's/^/    /' "$work/log"
		failed=$((failed + 1))
	fi
}

DESTDIR=$work/root meson install -C "$build" --no-rebuild --quiet
pc=$(find "$work/root" -name helrm.pc)
lib=$(dirname "$(dirname "$pc")")
prefix=$(sed -n 's/^prefix=//p' "$pc")
include=$work/root$prefix/include
PKG_CONFIG_PATH=$(dirname "$pc") PKG_CONFIG_SYSROOT_DIR=$work/root LD_LIBRARY_PATH=$lib
export PKG_CONFIG_PATH PKG_CONFIG_SYSROOT_DIR LD_LIBRARY_PATH

exported() { # LIBRARY: hel_fail is for the libraries themselves, which share it
	nm -D --defined-only "$lib/lib$1.so" | sed -n 's/^.* T \(hel_[^@]*\).*/\1/p' | grep -v '^hel_fail$' | sort
}
declared() { # HEADERS: the calls that they promise
	(cd "$include/helrm" && for header in "$@"; do cc -fpreprocessed -dD -E -P "$header"; done) |
		sed -n 's/^.*[ *]\(hel_[a-z_0-9]*\)(.*$/\1/p' | sort -u
}
# What programs were compiled against: every declaration, a line each. Who changes one that was
# released breaks them; who adds one says so: tests/install/declarations.txt.
declarations() {
	(cd "$include" && for header in helrm/*.h; do echo "#include <$header>"; done) |
		cc -E -I"$include" - |
		awk '/^# [0-9]/ { ours = $3 ~ /\/helrm\/[a-z]*\.h"$/; next } ours' |
		sed 's/__attribute__((visibility("default")))//g; s/__attribute__((warn_unused_result))//g' |
		tr -s '\n\t ' ' ' |
		awk 'BEGIN { RS = ";" } { open += gsub(/{/, "{") - gsub(/}/, "}"); line = line $0 ";"
			if (!open) { sub(/^ /, "", line); print line; line = "" } }' |
		sed '/^;$/d; /^ *;/d' | LC_ALL=C sort -u
}
as_declared() {
	declarations | diff "$source/tests/install/declarations.txt" -
}
client_agrees() {
	{ exported helrm-client; exported helrm-transport; } | sort -u >"$work/exported"
	declared status.h secret.h prediction.h ranking.h access.h remote.h | comm -3 - "$work/exported" | { ! grep .; }
}
agree() { # LIBRARY HEADERS: each lists what the other has
	exported "$1" >"$work/exported"
	shift
	declared status.h pool.h "$@" | comm -3 - "$work/exported" | { ! grep .; }
}
no_secrets() { # the server's library has nothing that decrypts, or makes keys
	nm "$lib/libhelrm-server.so" | grep -E 'hel_secret_key|hel_encrypt|hel_decrypt|hel_keys_generate' | { ! grep .; }
}
try "headers declare what declarations.txt lists" as_declared
try "headers of libhelrm declare what is exported" agree helrm params.h keys.h ciphertext.h eval.h rotate.h refresh.h
try "headers of the client declare what is exported" client_agrees
try "headers of the owner declare what is exported" agree helrm-owner owner.h
try "headers of the server declare what is exported" agree helrm-server server.h
try "libhelrm-server has no secret-key code" no_secrets
try "the version" pkg-config --exact-version="$("$work/root$prefix/bin/helrm" --version)" helrm

strict="-Wall -Wextra -Wpedantic -Werror -fsyntax-only"
for header in "$include"/helrm/*.h; do
	file=$(basename "$header")
	printf "#include <helrm/%s>\nextern int not_empty;\n" "$file" >"$work/alone.c"
	try "$file alone, C" cc -std=c11 $strict "-I$include" "$work/alone.c"
	if command -v c++ >/dev/null; then
		try "$file alone, C++" c++ -x c++ -std=c++11 $strict "-I$include" "$work/alone.c"
	else
		echo "SKIPPED, NOT TESTED: $file in C++: no compiler"
	fi
done
for example in add matrix logistic refresh; do
	try "example $example compiles" cc -std=c11 -Wall -Wextra -Werror -O1 -o "$work/$example" \
		"$source/examples/$example.c" $(pkg-config --cflags --libs helrm) -lm
	try "example $example runs" "$work/$example"
done
for example in "predict helrm-transport" "rank helrm-client helrm-server"; do # these need a server, or a model
	name=${example%% *}
	# shellcheck disable=SC2046,SC2086
	try "example $name compiles" cc -std=c11 -Wall -Wextra -Werror -O1 -o "$work/$name" "$source/examples/$name.c" \
		$(pkg-config --cflags --libs ${example#* })
done
# whichever comes first, both tell their failures to the one hel_error_detail
for libraries in "helrm helrm-client" "helrm-client helrm"; do
	# shellcheck disable=SC2046,SC2086
	try "one detail of $libraries: compiles" cc -std=c11 -Wall -Wextra -Werror -o "$work/both" \
		"$source/tests/install/both.c" $(pkg-config --cflags $libraries) -L"$lib" -Wl,--no-as-needed \
		$(for l in $libraries; do echo "-l$l"; done)
	try "one detail of $libraries" "$work/both"
done
try "helrm is installed" "$work/root$prefix/bin/helrm" --help
try "helrm-server is installed" "$work/root$prefix/bin/helrm-server" --help

# every command has a manual page that knows each of its options, and so has the shell
documented() { # PROGRAM
	"$work/root$prefix/bin/$1" --help | sed -n 's/^  \([a-z][a-z-]*\( plan\)\{0,1\}\)  .*/\1/p' | while read -r command; do
		page=$work/root$prefix/share/man/man1/$1-$(echo "$command" | tr ' ' '-').1
		# shellcheck disable=SC2086
		"$work/root$prefix/bin/$1" $command --help | sed -n 's/^  \(--[a-z-]*\).*/\1/p' | while read -r option; do
			tr -d '\\' <"$page" | grep -q "^fB${option}fR" || echo "$page: $option"
			grep -q "^.'$command'.* $option[ \"]" "$work/root$prefix/share/bash-completion/completions/$1.bash" || echo "completion: $command $option"
		done
	done | { ! grep .; }
}
try "manual pages and completion know every option of helrm" documented helrm
try "manual pages and completion know every option of helrm-server" documented helrm-server
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
