"""Models as the libraries that docs/import.md lists define and name them, in plain PyTorch: every forward
is written from the library's own, and gives logits."""
import torch
from torch import nn
from torch.nn import functional as F


def sequential(widths, act, last=None, bias=True, norm=False, dropout=False, plain_last=False):
    """nn.Sequential: Linear, [BatchNorm1d,] activation, [Dropout,] ..."""
    layers = []
    for i in range(len(widths) - 1):
        layers.append(nn.Linear(widths[i], widths[i + 1], bias=bias))
        if plain_last and i + 2 == len(widths):
            break
        if norm:
            layers.append(nn.BatchNorm1d(widths[i + 1]))
        layers.append(last() if last and i + 2 == len(widths) else act())
        if dropout:
            layers.append(nn.Dropout(0.2))
    return nn.Sequential(*layers)


class QREmbeddingBag(nn.Module):
    """dlrm/tricks/qr_embedding_bag.py"""

    def __init__(self, n, dim, collisions, operation):
        super().__init__()
        self.collisions, self.operation = collisions, operation
        self.weight_q = nn.Parameter(torch.randn(-(-n // collisions), dim) * 0.5)
        self.weight_r = nn.Parameter(torch.randn(collisions, dim) * 0.5)

    def forward(self, ids, w):
        q = F.embedding_bag(ids // self.collisions, self.weight_q, mode="sum", per_sample_weights=w)
        r = F.embedding_bag(ids % self.collisions, self.weight_r, mode="sum", per_sample_weights=w)
        return {"mult": lambda: q * r, "add": lambda: q + r, "concat": lambda: torch.cat([q, r], 1)}[self.operation]()


class PrEmbeddingBag(nn.Module):
    """dlrm/tricks/md_embedding_bag.py"""

    def __init__(self, n, dim, base):
        super().__init__()
        self.embs = nn.EmbeddingBag(n, dim, mode="sum")
        self.proj = nn.Identity() if dim == base else nn.Linear(dim, base, bias=False)

    def forward(self, ids, w):
        return self.proj(self.embs(ids, per_sample_weights=w))


class Full(nn.EmbeddingBag):
    def __init__(self, n, dim):
        super().__init__(n, dim, mode="sum")

    def forward(self, ids, w):
        return super().forward(ids, per_sample_weights=w)


class Polynomial(nn.Module):
    """c_0 + c_1 x + ... with trained coefficients; chebyshev: of T_k(x / chebyshev)."""

    def __init__(self, degree, chebyshev=0):
        super().__init__()
        self.chebyshev = chebyshev
        self.coefficients = nn.Parameter(torch.randn(degree + 1) / 8.0 ** torch.arange(degree + 1))

    def forward(self, x):
        t = x / self.chebyshev if self.chebyshev else x
        terms = [torch.ones_like(t), t]
        while len(terms) < len(self.coefficients):
            terms.append(2 * t * terms[-1] - terms[-2] if self.chebyshev else t * terms[-1])
        return sum(c * v for c, v in zip(self.coefficients, terms))


class DLRM(nn.Module):
    """facebookresearch/dlrm, dlrm_s_pytorch.py"""

    def __init__(self, sizes, dim, bot, top, op="dot", itself=False, act=nn.ReLU, bias=True, qr=None, md=None,
                 pooling=False, norm=False, dropout=False, bottom_last=True):
        super().__init__()
        self.op, self.itself = op, itself
        width = 2 * dim if qr == "concat" else dim
        tables = []
        for i, n in enumerate(sizes):
            if qr and (qr == "concat" or i % 3 == 0):
                tables.append(QREmbeddingBag(n, dim, min(n, 4 + i % 2), qr))
            elif md and i % 3 == 1:
                tables.append(PrEmbeddingBag(n, md, dim))
            elif md and i % 3 == 2:
                tables.append(PrEmbeddingBag(n, dim, dim))
            else:
                tables.append(Full(n, dim))
        self.emb_l = nn.ModuleList(tables)
        if pooling:
            self.v_W_l = nn.ParameterList([nn.Parameter(torch.rand(n) + 0.5) for n in sizes])
        x = bot[-1] if bot else 0
        if bot:
            self.bot_l = sequential(bot, act, bias=bias, norm=norm, dropout=dropout, plain_last=not bottom_last)
        k = len(sizes) + (1 if bot else 0)
        pairs = k * (k + 1) // 2 if itself else k * (k - 1) // 2
        self.top_l = sequential([x + (width * len(sizes) if op == "cat" else pairs)] + top, act, nn.Sigmoid, bias=bias)

    def forward(self, dense, ids):
        vectors = [self.bot_l(dense)] if hasattr(self, "bot_l") else []
        for k, table in enumerate(self.emb_l):
            w = self.v_W_l[k].gather(0, ids[:, k]).unsqueeze(1) if hasattr(self, "v_W_l") else None
            vectors.append(table(ids[:, k:k + 1], w))
        if self.op == "cat":
            z = torch.cat(vectors, 1)
        else:
            T = torch.stack(vectors, 1)
            Z = torch.bmm(T, T.transpose(1, 2))
            offset = 1 if self.itself else 0
            li = torch.tensor([i for i in range(Z.shape[1]) for _ in range(i + offset)])
            lj = torch.tensor([j for i in range(Z.shape[1]) for j in range(i + offset)])
            z = torch.cat(([vectors[0]] if hasattr(self, "bot_l") else []) + [Z[:, li, lj]], 1)
        return self.top_l[:-1](z).flatten()  # the last is the sigmoid


class Perceptron(nn.Module):
    def __init__(self, i, o, act, bias=True):
        super().__init__()
        self._linear, self._act = nn.Linear(i, o, bias=bias), act()

    def forward(self, x):
        return self._act(self._linear(x))


class MLP(nn.Module):
    """torchrec/modules/mlp.py"""

    def __init__(self, widths, act=nn.ReLU):
        super().__init__()
        self._mlp = nn.Sequential(*[Perceptron(a, b, act) for a, b in zip(widths, widths[1:])])

    def forward(self, x):
        return self._mlp(x)


class Holder(nn.Module):
    def __init__(self, **parts):
        super().__init__()
        for name, part in parts.items():
            setattr(self, name, part)


class TorchRecDLRM(nn.Module):
    """torchrec/models/dlrm.py: DLRM, and DLRM_DCN with `cross` layers (rank 0: CrossNet)"""

    def __init__(self, sizes, names, dim, bot, top, cross=0, rank=0, act=nn.ReLU):
        super().__init__()
        self.names = names
        bags = nn.ModuleDict({"t_" + n: nn.EmbeddingBag(s, dim, mode="sum") for n, s in zip(names, sizes)})
        self.sparse_arch = Holder(embedding_bag_collection=Holder(embedding_bags=bags))
        self.dense_arch = Holder(model=MLP(bot + [dim], act))
        width = (len(sizes) + 1) * dim
        if cross:
            low = rank or width
            p = lambda *s: nn.ParameterList([nn.Parameter(torch.randn(*s) / low ** 0.5 / 2) for _ in range(cross)])
            b = nn.ParameterList([nn.Parameter(torch.randn(width) / 8 if rank else torch.randn(width, 1) / 8) for _ in range(cross)])
            net = Holder(W_kernels=p(width, rank), V_kernels=p(rank, width), bias=b) if rank else Holder(kernels=p(width, width), bias=b)
            self.inter_arch = Holder(crossnet=net)
        else:
            k = len(sizes) + 1
            width = dim + k * (k - 1) // 2
        self.over_arch = Holder(model=nn.Sequential(MLP([width] + top[:-1], act), nn.Linear(top[-2], top[-1])))
        self.cross, self.rank = cross, rank

    def forward(self, dense, ids):
        x = self.dense_arch.model(dense)
        bags = self.sparse_arch.embedding_bag_collection.embedding_bags
        T = torch.stack([x] + [bags["t_" + n](ids[:, k:k + 1]) for k, n in enumerate(self.names)], 1)
        if self.cross:
            x0 = xl = T.reshape(T.shape[0], -1)
            net = self.inter_arch.crossnet
            for l in range(self.cross):
                w = F.linear(F.linear(xl, net.V_kernels[l]), net.W_kernels[l]) if self.rank else xl @ net.kernels[l].T
                xl = x0 * (w + net.bias[l].flatten()) + xl
            return self.over_arch.model(xl).flatten()
        Z = torch.bmm(T, T.transpose(1, 2))
        li, lj = torch.triu_indices(T.shape[1], T.shape[1], offset=1)
        return self.over_arch.model(torch.cat([x, Z[:, li, lj]], 1)).flatten()


def fm(vectors):
    return 0.5 * (vectors.sum(1) ** 2 - (vectors ** 2).sum(1)).sum(1)


class DeepCTR(nn.Module):
    """deepctr_torch/models/deepfm.py and wdl.py (without pairs)"""

    def __init__(self, sizes, names, dim, dense, hidden, pairs=True, norm=False, act=nn.ReLU, dense_in_dnn=True):
        super().__init__()
        self.names, self.pairs, self.dense, self.norm = names, pairs, dense, norm
        table = lambda d: nn.ModuleDict({n: nn.Embedding(s, d) for n, s in zip(names, sizes)})
        self.embedding_dict = table(dim)
        self.linear_model = Holder(embedding_dict=table(1))
        if dense:
            self.linear_model.weight = nn.Parameter(torch.randn(dense, 1) / 4)
        self.dense_in_dnn = dense_in_dnn
        if hidden:
            w = [dim * len(sizes) + (dense if dense_in_dnn else 0)] + hidden
            self.dnn = Holder(linears=nn.ModuleList([nn.Linear(a, b) for a, b in zip(w, w[1:])]),
                              activation_layers=nn.ModuleList([act() for _ in hidden]))
            if norm:
                self.dnn.bn = nn.ModuleList([nn.BatchNorm1d(h) for h in hidden])
            self.dnn_linear = nn.Linear(hidden[-1], 1, bias=False)
        self.out = Holder(bias=nn.Parameter(torch.randn(1)))

    def forward(self, x, ids):
        vectors = torch.stack([self.embedding_dict[n](ids[:, k]) for k, n in enumerate(self.names)], 1)
        logit = sum(self.linear_model.embedding_dict[n](ids[:, k]).flatten() for k, n in enumerate(self.names))
        if self.dense:
            logit = logit + (x @ self.linear_model.weight).flatten()
        if self.pairs:
            logit = logit + fm(vectors)
        if hasattr(self, "dnn"):
            h = vectors.flatten(1)
            if self.dense_in_dnn:
                h = torch.cat([h, x], 1)
            for i, layer in enumerate(self.dnn.linears):
                h = layer(h)
                if self.norm:
                    h = self.dnn.bn[i](h)
                h = self.dnn.activation_layers[i](h)
            logit = logit + self.dnn_linear(h).flatten()
        return logit + self.out.bias


class PytorchFM(nn.Module):
    """rixwew/pytorch-fm: fm.py, dfm.py, wd.py, fnn.py"""

    def __init__(self, sizes, dim, mlp, pairs=True, linear=True, norm=True):
        super().__init__()
        self.pairs = pairs
        self.offsets = torch.tensor([0] + sizes[:-1]).cumsum(0)
        self.embedding = Holder(embedding=nn.Embedding(sum(sizes), dim))
        if linear:
            self.linear = Holder(fc=nn.Embedding(sum(sizes), 1), bias=nn.Parameter(torch.randn(1)))
        if mlp:
            body = sequential([dim * len(sizes)] + mlp, nn.ReLU, norm=norm, dropout=True)
            self.mlp = Holder(mlp=nn.Sequential(*body, nn.Linear(mlp[-1], 1)))

    def forward(self, dense, ids):
        ids = ids + self.offsets
        vectors = self.embedding.embedding(ids)
        logit = 0
        if hasattr(self, "linear"):
            logit = self.linear.fc(ids).sum(1).flatten() + self.linear.bias
        if self.pairs:
            logit = logit + fm(vectors)
        if hasattr(self, "mlp"):
            logit = logit + self.mlp.mlp(vectors.flatten(1)).flatten()
        return logit


def settle(model):
    """Batch normalisations with statistics of their own, random factors; ready to score."""
    for m in model.modules():
        if isinstance(m, nn.BatchNorm1d):
            m.running_mean.normal_(0, 0.3)
            m.running_var.uniform_(0.3, 2)
            nn.init.uniform_(m.weight, 0.5, 1.5)
            nn.init.normal_(m.bias, 0, 0.3)
        if isinstance(m, (nn.Embedding, nn.EmbeddingBag)):
            nn.init.normal_(m.weight, 0, 0.4)
    return model.eval()
