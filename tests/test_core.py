"""Evaluation, tabulation and tensor arguments of the compiled core, against dense NumPy oracles."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt
import pytest
import reference
import torch
from hypothesis import given
from hypothesis import strategies as st

from inntd import _core

Array = npt.NDArray[np.float64]
TOLERANCE = {"float64": 2e-13, "float32": 2e-5}  # relative to the sum of absolute terms


@pytest.fixture(params=_core.available_isas())
def isa(request: pytest.FixtureRequest) -> Iterator[str]:
    before = _core.isa()
    _core.select_isa(request.param)
    yield request.param
    _core.select_isa(before)


def compiled(table: reference.Table) -> _core.BasisTable:
    return _core.BasisTable(
        table.breaks, table.kind, table.first, table.coefficients, table.size, table.uniform, table.periodic
    )


def draw_points(rng: np.random.Generator, tables: list[reference.Table], count: int) -> Array:
    """Random points, the first ones on breaks and on both ends of the axes."""
    points = np.stack([rng.uniform(table.breaks[0], table.breaks[-1], count) for table in tables], axis=1)
    for d, table in enumerate(tables):
        special = table.breaks[:: max(1, len(table.breaks) // 4)][: count // 2]
        points[: len(special), d] = rng.permutation(special)
        if count > 1:
            points[count - 1, d] = table.breaks[-1]
    return points


def evaluate(
    tables: list[reference.Table], factors: list[Array], points: Array, dtype: str, threads: int = 1
) -> tuple[npt.NDArray[np.floating], ...]:
    """Values from `cp_values`, and values, gradients and second derivatives from `cp_jet`."""
    count, dimension = points.shape
    core = [compiled(table) for table in tables]
    cast = [np.ascontiguousarray(factor, dtype=dtype) for factor in factors]
    x = np.ascontiguousarray(points, dtype=dtype)
    values, again = np.full(count, np.nan, dtype), np.full(count, np.nan, dtype)
    gradient, second = np.full((count, dimension), np.nan, dtype), np.full((count, dimension), np.nan, dtype)
    _core.cp_values(core, cast, x, values, threads)
    _core.cp_jet(core, cast, x, again, gradient, second, threads)
    return values, again, gradient, second


def check(tables: list[reference.Table], factors: list[Array], points: Array, dtype: str) -> None:
    rounded = points.astype(dtype).astype(np.float64)  # the core sees the rounded points: so does the oracle
    for d, table in enumerate(tables):
        np.clip(rounded[:, d], table.breaks[0], table.breaks[-1], out=rounded[:, d])
    exact = [factor.astype(dtype).astype(np.float64) for factor in factors]
    value, gradient, second = reference.cp_jet(tables, exact, rounded)
    scale = reference.cp_scale(tables, exact)
    found = evaluate(tables, factors, rounded, dtype)
    for order, (got, expected) in enumerate(zip(found, (value, value, gradient, second), strict=True)):
        error = np.abs(got - expected) / scale[max(0, order - 1)]
        assert np.max(error, initial=0.0) < TOLERANCE[dtype], f"order {order}"


def hats(elements: int, *, start: float = 0.0, stop: float = 1.0) -> reference.Table:
    return reference.patch_table(np.linspace(start, stop, elements + 1), 1)


def mixed_tables() -> list[reference.Table]:
    """One axis of each structure: equally spaced, graded, periodic, random, a single piece."""
    rng = np.random.default_rng(5)
    return [
        hats(13, start=-1.0),
        reference.patch_table(np.linspace(0, 1, 12) ** 2, 3),
        reference.patch_table(np.linspace(0, 1, 10), 2, periodic=True),
        reference.random_table(rng, 7, 3, 4),
        hats(1),
    ]


# Few points go straight from the factors, many through prepared axes; 65 fills one block of points and one of the next.
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("modes", [1, 7, 16, 37, 64])
@pytest.mark.parametrize("count", [1, 65, 700])
def test_evaluation_matches_dense_products(isa: str, dtype: str, modes: int, count: int) -> None:
    rng = np.random.default_rng(modes)
    tables = mixed_tables()
    factors = [rng.standard_normal((table.size, modes)) for table in tables]
    check(tables, factors, draw_points(rng, tables, count), dtype)


@pytest.mark.parametrize(("half_width", "periodic"), [(1, False), (1, True), (2, False), (4, True), (5, False)])
@pytest.mark.parametrize("count", [5, 600])
def test_all_patch_widths(isa: str, half_width: int, periodic: bool, count: int) -> None:
    rng = np.random.default_rng(half_width)
    table = reference.patch_table(np.linspace(0, 3, 18), half_width, periodic=periodic)
    tables = [table, table]
    factors = [rng.standard_normal((table.size, 5)) for _ in tables]
    for dtype in TOLERANCE:
        check(tables, factors, draw_points(rng, tables, count), dtype)


@pytest.mark.parametrize("dimension", [1, 2, 40])
def test_any_number_of_axes(isa: str, dimension: int) -> None:
    rng = np.random.default_rng(dimension)
    tables = [hats(6)] * dimension
    factors = [1.0 + 0.1 * rng.standard_normal((7, 3)) for _ in tables]
    for count in (3, 500):
        check(tables, factors, draw_points(rng, tables, count), "float64")


@given(
    dimension=st.integers(1, 4),
    modes=st.integers(1, 20),
    count=st.integers(1, 150),
    pieces=st.integers(2, 12),
    width=st.integers(1, 9),
    degree=st.integers(0, 9),
    periodic=st.booleans(),
    dtype=st.sampled_from(["float64", "float32"]),
    seed=st.integers(0, 2**16),
)
def test_any_table(
    dimension: int,
    modes: int,
    count: int,
    pieces: int,
    width: int,
    degree: int,
    periodic: bool,
    dtype: str,
    seed: int,
) -> None:
    rng = np.random.default_rng(seed)
    width = min(width, pieces)
    tables = [reference.random_table(rng, pieces, width, degree, periodic=periodic) for _ in range(dimension)]
    factors = [rng.standard_normal((table.size, modes)) for table in tables]
    check(tables, factors, draw_points(rng, tables, count), dtype)


def test_zero_factors_are_not_divided_by(isa: str) -> None:
    tables = [hats(4)] * 3
    factors = [np.zeros((5, 3)), np.ones((5, 3)), np.ones((5, 3))]
    factors[0][0] = 1.0
    for count in (2, 400):
        points = np.full((count, 3), 0.5)
        points[::2, 0] = 0.125
        values, _, gradient, second = evaluate(tables, factors, points, "float64")
        np.testing.assert_allclose(values[:2], [1.5, 0.0], atol=1e-15)
        np.testing.assert_allclose(gradient[0], [-12.0, 0.0, 0.0], atol=1e-13)
        assert np.isfinite(gradient).all()
        assert np.isfinite(second).all()


def test_nan_stays_with_its_point(isa: str) -> None:
    tables = [hats(4), reference.patch_table(np.linspace(0, 1, 5) ** 2, 1)]
    factors = [np.ones((5, 2)), np.ones((5, 2))]
    for count in (3, 300):
        points = np.full((count, 2), 0.3)
        points[0, 0] = points[1, 1] = np.nan
        values, *_ = evaluate(tables, factors, points, "float64")
        assert np.isnan(values[:2]).all()
        np.testing.assert_allclose(values[2:], 2.0, rtol=1e-14)


def test_a_break_belongs_to_the_piece_on_its_right(isa: str) -> None:
    for breaks in (np.linspace(0.1, 0.7, 31), np.linspace(0.1, 0.7, 31) ** 2, 1e5 + np.linspace(0, 1, 31)):
        table = reference.patch_table(breaks, 1)
        points = np.concatenate([breaks, np.nextafter(breaks[1:], -np.inf), np.nextafter(breaks[:-1], np.inf)])
        piece = np.empty(len(points), dtype=np.int64)
        values = np.empty((len(points), 2))
        _core.tabulate(compiled(table), points, piece, values)
        np.testing.assert_array_equal(piece, reference.locate(table, points))
        # The slope of the kink at the break tells the piece that the blocked kernels took.
        factor = np.cumsum(np.arange(31.0))[:, None]
        _, _, gradient, _ = evaluate([table], [factor], points[:, None], "float64")
        steps = np.diff(breaks)[reference.locate(table, points)]
        np.testing.assert_allclose(gradient[:, 0] * steps, reference.locate(table, points) + 1.0, rtol=1e-9)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("count", [37, 2000, 4096])
def test_threads_give_the_same_bits(isa: str, dtype: str, count: int) -> None:
    rng = np.random.default_rng(3)
    tables = mixed_tables()
    factors = [rng.standard_normal((table.size, 11)) for table in tables]
    points = draw_points(rng, tables, count)
    alone = evaluate(tables, factors, points, dtype, threads=1)
    for threads in (2, 3, 16):
        for one, other in zip(alone, evaluate(tables, factors, points, dtype, threads=threads), strict=True):
            np.testing.assert_array_equal(one, other)


def test_no_points_and_no_modes(isa: str) -> None:
    tables = [hats(3), hats(4)]
    factors = [np.ones((4, 2)), np.ones((5, 2))]
    for result in evaluate(tables, factors, np.empty((0, 2)), "float64"):
        assert result.size == 0
    for count in (2, 400):
        for result in evaluate(tables, [factor[:, :0] for factor in factors], np.full((count, 2), 0.5), "float32"):
            np.testing.assert_array_equal(result, 0.0)


def test_a_huge_batch_agrees_with_its_parts(isa: str) -> None:
    rng = np.random.default_rng(11)
    tables = [reference.patch_table(np.linspace(0, 1, 9), 2)] * 2
    factors = [rng.standard_normal((9, 4)) for _ in tables]
    points = rng.uniform(0, 1, (1_000_003, 2)).astype(np.float32)
    whole = evaluate(tables, factors, points, "float32", threads=2)
    parts = rng.integers(0, len(points), 200)
    for all_points, some in zip(whole, evaluate(tables, factors, points[parts], "float64"), strict=True):
        np.testing.assert_allclose(all_points[parts], some, rtol=2e-4, atol=2e-4 * np.abs(some).max())


def test_few_points_on_a_long_axis(isa: str) -> None:
    elements = 20_000
    table = hats(elements)
    factor = np.linspace(0, 1, elements + 1)[:, None] * np.ones(3)
    points = np.random.default_rng(0).uniform(0, 1, (500, 1))
    values, _, gradient, second = evaluate([table], [factor], points, "float64")
    np.testing.assert_allclose(values, 3 * points[:, 0], rtol=1e-10)
    np.testing.assert_allclose(gradient, 3.0, rtol=1e-9)
    np.testing.assert_array_equal(second, 0.0)


@pytest.mark.parametrize("order", [0, 1, 2, 3])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_tabulation_matches_polynomials(isa: str, dtype: str, order: int) -> None:
    rng = np.random.default_rng(order)
    for table in mixed_tables():
        x = draw_points(rng, [table], 90)[:, 0].astype(dtype).clip(table.breaks[0], table.breaks[-1]).astype(dtype)
        piece = np.empty(len(x), dtype=np.int64)
        width = table.coefficients.shape[2]
        values = np.empty((len(x), width), dtype=dtype)
        _core.tabulate(compiled(table), x, piece, values, order)
        dense = np.zeros((len(x), table.size))
        rows = np.arange(len(x))[:, None]
        np.add.at(dense, (rows, (table.first[piece][:, None] + np.arange(width)) % table.size), values)
        expected = reference.basis_matrix(table, x, order)
        np.testing.assert_allclose(dense, expected, atol=50 * TOLERANCE[dtype] * max(1.0, np.abs(expected).max()))


def test_instruction_sets_can_be_named() -> None:
    assert _core.isa() in _core.available_isas()
    assert _core.available_isas()[0] == "base"
    with pytest.raises(ValueError, match=r"instruction set must be one of base.*got 'avx9'"):
        _core.select_isa("avx9")


def test_instruction_set_from_the_environment() -> None:
    for name in _core.available_isas():
        answer = subprocess.run(
            [sys.executable, "-c", "from inntd import _core; print(_core.isa())"],
            env={**os.environ, "INNTD_ISA": name, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            capture_output=True,
            text=True,
            check=True,
        )
        assert answer.stdout.strip() == name


# --- tensor arguments ------------------------------------------------------------------------------------------------


@pytest.fixture
def call() -> Callable[..., Array]:
    """`cp_values` of one hat axis with some arguments replaced; returns the values."""

    def run(**replaced: object) -> Array:
        arguments: dict[str, object] = {
            "tables": [compiled(hats(3))],
            "factors": [torch.arange(8.0, dtype=torch.float64).reshape(4, 2)],
            "points": torch.linspace(0, 1, 4, dtype=torch.float64).reshape(4, 1),
            "out": np.zeros(4),
        }
        arguments.update(replaced)
        _core.cp_values(**arguments)  # type: ignore[arg-type]
        return np.asarray(arguments["out"])

    return run


EXPECTED = np.array([1.0, 5.0, 9.0, 13.0])


def test_arrays_and_tensors_are_borrowed_alike(call: Callable[..., Array]) -> None:
    out = torch.zeros(4, dtype=torch.float64)
    call(factors=[np.arange(8.0).reshape(4, 2)], points=np.linspace(0, 1, 4)[:, None], out=out)
    np.testing.assert_allclose(out.numpy(), EXPECTED)
    np.testing.assert_allclose(call(), EXPECTED)


def test_parameters_that_require_grad_are_borrowed(call: Callable[..., Array]) -> None:
    factor = torch.nn.Parameter(torch.arange(8.0, dtype=torch.float64).reshape(4, 2))
    np.testing.assert_allclose(call(factors=[factor]), EXPECTED)


def test_views_with_an_offset(call: Callable[..., Array]) -> None:
    big = torch.arange(-4.0, 8.0, dtype=torch.float64).reshape(6, 2)
    np.testing.assert_allclose(call(factors=[big[2:]]), EXPECTED)
    np.testing.assert_allclose(call(factors=[big.numpy()[2:]]), EXPECTED)


class OnlyDLPack:
    """An array of a library that speaks no more than the DLPack protocol."""

    def __init__(self, array: npt.NDArray[np.floating]) -> None:
        self.array = array

    def __dlpack__(self, **options: object) -> object:
        return self.array.__dlpack__(**options)  # type: ignore[arg-type]


def test_other_libraries_through_capsules(call: Callable[..., Array]) -> None:
    np.testing.assert_allclose(call(factors=[OnlyDLPack(np.arange(8.0).reshape(4, 2))]), EXPECTED)
    with pytest.raises(ValueError, match="C-contiguous"):
        call(factors=[OnlyDLPack(np.asfortranarray(np.arange(8.0).reshape(4, 2)))])
    with pytest.raises(TypeError, match="float16"):
        call(factors=[OnlyDLPack(np.zeros((4, 2), dtype=np.float16))])


def test_torch_without_the_exchange_table(call: Callable[..., Array]) -> None:
    class OldTensor(torch.Tensor):
        __dlpack_c_exchange_api__ = None

    old = torch.arange(8.0, dtype=torch.float64).reshape(4, 2).as_subclass(OldTensor)
    np.testing.assert_allclose(call(factors=[old]), EXPECTED)
    np.testing.assert_allclose(call(factors=[old.requires_grad_()]), EXPECTED)
    with pytest.raises(ValueError, match="negative bit"):
        call(factors=[torch._neg_view(old.detach())])
    with pytest.raises(ValueError, match="OldTensor"):
        call(factors=[old.detach().to("meta")])


def read_only() -> Array:
    array = np.zeros(4)
    array.flags.writeable = False
    return array


def misaligned() -> Array:
    return np.frombuffer(bytearray(65), dtype=np.uint8)[1:].view(np.float64).reshape(4, 2)


REJECTIONS: dict[str, tuple[dict[str, Callable[[], object]], type[Exception], str]] = {
    "transposed tensor": (
        {"factors": lambda: [torch.zeros(2, 4, dtype=torch.float64).T]},
        ValueError,
        r"C-contiguous tensor, got shape \(4, 2\) with strides \(1, 4\) elements: pass tensor.contiguous\(\)",
    ),
    "transposed array": (
        {"factors": lambda: [np.zeros((2, 4)).T]},
        ValueError,
        r"C-contiguous tensor, got shape \(4, 2\) with strides \(8, 32\) bytes",
    ),
    "strided output": ({"out": lambda: np.zeros(8)[::2]}, ValueError, "C-contiguous"),
    "strided output tensor": ({"out": lambda: torch.zeros(8, dtype=torch.float64)[::2]}, ValueError, "C-contiguous"),
    "read-only output": ({"out": read_only}, ValueError, "output array is read-only: pass a writable one"),
    "misaligned": ({"factors": lambda: [misaligned()]}, ValueError, "not aligned in memory"),
    "half precision": (
        {"points": lambda: torch.zeros(4, 1, dtype=torch.float16)},
        TypeError,
        r"expected a tensor of float64, got float16: .*convert with .to\(dtype\)",
    ),
    "bfloat16": ({"points": lambda: torch.zeros(4, 1, dtype=torch.bfloat16)}, TypeError, "got bfloat16"),
    "integers": ({"points": lambda: np.zeros((4, 1), dtype=np.int64)}, TypeError, "got int64"),
    "booleans": ({"points": lambda: torch.zeros(4, 1, dtype=torch.bool)}, TypeError, "got bool"),
    "mixed precision": ({"points": lambda: torch.zeros(4, 1)}, TypeError, "got float32: all tensors of one call"),
    "foreign byte order": ({"points": lambda: np.zeros((4, 1), dtype=">f8")}, TypeError, "foreign byte order"),
    "complex": ({"points": lambda: torch.zeros(4, 1, dtype=torch.complex64)}, TypeError, "got complex64"),
    "conjugate bit": (
        {"points": lambda: torch.zeros(4, 1, dtype=torch.complex128).conj()},
        ValueError,
        r"conjugate bit set: pass .*resolve_conj\(\)",
    ),
    "negative bit": (
        {"points": lambda: torch._neg_view(torch.zeros(4, 1, dtype=torch.float64))},
        ValueError,
        r"negative bit set: pass tensor.resolve_neg\(\)",
    ),
    "meta device": (
        {"points": lambda: torch.zeros(4, 1, dtype=torch.float64, device="meta")},
        ValueError,
        "expected a dense tensor in CPU memory, got a Tensor",
    ),
    "sparse": (
        {"factors": lambda: [torch.zeros(4, 2, dtype=torch.float64).to_sparse()]},
        ValueError,
        "expected a dense tensor in CPU memory",
    ),
    "too many dimensions": (
        {"points": lambda: torch.zeros([1] * 9, dtype=torch.float64)},
        ValueError,
        "at most 8 dimensions, got 9",
    ),
    "no array at all": ({"points": lambda: "points"}, TypeError, "expected a NumPy array or a torch tensor, got str"),
    "none": ({"points": lambda: None}, TypeError, "got NoneType"),
    "a list of numbers": ({"factors": lambda: [[1.0, 2.0]]}, TypeError, "got list"),
    "one table too many": ({"tables": lambda: [compiled(hats(3))] * 2}, ValueError, "lists of equal length"),
    "no axes": ({"tables": list, "factors": list}, ValueError, "lists of equal length"),
    "wrong factor": ({"factors": lambda: [np.zeros((5, 2))]}, ValueError, r"factors must have shape \(table.size"),
    "wrong points": ({"points": lambda: np.zeros((4, 2))}, ValueError, r"points must have shape \(K, number of axes\)"),
    "wrong output": ({"out": lambda: np.zeros(5)}, ValueError, r"out must have shape \(K,\)"),
}


@pytest.mark.parametrize("name", REJECTIONS)
def test_rejected_arguments(call: Callable[..., Array], name: str) -> None:
    replaced, error, message = REJECTIONS[name]
    with pytest.raises(error, match=message):
        call(**{key: make() for key, make in replaced.items()})


def test_memory_that_is_not_there(call: Callable[..., Array]) -> None:
    class Empty:
        """A producer whose capsule promises eight numbers behind a null pointer."""

        def __dlpack__(self) -> object:
            import ctypes

            shape, strides = (ctypes.c_int64 * 2)(4, 2), (ctypes.c_int64 * 2)(2, 1)
            managed = (ctypes.c_int64 * 8)()  # DLManagedTensor: data, device, ndim + dtype, shape, strides, offset, …
            managed[1] = 1
            managed[2] = 2 | (2 | 64 << 8 | 1 << 16) << 32
            managed[3], managed[4] = ctypes.addressof(shape), ctypes.addressof(strides)
            new = ctypes.pythonapi.PyCapsule_New
            new.restype, new.argtypes = ctypes.py_object, [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
            self.kept = (shape, strides, managed)
            return new(ctypes.addressof(managed), b"dltensor", None)

    with pytest.raises(ValueError, match=r"tensor of shape \(4, 2\) has no memory behind it"):
        call(factors=[Empty()])


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_tensors_on_a_device_are_refused(call: Callable[..., Array]) -> None:
    with pytest.raises(ValueError, match=r"expected a tensor on the CPU, got one on cuda:0: move it with tensor.cpu"):
        call(points=torch.zeros(4, 1, dtype=torch.float64, device="cuda"))


def test_evaluation_after_fork() -> None:
    """A forked child has none of the pool's threads: it must make its own instead of waiting for them."""
    program = """
import os, sys
import numpy as np
from inntd import _core
breaks = np.linspace(0, 1, 4)
table = _core.BasisTable(breaks, np.zeros(3, np.int32), np.arange(3), np.array([[[.5, .5], [-.5, .5]]]), 4, True, False)
points, out = np.random.default_rng(0).uniform(0, 1, (5000, 1)), np.zeros(5000)
def run():
    out[:] = 0
    _core.cp_values([table], [breaks[:, None].copy()], points, out, 4)
    return np.allclose(out, points[:, 0])
assert run()
child = os.fork()
if child == 0:
    os._exit(0 if run() else 1)
assert os.waitpid(child, 0)[1] == 0
assert run()
"""
    path = os.pathsep.join(filter(None, sys.path))
    subprocess.run([sys.executable, "-c", program], env={**os.environ, "PYTHONPATH": path}, check=True, timeout=60)
