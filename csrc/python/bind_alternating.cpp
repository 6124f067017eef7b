#include <pybind11/numpy.h>
#include <pybind11/stl.h>

#include <chrono>
#include <memory>
#include <optional>
#include <tuple>

#include "bindings.hpp"
#include "inntd/alternating.hpp"
#include "tensor.hpp"

namespace inntd::python {
namespace {

// Basis, values and weights of a mean pencil.
using MeanTensors = std::tuple<Tensor<const double>, Tensor<const double>, Tensor<const double>>;

AxisSystem make_axis(std::vector<Tensor<const double>> matrices, bool diagonal, bool symmetric, int metric,
                     Tensor<const double> load, std::optional<Tensor<const std::int32_t>> fixed, bool frozen,
                     std::optional<MeanTensors> mean) {
  AxisSystem axis;
  axis.n = matrices.at(0).shape[0];
  axis.diagonal = diagonal;
  axis.symmetric = symmetric;
  axis.metric = metric;
  axis.half_bandwidth = diagonal ? 0 : static_cast<int>(matrices[0].shape[1] / 2);
  for (const Tensor<const double>& matrix : matrices) axis.matrices.push_back(matrix.data);
  axis.load = load.data;
  axis.loads = static_cast<int>(load.shape[1]);
  axis.frozen = frozen;
  if (fixed.has_value()) {
    axis.fixed = fixed->data;
    axis.classes = static_cast<int>(fixed->shape[1]);
  }
  if (mean.has_value()) {
    const auto& [basis, values, weights] = *mean;
    axis.mean = {basis.data, values.data, weights.data};
  }
  return axis;
}

std::vector<const double*> pointers(const std::vector<Tensor<const double>>& columns) {
  std::vector<const double*> result;
  for (const Tensor<const double>& column : columns) result.push_back(column.data);
  return result;
}

// A sweep over long axes may take seconds: Ctrl-C is looked for between axes, at most every tenth of a second.
SweepReport sweep(Alternating& solver, int begin) {
  using Clock = std::chrono::steady_clock;
  auto looked = Clock::now();
  const py::gil_scoped_release release;
  return solver.sweep(begin, [&looked] {
    if (Clock::now() - looked < std::chrono::milliseconds(100)) return;
    looked = Clock::now();
    const py::gil_scoped_acquire acquire;
    if (PyErr_CheckSignals() != 0) throw py::error_already_set();
  });
}

py::array_t<double> copy_factor(const Alternating& solver, int axis) {
  py::array_t<double> out({solver.size(axis), static_cast<std::int64_t>(solver.rank())});
  std::copy(solver.factor(axis).begin(), solver.factor(axis).end(), out.mutable_data());
  return out;
}

}  // namespace

void bind_alternating(py::module_& module) {
  py::class_<AxisSystem>(module, "AxisSystem", "One axis of a separated system; borrows its arrays.")
      .def(py::init(&make_axis), py::arg("matrices"), py::arg("diagonal"), py::arg("symmetric"), py::arg("metric"),
           py::arg("load"), py::arg("fixed") = py::none(), py::arg("frozen") = false, py::arg("mean") = py::none(),
           py::keep_alive<1, 2>(), py::keep_alive<1, 6>(), py::keep_alive<1, 7>(), py::keep_alive<1, 9>());
  py::class_<SweepReport>(module, "SweepReport", "What one sweep did.")
      .def_readonly("change", &SweepReport::change)
      .def_readonly("norm", &SweepReport::norm)
      .def_readonly("repaired", &SweepReport::repaired)
      .def_readonly("failed", &SweepReport::failed);
  py::class_<Alternating>(module, "Alternating", "Block-alternating updates of a separated Galerkin system.")
      .def(
          py::init([](std::vector<AxisSystem> axes, Tensor<const std::int32_t> terms, Tensor<const double> coefficients,
                      Tensor<const std::int32_t> load_terms, Tensor<const double> load_weights, double proximal) {
            SeparatedSystem system;
            system.axes = std::move(axes);
            system.terms.assign(terms.data, terms.data + terms.size());
            system.coefficients.assign(coefficients.data, coefficients.data + coefficients.size());
            system.load_terms.assign(load_terms.data, load_terms.data + load_terms.size());
            system.load_weights.assign(load_weights.data, load_weights.data + load_weights.size());
            system.proximal = proximal;
            return std::make_unique<Alternating>(std::move(system));
          }),
          py::arg("axes"), py::arg("terms"), py::arg("coefficients"), py::arg("load_terms"), py::arg("load_weights"),
          py::arg("proximal"), py::keep_alive<1, 2>())
      .def_property_readonly("rank", &Alternating::rank)
      .def_property_readonly("axes", &Alternating::axis_count)
      .def(
          "append",
          [](Alternating& solver, const std::vector<Tensor<const double>>& columns, const std::vector<int>& classes) {
            solver.append(pointers(columns), static_cast<int>(columns.at(0).shape[1]), classes);
          },
          py::arg("columns"), py::arg("classes") = std::vector<int>{})
      .def(
          "assign",
          [](Alternating& solver, const std::vector<Tensor<const double>>& columns, Tensor<const double> amplitudes) {
            solver.assign(pointers(columns), amplitudes.data, static_cast<int>(amplitudes.size()));
          },
          py::arg("columns"), py::arg("amplitudes"))
      .def("norm", &Alternating::norm)
      .def("sweep", &sweep, py::arg("begin") = 0)
      .def("factor", &copy_factor, py::arg("axis"))
      .def_property_readonly("amplitudes", [](const Alternating& solver) {
        return py::array_t<double>(static_cast<py::ssize_t>(solver.amplitudes().size()), solver.amplitudes().data());
      });
}

}  // namespace inntd::python
