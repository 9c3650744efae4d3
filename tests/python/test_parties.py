"""Owner, client and server: every call, against the commands and against each other."""
import json
import os
import pickle
import signal
import threading
import time

import numpy
import pytest

import helrm
from helrm import errors

from conftest import COLUMNS, invented


def test_logits_are_those_of_the_command(model, rows, csv, command, tmp_path):
    model.save(tmp_path / "m")
    said = json.loads(command("predict", "--model", tmp_path / "m", "--input", csv, "--json").stdout)
    ours = model.logits(rows)
    # the command prints 12 digits
    for one, theirs in zip(ours, said["predictions"]):
        assert float(f"{one:.12g}") == theirs["logit"]
    assert numpy.array_equal(helrm.Model.open(tmp_path / "m").logits(rows), ours)
    assert numpy.array_equal(model.logits(rows, threads=1), ours)


def test_programs_are_those_of_the_command(model, rows, csv, command, tmp_path):
    model.save(tmp_path / "m")
    command("compile", "--model", tmp_path / "m", "--data", csv, "--out", tmp_path / "c", "--bits", 14)
    ours = helrm.Model.open(tmp_path / "m").compile(rows, bits=14, calibration="none")
    assert ours.program == (tmp_path / "c" / "program.helm").read_bytes()
    assert ours.manifest == (tmp_path / "c" / "manifest.helm").read_bytes()
    ours.save(tmp_path / "d")
    assert (tmp_path / "d" / "program.helm").read_bytes() == ours.program


def test_scores_are_those_of_the_command(compiled, rows, command, tmp_path):
    """A query of the command, run and decrypted by both: the same bits."""
    compiled.save(tmp_path)
    command("keygen", "--manifest", tmp_path / "manifest.helm", "--out", tmp_path)
    (tmp_path / "record.json").write_text(json.dumps(rows[0]))
    command("encrypt", "--manifest", tmp_path / "manifest.helm", "--key", tmp_path / "secret.key",
            "--input", tmp_path / "record.json", "--out", tmp_path / "query")
    command("infer", "--program", tmp_path / "program.helm", "--keys", tmp_path / "evaluation.keys",
            "--query", tmp_path / "query", "--out", tmp_path / "result")
    server = helrm.Server(compiled.program, threads=1)
    ours = server.run((tmp_path / "query").read_bytes(), (tmp_path / "evaluation.keys").read_bytes())
    assert ours == (tmp_path / "result").read_bytes()


def test_a_private_prediction(model, compiled, rows):
    client = helrm.Client(compiled.manifest)
    server = helrm.Server(compiled.program)
    assert client.pin == server.id and client.model == server.model
    clear, spread = model.logits(rows), numpy.std(model.logits(rows))
    for i in range(4):
        score = client.decrypt(server.run(client.encrypt(rows[i]), client.evaluation_keys()))
        assert abs(score.logit - clear[i]) < spread * 2 ** -10
        assert score.probability == pytest.approx(1 / (1 + numpy.exp(-score.logit)))
        assert score.bits > 8


def test_a_batch(model, batched, rows):
    client, server = helrm.Client(batched.manifest), helrm.Server(batched.program, threads=1)
    assert client.batch == 8
    result = server.run(client.encrypt(rows[:5]), client.evaluation_keys())
    scores = client.decrypt_batch(result, 5)
    assert scores["logit"] == pytest.approx(model.logits(rows[:5]), abs=1e-2)
    with pytest.raises(ValueError):
        client.decrypt_batch(result, 9)
    with pytest.raises(errors.InvalidArgument):
        client.encrypt(rows[:9])


def test_a_secret_comes_back(compiled, rows):
    first = helrm.Client(compiled.manifest)
    kept = helrm.seal(first.secret, "a passphrase")
    server = helrm.Server(compiled.program, threads=1)
    with pytest.raises(errors.Denied):
        helrm.unseal(kept, "another")
    again = helrm.Client(compiled.manifest, secret=helrm.unseal(kept, "a passphrase"), pin=first.pin)
    assert again.secret == first.secret
    result = server.run(first.encrypt(rows[0]), first.evaluation_keys())
    assert again.decrypt(result) == first.decrypt(result)
    with pytest.raises(errors.WrongModel):
        helrm.Client(compiled.manifest, pin=bytes(32))
    with pytest.raises(TypeError):
        pickle.dumps(first)


def test_keys_of_another_client(compiled, rows):
    server = helrm.Server(compiled.program, threads=1)
    one, other = helrm.Client(compiled.manifest), helrm.Client(compiled.manifest)
    with pytest.raises(errors.WrongClient):
        server.run(one.encrypt(rows[0]), other.evaluation_keys())
    with pytest.raises(errors.WrongClient):
        other.decrypt(server.run(one.encrypt(rows[0]), one.evaluation_keys()))


def test_another_model(compiled, batched, rows):
    one, other = helrm.Client(compiled.manifest), helrm.Client(batched.manifest)
    server = helrm.Server(compiled.program, threads=1)
    with pytest.raises((errors.WrongModel, errors.ParametersError, errors.KeyMissing,
                        errors.WrongClient)):
        server.run(other.encrypt(rows[0]), other.evaluation_keys())
    with pytest.raises(ValueError):
        helrm.Server(compiled.program).run(one.encrypt(rows[0]), server.evaluation(one.evaluation_keys()))


def test_damage(compiled, rows):
    client, server = helrm.Client(compiled.manifest), helrm.Server(compiled.program, threads=1)
    query = client.encrypt(rows[0])
    result = server.run(query, client.evaluation_keys())
    for at in (0, 40, len(query) // 2, len(query) - 1):
        bad = bytearray(query)
        bad[at] ^= 1
        with pytest.raises(helrm.HelrmError):
            server.run(bytes(bad), client.evaluation_keys())
    for at in (0, 40, len(result) // 2, len(result) - 1):
        bad = bytearray(result)
        bad[at] ^= 1
        with pytest.raises(helrm.HelrmError):
            client.decrypt(bytes(bad))
    with pytest.raises(errors.FormatError):
        helrm.Server(compiled.program[:-1])
    with pytest.raises(errors.FormatError):
        helrm.Client(compiled.manifest[:100])


def test_doubts(compiled, rows):
    client = helrm.Client(compiled.manifest)
    assert client.doubts(rows[0]).unknown == 0
    doubt = client.doubts({**rows[0], "genre": "opera"})
    assert doubt.unknown == 1 and "genre" in doubt.text
    assert len(client.encrypt({**rows[0], "genre": "opera"})) == len(client.encrypt(rows[0]))


def test_records_of_every_shape(model, rows):
    pandas = pytest.importorskip("pandas")
    wanted = model.logits(rows)
    frame = pandas.DataFrame(rows)
    assert numpy.array_equal(model.logits(frame), wanted)
    assert numpy.array_equal(model.logits(frame.drop(columns="liked")), wanted)
    assert numpy.array_equal(model.logits([list(r.values()) for r in rows]), wanted)
    assert numpy.array_equal(model.logits(rows[0]), wanted[:1])
    assert numpy.array_equal(model.logits("\n".join(json.dumps(r) for r in rows)), wanted)
    assert numpy.array_equal(model.logits(model.records(rows)), wanted)
    with pytest.raises(errors.DataError):
        model.logits(frame.drop(columns="age"))
    with pytest.raises(errors.DataError):
        model.logits({"nobody": 1})
    with pytest.raises(errors.DataError):
        model.logits([])
    with pytest.raises(errors.DataError):
        model.logits({**rows[0], "genre": "opera"})
    with pytest.raises(errors.DataError):
        model.logits({**rows[0], "age": float("inf")})
    missing = model.logits({**rows[0], "age": None})
    assert numpy.array_equal(model.logits({**rows[0], "age": float("nan")}), missing)


def test_arrays_without_a_copy_of_names():
    described = {"helrm_columns": 1, "name": "numbers", "small": True, "columns": [
        {"name": "a", "kind": "dense"}, {"name": "b", "kind": "dense"}, {"name": "y", "kind": "label"}]}
    x = numpy.random.default_rng(1).normal(size=(60, 2))
    y = (x[:, 0] > x[:, 1]).astype(int)
    m = helrm.Model.train(described, numpy.column_stack([x, y]),
                          config={"architecture": "mlp", "top": [4, 1],
                                  "training": {"epochs": 100, "batch": 20, "warmup": 5}})
    assert numpy.array_equal(m.logits(x), m.logits([{"a": a, "b": b} for a, b in x.tolist()]))
    assert m.judge(numpy.column_stack([x, y]))["auc"] > 0.8


def test_members(rows):
    """Networks of several seeds, each trained alone, whose mean is the model; one query for all."""
    config = {"architecture": "mlp", "embedding_dim": 4, "top": [8, 1], "training": {"epochs": 10}}
    one = helrm.Model.train(COLUMNS, rows, config=config)
    three = helrm.Model.train(COLUMNS, rows, config={**config, "members": 3})
    assert [n["name"] for n in three.graph if n["name"].startswith("m0.")] == [f"m0.{n['name']}" for n in one.graph]
    assert sum(n["name"].startswith("m2.") for n in three.graph) == len(one.graph)
    compiled = three.compile(rows, calibration="none")
    client, server = helrm.Client(compiled.manifest), helrm.Server(compiled.program)
    score = client.decrypt(server.run(client.encrypt(rows[3]), client.evaluation_keys()))
    clear = three.logits(rows)
    assert score.logit == pytest.approx(clear[3], abs=numpy.std(clear) * 2 ** -9)


def test_judge_and_approximate(rows):
    m = helrm.Model.train(COLUMNS, rows, config={
        "architecture": "mlp", "embedding_dim": 4, "top": [8, 1], "activation": {"kind": "relu"},
        "training": {"epochs": 10}})
    assert m.judge(rows)["trained_on"] is True
    assert m.judge(invented(100, 2))["trained_on"] is False
    degrees = m.approximate(rows)["degrees"]
    assert degrees[0]["degree"] == 2 and degrees[-1]["bits"] > degrees[0]["bits"]
    compiled = m.compile(rows, activation="relu=poly:7", accept_loss=True)
    assert compiled.report["activation"]["degree"] == 7
    replaced = compiled.model
    assert replaced is not None
    spread = numpy.std(m.logits(rows))
    assert 0 < numpy.max(numpy.abs(replaced.logits(rows) - m.logits(rows))) < spread
    client, server = helrm.Client(compiled.manifest), helrm.Server(compiled.program)
    score = client.decrypt(server.run(client.encrypt(rows[0]), client.evaluation_keys()))
    assert score.logit == pytest.approx(replaced.logits(rows[0])[0], abs=spread * 2 ** -9)
    with pytest.raises(errors.InvalidArgument):
        m.compile(rows, activation="tanh")


def test_options_that_are_none(model):
    for bad in ({"bits": 99}, {"bits": "x"}, {"batch": 3}, {"optimize": "luck"}, {"nosuch": 1},
                {"lookup": {"nobody": "grid"}}, {"max_log_n": 3}, {"name": ""}):
        with pytest.raises(errors.InvalidArgument):
            model.compile(**bad)
    with pytest.raises(ValueError):
        model.compile(threads=0)


def test_reports_draw_themselves(compiled, model):
    assert compiled.report["log_n"] >= 12 and "bits" in str(compiled.report)
    assert "<svg" in compiled._repr_html_()
    assert "parameters" in str(model.notes) and "<table" in model.notes._repr_html_()


def test_models_are_pickled(model, rows):
    assert numpy.array_equal(pickle.loads(pickle.dumps(model)).logits(rows), model.logits(rows))


def test_progress_and_cancelling(model, rows):
    seen = []
    model.compile(rows, progress=seen.append)
    assert seen == sorted(seen) and all(0 <= s <= 1 for s in seen)
    with pytest.raises(errors.Cancelled):
        helrm.Model.train(COLUMNS, rows, config={"training": {"epochs": 10000}},
                          progress=lambda done: False)

    class Mine(Exception):
        pass

    def fail(done):
        raise Mine

    with pytest.raises(Mine):
        helrm.Model.train(COLUMNS, rows, config={"training": {"epochs": 10000}}, progress=fail)


def test_an_interrupt_cancels(rows):
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background has none
    timer = threading.Timer(0.5, lambda: os.kill(os.getpid(), signal.SIGINT))
    timer.start()
    begun = time.monotonic()
    try:
        with pytest.raises(KeyboardInterrupt):
            helrm.Model.train(COLUMNS, rows, config={"training": {"epochs": 10000}})
    finally:
        signal.signal(signal.SIGINT, before)
    assert time.monotonic() - begun < 30


def test_many_threads(model, compiled, rows):
    server = helrm.Server(compiled.program, threads=1)
    client = helrm.Client(compiled.manifest)
    evaluation = server.evaluation(client.evaluation_keys())
    clear, failed = model.logits(rows), []

    def work(number):
        try:
            for i in range(number, len(rows[:40]), 20):
                score = client.decrypt(server.run(client.encrypt(rows[i]), evaluation))
                assert abs(score.logit - clear[i]) < 1e-2
        except BaseException as e:
            failed.append(e)

    threads = [threading.Thread(target=work, args=(i % 20,)) for i in range(200 if LONG else 24)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not failed


LONG = bool(os.environ.get("HELRM_TEST_LONG"))
