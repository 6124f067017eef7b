"""One training step of pyinn's model, for `step.py`: runs where pyinn, jax and optax are installed.

    python pyinn_side.py BATCH.npz SECONDS STEPS

The file holds points ``x`` (K, D), values ``y`` (K,), ``factors`` (D, n, M), the number of hops ``s`` (0: linear).
Prints one JSON line with the median of the seconds of single steps, and writes the gradient by the factors to
BATCH.out.npy. pyinn is used through its public signatures: a model of a grid and a configuration, and
``v_forward(parameters, points)``. The step around it is `jax.grad` and `optax.adam`, compiled by `jax.jit`.
"""

from __future__ import annotations

import json
import sys
import time
from importlib.metadata import version
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from pyinn import model as pyinn_model

RATE = 1e-4


def make_model(grid: jax.Array, s: int) -> Any:
    """Return pyinn's model on the same mesh; cubic kernels with its usual dilation and order."""
    parameters = {
        "s_patch": s,
        "alpha_dil": 20,
        "p_order": 1,
        "radial_basis": "cubicSpline",
        "INNactivation": "polynomial",
    }
    config = {"MODEL_PARAM": parameters, "interp_method": "nonlinear" if s else "linear"}
    return (pyinn_model.INN_nonlinear if s else pyinn_model.INN_linear)(grid, config)


def main(path: str, longest: float, most: int) -> None:
    batch = np.load(path)
    factors = batch["factors"]
    nodes = factors.shape[1]
    grid = jnp.linspace(0, 1, nodes, dtype=jnp.float32)
    model = make_model(grid, int(batch["s"]))
    parameters = jnp.asarray(factors.transpose(2, 0, 1)[:, :, None, :], dtype=jnp.float32)  # (M, D, 1, n)
    x, y = jnp.asarray(batch["x"], dtype=jnp.float32), jnp.asarray(batch["y"], dtype=jnp.float32)
    optimiser = optax.adam(RATE)

    def loss(parameters: jax.Array) -> jax.Array:
        return ((model.v_forward(parameters, x)[:, 0] - y) ** 2).mean()

    @jax.jit
    def step(parameters: jax.Array, state: Any) -> Any:
        gradient = jax.grad(loss)(parameters)
        updates, state = optimiser.update(gradient, state)
        return optax.apply_updates(parameters, updates), state

    gradient = np.asarray(jax.jit(jax.grad(loss))(parameters))
    np.save(path.replace(".npz", ".out.npy"), gradient[:, :, 0, :].transpose(1, 2, 0))
    state = optimiser.init(parameters)
    for _ in range(2):
        parameters, state = jax.block_until_ready(step(parameters, state))
    times: list[float] = []
    began = time.perf_counter()
    while len(times) < most and (time.perf_counter() - began < longest or len(times) < 5):
        clock = time.perf_counter()
        parameters, state = jax.block_until_ready(step(parameters, state))
        times.append(time.perf_counter() - clock)
    versions = {name: version(name) for name in ("pyinn", "jax")}
    print(json.dumps({"seconds": float(np.median(times)), **versions}))


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]), int(sys.argv[3]))
