"""Catalogues: made, served, ranked for one private record; against the command and the clear model."""
import json
import os
import re
import subprocess
import threading
import time

import numpy
import pytest

import helrm
from helrm import errors

COLUMNS = {"helrm_columns": 1, "name": "watching", "small": True, "columns": [
    {"name": "age", "kind": "dense"}, {"name": "mood", "kind": "category"},
    {"name": "film", "kind": "category"}, {"name": "genres", "kind": "bag", "limit": 3},
    {"name": "liked", "kind": "label"}]}
GENRES = ["drama", "comedy", "war", "western"]
FILMS = [{"film": f"film {i}", "genres": sorted({GENRES[i % 4], GENRES[i * i % 3]}), "year": 1950 + i % 70}
         for i in range(60)]


@pytest.fixture(scope="module")
def watched():
    g = numpy.random.default_rng(3)
    rows = []
    for i in range(800):
        film = FILMS[i % len(FILMS)]
        age, mood = float(g.uniform(15, 80)), str(g.choice(["calm", "wild"]))
        liking = (age - 45) / 20 * (1 if "western" in film["genres"] else -0.5) + (mood == "wild") + g.normal()
        rows.append({"age": age, "mood": mood, "film": film["film"], "genres": film["genres"],
                     "liked": int(liking > 0)})
    return rows


@pytest.fixture(scope="module")
def films_model(watched):
    return helrm.Model.train(COLUMNS, watched, config={
        "architecture": "mlp", "embedding_dim": 4, "top": [8, 1], "training": {"epochs": 10}})


@pytest.fixture(scope="module")
def ranked(films_model, watched):
    return films_model.compile(watched, public=["film", "genres"], calibration="none")


@pytest.fixture(scope="module")
def files(ranked, tmp_path_factory):
    place = tmp_path_factory.mktemp("films")
    ranked.save(place)
    said = ranked.catalogue(place / "items.helm", FILMS, id="film")
    assert said["items"] == len(FILMS) and said["kept"] == 0
    return place


USER = {"age": 61, "mood": "wild"}


def clear_order(model, user):
    """Ids by falling logit, and logits by id, of the model as it was trained."""
    logits = model.logits([{**user, "film": f["film"], "genres": f["genres"]} for f in FILMS])
    by_id = {f["film"]: z for f, z in zip(FILMS, logits)}
    return sorted(by_id, key=lambda i: -by_id[i]), by_id


def same_order(items, model, user, error):
    """Those that stand the other way round than in the clear are closer than errors are."""
    order, clear = clear_order(model, user)
    for place, item in enumerate(items):
        assert abs(item.logit - clear[item.id]) < error
        assert abs(clear[item.id] - clear[order[place]]) < 2 * error
        assert item.probability == pytest.approx(1 / (1 + numpy.exp(-item.logit)))


def test_the_best_items(ranked, files, films_model):
    client, server = helrm.Client(ranked.manifest), helrm.Server(ranked.program)
    assert client.ranks and [c["name"] for c in client.columns["columns"]] == ["age", "mood"]
    catalogue = server.catalogue(files / "items.helm")
    assert len(catalogue) == len(FILMS)
    for user in (USER, {"age": 20, "mood": "calm"}):
        steps = []
        result = server.rank(client.encrypt(user), client.evaluation_keys(), catalogue,
                             progress=steps.append)
        top = client.top(result, 10)
        assert len(top) == 10 and top.ranked == len(FILMS) and len(top.catalogue) == 32
        assert steps == sorted(steps)
        every = client.top(result, None)
        assert every[:10] == top and {i.id for i in every} == {f["film"] for f in FILMS}
        assert 0 < top.error < numpy.std([i.logit for i in every]) / 8
        same_order(every, films_model, user, 4 * top.error)


def test_many_threads_rank(ranked, files, films_model):
    """One server, one catalogue, one evaluation, one client."""
    server, client = helrm.Server(ranked.program, threads=1), helrm.Client(ranked.manifest)
    catalogue, failed = server.catalogue(files / "items.helm"), []
    evaluation = server.evaluation(client.evaluation_keys())

    def work(age):
        try:
            user = {"age": age, "mood": "calm"}
            top = client.top(server.rank(client.encrypt(user), evaluation, catalogue), 3)
            _, clear = clear_order(films_model, user)
            assert all(abs(item.logit - clear[item.id]) < 4 * top.error for item in top)
        except BaseException as e:
            failed.append(e)

    threads = [threading.Thread(target=work, args=(20 + 3 * i,)) for i in range(12)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not failed


def test_candidates(ranked, files):
    client, server = helrm.Client(ranked.manifest), helrm.Server(ranked.program, threads=1)
    catalogue, keys = server.catalogue(files / "items.helm"), client.evaluation_keys()
    query = client.encrypt(USER)
    few = client.top(server.rank(query, keys, catalogue, candidates=["film 3", "film 20"]))
    assert {i.id for i in few} == {"film 3", "film 20"}
    assert client.top(server.rank(query, keys, catalogue, candidates="11..15"), 2).ranked == 5
    narrowed = client.narrow(query, ["film 3", "11..14"])
    assert {i.id for i in client.top(server.rank(narrowed, keys, catalogue))} == {"film 3"} | {
        f["film"] for f in FILMS[10:14]}
    both = client.top(server.rank(narrowed, keys, catalogue, candidates=["film 3", "film 20"]))
    assert [i.id for i in both] == ["film 3"]
    for wrong, kind in (([], errors.DataError), (["a\0"], errors.DataError), (["x" * 300], errors.DataError),
                        ("film 3", TypeError), (["x"] * 600000, errors.LimitError)):
        with pytest.raises(kind):
            client.narrow(query, wrong)
    with pytest.raises(errors.FormatError):
        client.narrow(narrowed, ["film 3"])
    for bad in ("nobody", "0..3", "5..99", ""):
        with pytest.raises(errors.InvalidArgument):
            server.rank(query, keys, catalogue, candidates=bad)


def test_catalogues_are_those_of_the_command(ranked, files, command, tmp_path):
    with open(tmp_path / "items.csv", "w") as f:
        f.write("film,genres,year\n")
        f.writelines(f"{i['film']},{'|'.join(i['genres'])},{i['year']}\n" for i in FILMS)
    command("catalogue", "--program", files / "program.helm", "--items", tmp_path / "items.csv", "--id", "film",
            "--out", tmp_path / "items.helm")
    ours = (files / "items.helm").read_bytes()
    assert (tmp_path / "items.helm").read_bytes() == ours
    # appended, of a frame, of a text of JSON
    program = (files / "program.helm").read_bytes()
    helrm.catalogue(tmp_path / "first", program, json.dumps(FILMS[:25]), id="film")
    said = helrm.catalogue(tmp_path / "all", program, FILMS[25:], id="film", append=tmp_path / "first", threads=1)
    assert said["kept"] == 25 and (tmp_path / "all").read_bytes() == ours
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(FILMS).rename(columns={"year": "item_id"})
    ranked.catalogue(tmp_path / "numbered", frame.head(40))
    server, client = helrm.Server(ranked.program, threads=1), helrm.Client(ranked.manifest)
    result = server.rank(client.encrypt(USER), client.evaluation_keys(), server.catalogue(tmp_path / "numbered"))
    assert {i.id for i in client.top(result, None)} == {str(1950 + i) for i in range(40)}


def test_a_ranking_of_the_command(ranked, files, command, tmp_path):
    """Its files, decrypted by both: the same items and numbers."""
    command("keygen", "--manifest", files / "manifest.helm", "--out", tmp_path)
    (tmp_path / "user.json").write_text(json.dumps(USER))
    command("encrypt", "--manifest", files / "manifest.helm", "--key", tmp_path / "secret.key", "--input",
            tmp_path / "user.json", "--out", tmp_path / "query")
    command("infer", "--program", files / "program.helm", "--catalogue", files / "items.helm", "--keys",
            tmp_path / "evaluation.keys", "--query", tmp_path / "query", "--out", tmp_path / "result")
    server = helrm.Server(ranked.program, threads=1)
    ours = server.rank((tmp_path / "query").read_bytes(), (tmp_path / "evaluation.keys").read_bytes(),
                       server.catalogue(files / "items.helm"))
    assert ours == (tmp_path / "result").read_bytes()


@pytest.mark.parametrize("bad, kind", [
    ("film,genres\n", errors.DataError), ("", errors.DataError), ("year\n1950\n", errors.DataError),
    ("film,genres\nfilm 1,war\nfilm 1,war\n", errors.DataError), ('[{"film": "x"}, 3]', errors.DataError),
    ('{"film": "film 1", "genres": []}\n{"film": "film 2", "genres": [], "more": 1}\n', errors.DataError),
    ('[{"film": {}, "genres": []}]', errors.DataError), ('{"film": "film 1"', errors.DataError),
    ('[{"film": null, "genres": []}]', errors.DataError), ("film,genres\n,war\n", errors.DataError),
    ("[]", errors.DataError), ([3], TypeError), (3, TypeError), ([], errors.DataError),
])
def test_bad_items(ranked, tmp_path, bad, kind):
    with pytest.raises(kind):
        ranked.catalogue(tmp_path / "items", bad, id="film" if "year" not in str(bad) else None)
    assert not list(tmp_path.iterdir())


def test_what_does_not_fit(ranked, files, compiled, rows, films_model, watched, tmp_path):
    client, server = helrm.Client(ranked.manifest), helrm.Server(ranked.program, threads=1)
    catalogue, keys = server.catalogue(files / "items.helm"), client.evaluation_keys()
    query = client.encrypt(USER)
    result = server.rank(query, keys, catalogue)
    plain, plain_server = helrm.Client(compiled.manifest), helrm.Server(compiled.program, threads=1)
    assert not plain.ranks
    with pytest.raises(errors.WrongModel):  # ranked and scored the wrong way round
        server.run(query, keys)
    with pytest.raises(helrm.HelrmError):
        client.decrypt(result)
    with pytest.raises(errors.WrongModel):
        plain.top(result)
    with pytest.raises(errors.WrongModel):
        compiled.catalogue(tmp_path / "x", FILMS)
    with pytest.raises(errors.WrongModel):
        plain_server.catalogue(files / "items.helm")
    with pytest.raises(ValueError):
        plain_server.rank(query, keys, catalogue)
    with pytest.raises(errors.WrongClient):
        helrm.Client(ranked.manifest).top(result)
    with pytest.raises(errors.WrongModel):  # of another compile
        other = films_model.compile(watched, public="film,genres", name="other", calibration="none")
        helrm.Server(other.program).catalogue(files / "items.helm")
    for k in (0, -1, "3", 1.5, True):
        with pytest.raises(ValueError):
            client.top(result, k)
    for at in (0, 60, len(result) // 2, len(result) - 1):
        bad = bytearray(result)
        bad[at] ^= 1
        with pytest.raises(helrm.HelrmError):
            client.top(bytes(bad))
    held = bytearray((files / "items.helm").read_bytes())
    held[len(held) // 2] ^= 1
    (tmp_path / "damaged").write_bytes(held)
    with pytest.raises(helrm.HelrmError):
        server.catalogue(tmp_path / "damaged")
    with pytest.raises(errors.InputOutputError):
        server.catalogue(tmp_path / "nobody")
    with pytest.raises(errors.InvalidArgument):
        films_model.compile(public=["nobody"])


def test_in_batches(films_model, watched, tmp_path):
    compiled = films_model.compile(watched, public=["film", "genres"], batch=8, calibration="none")
    compiled.catalogue(tmp_path / "items", FILMS, id="film")
    client, server = helrm.Client(compiled.manifest), helrm.Server(compiled.program, threads=1)
    top = client.top(server.rank(client.encrypt(USER), client.evaluation_keys(), server.catalogue(tmp_path / "items")), 7)
    assert len(top) == 7 and top.ranked == len(FILMS)
    same_order(top, films_model, USER, 4 * top.error)
    compiled.catalogue(tmp_path / "many", [{**FILMS[i % 60], "year": i} for i in range(4000)], id="year")
    told = []
    with pytest.raises(errors.Cancelled):  # long before seconds of blocks are over
        server.rank(client.encrypt(USER), client.evaluation_keys(), server.catalogue(tmp_path / "many"),
                    progress=lambda done: bool(told.append(done)))
    assert len(told) == 1


def test_a_service(ranked, files, films_model, tmp_path):
    server = os.environ["HELRM_SERVER"]
    if not os.path.exists(server):
        pytest.skip("no service was built")
    log = open(tmp_path / "log", "w+")
    os.makedirs(tmp_path / "models")
    os.symlink(files, tmp_path / "models" / "films")
    child = subprocess.Popen([server, "serve", "--models", tmp_path / "models", "--data", tmp_path / "data",
                              "--listen", "127.0.0.1:0"], stdout=log, stderr=subprocess.STDOUT)
    try:
        for _ in range(600):
            found = re.search(r'"listening".*"port":(\d+)', (tmp_path / "log").read_text())
            if found or child.poll() is not None:
                break
            time.sleep(0.05)
        assert found, (tmp_path / "log").read_text()
        remote = helrm.Remote(f"http://127.0.0.1:{found.group(1)}", "films")
        top = remote.top(USER, 5)
        assert len(top) == 5 and top.ranked == len(FILMS)
        same_order(top, films_model, USER, 4 * top.error)
        few = remote.top(USER, candidates=["film 3", "11..14"])
        assert [f["film"] for f in FILMS[10:14]] + ["film 3"] == sorted((i.id for i in few), key=lambda i: (i == "film 3", i))
        same = {i.id: i.logit for i in remote.top(USER, None)}
        assert all(abs(i.logit - same[i.id]) < 4 * few.error for i in few)
        with pytest.raises(errors.HelrmError):
            remote.top(USER, candidates=["nobody"])
        with pytest.raises(errors.WrongModel):
            remote.query(USER)
        with pytest.raises(errors.DataError):
            remote.top([USER, USER])
        remote.forget()
    finally:
        child.terminate()
        child.wait(30)
