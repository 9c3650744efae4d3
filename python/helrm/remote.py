"""A service (`helrm serve`), reached by HTTP: what src/net/client/remote.c does, with Python's own
client. Nothing here knows a secret but through helrm.Client's parts."""
from __future__ import annotations

import http.client
import json
import random
import secrets
import ssl
import time
from typing import Any, Iterable, Iterator, Mapping, NamedTuple, Optional, Union
from urllib.parse import urlsplit

from . import _client
from ._progress import Progress, following
from ._records import Records
from .client import Client, Ranking, Score
from .errors import (Busy, DataError, Denied, FormatError, HelrmError, InputOutputError,
                     InvalidArgument, LimitError, WrongModel)

PIECE = 2 << 20  # of an upload, sent at once
ANSWER_MAX = 128 << 20  # of a manifest; results are far smaller
WAIT = 30  # seconds that one request waits for its result
LOCAL = ("localhost", "127.0.0.1", "::1")


class _Answer(NamedTuple):
    status: int  # 0: there was none
    body: bytes
    retry_after: float
    why: str

    @property
    def said(self) -> dict[str, Any]:
        try:
            value = json.loads(self.body)
        except ValueError:
            return {}
        return value if isinstance(value, dict) else {}

    @property
    def passing(self) -> bool:
        """It may be another one in a moment."""
        return self.status in (0, 429, 502, 503)


def _name(model: str) -> str:
    if not 1 <= len(model) <= 64 or any(not (c.isascii() and c.isalnum() or c in "._-") for c in model):
        raise InvalidArgument(f"'{model}' is no name of a model")
    return model


class _Pauses:
    """Pauses that grow, until `patience` seconds have brought no progress."""

    def __init__(self, service: "_Service") -> None:
        self._service = service
        self.renew()

    def renew(self) -> None:
        self._since = time.monotonic()
        self._pause = 0.1

    def after(self, answer: _Answer) -> None:
        s = self._service
        wait = max(self._pause * random.uniform(0.5, 1.5), min(answer.retry_after, 3600))
        if time.monotonic() - self._since + wait > s.patience:
            if answer.status:
                raise s.refusal(answer)
            raise InputOutputError(f"no answer from {s.url} for {s.patience:g} s: {answer.why}")
        self._pause = min(2 * self._pause, 10)
        time.sleep(wait)


class _Service:
    """Requests of one caller, one at a time."""

    def __init__(self, url: str, api_key: Optional[str], context: Optional[ssl.SSLContext],
                 patience: float, limit: float) -> None:
        at = urlsplit(url)
        host = at.hostname or ""
        if at.scheme not in ("http", "https") or not host:
            raise InvalidArgument(f"'{url}' is no address, expected https://host[:port]")
        if at.username is not None:
            raise InvalidArgument(f"the server is '{host}', not what stands before the @")
        if at.scheme == "http" and host not in LOCAL:
            raise InvalidArgument("plain HTTP to another machine shows your session's token to "
                                  "everyone on the way: use https://")
        self.url = f"{at.scheme}://{at.netloc}{at.path}".rstrip("/")
        self._path = at.path.rstrip("/")
        self._host, self._port, self._secure, self._context = host, at.port, at.scheme == "https", context
        self._connection: Optional[http.client.HTTPConnection] = None
        self._api_key, self.patience, self.limit = api_key, patience, limit

    def _open(self) -> http.client.HTTPConnection:
        if self._secure:
            return http.client.HTTPSConnection(self._host, self._port, timeout=WAIT + 30,
                                               context=self._context)
        return http.client.HTTPConnection(self._host, self._port, timeout=WAIT + 30)

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = None

    def once(self, method: str, path: str, *, token: str = "", body: Optional[bytes] = None,
             headers: Optional[Mapping[str, str]] = None) -> _Answer:
        every = dict(headers or {})
        if token:
            every["Authorization"] = f"Bearer {token}"
        if self._api_key:
            every["X-API-Key"] = self._api_key
        if body is not None:
            every.setdefault("Content-Type", "application/octet-stream")
        try:
            if self._connection is None:
                self._connection = self._open()
            self._connection.request(method, self._path + path, body, every)
            answer = self._connection.getresponse()
            said = answer.read(ANSWER_MAX + 1)
            if len(said) > ANSWER_MAX:
                self.close()
                raise LimitError(f"{self.url} answers more than {ANSWER_MAX} bytes")
            again = answer.getheader("Retry-After") or "0"
            return _Answer(answer.status, said, float(again) if again.isdigit() else 0.0, "")
        except (OSError, http.client.HTTPException) as e:
            self.close()
            if isinstance(e, HelrmError):
                raise
            if isinstance(e, ssl.SSLCertVerificationError):
                raise Denied(f"{self.url}: {e}") from None
            return _Answer(0, b"", 0.0, str(e) or type(e).__name__)
        except BaseException:
            self.close()  # an answer may be under way
            raise

    def refusal(self, answer: _Answer) -> HelrmError:
        said = answer.said
        detail = f"{self.url} answers {answer.status}: {said.get('detail', 'it gave no reason')}"
        kind: type[HelrmError] = (Denied if answer.status in (401, 403) else
                                  Busy if answer.status in (429, 503, 504) else
                                  InvalidArgument if answer.status == 404 else HelrmError)
        return kind(detail)

    def expect(self, status: int, method: str, path: str, **more: Any) -> _Answer:
        """Until there is an answer that will not change."""
        pauses = _Pauses(self)
        while True:
            answer = self.once(method, path, **more)
            if not answer.passing:
                break
            pauses.after(answer)
        if answer.status != status:
            raise self.refusal(answer)
        return answer


class Remote:
    """A client of one model of a service: the manifest is fetched and checked, a session opened, and
    the evaluation keys are uploaded, resumed where a connection broke. `state` is what to keep (a
    secret): Remote(url, model, state=...) goes on without an upload.

    progress: of the upload, as in Model.compile(). Not to be shared by threads."""

    def __init__(self, url: str, model: str, *, state: Optional[bytes] = None,
                 secret: Optional[bytes] = None, api_key: Optional[str] = None,
                 context: Optional[ssl.SSLContext] = None, patience: float = 60.0,
                 limit: float = 3600.0, progress: Progress = None) -> None:
        self._service = _Service(url, api_key, context, patience, limit)
        self.model = _name(model)
        kept = json.loads(state) if state is not None else {}
        pin = bytes.fromhex(kept["pin"]) if kept else None
        if kept:
            secret = bytes.fromhex(kept["secret"])
        manifest = self._service.expect(200, "GET", f"/v1/models/{self.model}/manifest").body
        #: The client behind: its columns, batch and doubts.
        self.client = Client(manifest, secret=secret, pin=pin)
        if kept:
            self._access = _client.access_read(kept["access"].encode())
            if not _client.access_covers(self._access, self.client._handle):
                raise WrongModel("the state is of a model that needs other keys")
        else:
            self._access = _client.access_new(self.client._handle, None)
            self._open()
        self._upload(progress)
        _client.client_use(self._access, self.client._handle)

    def __repr__(self) -> str:
        return f"<helrm.Remote of {self.model} at {self._service.url}>"

    @property
    def state(self) -> bytes:
        """What to keep, where secrets are safe: it decrypts, and whoever has it can use up your
        session."""
        return json.dumps({"secret": self.client.secret.hex(), "pin": self.client.pin.hex(),
                           "access": _client.access_write(self._access).rstrip(b"\0").decode()}).encode()

    # --- the session ----------------------------------------------------------------------------

    @property
    def _token(self) -> str:
        return str(_client.access_token(self._access))

    def _open(self) -> None:
        body = bytes(_client.access_request(self._access)).rstrip(b"\0")
        answer = self._service.expect(201, "POST", "/v1/sessions", body=body,
                                      headers={"Content-Type": "application/json"})
        token = answer.said.get("token")
        if not isinstance(token, str):
            raise FormatError(f"{self._service.url} answers without a token")
        _client.access_set(self._access, self._service.url, token)

    def _standing(self, answer: _Answer) -> "tuple[bool, int, int]":
        said = answer.said
        state, offset, size = said.get("state"), said.get("offset"), said.get("bytes")
        if not isinstance(state, str) or not isinstance(offset, int) or not isinstance(size, int) \
                or not 0 <= offset <= size:
            raise FormatError(f"{self._service.url} describes the session wrongly")
        return state == "ready", offset, size

    def _ask(self) -> "tuple[bool, int, int]":
        return self._standing(self._service.expect(200, "GET", "/v1/session", token=self._token))

    def _send(self, piece: bytes, begin: int, at: "tuple[bool, int, int]") -> "Optional[tuple[bool, int, int]]":
        """Bytes that begin at `begin`; none ask the server to check what it has. None: it lost what
        it had."""
        end, pauses = begin + len(piece), _Pauses(self._service)
        while True:
            ready, offset, size = at
            answer = self._service.once("PATCH", "/v1/session/keys", token=self._token,
                                        body=piece[offset - begin:],
                                        headers={"Upload-Offset": str(offset)})
            if answer.status == 200:
                at = self._standing(answer)
            else:
                moved = answer.status == 409 and answer.said.get("code") == "offset"
                if not answer.passing and answer.status != 507 and not moved:
                    raise self._service.refusal(answer)
                if not moved:
                    pauses.after(answer)
                at = self._ask()
                if at[1] > offset:
                    pauses.renew()
                if not begin <= at[1] <= end:
                    return None
            ready, offset, size = at
            if not (offset < end or (offset == size and not ready)):
                return at

    def _pieces(self) -> Iterator[bytes]:
        source = _client.keys_begin(self._access, self.client._handle)
        held = bytearray()
        while True:
            part = _client.keys_next(source)
            held += part
            while len(held) >= PIECE or (held and not part):
                yield bytes(held[:PIECE])
                del held[:PIECE]
            if not part:
                return

    def _upload(self, progress: Progress) -> None:
        at = self._ask()
        size = int(_client.access_keys_size(self._access, self.client._handle))
        if at[2] != size:
            raise FormatError(f"{self._service.url} expects {at[2]} bytes of keys, they have {size}")
        pauses = _Pauses(self._service)
        with following(progress, "uploading keys") as tell:
            while not at[0]:
                generated, sent = 0, at
                lost = False
                for piece in self._pieces():  # what the server has is made, not sent
                    begin, generated = generated, generated + len(piece)
                    if generated > sent[1]:
                        answer = self._send(piece, begin, sent)
                        lost = answer is None
                        if answer is None:
                            break
                        sent = answer
                        if tell is not None and tell(sent[1] / size) is False:
                            from .errors import Cancelled
                            raise Cancelled("the upload was cancelled; the same state goes on with it")
                if not lost:
                    last = self._send(b"", size, sent) if not sent[0] else sent
                    if last is not None and last[0]:
                        return
                pauses.after(_Answer(0, b"", 0.0, "uploads are lost again and again"))
                at = self._ask()

    # --- queries --------------------------------------------------------------------------------

    def send(self, query: bytes) -> bytes:
        """The result of a query; always sent under one idempotency key."""
        service, token = self._service, self._token
        prefer = {"Prefer": f"wait={WAIT}"}
        posting = ("POST", f"/v1/models/{self.model}/queries",
                   {"body": query, "headers": {**prefer, "Idempotency-Key": secrets.token_hex(16)}})
        request: "tuple[str, str, dict[str, Any]]" = posting
        begun, pauses, pause, again = time.monotonic(), _Pauses(service), 0.1, False
        while True:
            asked = time.monotonic()
            answer = service.once(request[0], request[1], token=token, **request[2])
            if answer.status == 200:
                return answer.body
            if answer.status == 202:  # accepted, not done
                number = answer.said.get("query")
                if not isinstance(number, str) or not number.replace("-", "").isalnum():
                    raise FormatError(f"{service.url} accepts a query without naming it")
                request = ("GET", f"/v1/queries/{number}", {"headers": prefer})
                now = time.monotonic()
                if now - begun > service.limit:
                    raise Busy(f"{service.url} has no result after {service.limit:g} s")
                if now - asked > 1:
                    pause = 0.1
                else:
                    time.sleep(pause)
                    pause = min(2 * pause, 5)
                pauses.renew()
            elif answer.passing:
                pauses.after(answer)
            elif request is not posting and (answer.status == 404 or (answer.status == 504 and not again)):
                again = again or answer.status == 504
                request = posting  # the server began anew, or gave up because we were gone
            else:
                raise service.refusal(answer)

    def query(self, records: Records) -> Union[Score, Any]:
        """The score of one record; of several, as Client.decrypt_batch() has them. A record that
        the model does not know is sent all the same: see Client.doubts()."""
        if self.client.ranks:
            raise WrongModel(f"'{self.model}' ranks items: top() asks it")
        text = self.client._names.text(records)
        count = int(_client.client_count(self.client._handle, text))
        if count > self.client.batch:
            raise DataError(f"{count} records, a query of this model holds {self.client.batch}")
        result = self.send(self.client.encrypt(text))
        return self.client.decrypt(result) if count == 1 else self.client.decrypt_batch(result, count)

    def top(self, record: Records, k: Optional[int] = 10, *,
            candidates: Optional[Iterable[str]] = None) -> Ranking:
        """The k best items of the service's catalogue for one record, as Client.top() has them; of
        candidates, see Client.narrow()."""
        if not self.client.ranks:
            raise WrongModel(f"'{self.model}' scores records one by one: query() asks it")
        text = self.client._names.text(record)
        if _client.client_count(self.client._handle, text) != 1:
            raise DataError("a ranking is of one record")
        query = self.client.encrypt(text)
        if candidates is not None:
            query = self.client.narrow(query, candidates)
        return self.client.top(self.send(query), k)

    def forget(self) -> None:
        """Removes keys, results and session from the server."""
        answer = self._service.once("DELETE", "/v1/session", token=self._token)
        self._service.close()
        if answer.status not in (204, 401):
            raise self._service.refusal(answer)
