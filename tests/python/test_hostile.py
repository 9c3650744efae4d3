"""Whatever is given, an exception comes, never a crash; and nothing grows."""
import gc
import os
import random
import resource
import tracemalloc

import numpy
import pytest

import helrm
from helrm import _client, _owner, _server

LONG = bool(os.environ.get("HELRM_TEST_LONG"))
CALLS = 10000 if LONG else 1500
CYCLES = 1000 if LONG else 60


def _things(g, model, compiled, rows):
    client, server = helrm.Client(compiled.manifest), helrm.Server(compiled.program, threads=1)
    query = client.encrypt(rows[0])
    evaluation = server.evaluation(client.evaluation_keys())
    result = server.run(query, evaluation)
    return [
        None, True, False, 0, 1, -1, 2 ** 31, 2 ** 63, 2 ** 80, 1.5, float("nan"), "", "x", "\0", "é",
        "{}", "[]", '{"age": 1}', b"", b"\0" * 32, b"x" * 1000, [], {}, (), object(), [1, 2], ["bits=12"],
        bytearray(24), memoryview(b"abc"), numpy.zeros(3), numpy.zeros((2, 3)), len, Exception(),
        "/nonexistent", "\ud800", {"age": 1}, rows[0], rows[:3], lambda *a: None, lambda *a: 1 / 0,
        model, compiled, client, server, evaluation, query, result, compiled.manifest,
        compiled.program[: g.randrange(1, 2000)], client.secret,
        model._handle, compiled._handle, client._handle, client._access, server._handle,
        evaluation._handle, model.records(rows[:3])._handle, model.records(rows[:3]),
        numpy.zeros(3, dtype=object), numpy.zeros(0), range(3), {1, 2}, compiled.report,
    ]


def test_random_arguments(model, compiled, rows, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    seed = int(os.environ.get("HELRM_SEED", random.randrange(10 ** 6)))
    print("seed", seed)
    g = random.Random(seed)
    things = _things(g, model, compiled, rows)
    calls = [getattr(m, n) for m in (_owner, _client, _server) for n in dir(m)
             if not n.startswith("__")]
    client, server = helrm.Client(compiled.manifest), helrm.Server(compiled.program, threads=1)
    calls += [helrm.Client, helrm.Server, helrm.Model.open, helrm.Model.load, helrm.Model.train,
              helrm.seal, helrm.unseal, model.logits, model.predict, model.judge, model.approximate,
              model.records, client.encrypt, client.decrypt, client.decrypt_batch, client.doubts,
              server.run, server.evaluation, helrm.Graph, helrm.compile, helrm.Remote]
    calls = [c for c in calls if callable(c)]
    done, peak = 0, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(CALLS):
        call = g.choice(calls)
        args = [g.choice(things) for _ in range(g.choice([0, 1, 1, 2, 2, 3, 3, 4, 5]))]
        try:
            call(*args)
            done += 1
        except Exception:
            pass
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak
        assert grown < 1 << 20, f"{grown >> 10} MB for {call}{args}"
    assert 0 < done < CALLS


def test_nothing_grows(compiled, rows):
    client, server = helrm.Client(compiled.manifest), helrm.Server(compiled.program, threads=1)
    keys = client.evaluation_keys()

    def cycle():
        client.decrypt(server.run(client.encrypt(rows[0]), keys))

    for _ in range(CYCLES // 4):
        cycle()
    gc.collect()
    tracemalloc.start()
    before, peak = tracemalloc.take_snapshot(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(CYCLES):
        cycle()
    gc.collect()
    grown = sum(s.size_diff for s in tracemalloc.take_snapshot().compare_to(before, "filename"))
    tracemalloc.stop()
    assert grown < 100_000
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak < 8 << 10  # kB


def test_made_and_freed(compiled, rows):
    """Handles that are made and dropped: all that they hold goes with them."""
    keys = helrm.Client(compiled.manifest).evaluation_keys()

    def cycle():
        server = helrm.Server(compiled.program, threads=1)
        server.evaluation(keys)
        helrm.Client(compiled.manifest)

    for _ in range(10):
        cycle()
    gc.collect()
    before = _resident()
    for _ in range(60 if LONG else 15):
        cycle()
    gc.collect()
    assert _resident() - before < 24 << 20


def _resident():
    with open("/proc/self/statm") as f:
        return int(f.read().split()[1]) * resource.getpagesize()


def test_wrong_handles(model, compiled):
    with pytest.raises(TypeError):
        _owner.model_describe(compiled._handle)
    with pytest.raises(TypeError):
        _server.server_run(model._handle, b"", None)
    with pytest.raises(ValueError):
        _owner.model_score(model._handle, model.records([{"age": 1}])._handle, bytearray(3), 1, None)
