#!/bin/sh
# damage.sh HELRM_BINARY HELRM_SERVER_BINARY [HEART_DATA_FILE]
# Damaged and forged files in the place of every file argument.
. "$(dirname "$0")/lib.sh"
need default deep digits

section "bad files"
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
neither config nor graph|s/"config"/"confug"/; s/"graph"/"grape"/
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
{"activation":{"kind":"cosine"}}
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

section "forged files"
forged() { # KIND OFFSET ...
	forged_kind=$1
	shift
	for offset in "$@"; do
		for mask in 1 128; do
			rm -f forged && cp "$(file_of $forged_kind)" forged # a secret key stays closed
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

finish
