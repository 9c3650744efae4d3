"""The party that computes. Nothing here could decrypt: the module behind it links no secret-key
code."""
from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Any, Optional, Union

from . import _server
from ._progress import Progress, following, threads_of

KEPT = 8  # evaluations of keys that are given as bytes


class Evaluation:
    """A server with one client's evaluation keys; any number of threads may run on it."""

    def __init__(self, server: "Server", keys: bytes) -> None:
        self._handle = _server.evaluation_new(server._handle, keys)
        self.server = server


class Server:
    """A program ready to run, by any number of threads. threads: how many one run uses (default:
    all there are; runs of several callers then take turns)."""

    def __init__(self, program: bytes, *, threads: Optional[int] = None) -> None:
        self._handle = _server.server_new(program, threads_of(threads))
        self._kept: "OrderedDict[int, tuple[bytes, Evaluation]]" = OrderedDict()
        self._lock = threading.Lock()
        #: The model's name.
        self.model: str = _server.server_model(self._handle)
        #: The manifest's hash: Client.pin of the clients of this program.
        self.id: bytes = _server.server_id(self._handle)

    def __repr__(self) -> str:
        return f"<helrm.Server of {self.model}>"

    def evaluation(self, keys: bytes) -> Evaluation:
        """Reads a client's evaluation keys once, for any number of runs."""
        return Evaluation(self, keys)

    def _evaluation(self, keys: Union[bytes, Evaluation]) -> Evaluation:
        if isinstance(keys, Evaluation):
            if keys.server is not self:
                raise ValueError("this evaluation is of another server")
            return keys
        if type(keys) is not bytes:  # what may change is read each time
            return Evaluation(self, keys)
        with self._lock:
            kept = self._kept.get(id(keys))
            if kept is not None and kept[0] is keys:
                self._kept.move_to_end(id(keys))
                return kept[1]
        read = Evaluation(self, keys)
        with self._lock:
            self._kept[id(keys)] = (keys, read)
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        return read

    def run(self, query: bytes, keys: Union[bytes, Evaluation], *,
            progress: Progress = None) -> bytes:
        """The encrypted result of a query, for the client whose keys these are. keys: what
        Client.evaluation_keys() gave, read once while they are in use; or evaluation()."""
        evaluation = self._evaluation(keys)
        with following(progress, "running") as tell:
            result: Any = _server.server_run(evaluation._handle, query, tell)
        return bytes(result)
