"""The PINN mode: strong forms, nonlinear terms included, solved by least squares of their residual."""

from inntd.pinn.solve import solve

__all__ = ["solve"]
