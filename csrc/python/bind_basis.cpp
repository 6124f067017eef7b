#include "basis_table.hpp"
#include "bindings.hpp"
#include "inntd/kernels.hpp"
#include "tensor.hpp"

namespace inntd::python {
namespace {

OwnedBasisTable make_table(Tensor<const double> breaks, Tensor<const std::int32_t> kind,
                           Tensor<const std::int64_t> first, Tensor<const double> coefficients, std::int64_t size,
                           bool uniform, bool periodic) {
  OwnedBasisTable table;
  table.breaks.assign(breaks.data, breaks.data + breaks.size());
  table.kind.assign(kind.data, kind.data + kind.size());
  table.first.assign(first.data, first.data + first.size());
  table.coefficients64.assign(coefficients.data, coefficients.data + coefficients.size());
  table.coefficients32.assign(table.coefficients64.begin(), table.coefficients64.end());
  table.size = size;
  table.degree = static_cast<int>(coefficients.shape[1]) - 1;
  table.width = static_cast<int>(coefficients.shape[2]);
  table.uniform = uniform;
  table.periodic = periodic;
  return table;
}

template <class T>
void tabulate_points(const OwnedBasisTable& owned, Tensor<const T> x, Tensor<std::int64_t> piece, Tensor<T> out,
                     int order) {
  py::gil_scoped_release release;
  const BasisTable<T> table = owned.view<T>();
  const BasisKernels<T>& kernel = kernels().of<T>().basis;
  kernel.locate(table, x.data, x.shape[0], piece.data);
  kernel.tabulate(table, x.data, piece.data, x.shape[0], order, out.data);
}

}  // namespace

void bind_basis(py::module_& module) {
  py::class_<OwnedBasisTable>(module, "BasisTable", "One axis' basis: polynomials on pieces, of a few shapes.")
      .def(py::init(&make_table), py::arg("breaks"), py::arg("kind"), py::arg("first"), py::arg("coefficients"),
           py::arg("size"), py::arg("uniform"), py::arg("periodic"))
      .def_readonly("size", &OwnedBasisTable::size)
      .def_readonly("width", &OwnedBasisTable::width)
      .def_readonly("degree", &OwnedBasisTable::degree);
  const char* doc = "Write each point's piece (K,) and the order-th derivatives (K, width) of its basis functions.";
  module.def("tabulate", &tabulate_points<double>, doc, py::arg("table"), py::arg("points"), py::arg("piece"),
             py::arg("out"), py::arg("order") = 0);
  module.def("tabulate", &tabulate_points<float>, doc, py::arg("table"), py::arg("points"), py::arg("piece"),
             py::arg("out"), py::arg("order") = 0);
}

}  // namespace inntd::python
