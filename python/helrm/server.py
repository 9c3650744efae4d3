"""The party that computes. Nothing here could decrypt: the module behind it links no secret-key
code."""
from __future__ import annotations

import os
import threading
from collections import OrderedDict
from typing import Any, Optional, Sequence, Union

from . import _server
from ._progress import Progress, following, threads_of

KEPT = 8  # evaluations of keys that are given as bytes


class Evaluation:
    """A server with one client's evaluation keys; any number of threads may run on it."""

    def __init__(self, server: "Server", keys: bytes) -> None:
        self._handle = _server.evaluation_new(server._handle, keys)
        self.server = server


class Catalogue:
    """Items that a server's program ranks, as Compiled.catalogue() wrote them: a mapped file. Replace
    it by renaming another one over it, and open that."""

    def __init__(self, server: "Server", path: "Union[str, os.PathLike[str]]") -> None:
        self._handle = _server.catalogue_open(server._handle, os.fspath(path))
        self.server = server

    def __len__(self) -> int:
        return int(_server.catalogue_items(self._handle))


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

    def catalogue(self, path: "Union[str, os.PathLike[str]]") -> Catalogue:
        """Maps a catalogue of this program and checks all of it."""
        return Catalogue(self, path)

    def rank(self, query: bytes, keys: Union[bytes, Evaluation], catalogue: Catalogue, *,
             candidates: Union[None, str, Sequence[str]] = None, progress: Progress = None) -> bytes:
        """The encrypted scores of a catalogue's items, for Client.top(). candidates: ids, or "FROM..TO"
        by number, from 1. The server sees which: never let them depend on a private record."""
        if not isinstance(catalogue, Catalogue):
            raise TypeError(f"a catalogue is what Server.catalogue() opened, not "
                            f"{type(catalogue).__name__}")
        if catalogue.server is not self:
            raise ValueError("this catalogue was opened by another server")
        if candidates is not None and not isinstance(candidates, str):
            candidates = ",".join(candidates)
        evaluation = self._evaluation(keys)
        with following(progress, "ranking") as tell:
            result: Any = _server.server_rank(evaluation._handle, catalogue._handle, candidates,
                                              query, tell)
        return bytes(result)

    def run(self, query: bytes, keys: Union[bytes, Evaluation], *,
            progress: Progress = None) -> bytes:
        """The encrypted result of a query, for the client whose keys these are. keys: what
        Client.evaluation_keys() gave, read once while they are in use; or evaluation()."""
        evaluation = self._evaluation(keys)
        with following(progress, "running") as tell:
            result: Any = _server.server_run(evaluation._handle, query, tell)
        return bytes(result)
