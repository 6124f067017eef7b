"""The estimators: scikit-learn's own checks, its tools around them, bad input, files."""

from __future__ import annotations

from typing import Any

from sklearn.utils.estimator_checks import parametrize_with_checks

import inntd as it

EXPECTED: dict[str, str] = {}


@parametrize_with_checks([it.INNRegressor(), it.INNClassifier()], expected_failed_checks=lambda estimator: EXPECTED)
def test_scikit_learn_checks(estimator: Any, check: Any) -> None:
    check(estimator)
