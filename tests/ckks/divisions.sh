#!/bin/sh
# divisions.sh BUILD: no division instruction where secrets are computed with. Their time depends on
# the operands, which valgrind does not see.
set -eu
build=$1
passed=0 failed=0
if ! command -v objdump >/dev/null; then
	echo "SKIPPED, NOT TESTED: no objdump"
	exit 77
fi
look() { # NAME OBJECT FUNCTION [EXCEPT]: patterns over whole names
	code=$(objdump -d --no-show-raw-insn "$build/$2" | awk -v want="^<($3)>:\$" -v not="^<(${4:-})>:\$" \
		'/^[0-9a-f]+ <.*>:$/ { on = $2 ~ want && $2 !~ not } on')
	if [ -z "$code" ]; then
		echo "FAIL $1: no function '$3' in $2"
	elif printf '%s\n' "$code" | grep -E '\s(v?div[sp][sd]|i?div[lqwb]?|udiv|sdiv|fdiv)\s'; then
		echo "FAIL $1: divides"
	else
		echo "ok $1"
		passed=$((passed + 1))
		return
	fi
	failed=$((failed + 1))
}
secret=src/ckks/libhel_ckks_secret.a.p
# The inverse transform divides lengths and prepares a factor, both public; vectors have no integer division.
for backend in "$build"/src/arith/libhel_arith_*.a.p/*.o; do
	case $backend in
	*scalar*) look "kernels, $(basename "$backend")" "${backend#"$build"/}" '.*' ;;
	*) look "kernels, $(basename "$backend")" "${backend#"$build"/}" '.*' ntt_inverse ;;
	esac
done
look "sampling" src/ring/libhel_ring.a.p/sample.c.o '.*'
look "FFT of what was decrypted" src/ckks/libhel_ckks.a.p/encoder.c.o 'hel_embed'
look "encryption with the secret key" $secret/secret.c.o 'hel_encrypt_seeded'
look "encryption under the public key" src/ckks/libhel_ckks_public.a.p/public.c.o 'hel_encrypt_public'
look "decryption" $secret/decrypt.c.o 'centre.*'
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
