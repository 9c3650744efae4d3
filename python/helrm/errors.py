"""One exception for each status of the library; `str` is its detail: what was expected, what was
found, what to do."""
from __future__ import annotations


class HelrmError(Exception):
    """What the library says of a call that failed."""

    status = "helrm"

    def __init__(self, message: str = "") -> None:
        super().__init__(message)


class InvalidArgument(HelrmError, ValueError):
    status = "HEL_EINVAL"


class OutOfMemory(HelrmError, MemoryError):
    status = "HEL_ENOMEM"


class InputOutputError(HelrmError, OSError):
    status = "HEL_EIO"


class FormatError(HelrmError, ValueError):
    """Malformed bytes."""

    status = "HEL_EFORMAT"


class VersionError(FormatError):
    status = "HEL_EVERSION"


class Truncated(FormatError):
    status = "HEL_ETRUNC"


class LimitError(HelrmError):
    """A size, or what a compile may cost, is over its limit."""

    status = "HEL_ELIMIT"


class Damaged(FormatError):
    status = "HEL_EHASH"


class LevelError(HelrmError):
    status = "HEL_ELEVEL"


class ScaleError(HelrmError):
    status = "HEL_ESCALE"


class KeyMissing(HelrmError):
    """The evaluation keys lack one that the program needs."""

    status = "HEL_EKEY"


class ParametersError(HelrmError):
    """Made for other parameters, or of other columns."""

    status = "HEL_EPARAMS"


class InsecureParameters(HelrmError):
    status = "HEL_ESECURITY"


class WrongModel(HelrmError):
    """A query, result or manifest of another model."""

    status = "HEL_EMODEL"


class WrongClient(HelrmError):
    """Made with another client's key."""

    status = "HEL_ECLIENT"


class DataError(HelrmError, ValueError):
    """A record that is not as the columns say."""

    status = "HEL_EDATA"


class Unsupported(HelrmError):
    """Names what is not supported, and what would help."""

    status = "HEL_EUNSUPPORTED"


class OutOfRange(HelrmError, ArithmeticError):
    status = "HEL_ERANGE"


class Busy(HelrmError):
    status = "HEL_EBUSY"


class NoSpace(InputOutputError):
    status = "HEL_ESPACE"


class Cancelled(HelrmError):
    """A progress callback returned False."""

    status = "HEL_ECANCEL"


class Denied(HelrmError):
    """A wrong passphrase, or a server that refuses."""

    status = "HEL_EDENIED"


#: In the order of HEL_STATUS_LIST (helrm/status.h), from HEL_EINVAL = 1 on.
BY_CODE: tuple[type[HelrmError], ...] = (
    InvalidArgument, OutOfMemory, InputOutputError, FormatError, VersionError, Truncated,
    LimitError, Damaged, LevelError, ScaleError, KeyMissing, ParametersError, InsecureParameters,
    WrongModel, WrongClient, DataError, Unsupported, OutOfRange, Busy, NoSpace, Cancelled, Denied)


def of(code: int, text: str, detail: str) -> HelrmError:
    """The exception of a status; called by the extension modules."""
    if 1 <= code <= len(BY_CODE):
        return BY_CODE[code - 1](detail or text)
    return HelrmError(f"status {code}: {detail or text}")
