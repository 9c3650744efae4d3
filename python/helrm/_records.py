"""Records of any shape as JSON, an object in each line: what the library reads."""
from __future__ import annotations

import json
import math
from typing import Any, Iterable, Iterator, Mapping, Sequence

from .errors import DataError

#: Texts go to the library as they are: CSV or JSON. Everything else becomes JSON.
Records = Any


def _plain(value: Any, category: bool) -> Any:
    """A cell as JSON has it; None is missing."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(v, True) for v in value]
    if isinstance(value, Mapping):
        return {str(_plain(k, True)): _plain(v, False) for k, v in value.items()}
    if hasattr(value, "tolist") and not isinstance(value, (int, float)):  # NumPy, torch
        return _plain(value.tolist(), category)
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, int):
        return value
    if isinstance(value, float):
        if math.isnan(value):
            return None
        # tables of pandas turn whole numbers beside missing ones into floats
        return int(value) if category and value.is_integer() else value
    try:
        if value != value:  # pandas.NA, NaT: not equal to themselves, or not comparable
            return None
    except TypeError:
        return None
    return str(value)


class Columns:
    """The names of a record's columns, in order, and which of them hold texts."""

    def __init__(self, names: Sequence[str], kinds: Sequence[str]) -> None:
        self.names = list(names)
        self._category = {n: k not in ("dense", "number", "label") for n, k in zip(names, kinds)}
        self.label = next((n for n, k in zip(names, kinds) if k == "label"), None)
        self.inputs = [n for n in self.names if n != self.label]

    def row(self, record: Mapping[Any, Any]) -> dict[str, Any]:
        return {n: _plain(record[n], self._category[n]) for n in self.names if n in record}

    def rows(self, records: Records) -> Iterator[dict[str, Any]]:
        if isinstance(records, Mapping):
            if not records:
                raise DataError("a record without any column")
            unknown = [k for k in records if k not in self._category]
            if unknown and all(k not in self._category for k in records):
                raise DataError(f"no column is called {unknown[0]!r}; there are "
                                + ", ".join(self.inputs[:12]))
            yield self.row(records)
        elif hasattr(records, "columns") and hasattr(records, "itertuples"):  # pandas
            yield from self._frame(records)
        elif hasattr(records, "dtype") and hasattr(records, "shape"):  # NumPy
            yield from self._array(records)
        elif isinstance(records, Iterable):
            for record in records:
                if isinstance(record, Mapping):
                    yield from self.rows(record)
                elif hasattr(record, "_asdict"):
                    yield from self.rows(record._asdict())
                elif isinstance(record, Sequence) and not isinstance(record, (str, bytes)):
                    yield self._values(record)
                elif hasattr(record, "dtype") and getattr(record, "ndim", 0) == 1:
                    yield self._values(list(record))
                else:
                    raise TypeError(f"a record is a mapping, or its values in order, "
                                    f"not {type(record).__name__}")
        else:
            raise TypeError("records are a data frame, an array, a mapping, a list of them, or a "
                            f"text, not {type(records).__name__}")

    def _values(self, values: Sequence[Any]) -> dict[str, Any]:
        names = self.names if len(values) == len(self.names) else self.inputs
        if len(values) != len(names):
            raise DataError(f"a record of {len(values)} values, expected {len(self.inputs)}: "
                            + ", ".join(self.inputs[:12]))
        return {n: _plain(v, self._category[n]) for n, v in zip(names, values)}

    def _frame(self, frame: Any) -> Iterator[dict[str, Any]]:
        absent = [n for n in self.inputs if n not in frame.columns]
        if absent:
            raise DataError(f"the data frame has no column {absent[0]!r}")
        names = [n for n in self.names if n in frame.columns]
        columns = [frame[n] for n in names]
        if any(getattr(c, "ndim", 1) != 1 for c in columns):
            raise DataError("the data frame has a column twice")
        for values in zip(*columns):
            yield {n: _plain(v, self._category[n]) for n, v in zip(names, values)}

    def _array(self, array: Any) -> Iterator[dict[str, Any]]:
        if getattr(array.dtype, "names", None):  # structured
            for record in array.reshape(-1):
                yield self.row({n: record[n] for n in array.dtype.names})
            return
        if array.ndim == 1:
            array = array.reshape(1, -1)
        if array.ndim != 2:
            raise DataError(f"an array of {array.ndim} dimensions, expected rows of records")
        for values in array.tolist():
            yield self._values(values)

    def text(self, records: Records) -> bytes:
        """What the library reads."""
        if isinstance(records, str):
            return records.encode()
        if isinstance(records, (bytes, bytearray)):
            return bytes(records)
        try:
            lines = [json.dumps(row, allow_nan=False, ensure_ascii=False)
                     for row in self.rows(records)]
        except ValueError as e:
            if isinstance(e, DataError):
                raise
            raise DataError(f"a number that is infinite: {e}") from None
        if not lines:
            raise DataError("there are no records")
        return ("\n".join(lines) + "\n").encode("utf-8", "surrogatepass")


def items_text(items: Records) -> bytes:
    """Items, with whatever columns they have: an object in each line, all with the same names."""
    if isinstance(items, (str, bytes, bytearray)):
        return items.encode() if isinstance(items, str) else bytes(items)
    if hasattr(items, "columns") and hasattr(items, "itertuples"):
        names = [str(n) for n in items.columns]
    elif getattr(getattr(items, "dtype", None), "names", None):
        names = list(items.dtype.names)
    else:
        items = [i._asdict() if hasattr(i, "_asdict") else i for i in items]
        if not all(isinstance(i, Mapping) for i in items):
            raise TypeError("items are a data frame, mappings, or a text with a header: they have "
                            "names of columns")
        names = list(dict.fromkeys(str(n) for i in items for n in i))
        items = [{n: i.get(n) for n in names} for i in items]
    return Columns(names, ["category"] * len(names)).text(items)
