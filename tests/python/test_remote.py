"""The service: upload, resume, queries, and what is refused."""
import os
import re
import subprocess
import time

import numpy
import pytest

import helrm
from helrm import errors


@pytest.fixture(scope="module")
def service(compiled, batched, tmp_path_factory):
    server = os.environ["HELRM_SERVER"]
    if not os.path.exists(server):
        pytest.skip("no service was built")
    place = tmp_path_factory.mktemp("service")
    for name, c in (("films", compiled), ("batch", batched)):
        c.save(place / "models" / name)
    log = open(place / "log", "w+")
    child = subprocess.Popen([server, "serve", "--models", place / "models", "--data", place / "data",
                              "--listen", "127.0.0.1:0"], stdout=log, stderr=subprocess.STDOUT)
    try:
        for _ in range(600):
            found = re.search(r'"listening".*"port":(\d+)', (place / "log").read_text())
            if found or child.poll() is not None:
                break
            time.sleep(0.05)
        assert found, (place / "log").read_text()
        yield f"http://127.0.0.1:{found.group(1)}"
    finally:
        child.terminate()
        child.wait(30)


def test_queries(service, model, rows):
    seen = []
    remote = helrm.Remote(service, "films", progress=seen.append)
    assert seen == sorted(seen) and seen[-1] == 1
    clear = model.logits(rows[:3])
    for i in range(3):
        assert remote.query(rows[i]).logit == pytest.approx(clear[i], abs=1e-2)
    # another process goes on with the state: no upload
    again = helrm.Remote(service, "films", state=remote.state, progress=lambda done: 1 / 0)
    assert again.query(rows[0]).logit == pytest.approx(clear[0], abs=1e-2)
    again.forget()
    with pytest.raises(errors.Denied):
        remote.query(rows[0])


def test_an_upload_is_resumed(service, rows, monkeypatch):
    """A connection that breaks in the middle of a piece."""
    from helrm import remote as module
    broken = []
    before = module._Service.once

    def once(self, method, path, **more):
        if method == "PATCH" and more.get("body") and len(broken) < 3:
            broken.append(path)
            if len(broken) > 1:
                self.close()
                return module._Answer(0, b"", 0.0, "broken")
        return before(self, method, path, **more)

    monkeypatch.setattr(module, "PIECE", 1 << 18)
    monkeypatch.setattr(module._Service, "once", once)
    remote = helrm.Remote(service, "films")
    assert len(broken) == 3
    assert numpy.isfinite(remote.query(rows[0]).logit)
    remote.forget()


def test_a_batch(service, model, rows):
    remote = helrm.Remote(service, "batch")
    scores = remote.query(rows[:6])
    assert scores["logit"] == pytest.approx(model.logits(rows[:6]), abs=1e-2)
    with pytest.raises(errors.DataError):
        remote.query(rows[:9])
    remote.forget()


def test_what_is_refused(service):
    with pytest.raises(errors.InvalidArgument):
        helrm.Remote(service, "nobody")
    with pytest.raises(errors.InvalidArgument):
        helrm.Remote(service, "../films")
    with pytest.raises(errors.InvalidArgument):
        helrm.Remote("http://example.org", "films")
    with pytest.raises(errors.InputOutputError):
        helrm.Remote("http://127.0.0.1:9", "films", patience=0.2)
