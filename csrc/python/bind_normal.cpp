// Normal equations of alternating least squares, for Python.
#include <pybind11/stl.h>

#include <stdexcept>
#include <vector>

#include "bindings.hpp"
#include "inntd/normal_equations.hpp"
#include "tensor.hpp"

namespace inntd::python {
namespace {

void require(bool condition, const char* message) {
  if (!condition) throw std::invalid_argument(message);
}

using Doubles = Tensor<const double>;

Samples samples_of(const std::vector<Doubles>& functions, const std::vector<Tensor<const std::int32_t>>& place,
                   const std::vector<Doubles>& local, const Doubles& y, const Doubles& weights, const Doubles& factor) {
  require(!functions.empty() && functions.size() == place.size() && place.size() == local.size(),
          "functions, place and local must be lists of equal length");
  require(y.ndim == 2 && weights.ndim == 1 && weights.shape[0] == y.shape[0], "y (K, C) and weights (K,) must agree");
  require(factor.ndim == 2 && factor.shape[0] == y.shape[1], "outputs must have shape (C, modes)");
  Samples samples{{}, factor.shape[1], y.data, weights.data, y.shape[1], factor.data};
  for (std::size_t d = 0; d < functions.size(); ++d) {
    const auto& values = functions[d];
    require(values.ndim == 3 && values.shape[2] == samples.modes, "functions must have shape (groups, terms, modes)");
    require(place[d].ndim == 1 && place[d].shape[0] == y.shape[0], "place must have shape (K,)");
    require(values.shape[1] == 1 || (local[d].ndim == 1 && local[d].shape[0] == y.shape[0]),
            "local must have shape (K,) where there is more than one term");
    samples.axes.push_back({values.data, values.shape[0], values.shape[1], place[d].data, local[d].data});
  }
  return samples;
}

double write_normal_equations(const std::vector<Doubles>& functions,
                              const std::vector<Tensor<const std::int32_t>>& place, const std::vector<Doubles>& local,
                              Doubles y, Doubles weights, Doubles outputs, std::int64_t axis,
                              Tensor<const std::int64_t> order, Tensor<const std::int64_t> bounds,
                              Tensor<double> moments, Tensor<double> slopes, int threads) {
  const Samples samples = samples_of(functions, place, local, y, weights, outputs);
  require(axis >= 0 && axis < static_cast<std::int64_t>(samples.axes.size()), "axis must be one of the axes");
  const SampledFactor& own = samples.axes[axis];
  require(order.size() == y.shape[0] && bounds.size() == own.groups + 1, "order (K,) and bounds (groups + 1,)");
  require(moments.ndim == 4 && moments.shape[0] == own.groups && moments.shape[1] >= own.terms &&
              moments.shape[2] == samples.modes && moments.shape[3] == samples.modes,
          "moments must have shape (groups, sums, modes, modes) with sums >= terms");
  require(slopes.size() == own.groups * own.terms * samples.modes, "slopes must have shape (groups, terms, modes)");
  py::gil_scoped_release release;
  return normal_equations(samples, axis, order.data, bounds.data, moments.shape[1], moments.data, slopes.data, threads);
}

void write_products(const std::vector<Doubles>& functions, const std::vector<Tensor<const std::int32_t>>& place,
                    const std::vector<Doubles>& local, Doubles y, Doubles weights, Doubles outputs, std::int64_t begin,
                    Tensor<double> out, int threads) {
  const Samples samples = samples_of(functions, place, local, y, weights, outputs);
  require(out.ndim == 2 && out.shape[1] == samples.modes && begin >= 0 && begin + out.shape[0] <= y.shape[0],
          "out must have shape (count, modes)");
  py::gil_scoped_release release;
  sample_products(samples, begin, out.shape[0], out.data, threads);
}

}  // namespace

void bind_normal(py::module_& module) {
  module.def("normal_equations", &write_normal_equations, py::arg("functions"), py::arg("place"), py::arg("local"),
             py::arg("y"), py::arg("weights"), py::arg("outputs"), py::arg("axis"), py::arg("order"), py::arg("bounds"),
             py::arg("moments"), py::arg("slopes"), py::arg("threads") = 1,
             "Write the moments and slopes of one axis' groups of samples; return the sum of weighted squares.");
  module.def("sample_products", &write_products, py::arg("functions"), py::arg("place"), py::arg("local"), py::arg("y"),
             py::arg("weights"), py::arg("outputs"), py::arg("begin"), py::arg("out"), py::arg("threads") = 1,
             "Write the products (count, modes) of the modes' values along all axes at consecutive samples.");
}

}  // namespace inntd::python
