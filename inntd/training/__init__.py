"""Training on data: the values of a model's factors from samples of a function."""

from inntd.training.automatic import fit_automatic
from inntd.training.levenberg_marquardt import fit_levenberg_marquardt
from inntd.training.outcome import FitResult

__all__ = ["FitResult", "fit_automatic", "fit_levenberg_marquardt"]
