"""Diffusion through a random medium: 71 random numbers, space and time are the axes of one model."""

import math

from sympy import cos

import inntd as it


def frequency(j):
    """Solve w = j pi + 2 atan(1 / w), by Newton's method."""
    w = j * math.pi + 2 / (1 + j * math.pi)
    for _ in range(20):
        w -= (w - j * math.pi - 2 * math.atan(1 / w)) / (1 + 2 / (1 + w * w))
    return w


def wave(j, x):
    """Return the j-th Karhunen-Loeve function of the kernel 0.2^2 exp(-|x - y|) on [0, 1], scaled by its root."""
    w = frequency(j)
    eigenvalue, square = 2 * 0.2**2 / (1 + w * w), 0.5 + (-1) ** j * math.sin(w) / (2 * w)
    # Rounded, so that the problem file can say the same.
    amplitude, w, phase = round(math.sqrt(eigenvalue / square), 12), round(w, 12), round(j * math.pi / 2 + w / 2, 10)
    return amplitude * cos(w * x - phase)


x = it.Axis("x", 0, 1, elements=101)
t = it.Axis("t", 0, 0.01, elements=101, kind="time", grading=2)
zeta = [it.Axis(f"zeta[{j}]", -5, 5, elements=101, kind="parameter") for j in range(1, 72)]

u, v = it.unknown("u", x, t, *zeta), it.test_function()
k = 10 + sum(wave(j, x) * axis for j, axis in enumerate(zeta))

problem = it.Problem(
    weak=v * it.dt(u) + k * it.diff(v, x) * it.diff(u, x) - v,
    conditions=[u.on(x) == 0, u.at(t=0) == 0],
    title="Diffusion through a random medium, 73 axes",
)

if __name__ == "__main__":
    answer = it.solve(problem, rank=15)
    print(answer)
    middle = answer.model.at(x=0.5, t=0.01)
    print(f"in the middle, at the end: mean {middle.mean():.6f}, at zeta = 0 {middle([[0.0] * 71]).item():.6f}")
