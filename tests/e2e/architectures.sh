#!/bin/sh
# Every architecture trained, saved, scored by helrm, and by PyTorch as its paper defines it (not by the graph in
# model.json): architectures.sh HELRM. Skipped, loudly, where no Python has torch.
set -eu
case $1 in /*) helrm=$1 ;; *) helrm=$PWD/$1 ;; esac
for python in python3 /usr/bin/python3 none; do
	[ "$python" = none ] || ! "$python" -c 'import torch' 2>/dev/null || break
done
if [ "$python" = none ]; then
	echo "### NO PYTHON WITH TORCH (Debian: python3-torch): architectures are NOT TESTED against it"
	exit 77
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
"$helrm" synth --rows 400 --seed 5 --out rows.csv >/dev/null
cat >score.py <<'PY'
"""score.py MODEL: logits of rows.csv by torch, from weights.safetensors and the config alone."""
import json, struct, sys, torch

torch.set_default_dtype(torch.float64)
directory = sys.argv[1]
model = json.load(open(directory + "/model.json"))
c, schema = model["config"], model["schema"]
with open(directory + "/weights.safetensors", "rb") as f:
    size = struct.unpack("<Q", f.read(8))[0]
    header, data = json.loads(f.read(size)), bytearray(f.read())
w = {}
for name, t in header.items():
    if name != "__metadata__":
        begin, end = t["data_offsets"]
        w[name] = torch.frombuffer(data[begin:end], dtype=torch.float32).double().reshape(t["shape"])

names = "age sex cp trestbps chol fbs restecg thalach exang oldpeak slope ca thal num".split()
zero_is_missing = {"trestbps", "chol", "thalach"}
rows = [dict(zip(names, line.strip().split(","))) for line in open("rows.csv")]


def number(cell):
    return None if cell == "?" else float(cell)


def standardised(field, cell):
    v = number(cell)
    if v is None or (v == 0 and field["name"] in zero_is_missing):
        v = field["mean"]
    return max(-schema["clip"], min(schema["clip"], (v - field["mean"]) / field["deviation"]))


dense = torch.tensor([[standardised(f, r[f["name"]]) for f in schema["dense"]] for r in rows])
index = [torch.tensor([0 if r[t["name"]] == "?" else 1 + [float(v) for v in t["values"]].index(float(r[t["name"]]))
                       for r in rows]) for t in schema["tables"]]


def act(x):
    a = c["activation"]
    return {"relu": lambda: torch.relu(x), "square": lambda: x * x, "gelu": lambda: torch.nn.functional.gelu(x),
            "sigmoid": lambda: torch.sigmoid(x), "silu": lambda: torch.nn.functional.silu(x),
            "quadratic": lambda: a["a"] * x * x + a["b"] * x}[a["kind"]]()


def layer(name, x):
    y = x @ w[name + ".weight"].T
    return y + w[name + ".bias"].reshape(-1) if name + ".bias" in w else y


def tower(name, x, layers, last=False):
    for i in range(layers):
        x = layer("%s.%d" % (name, 2 * i), x)
        if last or i + 1 < layers:
            x = act(x)
    return x


def rows_of(prefix):
    return [w["%s.%d.weight" % (prefix, t)][i] for t, i in enumerate(index)]


def bottom():
    return tower("bot_l", dense, len(c["bottom"]), c["bottom_last_activation"])


def top(x):
    return tower("top_l", x, len(c["top"]))


def wide():
    return layer("wide.dense", dense) + sum(rows_of("wide"))


def all_pairs(vectors):
    """The definition: sum over i < j of <v_i, v_j>."""
    total = torch.zeros(len(rows), 1)
    for i in range(len(vectors)):
        for j in range(i):
            total = total + (vectors[i] * vectors[j]).sum(1, keepdim=True)
    return total


def dlrm():
    x, vectors = bottom(), rows_of("emb_l")
    if c["interaction"] == "cat":
        return top(torch.cat([x] + vectors, 1))
    t = torch.stack([x] + vectors, 1)
    gram = torch.bmm(t, t.transpose(1, 2))
    offset = 1 if c["interaction_self"] else 0  # facebookresearch/dlrm, interact_features
    n = t.shape[1]
    li = [i for i in range(n) for j in range(i + offset)]
    lj = [j for i in range(n) for j in range(i + offset)]
    return top(torch.cat([x, gram[:, li, lj]], 1))


def dcn():
    x0 = x = torch.cat([bottom()] + rows_of("emb_l"), 1)
    for i in range(c["cross_layers"]):
        y = layer("cross.%d.U" % i, layer("cross.%d.V" % i, x)) if c["cross_rank"] else layer("cross.%d.W" % i, x)
        x = x0 * y + x
    if c["cross"] == "stacked":
        return top(x)
    return layer("logit", torch.cat([x, tower("top_l", x0, len(c["top"]) - 1, True)], 1))


def fm_vectors():
    return [layer("emb_dense", dense)] + rows_of("emb_l")


def fm():
    return wide() + all_pairs(fm_vectors())


def deepfm():
    return fm() + top(torch.cat(fm_vectors(), 1))


def wide_deep():
    return wide() + top(torch.cat([bottom()] + rows_of("emb_l"), 1))


def two_tower():
    items, vectors = c["item_columns"], rows_of("emb_l")
    is_item = [t["name"] in items if items else k >= len(vectors) // 2 for k, t in enumerate(schema["tables"])]
    user = torch.cat([bottom()] + [v for v, item in zip(vectors, is_item) if not item], 1)
    item = torch.cat([v for v, item in zip(vectors, is_item) if item], 1)
    layers = len(c["top"]) - 1
    return layer("logit", (tower("user", user, layers) * tower("item", item, layers)).sum(1, keepdim=True))


def mlp():
    return top(torch.cat([dense] + rows_of("emb_l"), 1))


def foreign():
    """A network of nobody's: make.py."""
    t = {f["name"]: w[f["name"] + "_v.weight"][i] for f, i in zip(schema["tables"], index) if f["name"] in ("thal", "cp")}
    p = layer("p", dense)
    v = [p, t["thal"], t["cp"]]
    pairs = torch.cat([(v[i] * v[j]).sum(1, keepdim=True) for i in range(3) for j in range(i, 3)], 1)
    return layer("z", torch.nn.functional.silu(torch.cat([0.25 * pairs, p * t["thal"] + t["cp"]], 1)))


logit = {"graph": foreign, "dlrm": dlrm, "dcn": dcn, "fm": fm, "deepfm": deepfm, "wide-deep": wide_deep, "two-tower": two_tower,
         "mlp": mlp}[c["architecture"]]()
found = [p["logit"] for p in json.load(open("found.json"))["predictions"]]
assert len(found) == len(rows)
worst = max(abs(a - b) / max(1, abs(a)) for a, b in zip(logit.reshape(-1).tolist(), found))
print("%-10s largest difference %.2g, logits from %.2f to %.2f" % (c["architecture"], worst, min(found), max(found)))
assert worst < 1e-5 and max(found) - min(found) > 0.1
PY
cat >make.py <<'PY'
"""make.py FROM TO: a model directory written by hand, with the schema of another one."""
import json, os, random, struct, sys

random.seed(3)
schema = json.load(open(sys.argv[1] + "/model.json"))["schema"]
rows = {t["name"]: len(t["values"]) + 1 for t in schema["tables"]}


def node(name, kind, inputs=(), **more):
    return dict(name=name, kind=kind, inputs=list(inputs), **more)


graph = [node("d", "dense"), node("thal_v", "embed", table="thal", width=3), node("cp_v", "embed", table="cp", width=3),
         node("p", "linear", ["d"], width=3, bias=False),
         node("pairs", "dot", ["p", "thal_v", "cp_v"], self=True, order="upper"),
         node("quarter", "scale", ["pairs"], factor=0.25), node("product", "multiply", ["p", "thal_v"]),
         node("sum", "add", ["product", "cp_v"]), node("all", "concat", ["quarter", "sum"]),
         node("act", "activation", ["all"], activation={"kind": "silu"}), node("z", "linear", ["act"], width=1)]
shapes = {"thal_v.weight": [rows["thal"], 3], "cp_v.weight": [rows["cp"], 3], "p.weight": [3, len(schema["dense"])],
          "z.weight": [1, 9], "z.bias": [1]}
header, data = {}, b""
for name, shape in shapes.items():
    count = shape[0] * (shape[1] if len(shape) > 1 else 1)
    floats = struct.pack("<%df" % count, *(random.gauss(0, 0.7) for _ in range(count)))
    header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [len(data), len(data) + len(floats)]}
    data += floats
text = json.dumps(header).encode()
os.mkdir(sys.argv[2])
open(sys.argv[2] + "/weights.safetensors", "wb").write(struct.pack("<Q", len(text)) + text + data)
json.dump({"helrm_model": 1, "config": {"architecture": "graph"}, "graph": graph, "schema": schema},
          open(sys.argv[2] + "/model.json", "w"))
PY
training='"training": {"epochs": 20, "weight_decay": 0.1}'
compared=0
try() { # NAME CONFIG
	printf '{%s %s}' "$2" "$training" >config.json
	"$helrm" train --data rows.csv --config config.json --architecture "$1" --out model >/dev/null 2>&1
	"$helrm" predict --model model --input rows.csv --json >found.json
	"$python" score.py model
	compared=$((compared + 1))
}
quadratic='"activation": {"kind": "quadratic", "a": 0.1, "b": 0.5},'
try dlrm ''
try dlrm '"interaction": "dot", "bottom": [6, 4],'
try dlrm '"interaction": "dot", "interaction_self": true, "activation": {"kind": "relu"}, "bottom_last_activation": true,'
try dcn "$quadratic"' "cross_layers": 1, "bottom": [],'
try dcn '"cross_layers": 3, "cross_rank": 5, "activation": {"kind": "gelu"},'
try dcn '"cross_layers": 2, "cross": "parallel", "top": [16, 8, 1],'
try fm ''
try deepfm '"embedding_dim": 3, "activation": {"kind": "silu"},'
try wide-deep "$quadratic"
try two-tower ''
try two-tower '"item_columns": ["cp", "thal", "ca"], "top": [12, 5, 1],'
try mlp '"top": [12, 6, 1],'
"$python" make.py model foreign
"$helrm" predict --model foreign --input rows.csv --json >found.json
"$python" score.py foreign
if "$helrm" compile --model foreign --out program 2>refused; then
	echo "a silu of products was compiled"
	exit 1
fi
grep -q "layer act: silu cannot be evaluated" refused
compared=$((compared + 1))
# one cross layer, encrypted
printf '{"top": [1], "bottom": [], %s}' "$training" >config.json
"$helrm" train --data rows.csv --config config.json --architecture dcn --out model >/dev/null 2>&1
"$helrm" compile --model model --out program >/dev/null 2>&1
"$helrm" verify --model model --compiled program --data rows.csv --rows 20 --json >verified.json
"$python" -c "
import json
v = json.load(open('verified.json'))
print('dcn encrypted: %.1f bits, %d decisions differ' % (v['bits'], v['decisions_differ']))
assert v['bits'] >= 12 and v['decisions_differ'] == 0"
echo "$compared networks scored by both"
