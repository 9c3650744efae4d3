"""The party that has a model."""
from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any, Mapping, Optional, Sequence, Union

from . import _owner
from ._doubles import doubles
from ._progress import Progress, following, threads_of
from ._records import Columns, Records, items_text
from .report import CompileReport, Report

PathLike = Union[str, "os.PathLike[str]"]
Json = Union[str, Mapping[str, Any]]


def _json(value: Optional[Json]) -> Optional[str]:
    return value if value is None or isinstance(value, str) else json.dumps(value)


def _columns(value: Optional[Json]) -> Optional[str]:
    """A description, or the name of a built-in data set or of a file."""
    if isinstance(value, os.PathLike) or (isinstance(value, str) and value.endswith(".json")):
        return Path(value).read_text()
    return _json(value)


def _option(name: str, value: Any) -> list[str]:
    """The texts of one keyword of compile()."""
    name = name.replace("_", "-")
    if value is None or value is False:
        return []
    if value is True:
        return [name]
    if isinstance(value, Mapping):
        return [f"{name}={k}={v}" for k, v in value.items()]
    if isinstance(value, (list, tuple)):
        return [f"{name}={v}" for v in value]
    return [f"{name}={value}"]


class RecordSet:
    """Records that a model has read: for any number of calls."""

    def __init__(self, model: "Model", records: Records) -> None:
        self._handle = _owner.records_of(model._handle, model._names.text(records))

    def __len__(self) -> int:
        return int(_owner.records_rows(self._handle))


class Model:
    """A recommendation model with the columns of its records: `open`, `load` or `train` one, or
    take helrm.torch.convert or helrm.Graph. It never changes, and any number of threads may use
    it."""

    def __init__(self, handle: Any, notes: Optional[Report] = None) -> None:
        self._handle = handle
        said = json.loads(_owner.model_describe(handle))
        columns = said["columns"]["columns"]
        read = [c for c in columns if c["kind"] != "ignore"]
        self._names = Columns([c["name"] for c in read], [c["kind"] for c in read])
        #: The description of the columns, as docs/data.md has it.
        self.columns: dict[str, Any] = said["columns"]
        #: Nodes, as docs/models.md has them.
        self.graph: list[dict[str, Any]] = said["graph"]
        #: How many weights there are.
        self.parameters: int = said["parameters"]
        #: What was said when it was imported or trained.
        self.notes = notes

    # --- where they come from -----------------------------------------------------------------

    @classmethod
    def open(cls, directory: PathLike) -> "Model":
        """A directory with model.json and weights.safetensors."""
        return cls(_owner.model_open(os.fspath(directory)))

    @classmethod
    def load(cls, weights: Union[PathLike, bytes], schema: Json, *, config: Optional[Json] = None,
             columns: Optional[Json] = None) -> "Model":
        """A checkpoint of a library that docs/import.md lists: a file, or its bytes."""
        held = weights if isinstance(weights, bytes) else Path(weights).read_bytes()
        handle, notes = _owner.model_import(held, _json(schema), _json(config), _columns(columns))
        return cls(handle, Report(notes))

    @classmethod
    def train(cls, columns: Json, rows: Records, *, config: Optional[Json] = None,
              progress: Progress = None) -> "Model":
        """Trains on labelled records in memory; columns: a description (docs/data.md) or a built-in
        data set's name. The same rows give the same model."""
        described = _columns(columns)
        assert described is not None
        if isinstance(rows, (str, bytes, bytearray)):
            text = rows if isinstance(rows, (bytes, bytearray)) else rows.encode()
        else:
            if not described.lstrip().startswith("{"):
                raise TypeError("records of a built-in data set are given as a text")
            listed = [c for c in json.loads(described)["columns"] if c["kind"] != "ignore"]
            text = Columns([c["name"] for c in listed], [c["kind"] for c in listed]).text(rows)
        with following(progress, "training") as tell:
            handle, notes = _owner.model_train(described, _json(config), bytes(text), tell)
        return cls(handle, Report(notes))

    def save(self, directory: PathLike) -> None:
        """Writes model.json and weights.safetensors, all or nothing."""
        _owner.model_save(self._handle, os.fspath(directory))

    # --- pickles hold the two files -------------------------------------------------------------

    def __getstate__(self) -> dict[str, bytes]:
        with tempfile.TemporaryDirectory() as place:
            self.save(place)
            return {name: (Path(place) / name).read_bytes()
                    for name in ("model.json", "weights.safetensors")}

    def __setstate__(self, state: dict[str, bytes]) -> None:
        with tempfile.TemporaryDirectory() as place:
            for name, held in state.items():
                (Path(place) / name).write_bytes(held)
            self.__init__(_owner.model_open(place))  # type: ignore[misc]

    def __repr__(self) -> str:
        return (f"<helrm.Model of {self.columns['name']}: {len(self.graph)} nodes, "
                f"{self.parameters:,} parameters>")

    # --- in the clear -------------------------------------------------------------------------

    def records(self, records: Records) -> RecordSet:
        """Reads records once, for several calls: a data frame, an array, mappings, or a text."""
        if isinstance(records, RecordSet):
            return records
        return RecordSet(self, records)

    def logits(self, records: Records, *, threads: Optional[int] = None,
               progress: Progress = None) -> Any:
        """The model's outputs in double precision, one for each record: what `helrm predict`
        prints, bit for bit. NaN where an output is beyond all numbers."""
        read = self.records(records)
        out = doubles(len(read))
        with following(progress, "scoring") as tell:
            _owner.model_score(self._handle, read._handle, out, threads_of(threads), tell)
        return out

    def predict(self, records: Records, *, threads: Optional[int] = None,
                progress: Progress = None) -> Any:
        """Probabilities, 1 / (1 + exp(-logit))."""
        import numpy
        logits = self.logits(records, threads=threads, progress=progress)
        with numpy.errstate(over="ignore"):
            return 1 / (1 + numpy.exp(-logits))

    def judge(self, records: Records, *, threads: Optional[int] = None) -> Report:
        """How good it is on labelled records: AUC, log loss, calibration."""
        read = self.records(records)
        return Report(_owner.model_judge(self._handle, read._handle, threads_of(threads)))

    def approximate(self, records: Records, *, fit: str = "poly",
                    threads: Optional[int] = None) -> Report:
        """What polynomials in place of activations would cost, degree by degree."""
        read = self.records(records)
        return Report(_owner.model_approximate(self._handle, fit, read._handle,
                                               threads_of(threads)))

    # --- compiling ----------------------------------------------------------------------------

    def compile(self, records: Optional[Records] = None, *, threads: Optional[int] = None,
                progress: Progress = None, **options: Any) -> "Compiled":
        """Compiles for encrypted records. records: typical ones, for which precision is predicted;
        labelled where activations are replaced. Options are those of `helrm compile` under the same
        names: bits=12.5, optimize="keys", batch=64, activation="relu", max_keys=100 (MB),
        lookup={"user": "grid"}, public=["item", "genres"], accept_loss=True, proved=True, name="films" ..."""
        texts = [t for name, value in options.items() for t in _option(name, value)]
        read = None if records is None else self.records(records)
        with following(progress, "compiling") as tell:
            handle = _owner.model_compile(self._handle, texts, read._handle if read else None,
                                          threads_of(threads), tell)
        return Compiled(handle)


class Compiled:
    """A manifest for everybody, a program for the server, and a report."""

    def __init__(self, handle: Any) -> None:
        self._handle = handle
        self._report = _owner.compiled_report(handle)
        self._manifest: bytes = _owner.compiled_manifest(handle)
        self._program: Optional[bytes] = None

    @property
    def manifest(self) -> bytes:
        """What clients need: public."""
        return self._manifest

    @property
    def program(self) -> bytes:
        """What a server runs: it holds the model's weights."""
        if self._program is None:
            self._program = _owner.compiled_program(self._handle)
        return self._program

    @property
    def report(self) -> CompileReport:
        """What came out: a mapping that prints and draws itself."""
        return CompileReport(self._report)

    @property
    def model(self) -> Optional[Model]:
        """The model that the program computes, where activations were replaced by polynomials;
        None: the one it was compiled from."""
        if "activation" not in self.report:
            return None
        return Model(_owner.compiled_model(self._handle))

    def save(self, directory: PathLike) -> None:
        """Writes manifest.helm and program.helm: a server in any language needs the program alone,
        a client the manifest."""
        _owner.compiled_save(self._handle, os.fspath(directory))

    def catalogue(self, path: PathLike, items: Records, *, id: Optional[str] = None,
                  append: Optional[PathLike] = None, threads: Optional[int] = None,
                  progress: Progress = None) -> Report:
        """catalogue() of this program."""
        return catalogue(path, self.program, items, id=id, append=append, threads=threads,
                         progress=progress)

    def __repr__(self) -> str:
        return f"<helrm.Compiled\n{self.report}>"

    def _repr_html_(self) -> str:
        return self.report._repr_html_()


def catalogue(path: PathLike, program: bytes, items: Records, *, id: Optional[str] = None,
              append: Optional[PathLike] = None, threads: Optional[int] = None,
              progress: Progress = None) -> Report:
    """Encodes the items that a program ranks, one compiled with public=[...], into a file for
    Server.catalogue() and `helrm serve`. items: the public columns by name, and one of ids (`id`;
    default: "id", "item_id" or "item", or the first); append: a catalogue whose items come first."""
    before = None if append is None else os.fspath(append)
    with following(progress, "encoding items") as tell:
        return Report(_owner.catalogue_make(os.fspath(path), program, items_text(items), id, before,
                                            threads_of(threads), tell))


def compile(model: Model, records: Optional[Records] = None, **options: Any) -> Compiled:
    """Model.compile()."""
    return model.compile(records, **options)


__all__: Sequence[str] = ["Compiled", "Model", "RecordSet", "catalogue", "compile"]
