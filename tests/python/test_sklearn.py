"""helrm.Classifier as scikit-learn wants its estimators."""
import pickle

import numpy
import pytest

sklearn = pytest.importorskip("sklearn")
pandas = pytest.importorskip("pandas")

import helrm  # noqa: E402
from sklearn.base import clone  # noqa: E402
from sklearn.model_selection import cross_val_score  # noqa: E402
from sklearn.utils.estimator_checks import check_estimator  # noqa: E402

from conftest import invented  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore")


def frame_of(count):
    frame = pandas.DataFrame(invented(count))
    return frame.drop(columns=["liked", "tags"]), frame["liked"].map({0: "no", 1: "yes"})


def test_check_estimator():
    check_estimator(helrm.Classifier(epochs=100))


def test_data_frames():
    x, y = frame_of(600)
    model = helrm.Classifier(epochs=30).fit(x, y)
    assert list(model.classes_) == ["no", "yes"]
    assert model.score(x, y) > 0.6
    proba = model.predict_proba(x)
    assert proba.shape == (600, 2) and proba.sum(axis=1) == pytest.approx(1)
    again = pickle.loads(pickle.dumps(model))
    assert numpy.array_equal(again.predict_proba(x), proba)
    assert cross_val_score(clone(model).set_params(epochs=5), x, y, cv=2).shape == (2,)


def test_compiled():
    x, y = frame_of(300)
    model = helrm.Classifier(epochs=10).fit(x, y)
    compiled = model.compile(x, bits=12, calibration="none")
    client, server = helrm.Client(compiled.manifest), helrm.Server(compiled.program)
    score = client.decrypt(server.run(client.encrypt(x.head(1)), client.evaluation_keys()))
    assert score.probability == pytest.approx(model.predict_proba(x.head(1))[0, 1], abs=1e-3)
