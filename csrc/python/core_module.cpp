#include <pybind11/stl.h>

#include "bindings.hpp"
#include "inntd/kernels.hpp"

PYBIND11_MODULE(_core, module) {
  module.doc() = "Compiled core of inntd: bases, contractions, banded solvers, the alternating solver and training.";
  module.attr("__version__") = INNTD_VERSION;
  module.def("available_isas", &inntd::available_isas, "Instruction sets that this processor can run, best last.");
  module.def("isa", [] { return inntd::kernels().name; }, "Instruction set in use.");
  module.def("select_isa", &inntd::select_isa, pybind11::arg("name"), "Choose an instruction set by name.");
  inntd::python::bind_basis(module);
  inntd::python::bind_contract(module);
  inntd::python::bind_banded(module);
  inntd::python::bind_alternating(module);
  inntd::python::bind_training(module);
  inntd::python::bind_normal(module);
}
