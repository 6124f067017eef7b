#include "bindings.hpp"
#include "inntd/kernels.hpp"
#include "tensor.hpp"

namespace inntd::python {

void bind_banded(py::module_& module) { (void)module; }

}  // namespace inntd::python
