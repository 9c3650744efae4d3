"""Models built by hand: a graph of named nodes over a record's columns (docs/models.md)."""
from __future__ import annotations

import json
import struct
import tempfile
from pathlib import Path
from typing import Any, Iterable, Mapping, NamedTuple, Optional, Sequence, Union

from .model import Model

#: Keys of a column that say what a model learned of it; the others describe cells (docs/data.md).
LEARNED = ("mean", "deviation", "low", "high", "least", "most", "rows")


class Node(NamedTuple):
    """A value of the graph: what it is called, and how many elements it has."""

    name: str
    width: int


def describe(columns: Union[str, Mapping[str, Any], Sequence[Mapping[str, Any]]],
             name: str = "columns") -> dict[str, Any]:
    """A description of columns out of a list of them, its JSON or a file of it."""
    given: Any = columns
    if isinstance(columns, str):
        text = columns if columns.lstrip()[:1] in ("{", "[") else Path(columns).read_text()
        given = json.loads(text)
    if not isinstance(given, Mapping):
        given = {"name": name, "columns": given}
    said: dict[str, Any] = {"helrm_columns": 1, "name": name, "small": True, **given}
    listed: list[dict[str, Any]] = [dict(c) for c in said["columns"]]
    if not any(c.get("kind") == "label" for c in listed):
        taken = {c["name"] for c in listed}
        label = next(n for n in ("label", "_label", "_label_") if n not in taken)
        listed.append({"name": label, "kind": "label"})
    said["columns"] = listed
    return said


def without_learned(described: Mapping[str, Any]) -> dict[str, Any]:
    return {**described, "columns": [{k: v for k, v in c.items() if k not in LEARNED}
                                     for c in described["columns"]]}


def _texts(rows: Iterable[Any]) -> list[Optional[str]]:
    return [None if r is None else str(r) for r in rows]


class Table:
    """What the rows of an embedding stand for, and their order in a model's file: the missing
    value's first, then sorted texts, or ids as they are."""

    def __init__(self, column: Mapping[str, Any]) -> None:
        self.name: str = column["name"]
        self.bag = column["kind"] == "bag"
        self.modulo: Optional[int] = column.get("modulo") if column.get("values") == "modulo" else None
        if column.get("values") == "hashed":
            raise ValueError(f"column {self.name!r}: the values of an embedding are listed (rows), or "
                             "ids modulo its rows")
        rows = column.get("rows")
        self.rows = None if rows is None else _texts(rows)

    def order(self, count: int) -> "tuple[list[int], dict[str, Any]]":
        """For each row of the file the embedding's, -1 for zeros; and the schema's table."""
        if self.modulo is not None:
            if count != self.modulo:
                raise ValueError(f"column {self.name!r}: ids are taken modulo {self.modulo}, its "
                                 f"embedding has {count} rows")
            return [-1, *range(count)], {"name": self.name, "base": count, "digits": 1,
                                         "modulo": True}
        rows = self.rows if self.rows is not None else [str(i) for i in range(count)]
        if len(rows) != count:
            raise ValueError(f"column {self.name!r}: 'rows' names {len(rows)} values, its embedding "
                             f"has {count} rows")
        missing = next((i for i, r in enumerate(rows) if r == ""), None)
        if missing is None:
            missing = next((i for i, r in enumerate(rows) if r is None), -1)
        known = sorted(((r, i) for i, r in enumerate(rows) if r), key=lambda p: p[0].encode())
        texts = [r for r, _ in known]
        if len(set(texts)) != len(texts):
            raise ValueError(f"column {self.name!r}: 'rows' names a value twice")
        return ([-1 if self.bag else missing, *(i for _, i in known)],
                {"name": self.name, "base": 0, "digits": 1, "values": texts})


class Graph:
    """Builds a model node by node; the last one is the logit. Weights are arrays of NumPy.

    columns: a description as in docs/data.md, or a list of columns. Three keys say what was learned:
    `mean` and `deviation` of dense ones (0 and 1), `rows` of categories and bags: what each row of
    the embedding stands for, "" for a missing value, None for all that are not listed (default: row
    i stands for the text of i)."""

    def __init__(self, columns: Any, *, name: str = "graph", clip: float = 1000.0) -> None:
        self.columns = describe(columns, name)
        self._clip = clip
        self._nodes: list[dict[str, Any]] = []
        self._widths: dict[str, int] = {}
        self._weights: "dict[str, Any]" = {}
        self._tables = {c["name"]: Table(c) for c in self.columns["columns"]
                        if c["kind"] in ("category", "bag")}
        self._schema: dict[str, dict[str, Any]] = {}
        self._embedded: dict[Any, Node] = {}
        self._activation: Optional[dict[str, Any]] = None
        #: Names of the dense columns, in order.
        self.dense_names = [c["name"] for c in self.columns["columns"] if c["kind"] == "dense"]

    def _add(self, name: Optional[str], kind: str, elements: int, inputs: Sequence[Node] = (), /,
             **more: Any) -> Node:
        name = name or f"{kind}{len(self._nodes)}"
        if name in self._widths:
            raise ValueError(f"two nodes are called {name!r}")
        for i in inputs:
            if self._widths.get(i.name) != i.width:
                raise ValueError(f"{i.name!r} is no node of this graph")
        node: dict[str, Any] = {"name": name, "kind": kind, **more}
        if inputs:
            node["inputs"] = [i.name for i in inputs]
        self._nodes.append(node)
        self._widths[name] = elements
        return Node(name, elements)

    # --- inputs -------------------------------------------------------------------------------

    def dense(self) -> Node:
        """All dense columns, standardised, in order."""
        if not self.dense_names:
            raise ValueError("there is no dense column")
        if "dense" in self._widths:
            return Node("dense", len(self.dense_names))
        return self._add("dense", "dense", len(self.dense_names))

    def embed(self, column: str, weight: Any, *, name: Optional[str] = None) -> Node:
        """The rows of a table that a record names: weight is [rows][width]."""
        import numpy
        table = self._tables.get(column)
        if table is None:
            raise ValueError(f"no category or bag is called {column!r}")
        held = numpy.asarray(weight, dtype=numpy.float32)
        if held.ndim != 2:
            raise ValueError(f"a table has rows and columns, {column!r} has {held.ndim} dimensions")
        order, said = table.order(held.shape[0])
        before = self._schema.setdefault(column, said)
        if before != said:
            raise ValueError(f"two embeddings of {column!r} have different rows")
        placed = numpy.zeros((len(order), held.shape[1]), dtype=numpy.float32)
        picked = numpy.asarray(order)
        placed[picked >= 0] = held[picked[picked >= 0]]
        node = self._add(name or f"embed.{column}" if f"embed.{column}" not in self._widths else name,
                         "embed", held.shape[1], table=column, width=held.shape[1])
        self._weights[f"{node.name}.weight"] = placed
        return node

    # --- between ------------------------------------------------------------------------------

    def linear(self, x: Node, weight: Any, bias: Any = None, *, name: Optional[str] = None) -> Node:
        """W x + b: weight is [out][in]."""
        import numpy
        held = numpy.asarray(weight, dtype=numpy.float32)
        if held.ndim != 2 or held.shape[1] != x.width:
            raise ValueError(f"a matrix of shape {held.shape} does not take the {x.width} elements "
                             f"of {x.name!r}")
        node = self._add(name, "linear", held.shape[0], [x], width=held.shape[0],
                         bias=bias is not None)
        self._weights[f"{node.name}.weight"] = held
        if bias is not None:
            added = numpy.asarray(bias, dtype=numpy.float32).reshape(-1)
            if added.shape != (held.shape[0],):
                raise ValueError(f"a bias of {added.size} elements, expected {held.shape[0]}")
            self._weights[f"{node.name}.bias"] = added
        return node

    def concat(self, inputs: Sequence[Node], *, name: Optional[str] = None) -> Node:
        """One after the other."""
        inputs = list(inputs)
        if len(inputs) == 1:
            return inputs[0]
        return self._add(name, "concat", sum(i.width for i in inputs), inputs)

    def add(self, inputs: Sequence[Node], *, name: Optional[str] = None) -> Node:
        """The sum, element by element."""
        inputs = list(inputs)
        if len({i.width for i in inputs}) != 1:
            raise ValueError("only equally wide nodes can be added")
        return self._add(name, "add", inputs[0].width, inputs)

    def multiply(self, a: Node, b: Node, *, name: Optional[str] = None) -> Node:
        """The product, element by element."""
        if a.width != b.width:
            raise ValueError("only equally wide nodes can be multiplied")
        return self._add(name, "multiply", a.width, [a, b])

    def scale(self, x: Node, factor: float, *, name: Optional[str] = None) -> Node:
        """Times a constant."""
        return self._add(name, "scale", x.width, [x], factor=float(factor))

    def activation(self, x: Node, kind: str, *, a: Optional[float] = None,
                   b: Optional[float] = None, name: Optional[str] = None) -> Node:
        """A function of each element, by its name in docs/models.md."""
        said: dict[str, Any] = {"kind": kind}
        said.update({k: float(v) for k, v in (("a", a), ("b", b)) if v is not None})
        if self._activation is None or self._activation["kind"] in ("square", "quadratic"):
            self._activation = said
        return self._add(name, "activation", x.width, [x], activation=said)

    def dot(self, inputs: Sequence[Node], *, order: str = "lower", self_products: bool = False,
            name: Optional[str] = None) -> Node:
        """The products of all pairs of equally wide nodes."""
        inputs = list(inputs)
        n = len(inputs)
        return self._add(name, "dot", n * (n + 1) // 2 if self_products else n * (n - 1) // 2,
                         inputs, order=order, self=self_products)

    # --- the model ----------------------------------------------------------------------------

    def keep(self, last: Node) -> None:
        """Leaves out what `last` does not need: it becomes the logit."""
        wanted = {last.name}
        for node in reversed(self._nodes):
            if node["name"] in wanted:
                wanted.update(node.get("inputs", ()))
        self._nodes = [n for n in self._nodes if n["name"] in wanted]
        self._widths = {n: w for n, w in self._widths.items() if n in wanted}
        self._weights = {n: w for n, w in self._weights.items() if n.rsplit(".", 1)[0] in wanted}
        read = {n["table"] for n in self._nodes if n["kind"] == "embed"}
        self._schema = {t: s for t, s in self._schema.items() if t in read}
        if self._nodes[-1]["name"] != last.name:
            raise AssertionError("nodes stand after those they read")

    def _columns(self) -> dict[str, Any]:
        """Columns that no node reads are not the model's: they are ignored."""
        reads_dense = "dense" in self._widths
        listed = []
        for c in without_learned(self.columns)["columns"]:
            unread = (c["kind"] == "dense" and not reads_dense) or (
                c["kind"] in ("category", "bag") and c["name"] not in self._schema)
            listed.append({"name": c["name"], "kind": "ignore"} if unread else c)
        return {**self.columns, "columns": listed}

    def _model_json(self) -> str:
        dense = [{"name": c["name"], "mean": float(c.get("mean", 0)),
                  "deviation": float(c.get("deviation", 1)),
                  **{k: float(c[k]) for k in ("low", "high", "least", "most") if k in c}}
                 for c in self.columns["columns"] if c["kind"] == "dense" and "dense" in self._widths]
        tables = [self._schema[c["name"]] for c in self.columns["columns"]
                  if c["name"] in self._schema]
        config = {"activation": self._activation} if self._activation else {}
        return json.dumps({
            "helrm_model": 1, "config": config, "graph": self._nodes,
            "schema": {"dataset": self.columns["name"], "columns": self._columns(),
                       "clip": self._clip, "dense": dense, "tables": tables}})

    def _safetensors(self) -> bytes:
        header: dict[str, Any] = {}
        parts, at = [], 0
        for name, held in self._weights.items():
            raw = held.astype("<f4").tobytes()
            header[name] = {"dtype": "F32", "shape": list(held.shape),
                            "data_offsets": [at, at + len(raw)]}
            parts.append(raw)
            at += len(raw)
        text = json.dumps(header).encode()
        text += b" " * (-len(text) % 8)
        return struct.pack("<Q", len(text)) + text + b"".join(parts)

    def model(self) -> Model:
        """The model, checked by the library."""
        with tempfile.TemporaryDirectory() as place:
            (Path(place) / "model.json").write_text(self._model_json())
            (Path(place) / "weights.safetensors").write_bytes(self._safetensors())
            return Model.open(place)
