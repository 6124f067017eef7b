"""Which conductivity and which source explain ten noisy thermometers, and where would two more help most?"""

import numpy as np

import inntd as it

# Heat in a rod, solved once for all conductivities k and sources q.
x = it.Axis("x", 0, 1, elements=30)
t = it.Axis("t", 0, 0.5, elements=30, kind="time", grading=2)
k = it.Axis("k", 0.5, 2, elements=20, kind="parameter")
q = it.Axis("q", 1, 5, elements=4, kind="parameter")
u, v = it.unknown("u", x, t, k, q), it.test_function()
heat = it.Problem(
    weak=v * it.dt(u) + k * it.dot(it.grad(v), it.grad(u)) - q * v,
    conditions=[u.on(x) == 0, u.at(t=0) == 0],
)
model = it.solve(heat, tolerance=1e-5).model

# Ten measurements with an error of 0.004, at k = 1.2 and q = 3.
random = np.random.default_rng(0)
places, times = random.uniform(0.1, 0.9, 10), random.uniform(0.02, 0.5, 10)
truth = model(np.stack([places, times, np.full(10, 1.2), np.full(10, 3.0)], axis=1)).numpy()
measured = {"x": places, "t": times, "u": truth + 0.004 * random.standard_normal(10)}

found = it.calibrate(model, measured, free=["k", "q"], noise=0.004)
print(found)

middle = found.predict({"x": 0.5, "t": [0.05, 0.2, 0.5]})
for value, low, high in zip(middle.values, middle.low, middle.high, strict=True):
    print(f"in the middle {value:.4f}, 95 % in [{low:.4f}, {high:.4f}]")

candidates = {"x": np.linspace(0.05, 0.95, 19)}
more = it.place_sensors(model, candidates, 2, free=["k", "q"], noise=0.004, record={"t": [0.05, 0.1, 0.2]}, after=found)
print(more)
