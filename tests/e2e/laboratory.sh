#!/bin/sh
# laboratory.sh HELRM_BINARY HELRM_SERVER_BINARY [HEART_DATA_FILE]
# lookup-bench, and the symbols of both binaries.
. "$(dirname "$0")/lib.sh"

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

finish
