#include "bindings.hpp"
#include "inntd/kernels.hpp"
#include "tensor.hpp"

namespace inntd::python {

void bind_alternating(py::module_& module) { (void)module; }

}  // namespace inntd::python
