"""Coefficients given by callables, samples and models keep their values, and what is wrong with them is said."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sympy
import torch

import inntd as it
from inntd.problems.separate import SeparatedFunction
from inntd.problems.toml import parse_problem, read_problem

X, Y = it.Axis("x", 0, 1, elements=16), it.Axis("y", -1, 1, elements=12)
U, V = it.unknown("u", X, Y), it.test_function()
SX, SY = X._sympy_(), Y._sympy_()

Array = np.ndarray


def points(count: int = 300, seed: int = 5) -> Array:
    return np.array([0.0, -1.0]) + np.array([1.0, 2.0]) * np.random.default_rng(seed).random((count, 2))


def load_of(expression: sympy.Expr, **options: Any) -> tuple[it.Problem, SeparatedFunction]:
    """Return a problem with a source, and the source as the solver gets it."""
    problem = it.Problem(weak=U * V - expression * V, **options)
    terms = tuple((term.coefficient, tuple(form.weight for form in term.forms)) for term in problem.load)
    return problem, SeparatedFunction(problem.axes, terms)


def step(x: Array, y: Array) -> Array:
    return np.where(x > 0.3, 2.0, 1.0) * np.exp(x * y)


def test_a_callable_of_one_axis_stays_exact() -> None:
    problem, found = load_of(it.coefficient(lambda x: np.exp(-3 * x) + 1, X) * SY)
    p = points()
    np.testing.assert_allclose(found(p), (np.exp(-3 * p[:, 0]) + 1) * p[:, 1], rtol=1e-14)
    assert problem.separations == ()
    assert found.rank == 1


def test_a_callable_of_two_axes_is_separated_and_its_breaks_are_kept() -> None:
    k = it.coefficient(step, X, Y, breaks={"x": [0.3]})
    problem, found = load_of(k, separation_tolerance=1e-10)
    p = points()
    np.testing.assert_allclose(found(p), step(*p.T), rtol=0, atol=1e-8)
    (separation,) = problem.separations
    assert separation.rank == found.rank < 12
    assert separation.error < 1e-10
    assert separation.axes == ("x", "y")
    assert "s1 = k(x, y) over x, y" in problem.describe()
    assert all(0.3 in row[0].breaks for _, row in found.terms if row[0] is not None)


def test_coefficients_take_part_in_all_algebra() -> None:
    k, c = it.coefficient(lambda x, y: x + y**2, X, Y), it.coefficient(np.cos, Y, name="c")
    _, found = load_of(sympy.exp(k) * c / (2 + SX) + k**2)
    p = points()
    a = p[:, 0] + p[:, 1] ** 2
    np.testing.assert_allclose(found(p), np.exp(a) * np.cos(p[:, 1]) / (2 + p[:, 0]) + a**2, atol=1e-7)


def test_samples_at_nodes_are_interpolated_by_the_basis() -> None:
    values = np.sin(2 * X.nodes)[:, None] * np.exp(Y.nodes) + X.nodes[:, None]
    _, found = load_of(it.coefficient(values, X, Y), separation_tolerance=1e-12)
    model = it.CPModel.from_factors(
        [X, Y],
        [np.stack([np.sin(2 * X.nodes), X.nodes], axis=1), np.stack([np.exp(Y.nodes), np.ones(Y.size)], axis=1)],
    )
    p = points()
    np.testing.assert_allclose(found(p), model(p).numpy(), atol=1e-11)
    assert found.rank == 2
    _, one = load_of(it.coefficient(np.sin(2 * X.nodes), X))
    np.testing.assert_allclose(one(p), it.CPModel.from_factors([X], [np.sin(2 * X.nodes)[:, None]])(p[:, :1]).numpy())


def test_samples_elsewhere_are_interpolated_linearly_with_breaks_there() -> None:
    at, values = np.array([-0.5, 0.1, 0.4, 1.0]), np.array([1.0, 3.0, -1.0, 2.0])
    _, found = load_of(it.coefficient(values, X, at=at))
    p = points()
    np.testing.assert_allclose(found(p), np.interp(p[:, 0], at, values), rtol=1e-13)
    assert found.terms[0][1][0].breaks == (0.1, 0.4)  # type: ignore[union-attr]
    table = np.random.default_rng(0).random((4, 3))
    _, found = load_of(it.coefficient(table, X, Y, at=[at, [-1, 0.2, 1]]))
    across = np.array([np.interp(p[:, 1], [-1, 0.2, 1], row) for row in table])
    expected = np.array([np.interp(x, at, column) for x, column in zip(p[:, 0], across.T, strict=True)])
    np.testing.assert_allclose(found(p), expected, atol=1e-8)
    assert found.rank == 3


@pytest.mark.parametrize("elements", [16, 5])
def test_a_model_separates_exactly_by_its_modes_on_any_mesh(elements: int) -> None:
    mine = it.Axis("x", -1, 1, elements=elements)
    waves = np.arange(1, 4)
    factors = [0.4 * np.cos(waves * axis.nodes[:, None]) for axis in (Y, mine)]
    model = it.CPModel.from_factors([Y, mine], factors)
    problem, found = load_of(it.coefficient(model))
    p = points()
    expected = model(p[:, ::-1].copy()).numpy()
    np.testing.assert_allclose(found(p), expected, rtol=1e-12, atol=1e-15)
    assert found.rank == 3
    assert problem.separations == ()
    _, slope = load_of(it.diff(it.coefficient(model), X))
    np.testing.assert_allclose(slope(p), model.jet(p[:, ::-1].copy())[1][:, 1].numpy(), rtol=1e-10)
    _, inside = load_of(1 / (3 + it.coefficient(model)))
    np.testing.assert_allclose(inside(p), 1 / (3 + expected), atol=1e-7)


def test_a_tucker_model_separates_exactly() -> None:
    random = np.random.default_rng(4)
    factors = [random.random((axis.size, 2)) for axis in (X, Y)]
    model = it.TuckerModel.from_factors([X, Y], random.random((2, 2)), factors)
    problem, found = load_of(it.coefficient(model))
    p = points()
    np.testing.assert_allclose(found(p), model(p).numpy(), rtol=1e-12)
    assert problem.separations == ()


def test_samples_on_a_ring() -> None:
    ring = it.Axis("r", 0, 2 * np.pi, elements=24, periodic=True)
    u, v = it.unknown("u", ring), it.test_function()
    k = it.coefficient(2 + np.cos(ring.nodes[: ring.size]), ring)
    (term,) = it.Problem(weak=k * u * v - v).operator
    x = np.linspace(0, 2 * np.pi, 50)
    weight = term.forms[0].weight
    assert weight is not None
    np.testing.assert_allclose(term.coefficient * weight(x), 2 + np.cos(x), atol=1e-5)


def test_a_model_is_taken_as_it_is_now() -> None:
    model = it.CPModel.from_factors([X, Y], [X.nodes[:, None], np.ones((Y.size, 1))])
    k = it.coefficient(model)
    with torch.no_grad():
        model.factors[0].mul_(5.0)
    p = points()
    np.testing.assert_allclose(load_of(k)[1](p), p[:, 0], rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(load_of(1 / (1 + k))[1](p), 1 / (1 + p[:, 0]), rtol=1e-7)


def test_equal_content_is_equal_and_other_content_is_not() -> None:
    values = np.ones((X.size, Y.size))
    k = it.coefficient(torch.as_tensor(values), X, Y)
    assert k == it.coefficient(values.copy(), X, Y)
    assert it.coefficient(values + 1, X, Y) != k
    assert it.coefficient(np.sin, X) != it.coefficient(np.sin, X)
    assert sympy.expand((k + 1) ** 2 - k**2 - 2 * it.coefficient(values.copy(), X, Y)) == 1


def test_any_field_serves_as_a_model() -> None:
    class Bump:
        axes = (X, Y)

        def __call__(self, p: Array) -> Array:
            return np.exp(-((p[:, 0] - p[:, 1]) ** 2))

    _, found = load_of(it.coefficient(Bump(), name="bump"))
    p = points()
    np.testing.assert_allclose(found(p), np.exp(-((p[:, 0] - p[:, 1]) ** 2)), atol=1e-7)


def test_boundary_values_and_exact_take_coefficients() -> None:
    g = it.coefficient(lambda x, y: np.exp(x) * np.cos(y), X, Y, name="g")
    problem = it.Problem(
        strong=it.laplacian(U), conditions=[U.on("boundary") == g], exact=sympy.exp(SX) * sympy.cos(SY)
    )
    answer = it.solve(problem, tolerance=1e-9)
    p = points()
    np.testing.assert_allclose(answer.model(p).numpy(), np.exp(p[:, 0]) * np.cos(p[:, 1]), atol=1e-7)
    assert problem.exact is not None
    assert answer.model.error(problem.exact) < 1e-7


def test_a_function_of_single_numbers_is_called_point_by_point_with_a_warning() -> None:
    def scalar(x: float) -> float:
        return 1.0 if x < 0.5 else math.exp(x)

    with pytest.warns(UserWarning, match="k: the callable takes no arrays, so it is called once per point"):
        k = it.coefficient(scalar, X, breaks=[0.5])
    p = points()
    np.testing.assert_allclose(load_of(k)[1](p), [scalar(x) for x in p[:, 0]], rtol=1e-14)


def failing(x: Array) -> Array:
    raise RuntimeError("no data")


REFUSALS: dict[str, tuple[Callable[[], Any], type[Exception], str]] = {
    "no axes": (lambda: it.coefficient(np.sin), ValueError, "name the axes"),
    "a string": (
        lambda: it.coefficient("x", X),
        TypeError,
        "source must be a callable, an array .* or a model, got str",
    ),
    "no axis": (lambda: it.coefficient(np.sin, "x"), TypeError, "axes must be inntd.Axis objects, got 'x'"),
    "same axis": (lambda: it.coefficient(np.add, X, X), ValueError, "the axes must differ, got x, x"),
    "name": (lambda: it.coefficient(np.sin, X, name="a b"), ValueError, "name must be a word"),
    "raises": (lambda: it.coefficient(failing, X), ValueError, r"failed with RuntimeError: no data; .*shape \(7,\)"),
    "wrong arity": (
        lambda: it.coefficient(lambda x: x, X, Y, name="q"),
        ValueError,
        "q: the callable failed with Type",
    ),
    "a sum": (
        lambda: it.coefficient(lambda x: np.sum(x) + x[:2], X),
        ValueError,
        r"must return an array of shape \(7,\)",
    ),
    "not finite": (
        lambda: it.coefficient(lambda x, y: x / (y - y), X, Y),
        ValueError,
        "must be finite, got inf at x = ",
    ),
    "at": (lambda: it.coefficient(np.sin, X, at=[0, 1]), ValueError, "at has no meaning for a callable"),
    "breaks": (lambda: it.coefficient(np.sin, X, breaks=[2.0]), ValueError, r"inside of 0 to 1, got \[2.0\]"),
    "breaks of": (lambda: it.coefficient(np.add, X, Y, breaks={"z": [0]}), ValueError, r"its axes \(x, y\), got z"),
    "size": (lambda: it.coefficient(np.ones(5), X), ValueError, r"at the nodes of x must be 17, got 5 .*at=\[...\]"),
    "dimensions": (
        lambda: it.coefficient(np.ones((17, 2)), X),
        ValueError,
        r"one dimension per axis \(x\), .*\(17, 2\)",
    ),
    "nan": (
        lambda: it.coefficient([1.0, np.nan, 2.0], X, at=[0, 0.5, 1]),
        ValueError,
        r"must be finite, got nan at index \[1\], x = 0.5",
    ),
    "cover": (
        lambda: it.coefficient([1, 2], X, at=[0.2, 1]),
        ValueError,
        "must cover the axis from 0 to 1, got 0.2 to 1",
    ),
    "increase": (lambda: it.coefficient([1, 2, 3], X, at=[0, 2, 1]), ValueError, "must be finite and increase"),
    "at shape": (lambda: it.coefficient([1, 2, 3], X, at=[0, 1]), ValueError, "must be 3 coordinates, one per sample"),
    "model cover": (
        lambda: it.coefficient(it.CPModel([it.Axis("x", 0, 0.5, elements=8)], 1), X),
        ValueError,
        "known on x from 0 to 0.5, which does not cover the axis x from 0 to 1",
    ),
    "model axes": (
        lambda: it.coefficient(it.CPModel([X, Y], 1), X),
        ValueError,
        r"has 2 axes \(x, y\), got 1 for them",
    ),
    "derivative": (
        lambda: it.Problem(weak=U * V * it.diff(it.coefficient(np.sin, X, name="q"), X)),
        ValueError,
        r"the coefficient q is a callable and has no derivative; .*div\(k\*grad\(u\)\)",
    ),
    "later not finite": (
        lambda: it.Problem(weak=U * V * it.coefficient(lambda x, y: np.where(x < 0.99, x * y, np.nan), X, Y)),
        ValueError,
        r"the factor k\(x, y\) must be finite and real, but it is not at x = 0\.99",
    ),
    "other axis": (
        lambda: it.Problem(weak=U * V * it.coefficient(np.sin, it.Axis("z", 0, 1, elements=4))),
        ValueError,
        "unknown symbol z",
    ),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_what_is_wrong_is_said(name: str) -> None:
    make, error, message = REFUSALS[name]
    with pytest.raises(error, match=message):
        make()


FILE = """
axes = {x = {domain = [0, 1], elements = 16}, y = {domain = [-1, 1], elements = 12}}
problem = {weak = "u*v - k*v"}
"""


def written(folder: Path, tables: str, text: str = FILE) -> Path:
    path = folder / "problem.toml"
    path.write_text(text + tables)
    return path


def source_of(path: Path) -> SeparatedFunction:
    problem = read_problem(path).problem
    return SeparatedFunction(
        problem.axes, tuple((term.coefficient, tuple(form.weight for form in term.forms)) for term in problem.load)
    )


def test_files_carry_arrays_and_models(tmp_path: Path) -> None:
    values = np.exp(np.outer(X.nodes, Y.nodes))
    np.save(tmp_path / "k.npy", values)
    p = points()
    expected = load_of(it.coefficient(values, X, Y))[1](p)
    found = source_of(written(tmp_path, '[coefficients.k]\nfile = "k.npy"\naxes = ["x", "y"]\n'))
    np.testing.assert_allclose(found(p), expected, rtol=1e-12)

    (tmp_path / "data").mkdir()
    at = np.array([0.0, 0.2, 1.0])
    np.save(tmp_path / "data" / "x.npy", at)
    (tmp_path / "data" / "k.csv").write_text("1, 2\n3, 5\n-1, 0.5\n")
    tables = '[coefficients.k]\nfile = "data/k.csv"\naxes = ["x", "y"]\nat = ["data/x.npy", [-1, 1]]\n'
    table = np.array([[1, 2], [3, 5], [-1, 0.5]])
    share = (p[:, 1] + 1) / 2
    columns = [np.interp(p[:, 0], at, column) for column in table.T]
    np.testing.assert_allclose(source_of(written(tmp_path, tables))(p), (1 - share) * columns[0] + share * columns[1])

    model = it.CPModel.from_factors([Y, X], [np.cos(Y.nodes)[:, None], np.exp(X.nodes)[:, None]])
    model.save(tmp_path / "prior.inntd")
    found = source_of(written(tmp_path, '[coefficients.k]\nmodel = "prior.inntd"\n'))
    np.testing.assert_allclose(found(p), model(p[:, ::-1].copy()).numpy(), rtol=1e-12)
    assert found.rank == 1


def test_files_set_how_well_is_separated(tmp_path: Path) -> None:
    text = FILE.replace("k*v", "exp(x*y)*v").replace("weak", "separation_tolerance = 1e-3, weak")
    loose = read_problem(written(tmp_path, "", text)).problem
    assert loose.separations[0].rank < 6
    text = text.replace("1e-3", "1e-12, separation_rank = 4")
    with pytest.raises(ValueError, match=r"problem.toml: weak: the factor exp\(x\*y\) .* 4 products"):
        read_problem(written(tmp_path, "", text))


BAD_TABLES: dict[str, tuple[str, str]] = {
    "nothing": ("", r"\[coefficients.k\] needs either file or model, got nothing"),
    "key": ('files = "k.npy"', r"unknown key 'files' in \[coefficients.k\]; did you mean file"),
    "both": ('file = "k.npy"\nmodel = "m.inntd"', "needs either file or model, got file, model"),
    "absolute": (
        'file = "/etc/passwd"\naxes = ["x"]',
        "must be a path relative to the problem file, got '/etc",
    ),
    "drive": ('file = "C:\\\\k.npy"\naxes = ["x"]', "must be a path relative to the problem file"),
    "outside": ('file = "../k.npy"\naxes = ["x"]', "must stay inside of the folder of the problem file"),
    "link": ('file = "link.npy"\naxes = ["x"]', "must stay inside of the folder of the problem file"),
    "missing": ('file = "no.npy"\naxes = ["x"]', "file = 'no.npy': there is no such file"),
    "number": ("file = 3", "file must be a path, got 3"),
    "kind": ('file = "problem.toml"\naxes = ["x"]', "must be a .npy or a .csv file"),
    "pickle": ('file = "pickle.npy"\naxes = ["x"]', "file = 'pickle.npy' is no array of numbers: .*Python objects"),
    "garbage": ('file = "garbage.npy"\naxes = ["x"]', "file = 'garbage.npy' is no array of numbers"),
    "complex": ('file = "complex.npy"\naxes = ["x"]', "must hold real numbers, got complex128"),
    "words": ('file = "words.csv"\naxes = ["x"]', "file = 'words.csv' is no array of numbers: .*'a'"),
    "shape": (
        'file = "k.npy"\naxes = ["x"]',
        "file = 'k.npy': coefficient k: samples at the nodes of x must be 17, got",
    ),
    "no axes": ('file = "k.npy"', "axes must name the axes of the array"),
    "axis": ('file = "k.npy"\naxes = ["q"]', r"\[coefficients.k\] axes: no axis is called 'q'"),
    "at": ('file = "k.npy"\naxes = ["x"]\nat = "x"', "at must be a list with one entry per axis, got 'x'"),
    "at entry": ('file = "k.npy"\naxes = ["x"]\nat = [["a"]]', r"at\[0\] must be a number, got 'a'"),
    "no model": ('model = "k.npy"', r"\[coefficients.k\] model = 'k.npy': "),
    "model axes": ('model = "m.inntd"', "the model has the axes q, the file has no q; name the axes"),
}


@pytest.mark.parametrize("name", BAD_TABLES)
def test_what_is_wrong_with_a_file_is_said(name: str, tmp_path: Path) -> None:
    folder = tmp_path / "inside"
    folder.mkdir()
    np.save(tmp_path / "k.npy", np.ones(3))
    (folder / "link.npy").symlink_to(tmp_path / "k.npy")
    np.save(folder / "k.npy", np.ones(3))
    np.save(folder / "pickle.npy", np.array([{}, 1], dtype=object), allow_pickle=True)
    np.save(folder / "complex.npy", np.ones(17) + 1j)
    (folder / "garbage.npy").write_bytes(b"no array")
    (folder / "words.csv").write_text("a,b\n1,2\n")
    it.CPModel.from_factors([it.Axis("q", 0, 1, elements=4)], [np.ones((5, 1))]).save(folder / "m.inntd")
    table, message = BAD_TABLES[name]
    with pytest.raises(ValueError, match=f"problem.toml: .*{message}"):
        read_problem(written(folder, f"[coefficients.k]\n{table}\n"))


def test_names_of_coefficients_must_be_free_and_texts_name_no_files(tmp_path: Path) -> None:
    np.save(tmp_path / "k.npy", np.ones(17))
    for taken in ("x", "u", "sin"):
        with pytest.raises(ValueError, match=rf"\[coefficients.{taken}\]: the name {taken} is taken"):
            read_problem(written(tmp_path, f'[coefficients.{taken}]\nfile = "k.npy"\naxes = ["x"]\n'))
    with pytest.raises(ValueError, match="a problem given as text has no folder"):
        parse_problem(FILE + '[coefficients.k]\nfile = "k.npy"\naxes = ["x"]\n')


def test_what_is_known_on_a_shorter_axis_is_not_extrapolated() -> None:
    x = it.Axis("x", 0, 2, elements=16)
    u, v = it.unknown("u", x, Y), it.test_function()
    model = it.CPModel.from_factors((X, Y), [np.ones((axis.size, 1)) for axis in (X, Y)])
    for given in (
        it.coefficient(model),
        it.coefficient(model.to_tucker()),
        it.coefficient(np.ones(X.size), X),
        it.coefficient([1.0, 2.0], X, at=[-1.0, 1.5]),
        it.coefficient(np.ones(X.size), X).diff(SX),
    ):
        with pytest.raises(ValueError, match=r"known for x from .* does not cover the axis from 0 to 2"):
            it.Problem(weak=u * v - given * v)
