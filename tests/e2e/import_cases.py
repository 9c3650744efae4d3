"""Checkpoints of every form with random weights and odd shapes: import_cases.py HELRM. Each is imported and
scored by helrm, and by PyTorch in double precision; then what must be refused, and how it is said."""
import io, json, math, os, pickle, random, struct, subprocess, sys, zipfile
import torch
from torch import nn
from import_models import DLRM, DeepCTR, Polynomial, PytorchFM, TorchRecDLRM, sequential, settle

helrm = sys.argv[1]
torch.set_num_threads(1)
rows = [line.rstrip("\n").split("\t") for line in open("rows.txt")]
vocabulary = [[""] + sorted({r[14 + t] for r in rows} - {""}, reverse=True) + [None] for t in range(26)]
number = [{v: i for i, v in enumerate(vs)} for vs in vocabulary]
dense = torch.tensor([[math.log1p(max(int(x or 0), 0)) for x in r[1:14]] for r in rows], dtype=torch.float32)
ids = torch.tensor([[number[t][r[14 + t]] for t in range(26)] for r in rows])
sizes = [len(v) for v in vocabulary]
names = ["C%d" % (i + 1) for i in range(26)]
numbered = ["cat_%d" % i for i in range(26)]
schema = {"dataset": "criteo", "clip": 15,
          "dense": [{"name": "I%d" % (i + 1), "mean": 0, "deviation": 1} for i in range(13)],
          "tables": [{"name": n, "values": v} for n, v in zip(names, vocabulary)]}
json.dump(schema, open("schema.json", "w"))
TYPES = {torch.float64: "F64", torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16", torch.int64: "I64"}


def safetensors(state, path, order=lambda names: names):
    header, parts, at = {}, [], 0
    for name in order(list(state)):
        t = state[name].detach().contiguous()
        data = (t.view(torch.int16) if t.dtype == torch.bfloat16 else t).numpy().tobytes()
        header[name] = {"dtype": TYPES[t.dtype], "shape": list(t.shape), "data_offsets": [at, at + len(data)]}
        parts.append(data)
        at += len(data)
    text = json.dumps(header).encode()
    open(path, "wb").write(len(text).to_bytes(8, "little") + text + b"".join(parts))


def run(config, weights, options=("--schema", "schema.json")):
    """With what names do not tell of facebookresearch/dlrm, unless a case is about that."""
    if b"bot_l" in open(weights, "rb").read() and config != ASK:
        config = {"bottom_last_activation": True, **(config or {})} if type(config) in (dict, type(None)) else config
    json.dump(config, open("config.json", "w"))
    command = [helrm, "import", "--weights", weights, *options, "--out", "model"]
    return subprocess.run(command + (["--config", "config.json"] if config is not None else []),
                          capture_output=True, text=True)


ASK = {}  # a configuration that says nothing
cases = failures = 0
worst = 0.0


def fail(what, said):
    global failures
    failures += 1
    print("FAILED: %s: %s" % (what, said.strip()))


def scores(records):
    p = subprocess.run([helrm, "predict", "--model", "model", "--input", records, "--json"],
                       capture_output=True, text=True)
    if p.returncode:
        fail("predict", p.stderr)
    return [x["logit"] for x in json.loads(p.stdout)["predictions"]]


def same(what, config, weights, expected, says=None, options=("--schema", "schema.json"), records="rows.txt"):
    """Imported, it scores as expected."""
    global cases, worst
    cases += 1
    p = run(config, weights, options)
    if p.returncode:
        return fail(what, p.stderr)
    if says and says not in p.stdout:
        return fail(what, "does not say '%s': %s" % (says, p.stdout))
    spread = (max(expected) - min(expected)) / 2
    apart = max(abs(a - b) / max(abs(b), spread) for a, b in zip(scores(records), expected))
    worst = max(worst, apart)
    if not apart < 1e-5 or not spread > 1e-4:
        fail(what, "apart by %.3g, relative; logits spread by %.3g" % (apart, 2 * spread))


def logits(model):
    with torch.no_grad():
        expected = model.double()(dense.double(), ids).tolist()
    model.float()
    return expected


def check(what, model, config=None, says=None):
    """Both containers in turn."""
    expected = logits(settle(model))
    if cases % 2:
        torch.save({"epoch": 3, "state_dict": model.state_dict()}, "w.pt")
    else:
        safetensors(model.state_dict(), "w.pt")
    same(what, config, "w.pt", expected, says)


def refuse(what, state, config, *words, options=("--schema", "schema.json")):
    """Refused by one line that has these words."""
    global cases
    cases += 1
    safetensors(state, "w.pt")
    p = run(config, "w.pt", options)
    if p.returncode == 0 or p.stderr.count("\n") != 1 or not all(w in p.stderr for w in words):
        fail(what, "rc %d, %s" % (p.returncode, p.stderr or p.stdout))


torch.manual_seed(1)
# --- facebookresearch/dlrm
for dim in (1, 3, 64, 128):
    check("cat, %d" % dim, DLRM(sizes, dim, [13, 7, dim], [11, 1], "cat"))
    check("dot, %d" % dim, DLRM(sizes, dim, [13, 7, dim], [11, 1], "dot"))
    check("dot with itself, %d" % dim, DLRM(sizes, dim, [13, dim], [5, 3, 1], "dot", True))
check("no layers above", DLRM(sizes, 4, [13, 4], [1], "dot"))
check("another bottom width", DLRM(sizes, 4, [13, 9, 5], [300, 77, 1], "cat"))
check("cat of 26 tables of 13.5", DLRM(sizes, 13, [13, 13], [4, 1], "cat"))
for op in ("mult", "add"):
    check("QR " + op, DLRM(sizes, 6, [13, 6], [5, 1], "dot", qr=op), {"qr_operation": op})
check("QR concat", DLRM(sizes, 3, [13, 6], [5, 1], "dot", qr="concat"), says="quotient-remainder tables: 26")
check("QR concat, cat", DLRM(sizes, 3, [13, 5], [5, 1], "cat", qr="concat"))
check("QR mult, weighted", DLRM(sizes, 6, [13, 6], [5, 1], "cat", qr="mult", pooling=True), {"qr_operation": "mult"})
check("mixed dimensions", DLRM(sizes, 8, [13, 8], [5, 1], "dot", md=3), says="multiplied out")
check("mixed, weighted", DLRM(sizes, 8, [13, 8], [5, 1], "cat", md=1, pooling=True))
check("weighted pooling", DLRM(sizes, 5, [13, 5], [5, 1], "dot", pooling=True), says="weighted pooling: 26")
check("no biases", DLRM(sizes, 5, [13, 5], [5, 1], "dot", bias=False), says="no bias: 0")
check("BatchNorm", DLRM(sizes, 5, [13, 9, 5], [5, 1], "dot", norm=True), says="folded into a layer: 2")
check("BatchNorm, eps", DLRM(sizes, 5, [13, 5], [5, 1], "cat", norm=True), {"batchnorm_eps": 1e-5})
check("dropout", DLRM(sizes, 5, [13, 9, 5], [5, 1], "cat", norm=True, dropout=True))
check("PReLU", DLRM(sizes, 5, [13, 9, 5], [5, 1], "dot", act=nn.PReLU), says="PReLU")
m = settle(DLRM(sizes, 5, [13, 5], [5, 1], "dot"))
refuse("whether the bottom ends linear", m.state_dict(), ASK, "bot_l.0", "bottom_last_activation", "true", "false")
torch.save({"nbatches_test": 1, "opt_state_dict": {}, "state_dict": m.state_dict()}, "w.pt")
same("a file of dlrm_s_pytorch.py", ASK, "w.pt", logits(m), "as dlrm_s_pytorch.py has it")
check("bottom ends linear", DLRM(sizes, 5, [13, 5], [5, 1], "dot", bottom_last=False), {"bottom_last_activation": False})
m = DLRM(sizes, 4, [13, 8, 4], [5, 1], "dot")
m.bot_l = nn.Sequential(nn.Linear(13, 8), nn.Linear(8, 4), nn.ReLU())
check("two layers in a row", m, says="multiplied out")
m = DLRM(sizes, 4, [13, 8, 4], [5, 1], "dot")
m.bot_l = nn.Sequential(nn.BatchNorm1d(13), nn.Linear(13, 8), nn.ReLU(), nn.BatchNorm1d(8), nn.Linear(8, 4), nn.ReLU())
check("BatchNorm before layers", m, says="folded into a layer: 2")
m = DLRM(sizes, 4, [13, 8, 4], [5, 1], "dot")
m.bot_l = nn.Sequential(nn.Linear(13, 8), nn.ReLU(), nn.BatchNorm1d(8), nn.Dropout(0.1), nn.Linear(8, 4), nn.Dropout(0.1), nn.Linear(4, 4), nn.Tanh())
check("layers that are listed", m, {"layers": {"bot_l": ["Linear", "ReLU", "BatchNorm1d", "Dropout", "Linear", "Dropout", "Linear", "Tanh"],
                                               "top_l": ["Linear", "ReLU", "Linear", "Sigmoid"]}})
state = m.state_dict()
refuse("BatchNorm between two", state, None, "bot_l.2", '"layers"')
refuse("another list of layers", state, {"layers": {"bot_l": ["Linear", "ReLU", "Linear"]}}, "'Linear' at bot_l.2")
refuse("a list of no layers", state, {"layers": {"bott_l": ["Linear"]}}, "bott_l")
m = DLRM(sizes, 4, [13, 8, 4], [5, 1], "dot")
m.bot_l = nn.Sequential(nn.Linear(13, 8), nn.GELU(), nn.Linear(8, 4))
check("listed, no last activation", m, {"layers": {"bot_l": ["Linear", {"kind": "GELU"}, "Linear"]}})
for kind, act in {"leaky_relu": nn.LeakyReLU, "GELU": nn.GELU, "silu": nn.SiLU, "tanh": nn.Tanh, "sigmoid": nn.Sigmoid,
                  "hardswish": nn.Hardswish, "hardsigmoid": nn.Hardsigmoid, "hardtanh": nn.Hardtanh, "relu6": nn.ReLU6,
                  "elu": nn.ELU, "selu": nn.SELU, "mish": nn.Mish, "softplus": nn.Softplus, "identity": nn.Identity}.items():
    check("activation " + kind, DLRM(sizes, 4, [13, 8, 4], [5, 1], "dot", act=act), {"activation": kind})
check("leaky relu of .2", DLRM(sizes, 4, [13, 4], [5, 1], act=lambda: nn.LeakyReLU(0.2)),
      {"activation": {"kind": "LeakyReLU", "negative_slope": 0.2}})
check("gelu by tanh", DLRM(sizes, 4, [13, 4], [5, 1], act=lambda: nn.GELU("tanh")),
      {"activation": {"kind": "gelu", "approximate": "tanh"}})
m = settle(DLRM(sizes, 4, [13, 4], [5, 3], "cat"))
expected = (lambda z: z.view(len(rows), 3)[:, 1].tolist())(torch.tensor(logits(m)))
safetensors(m.state_dict(), "w.st")
same("the second of three outputs", {"output": 1}, "w.st", expected)

# --- containers and names
m = settle(DLRM(sizes, 5, [13, 7, 5], [5, 1], "dot"))
expected, state = logits(m), m.state_dict()
for kind in (torch.float64, torch.float16, torch.bfloat16):
    rounded = {k: v.to(kind) for k, v in state.items()}
    n = settle(DLRM(sizes, 5, [13, 7, 5], [5, 1], "dot"))
    n.load_state_dict({k: v.float() for k, v in rounded.items()})
    safetensors(rounded, "w.st")
    same("%s" % kind, None, "w.st", logits(n))
    torch.save(rounded, "w.pt")
    same("%s, torch.save" % kind, None, "w.pt", logits(n))
for prefix in ("module.", "_orig_mod.", "model.", "net.dlrm.", "module._orig_mod."):
    safetensors({prefix + k: v for k, v in state.items()}, "w.st", sorted)
    same("prefix " + prefix, None, "w.st", expected)
torch.save({k.replace("bot_l.", "bot_l.module."): v for k, v in state.items()}, "w.pt")
same("DDP around the bottom layers", None, "w.pt", expected)
torch.save(m, "w.pt")
same("a whole module", None, "w.pt", expected)


class Whole(nn.Module):
    """DLRM's names, with layers of PyTorch's own: the file tells which."""

    def __init__(self, *acts):
        super().__init__()
        self.emb_l = nn.ModuleList([nn.EmbeddingBag(n, 4, mode="sum") for n in sizes])
        self.bot_l = nn.Sequential(nn.Linear(13, 6), acts[0], nn.Dropout(.1), nn.Linear(6, 4))
        self.top_l = nn.Sequential(nn.Linear(4 + 4 * len(sizes), 5), acts[1], nn.Linear(5, 1), nn.Sigmoid())

    def forward(self, d, i):
        z = torch.cat([self.bot_l(d)] + [t(i[:, k:k + 1]) for k, t in enumerate(self.emb_l)], 1)
        return self.top_l[:3](z).flatten()


for acts in ((nn.Tanh(), nn.LeakyReLU(.2)), (nn.GELU(), nn.SiLU()), (nn.ELU(.7), nn.Mish()),
             (nn.GELU("tanh"), nn.ReLU6())):
    w = settle(Whole(*acts))
    w.eval()
    whole = logits(w)
    torch.save(w, "whole.pt")
    same("a whole module with %s" % (acts,), ASK, "whole.pt", whole, "activations: those of the file's modules")
    torch.save({"model": nn.DataParallel(w)}, "whole.pt")
    same("the same in DataParallel", ASK, "whole.pt", whole)
torch.save({"model_state_dict": state, "optimizer": torch.optim.Adam(m.parameters()).state_dict()}, "w.pt",
           _use_new_zipfile_serialization=False)
same("before PyTorch 1.6", None, "w.pt", expected)
torch.save({k: (v.t().contiguous().t() if v.dim() == 2 else v) for k, v in state.items()}, "w.pt", pickle_protocol=4)
same("transposed in memory, protocol 4", None, "w.pt", expected)
extra = dict(state, **{"loss.pos_weight": torch.ones(1)})
safetensors(extra, "w.st")
same("a tensor left out", {"ignore": ["loss."]}, "w.st", expected)

other = {"ema." + k: v + 1 for k, v in state.items()}
safetensors(dict({"model." + k: v for k, v in state.items()}, **{"criterion.weight": torch.ones(2)}), "w.st", sorted)
same("beside a loss", {"ignore": ["criterion"]}, "w.st", expected)
safetensors(dict(other, **{"model." + k: v for k, v in state.items()}), "w.st")
same("beside an average", {"prefix": "model."}, "w.st", expected)
refuse("an average and a model", dict(other, **{"model." + k: v for k, v in state.items()}), None, '"prefix"', "'ema.'", "'model.'")
torch.save({"ema": {k: v + 1 for k, v in state.items()}, "net": state}, "w.pt")
same("two dictionaries", {"state_dict": "net"}, "w.pt", expected)

p = subprocess.run([helrm, "import", "--weights", "w.pt", "--schema", "schema.json", "--out", "model", "--config", '{"state_dict": "net", "bottom_last_activation": true}'],
                   capture_output=True, text=True)
if p.returncode:
    fail("a configuration on the command line", p.stderr)

# --- TorchRec
for dim in (1, 3, 64):
    check("TorchRec, %d" % dim, TorchRecDLRM(sizes, numbered, dim, [13, 7], [9, 5, 1]), says="above the diagonal")
check("TorchRec DCN", TorchRecDLRM(sizes, numbered, 4, [13, 6], [9, 1], 3, 5), says="3 cross layers")
check("TorchRec DCN, rank 1", TorchRecDLRM(sizes, numbered, 3, [13], [9, 4, 1], 1, 1))
check("TorchRec DCN, full", TorchRecDLRM(sizes, numbered, 2, [13, 6], [9, 1], 2, 0))
check("TorchRec, sigmoid", TorchRecDLRM(sizes, numbered, 4, [13], [5, 1], act=nn.Sigmoid), {"activation": "sigmoid"})
m = settle(TorchRecDLRM(sizes, numbered, 4, [13, 7], [9, 1]))
expected = logits(m)
safetensors({"model." + k: v for k, v in m.state_dict().items()}, "w.st", sorted)
same("TorchRec, names in alphabetical order", None, "w.st", expected, "t_cat_0, t_cat_1")
order = list(range(26))[::-1]  # the model reads its tables the other way round
m = settle(TorchRecDLRM([sizes[i] for i in order], [names[i] for i in order], 4, [13, 7], [9, 1]))
with torch.no_grad():
    expected = m.double()(dense.double(), ids[:, order]).tolist()
torch.save(m.float().state_dict(), "w.pt")
same("TorchRec, columns by name", None, "w.pt", expected)
safetensors(m.state_dict(), "w.st", sorted)
same("TorchRec, tables as said", {"tables": ["t_" + names[i] for i in order]}, "w.st", expected)
refuse("TorchRec, two outputs", TorchRecDLRM(sizes, numbered, 2, [13], [9, 2]).state_dict(), None, '"output": N')

# --- DeepFM and its relatives
for dim in (1, 3, 16):
    check("DeepCTR, %d" % dim, DeepCTR(sizes, names, dim, 13, [9, 5]), {"architecture": "deepfm"}, "products of all pairs")
check("DeepCTR, BatchNorm", DeepCTR(sizes, names, 4, 13, [9, 5], norm=True), {"architecture": "deepfm"}, "folded")
check("DeepCTR, PReLU", DeepCTR(sizes, names, 4, 13, [9, 5], norm=True, act=nn.PReLU), {"architecture": "deepfm"})
check("DeepCTR, tanh", DeepCTR(sizes, names, 4, 13, [9], act=nn.Tanh), {"architecture": "deepfm", "activation": "tanh"})
check("DeepCTR, WDL", DeepCTR(sizes, names, 4, 13, [9], pairs=False), {"architecture": "wide-deep"})
check("DeepCTR, no dense values", DeepCTR(sizes, names, 4, 0, [9], dense_in_dnn=False), {"architecture": "deepfm"})
check("DeepCTR, dense values beside the layers", DeepCTR(sizes, names, 4, 13, [9], dense_in_dnn=False), {"architecture": "deepfm"})
check("DeepCTR, FM", DeepCTR(sizes, names, 7, 13, []))
for dim in (1, 5):
    check("pytorch-fm, DeepFM, %d" % dim, PytorchFM(sizes, dim, [9, 5]), {"architecture": "deepfm"}, "folded")
check("pytorch-fm, no BatchNorm", PytorchFM(sizes, 4, [9], norm=False), {"architecture": "deepfm"})
check("pytorch-fm, wide and deep", PytorchFM(sizes, 4, [9, 5], pairs=False), {"architecture": "wide-deep"})
check("pytorch-fm, FM", PytorchFM(sizes, 6, []))
check("pytorch-fm, FNN", PytorchFM(sizes, 4, [9, 5], pairs=False, linear=False))

# --- data sets of one's own
random.seed(2)


def own(columns, tables, dense=None, clip=100):
    """columns.json, and a schema that lists what is to be listed; options for both."""
    json.dump({"helrm_columns": 1, "name": "own", "columns": columns + [{"name": "y", "kind": "label"}]}, open("columns.json", "w"))
    schema = {"clip": clip, "tables": tables}
    if dense is not None:
        schema["dense"] = dense
    json.dump(schema, open("own.json", "w"))
    return ("--dataset", "columns.json", "--schema", "own.json")


def write(header, rows):
    open("own.csv", "w").write("\n".join(",".join(str(c) for c in r) for r in [header] + rows) + "\n")


def ids_case(what, make, numbers, dense_count, config=None, says=None, count=40):
    """Tables of ids modulo their size, dense values as they are."""
    columns = [{"name": "d%d" % i, "kind": "dense"} for i in range(dense_count)]
    columns += [{"name": "cat_%d" % i, "kind": "category", "values": "modulo", "modulo": n} for i, n in enumerate(numbers)]
    options = own(columns, [{"name": "cat_%d" % i} for i in range(len(numbers))])
    x = torch.randn(count, dense_count)
    ids = torch.randint(0, 10**9, (count, len(numbers)))
    write([c["name"] for c in columns], [["%.9g" % v for v in x[r].tolist()] + ids[r].tolist() for r in range(count)])
    model = settle(make(numbers))
    with torch.no_grad():
        expected = model.double()(x.double(), ids % torch.tensor(numbers, dtype=torch.long)).tolist()
    torch.save(model.float().state_dict(), "w.pt")
    same(what, config, "w.pt", expected, says, options, "own.csv")
    return options


n200 = [random.randint(1, 50) for _ in range(200)]
ids_case("200 tables, dot", lambda n: DLRM(n, 3, [4, 3], [6, 1], "dot"), n200, 4)
ids_case("200 tables, cat, no dense", lambda n: DLRM(n, 2, [], [6, 1], "cat"), n200, 0)
ids_case("200 tables, DeepFM", lambda n: PytorchFM(n, 4, [9]), n200, 0, {"architecture": "deepfm"})
for op in ("cat", "dot"):
    ids_case("1 table, " + op, lambda n: DLRM(n, 5, [2, 5], [6, 1], op), [7], 2)
ids_case("1 table, no dense, one layer", lambda n: DLRM(n, 64, [], [1], "cat"), [7], 0)
ids_case("dot without dense", lambda n: DLRM(n, 4, [], [5, 1], "dot"), [7, 9, 11], 0)
ids_case("no tables", lambda n: DLRM([], 4, [3, 4], [5, 1], "cat"), [], 3)
ids_case("200,000 rows", lambda n: DLRM(n, 16, [2, 16], [6, 1], "dot"), [200000, 3], 2)
ids_case("QR of 100,003 ids", lambda n: DLRM(n, 4, [2, 4], [6, 1], "dot", qr="mult"), [100003, 50, 3], 2, {"qr_operation": "mult"})
ids_case("TorchRec DCN, 2 tables", lambda n: TorchRecDLRM(n, numbered[:2], 4, [3, 5], [6, 1], 2, 3), [40, 50], 3)
ids_case("pytorch-fm, FM of 2", lambda n: PytorchFM(n, 3, []), [40, 50], 0)
make31 = lambda op: (lambda n: DLRM(n, 16, [4, 16], [8, 1], op))
for op in ("cat", "dot"):
    options = ids_case("31 tables of 16, " + op, make31(op), [5] * 31, 4, {"interaction": op})
refuse("31 tables of 16, unsaid", make31("dot")([5] * 31).state_dict(), None, '"interaction": "cat" or "dot"', options=options)
refuse("a table of another size", make31("dot")([6] * 31).state_dict(), {"interaction": "dot"}, "modulo 5, emb_l.0 has 6 rows", options=options)

# dense values as TorchRec preprocesses them: ln(x + 3), missing ones 0; ids of a missing value: row 1
options = own([{"name": "a", "kind": "dense", "log": 3, "least": -2, "missing": 0}, {"name": "cat_0", "kind": "category", "values": "modulo", "modulo": 5}],
              [{"name": "cat_0", "missing": 1}])
m = settle(TorchRecDLRM([5], numbered[:1], 3, [1], [4, 1]))
raw = [[7, 12], [-1, 3], ["", 4], [100000, ""], [0, 5]]
write(["a", "cat_0"], raw)
with torch.no_grad():
    expected = m.double()(torch.log(torch.tensor([[float(r[0] or 0)] for r in raw]) + 3).double(),
                          torch.tensor([[r[1] % 5 if r[1] != "" else 1] for r in raw])).tolist()
torch.save(m.float().state_dict(), "w.pt")
same("ln(x + 3), missing ids", None, "w.pt", expected, None, options, "own.csv")

# bags: sum and mean of what a cell lists; an empty one is zero
for pool in ("sum", "mean"):
    options = own([{"name": "user", "kind": "category", "values": "modulo", "modulo": 9},
                   {"name": "genres", "kind": "bag", "values": "modulo", "modulo": 12, "limit": 5, "pool": pool}],
                  [{"name": "user"}, {"name": "genres"}])
    m = settle(DLRM([9, 12], 4, [], [5, 1], "dot"))
    bags = [[random.randint(0, 99) for _ in range(random.randint(0, 5))] for _ in range(40)]
    users = [random.randint(0, 99) for _ in bags]
    write(["user", "genres"], [[u, "|".join(map(str, b))] for u, b in zip(users, bags)])
    expected = []
    with torch.no_grad():
        m.double()
        for u, b in zip(users, bags):
            v = m.emb_l[1].weight[[i % 12 for i in b]]
            v = (v.sum(0) if pool == "sum" else v.mean(0)) if b else torch.zeros(4, dtype=torch.float64)
            pair = (m.emb_l[0].weight[u % 9] * v).sum().view(1, 1)
            expected.append(m.top_l[:-1](pair).item())
    torch.save(m.float().state_dict(), "w.pt")
    same("bags, " + pool, None, "w.pt", expected, None, options, "own.csv")
state = DLRM([9, 12], 4, [], [5, 1], "dot").state_dict()
state.update({"emb_l.1.weight_q": torch.randn(3, 4), "emb_l.1.weight_r": torch.randn(4, 4)})
del state["emb_l.1.weight"]
refuse("a bag of products", state, {"qr_operation": "mult"}, "emb_l.1", "genres is a bag", options=options)

# columns that only the schema lists, and a part of Criteo's
json.dump({"dataset": "films", "clip": 10, "dense": [{"name": "age", "mean": 30, "deviation": 12}],
           "tables": [{"name": "film", "values": ["a b", "Łódź", "x" * 100, None]}]}, open("own.json", "w"))
m = settle(DLRM([4], 3, [1, 3], [5, 1], "cat"))
write(["film", "age"], [["a b", 20], ["Łódź", 42], ["x" * 100, 30], ["a b", 99]])
with torch.no_grad():
    expected = m.double()(torch.tensor([[(a - 30) / 12] for a in (20, 42, 30, 99)], dtype=torch.float64), torch.tensor([[0], [1], [2], [0]])).tolist()
torch.save(m.float().state_dict(), "w.pt")
same("columns of the schema", {"interaction": "cat"}, "w.pt", expected, "as the schema lists its columns", ("--schema", "own.json"), "own.csv")
json.dump(dict(schema, dense=schema["dense"][:2], tables=schema["tables"][3:5]), open("own.json", "w"))
m = settle(DLRM(sizes[3:5], 3, [2, 3], [5, 1], "dot"))
with torch.no_grad():
    expected = m.double()(dense[:, :2].double(), ids[:, 3:5]).tolist()
torch.save(m.float().state_dict(), "w.pt")
same("a part of Criteo's columns", None, "w.pt", expected, "of whose columns 35 are ignored", ("--schema", "own.json"))
json.dump(dict(schema, dataset="crieto"), open("own.json", "w"))
refuse("a mistyped data set", DLRM(sizes, 2, [13, 2], [1]).state_dict(), None, "must be 'criteo'", options=("--schema", "own.json"))
json.dump(dict(schema, tables=[{"name": "T%d" % i, "values": ["a", None]} for i in range(200)]), open("own.json", "w"))
refuse("columns of another data set", DLRM([2] * 200, 2, [13, 2], [1]).state_dict(), None, "no column 'T0'", "--dataset columns.json", options=("--schema", "own.json"))

# --- two readings, and what is not taken
refuse("DeepFM or wide-deep", DeepCTR(sizes, names, 4, 13, [9]).state_dict(), None, '"architecture": "deepfm" or "wide-deep"')
refuse("DeepFM or wide-deep, one table", PytorchFM(sizes, 4, [9]).state_dict(), None, '"deepfm" or "wide-deep"')
refuse("QR without a word", DLRM(sizes, 6, [13, 6], [5, 1], "dot", qr="add").state_dict(), None, "emb_l.0", '"qr_operation": "mult" or "add"')
state = DLRM(sizes, 4, [13, 4], [5, 1], "cat").state_dict()
refuse("LayerNorm", dict(state, **{"bot_l.1.weight": torch.ones(4), "bot_l.1.bias": torch.ones(4)}), None, "bot_l.1", "LayerNorm")
refuse("several slopes", dict(state, **{"bot_l.1.weight": torch.ones(4)}), None, "bot_l.1.weight", "one slope")
refuse("a tensor of nobody", dict(state, head=torch.ones(4)), None, "'head'", "ignore")
refuse("of no form", {"encoder.weight": torch.ones(4, 4)}, None, "encoder.weight", "no form that is known")
refuse("weight_norm", dict(state, **{"bot_l.0.weight_g": torch.ones(4, 1), "bot_l.0.weight_v": torch.ones(4, 13)}), None, "bot_l.0.weight_g", "remove_weight_norm")
refuse("dimensions without a product", DLRM(sizes, 4, [13, 5], [5, 1], "cat").state_dict() | {"top_l.0.weight": torch.ones(5, 5 + 27 * 26 // 2)}, None, "'emb_l.0' has dimension 4")
refuse("integers", dict(state, **{"bot_l.0.bias": torch.ones(4).long()}), None, "bot_l.0.bias", "I64")
refuse("not finite", dict(state, **{"bot_l.0.bias": torch.full((4,), float("nan"))}), None, "bot_l.0.bias", "not finite")
refuse("another interaction", state, {"interaction": "dot"}, "top_l.0", "as the configuration says")
refuse("an unknown word", state, {"interaction": "dotty"}, '"cat" or "dot"')
refuse("an unknown key", state, {"bottom_last_actvation": False}, "bottom_last_actvation")
refuse("VectorCrossNet", {("inter_arch.crossnet.kernels.0" if "kernels" in k else k): (v[:, :1] if "kernels" in k else v)
                          for k, v in TorchRecDLRM(sizes, numbered, 2, [13], [9, 1], 1, 0).state_dict().items()}, None, "VectorCrossNet")
refuse("a cross layer too few inputs", {k: (v[:-1] if "W_kernels" in k else v)
                                        for k, v in TorchRecDLRM(sizes, numbered, 2, [13], [9, 1], 1, 2).state_dict().items()}, None, "crossnet")
refuse("another model of DeepCTR", dict(DeepCTR(sizes, names, 2, 13, [4]).state_dict(), **{"cin.conv1ds.0.weight": torch.ones(2, 2, 1)}),
       {"architecture": "deepfm"}, "cin.conv1ds.0.weight", "DeepCTR-Torch")
# --- hostile and damaged files: one line each, and nothing is executed
def refuse_file(what, data, *words):
    global cases
    cases += 1
    open("w.pt", "wb").write(data)
    p = run(None, "w.pt")
    if p.returncode not in (2, 4, 6) or p.stderr.count("\n") != 1 or not all(w in p.stderr for w in words):
        fail(what, "rc %d, %s" % (p.returncode, p.stderr or p.stdout))


def archive(pickle, method=zipfile.ZIP_STORED, storages=()):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as z:
        z.writestr("a/data.pkl", pickle)
        for k, data in enumerate(storages):
            z.writestr("a/data/%d" % k, data)
    return out.getvalue()


class Bomb:
    def __reduce__(self):
        import os
        return (os.system, ("touch executed",))


def tensor(shape, stride, offset=0, key=b"0", kind=b"FloatStorage"):
    num = lambda v: b"J" + struct.pack("<i", v)
    tup = lambda vs: b"(" + b"".join(map(num, vs)) + b"t"
    text = lambda t: b"X" + struct.pack("<I", len(t)) + t
    return (b"ctorch._utils\n_rebuild_tensor_v2\n((" + text(b"storage") + b"ctorch\n" + kind + b"\n" + text(key) + text(b"cpu") + num(4)
            + b"tQ" + num(offset) + tup(shape) + tup(stride) + b"\x89NtR")


def state_of(t):
    return b"\x80\x02}X\x0e\x00\x00\x00top_l.0.weight" + t + b"s."


refuse_file("os.system in a pickle", archive(pickle.dumps({"state_dict": Bomb()})), "no state_dict")
refuse_file("os.system beside tensors", archive(pickle.dumps({"top_l.0.weight": Bomb()})), "no state_dict")
if os.path.exists("executed"):
    fail("a pickle", "was executed")
refuse_file("an empty file", b"", "ends too early")
refuse_file("a text", b"hello, this is no checkpoint at all", "safetensors")
refuse_file("a compressed archive", archive(pickle.dumps({}), zipfile.ZIP_DEFLATED), "compressed")
refuse_file("a bomb of zeros", archive(b"\0" * (1 << 20), zipfile.ZIP_DEFLATED), "compressed")
refuse_file("no pickle", archive(b"").replace(b"data.pkl", b"data.pql"), "no data.pkl")
refuse_file("a huge shape", archive(state_of(tensor([2**31 - 1, 2**31 - 1], [2**31 - 1, 1])), storages=[b"\0" * 16]), "top_l.0.weight", "storage")
refuse_file("a repeated element", archive(state_of(tensor([65536, 65536], [0, 0])), storages=[b"\0" * 16]), "does not lie within")
refuse_file("beyond the storage", archive(state_of(tensor([2, 2], [2, 1], 1)), storages=[b"\0" * 16]), "does not lie within")
refuse_file("negative sizes", archive(state_of(tensor([-1, 2], [2, 1])), storages=[b"\0" * 16]), "does not lie within")
refuse_file("no storage", archive(state_of(tensor([2, 2], [2, 1]))), "storage '0' is missing")
refuse_file("quantised", archive(state_of(tensor([2, 2], [2, 1], kind=b"QInt8Storage")), storages=[b"\0" * 16]), "QInt8Storage")
loop = {}
loop["state_dict"] = loop
refuse_file("a dictionary in itself", archive(pickle.dumps(loop, 2)), "no state_dict")
deep = b"\x80\x02" + b"(" * 100000 + b"t" * 100000 + b"."
refuse_file("tuples in tuples", archive(deep), "no state_dict")
refuse_file("an opcode of no checkpoint", archive(b"\x80\x02i__main__\nX\n."), "opcode 0x69")
refuse_file("a storage changed", (lambda d: d[:d.rindex(b"\x07" * 16)] + b"\x08" + d[d.rindex(b"\x07" * 16) + 1:])(
    archive(state_of(tensor([2, 2], [2, 1])), storages=[b"\x07" * 16])), "damaged")
torch.save(Whole(nn.Softsign(), nn.ReLU()), "whole.pt")
refuse_file("a module with an activation that is not known", open("whole.pt", "rb").read(), "Softsign")
torch.save({"state_dict": DLRM(sizes, 1, [13, 1], [1]).state_dict()}, "good.pt")
good = open("good.pt", "rb").read()
for n in range(20):
    refuse_file("cut at %d of 20" % n, good[:len(good) * n // 20])
wild = random.Random(7)
for n in range(20):  # wherever it falls: taken (names of no use, padding) or refused in a line
    cases += 1
    at = wild.randrange(len(good))
    open("w.pt", "wb").write(good[:at] + bytes([wild.randrange(256)]) + good[at + 1:])
    p = run(None, "w.pt")
    if p.returncode not in (0, 4, 6) or p.stderr.count("\n") != (p.returncode != 0):
        fail("byte %d changed" % at, "rc %d, %s" % (p.returncode, p.stderr))
fields = {"embedding.embedding.weight": torch.ones(sum(sizes), 2), "mlp.mlp.0.weight": torch.ones(9, 52), "mlp.mlp.0.bias": torch.ones(9)}
refuse("pytorch-fm's DCN", dict(fields, **{"cn.w.0.weight": torch.ones(1, 52), "cn.b.0": torch.ones(52), "linear.weight": torch.ones(1, 61),
                                           "linear.bias": torch.ones(1)}), None, "cn.w.0.weight", "pytorch-fm")
refuse("pytorch-fm's field-aware machine", dict(fields, **{"ffm.embeddings.0.weight": torch.ones(sum(sizes), 2)}), None, "ffm.embeddings.0.weight")
refuse("TorchRec's projection", dict(TorchRecDLRM(sizes, numbered, 2, [13], [9, 1]).state_dict(),
                                     **{"inter_arch.interaction_branch1.model._mlp.0._linear.weight": torch.ones(4, 54)}), None, "DLRM_Projection")
# --- activations that are trained polynomials
for degree, bottom in ((1, [13, 8, 4]), (2, [13, 8, 4]), (3, [13, 4]), (7, [13, 4]), (16, [13, 4])):
    m = DLRM(sizes, 4, bottom, [5, 1] if degree < 4 else [1], "dot", act=lambda: Polynomial(degree))
    named = [{"tensor": name} for name in m.state_dict() if name.endswith("coefficients")]
    check("polynomials of degree %d" % degree, m, {"polynomials": named}, "%d of degree up to %d" % (len(named), degree))
check("polynomials with ranges", m, {"polynomials": [dict(e, range=3 + i) for i, e in enumerate(named)]})
m = DLRM(sizes, 4, [13, 8, 4], [5, 1], "cat", act=lambda: Polynomial(4, 6.5))
named = [{"tensor": name, "basis": "chebyshev", "range": 6.5} for name in m.state_dict() if name.endswith("coefficients")]
check("Chebyshev polynomials", m, {"polynomials": named})
state = settle(m).state_dict()
refuse("too few polynomials", state, {"polynomials": named[:2]}, "has 2 entries, the model 3 activations")
refuse("a tensor of no polynomial", state, {"polynomials": named[:2] + [{"tensor": "top_l.9.coefficients"}]}, "no tensor 'top_l.9.coefficients'")
refuse("a matrix for a polynomial", {n: v for n, v in state.items() if n != named[0]["tensor"]},
       {"polynomials": [{"tensor": "bot_l.0.weight"}] + named[1:]}, "'bot_l.0.weight' does not have 8 entries")
refuse("no range", state, {"polynomials": {"coefficients": [0, 1, 2], "basis": "chebyshev"}}, "need 'range'")
refuse("a constant", state, {"polynomials": {"coefficients": [3, 0, 0]}}, "tensor 'bot_l.1.coefficients' is not supported")
refuse("polynomials that nobody named", state, None, "coefficients")
fixed = [0.25, 0.5, 0.125, -0.015625]
class Fixed(nn.Module):
    def forward(self, x):
        return sum(c * x ** i for i, c in enumerate(fixed))
m = DLRM(sizes, 4, [13, 8, 4], [5, 1], "cat", act=Fixed)
check("one polynomial for all, in --config", m, {"polynomials": {"coefficients": fixed}})
check("in an array, too", m, {"polynomials": [{"coefficients": fixed}] * 3})
state = m.state_dict()
refuse("a constant", state, {"polynomials": {"coefficients": [3, 0, 0]}}, "constant polynomial")
refuse("both", state, {"polynomials": {"coefficients": fixed, "tensor": "top_l.0.bias"}}, "'tensor' (a name) or 'coefficients'")
refuse("an unknown key", state, {"polynomials": {"coefficients": fixed, "degree": 3}}, "unknown key 'degree'")
refuse("text", state, {"polynomials": {"coefficients": fixed + ["x"]}}, "no number")

print("%d cases, %d failed; worst relative difference of logits %.2g" % (cases, failures, worst))
sys.exit(failures != 0)
