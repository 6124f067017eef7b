"""Ask back: the parameters that explain observations, what the data determine, and where to measure."""

from inntd.calibration.calibrate import calibrate
from inntd.calibration.functionals import Integral, Mean, PointSum, line
from inntd.calibration.identifiability import Identifiability
from inntd.calibration.observations import Observations
from inntd.calibration.placement import Placement, place_sensors
from inntd.calibration.predictions import Prediction
from inntd.calibration.result import Calibration, Residuals
from inntd.calibration.sampling import Samples

__all__ = [
    "Calibration",
    "Identifiability",
    "Integral",
    "Mean",
    "Observations",
    "Placement",
    "PointSum",
    "Prediction",
    "Residuals",
    "Samples",
    "calibrate",
    "line",
    "place_sensors",
]
