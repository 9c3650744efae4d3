"""helrm: private predictions of recommendation models, by homomorphic encryption.

    model = helrm.Model.train(columns, rows)        # or helrm.torch.convert(module, columns)
    compiled = model.compile(records=rows, bits=12.5)
    client = helrm.Client(compiled.manifest)        # who has records
    server = helrm.Server(compiled.program)         # who computes, and learns nothing
    score = client.decrypt(server.run(client.encrypt(record), client.evaluation_keys()))

Each party's part is loaded when it is first used. docs/python.md is a tutorial.
"""
from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .errors import HelrmError

if TYPE_CHECKING:
    from .classifier import Classifier
    from .client import Client, Doubts, Item, Ranking, Score, seal, unseal
    from .graph import Graph
    from .model import Compiled, Model, RecordSet, catalogue, compile
    from .remote import Remote
    from .report import CompileReport, Report
    from .server import Catalogue, Evaluation, Server

_WHERE = {
    "Classifier": "classifier",
    "Client": "client", "Doubts": "client", "Item": "client", "Ranking": "client",
    "Score": "client", "seal": "client", "unseal": "client",
    "Graph": "graph",
    "Compiled": "model", "Model": "model", "RecordSet": "model", "catalogue": "model",
    "compile": "model",
    "Remote": "remote",
    "CompileReport": "report", "Report": "report",
    "Catalogue": "server", "Evaluation": "server", "Server": "server",
}

__all__ = ["HelrmError", *sorted(_WHERE)]


def __getattr__(name: str) -> Any:
    from importlib import import_module
    if name in _WHERE:
        return getattr(import_module(f".{_WHERE[name]}", __name__), name)
    if name in ("errors", "torch"):
        return import_module(f".{name}", __name__)
    raise AttributeError(f"module 'helrm' has no attribute {name!r}")


def __dir__() -> "list[str]":
    return sorted(__all__)
