"""Numbers that the library writes: into an array of NumPy where there is one, of the standard
library otherwise."""
from __future__ import annotations

from array import array
from typing import Any


def doubles(count: int) -> Any:
    try:
        import numpy
    except ImportError:
        return array("d", bytes(8 * count))
    return numpy.zeros(count, dtype=numpy.float64)
