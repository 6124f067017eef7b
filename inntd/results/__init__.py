"""What people do with an answer: a summary of the run, statistics, and pictures.

`plot_factors`, `plot_slice` and `save_pictures` make the figures that the command line writes. The other functions take
matplotlib axes, `ax`, or make a figure of their own, and return the axes that they drew on.
"""

from inntd.results import statistics
from inntd.results.adaptivity import plot_adaptivity, plot_nodes
from inntd.results.bars import plot_axis_errors, plot_sobol
from inntd.results.convergence import plot_convergence
from inntd.results.modes import plot_amplitudes, plot_modes
from inntd.results.parity import plot_parity
from inntd.results.plot import plot_factors, plot_slice, save_pictures
from inntd.results.refinement import plot_refinement, refinement_indicators
from inntd.results.report import error_against_exact, parameter_count, readable, summarise, table
from inntd.results.residuals import plot_residuals
from inntd.results.slices import plot_field

__all__ = [
    "error_against_exact",
    "parameter_count",
    "plot_adaptivity",
    "plot_amplitudes",
    "plot_axis_errors",
    "plot_convergence",
    "plot_factors",
    "plot_field",
    "plot_modes",
    "plot_nodes",
    "plot_parity",
    "plot_refinement",
    "plot_residuals",
    "plot_slice",
    "plot_sobol",
    "readable",
    "refinement_indicators",
    "save_pictures",
    "statistics",
    "summarise",
    "table",
]
