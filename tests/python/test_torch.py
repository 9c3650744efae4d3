"""Modules of PyTorch: the same logits in the clear to 1e-5, encrypted to the bits asked for, and what
is not known refused by module and line."""
import os

import numpy
import pytest

torch = pytest.importorskip("torch")

import helrm  # noqa: E402
import helrm.torch  # noqa: E402
from helrm.errors import Unsupported  # noqa: E402
from torch import nn  # noqa: E402
import torch.nn.functional as F  # noqa: E402

LONG = bool(os.environ.get("HELRM_TEST_LONG"))
ROWS = [7, 5, 11]
WIDTH = 6
COLUMNS = [{"name": f"I{i}", "kind": "dense"} for i in range(4)] + [
    {"name": f"C{i}", "kind": "category", "rows": [""] + [f"v{k}" for k in range(1, n)]}
    for i, n in enumerate(ROWS)]


def records(count, seed=1):
    g = numpy.random.default_rng(seed)
    dense = g.normal(size=(count, 4))
    ids = numpy.stack([g.integers(0, n, count) for n in ROWS], 1)
    rows = [{**{f"I{j}": float(dense[i, j]) for j in range(4)},
             **{f"C{j}": f"v{ids[i, j]}" if ids[i, j] else "" for j in range(3)}} for i in range(count)]
    return rows, torch.tensor(dense), torch.tensor(ids)


class Base(nn.Module):
    """facebookresearch's DLRM in a few lines: bottom, tables, interaction, top."""

    act = nn.ReLU

    def __init__(self, top_in, act=None):
        super().__init__()
        act = act or self.act
        self.emb = nn.ModuleList([nn.Embedding(n, WIDTH) for n in ROWS])
        self.bot = nn.Sequential(nn.Linear(4, 8), act(), nn.Linear(8, WIDTH))
        self.top = nn.Sequential(nn.Linear(top_in, 8), act(), nn.Linear(8, 1))

    def vectors(self, x, ids):
        return [self.bot(x)] + [e(ids[:, i]) for i, e in enumerate(self.emb)]


class Cat(Base):
    def __init__(self, act=None):
        super().__init__(4 * WIDTH, act)
        self.top = nn.Sequential(nn.Linear(4 * WIDTH, 8), nn.BatchNorm1d(8), (act or self.act)(),
                                 nn.Dropout(0.5), nn.Linear(8, 1), nn.Sigmoid())

    def forward(self, x, ids):
        return self.top(torch.cat(self.vectors(x, ids), 1)).squeeze(1)


class Dot(Base):
    def __init__(self, act=None):
        super().__init__(WIDTH + 6, act)
        self.register_buffer("li", torch.tensor([i for i in range(4) for j in range(i)]))
        self.register_buffer("lj", torch.tensor([j for i in range(4) for j in range(i)]))

    def forward(self, x, ids):
        v = self.vectors(x, ids)
        t = torch.cat(v, dim=1).view((x.size(0), -1, WIDTH))
        z = torch.bmm(t, torch.transpose(t, 1, 2))
        return torch.sigmoid(self.top(torch.cat([v[0], z[:, self.li, self.lj]], 1)))


class Triu(Base):
    act = nn.SiLU

    def __init__(self):
        super().__init__(WIDTH + 6)

    def forward(self, x, ids):
        v = self.vectors(x, ids)
        t = torch.stack(v, dim=1)
        z = torch.bmm(t, t.permute(0, 2, 1))
        at = torch.triu_indices(4, 4, offset=1)
        return self.top(torch.cat([v[0], z[:, at[0], at[1]]], 1))


class Cross(Base):
    """DCN-v2."""

    def __init__(self):
        super().__init__(1)
        self.w = nn.ModuleList([nn.Linear(4 + 3 * WIDTH, 4 + 3 * WIDTH) for _ in range(2)])
        self.out = nn.Linear(4 + 3 * WIDTH, 1)

    def forward(self, x, ids):
        x0 = torch.cat([x] + [e(ids[:, i]) for i, e in enumerate(self.emb)], 1)
        h = x0
        for w in self.w:
            h = x0 * w(h) + h
        return self.out(h)


class TwoTower(nn.Module):
    def __init__(self):
        super().__init__()
        self.user, self.item = nn.Embedding(ROWS[0], 4), nn.Embedding(ROWS[2], 4)
        self.a, self.b = nn.Linear(8, 5), nn.Linear(4, 5)
        self.bias = nn.Parameter(torch.tensor([0.3]))

    def forward(self, x, C0, C2):
        u = self.a(torch.cat([x, self.user(C0)], -1))
        v = self.b(self.item(C2))
        return (u * v).sum(-1) * 0.5 + self.bias


class Pieces(nn.Module):
    """Slices, scalars, unit dimensions, sums over dimensions, a sigmoid in the middle."""

    def __init__(self):
        super().__init__()
        self.emb = nn.Embedding(ROWS[1], 4)
        self.w = nn.Parameter(torch.randn(4, 4))
        self.gate, self.out = nn.Linear(4, 1), nn.Linear(4, 1)

    def forward(self, x, C1):
        e = self.emb(C1)
        h = torch.tanh(x @ self.w) - e * 2 + (1 - x[:, 1:2])
        h = h * torch.sigmoid(self.gate(e))
        s = torch.stack([h, e], 1).mean(dim=1)
        return self.out(F.leaky_relu(s, 0.1) + s[:, [1, 0, 3, 2]] ** 2).flatten(1)


def inputs(module, x, ids):
    return {TwoTower: lambda: (x, ids[:, 0], ids[:, 2]), Pieces: lambda: (x, ids[:, 1])}.get(
        type(module), lambda: (x, ids))()


def logits(module, x, ids):
    with torch.no_grad():
        y = module(*inputs(module, x, ids)).reshape(-1)
    return (torch.logit(y) if isinstance(module, (Cat, Dot)) else y).numpy()


def trained(make):
    torch.manual_seed(3)
    module = make().double()
    _, x, ids = records(256, 5)
    module.train()
    with torch.no_grad():
        module(*inputs(module, x, ids))  # running statistics
    return module.eval()


@pytest.mark.parametrize("make", [Cat, Dot, Triu, Cross, TwoTower, Pieces])
def test_logits(make):
    module = trained(make)
    rows, x, ids = records(64)
    model = helrm.torch.convert(module, COLUMNS)
    wanted = logits(module, x, ids)
    assert numpy.abs(model.logits(rows) - wanted).max() < 1e-5 * max(1, numpy.abs(wanted).max())


class Square(nn.Module):
    def forward(self, x):
        return x * x


@pytest.mark.parametrize("make", [lambda: Cat(Square), lambda: Dot(Square), Cross, TwoTower] if LONG
                         else [lambda: Cat(Square), TwoTower])
def test_encrypted(make):
    """12.5 bits of the spread of logits, in the mean."""
    module = trained(make)
    rows, x, ids = records(200)
    model = helrm.torch.convert(module, COLUMNS)
    compiled = model.compile(rows, bits=12.5, calibration="none")
    client, server = helrm.Client(compiled.manifest), helrm.Server(compiled.program)
    wanted = logits(module, x, ids)
    evaluation = server.evaluation(client.evaluation_keys())
    count = 16
    errors = [abs(client.decrypt(server.run(client.encrypt(rows[i]), evaluation)).logit - wanted[i])
              for i in range(count)]
    # the mean of a few errors scatters: half a bit
    assert numpy.log2(compiled.report["spread"] / numpy.mean(errors)) > 12.5 - 0.8


class Bags(nn.Module):
    def __init__(self):
        super().__init__()
        self.sum = nn.EmbeddingBag(6, 4, mode="sum")
        self.mean = nn.EmbeddingBag(5, 4, mode="mean")
        self.weighted = nn.EmbeddingBag(4, 4, mode="sum")
        self.out = nn.Linear(12, 1)

    def forward(self, g, g_offsets, t, t_offsets, p, p_offsets, p_weights):
        return self.out(torch.cat([self.sum(g, g_offsets), self.mean(t, t_offsets),
                                   self.weighted(p, p_offsets, per_sample_weights=p_weights)], 1))


BAGS = [{"name": "g", "kind": "bag", "limit": 4}, {"name": "t", "kind": "bag", "limit": 4, "pool": "mean"},
        {"name": "p", "kind": "bag", "limit": 4, "weight": 3}]


def test_bags():
    def flat(lists):
        offsets = numpy.cumsum([0] + [len(v) for v in lists[:-1]])
        return torch.tensor([v for e in lists for v in e], dtype=torch.long), torch.tensor(offsets)

    module = Bags()
    model = helrm.torch.convert(module, BAGS)
    rows = [{"g": ["1", "3", "3"], "t": ["0", "4"], "p": {"2": 1.5, "0": -0.5}},
            {"g": [], "t": ["2"], "p": {}}, {"g": [5], "t": [], "p": {"3": 3}}]
    wanted = module(*flat([[1, 3, 3], [], [5]]), *flat([[0, 4], [2], []]), *flat([[2, 0], [], [3]]),
                    torch.tensor([1.5, -0.5, 3.0])).reshape(-1).detach().numpy()
    assert model.logits(rows) == pytest.approx(wanted, abs=1e-5)
    with pytest.raises(Unsupported, match="pool"):
        helrm.torch.convert(module, [{**BAGS[0], "pool": "mean"}, *BAGS[1:]])
    with pytest.raises(Unsupported, match="weight"):
        helrm.torch.convert(module, [*BAGS[:2], {"name": "p", "kind": "bag", "limit": 4}])


class DLRM_Net(nn.Module):
    """The names that facebookresearch/dlrm gives its tensors; its forward() cannot be traced."""

    def __init__(self):
        super().__init__()
        self.arch_interaction_op, self.arch_interaction_itself = "dot", False
        self.emb_l = nn.ModuleList([nn.EmbeddingBag(n, WIDTH, mode="sum") for n in ROWS])
        self.bot_l = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, WIDTH), nn.ReLU())
        self.top_l = nn.Sequential(nn.Linear(WIDTH + 6, 8), nn.ReLU(), nn.Linear(8, 1), nn.Sigmoid())

    def forward(self, x, offsets, ids):
        v = [self.bot_l(x)] + [e(i, o) for e, i, o in zip(self.emb_l, ids, offsets)]
        t = torch.cat(v, dim=1).view((x.shape[0], -1, WIDTH))
        z = torch.bmm(t, torch.transpose(t, 1, 2))
        li, lj = zip(*[(i, j) for i in range(4) for j in range(i)])
        return self.top_l(torch.cat([v[0], z[:, list(li), list(lj)]], dim=1))


def test_modules_by_name(tmp_path):
    module = DLRM_Net().double()
    rows, x, ids = records(20)
    with torch.no_grad():
        y = torch.logit(module(x, [torch.arange(20)] * 3, [ids[:, i] for i in range(3)])).reshape(-1)
    assert helrm.torch.convert(module, COLUMNS).logits(rows) == pytest.approx(y.numpy(), abs=1e-5)
    torch.save(module.state_dict(), tmp_path / "model.pt")
    loaded = helrm.torch.load(tmp_path / "model.pt", COLUMNS, config={"interaction": "dot",
                                                                       "bottom_last_activation": True})
    assert loaded.logits(rows) == pytest.approx(y.numpy(), abs=1e-5)


def test_checkpoints(tmp_path):
    module = trained(TwoTower)
    torch.save(module.state_dict(), tmp_path / "model.pt")
    rows, x, ids = records(8)
    model = helrm.torch.load(tmp_path / "model.pt", COLUMNS, TwoTower())
    assert model.logits(rows) == pytest.approx(logits(module, x, ids), abs=1e-5)


class Norm(nn.Module):
    def __init__(self):
        super().__init__()
        self.l, self.n, self.m = nn.Linear(4, 3), nn.LayerNorm(3), nn.Linear(3, 1)

    def forward(self, x):
        h = self.n(self.l(x))  # here
        return self.m(h)


class Branches(Norm):
    def forward(self, x):
        if x.sum() > 0:  # and here
            x = x + 1
        return self.m(self.l(x))


class Wide(Norm):
    def forward(self, x):
        return self.l(x)


def line_of(text):
    with open(__file__) as f:
        return next(i for i, line in enumerate(f, 1) if text in line)


def test_what_is_refused():
    with pytest.raises(Unsupported, match=rf"'n' \(LayerNorm\).*test_torch.py, line {line_of('# ' + 'here')},"):
        helrm.torch.convert(Norm(), COLUMNS)
    with pytest.raises(Unsupported, match=rf"Branches.*line {line_of('# and ' + 'here')}"):
        helrm.torch.convert(Branches(), COLUMNS)
    with pytest.raises(Unsupported, match="one number"):
        helrm.torch.convert(Wide(), COLUMNS)
    with pytest.raises(TypeError):
        helrm.torch.convert(42, COLUMNS)
    with pytest.raises(Unsupported, match="7 rows"):
        helrm.torch.convert(trained(Cat), [{**c, "rows": ["", "a"]} if c["name"] == "C0" else c
                                           for c in COLUMNS])


def test_a_graph_by_hand():
    g = helrm.Graph(COLUMNS)
    r = numpy.random.default_rng(2)
    dense = g.linear(g.dense(), r.normal(size=(WIDTH, 4)), r.normal(size=WIDTH))
    user = g.embed("C0", r.normal(size=(ROWS[0], WIDTH)))
    pair = g.dot([dense, user])
    hidden = g.activation(g.concat([dense, user, pair]), "quadratic", a=0.3, b=1)
    g.linear(hidden, r.normal(size=(1, hidden.width)), [0.1])
    model = g.model()
    rows, x, ids = records(5)
    w, b = model.graph, model.parameters
    assert b == WIDTH * 4 + WIDTH + ROWS[0] * WIDTH + hidden.width + 1 and len(w) == 7
    assert numpy.isfinite(model.logits(rows)).all()
    with pytest.raises(ValueError):
        g.linear(dense, numpy.zeros((2, 99)))
    with pytest.raises(ValueError):
        g.embed("nobody", numpy.zeros((2, 2)))
