"""The party that has records: encrypts them, and reads scores."""
from __future__ import annotations

import json
import sys
import threading
from typing import Any, Iterable, List, NamedTuple, Optional

from . import _client
from ._progress import Progress, following
from ._records import Columns, Records


class Score(NamedTuple):
    """What a model makes of a record."""

    #: The model's output.
    logit: float
    #: 1 / (1 + exp(-logit)).
    probability: float
    #: Right bits of the logit, in nearly every score; 0: nothing is known of it.
    bits: float


class Doubts(NamedTuple):
    """What of a record its query does not carry as it is: to you alone."""

    unknown: int
    cut: int
    unseen: int
    text: str


class Item(NamedTuple):
    """An item of a catalogue, with what a model makes of it for one record."""

    #: As its owner named it.
    id: str
    #: The model's output.
    logit: float
    #: 1 / (1 + exp(-logit)).
    probability: float


class Ranking(List[Item]):
    """The best items first."""

    def __init__(self, items: Iterable[Item], ranked: int, error: float, catalogue: bytes) -> None:
        super().__init__(items)
        #: How many items were ranked in all.
        self.ranked = ranked
        #: Logits are right to about so much: items that are closer may stand in either order.
        self.error = error
        #: The name of the catalogue: another one after every change.
        self.catalogue = catalogue


class Client:
    """A secret with one model's manifest. The manifest is checked: 128-bit security, and that
    queries give no record away. Keep `secret` (32 bytes, or helrm.seal() of it) and `pin`: the
    next time, Client(manifest, secret=..., pin=...) is the same client, and refuses a manifest that
    was changed."""

    def __init__(self, manifest: bytes, *, secret: Optional[bytes] = None,
                 pin: Optional[bytes] = None) -> None:
        self.secret: bytes = _client.secret_new() if secret is None else secret
        self._manifest = manifest
        self._handle = _client.client_open(manifest, pin, self.secret)
        self._access = _client.access_new(self._handle, None)
        _client.client_use(self._access, self._handle)
        self._lock = threading.Lock()
        self._keys: Optional[bytes] = None
        #: What records look like, and what is known of scores (hel_client_columns).
        self.columns: dict[str, Any] = json.loads(_client.client_columns(self._handle))
        listed = self.columns["columns"]
        self._names = Columns([c["name"] for c in listed], [c["kind"] for c in listed])
        #: The model's name.
        self.model: str = _client.client_model(self._handle)
        #: The manifest's hash.
        self.pin: bytes = _client.client_pin(self._handle)
        #: How many records one query holds.
        self.batch: int = _client.client_batch(self._handle)
        #: Its results are rankings of a catalogue's items, for top().
        self.ranks: bool = _client.client_ranks(self._handle)

    def __repr__(self) -> str:
        return f"<helrm.Client of {self.model}, {self.batch} record(s) a query>"

    def __getstate__(self) -> Any:
        raise TypeError("a client holds a secret: keep client.secret where it is safe, not in a "
                        "pickle")

    def encrypt(self, records: Records) -> bytes:
        """A query of one record, or of up to `batch` of them: a mapping, values in order, a frame's
        rows, or a text. Its size tells nothing of them."""
        text = self._names.text(records)
        count = _client.client_count(self._handle, text)
        return bytes(_client.client_query(self._handle, text, 0, count))

    def narrow(self, query: bytes, candidates: Iterable[str]) -> bytes:
        """A query for some items of a catalogue only: ids, or "FROM..TO" by number, from 1. The server
        reads which: never let them depend on a private record, or on a ranking."""
        if isinstance(candidates, (str, bytes)):
            raise TypeError("candidates are a list of ids")
        return bytes(_client.client_candidates(self._handle, query, "\n".join(candidates)))

    def doubts(self, records: Records, row: int = 0) -> Doubts:
        """What of a record the model does not know. Send its query whatever this says: a server
        that sees it missing learns what the record holds."""
        return Doubts(*_client.client_doubts(self._handle, self._names.text(records), row))

    def evaluation_keys(self, progress: Progress = None) -> bytes:
        """What the server needs to compute, made once; they decrypt nothing."""
        with self._lock:
            if self._keys is None:
                with following(progress, "making keys") as tell:
                    self._keys = _client.access_keys(self._access, self._handle, tell)
            return self._keys

    def decrypt(self, result: bytes) -> Score:
        """The score of a query of one record, checked to be one."""
        return Score(*self._scores(result, 1))

    def decrypt_batch(self, result: bytes, count: int) -> Any:
        """The scores of the first `count` records of a query: an array of NumPy with the fields
        logit, probability and bits."""
        import numpy
        rows = numpy.frombuffer(self._scores(result, count), dtype=numpy.float64)
        return rows.view([("logit", "f8"), ("probability", "f8"), ("bits", "f8")])

    def top(self, result: bytes, k: Optional[int] = 10) -> Ranking:
        """The k best items of a model that ranks (docs/ranking.md); None: all of them."""
        if k is not None and (not isinstance(k, int) or isinstance(k, bool) or k < 1):
            raise ValueError(f"k is {k!r}, expected a whole number from 1 on, or None")
        items, ranked, error, catalogue = _client.client_rank(
            self._handle, result, sys.maxsize if k is None else min(k, sys.maxsize))
        return Ranking((Item(*i) for i in items), ranked, error, catalogue)

    def _scores(self, result: bytes, count: int) -> Any:
        if not isinstance(count, int):
            raise TypeError(f"count is a whole number, not {type(count).__name__}")
        if not 1 <= count <= self.batch:
            raise ValueError(f"count is {count}, a query of this model holds 1 to {self.batch}")
        from array import array
        out = array("d", bytes(24 * count))
        _client.client_score(self._handle, result, out)
        return out


def seal(secret: bytes, passphrase: Optional[str] = None) -> bytes:
    """A secret as a file to keep, under a passphrase (Argon2id)."""
    return bytes(_client.secret_seal(secret, passphrase))


def unseal(file: bytes, passphrase: Optional[str] = None) -> bytes:
    """The secret back."""
    return bytes(_client.secret_unseal(file, passphrase))
