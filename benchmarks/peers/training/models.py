"""The surrogates that public functions are fitted with: each a function from samples to a function that predicts.

A peer whose package is missing raises ImportError, which the caller reports. All run with one thread and defaults,
or with what their manuals advise where a default is no sensible choice.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Predict = Callable[[Array], Array]
Ranges = list[tuple[float, float]]


def inntd_automatic(x: Array, y: Array, ranges: Ranges, seed: int) -> Predict:
    """Fit by inntd: nothing but the data is given."""
    from inntd.training import fit_automatic

    model = fit_automatic(x, y, seed=seed).model
    return lambda points: np.asarray(model(points, extrapolate="clamp").numpy())


def gaussian_process(x: Array, y: Array, ranges: Ranges, seed: int) -> Predict:
    """Fit scikit-learn's Gaussian process: squared exponential with a length per input, and white noise."""
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel

    low, high = np.array(ranges).T
    kernel = ConstantKernel(10.0, (1e-2, 1e6)) * RBF(np.ones(x.shape[1]), (1e-2, 1e3)) + WhiteKernel(1e-4, (1e-12, 1))
    process = GaussianProcessRegressor(kernel, normalize_y=True, n_restarts_optimizer=0, random_state=seed)
    process.fit((x - low) / (high - low), y)
    return lambda points: np.asarray(process.predict((points - low) / (high - low)))


def gradient_boosting(x: Array, y: Array, ranges: Ranges, seed: int) -> Predict:
    """Fit scikit-learn's histogram gradient boosting."""
    from sklearn.ensemble import HistGradientBoostingRegressor

    found = HistGradientBoostingRegressor(random_state=seed).fit(x, y)
    return lambda points: np.asarray(found.predict(points))


def multilayer_perceptron(x: Array, y: Array, ranges: Ranges, seed: int) -> Predict:
    """Fit scikit-learn's multilayer perceptron on scaled inputs and outputs."""
    from sklearn.neural_network import MLPRegressor

    low, high = np.array(ranges).T
    centre, scale = float(y.mean()), float(y.std())
    steps = max(20, min(2000, 2_000_000 // len(y)))
    network = MLPRegressor(hidden_layer_sizes=(100, 100), max_iter=steps, random_state=seed)
    network.fit(2 * (x - low) / (high - low) - 1, (y - centre) / scale)
    return lambda points: np.asarray(centre + scale * network.predict(2 * (points - low) / (high - low) - 1))


def sparse_chaos(x: Array, y: Array, ranges: Ranges, seed: int) -> Predict:
    """Fit OpenTURNS's polynomial chaos: hyperbolic degrees, terms by least angles and corrected leave-one-out."""
    import openturns as ot

    ot.RandomGenerator.SetSeed(seed)
    inputs = ot.JointDistribution([ot.Uniform(low, high) for low, high in ranges])
    enumeration = ot.HyperbolicAnisotropicEnumerateFunction(len(ranges), 0.7)
    basis = ot.OrthogonalProductPolynomialFactory([ot.Uniform(low, high) for low, high in ranges], enumeration)
    size = min(2 * len(y), 800)
    selection = ot.LeastSquaresMetaModelSelectionFactory(ot.LARS(), ot.CorrectedLeaveOneOut())
    algorithm = ot.FunctionalChaosAlgorithm(
        ot.Sample(x), ot.Sample(y[:, None]), inputs, ot.FixedStrategy(basis, size), ot.LeastSquaresStrategy(selection)
    )
    algorithm.run()
    found = algorithm.getResult().getMetaModel()
    return lambda points: np.array(found(ot.Sample(points)))[:, 0]


def kriging(x: Array, y: Array, ranges: Ranges, seed: int) -> Predict:
    """Fit SMT's kriging with its defaults."""
    from smt.surrogate_models import KRG

    found = KRG(print_global=False, seed=seed)
    found.set_training_values(x, y)
    found.train()
    return lambda points: np.concatenate([found.predict_values(part)[:, 0] for part in np.array_split(points, 20)])


MODELS: dict[str, tuple[Callable[[Array, Array, Ranges, int], Predict], int]] = {
    # and the largest number of samples that it is made for
    "inntd": (inntd_automatic, 100_000),
    "gaussian_process": (gaussian_process, 2000),
    "gradient_boosting": (gradient_boosting, 10**7),
    "multilayer_perceptron": (multilayer_perceptron, 10**6),
    "sparse_chaos": (sparse_chaos, 10_000),
    "kriging": (kriging, 2000),
}


def fitted(name: str, x: Array, y: Array, ranges: Ranges, seed: int) -> Predict:
    """Fit a model by name; what it warns of (steps that ran out, bounds that were met) is its own business."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return MODELS[name][0](x, y, ranges, seed)
