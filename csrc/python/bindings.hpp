// One registering function per concept; core_module.cpp calls them.
#pragma once

#include <pybind11/pybind11.h>

namespace inntd::python {

namespace py = pybind11;

void bind_basis(py::module_& module);
void bind_contract(py::module_& module);
void bind_banded(py::module_& module);
void bind_alternating(py::module_& module);
void bind_training(py::module_& module);
void bind_normal(py::module_& module);

}  // namespace inntd::python
