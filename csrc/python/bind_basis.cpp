#include <pybind11/numpy.h>

#include <string>
#include <utility>

#include "basis_table.hpp"
#include "bindings.hpp"
#include "inntd/assembly.hpp"
#include "inntd/kernels.hpp"
#include "inntd/stencil.hpp"
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

PatchKernel kernel_named(const std::string& name) {
  if (name == "lagrange") return PatchKernel::lagrange;
  if (name == "cubic") return PatchKernel::cubic;
  if (name == "gaussian") return PatchKernel::gaussian;
  throw py::value_error("kernel must be 'lagrange', 'cubic' or 'gaussian', got '" + name + "'");
}

OwnedBasisTable own(Stencil&& stencil) {
  OwnedBasisTable table;
  table.breaks = std::move(stencil.breaks);
  table.kind = std::move(stencil.kind);
  table.first = std::move(stencil.first);
  table.coefficients64 = std::move(stencil.coefficients);
  table.coefficients32.assign(table.coefficients64.begin(), table.coefficients64.end());
  table.size = stencil.size;
  table.width = stencil.width;
  table.degree = stencil.degree;
  table.uniform = stencil.uniform;
  table.periodic = stencil.periodic;
  return table;
}

py::tuple make_stencil(Tensor<const double> nodes, Tensor<const std::int32_t> s, Tensor<const std::int32_t> p,
                       Tensor<const double> a, const std::string& kernel, bool shifted, bool periodic,
                       Tensor<const std::int64_t> breaks) {
  const StencilMesh mesh{nodes.data, nodes.size() - 1, periodic, breaks.data, breaks.size()};
  const StencilPatches patches{s.data, p.data, a.data, kernel_named(kernel), shifted};
  const std::int64_t size = periodic ? mesh.elements : mesh.elements + 1;
  if (mesh.elements < 1 || s.size() != size || p.size() != size || a.size() != size) {
    throw py::value_error("s, p and a must have one entry per basis function");
  }
  Stencil stencil;
  {
    py::gil_scoped_release release;
    stencil = build_stencil(mesh, patches);
  }
  const double condition = stencil.worst_condition, lost = stencil.lost;
  const std::int64_t node = stencil.worst_node;
  return py::make_tuple(own(std::move(stencil)), condition, node, lost);
}

void write_matrix(const OwnedBasisTable& table, int trial, int test, Tensor<double> band) {
  py::gil_scoped_release release;
  assemble_matrix(table.view<double>(), trial, test, band.data);
}

QuadratureCells cells_of(Tensor<const std::int64_t> piece, Tensor<const double> xi) {
  const bool shared = xi.ndim == 1;
  return {piece.data, xi.data, piece.shape[0], static_cast<int>(xi.shape[shared ? 0 : 1]), shared};
}

void write_weighted_matrix(const OwnedBasisTable& table, Tensor<const std::int64_t> piece, Tensor<const double> xi,
                           Tensor<const double> weight, int trial, int test, Tensor<double> band) {
  py::gil_scoped_release release;
  add_weighted_matrix(table.view<double>(), cells_of(piece, xi), weight.data, trial, test, band.data);
}

void write_load(const OwnedBasisTable& table, Tensor<const std::int64_t> piece, Tensor<const double> xi,
                Tensor<const double> values, int test, Tensor<double> out) {
  py::gil_scoped_release release;
  add_load(table.view<double>(), cells_of(piece, xi), values.data, static_cast<int>(values.shape[2]), test, out.data);
}

py::tuple make_gauss_rule(int count) {
  std::vector<long double> points(static_cast<std::size_t>(count)), weights(points);
  gauss_rule(count, points.data(), weights.data());
  py::array_t<double> x(count), w(count);
  std::copy(points.begin(), points.end(), x.mutable_data());
  std::copy(weights.begin(), weights.end(), w.mutable_data());
  return py::make_tuple(x, w);
}

template <class T>
py::array_t<T> copy(const std::vector<T>& values) {
  return py::array_t<T>(static_cast<py::ssize_t>(values.size()), values.data());
}

py::array_t<double> copy_coefficients(const OwnedBasisTable& table) {
  const py::ssize_t block = (table.degree + 1) * table.width;
  const py::ssize_t kinds = static_cast<py::ssize_t>(table.coefficients64.size()) / block;
  return py::array_t<double>({kinds, py::ssize_t{table.degree + 1}, py::ssize_t{table.width}},
                             table.coefficients64.data());
}

void bind_assembly(py::module_& module) {
  module.def("build_stencil", &make_stencil,
             "Return the table of an axis' patch basis, and the largest condition number of its moment matrices with "
             "the node where it was met and the relative error that it may cause. nodes (n + 1,); s, p (int32), a: one "
             "per function; breaks: node indices.",
             py::arg("nodes"), py::arg("s"), py::arg("p"), py::arg("a"), py::arg("kernel"), py::arg("shifted"),
             py::arg("periodic"), py::arg("breaks"));
  module.def("assemble_matrix", &write_matrix,
             "Write the integrals of N_i^(test) N_j^(trial) into band (size, 2 width - 1).", py::arg("table"),
             py::arg("trial"), py::arg("test"), py::arg("band"));
  module.def(
      "add_weighted_matrix", &write_weighted_matrix,
      "Add sums over points xi (cells, q) or (q,) of piece (cells,) of weight (cells, q) N_i^(test) N_j^(trial).",
      py::arg("table"), py::arg("piece"), py::arg("xi"), py::arg("weight"), py::arg("trial"), py::arg("test"),
      py::arg("band"));
  module.def("add_load", &write_load, "Add sums over points of values (cells, q, r) N_i^(test) to out (size, r).",
             py::arg("table"), py::arg("piece"), py::arg("xi"), py::arg("values"), py::arg("test"), py::arg("out"));
  module.def("gauss_rule", &make_gauss_rule, "Gauss-Legendre points and weights on [-1, 1].", py::arg("count"));
}

}  // namespace

void bind_basis(py::module_& module) {
  bind_assembly(module);
  py::class_<OwnedBasisTable>(module, "BasisTable", "One axis' basis: polynomials on pieces, of a few shapes.")
      .def(py::init(&make_table), py::arg("breaks"), py::arg("kind"), py::arg("first"), py::arg("coefficients"),
           py::arg("size"), py::arg("uniform"), py::arg("periodic"))
      .def_readonly("size", &OwnedBasisTable::size)
      .def_readonly("width", &OwnedBasisTable::width)
      .def_readonly("degree", &OwnedBasisTable::degree)
      .def_readonly("uniform", &OwnedBasisTable::uniform)
      .def_readonly("periodic", &OwnedBasisTable::periodic)
      .def_property_readonly("pieces", [](const OwnedBasisTable& table) { return table.first.size(); })
      .def_property_readonly("breaks", [](const OwnedBasisTable& table) { return copy(table.breaks); })
      .def_property_readonly("kind", [](const OwnedBasisTable& table) { return copy(table.kind); })
      .def_property_readonly("first", [](const OwnedBasisTable& table) { return copy(table.first); })
      .def_property_readonly("coefficients", &copy_coefficients);
  const char* doc = "Write each point's piece (K,) and the order-th derivatives (K, width) of its basis functions.";
  module.def("tabulate", &tabulate_points<double>, doc, py::arg("table"), py::arg("points"), py::arg("piece"),
             py::arg("out"), py::arg("order") = 0);
  module.def("tabulate", &tabulate_points<float>, doc, py::arg("table"), py::arg("points"), py::arg("piece"),
             py::arg("out"), py::arg("order") = 0);
}

}  // namespace inntd::python
