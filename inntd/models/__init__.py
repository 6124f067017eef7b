"""Many coordinates: separated models, what is computed from them, and their files."""

from inntd.models import kinds, reduced_files  # noqa: F401 (they tell files how classes are written and read)
from inntd.models.cp import CPModel
from inntd.models.field import Field
from inntd.models.files import load, save
from inntd.models.separated import SeparatedModel
from inntd.models.slabs import SlabModel
from inntd.models.tucker import TuckerModel

__all__ = ["CPModel", "Field", "SeparatedModel", "SlabModel", "TuckerModel", "load", "save"]
