"""What people do with an answer: pictures of its factors and of slices through it."""

from inntd.results.plot import plot_factors, plot_slice, save_pictures

__all__ = ["plot_factors", "plot_slice", "save_pictures"]
