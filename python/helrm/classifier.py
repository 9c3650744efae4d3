"""A classifier as scikit-learn has them: fit on data frames or arrays, scored in the clear, compiled
for encrypted records."""
from __future__ import annotations

from typing import Any, Optional

import numpy
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets, unique_labels
from sklearn.utils.validation import check_consistent_length, check_is_fitted, column_or_1d

from .model import Compiled, Model

#: Tables with more distinct values than this are no listed categories.
MOST_VALUES = 4096


def _is_frame(x: Any) -> bool:
    return hasattr(x, "columns") and hasattr(x, "iloc")


class Classifier(ClassifierMixin, BaseEstimator):
    """Two classes by a network that helrm trains. Columns of a data frame that hold numbers are
    dense, all others categories; all columns of an array are dense.

    epochs, batch, rate, top, activation, ...: keys of a training configuration (docs/models.md);
    config: any others. columns: a description (docs/data.md) in place of the one that is found."""

    def __init__(self, *, architecture: str = "mlp", embedding_dim: int = 8, top: Any = (16, 1),
                 activation: str = "square", epochs: int = 100, batch: int = 32, rate: float = 0.01,
                 seed: int = 0,
                 config: Optional[dict[str, Any]] = None,
                 columns: Optional[dict[str, Any]] = None) -> None:
        self.architecture = architecture
        self.embedding_dim = embedding_dim
        self.top = top
        self.activation = activation
        self.epochs = epochs
        self.batch = batch
        self.rate = rate
        self.seed = seed
        self.config = config
        self.columns = columns

    # --- records ------------------------------------------------------------------------------

    def _described(self, x: Any) -> dict[str, Any]:
        if self.columns is not None:
            return self.columns
        if not _is_frame(x):
            listed = [{"name": f"x{i}", "kind": "dense"} for i in range(x.shape[1])]
        else:
            listed = []
            for name in x.columns:
                numbers = x[name].dtype.kind in "fiu"
                column = {"name": str(name), "kind": "dense" if numbers else "category"}
                if not numbers and x[name].nunique() > MOST_VALUES:
                    raise ValueError(f"column {name!r} has {x[name].nunique()} values, more than "
                                     f"{MOST_VALUES}: describe it in `columns`, or leave it out")
                listed.append(column)
        taken = {c["name"] for c in listed}
        label = next(n for n in ("label", "_label", "_label_") if n not in taken)
        return {"helrm_columns": 1, "name": "frame", "small": True,
                "columns": [*listed, {"name": label, "kind": "label"}]}

    def _checked(self, x: Any, fitted: bool) -> Any:
        if _is_frame(x):
            if x.shape[0] == 0:
                raise ValueError("Found array with 0 sample(s) (shape=%s) while a minimum of 1 is "
                                 "required." % (x.shape,))
            if fitted:
                self._check_feature_names(x, reset=False)
                self._check_n_features(x, reset=False)
            else:
                self._check_feature_names(x, reset=True)
                self._check_n_features(x, reset=True)
            return x
        return self._validate_data(x, reset=not fitted, dtype=numpy.float64)

    def _rows(self, x: Any, described: dict[str, Any]) -> list[dict[str, Any]]:
        names = [c["name"] for c in described["columns"] if c["kind"] not in ("label", "ignore")]
        if _is_frame(x):
            columns = [x[n].tolist() for n in x.columns]
            keys = [str(n) for n in x.columns]
            return [{k: v for k, v in zip(keys, row) if k in names} for row in zip(*columns)]
        return [dict(zip(names, row)) for row in x.tolist()]

    # --- scikit-learn -------------------------------------------------------------------------

    def fit(self, X: Any, y: Any) -> "Classifier":
        """Trains; the same data and parameters give the same model."""
        if y is None:
            raise ValueError("This Classifier estimator requires y to be passed, but the target y is "
                             "None.")
        X = self._checked(X, False)
        y = column_or_1d(y, warn=True)
        check_consistent_length(X, y)
        check_classification_targets(y)
        self.classes_ = unique_labels(y)
        if len(self.classes_) > 2:
            raise ValueError("Only binary classification is supported. The type of the target is "
                             f"multiclass, with {len(self.classes_)} classes.")
        if len(self.classes_) < 2:
            raise ValueError("Classifier can't train when only one class is present.")
        described = self._described(X)
        label = next(c["name"] for c in described["columns"] if c["kind"] == "label")
        rows = self._rows(X, described)
        for row, positive in zip(rows, (y == self.classes_[1]).tolist()):
            row[label] = int(positive)
        steps = int(self.epochs) * -(-len(rows) // int(self.batch))
        config: dict[str, Any] = {
            "architecture": self.architecture, "top": list(self.top),
            "activation": {"kind": self.activation},
            "training": {"epochs": int(self.epochs), "batch": int(self.batch),
                         "warmup": steps // 20, "rate": float(self.rate),
                         "seed": int(self.seed)}}
        if any(c["kind"] in ("category", "bag") for c in described["columns"]):
            config["embedding_dim"] = int(self.embedding_dim)
        more = dict(self.config or {})
        config["training"].update(more.pop("training", {}))
        config.update(more)
        self.columns_ = described
        self.model_ = Model.train(described, rows, config=config)
        return self

    def decision_function(self, X: Any) -> Any:
        """Logits of the second class."""
        check_is_fitted(self)
        X = self._checked(X, True)
        return numpy.asarray(self.model_.logits(self._rows(X, self.columns_)))

    def predict_proba(self, X: Any) -> Any:
        """Probabilities of both classes."""
        with numpy.errstate(over="ignore"):
            positive = 1 / (1 + numpy.exp(-self.decision_function(X)))
        return numpy.stack([1 - positive, positive], axis=1)

    def predict(self, X: Any) -> Any:
        """The more probable class."""
        positive = self.decision_function(X) > 0
        return self.classes_[positive.astype(int)]

    def compile(self, X: Optional[Any] = None, **options: Any) -> Compiled:
        """For encrypted records: Model.compile(); X: typical ones."""
        check_is_fitted(self)
        rows = None if X is None else self._rows(self._checked(X, True), self.columns_)
        return self.model_.compile(rows, **options)

    def _more_tags(self) -> dict[str, Any]:
        return {"binary_only": True, "poor_score": False}


