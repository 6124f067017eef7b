"""All factors at once by mini-batch Adam: the paper's Algorithm 2, in the core's native loop."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import torch

from inntd import _checks, _kernels
from inntd.axes import Axis
from inntd.models import CPModel
from inntd.training import arguments, checkpoint
from inntd.training.distributed import any_of, processes, shared_step
from inntd.training.extrapolation import evaluate
from inntd.training.native import NativeModel, dtype_of
from inntd.training.outcome import FitResult, FitStatus
from inntd.training.scaling import centre_and_scale
from inntd.training.sources import Chunk, Source, make_source

Array = npt.NDArray[np.float64]
Callback: TypeAlias = Callable[[dict[str, Any]], Any]
Schedule: TypeAlias = Literal["squared-cosine", "cosine", "constant"]

BLOCK = 512
SLICE = 0.05  # seconds in the core before Python looks for Ctrl-C
WORSE = 100.0  # times the variance of the values: a loss that counts as divergence
MOST_HALVINGS = 8
POWERS = {"squared-cosine": 2, "cosine": 1, "constant": 0}  # of the falling cosine


@dataclass
class _Run:
    """What changes from epoch to epoch, and is kept in checkpoints."""

    epoch: int = 0
    step: int = 0
    rate: float = 0.0
    halvings: int = 0
    waited: int = 0
    best_loss: float = math.inf
    best: list[torch.Tensor] = field(default_factory=list)
    history: list[dict[str, Any]] = field(default_factory=list)


def fit_adam(
    axes: Sequence[Axis],
    x: Any,
    y: npt.ArrayLike | None,
    *,
    rank: int,
    weights: npt.ArrayLike | None = None,
    epochs: int = 100,
    batch: int = 1024,
    rate: float = 1.5e-2,
    schedule: Schedule = "squared-cosine",
    smoothing: float | None = 0.8,
    betas: tuple[float, float] = (0.9, 0.95),
    weight_decay: float = 0.0,
    validation_fraction: float = 0.0,
    patience: int | None = None,
    max_seconds: float | None = None,
    dtype: str = "float32",
    start: CPModel | None = None,
    checkpoint_path: str | os.PathLike[str] | None = None,
    checkpoint_seconds: float = 60.0,
    resume: bool = False,
    seed: int = 0,
    callback: Callback | None = None,
) -> FitResult:
    """Fit a CP model to samples by mini-batch Adam on all factors at once.

    One seed gives the same bits on one machine, instruction set and number of threads. Where `torch.distributed` was
    initialised, its processes share each batch: call the function in all of them with the same arguments.

    Parameters
    ----------
    axes : sequence of D Axis
        Their ranges hold all samples.
    x : array (K, D), memory-mapped array, callable, or FileBatches
        Coordinates. Of a memory-mapped file 64 MB are in memory at a time, and of a Parquet file, which comes as
        `inntd.training.batches.FileBatches`. A callable returns an iterable of ``(x, y)`` or ``(x, y, weights)``, the
        same rows for each epoch.
    y : array (K,) or (K, C), or None for a callable and for `FileBatches`
        Values. C outputs become one more, discrete axis ``"output"`` of the model.
    rank : int
        Number of modes M; the mean of `y` is one more.
    weights : array (K,), optional
        Non-negative weights of the samples.
    epochs : int, default 100
        Passes over the samples.
    batch : int, default 1024
        Samples per step, made of whole blocks of at most 512.
    rate : float, default 1.5e-2
        Step size at the start, for values of standard deviation one.
    schedule : {"squared-cosine", "cosine", "constant"}, default "squared-cosine"
        How the rate falls to zero, if at all.
    smoothing : float or None, default 0.8
        Adam moves the coefficients of each axis' orthonormal functions from smooth to rough, whose steps are smaller
        by their frequency to this power; None: the nodal values themselves, as in the paper (so do discrete axes and
        those of more than 160 nodes anyway).
    betas : (float, float), default (0.9, 0.95)
        How much of the averages of gradients and of their squares stays from step to step.
    weight_decay : float, default 0
        Decoupled weight decay (AdamW).
    validation_fraction : float, default 0
        Share of the samples that is held out. The best model is then the one with the least loss there.
    patience : int, optional
        Stop after so many epochs without a better loss.
    max_seconds : float, optional
        Stop after the epoch in which this time is over.
    dtype : {"float32", "float64"}, default "float32"
        Of the training; the model is float64.
    start : CPModel, optional
        Begin with these factors, for standardised values, in place of random ones.
    checkpoint_path : path, optional
        File for checkpoints, written at the first end of an epoch after every `checkpoint_seconds`, and at the end.
    resume : bool, default False
        Go on from the checkpoint, if there is one: the run ends with the factors of an uninterrupted one.
    seed : int, default 0
        Of the start, the blocks, their order, and the samples held out.
    callback : callable, optional
        Takes the entry of the history after each epoch: ``step`` (epoch), ``loss``, ``validation_loss``, ``rate``,
        ``seconds``. KeyboardInterrupt, from it or the keyboard, ends the training and keeps the best model.

    Returns
    -------
    FitResult
        A rate that makes the loss diverge is halved and the run goes on from the best model; the message says so.

    Raises
    ------
    ValueError, TypeError
        When an argument is none of these, or the checkpoint belongs to another run.

    References
    ----------
    Guo et al., ICML 2025, arXiv 2503.02041, Algorithm 2; Loshchilov & Hutter, "Decoupled weight decay
    regularization", ICLR 2019.

    Examples
    --------
    >>> import numpy as np, inntd as it
    >>> from inntd.training.gradient import fit_adam
    >>> x = np.random.default_rng(0).random((2000, 2))
    >>> axes = [it.Axis("a", 0, 1, elements=6), it.Axis("b", 0, 1, elements=6)]
    >>> found = fit_adam(axes, x, x[:, 0] * x[:, 1], rank=2, epochs=60, batch=128)
    >>> found.history[-1]["loss"] < 1e-5
    True
    """
    began = time.perf_counter()
    epochs, batch = _checks.positive_int("epochs", epochs), _checks.positive_int("batch", batch)
    rank, seed = _checks.positive_int("rank", rank), _checks.positive_int("seed", seed, minimum=0)
    rate = _checks.finite_float("rate", rate, positive=True)
    _checks.one_of("schedule", schedule, tuple(POWERS))
    smoothing = None if smoothing is None else _checks.finite_float("smoothing", smoothing)
    if len(betas) != 2 or not all(0 <= beta < 1 for beta in betas):
        raise ValueError(f"betas must be two numbers of at least 0 and below 1, got {betas}")
    weight_decay = arguments.non_negative("weight_decay", weight_decay)
    validation_fraction = arguments.fraction("validation_fraction", validation_fraction)
    checkpoint_seconds = arguments.non_negative("checkpoint_seconds", checkpoint_seconds)
    patience = None if patience is None else _checks.positive_int("patience", patience)
    max_seconds, callback = arguments.seconds(max_seconds), arguments.function("callback", callback)
    path = arguments.checkpoint(checkpoint_path, resume=resume)
    source = make_source(axes, x, y, weights, validation_fraction, np.random.default_rng([seed, 1]))
    native = _native(source, axes, rank, dtype, seed, smoothing)
    first = arguments.start(start, axes, rank, native.outputs)
    if first is not None:
        native.put([factor.detach() for factor in first.factors])
    settings = {"rank": rank, "epochs": epochs, "batch": batch, "rate": rate, "schedule": schedule, "seed": seed,
                "smoothing": smoothing, "betas": list(betas),
                "weight_decay": weight_decay, "validation_fraction": validation_fraction, "dtype": dtype,
                "axes": [repr(axis) for axis in axes]}  # fmt: skip
    loop = _Loop(native, source, settings, callback, began)
    if resume and path is not None and path.exists():
        loop.run = _Run(**checkpoint.read(path, native, settings))
    return loop.go(patience, max_seconds, path, checkpoint_seconds)


def _native(
    source: Source, axes: Sequence[Axis], rank: int, dtype: str, seed: int, smoothing: float | None
) -> NativeModel:
    """Return the core's model at its random start, with the standardisation that the first chunk asks for."""
    first = next(iter(source.chunks(np.random.default_rng([seed, 2]))))
    centre, scale = centre_and_scale(first.y, first.weights)
    outputs = None if source.one_target else first.y.shape[1]
    native = NativeModel(axes, rank, outputs, dtype_of(dtype), centre, scale, smoothing)
    native.start(seed)
    return native


class _Loop:
    """Epochs of one run."""

    def __init__(
        self, native: NativeModel, source: Source, settings: dict[str, Any], callback: Callback | None, began: float
    ) -> None:
        self.native, self.source, self.settings, self.callback, self.began = native, source, settings, callback, began
        self.run = _Run(rate=settings["rate"], best=native.take())
        self.betas = (float(settings["betas"][0]), float(settings["betas"][1]))
        self.held = source.validation()
        self.loaded = False

    def go(
        self, patience: int | None, max_seconds: float | None, path: Path | None, every: float
    ) -> FitResult:  # fmt: skip
        status: FitStatus = "max_epochs"
        message = f"ran all {self.settings['epochs']} epochs: more may lower the loss"
        saved = time.perf_counter()
        try:
            while self.run.epoch < self.settings["epochs"]:
                loss = self._epoch()
                if not self._accept(loss):
                    status, message = (
                        "diverged",
                        "the loss diverged at every rate tried: standardise the data, or lower rate",
                    )
                    break
                if path is not None and time.perf_counter() - saved > every:
                    self._save(path)
                    saved = time.perf_counter()
                if patience is not None and self.run.waited >= patience:
                    status, message = "converged", f"no better loss for {patience} epochs"
                    break
                if max_seconds is not None and any_of(time.perf_counter() - self.began > max_seconds):
                    message = f"stopped after {max_seconds:g} s: allow more with max_seconds"
                    break
        except KeyboardInterrupt:
            status, message = "interrupted", "interrupted: the best model so far was kept"
        if path is not None and status != "interrupted":
            self._save(path)
        if self.run.halvings:
            message += f"; the loss diverged at first, and rate was halved {self.run.halvings} times"
        choices = {**self.settings, "final_rate": self.run.rate}
        return FitResult(self.native.model(self.run.best), status, message, self.run.history,
                         time.perf_counter() - self.began, choices)  # fmt: skip

    # ---- one epoch -----------------------------------------------------------------------------------------------

    def _epoch(self) -> float:
        """Return the mean loss over the epoch's steps, in the units of the data."""
        run, core = self.run, self.native.core
        random = np.random.default_rng([self.settings["seed"], 3, run.epoch])
        total, count = 0.0, 0
        for number, chunk in enumerate(self.source.chunks(random)):
            if not (self.source.fixed and self.loaded):
                self._load(chunk, number)
            total += self._steps(random.permutation(core.blocks).astype(np.int32))
            count += len(chunk.x)
            if not math.isfinite(total):
                break
        return total / count * self.native.scale**2

    def _load(self, chunk: Chunk, number: int) -> None:
        """Sort a chunk into blocks. Which points share a block depends on the seed and the chunk's number only."""
        chosen = np.random.default_rng([self.settings["seed"], 4, number]).permutation(len(chunk.x))
        block = min(BLOCK, self.settings["batch"], len(chunk.x))
        weights = None if chunk.weights is None else np.ascontiguousarray(chunk.weights)
        self.native.core.set_data(
            np.ascontiguousarray(chunk.x), np.ascontiguousarray(self.native.standardised(chunk.y)), weights,
            chosen.astype(np.int64), block,
        )  # fmt: skip
        self.loaded = True

    def _steps(self, order: npt.NDArray[np.int32]) -> float:
        """Run all blocks in this order, a slice of time after the other."""
        run, core = self.run, self.native.core
        together = max(1, self.settings["batch"] // core.block)
        if processes() > 1:
            return self._shared_steps(order, together)
        begin, at_once, total = 0, together, 0.0
        while begin < len(order) and math.isfinite(total):
            part = order[begin : begin + at_once]
            steps = -(-len(part) // together)
            rates = np.array([self._rate(run.step + i) for i in range(steps)])
            clock = time.perf_counter()
            total += core.run(
                part, together, rates, run.step, *self.betas, decay=self.settings["weight_decay"],
                threads=_kernels.threads(),
            )  # fmt: skip
            seconds = max(time.perf_counter() - clock, 1e-6)
            run.step, begin = run.step + steps, begin + at_once
            at_once = together * max(1, min(4 * steps, int(SLICE / seconds * steps)))
        return total

    def _shared_steps(self, order: npt.NDArray[np.int32], together: int) -> float:
        """Run all blocks, those of each step shared among the processes of torch.distributed."""
        total = 0.0
        for begin in range(0, len(order), together):
            step = order[begin : begin + together]
            total += shared_step(
                self.native, step, self._rate(self.run.step), self.run.step, self.betas, self.settings["weight_decay"]
            )
            self.run.step += 1
            if not math.isfinite(total):
                break
        return total

    def _rate(self, step: int) -> float:
        share = min(1.0, step * self.settings["batch"] / (self.source.size * self.settings["epochs"]))
        return self.run.rate * (0.5 * (1.0 + math.cos(math.pi * share))) ** POWERS[self.settings["schedule"]]

    # ---- between epochs ------------------------------------------------------------------------------------------

    def _accept(self, loss: float) -> bool:
        """Note the epoch's loss and keep the best; go back and halve the rate where it diverged. False: gave up."""
        run = self.run
        judged = self._validation_loss() if self.held is not None and math.isfinite(loss) else loss
        if not judged <= WORSE * self.native.scale**2:  # NaN too; a constant has a loss of scale^2
            run.halvings += 1
            run.rate /= 2
            self.native.put(run.best)
            self.native.rest()
            return run.halvings <= MOST_HALVINGS
        run.epoch += 1
        run.waited += 1
        if judged < run.best_loss:
            run.best_loss, run.best, run.waited = judged, self.native.take(), 0
        entry: dict[str, Any] = {"step": run.epoch, "loss": loss, "rate": self._rate(run.step)}
        if self.held is not None:
            entry["validation_loss"] = judged
        entry["seconds"] = time.perf_counter() - self.began
        run.history.append(entry)
        if self.callback is not None:
            self.callback(entry)
        return True

    def _validation_loss(self) -> float:
        assert self.held is not None
        found = evaluate(self.native.model(), self.held.x, self.native.outputs, "clamp").reshape(self.held.y.shape)
        return float(np.average(((found - self.held.y) ** 2).mean(1), weights=self.held.weights))

    def _save(self, path: Path) -> None:
        run = self.run
        told = {
            name: getattr(run, name) for name in ("epoch", "step", "rate", "halvings", "waited", "best_loss", "history")
        }
        checkpoint.write(path, self.native, run.best, told, self.settings)
