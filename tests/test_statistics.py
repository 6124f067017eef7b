"""Exact statistics against brute force on full grids, closed forms, and sampling by SciPy."""

from __future__ import annotations

import importlib.util
import itertools
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType

import anova_oracle as oracle
import numpy as np
import numpy.typing as npt
import pytest
import torch
from conformance_models import random_cp, random_tucker
from scipy import stats

import inntd as it
from inntd.models.doubled import Doubled
from inntd.models.exponential import ExponentialModel
from inntd.results import third
from inntd.results.densities import Density

Array = npt.NDArray[np.float64]
Model = it.CPModel | it.TuckerModel
st = it.statistics

TRIANGLE = stats.beta(2, 1, loc=-1, scale=3)  # its density is a polynomial: Gauss points integrate it exactly


def axes() -> list[it.Axis]:
    """Return axes of all sorts; the densities below belong to them."""
    return [
        it.Axis("x", -1, 2, elements=5, s=1),
        it.Axis.discrete("c", 3, kind="parameter"),
        it.Axis("k", 1, 4, elements=4, basis=it.LinearBasis(), kind="parameter"),
        it.Axis("phi", 0, 6, elements=6, s=1, periodic=True),
    ]


DENSITIES = {"x": TRIANGLE, "c": [0.2, 0.5, 0.3], "k": "uniform", "phi": "uniform"}
FORMS = {"cp": random_cp, "tucker": random_tucker}


def rule(axis: it.Axis) -> tuple[Array, Array]:
    """Return points and weights of the densities above, enough for third powers on every element."""
    if axis.discrete:
        return np.arange(3.0), np.array(DENSITIES["c"])
    pieces = [oracle.gauss(a, b, 8) for a, b in itertools.pairwise(axis.nodes)]
    lengths = np.diff(axis.nodes) / (axis.domain[1] - axis.domain[0])
    x = np.concatenate([points for points, _ in pieces])
    w = np.concatenate([length * weights for length, (_, weights) in zip(lengths, pieces, strict=True)])
    return x, w * TRIANGLE.pdf(x) * 3 if axis.name == "x" else w


@pytest.fixture(params=list(FORMS))
def model(request: pytest.FixtureRequest) -> Model:
    return FORMS[request.param](axes(), rank=3)


@pytest.fixture
def dense(model: Model) -> tuple[Array, list[Array]]:
    """Return the model on the full grid, and the weights."""
    rules = [rule(axis) for axis in model.axes]
    grid = model.grid({axis.name: x for axis, (x, _) in zip(model.axes, rules, strict=True)})
    return grid.numpy(), [w for _, w in rules]


# ---- against brute force -------------------------------------------------------------------------------------------


def test_moments_are_those_of_the_full_grid(model: Model, dense: tuple[Array, list[Array]]) -> None:
    values, weights = dense
    assert st.mean(model, densities=DENSITIES) == pytest.approx(oracle.expectation(values, weights, range(4)).item())
    assert st.variance(model, densities=DENSITIES) == pytest.approx(oracle.variance(values, weights), rel=1e-12)
    assert st.standard_deviation(model, densities=DENSITIES) ** 2 == pytest.approx(oracle.variance(values, weights))
    assert st.skewness(model, densities=DENSITIES) == pytest.approx(oracle.skewness(values, weights), rel=1e-11)


def test_sobol_indices_are_those_of_the_full_grid(model: Model, dense: tuple[Array, list[Array]]) -> None:
    values, weights = dense
    found = st.sobol_indices(model, densities=DENSITIES, order=2)
    names = [axis.name for axis in model.axes]
    assert found.names == names
    for d, name in enumerate(names):
        assert found.first[name] == pytest.approx(oracle.closed(values, weights, [d]), rel=1e-11)
        assert found.total[name] == pytest.approx(oracle.total(values, weights, [d]), rel=1e-11)
    for a, b in itertools.combinations(range(4), 2):
        assert found.second[names[a], names[b]] == pytest.approx(oracle.joint(values, weights, [a, b]), rel=1e-10)
    three = st.interaction(model, "x", "c", "phi", densities=DENSITIES)
    assert three == pytest.approx(oracle.joint(values, weights, [0, 1, 3]), rel=1e-10)


def test_groups_are_single_random_vectors(model: Model, dense: tuple[Array, list[Array]]) -> None:
    values, weights = dense
    found = st.sobol_indices(model, densities=DENSITIES, groups={"both": ["phi", "c"]}, order=2)
    assert found.names == ["x", "both", "k"]
    assert found.first["both"] == pytest.approx(oracle.closed(values, weights, [1, 3]), rel=1e-11)
    assert found.total["both"] == pytest.approx(oracle.total(values, weights, [1, 3]), rel=1e-11)
    alone = oracle.closed(values, weights, [1, 3]) + oracle.closed(values, weights, [0])
    assert found.second["x", "both"] == pytest.approx(oracle.closed(values, weights, [0, 1, 3]) - alone, rel=1e-9)
    assert st.interaction(model, "x", "both", densities=DENSITIES, groups={"both": ["c", "phi"]}) == pytest.approx(
        found.second["x", "both"]
    )


def test_all_components_add_up_to_the_variance(model: Model) -> None:
    names = [axis.name for axis in model.axes]
    sets = [chosen for size in range(1, 5) for chosen in itertools.combinations(names, size)]
    shares = [st.interaction(model, *chosen, densities=DENSITIES) for chosen in sets]
    assert sum(shares) == pytest.approx(1, rel=1e-12)
    assert min(shares) >= 0


POINTS = np.array([[-1.0, 0.0], [0.3, 2.5], [2.0, 6.0], [1.7, 5.1]])  # of x and phi


def test_statistics_are_functions_of_the_axes_that_are_left(model: Model) -> None:
    own = {name: DENSITIES[name] for name in "ck"}
    rules = [rule(model.axes[d]) for d in (1, 2)]
    variance = st.variance(model, "c", "k", densities=own)
    skewness = st.skewness(model, "k", "c", densities=own)
    sobol = st.sobol_indices(model, "c", "k", densities=own, order=2)
    mean = st.mean(model, "c", "k", densities=own)
    assert [axis.name for axis in variance.axes] == ["x", "phi"]
    assert variance.exact
    slices = [model.at(x=x, phi=phi).grid(c=rules[0][0], k=rules[1][0]).numpy() for x, phi in POINTS]
    weights = [w for _, w in rules]
    close = {"rtol": 1e-10, "atol": 1e-12}
    np.testing.assert_allclose(variance(POINTS), [oracle.variance(s, weights) for s in slices], **close)
    np.testing.assert_allclose(skewness(POINTS), [oracle.skewness(s, weights) for s in slices], **close)
    means = [oracle.expectation(s, weights, (0, 1)).item() for s in slices]
    np.testing.assert_allclose(mean(POINTS), means, **close)
    for d, name in enumerate("ck"):
        first, total = sobol.first[name](POINTS), sobol.total[name](POINTS)
        np.testing.assert_allclose(first, [oracle.closed(s, weights, [d]) for s in slices], **close)
        np.testing.assert_allclose(total, [oracle.total(s, weights, [d]) for s in slices], **close)
    np.testing.assert_allclose(sobol.second["c", "k"](POINTS), 1 - sobol.first["c"](POINTS) - sobol.first["k"](POINTS))
    grid = sobol.total["k"].grid(x=[-1.0, 0.3], phi=[0.0, 2.5])
    assert grid.shape == (2, 2)
    assert grid[1, 1].item() == pytest.approx(sobol.total["k"](POINTS)[1].item())
    assert sobol.total["k"].at(x=0.3).at(phi=2.5) == pytest.approx(grid[1, 1].item())


def test_covariances_between_points(model: Model) -> None:
    own = {name: DENSITIES[name] for name in "ck"}
    rules = [rule(model.axes[d]) for d in (1, 2)]
    values = np.stack([model.at(x=x, phi=phi).grid(c=rules[0][0], k=rules[1][0]).numpy() for x, phi in POINTS])
    weights = np.multiply.outer(rules[0][1], rules[1][1])
    centred = values - (values * weights).sum(axis=(1, 2), keepdims=True)
    exact = np.einsum("iab,jab,ab->ij", centred, centred, weights)
    found = st.covariance(model, POINTS, over=["c", "k"], densities=own)
    np.testing.assert_allclose(found, exact, rtol=1e-10, atol=1e-12 * np.abs(exact).max())
    part = st.covariance(model, POINTS[:2], POINTS, over=["c", "k"], densities=own)
    np.testing.assert_allclose(part, found[:2], rtol=1e-12)
    deviations = np.sqrt(np.diagonal(exact))
    correlations = st.correlation(model, POINTS, over=["c", "k"], densities=own)
    np.testing.assert_allclose(correlations, exact / np.outer(deviations, deviations), atol=1e-12)


def test_marginal_and_conditional_means(model: Model) -> None:
    rest = {name: DENSITIES[name] for name in ("c", "k", "phi")}
    given = st.conditional_mean(model, "x", densities=rest)
    assert type(given) is type(model)
    x = np.array([-0.7, 1.1])
    inner = st.mean(st.mean(model, "phi", densities={"phi": "uniform"}), "c", "k", densities={n: rest[n] for n in "ck"})
    np.testing.assert_allclose(given(x[:, None]), inner(x[:, None]), rtol=1e-12)
    # The law of total variance: what the expectation varies, and what is left within.
    whole = st.variance(model, densities=DENSITIES)
    between = st.variance(given, densities={"x": TRIANGLE})
    assert st.sobol_indices(model, densities=DENSITIES).first["x"] * whole == pytest.approx(between, rel=1e-11)
    assert st.mean(given, densities={"x": TRIANGLE}) == pytest.approx(st.mean(model, densities=DENSITIES), rel=1e-11)


# ---- precision and cost --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["cp", "tucker"])
def test_a_small_variance_of_large_numbers_keeps_its_digits(form: str) -> None:
    x, y = it.Axis("x", 0, 1, elements=8), it.Axis("y", 0, 1, elements=8)
    small = it.CPModel.from_factors([x, y], [x.nodes[:, None], y.nodes[:, None]])
    u = 1e9 + (small.to_tucker() if form == "tucker" else small)
    # E[u²] - E[u]² would leave no digit: 1e18 * 1e-16.
    assert st.variance(u) * 144 / 7 == pytest.approx(1, abs=1e-12)
    if form == "cp":
        assert st.skewness(u) == pytest.approx(st.skewness(small), rel=1e-9)


def test_modes_that_cancel_leave_the_digits_of_what_remains() -> None:
    x, y = it.Axis("x", 0, 1, elements=8), it.Axis("y", 0, 1, elements=8)
    difference = 2.0**-20
    columns = np.stack([x.nodes, x.nodes * (1 + difference)], axis=1)
    u = it.CPModel.from_factors([x, y], [columns, np.stack([y.nodes, -y.nodes], axis=1)])  # -2^-20 x y
    assert st.variance(u) / difference**2 * 144 / 7 == pytest.approx(1, abs=1e-9)


def test_a_hundred_axes_neither_overflow_nor_vanish() -> None:
    line = [it.Axis(f"x[{d}]", 0, 1, elements=4) for d in range(1, 101)]
    u = it.CPModel.from_factors(line, [1e4 * (1 + axis.nodes[:, None]) for axis in line])
    mean, second = 1.5, 7 / 3
    spread = (second / mean**2) ** 100 - 1  # the variance over the square of the mean
    found = st.sobol_indices(u)
    assert found.variance == np.inf  # 1e800: said as it is
    assert found.first["x[7]"] == pytest.approx((second / mean**2 - 1) / spread, rel=1e-9)
    assert found.total["x[7]"] == pytest.approx((1 - mean**2 / second) * (1 + 1 / spread), rel=1e-9)


def products(count: int, rank: int, monkeypatch: pytest.MonkeyPatch) -> int:
    """Return how many numbers are multiplied entry by entry for the indices of a model of so many axes and modes."""
    numbers = 0
    original = Doubled.__mul__

    def counted(self: Doubled, other: Doubled) -> Doubled:
        nonlocal numbers
        numbers += self.high.size
        return original(self, other)

    monkeypatch.setattr(Doubled, "__mul__", counted)
    st.sobol_indices(random_cp([it.Axis(f"x[{d}]", 0, 1, elements=4) for d in range(count)], rank=rank))
    monkeypatch.setattr(Doubled, "__mul__", original)
    return numbers


def test_sums_of_products_take_axes_times_modes_squared(monkeypatch: pytest.MonkeyPatch) -> None:
    small, longer, larger = (products(d, r, monkeypatch) for d, r in ((10, 10), (40, 10), (10, 40)))
    assert 3 < longer / small < 5  # 16 were it the square of the axes
    assert 15 < larger / small < 17
    assert small < 10 * 10 * 10**2


def operations(ranks: Sequence[int], monkeypatch: pytest.MonkeyPatch) -> int:
    """Return the multiplications of all contractions that first-order and total indices of a Tucker model take."""
    count = 0
    original = np.tensordot

    def counted(a: Array, b: Array, axes: object) -> Array:
        nonlocal count
        found = original(a, b, axes=axes)
        own, _ = axes
        length = np.shape(a)[own]
        count += int(np.size(found)) * int(length)
        return found

    monkeypatch.setattr(np, "tensordot", counted)
    line = [it.Axis(f"x[{d}]", 0, 1, elements=9) for d in range(len(ranks))]
    st.sobol_indices(random_tucker(line, list(ranks)))
    monkeypatch.setattr(np, "tensordot", original)
    return count


@pytest.mark.parametrize("dimension", [3, 4])
def test_tucker_models_take_contractions_of_the_core_alone(dimension: int, monkeypatch: pytest.MonkeyPatch) -> None:
    counts = [operations([r] * dimension, monkeypatch) for r in (4, 8)]
    slope = np.log2(counts[1] / counts[0])
    assert dimension + 0.5 < slope < dimension + 1.1  # O(D r^(D+1))
    assert counts[1] < 6 * dimension * 9 * 8**dimension


def test_third_moments_hold_one_mode_at_a_time() -> None:
    line = [it.Axis(f"x[{d}]", 0, 1, elements=4) for d in range(3)]
    u = random_cp(line, rank=40)
    factors = [factor.numpy() for factor in u.factors]
    own = [third._Axis.of(Density(axis), factor) for axis, factor in zip(line, factors, strict=True)]
    moments = third._moments(own)
    first = next(moments)
    assert first.shape == (40, 40)
    np.testing.assert_allclose(first, first.T, rtol=1e-9, atol=1e-12 * np.abs(first).max())


# ---- published functions -------------------------------------------------------------------------------------------


def load(name: str) -> ModuleType:
    path = Path(__file__).parent.parent / "benchmarks" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"benchmarks_{name}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look there
    spec.loader.exec_module(module)
    return module


def test_ishigami_has_its_published_indices() -> None:
    a, b = 7.0, 0.1
    line = [it.Axis(name, -np.pi, np.pi, elements=40) for name in ("x1", "x2", "x3")]
    sine, fourth = np.sin(line[0].nodes), line[2].nodes ** 4
    one = np.ones(41)
    u = it.CPModel.from_factors(
        line,
        [
            np.stack([sine, one, sine], 1),
            np.stack([one, a * np.sin(line[1].nodes) ** 2, one], 1),
            np.stack([one, one, b * fourth], 1),
        ],
    )
    v1, v2, v13 = 0.5 * (1 + b * np.pi**4 / 5) ** 2, a**2 / 8, 8 * b**2 * np.pi**8 / 225  # Ishigami and Homma 1990
    whole = v1 + v2 + v13
    found = st.sobol_indices(u, order=2)
    assert st.mean(u) == pytest.approx(a / 2, rel=1e-6)
    assert found.variance == pytest.approx(whole, rel=1e-6)
    np.testing.assert_allclose(list(found.first.values()), [v1 / whole, v2 / whole, 0], atol=1e-7)
    np.testing.assert_allclose(list(found.total.values()), [(v1 + v13) / whole, v2 / whole, v13 / whole], atol=1e-7)
    assert found.second["x1", "x3"] == pytest.approx(v13 / whole, abs=1e-7)
    assert "x1         first 0.3139  total 0.5576" in str(found)  # the usual table


@pytest.mark.parametrize("count", [8, 40])
def test_the_g_function_has_its_closed_form(count: int) -> None:
    a = np.array([0, 1, 4.5, 9, 99, 99, 99, 99] + [99.0] * (count - 8))  # Saltelli and Sobol' 1995
    line = [it.Axis(f"x[{d}]", 0, 1, elements=4, breaks=[0.5], s=1) for d in range(count)]
    u = it.CPModel.from_factors(
        line, [((abs(4 * axis.nodes - 2) + c) / (1 + c))[:, None] for axis, c in zip(line, a, strict=True)]
    )
    own = 1 / (3 * (1 + a) ** 2)
    whole = np.prod(1 + own) - 1
    found = st.sobol_indices(u)
    assert found.variance == pytest.approx(whole, rel=1e-12)
    np.testing.assert_allclose(list(found.first.values()), own / whole, rtol=1e-11)
    np.testing.assert_allclose(list(found.total.values()), own / (1 + own) * (1 + whole) / whole, rtol=1e-11)
    skew = (np.prod(1 + 3 * own) - 3 * np.prod(1 + own) + 2) / whole**1.5  # E[g³] = 1 + 3 v for these factors
    assert st.skewness(u) == pytest.approx(skew, rel=1e-10)


POINTS_PER_AXIS = {"borehole": 5, "otl": 7, "piston": 6}


@pytest.fixture(params=list(POINTS_PER_AXIS))
def public(request: pytest.FixtureRequest) -> tuple[it.TuckerModel, ModuleType, int]:
    """Return a public function on a grid of few nodes, where it is a polynomial of each input, and its formula."""
    function = load("functions").FUNCTIONS[request.param]
    count = POINTS_PER_AXIS[request.param]
    names = function.formula.__code__.co_varnames
    line = [
        it.Axis(names[d], low, high, elements=count - 1, s=(count - 1) // 2)
        for d, (low, high) in enumerate(function.ranges)
    ]
    core = oracle.tabulated(function.formula, [axis.nodes for axis in line])
    u = it.TuckerModel.from_factors(line, core, [np.eye(count) for _ in line])
    return u, function, count


def test_public_functions_have_the_indices_of_their_formulas(public: tuple[it.TuckerModel, object, int]) -> None:
    u, function, count = public
    rules = [oracle.gauss(low, high, count) for low, high in function.ranges]
    values = oracle.tabulated(function.formula, [x for x, _ in rules])
    weights = [w for _, w in rules]
    found = st.sobol_indices(u)
    assert st.mean(u) == pytest.approx(oracle.expectation(values, weights, range(values.ndim)).item(), rel=1e-3)
    assert found.variance == pytest.approx(oracle.variance(values, weights), rel=5e-3)
    for d, name in enumerate(found.names):
        assert found.first[name] == pytest.approx(oracle.closed(values, weights, [d]), abs=2e-3)
        assert found.total[name] == pytest.approx(oracle.total(values, weights, [d]), abs=2e-3)


def test_the_wing_has_the_indices_of_its_formula() -> None:
    function = load("functions").FUNCTIONS["wing"]
    line = [it.Axis(f"x[{d}]", low, high, elements=8) for d, (low, high) in enumerate(function.ranges)]
    x = [axis.nodes for axis in line]
    cosine = np.cos(np.deg2rad(x[3]))
    powers = [
        0.036 * x[0] ** 0.758, x[1] ** 0.0035, x[2] ** 0.6, cosine**-0.9, x[4] ** 0.006, x[5] ** 0.04,
        (100 * x[6]) ** -0.3, x[7] ** 0.49, x[8] ** 0.49, np.ones(9),
    ]  # fmt: skip
    plain = [x[0], *[np.ones(9)] * 8, x[9]]
    u = it.CPModel.from_factors(line, [np.stack(pair, 1) for pair in zip(powers, plain, strict=True)])
    rules = [oracle.gauss(low, high, 3) for low, high in function.ranges]
    values = oracle.tabulated(function.formula, [points for points, _ in rules])
    weights = [w for _, w in rules]
    found = st.sobol_indices(u)
    assert found.variance == pytest.approx(oracle.variance(values, weights), rel=1e-3)
    for d, name in enumerate(found.names):
        assert found.first[name] == pytest.approx(oracle.closed(values, weights, [d]), abs=5e-4)
        assert found.total[name] == pytest.approx(oracle.total(values, weights, [d]), abs=5e-4)


def test_a_trained_model_has_the_indices_that_scipy_samples() -> None:
    function = load("functions").FUNCTIONS["otl"]
    u = public_otl(function)
    found = st.sobol_indices(u)
    dists = [stats.uniform(low, high - low) for low, high in function.ranges]
    sampled = stats.sobol_indices(func=lambda x: function.formula(*x)[None, :], n=2**13, dists=dists, rng=0)
    np.testing.assert_allclose(list(found.first.values()), sampled.first_order, atol=0.01)
    np.testing.assert_allclose(list(found.total.values()), sampled.total_order, atol=0.01)


def public_otl(function: object) -> it.TuckerModel:
    line = [it.Axis(f"x[{d}]", low, high, elements=6, s=3) for d, (low, high) in enumerate(function.ranges)]
    core = oracle.tabulated(function.formula, [axis.nodes for axis in line])
    return it.TuckerModel.from_factors(line, core, [np.eye(7) for _ in line])


# ---- sampling ------------------------------------------------------------------------------------------------------


def exponential() -> tuple[ExponentialModel, float, float]:
    """Return exp(k + c x) for c = 1, 2 and its variance and skewness over k at x = 0."""
    x, k = it.Axis("x", 0, 1, elements=8), it.Axis("k", 0, 1, elements=8, kind="parameter")
    one = np.ones(9)
    u = it.CPModel.from_factors([x, k], [np.stack([one, x.nodes], 1), np.stack([k.nodes, one], 1)])  # k + x
    powers = [(np.exp(n) - 1) / n for n in (1, 2, 3)]
    variance = powers[1] - powers[0] ** 2
    return ExponentialModel(u), variance, (powers[2] - 3 * powers[0] * powers[1] + 2 * powers[0] ** 3) / variance**1.5


def within(found: float, exact: float) -> bool:
    """Return whether an estimate is true within five of its standard errors."""
    return abs(found - exact) < 5 * found.standard_error + 1e-12


def test_fields_without_exact_statistics_are_sampled_with_standard_errors() -> None:
    u, variance, skewness = exponential()
    at = u.at(x=0.0)
    for found, exact in ((st.variance(at), variance), (st.skewness(at), skewness), (st.mean(at), np.e - 1)):
        assert 0 < found.standard_error < 1e-2 * abs(exact)
        assert within(found, exact)
    deviation = st.standard_deviation(at)
    assert within(deviation, np.sqrt(variance))
    field = st.variance(u, "k")
    assert not field.exact
    points = np.array([[0.0], [1.0]])
    errors = field.standard_error(points).numpy()
    assert (np.abs(field(points).numpy() - variance * np.array([1, np.e**2])) < 5 * errors).all()
    assert (st.standard_deviation(u, "k").standard_error(points) > 0).all()


def test_sampled_sobol_indices_of_a_product() -> None:
    u, variance, _ = exponential()
    mean = np.e - 1
    whole = (variance + mean**2) ** 2 - mean**4
    found = st.sobol_indices(u, order=2)
    for name in "xk":
        assert within(found.first[name], variance * mean**2 / whole)
        assert within(found.total[name], variance * (variance + mean**2) / whole)
        assert found.first[name].standard_error < 0.01
    assert within(found.second["x", "k"], variance**2 / whole)
    assert within(found.variance, whole)
    assert "±" in str(found)


def test_sampled_covariances() -> None:
    u, variance, _ = exponential()
    points = np.array([[0.0], [1.0]])
    exact = variance * np.array([[1, np.e], [np.e, np.e**2]])
    errors = st.covariance_error(u, points, over="k")
    assert (errors > 0).all()
    assert (np.abs(st.covariance(u, points, over="k") - exact) < 5 * errors).all()
    np.testing.assert_allclose(st.correlation(u, points, over="k"), 1, rtol=1e-9)


@pytest.mark.parametrize("form", ["slabs", "reduced"])
def test_other_fields_are_sampled_too(form: str) -> None:
    if form == "slabs":
        x, t = it.Axis("x", 0, 1, elements=8), it.Axis("t", 0, 2, elements=16, kind="time")
        halves = [t.part(0, 8), t.part(8, 16)]
        parts = [it.CPModel.from_factors([x, half], [x.nodes[:, None], half.nodes[:, None]]) for half in halves]
        u, exact = it.SlabModel(parts, t), 7 / 36  # x t
    else:
        x, k = it.Axis("x", 0, 1, elements=8), it.Axis("k", 1, 2, elements=8, kind="parameter")
        u, v = it.unknown("u", x, k), it.test_function()
        form_ = it.diff(v, x) * it.diff(u, x) * k - v
        problem = it.Problem(weak=form_, conditions=[u.on(x) == 0])
        u = it.solve(problem, method="reduced_basis", tolerance=1e-8).model.at(x=0.5)  # 1 / (8 k)
        exact = (1 / 2 - np.log(2) ** 2) / 64
    found = st.variance(u)
    assert found.standard_error > 0
    assert within(found, exact)


def test_slabs_are_exact_where_time_is_kept() -> None:
    t = it.Axis("t", 0, 2, elements=16, kind="time")
    x, k, c = it.Axis("x", 0, 1, elements=5, s=1), it.Axis("k", 0, 1, elements=5, s=1), it.Axis("c", 1, 2, elements=4)
    parts = [random_cp([x, half, k, c], rank=2, seed=n) for n, half in enumerate((t.part(0, 8), t.part(8, 16)))]
    u = it.SlabModel(parts, t)
    densities = {"k": stats.beta(2, 3), "c": "uniform"}
    own = {"densities": densities}
    points = np.array([[0.1, 1.7], [0.4, 0.3], [1.0, 1.0], [0.2, 2.0]])
    slab = [1, 0, 0, 1]  # an interface belongs to the slab before it
    for function in (st.mean, st.variance, st.standard_deviation, st.skewness):
        found = function(u, "k", "c", **own)
        expected = [function(parts[n], "k", "c", **own)(p[None])[0] for n, p in zip(slab, points, strict=True)]
        np.testing.assert_allclose(found(points), expected, rtol=1e-12)
    indices = st.sobol_indices(u, "k", "c", order=2, **own)
    assert indices.total["k"].exact
    shares = indices.first["k"](points) + indices.first["c"](points) + indices.second["k", "c"](points)
    np.testing.assert_allclose(shares, 1, rtol=1e-12)
    joint = st.interaction(u, "k", "c", over=["k", "c"], **own)
    np.testing.assert_allclose(joint(points), indices.second["k", "c"](points), rtol=1e-12)


def test_densities_shape_samples_as_they_shape_integrals() -> None:
    model = random_cp(axes()[:3], rank=3)
    own = {name: DENSITIES[name] for name in "xck"}
    exact = st.quantiles(model, [0.1, 0.5], densities=own, samples=1 << 14)
    again = st.quantiles(model, [0.1, 0.5], densities=own, samples=1 << 14)
    assert (exact.values == again.values).all()  # one seed, the same bits
    rules = [rule(axis) for axis in model.axes]
    values = model.grid({axis.name: x for axis, (x, _) in zip(model.axes, rules, strict=True)}).numpy().ravel()
    weights = np.einsum("a,b,c->abc", *(w for _, w in rules)).ravel()
    order = np.argsort(values)
    levels = np.interp(exact.values, values[order], np.cumsum(weights[order]))
    np.testing.assert_allclose(levels, [0.1, 0.5], atol=0.02)  # the grid itself is a coarse sample
    found = st.histogram(model, bins=20, densities=own, samples=1 << 14)
    assert (found.heights * np.diff(found.edges)).sum() == pytest.approx(1)


# ---- densities -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "distribution",
    [stats.norm(0.5, 0.2), stats.beta(2, 5), stats.truncexpon(b=3, loc=0, scale=1 / 3), stats.uniform(0.3, 0.4)],
    ids=["normal", "beta", "exponential", "part"],
)
def test_densities_of_scipy_have_their_own_moments(distribution: object) -> None:
    x = it.Axis("x", 0, 1, elements=8)
    u = it.CPModel.from_factors([x], [x.nodes[:, None]])
    low, high = distribution.cdf([0, 1])
    mean = distribution.expect(lambda t: t, lb=0, ub=1, conditional=True)
    spread = distribution.expect(lambda t: (t - mean) ** 2, lb=0, ub=1, conditional=True)
    own = {"densities": {"x": distribution}, "renormalise": high - low < 1 - 1e-8}
    assert st.mean(u, **own) == pytest.approx(mean, rel=1e-9)
    assert st.variance(u, **own) == pytest.approx(spread, rel=1e-8)
    sample = Density(x, distribution).sample(np.linspace(0.0005, 0.9995, 1000))
    assert sample.mean() == pytest.approx(mean, abs=1e-3)


def test_components_are_no_population() -> None:
    x, c = it.Axis("x", 0, 1, elements=8), it.Axis.discrete("c", 2)
    u = it.CPModel.from_factors([x, c], [x.nodes[:, None], np.array([[1.0], [3.0]])])
    found = st.variance(u)
    np.testing.assert_allclose(found.grid(c=[0, 1]), [1 / 12, 9 / 12], rtol=1e-12)
    assert isinstance(st.variance(u, "x", "c"), float)


def test_indices_where_nothing_varies_are_not_numbers() -> None:
    x, k = it.Axis("x", 0, 1, elements=8), it.Axis("k", 0, 1, elements=8)
    bump = (x.nodes * (1 - x.nodes))[:, None]
    u = it.CPModel.from_factors([x, k], [bump, k.nodes[:, None]])
    found = st.sobol_indices(u, "k").first["k"].grid(x=[0.0, 0.5, 1.0])
    assert torch.isnan(found).tolist() == [True, False, True] or found[0] == found[2] == 1.0
    assert found[1].item() == pytest.approx(1)


# ---- what is refused -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("densities", "says"),
    [
        ({"x": stats.norm(0.5, 0.5), "y": "uniform"}, "'x' must have mass 1 .* got 0.6827: use renormalise=True"),
        ({"x": stats.norm(7, 0.5), "y": "uniform"}, "'x' must have mass 1 .*lies elsewhere"),
        ({"x": "uniform"}, "none for y"),
        ({"x": "uniform", "y": "uniform", "z": "uniform"}, "got one of 'z'"),
        ({"x": "uniform", "y": "normal"}, "'uniform', got 'normal'"),
    ],
)
def test_densities_are_checked(densities: dict[str, object], says: str) -> None:
    u = random_cp([it.Axis(name, 0, 1, elements=6) for name in "xy"])
    with pytest.raises(ValueError, match=says):
        st.variance(u, densities=densities)


def test_a_density_with_a_pole_is_refused_and_a_histogram_serves() -> None:
    x = it.Axis("x", 0, 1, elements=8)
    u = it.CPModel.from_factors([x], [x.nodes[:, None]])
    with pytest.raises(ValueError, match=r"'x' must be finite, got inf at (0|1): use one without a pole"):
        st.variance(u, densities={"x": stats.beta(0.5, 0.5)})
    histogram = stats.rv_histogram(np.histogram(np.linspace(0, 1, 1000) ** 2, bins=4, range=(0, 1)))
    assert st.variance(u, densities={"x": histogram}) == pytest.approx(histogram.var(), rel=1e-9)


@pytest.mark.parametrize("given", [3.0, stats.norm, lambda x: x])
def test_densities_must_be_distributions(given: object) -> None:
    u = random_cp([it.Axis("x", 0, 1, elements=6)])
    with pytest.raises(TypeError, match="frozen continuous distribution"):
        st.variance(u, densities={"x": given})


@pytest.mark.parametrize(
    ("given", "says"), [([0.5, 0.6, 0.1], "mass 1"), ([0.5, 0.5], "3 numbers"), ([-1, 1, 1], "not be negative")]
)
def test_probabilities_are_checked(given: list[float], says: str) -> None:
    u = random_cp([it.Axis.discrete("c", 3, kind="parameter")])
    with pytest.raises(ValueError, match=says):
        st.variance(u, densities={"c": given})


@pytest.mark.parametrize(
    "make", [lambda u: u, lambda u: u.to_tucker(), lambda u: u + u - u], ids=["cp", "tucker", "cancel"]
)
def test_a_constant_has_no_indices(make: Callable[[it.CPModel], Model]) -> None:
    line = [it.Axis(name, 0, 1, elements=6) for name in "xy"]
    u = make(it.CPModel.from_factors(line, [np.full((7, 1), 0.1), np.full((7, 1), 3.0)]))
    with pytest.raises(ValueError, match=r"must vary over x, y, got a constant"):
        st.sobol_indices(u)
    with pytest.raises(ValueError, match=r"must vary over x, y, got a constant"):
        st.skewness(u)
    assert st.variance(u) < 1e-30
    with pytest.raises(ValueError, match="must vary"):
        st.sobol_indices(ExponentialModel(it.CPModel.from_factors(line, [np.ones((7, 1))] * 2)))


def test_a_model_with_nan_is_refused() -> None:
    u = it.CPModel([it.Axis("x", 0, 1, elements=6)], rank=2)
    with torch.no_grad():
        u.factors[0][0, 0] = np.nan
    for function in (st.mean, st.variance, st.sobol_indices, st.quantiles):
        with pytest.raises(ValueError, match=r"finite numbers, got 1 NaN or infinite in factors\.0"):
            function(u)


def test_names_are_checked() -> None:
    u = random_cp([it.Axis(name, 0, 1, elements=6) for name in "xyz"])
    with pytest.raises(ValueError, match="axis must be one of x, y, z, got 'q'"):
        st.variance(u, "q")
    with pytest.raises(ValueError, match="once"):
        st.variance(u, "x", "x")
    with pytest.raises(TypeError, match="must be a model such as a CPModel, got float"):
        st.variance(3.0)
    with pytest.raises(ValueError, match="got 'x' in 'a' and 'b'"):
        st.sobol_indices(u, groups={"a": ["x"], "b": ["x"]})
    with pytest.raises(ValueError, match="must hold random axes, x, y, got 'z'"):
        st.sobol_indices(u, "x", "y", groups={"a": ["z"]})
    with pytest.raises(ValueError, match="rename it"):
        st.sobol_indices(u, groups={"x": ["y", "z"]})
    with pytest.raises(ValueError, match="different ones of x, y, z, got x, x"):
        st.interaction(u, "x", "x")
    with pytest.raises(ValueError, match="hold them still first"):
        st.quantiles(u, [0.5], "x", "y")
    with pytest.raises(ValueError, match="between 0 and 1"):
        st.quantiles(u, [0.5, 1.5])
    with pytest.raises(ValueError, match="over must leave an axis"):
        st.covariance(u, [[0.5]], over=["x", "y", "z"])
    with pytest.raises(ValueError, match="leave an axis to average over"):
        st.conditional_mean(u, "x", "y", "z")


def test_too_many_modes_for_a_third_moment_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(third, "MOST_MODES", 10)
    with pytest.raises(MemoryError, match="round the model first"):
        st.skewness(random_cp([it.Axis("x", 0, 1, elements=4), it.Axis("y", 0, 1, elements=4)], rank=11))
