"""What the data determine: singular values of the sensitivities, and combinations of parameters that stay open."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

BOX_DEVIATION = 12**-0.5  # standard deviation of what is only known to lie in the unit box
NEGLIGIBLE = 1e-11  # singular values relative to the largest that are round-off
SHARE = 0.05  # of a parameter's direction that makes it part of a combination


@dataclass(frozen=True, eq=False)
class Identifiability:
    """Sensitivities of the data to the parameters, scaled by noise and by the widths of the box.

    Parameters
    ----------
    names : tuple of str
    singular_values : array (P,)
        By how many standard deviations of the noise, all data together, the field moves when parameters cross their
        box along each direction. The data determine a direction to 1/value of the box.
    directions : array (P, P)
        One row per singular value, in coordinates of the unit box.
    open : array (P,) of bool
        Directions that the data do not determine: they tell less than the box does (a uniform distribution's standard
        deviation), or nothing but round-off.
    undetermined : tuple of str
        The parameters that take part in such directions.

    Examples
    --------
    >>> found = identify(("k", "P"), np.array([[1e3, 1e3], [2e3, 2e3]]))  # only the sum is seen
    >>> found.undetermined, found.words
    (('k', 'P'), ('0.71 k - 0.71 P (each over its range) is not determined by the data',))
    """

    names: tuple[str, ...]
    singular_values: Array
    directions: Array
    open: npt.NDArray[np.bool_]
    undetermined: tuple[str, ...]

    @property
    def condition(self) -> float:
        """The ratio of the largest to the smallest singular value."""
        last = float(self.singular_values[-1])
        return float(self.singular_values[0]) / last if last > 0 else float("inf")

    @property
    def words(self) -> tuple[str, ...]:
        """One sentence for each open direction."""
        return tuple(
            f"{self._combination(row)} is not determined by the data"
            for row, lost in zip(self.directions, self.open, strict=True)
            if lost
        )

    def __str__(self) -> str:
        lines = []
        for value, row, lost in zip(self.singular_values, self.directions, self.open, strict=True):
            told = "NOT determined" if lost else f"known to {1 / value:.2g} of its range"
            lines.append(f"{self._combination(row)}: {told} (singular value {value:.3g})")
        return "\n".join(lines)

    def _combination(self, row: Array) -> str:
        parts = [(float(share), name) for share, name in zip(row, self.names, strict=True) if share**2 > SHARE**2]
        if len(parts) == 1:
            return parts[0][1]
        sign = 1.0 if parts[0][0] > 0 else -1.0
        text = " + ".join(f"{sign * share:.2g} {name}" for share, name in parts).replace("+ -", "- ")
        return f"{text} (each over its range)"


def identify(names: tuple[str, ...], jacobian: Array) -> Identifiability:
    """Return the report for the derivatives (n, P) of standardised residuals in the unit box."""
    rows = jacobian if len(jacobian) >= len(names) else np.vstack([jacobian, np.zeros((len(names), len(names)))])
    _, values, directions = np.linalg.svd(rows, full_matrices=False)
    lost = (values <= 1 / BOX_DEVIATION) | (values <= NEGLIGIBLE * values[0])
    shares = (directions[lost] ** 2).sum(axis=0)
    undetermined = tuple(name for name, share in zip(names, shares, strict=True) if share > SHARE**2)
    return Identifiability(names, values, directions, lost, undetermined)
