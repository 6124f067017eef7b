"""What people do with an answer: a summary of the run, pictures of factors and slices."""

from inntd.results.convergence import plot_convergence, plot_nodes
from inntd.results.plot import plot_factors, plot_slice, save_pictures
from inntd.results.report import error_against_exact, parameter_count, readable, summarise, table

__all__ = [
    "error_against_exact",
    "parameter_count",
    "plot_convergence",
    "plot_factors",
    "plot_nodes",
    "plot_slice",
    "readable",
    "save_pictures",
    "summarise",
    "table",
]
