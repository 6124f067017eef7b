"""CP and Tucker models are fields: the conformance suite over both forms, all kinds of axes, fixed and trainable."""

from __future__ import annotations

from copy import deepcopy

import numpy as np
import pytest
import torch
from conformance_models import AXES, FORMS, Array, Dense, FieldConformance, Model, dense_form


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("case", AXES)
class TestFixedModels(FieldConformance):
    """Models as they come from a solver, evaluated by the core."""

    @pytest.fixture
    def field(self, form: str, case: str) -> Model:
        return FORMS[form](AXES[case]())

    @pytest.fixture
    def dense(self, field: Model) -> Dense:
        return dense_form(field)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("case", AXES)
class TestTrainableModels(FieldConformance):
    """Models as they are trained, evaluated by torch, with a graph."""

    @pytest.fixture
    def field(self, form: str, case: str) -> Model:
        return FORMS[form](AXES[case]()).requires_grad_()

    @pytest.fixture
    def dense(self, field: Model) -> Dense:
        return dense_form(field)

    def close(self, found: object, expected: object) -> None:
        super().close(*(x.detach() if isinstance(x, torch.Tensor) else x for x in (found, expected)))

    def test_jet(self, field: Model, dense: Dense, points: Array) -> None:
        expected = deepcopy(field).requires_grad_(False).jet(points)
        for found, other in zip(field.jet(points), expected, strict=True):
            assert found.requires_grad
            np.testing.assert_allclose(found.detach(), other, rtol=1e-9, atol=1e-9 * float(other.abs().max()))


@pytest.mark.parametrize("form", FORMS)
class TestFloat32(FieldConformance):
    """Models of single precision."""

    rtol = 3e-6

    @pytest.fixture
    def field(self, form: str) -> Model:
        return FORMS[form](AXES["graded and periodic"]()).to(torch.float32)

    @pytest.fixture
    def dense(self, field: Model) -> Dense:
        return dense_form(field)

    def test_points_of_wrong_shape_or_type_are_refused(self, field: Model, points: Array) -> None:
        with pytest.raises(TypeError, match=r"dtype torch\.float32, got torch\.float64"):
            field(torch.tensor(points))

    def test_everything_made_from_it_is_single_too(self, field: Model) -> None:
        made = [field + field, field * 2.0, field.at(t=0.1), field.mean("t"), field.round(rank=2)]
        assert {model.dtype for model in made} == {torch.float32}
        assert field(np.full((1, 3), 0.25)).dtype == torch.float32
