"""Estimators after scikit-learn's conventions: regression and classification by separated models."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from scipy.special import softmax
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted

from inntd.training import estimator_files, large, settings
from inntd.training.batches import Batches, rows_at_once
from inntd.training.classes import train_classes
from inntd.training.columns import apply_columns, read_columns
from inntd.training.conventions import column_names, note_block, note_columns, target_names
from inntd.training.extrapolation import evaluate, refuse_outside
from inntd.training.given import open_batches, open_table
from inntd.training.mesh import axis_names
from inntd.training.options import Trainer
from inntd.training.outcome import FitResult
from inntd.training.progress import Progress
from inntd.training.routes import train
from inntd.training.rows import collect
from inntd.training.targets import check_weights, class_labels, numeric_targets, present_targets

Array = npt.NDArray[np.float64]


class _Estimator(BaseEstimator):  # type: ignore[misc]  # scikit-learn carries no types
    """What regression and classification share: columns, rows, parameters, files."""

    def __init__(
        self,
        *,
        optimizer: str = "auto",
        rank: int | str = "auto",
        elements: Any = "auto",
        s: Any = "auto",
        nodes: Literal["uniform", "quantile"] = "uniform",
        categorical: Sequence[str | int] = (),
        extrapolate: Literal["clamp", "raise", "linear"] = "clamp",
        nan: Literal["raise", "drop"] = "raise",
        smoothness: float | str = "auto",
        validation_fraction: float | str = "auto",
        max_seconds: float | None = None,
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self.optimizer = optimizer
        self.rank = rank
        self.elements = elements
        self.s = s
        self.nodes = nodes
        self.categorical = categorical
        self.extrapolate = extrapolate
        self.nan = nan
        self.smoothness = smoothness
        self.validation_fraction = validation_fraction
        self.max_seconds = max_seconds
        self.random_state = random_state
        self.verbose = verbose

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = self.nan == "drop"
        return tags

    def _fit(self, X: Any, y: Array, sample_weight: Any, present: npt.NDArray[np.bool_], trainer: Trainer) -> None:
        """Train on rows whose targets (K, C) are `present`."""
        names = column_names(self)
        weights = check_weights(sample_weight, len(y))
        present = present if weights is None else present & (weights > 0)
        columns, x, used = read_columns(X, names, self.categorical, present, nan=self.nan)
        rows, repeated = collect(x[used], y[used], None if weights is None else weights[used])
        with Progress(self.verbose) as progress:
            options = settings.options(self, names, progress)
            result = trainer(rows, columns, axis_names(["output", *names])[1:], options)
        self._columns = columns
        self._keep(result, len(x), len(x) - int(used.sum()), repeated)

    def _keep(self, result: FitResult, rows: int, dropped: int, repeated: int) -> None:
        self.model_ = result.model
        self.history_ = result.history
        self.report_ = {
            "status": result.status,
            "message": result.message,
            "seconds": result.seconds,
            **result.choices,
            "rows": rows,
            "dropped_rows": dropped,
            "repeated_rows": repeated,
            "constant_columns": [column.name for column in self._columns if column.constant],
        }

    def _evaluate(self, X: Any, outputs: int | None) -> Array:
        check_is_fitted(self)
        if isinstance(X, np.memmap) and X.ndim == 2 and len(X) > (step := rows_at_once(X.shape[1])):
            parts = (self._evaluate(np.asarray(X[i : i + step]), outputs) for i in range(0, len(X), step))
            return np.concatenate(list(parts))
        X = note_columns(self, X, reset=False)
        x = apply_columns(X, self._columns, nan=self.nan)
        if self.extrapolate == "raise":
            refuse_outside(x, self._columns)
        return evaluate(self.model_, x, outputs, self.extrapolate)

    def column_names(self) -> list[str]:
        """Return the names of the columns that `predict` wants, "x0", "x1", … where they had none."""
        check_is_fitted(self)
        return [column.name for column in self._columns]

    def text_columns(self) -> list[str]:
        """Return the names of the columns whose categories are text."""
        check_is_fitted(self)
        return [
            column.name
            for column in self._columns
            if column.categories is not None and any(isinstance(value, str) for value in column.categories)
        ]

    def target_names(self) -> list[str]:
        """Return the names of the targets, "y", or "y0", "y1", … where they had none."""
        check_is_fitted(self)
        if self._targets is not None:
            return list(self._targets)
        shape = getattr(self, "_y_shape", ())
        return [f"y{c}" for c in range(shape[0])] if shape and shape[0] > 1 else ["y"]

    def save(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
        """Write the fitted estimator to a file that `load` reads: numbers and text only, nothing to execute.

        `inntd.load` reads the same file as the field alone. (A pickle of the estimator works as well, by
        scikit-learn's own means; but reading a pickle executes it.)

        Parameters
        ----------
        path : path
            ``.inntd`` is the usual suffix.
        overwrite : bool, default False
            Replace an existing file.
        """
        check_is_fitted(self)
        estimator_files.save(self, path, overwrite=overwrite)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Any:
        """Return the estimator that `save` wrote, ready to predict; nothing in the file is executed."""
        return estimator_files.load(cls, path)


class INNRegressor(RegressorMixin, _Estimator):  # type: ignore[misc]
    """Regression by a separated model: a sum of products of one function per column.

    Parameters
    ----------
    optimizer : str, default "auto"
        How the factors are found. "auto" picks by the size and the coverage of the data; `report_` says what and why.
    rank : int or "auto", default "auto"
        Number of modes.
    elements, s : int, mapping of column to int, or "auto", default "auto"
        Elements and patch size of the axes.
    nodes : {"uniform", "quantile"}, default "uniform"
        Nodes evenly spaced, or denser where the data are.
    categorical : sequence of names or numbers of columns, default ()
        Columns of text, or of numbers without an order: each value has an entry of its own on a discrete axis.
    extrapolate : {"clamp", "raise", "linear"}, default "clamp"
        Outside the range of the training data: the value at the nearest end, an error, or on with the slope there.
        The automatic search widens the range of scattered values, which seldom reach the ends of what
        they are drawn from, by 8/K of itself for K rows, at most a tenth.
    nan : {"raise", "drop"}, default "raise"
        What to do with rows with missing values: refuse them, or train without and predict NaN.
    smoothness : float or "auto", default "auto"
        Weight of the modes' second differences, against the mean square of the target.
    validation_fraction : float or "auto", default "auto"
        Part of the rows, in [0, 1), on which the error is measured and choices are made instead of training on them.
        "auto": none where the optimiser has a leave-one-out estimate, else a tenth.
    max_seconds : float, optional
        No new step of the search after this time.
    random_state : int, RandomState or None, default None
        Seed; None is 0, so that the same data give the same model.
    verbose : int, default 0
        1: a progress bar on terminals; 2: always.

    Attributes
    ----------
    model_ : Field
        The trained field; of several targets its last axis, ``"output"``, is discrete.
    report_ : dict
        What was chosen and why, and the errors on the rows used for training and for validation.
    history_ : list of dict
        Steps of the training.
    n_features_in_, feature_names_in_
        As in scikit-learn.

    Notes
    -----
    The fit depends neither on the order of up to 100,000 rows, nor on whether a row is repeated or given twice the
    weight.

    Examples
    --------
    >>> import numpy as np, inntd as it
    >>> X = np.random.default_rng(0).random((300, 3))
    >>> y = X[:, 0] * np.sin(3 * X[:, 1]) + X[:, 2] ** 2
    >>> model = it.INNRegressor().fit(X[:200], y[:200])
    >>> model.score(X[200:], y[200:]) > 0.999
    True
    """

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> INNRegressor:
        """Train on samples.

        Parameters
        ----------
        X : array or data frame (K, D), path of a table, or factory of batches
            Of a ``.csv``, ``.parquet`` or ``.npy`` file all columns but the targets are inputs (those of ``.npy`` are
            called ``x0``, ``x1``, …). A factory is a function that returns an iterable of ``(x, y)`` or ``(x, y,
            weights)``, the same rows at each call. Large files (256 MB of numbers), memory-mapped arrays of that
            size, and factories are read in blocks, in a bounded part of the memory.
        y : array, series or data frame (K,) or (K, C)
            Of a file: the name of the target's column, or a list of names. Of a factory: leave it out.
        sample_weight : array (K,), optional
            Non-negative.

        Returns
        -------
        INNRegressor
            Itself.

        Raises
        ------
        ValueError, TypeError
            When the data or the parameters are not usable; the message names the column.
        """
        batches = open_batches(X, y)
        if batches is not None:
            return self._fit_batches(batches, sample_weight)
        X, y = open_table(X, y)
        X = note_columns(self, X, reset=True)
        self._targets = target_names(y)
        targets = numeric_targets(X, y)
        present = present_targets(targets, nan=self.nan)
        self._y_shape = targets.shape[1:]
        self._fit(X, targets.reshape(len(targets), -1), sample_weight, present, train)
        return self

    def _fit_batches(self, batches: Batches, sample_weight: Any) -> INNRegressor:
        """Train on data that are read in blocks."""
        if sample_weight is not None:
            raise ValueError("sample_weight must be None for data in blocks: let a function return (x, y, weights)")
        if len(self.categorical):
            raise ValueError(
                f"categorical must be empty for data in blocks, got {list(self.categorical)}: pass a part of the rows "
                "in memory"
            )
        note_block(self, batches)
        self._targets = batches.targets
        names = column_names(self)
        with Progress(self.verbose) as progress:
            options = settings.options(self, names, progress)
            checked = large.Checked(batches, names, self.nan)
            scan = large.scan(checked)
            self._y_shape = () if batches.one_target else (len(scan.scaling.mean),)
            result = large.train_large(checked, scan, axis_names(["output", *names])[1:], options)
        self._columns = scan.columns
        self._keep(result, scan.rows, scan.rows - scan.used, 0)
        return self

    def predict(self, X: Any) -> Array:
        """Return the values (K,), or (K, C) of C targets, at new points."""
        check_is_fitted(self)
        outputs = self._y_shape[0] if self._y_shape and self._y_shape[0] > 1 else None
        values = self._evaluate(X, outputs)
        return values.reshape(len(values), *self._y_shape)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def _more_tags(self) -> dict[str, Any]:  # scikit-learn before 1.6
        return {"multioutput": True}


class INNClassifier(ClassifierMixin, _Estimator):  # type: ignore[misc]
    """Classification by a separated model of one logit per class, whose softmax are the probabilities.

    Parameters as of `INNRegressor`, but `optimizer` may be "auto" only: the likelihood is maximised by L-BFGS, and
    `smoothness` is the weight of one penalty on size, curvature and interplay (see `inntd.training.softmax`).

    Attributes
    ----------
    model_ : Field
        The logits; its last axis, ``"output"``, are the classes.
    classes_ : array
        The sorted different labels.
    report_, history_, n_features_in_, feature_names_in_
        As of `INNRegressor`.

    Examples
    --------
    >>> import numpy as np, inntd as it
    >>> X = np.random.default_rng(0).random((400, 2))
    >>> y = np.where(np.hypot(*(X - 0.5).T) < 0.4, "in", "out")
    >>> model = it.INNClassifier().fit(X[:300], y[:300])
    >>> model.score(X[300:], y[300:]) > 0.95, model.classes_
    (True, array(['in', 'out'], dtype='<U3'))
    """

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> INNClassifier:
        """Train on samples of classes: X (K, D) or a file, labels y (K,), weights (K,); see `INNRegressor.fit`."""
        if callable(X) and not hasattr(X, "shape"):
            raise TypeError("X must be an array, a data frame or a file for classification, got a function")
        X, y = open_table(X, y)
        X = note_columns(self, X, reset=True)
        self._targets = target_names(y)
        labels = class_labels(X, y)
        check_classification_targets(labels)
        weights = check_weights(sample_weight, len(labels))
        self.classes_ = np.unique(labels if weights is None else labels[weights > 0])
        if len(self.classes_) < 2:
            raise ValueError(f"y must have at least two classes, got one class: {self.classes_.tolist()}")
        targets = (labels[:, None] == self.classes_).astype(np.float64)
        self._fit(X, targets, weights, np.ones(len(labels), dtype=bool), train_classes)
        return self

    def predict_proba(self, X: Any) -> Array:
        """Return the probabilities (K, C) of the classes, in the order of `classes_`."""
        check_is_fitted(self)
        probabilities: Array = softmax(self._evaluate(X, len(self.classes_)), axis=1)
        return probabilities

    def predict(self, X: Any) -> npt.NDArray[Any]:
        """Return the most likely class (K,) of each row."""
        probabilities = self.predict_proba(X)
        if np.isnan(probabilities).any():
            row = int(np.flatnonzero(np.isnan(probabilities).any(axis=1))[0])
            raise ValueError(f"rows with missing values have no class, the first is row {row}: leave them out")
        labels: npt.NDArray[Any] = self.classes_[probabilities.argmax(axis=1)]
        return labels


def estimator_class(path: str | os.PathLike[str]) -> type[_Estimator] | None:
    """Return the class of the estimator in a file, or None where it holds a field alone."""
    known: dict[str | None, type[_Estimator]] = {"INNClassifier": INNClassifier, "INNRegressor": INNRegressor}
    return known.get(estimator_files.estimator_name(path))
