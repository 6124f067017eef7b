"""S1's discrete system as 1-D matrices and tensor trains: what the peers solve, with inntd's own matrices.

A tensor train is a list of cores (r, n, r'); of a matrix: (r, rows, columns, r').
"""

from __future__ import annotations

import importlib.util
import statistics
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).resolve().parents[2]), str(Path(__file__).resolve().parents[2] / "paper")]

import harness  # before NumPy: one thread
import numpy as np
import s1

import inntd as it
from inntd.axes import assembly
from inntd.axes.quadrature import quadrature_points

Array = harness.Array
Train = list[Array]


@dataclass(frozen=True)
class Axis1D:
    """One axis of the system; all axes are alike.

    Attributes
    ----------
    axis
        The axis, 32 nodes.
    stiffness, mass
        (n, N) with a row for each inner node and a column for each node.
    source, one
        (n,) integrals of sin(pi x / 2) and of 1 against the inner nodes' functions.
    values
        (N,) sin(pi x / 2) at the nodes.
    """

    axis: it.Axis
    stiffness: Array
    mass: Array
    source: Array
    one: Array
    values: Array


def make_axis(case: harness.Case) -> it.Axis:
    """Return the axis that all dimensions of a case share."""
    return case.build().axes[0]


def sine(x: Array) -> Array:
    """Return the exact solution's factor."""
    return np.sin(np.pi / 2 * x)


def assemble(axis: it.Axis) -> Axis1D:
    """Assemble the 1-D matrices and loads."""
    inner = slice(1, -1)
    source, one = assembly.load(axis, [sine, np.ones_like])[inner].T
    stiffness, mass = (assembly.matrix(axis, order, order).toarray()[inner] for order in (1, 0))
    return Axis1D(axis, stiffness, mass, source, one, sine(axis.nodes))


def sum_train(dimension: int, one: Array, term: Array) -> Train:
    """Return sum_i one x ... x term (at i) x ... x one; `one` and `term` are vectors or matrices."""
    zero = np.zeros_like(one)
    core = np.array([[one, term], [zero, one]])  # (2, 2, ...): state 0 before the term, 1 after
    core = np.moveaxis(core, 1, -1)
    return [core[:1], *[core] * (dimension - 2), core[..., 1:]]


def boundary_train(dimension: int, axis: Axis1D) -> Train:
    """Return the nodal values of the boundary data, zero at inner nodes: no difference of large terms anywhere.

    The state "met the boundary" passes along the axes beside the state of the sum.
    """
    edge = np.zeros_like(axis.values)
    edge[[0, -1]] = 1.0
    inner, everywhere = 1.0 - edge, np.ones_like(edge)
    zero = np.zeros_like(edge)
    states = np.array([[inner, edge], [zero, everywhere]])
    sums = np.array([[everywhere, axis.values], [zero, everywhere]])
    core = np.einsum("abn,cdn->acnbd", states, sums).reshape(4, len(edge), 4)
    return [core[:1], *[core] * (dimension - 2), core[..., 3:]]


def load_train(dimension: int, axis: Axis1D) -> Train:
    """Return the load of the inner nodes, boundary data moved to the right-hand side."""
    source = sum_train(dimension, axis.one, (np.pi / 2) ** 2 * axis.source)
    image = apply(sum_train(dimension, axis.mass, axis.stiffness), boundary_train(dimension, axis))
    image[0] = -image[0]
    return add(source, image)


def operator_train(dimension: int, axis: Axis1D) -> Train:
    """Return the operator on the inner nodes."""
    return sum_train(dimension, axis.mass[:, 1:-1], axis.stiffness[:, 1:-1])


def apply(matrix: Train, vector: Train) -> Train:
    """Multiply a train of matrices with a train."""
    product = [np.einsum("aijb,cjd->acibd", m, v) for m, v in zip(matrix, vector, strict=True)]
    return [p.reshape(p.shape[0] * p.shape[1], p.shape[2], -1) for p in product]


def add(left: Train, right: Train) -> Train:
    """Add two trains."""
    cores = []
    for d, (a, b) in enumerate(zip(left, right, strict=True)):
        rows, columns = (0 if d == 0 else a.shape[0]), (0 if d == len(left) - 1 else a.shape[2])
        core = np.zeros((rows + b.shape[0], a.shape[1], columns + b.shape[2]))
        core[: a.shape[0], :, : a.shape[2]] += a
        core[rows:, :, columns:] += b
        cores.append(core)
    return cores


def norm(train: Train) -> float:
    """Return the Euclidean norm by orthogonal transformations: small differences keep their digits."""
    rest = np.ones((1, 1))
    for core in train:
        joined = np.einsum("ab,bnc->anc", rest, core)
        rest = np.linalg.qr(joined.reshape(-1, core.shape[2]), mode="r")
    return abs(float(rest[0, 0]))


def relative_error(inner: Sequence[Array], axis: Axis1D) -> float:
    """Return the relative L2 error of the function with these values at the inner nodes."""
    dimension = len(inner)
    padded = [np.pad(core, ((0, 0), (1, 1), (0, 0))) for core in inner]
    nodal = add(padded, boundary_train(dimension, axis))
    x, weights = quadrature_points(axis.axis, 2 * axis.axis.table.degree + 8)
    index, basis = axis.axis.tabulate(x)
    weighted = np.zeros((len(x), axis.axis.size))
    np.put_along_axis(weighted, index, np.sqrt(weights)[:, None] * basis, axis=1)
    values = [np.einsum("qn,anb->aqb", weighted, core) for core in nodal]
    exact = sum_train(dimension, np.sqrt(weights), np.sqrt(weights) * sine(x))
    size = norm(exact)
    exact[0] = -exact[0]
    return norm(add(values, exact)) / size


def compare(case: harness.Case, repeat: int, peer: str, peers: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Solve a case with inntd, and return a line with the peer's figures and the ratio of the times beside it.

    Parameters
    ----------
    peers
        Error, wall and CPU seconds, and settings of the peer's runs; the fastest that meets the case's figure counts,
        or the most accurate if none does.
    """
    errors, seconds, cpu, statuses = [], [], [], []
    for _ in range(repeat):
        harness.forget()
        problem = case.build()
        time, busy, answer = harness.clocked(lambda problem=problem: harness.solve(problem, case))
        seconds.append(time)
        cpu.append(busy)
        errors.append(float(answer.model.error(problem.exact)))
        statuses.append(answer.status)
    good = [run for run in peers if run["error"] <= case.error]
    best = min(good, key=lambda run: run["seconds"]) if good else min(peers, key=lambda run: run["error"])
    ours = statistics.median(seconds)
    reasons = [harness.reason_to_reject(*pair, case.error) for pair in zip(statuses, errors, strict=True)]
    rejected = next((reason for reason in reasons if reason), None)
    return {
        "case": case.name,
        "peer": peer,
        "error": max(errors),
        "error_at_most": case.error,
        "seconds": harness.significant(ours) if rejected is None else None,
        "seconds_cpu": harness.significant(statistics.median(cpu)) if rejected is None else None,
        "modes": answer.modes,
        "parameters": sum(factor.numel() for factor in answer.model.factors),
        "peer_error": best["error"],
        "peer_seconds": harness.significant(best["seconds"]),
        "peer_seconds_cpu": harness.significant(best["seconds_cpu"]),
        "peer_settings": best["settings"],
        # How many times as long the peer takes; a peer that misses the figure is faster or slower for less.
        "ratio": harness.significant(best["seconds"] / ours, 3) if rejected is None else None,
        "ratio_cpu": harness.significant(best["seconds_cpu"] / statistics.median(cpu), 3) if rejected is None else None,
        "peer_meets_figure": bool(good),
        "repeats": repeat,
        "threads": 1,
        "load": harness.load(),
        "status": statuses[-1],
        "rejected": rejected,
        **harness.environment(),
    }


def main(
    description: str, package: str, dimensions: Sequence[int], peer: Callable[[harness.Case, int], tuple[str, Any]]
) -> int:
    """Run the chosen cases; 1 if inntd missed a case's error. Without the peer's package: say so, and 0."""
    cases = [case for case in s1.CASES if case.fields["dimension"] in dimensions]
    options = harness.argument_parser(description, [case.name for case in cases]).parse_args()
    if importlib.util.find_spec(package) is None:
        skipped = {"case": None, "status": f"skipped: {package} is not installed, see benchmarks/README.md"}
        print(harness.as_json(skipped))
        return 0
    wanted = options.case or [case.name for case in cases if case.quick or not options.quick]
    repeat = 1 if options.quick else options.repeat
    chosen = (case for case in cases if case.name in wanted)
    return harness.print_lines((compare(case, repeat, *peer(case, repeat)) for case in chosen), options.output)
