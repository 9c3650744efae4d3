"""What the tests of the package share: invented rows, and the command to compare with."""
import json
import os
import random
import subprocess

import pytest

COLUMNS = {"helrm_columns": 1, "name": "films", "small": True, "columns": [
    {"name": "age", "kind": "dense"}, {"name": "seen", "kind": "dense", "log": 1},
    {"name": "genre", "kind": "category"}, {"name": "tags", "kind": "bag", "limit": 3},
    {"name": "liked", "kind": "label"}]}
GENRES = ["drama", "comedy", "war", "western"]
TAGS = ["old", "new", "long", "short", "loud"]


def invented(count, seed=1):
    g = random.Random(seed)
    rows = []
    for _ in range(count):
        age, genre = g.uniform(15, 80), g.choice(GENRES)
        tags = g.sample(TAGS, g.randrange(4))
        liking = (age - 45) / 20 * (1 if genre == "western" else -0.5) + ("new" in tags) + g.gauss(0, 1)
        rows.append({"age": age, "seen": g.randrange(500), "genre": genre, "tags": tags,
                     "liked": int(liking > 0)})
    return rows


@pytest.fixture(scope="session")
def rows():
    return invented(400)


@pytest.fixture(scope="session")
def model(rows):
    import helrm
    return helrm.Model.train(COLUMNS, rows, config={
        "architecture": "mlp", "embedding_dim": 4, "top": [8, 1], "training": {"epochs": 10}})


@pytest.fixture(scope="session")
def compiled(model, rows):
    return model.compile(rows, calibration="none")


@pytest.fixture(scope="session")
def batched(model, rows):
    return model.compile(rows, batch=8, calibration="none")


@pytest.fixture(scope="session")
def command():
    """The CLI: HELRM names it."""
    def run(*args, check=True):
        done = subprocess.run([os.environ["HELRM"], *map(str, args)], capture_output=True, text=True,
                              env={**os.environ, "HELRM_CALIBRATION": "none"})
        if check:
            assert done.returncode == 0, done.stderr
        return done
    return run


@pytest.fixture(scope="session")
def csv(rows, tmp_path_factory):
    path = tmp_path_factory.mktemp("rows") / "rows.jsonl"
    path.write_text("\n".join(json.dumps(r) for r in rows) + "\n")
    return path
