"""Models of PyTorch: modules walked by torch.fx, and checkpoints.

    model = helrm.torch.convert(module, columns)
    model = helrm.torch.load("model.pt", columns, module)      # weights_only=True
"""
from __future__ import annotations

import io
import operator
from pathlib import Path
from typing import Any, Callable, Mapping, NamedTuple, Optional, Sequence, Union

import torch
import torch.fx
from torch import nn

from .errors import Unsupported
from .graph import Graph, Node, describe, without_learned
from .model import Model

#: Modules that `helrm import` knows by the names of their tensors.
IMPORTED = {"DLRM_Net": "facebookresearch/dlrm", "DLRM": "torchrec", "DLRM_DCN": "torchrec"}


class _Batch:
    """The number of records, where a module asks for it."""

    def __repr__(self) -> str:
        return "the batch size"


BATCH = _Batch()


class _Ids(NamedTuple):
    """Ids of categories: one column, or several side by side."""

    columns: tuple[str, ...]
    alone: bool  # [batch], not [batch][columns]


class _Beside(NamedTuple):
    """What only says how ids lie: offsets and weights of bags."""

    name: str


class _Tensor(NamedTuple):
    """A node whose elements are seen in a shape, without the batch; parts: the nodes it is a
    concatenation of."""

    node: Node
    shape: tuple[int, ...]
    parts: tuple[Node, ...] = ()
    transposed: bool = False
    logit: Optional[Node] = None  # what a sigmoid was taken of


class _Gram(NamedTuple):
    """All products of vectors."""

    rows: tuple[Node, ...]


Value = Any


def _size(shape: Sequence[int]) -> int:
    n = 1
    for s in shape:
        n *= s
    return n


def _array(t: Any) -> Any:
    return t.detach().to("cpu", torch.float64).numpy()


ACTIVATIONS: dict[type, Callable[[Any], dict[str, Any]]] = {
    nn.ReLU: lambda m: {"kind": "relu"},
    nn.SiLU: lambda m: {"kind": "silu"},
    nn.Sigmoid: lambda m: {"kind": "sigmoid"},
    nn.GELU: lambda m: {"kind": "gelu" if m.approximate == "none" else "gelu_tanh"},
    nn.LeakyReLU: lambda m: {"kind": "leaky_relu", "a": m.negative_slope},
    nn.ELU: lambda m: {"kind": "elu", "a": m.alpha},
    nn.SELU: lambda m: {"kind": "selu"},
    nn.Mish: lambda m: {"kind": "mish"},
    nn.Tanh: lambda m: {"kind": "tanh"},
    nn.ReLU6: lambda m: {"kind": "relu6"},
    nn.Hardsigmoid: lambda m: {"kind": "hardsigmoid"},
    nn.Hardswish: lambda m: {"kind": "hardswish"},
}

FUNCTIONS = {
    "relu": "relu", "silu": "silu", "sigmoid": "sigmoid", "tanh": "tanh", "selu": "selu",
    "mish": "mish", "relu6": "relu6", "hardsigmoid": "hardsigmoid", "hardswish": "hardswish",
    "square": "square", "softplus": "softplus",
}


class _Walk:
    """One module, node by node."""

    def __init__(self, graph: Graph, inputs: Mapping[str, Any]) -> None:
        self.g = graph
        self.inputs = dict(inputs)
        self.category = {c["name"]: c for c in graph.columns["columns"]
                         if c["kind"] in ("category", "bag")}
        self.unnamed = 0

    # --- nodes --------------------------------------------------------------------------------

    def tensor(self, node: Node, shape: Optional[Sequence[int]] = None,
               parts: Sequence[Node] = ()) -> _Tensor:
        return _Tensor(node, tuple(shape) if shape is not None else (node.width,), tuple(parts))

    def select(self, x: Node, places: Sequence[int]) -> Node:
        """Some elements: a matrix of ones that the compiler multiplies into what reads it."""
        import numpy
        if list(places) == list(range(x.width)):
            return x
        w = numpy.zeros((len(places), x.width), dtype=numpy.float32)
        w[numpy.arange(len(places)), numpy.asarray(places, dtype=int)] = 1
        return self.g.linear(x, w)

    def spread(self, x: _Tensor, shape: Sequence[int]) -> Node:
        """Broadcast over leading and unit dimensions."""
        import numpy
        if tuple(shape) == x.shape:
            return x.node
        places = numpy.broadcast_to(numpy.arange(x.node.width).reshape(x.shape), shape)
        return self.select(x.node, places.reshape(-1).tolist())

    def rows(self, x: _Tensor) -> tuple[Node, ...]:
        """The vectors of a tensor [n][d]."""
        n, d = x.shape
        if len(x.parts) == n and all(p.width == d for p in x.parts):
            return x.parts
        return tuple(self.select(x.node, range(i * d, (i + 1) * d)) for i in range(n))

    # --- inputs -------------------------------------------------------------------------------

    def dense(self, names: Sequence[str]) -> _Tensor:
        node = self.g.dense()
        try:
            places = [self.g.dense_names.index(n) for n in names]
        except ValueError:
            raise Unsupported(f"{', '.join(names)}: not all are dense columns") from None
        return self.tensor(self.select(node, places))

    def placeholder(self, name: str, beside: bool) -> Value:
        """What a parameter of forward() is: as `inputs` says, the column it is called by, or the
        dense columns first and the categories next."""
        if beside:
            return _Beside(name)
        said = self.inputs.get(name)
        if said is None and (name in self.category or name in self.g.dense_names):
            said = name
        if said is None:
            order = [g for g in (self.g.dense_names, list(self.category)) if g]
            if self.unnamed >= len(order):
                raise Unsupported(f"the parameter '{name}' of forward() is no column: say what it is, "
                                  f"inputs={{'{name}': [column, ...]}}")
            said = order[self.unnamed]
            self.unnamed += 1
        names = [said] if isinstance(said, str) else list(said)
        if all(n in self.category for n in names):
            return _Ids(tuple(names), isinstance(said, str))
        return self.dense(names)

    # --- embeddings ---------------------------------------------------------------------------

    def _table(self, ids: Value, where: str) -> str:
        if not isinstance(ids, _Ids) or len(ids.columns) != 1:
            raise Unsupported(f"{where}: its ids are not those of one column")
        return ids.columns[0]

    def embedding(self, m: Any, ids: Value, where: str) -> _Tensor:
        if not isinstance(ids, _Ids):
            raise Unsupported(f"{where}: its ids are not those of a column")
        if m.max_norm is not None:
            raise Unsupported(f"{where}: max_norm changes rows while it scores")
        nodes = []
        for column in ids.columns:
            if self.category[column]["kind"] != "category":
                raise Unsupported(f"{where}: column '{column}' is a bag, an Embedding takes one id")
            nodes.append(self.g.embed(column, _array(m.weight)))
        if ids.alone:
            return self.tensor(nodes[0])
        return self.tensor(self.g.concat(nodes), (len(nodes), nodes[0].width), nodes)

    def bag(self, m: Any, ids: Value, weights: Value, where: str) -> _Tensor:
        column = self.category[self._table(ids, where)]
        name = column["name"]
        if m.mode not in ("sum", "mean"):
            raise Unsupported(f"{where}: mode '{m.mode}' is not linear; sum and mean are taken")
        if m.max_norm is not None:
            raise Unsupported(f"{where}: max_norm changes rows while it scores")
        if column["kind"] == "bag":
            pool = column.get("pool", "sum")
            if pool != m.mode:
                raise Unsupported(f"{where}: its mode is '{m.mode}', column '{name}' says \"pool\": "
                                  f"\"{pool}\"")
            if (weights is not None) != ("weight" in column):
                raise Unsupported(f"{where}: per_sample_weights and \"weight\" of column '{name}' go "
                                  "together")
        elif weights is not None:
            raise Unsupported(f"{where}: weights are of a bag, column '{name}' is a category")
        held = _array(m.weight)
        if m.padding_idx is not None:
            held = held.copy()
            held[m.padding_idx] = 0
        return self.tensor(self.g.embed(name, held))

    # --- layers -------------------------------------------------------------------------------

    def linear(self, x: _Tensor, weight: Any, bias: Any) -> _Tensor:
        if len(x.shape) == 1:
            return self.tensor(self.g.linear(x.node, weight, bias))
        nodes = [self.g.linear(r, weight, bias)
                 for r in self.rows(self.reshape(x, (_size(x.shape[:-1]), x.shape[-1])))]
        return self.tensor(self.g.concat(nodes), (*x.shape[:-1], nodes[0].width), nodes)

    def activate(self, x: _Tensor, said: Mapping[str, Any]) -> _Tensor:
        more = {k: v for k, v in said.items() if k != "kind"}
        if said["kind"] == "sigmoid" and x.node.width == 1:
            # a node is made where somebody reads it: of the last one nobody does
            return _Tensor(x.node, x.shape, x.parts, False, x.node)
        return self.tensor(self.g.activation(x.node, said["kind"], **more), x.shape)

    def plain(self, v: Value) -> Value:
        """A sigmoid that something is done with, as a node."""
        if isinstance(v, _Tensor) and v.logit is not None:
            return self.tensor(self.g.activation(v.logit, "sigmoid"), v.shape)
        return v

    def batchnorm(self, m: Any, x: _Tensor, where: str) -> _Tensor:
        import numpy
        if m.running_mean is None:
            raise Unsupported(f"{where}: without running statistics a score depends on the batch")
        if len(x.shape) != 1 and _size(x.shape) != m.num_features:
            raise Unsupported(f"{where}: a normalisation over {len(x.shape)} dimensions")
        scale = 1 / numpy.sqrt(_array(m.running_var) + m.eps)
        if m.weight is not None:
            scale = scale * _array(m.weight)
        shift = -_array(m.running_mean) * scale
        if m.bias is not None:
            shift = shift + _array(m.bias)
        return self.tensor(self.g.linear(x.node, numpy.diag(scale), shift), x.shape)

    def module(self, m: Any, args: Sequence[Value], kwargs: Mapping[str, Value], where: str) -> Value:
        if isinstance(m, nn.EmbeddingBag):
            weights = kwargs.get("per_sample_weights", args[2] if len(args) > 2 else None)
            ids = args[0] if args else kwargs["input"]
            return self.bag(m, ids, weights, where)
        if isinstance(m, nn.Embedding):
            return self.embedding(m, args[0], where)
        x = args[0] if args else next(iter(kwargs.values()))
        if isinstance(m, nn.Sequential):
            for k, inner in enumerate(m):
                x = self.module(inner, [x], {}, f"{where}.{k} ({type(inner).__name__})")
            return x
        if isinstance(m, (nn.Dropout, nn.Identity)) and (not m.training or isinstance(m, nn.Identity)):
            return x
        if not isinstance(x, _Tensor):
            raise Unsupported(f"{where}: what it takes is no tensor of numbers")
        x = self.plain(x)
        if isinstance(m, nn.Linear):
            return self.linear(x, _array(m.weight), None if m.bias is None else _array(m.bias))
        if isinstance(m, nn.BatchNorm1d):
            return self.batchnorm(m, x, where)
        if isinstance(m, nn.Flatten):
            return self.reshape(x, (_size(x.shape),))
        if isinstance(m, nn.Softplus) and m.beta == 1:
            return self.activate(x, {"kind": "softplus"})
        if isinstance(m, nn.Hardtanh) and (m.min_val, m.max_val) in ((-1, 1), (0, 6)):
            return self.activate(x, {"kind": "hardtanh" if m.min_val else "relu6"})
        said = ACTIVATIONS.get(type(m))
        if said is None:
            raise Unsupported(f"{where}: {type(m).__name__} has no meaning here; docs/python.md lists "
                              "what has")
        return self.activate(x, said(m))

    # --- shapes -------------------------------------------------------------------------------

    def reshape(self, x: _Tensor, shape: Sequence[Any]) -> _Tensor:
        """shape: without the batch, -1 for what is left."""
        want = [int(s) for s in shape]
        if want.count(-1) == 1:
            known = -_size(want)
            if known <= 0 or _size(x.shape) % known:
                raise Unsupported(f"elements of shape {x.shape} do not make {tuple(shape)}")
            want[want.index(-1)] = _size(x.shape) // known
        if _size(want) != _size(x.shape) or x.transposed:
            raise Unsupported(f"elements of shape {x.shape} do not make {tuple(shape)}")
        return _Tensor(x.node, tuple(want), x.parts, False, x.logit)

    def view(self, x: _Tensor, shape: Sequence[Any]) -> _Tensor:
        if len(shape) == 1 and isinstance(shape[0], (tuple, list, torch.Size)):
            shape = shape[0]
        first, rest = shape[0], list(shape[1:])
        if first is BATCH or (first == -1 and -1 not in rest and (not rest or _size(rest) == _size(x.shape))):
            return self.reshape(x, rest)
        raise Unsupported(f"a view as {tuple(shape)}: its first dimension must be the batch")

    def axis(self, x: _Tensor, dim: int, more: int = 0) -> int:
        """A dimension's number without the batch."""
        at = dim - 1 if dim >= 0 else len(x.shape) + more + dim
        if not 0 <= at < len(x.shape) + more:
            raise Unsupported("an operation over the batch")
        return at

    def cat(self, values: Sequence[Value], dim: int) -> Value:
        values = [self.plain(v) for v in values]
        if all(isinstance(v, _Ids) for v in values):
            return _Ids(tuple(c for v in values for c in v.columns), False)
        if not all(isinstance(v, _Tensor) for v in values):
            raise Unsupported("a concatenation of numbers and ids")
        at = self.axis(values[0], dim)
        if at == 0:
            parts = [p for v in values for p in (v.parts or (v.node,))]
            node = self.g.concat([v.node for v in values])
            return self.tensor(node, (sum(v.shape[0] for v in values), *values[0].shape[1:]), parts)
        import numpy
        places, first = [], 0
        for v in values:
            places.append(first + numpy.arange(v.node.width).reshape(v.shape))
            first += v.node.width
        joined = numpy.concatenate(places, axis=at)
        node = self.select(self.g.concat([v.node for v in values]), joined.reshape(-1).tolist())
        return self.tensor(node, joined.shape)

    def stack(self, values: Sequence[Value], dim: int) -> Value:
        values = [self.plain(v) for v in values]
        if all(isinstance(v, _Tensor) for v in values):
            at = self.axis(values[0], dim, 1)
            return self.cat([self.reshape(v, (*v.shape[:at], 1, *v.shape[at:])) for v in values],
                            at + 1)
        return self.cat(values, dim)

    def item(self, x: Value, index: Any) -> Value:
        import numpy
        if isinstance(x, (list, tuple)) and not isinstance(x, (_Tensor, _Ids, _Gram, _Beside)):
            return x[index]
        index = index if isinstance(index, tuple) else (index,)
        if index[0] != slice(None):
            raise Unsupported("some of a batch's records")
        rest = tuple(i.tolist() if isinstance(i, torch.Tensor) else i for i in index[1:])
        if isinstance(x, _Ids):
            if len(rest) != 1:
                raise Unsupported(f"ids are picked by one index, not by {rest}")
            picked = numpy.asarray(x.columns, dtype=object)[rest[0]]
            return _Ids((picked,), True) if isinstance(picked, str) else _Ids(tuple(picked), False)
        if isinstance(x, _Gram):
            return self.pairs(x, rest)
        if not isinstance(x, _Tensor):
            raise Unsupported(f"an element of {x!r}")
        x = self.plain(x)
        places = numpy.arange(x.node.width).reshape(x.shape)[rest]
        return self.tensor(self.select(x.node, places.reshape(-1).tolist()), places.shape or (1,))

    def pairs(self, x: _Gram, index: Sequence[Any]) -> _Tensor:
        """Products of pairs, in any order: those below the diagonal, or above, are one node."""
        if len(index) != 2 or not all(isinstance(i, (list, tuple)) for i in index):
            raise Unsupported("products of pairs are picked by two lists")
        n = len(x.rows)
        wanted = list(zip(index[0], index[1]))
        for own in (False, True):
            for order in ("lower", "upper"):
                listed = [(i, j) for i in range(n) for j in range(n)
                          if (own and i == j) or (i > j if order == "lower" else i < j)]
                if wanted == listed:
                    return self.tensor(self.g.dot(x.rows, order=order, self_products=own))
        own = any(i == j for i, j in wanted)
        listed = [(i, j) for i in range(n) for j in range(i + own)]
        node = self.g.dot(x.rows, order="lower", self_products=own)
        return self.tensor(self.select(node, [listed.index((max(p), min(p))) for p in wanted]))

    def whole(self, x: _Gram) -> _Tensor:
        """All products as a matrix."""
        n = len(x.rows)
        listed = [(i, j) for i in range(n) for j in range(i + 1)]
        node = self.g.dot(x.rows, order="lower", self_products=True)
        return self.tensor(self.select(node, [listed.index((max(i, j), min(i, j)))
                                              for i in range(n) for j in range(n)]), (n, n))

    # --- arithmetic ---------------------------------------------------------------------------

    def constant(self, like: _Tensor, value: Any) -> Any:
        """Numbers of a parameter, or of one number, in the shape of a tensor."""
        import numpy
        held = _array(value) if isinstance(value, torch.Tensor) else float(value)
        return numpy.broadcast_to(held, like.shape).reshape(-1)

    def combine(self, a: Value, b: Value, op: str) -> Value:
        import numpy
        a, b = self.plain(a), self.plain(b)
        a, b = (self.whole(v) if isinstance(v, _Gram) else v for v in (a, b))
        if not isinstance(a, _Tensor) and not isinstance(b, _Tensor):
            return {"add": operator.add, "sub": operator.sub, "mul": operator.mul}[op](a, b)
        if isinstance(a, _Tensor) and isinstance(b, _Tensor):
            shape = tuple(numpy.broadcast_shapes(a.shape, b.shape))
            left, right = self.spread(a, shape), self.spread(b, shape)
            if op == "mul":
                return self.tensor(self.g.multiply(left, right), shape)
            return self.tensor(
                self.g.add([left, self.g.scale(right, -1) if op == "sub" else right]), shape)
        x, constant = (a, b) if isinstance(a, _Tensor) else (b, a)
        if not isinstance(constant, (int, float, torch.Tensor)):
            raise Unsupported(f"{op} of a tensor and {constant!r}")
        if isinstance(constant, torch.Tensor) and constant.dim() > len(x.shape):
            constant = constant.reshape(x.shape) if constant.shape[0] == 1 else constant
        held = self.constant(x, constant)
        if op == "mul":
            if numpy.all(held == held[0]):
                return self.tensor(self.g.scale(x.node, float(held[0])), x.shape)
            return self.tensor(self.g.linear(x.node, numpy.diag(held)), x.shape)
        sign = -1.0 if op == "sub" and x is b else 1.0
        if op == "sub" and x is a:
            held = -held
        eye = sign * numpy.eye(x.node.width)
        return self.tensor(self.g.linear(x.node, eye, held), x.shape)

    def reduce(self, x: Value, dim: Any, keep: bool, mean: bool) -> _Tensor:
        import numpy
        x = self.plain(self.whole(x) if isinstance(x, _Gram) else x)
        dims = [dim] if isinstance(dim, int) else list(dim or ())
        if not dims:
            raise Unsupported("a sum over the batch")
        axes = tuple(self.axis(x, d) for d in dims)
        shape = [1 if i in axes else s for i, s in enumerate(x.shape)]
        places = numpy.broadcast_to(numpy.arange(_size(shape)).reshape(shape), x.shape).reshape(-1)
        w = numpy.zeros((_size(shape), x.node.width))
        w[places, numpy.arange(x.node.width)] = _size(shape) / x.node.width if mean else 1
        kept = shape if keep else [s for i, s in enumerate(x.shape) if i not in axes]
        return self.tensor(self.g.linear(x.node, w), kept or (1,))

    def matmul(self, a: Value, b: Value) -> Value:
        a, b = self.plain(a), self.plain(b)
        if isinstance(a, _Tensor) and isinstance(b, torch.Tensor):
            held = _array(b)
            return self.linear(a, held.T if held.ndim == 2 else held.reshape(1, -1), None)
        if isinstance(b, _Tensor) and isinstance(a, torch.Tensor) and a.dim() == 2:
            if len(b.shape) == 2 and b.shape[1] == 1:
                return self.tensor(self.g.linear(b.node, _array(a)), (a.shape[0], 1))
        if isinstance(a, _Tensor) and isinstance(b, _Tensor) and len(a.shape) == len(b.shape) == 2:
            if b.transposed and not a.transposed and a.node == b.node:
                return _Gram(self.rows(a))
            if not a.transposed:
                left = self.rows(a)
                right = self.rows(_Tensor(b.node, b.shape[::-1], b.parts)) if b.transposed else tuple(
                    self.select(b.node, range(j, b.node.width, b.shape[1])) for j in range(b.shape[1]))
                nodes = [self.g.dot([p, q]) for p in left for q in right]
                return self.tensor(self.g.concat(nodes), (len(left), len(right)), nodes)
        raise Unsupported("a product of these matrices")

    def transpose(self, x: Value) -> Value:
        if isinstance(x, torch.Tensor):
            return x.T
        if isinstance(x, _Gram):
            return x
        if len(x.shape) != 2:
            raise Unsupported("only matrices are transposed")
        return _Tensor(x.node, x.shape[::-1], x.parts, not x.transposed)

    # --- calls --------------------------------------------------------------------------------

    def call(self, name: str, args: Sequence[Value], kw: Mapping[str, Value], where: str) -> Value:
        """A function or a method, by its name."""
        x = args[0] if args else None
        rest = list(args[1:])

        def arg(i: int, key: str, otherwise: Any) -> Any:
            return rest[i] if len(rest) > i else kw.get(key, otherwise)

        if name in ("add", "sub", "mul", "iadd", "imul", "isub", "subtract", "multiply"):
            if kw.get("alpha", 1) != 1:
                raise Unsupported("a sum with alpha")
            op = {"subtract": "sub", "multiply": "mul"}.get(name, name.removeprefix("i"))
            return self.combine(x, rest[0], op)
        if name in ("truediv", "div") and isinstance(rest[0], (int, float)):
            return self.combine(x, 1 / rest[0], "mul") if isinstance(x, _Tensor) else x / rest[0]
        if name in ("floordiv", "floor_divide") and not isinstance(x, _Tensor):
            return x // rest[0]
        if name == "neg":
            return self.combine(x, -1.0, "mul")
        if name == "pow" and rest[0] == 2 or name == "square":
            return self.activate(self.plain(x), {"kind": "square"})
        if name in ("cat", "concat", "concatenate"):
            return self.cat(x, int(arg(0, "dim", kw.get("axis", 0))))
        if name == "stack":
            return self.stack(x, int(arg(0, "dim", 0)))
        if name in ("bmm", "matmul", "mm"):
            return self.matmul(x, rest[0])
        if name == "linear":
            bias = arg(1, "bias", None)
            return self.linear(self.plain(x), _array(rest[0]), None if bias is None else _array(bias))
        if name == "getitem":
            return self.item(x, rest[0])
        if name in ("sum", "mean"):
            return self.reduce(x, arg(0, "dim", None), bool(arg(1, "keepdim", False)), name == "mean")
        if name in ("transpose", "swapaxes") and sorted(rest) in ([1, 2], [-2, -1]):
            return self.transpose(x)
        if name == "permute" and list(rest[0] if isinstance(rest[0], (tuple, list)) else rest) == [0, 2, 1]:
            return self.transpose(x)
        if name in ("t", "T"):
            return self.transpose(x)
        if name in ("view", "reshape"):
            return self.view(self.whole(x) if isinstance(x, _Gram) else x, rest)
        if name == "flatten":
            x = self.whole(x) if isinstance(x, _Gram) else x
            if isinstance(x, _Ids):
                return x
            if int(arg(0, "start_dim", 0)) != 1:
                raise Unsupported("flattened with the batch")
            return self.reshape(x, (_size(x.shape),))
        if name == "unsqueeze":
            if isinstance(x, _Ids):
                return _Ids(x.columns, False)
            at = self.axis(x, int(rest[0] if rest else kw["dim"]), 1)
            return self.reshape(x, (*x.shape[:at], 1, *x.shape[at:]))
        if name == "squeeze":
            if isinstance(x, _Ids):
                return _Ids(x.columns, len(x.columns) == 1)
            dim = arg(0, "dim", None)
            if dim is None:
                return self.reshape(x, [s for s in x.shape if s != 1] or (1,))
            if dim in (-1, len(x.shape)) and x.shape[-1] == 1:
                return self.reshape(x, x.shape[:-1] or (1,))
            at = self.axis(x, int(dim))
            return self.reshape(x, [s for i, s in enumerate(x.shape) if i != at or s != 1] or (1,))
        if name == "size":
            shape = (BATCH, *x.shape)
            return shape[rest[0]] if rest else shape
        if name in ("float", "double", "contiguous", "clone", "detach", "to", "long", "int", "type"):
            return x
        if name in ("dropout",):
            return x
        if name in ("tril_indices", "triu_indices"):
            return getattr(torch, name)(*args, **{k: v for k, v in kw.items() if k != "device"})
        if name == "gelu" and isinstance(x, _Tensor):
            kind = "gelu" if kw.get("approximate", "none") == "none" else "gelu_tanh"
            return self.activate(self.plain(x), {"kind": kind})
        if name in ("leaky_relu", "elu") and isinstance(x, _Tensor):
            a = arg(0, "negative_slope" if name == "leaky_relu" else "alpha",
                    0.01 if name == "leaky_relu" else 1.0)
            return self.activate(self.plain(x), {"kind": name, "a": float(a)})
        if name in FUNCTIONS and isinstance(x, _Tensor):
            return self.activate(self.plain(x), {"kind": FUNCTIONS[name]})
        raise Unsupported(f"{name}() has no meaning here; docs/python.md lists what has")


# --- tracing ----------------------------------------------------------------------------------


class _Tracer(torch.fx.Tracer):
    record_stack_traces = True


def _line(node: Any) -> str:
    """Where in the module's source a node was made."""
    trace = getattr(node, "stack_trace", None) or ""
    lines = [t.strip() for t in trace.splitlines() if t.strip().startswith("File ")]
    ours = [t for t in lines if "/torch/" not in t]
    return (ours or lines or ["(unknown line)"])[0].removeprefix("File ").replace('"', "")


def _traced(module: Any) -> Any:
    tracer = _Tracer()
    try:
        return tracer.trace(module)
    except Exception as e:  # control flow that depends on data, calls that fx cannot follow
        import traceback
        frames = [f for f in traceback.extract_tb(e.__traceback__) if "/torch/" not in f.filename
                  and not f.filename.endswith("helrm/torch.py")]
        where = f"{frames[-1].filename}, line {frames[-1].lineno}" if frames else "its forward()"
        raise Unsupported(f"{type(module).__name__}: torch.fx cannot follow {where}: {e}") from None


def _beside(traced: Any, module: Any) -> set[str]:
    """Parameters that only say how bags lie: offsets, and weights."""
    names = set()
    for node in traced.nodes:
        if node.op != "call_module" or not isinstance(module.get_submodule(node.target),
                                                      nn.EmbeddingBag):
            continue
        beside = [*node.args[1:3], node.kwargs.get("offsets"), node.kwargs.get("per_sample_weights")]
        names |= {a.name for a in beside if isinstance(a, torch.fx.Node) and a.op == "placeholder"}
    return names


def _attribute(module: Any, path: str) -> Any:
    for part in path.split("."):
        module = getattr(module, part)
    return module


def _walk(module: Any, w: _Walk) -> Value:
    traced = _traced(module)
    beside = _beside(traced, module)
    values: dict[Any, Value] = {}

    def look(a: Any) -> Any:
        return torch.fx.node.map_aggregate(a, lambda n: values[n] if isinstance(n, torch.fx.Node) else n)

    for node in traced.nodes:
        args, kwargs = look(node.args), look(node.kwargs)
        where = f"{type(module).__name__}, {_line(node)}"
        try:
            if node.op == "placeholder":
                values[node] = w.placeholder(str(node.target), node.name in beside)
            elif node.op == "get_attr":
                values[node] = _attribute(module, node.target)
            elif node.op == "call_module":
                inner = module.get_submodule(node.target)
                where = f"module '{node.target}' ({type(inner).__name__}), {_line(node)}"
                values[node] = w.module(inner, args, kwargs, f"'{node.target}'")
            elif node.op == "output":
                return args[0]
            else:
                name = node.target if node.op == "call_method" else node.target.__name__
                if name == "getattr" and args[1] == "shape":
                    values[node] = w.call("size", [args[0]], {}, where)
                elif name == "getattr":
                    values[node] = w.call(args[1], [args[0]], {}, where)
                else:
                    values[node] = w.call(name.strip("_"), args, kwargs, where)
        except Unsupported as e:
            raise Unsupported(f"{where}: {e}") from None
        except (ValueError, TypeError, KeyError, IndexError, AttributeError, ZeroDivisionError) as e:
            raise Unsupported(f"{where}: {type(e).__name__}: {e}") from None
    raise Unsupported(f"{type(module).__name__}: forward() returns nothing")


# --- what is public ---------------------------------------------------------------------------


def _imported(module: Any, described: Mapping[str, Any], config: Optional[Mapping[str, Any]]) -> Model:
    """A module of a library that `helrm import` knows, by the names of its tensors."""
    said: dict[str, Any] = dict(config or {})
    if type(module).__name__ == "DLRM_Net":
        for key, attribute in (("interaction", "arch_interaction_op"),
                               ("interaction_self", "arch_interaction_itself")):
            if hasattr(module, attribute):
                said.setdefault(key, getattr(module, attribute))
        towers = {tower: [type(layer).__name__ for layer in getattr(module, tower)]
                  for tower in ("bot_l", "top_l") if isinstance(getattr(module, tower, None), nn.Sequential)}
        if towers and "layers" not in said:
            said["layers"] = towers
    held = io.BytesIO()
    torch.save(module.state_dict(), held)
    return Model.load(held.getvalue(), _schema(described), config=said or None,
                      columns=without_learned(described))


def _schema(described: Mapping[str, Any]) -> dict[str, Any]:
    """What `helrm import` calls the schema: every row of every table."""
    dense = [{"name": c["name"], "mean": float(c.get("mean", 0)),
              "deviation": float(c.get("deviation", 1))}
             for c in described["columns"] if c["kind"] == "dense"]
    tables = []
    for c in described["columns"]:
        if c["kind"] not in ("category", "bag"):
            continue
        if c.get("values") == "modulo":
            tables.append({"name": c["name"]})
        elif "rows" in c:
            tables.append({"name": c["name"],
                           "values": [None if r is None else str(r) for r in c["rows"]]})
        else:
            raise ValueError(f"column '{c['name']}': say in 'rows' what each row of its table stands "
                             "for")
    return {"dataset": described["name"], "clip": 1000, "dense": dense, "tables": tables}


def convert(module: Any, columns: Any, *, inputs: Optional[Mapping[str, Any]] = None,
            config: Optional[Mapping[str, Any]] = None, name: str = "model",
            clip: float = 1000.0) -> Model:
    """A module as a model.

    columns: what a record has, as helrm.Graph takes it. inputs: which columns a parameter of
    forward() is ({"x": ["age", "seen"], "ids": ["user", "film"]}); those that are not said are the
    column they are called by, or the dense columns first and the categories next. A sigmoid at the
    end is the client's. Modules of facebookresearch/dlrm and TorchRec go by the names of their
    tensors (docs/import.md); config then says what names do not tell.

    Raises Unsupported with the module and the line that have no meaning here."""
    if not isinstance(module, nn.Module):
        raise TypeError(f"expected a torch.nn.Module, not {type(module).__name__}")
    described = describe(columns, name)
    if type(module).__name__ in IMPORTED:
        return _imported(module, described, config)
    training = module.training
    module.eval()
    try:
        graph = Graph(described, name=name, clip=clip)
        walk = _Walk(graph, inputs or {})
        out = _walk(module, walk)
    finally:
        module.train(training)
    if isinstance(out, _Gram):
        out = walk.whole(out)
    if not isinstance(out, _Tensor) or out.node.width != 1:
        raise Unsupported(f"{type(module).__name__}: forward() must return one number for a record")
    graph.keep(out.node)
    return graph.model()


def load(path: Union[str, Path], columns: Any, module: Optional[Any] = None, **options: Any) -> Model:
    """A file of torch.save with a state dict, read with weights_only=True: into `module`, which is
    converted; without one, a checkpoint of a library that docs/import.md lists."""
    if module is None:
        described = describe(columns)
        return Model.load(path, _schema(described), config=options.get("config"),
                          columns=without_learned(described))
    state = torch.load(str(path), map_location="cpu", weights_only=True)
    module.load_state_dict(state)
    return convert(module, columns, **options)
