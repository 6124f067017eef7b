"""Many coordinates: separated models, what is computed from them, and their files."""

from inntd.models.cp import CPModel
from inntd.models.field import Field
from inntd.models.files import load, save

__all__ = ["CPModel", "Field", "load", "save"]
