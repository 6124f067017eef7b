"""The PINN mode: strong forms, nonlinear terms included, solved by least squares of their residual."""

from inntd.pinn.mlp import MLP
from inntd.pinn.solve import solve
from inntd.pinn.train import train

__all__ = ["MLP", "solve", "train"]
