"""Steps of Adam shared among processes: each computes the gradient of its blocks, all make the same step.

The numbers are computed on the CPU; gloo adds them up there, nccl on the GPUs, where these connect the machines.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import torch
import torch.distributed as dist

from inntd import _kernels
from inntd.training.native import NativeModel


def processes() -> int:
    """Return how many processes train together: one unless `torch.distributed` was initialised."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def backend() -> str:
    """Return "nccl" where every process of this machine has a GPU of its own, else "gloo"."""
    local = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    return "nccl" if dist.is_nccl_available() and torch.cuda.device_count() >= local else "gloo"


def reduced(numbers: torch.Tensor, operation: dist.ReduceOp.RedOpType) -> torch.Tensor:
    """Return the sum or the maximum over all processes; nccl takes numbers on a GPU only, so they go there and back."""
    if dist.get_backend() == "nccl":
        shared = numbers.to(torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0"))))
        dist.all_reduce(shared, op=operation)
        return shared.to(numbers.device)
    dist.all_reduce(numbers, op=operation)
    return numbers


@contextlib.contextmanager
def together() -> Iterator[bool]:
    """Join the processes that `torchrun` started, if it did; yields whether this is the first of them.

    Examples
    --------
    >>> with together() as first:
    ...     print(first)
    True
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield True
        return
    dist.init_process_group(backend())
    try:
        yield dist.get_rank() == 0
    finally:
        dist.destroy_process_group()


def any_of(condition: bool) -> bool:
    """Return whether the condition holds in any process: decisions by the clock must be the same in all."""
    if processes() == 1:
        return condition
    return bool(reduced(torch.tensor(float(condition)), dist.ReduceOp.MAX))


def shared_step(
    native: NativeModel, blocks: npt.NDArray[np.int32], rate: float, done: int, betas: tuple[float, float], decay: float
) -> float:
    """Make one step with a batch of blocks, of which every process takes its share.

    Parameters
    ----------
    native : NativeModel
        With the same data and numbers in all processes.
    blocks : array of int32
        The blocks of the batch.
    rate, done, betas, decay :
        Step size, number of steps before, Adam's two shares of the averages, weight decay.

    Returns
    -------
    float
        The sum of the samples' losses over the batch, the same in all processes.
    """
    core = native.core
    batch = core.block * len(blocks)
    if core.blocks - 1 in blocks:  # the last block may hold fewer samples
        batch = core.block * (len(blocks) - 1) + core.count - core.block * (core.blocks - 1)
    share = np.ascontiguousarray(blocks[dist.get_rank() :: dist.get_world_size()])
    loss = core.partial_gradient(share, batch, _kernels.threads())
    parts = native.take("gradient")
    flat = torch.cat([part.reshape(-1).double() for part in parts] + [torch.tensor([loss], dtype=torch.float64)])
    flat = reduced(flat, dist.ReduceOp.SUM)
    gradients = torch.split(flat[:-1], [part.numel() for part in parts])
    total = float(flat[-1])
    if np.isfinite(total):
        native.put([g.reshape(part.shape) for g, part in zip(gradients, parts, strict=True)], "gradient")
        core.apply(rate, done, *betas, decay=decay)
    return total
