// Evaluation of CP and Tucker models, for Python.
#include <pybind11/stl.h>

#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "basis_table.hpp"
#include "bindings.hpp"
#include "inntd/gradients.hpp"
#include "tensor.hpp"

namespace inntd::python {
namespace {

void require(bool condition, const char* message) {
  if (!condition) throw std::invalid_argument(message);
}

// Owns the arrays that a CpView points to.
template <class T>
struct Model {
  std::vector<BasisTable<T>> tables;
  std::vector<const T*> factors;
  std::int64_t modes = 0;

  Model(const std::vector<const OwnedBasisTable*>& owned, const std::vector<Tensor<const T>>& given) {
    require(!owned.empty() && owned.size() == given.size(), "tables and factors must be lists of equal length");
    modes = given[0].ndim == 2 ? given[0].shape[1] : 0;
    for (std::size_t d = 0; d < owned.size(); ++d) {
      require(owned[d] != nullptr, "tables must hold BasisTable objects, got None");
      require(given[d].ndim == 2 && given[d].shape[0] == owned[d]->size && given[d].shape[1] == modes,
              "factors must have shape (table.size, modes), with the same modes on all axes");
      tables.push_back(owned[d]->view<T>());
      factors.push_back(given[d].data);
    }
  }
  std::int64_t axes() const { return static_cast<std::int64_t>(tables.size()); }
  CpView<T> view() const { return {tables.data(), factors.data(), axes(), modes}; }
};

// Owns the arrays that a TuckerView points to. The core comes flat: it may have more axes than a Tensor.
template <class T>
struct Tucker {
  std::vector<BasisTable<T>> tables;
  std::vector<const T*> factors;
  std::vector<std::int64_t> ranks;
  const T* core;

  Tucker(const std::vector<const OwnedBasisTable*>& owned, Tensor<const T> given_core,
         const std::vector<Tensor<const T>>& given)
      : core(given_core.data) {
    require(!owned.empty() && owned.size() == given.size(), "tables and factors must be lists of equal length");
    std::int64_t size = 1;
    for (std::size_t d = 0; d < owned.size(); ++d) {
      require(owned[d] != nullptr, "tables must hold BasisTable objects, got None");
      require(given[d].ndim == 2 && given[d].shape[0] == owned[d]->size && given[d].shape[1] > 0,
              "factors must have shape (table.size, rank), with a rank of at least 1");
      tables.push_back(owned[d]->view<T>());
      factors.push_back(given[d].data);
      ranks.push_back(given[d].shape[1]);
      require(ranks.back() <= given_core.size() / size, "core must hold as many numbers as the product of the ranks");
      size *= ranks.back();
    }
    require(given_core.ndim == 1 && given_core.size() == size,
            "core must hold as many numbers as the product of the ranks");
  }
  std::int64_t axes() const { return static_cast<std::int64_t>(tables.size()); }
  TuckerView<T> view() const { return {tables.data(), factors.data(), ranks.data(), core, axes()}; }
};

template <class T>
bool has_shape(const Tensor<T>& tensor, std::int64_t rows) {
  return tensor.ndim == 1 && tensor.shape[0] == rows;
}

template <class T>
bool has_shape(const Tensor<T>& tensor, std::int64_t rows, std::int64_t columns) {
  return tensor.ndim == 2 && tensor.shape[0] == rows && tensor.shape[1] == columns;
}

template <class T>
void require_values(const Tensor<const T>& points, std::int64_t axes, const Tensor<T>& out) {
  require(points.ndim == 2 && points.shape[1] == axes, "points must have shape (K, number of axes)");
  require(has_shape(out, points.shape[0]), "out must have shape (K,)");
}

template <class T>
void require_jet(const Tensor<const T>& points, std::int64_t axes, const Tensor<T>& out, const Tensor<T>& gradient,
                 const Tensor<T>& second) {
  require_values(points, axes, out);
  require(has_shape(gradient, points.shape[0], axes), "gradient must have the shape of points");
  require(has_shape(second, points.shape[0], axes), "second must have the shape of points");
}

template <class T>
void values(const std::vector<const OwnedBasisTable*>& tables, const std::vector<Tensor<const T>>& factors,
            Tensor<const T> points, Tensor<T> out, int threads) {
  const Model<T> model(tables, factors);
  require_values(points, model.axes(), out);
  py::gil_scoped_release release;
  cp_values(model.view(), points.data, points.shape[0], out.data, threads);
}

template <class T>
void jet(const std::vector<const OwnedBasisTable*>& tables, const std::vector<Tensor<const T>>& factors,
         Tensor<const T> points, Tensor<T> out, Tensor<T> gradient, Tensor<T> second, int threads) {
  const Model<T> model(tables, factors);
  require_jet(points, model.axes(), out, gradient, second);
  py::gil_scoped_release release;
  cp_jet(model.view(), points.data, points.shape[0], out.data, gradient.data, second.data, threads);
}

template <class T>
void tucker_values_of(const std::vector<const OwnedBasisTable*>& tables, Tensor<const T> core,
                      const std::vector<Tensor<const T>>& factors, Tensor<const T> points, Tensor<T> out, int threads) {
  const Tucker<T> model(tables, core, factors);
  require_values(points, model.axes(), out);
  py::gil_scoped_release release;
  tucker_values(model.view(), points.data, points.shape[0], out.data, threads);
}

template <class T>
void tucker_jet_of(const std::vector<const OwnedBasisTable*>& tables, Tensor<const T> core,
                   const std::vector<Tensor<const T>>& factors, Tensor<const T> points, Tensor<T> out,
                   Tensor<T> gradient, Tensor<T> second, int threads) {
  const Tucker<T> model(tables, core, factors);
  require_jet(points, model.axes(), out, gradient, second);
  py::gil_scoped_release release;
  tucker_jet(model.view(), points.data, points.shape[0], out.data, gradient.data, second.data, threads);
}

template <class T>
void tucker_gradients_of(const std::vector<const OwnedBasisTable*>& tables, Tensor<const T> core,
                         const std::vector<Tensor<const T>>& factors, Tensor<const T> points, Tensor<const T> slopes,
                         Tensor<T> core_gradient, const std::vector<Tensor<T>>& factor_gradients,
                         std::optional<Tensor<T>> point_gradients, int threads) {
  const Tucker<T> model(tables, core, factors);
  require(has_shape(points, slopes.size(), model.axes()) && slopes.ndim == 1,
          "points must have shape (K, number of axes), slopes (K,)");
  require(has_shape(core_gradient, core.size()), "core_gradient must have as many numbers as core");
  require(factor_gradients.size() == factors.size(), "factors and factor_gradients must be lists of equal length");
  std::vector<T*> pointers;
  for (std::size_t d = 0; d < factors.size(); ++d) {
    require(has_shape(factor_gradients[d], factors[d].shape[0], factors[d].shape[1]),
            "factor_gradients must have the factors' shapes");
    pointers.push_back(factor_gradients[d].data);
  }
  if (point_gradients) {
    require(has_shape(*point_gradients, points.shape[0], model.axes()),
            "point_gradients must have the shape of points");
  }
  py::gil_scoped_release release;
  tucker_gradients(model.view(), points.data, points.shape[0], slopes.data, core_gradient.data, pointers.data(),
                   point_gradients ? point_gradients->data : nullptr, threads);
}

template <class T>
void bind(py::module_& module) {
  module.def("cp_values", &values<T>, "Write the values (K,) of a CP model at points (K, D).", py::arg("tables"),
             py::arg("factors"), py::arg("points"), py::arg("out"), py::arg("threads") = 1);
  module.def("cp_jet", &jet<T>,
             "Write values (K,), gradients (K, D) and diagonal second derivatives (K, D) of a CP model at points.",
             py::arg("tables"), py::arg("factors"), py::arg("points"), py::arg("values"), py::arg("gradient"),
             py::arg("second"), py::arg("threads") = 1);
  module.def("tucker_values", &tucker_values_of<T>,
             "Write the values (K,) of a Tucker model with a flat core at points (K, D).", py::arg("tables"),
             py::arg("core"), py::arg("factors"), py::arg("points"), py::arg("out"), py::arg("threads") = 1);
  module.def("tucker_jet", &tucker_jet_of<T>,
             "Write values (K,), gradients (K, D) and diagonal second derivatives (K, D) of a Tucker model at points.",
             py::arg("tables"), py::arg("core"), py::arg("factors"), py::arg("points"), py::arg("values"),
             py::arg("gradient"), py::arg("second"), py::arg("threads") = 1);
  module.def("tucker_gradients", &tucker_gradients_of<T>,
             "Write the gradients of sum_i slopes[i] u(points[i]) by core, factors and, if given, points.",
             py::arg("tables"), py::arg("core"), py::arg("factors"), py::arg("points"), py::arg("slopes"),
             py::arg("core_gradient"), py::arg("factor_gradients"), py::arg("point_gradients"), py::arg("threads") = 1);
}

}  // namespace

void bind_contract(py::module_& module) {
  bind<double>(module);
  bind<float>(module);
}

}  // namespace inntd::python
