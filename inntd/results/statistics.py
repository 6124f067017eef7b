"""Statistics of fields over random axes, exact from the factors where a field has them; `it.statistics`.

Every function takes a field, the random axes (all by default), and a density for each of them (uniform by default).
Where axes are left, the result is a function of these: a model where it is one, else a `Statistic`.

Examples
--------
>>> import inntd as it
>>> x, k = it.Axis("x", 0, 1, elements=8), it.Axis("k", 1, 3, elements=8, kind="parameter")
>>> u = it.CPModel.from_factors([x, k], [x.nodes[:, None], k.nodes[:, None]])  # x k
>>> it.statistics.mean(u, "k").axes == (x,)
True
>>> round(it.statistics.variance(u, "k").at(x=1.0), 12)
0.333333333333
"""

from inntd.results.covariances import correlation, covariance, covariance_error
from inntd.results.distribution import Histogram, Quantiles, histogram, quantiles
from inntd.results.moments import conditional_mean, mean, skewness, standard_deviation, variance
from inntd.results.sobol import SobolIndices, interaction, sobol_indices
from inntd.results.statistic import Estimate, Statistic

__all__ = [
    "Estimate",
    "Histogram",
    "Quantiles",
    "SobolIndices",
    "Statistic",
    "conditional_mean",
    "correlation",
    "covariance",
    "covariance_error",
    "histogram",
    "interaction",
    "mean",
    "quantiles",
    "skewness",
    "sobol_indices",
    "standard_deviation",
    "variance",
]
