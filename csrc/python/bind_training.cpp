// Training: gradients of CP models, and the native fit loop.
#include <pybind11/stl.h>

#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "basis_table.hpp"
#include "bindings.hpp"
#include "inntd/fit.hpp"
#include "inntd/gradients.hpp"
#include "tensor.hpp"

namespace inntd::python {
namespace {

void require(bool condition, const char* message) {
  if (!condition) throw std::invalid_argument(message);
}

template <class T>
std::vector<BasisTable<T>> views(const std::vector<const OwnedBasisTable*>& owned) {
  std::vector<BasisTable<T>> tables;
  for (const OwnedBasisTable* table : owned) {
    require(table != nullptr, "tables must hold BasisTable objects, got None");
    tables.push_back(table->view<T>());
  }
  return tables;
}

// Factors and the gradients of the same shapes.
template <class T>
struct Factors {
  std::vector<BasisTable<T>> tables;
  std::vector<const T*> factors;
  std::vector<T*> gradients;
  std::int64_t modes = 0;

  Factors(const std::vector<const OwnedBasisTable*>& owned, const std::vector<Tensor<const T>>& given,
          const std::vector<Tensor<T>>& out)
      : tables(views<T>(owned)) {
    require(!owned.empty() && owned.size() == given.size() && owned.size() == out.size(),
            "tables, factors and gradients must be lists of equal length");
    modes = given[0].ndim == 2 ? given[0].shape[1] : 0;
    require(modes > 0, "factors must have shape (table.size, modes), with at least one mode");
    for (std::size_t d = 0; d < owned.size(); ++d) {
      require(given[d].ndim == 2 && given[d].shape[0] == tables[d].size && given[d].shape[1] == modes,
              "factors must have shape (table.size, modes), with the same modes on all axes");
      require(out[d].ndim == 2 && out[d].shape[0] == given[d].shape[0] && out[d].shape[1] == modes,
              "gradients must have the factors' shapes");
      factors.push_back(given[d].data);
      gradients.push_back(out[d].data);
    }
  }
  std::int64_t axes() const { return static_cast<std::int64_t>(tables.size()); }
  CpView<T> view() const { return {tables.data(), factors.data(), axes(), modes}; }
};

template <class A, class B>
void require_same(const Tensor<A>& a, const Tensor<B>& b, const char* message) {
  require(a.ndim == b.ndim && a.shape[0] == b.shape[0] && (a.ndim < 2 || a.shape[1] == b.shape[1]), message);
}

template <class T>
void require_points(const Tensor<const T>& points, std::int64_t axes, const Tensor<const T>& slopes) {
  require(points.ndim == 2 && points.shape[1] == axes, "points must have shape (K, number of axes)");
  require(slopes.ndim == 1 && slopes.shape[0] == points.shape[0], "slopes must have shape (K,)");
}

template <class T>
void gradients(const std::vector<const OwnedBasisTable*>& tables, const std::vector<Tensor<const T>>& factors,
               Tensor<const T> points, Tensor<const T> slopes, const std::vector<Tensor<T>>& out,
               std::optional<Tensor<T>> point_gradients, int threads) {
  const Factors<T> model(tables, factors, out);
  require_points(points, model.axes(), slopes);
  if (point_gradients) require_same(points, *point_gradients, "point_gradients must have the shape of points");
  py::gil_scoped_release release;
  cp_gradients(model.view(), points.data, points.shape[0], slopes.data, model.gradients.data(),
               point_gradients ? point_gradients->data : nullptr, threads);
}

template <class T>
void jet_gradients(const std::vector<const OwnedBasisTable*>& tables, const std::vector<Tensor<const T>>& factors,
                   Tensor<const T> points, Tensor<const T> by_value, Tensor<const T> by_gradient,
                   Tensor<const T> by_second, const std::vector<Tensor<T>>& out, int threads) {
  const Factors<T> model(tables, factors, out);
  require_points(points, model.axes(), by_value);
  require_same(points, by_gradient, "by_gradient must have the shape of points");
  require_same(points, by_second, "by_second must have the shape of points");
  py::gil_scoped_release release;
  cp_jet_gradients(model.view(), points.data, points.shape[0], by_value.data, by_gradient.data, by_second.data,
                   model.gradients.data(), threads);
}

// A CpFit that keeps the tables it reads alive.
template <class T>
class Fit {
 public:
  using What = typename CpFit<T>::What;

  Fit(std::vector<OwnedBasisTable> tables, std::int64_t modes, std::int64_t outputs)
      : tables_(std::move(tables)), fit_(nullptr) {
    require(!tables_.empty() && modes > 0 && outputs >= 0, "a fit needs tables, modes >= 1 and outputs >= 0");
    std::vector<BasisTable<T>> shown;
    for (const OwnedBasisTable& table : tables_) shown.push_back(table.view<T>());
    fit_ = std::make_unique<CpFit<T>>(shown.data(), static_cast<std::int64_t>(shown.size()), modes, outputs);
  }

  void put(const std::string& what, std::int64_t d, Tensor<const T> factor) {
    require_factor(d, factor);
    fit_->put(named(what), d, factor.data);
  }
  void take(const std::string& what, std::int64_t d, Tensor<T> factor) const {
    require_factor(d, factor);
    fit_->take(named(what), d, factor.data);
  }

  void set_functions(std::int64_t d, Tensor<const T> matrix) {
    require(d >= 0 && d < fit_->axes(), "d must be the number of an axis");
    const std::int64_t size = tables_[static_cast<std::size_t>(d)].size;
    require(matrix.ndim == 2 && matrix.shape[0] == size && matrix.shape[1] == size,
            "matrix must have shape (table.size, table.size)");
    fit_->set_functions(d, matrix.data);
  }

  void set_data(Tensor<const double> points, Tensor<const double> values, std::optional<Tensor<const double>> weights,
                Tensor<const std::int64_t> chosen, std::int64_t block) {
    const std::int64_t rows = points.ndim == 2 ? points.shape[0] : -1;
    require(points.ndim == 2 && points.shape[1] == fit_->axes(), "points must have shape (K, number of axes)");
    require(
        values.ndim == 2 && values.shape[0] == rows && values.shape[1] == std::max<std::int64_t>(fit_->outputs(), 1),
        "values must have shape (K, outputs), one column without outputs");
    if (weights) require(weights->ndim == 1 && weights->shape[0] == rows, "weights must have shape (K,)");
    require(chosen.ndim == 1 && chosen.shape[0] > 0 && block > 0,
            "chosen must have shape (n,), n and block at least 1");
    for (std::int64_t i = 0; i < chosen.shape[0]; ++i) {
      require(chosen.data[i] >= 0 && chosen.data[i] < rows, "chosen must hold numbers of points");
    }
    py::gil_scoped_release release;
    fit_->set_data(points.data, values.data, weights ? weights->data : nullptr, chosen.data, chosen.shape[0], block);
  }

  double run(Tensor<const std::int32_t> order, std::int64_t blocks_per_step, Tensor<const double> rates,
             std::int64_t done, double beta1, double beta2, double epsilon, double decay, int threads) {
    require(order.ndim == 1 && blocks_per_step > 0, "order must have shape (n,), blocks_per_step must be at least 1");
    const std::int64_t steps = (order.shape[0] + blocks_per_step - 1) / blocks_per_step;
    require(rates.ndim == 1 && rates.shape[0] == steps, "rates must have one entry per step");
    require_order(order);
    py::gil_scoped_release release;
    return fit_->run(order.data, order.shape[0], blocks_per_step, rates.data, done, {beta1, beta2, epsilon, decay},
                     threads);
  }

  double gradient(int threads) {
    require(fit_->blocks() > 0, "set_data must come first");
    py::gil_scoped_release release;
    return fit_->gradient(threads);
  }

  double partial_gradient(Tensor<const std::int32_t> order, std::int64_t batch, int threads) {
    require_order(order);
    require(batch > 0, "batch must be at least 1");
    py::gil_scoped_release release;
    return fit_->partial_gradient(order.data, order.shape[0], batch, threads);
  }
  void apply(double rate, std::int64_t done, double beta1, double beta2, double epsilon, double decay) {
    py::gil_scoped_release release;
    fit_->apply(rate, done, {beta1, beta2, epsilon, decay});
  }

  std::int64_t blocks() const { return fit_->blocks(); }
  std::int64_t block() const { return fit_->block(); }
  std::int64_t count() const { return fit_->count(); }

 private:
  static What named(const std::string& what) {
    if (what == "parameters") return What::parameters;
    if (what == "mean") return What::mean;
    if (what == "square") return What::square;
    if (what == "gradient") return What::gradient;
    if (what == "coefficients") return What::coefficients;
    throw py::value_error("what must be 'parameters', 'mean', 'square', 'gradient' or 'coefficients', got '" + what +
                          "'");
  }
  void require_order(const Tensor<const std::int32_t>& order) const {
    require(order.ndim == 1, "order must have shape (n,)");
    for (std::int64_t i = 0; i < order.shape[0]; ++i) {
      require(order.data[i] >= 0 && order.data[i] < fit_->blocks(), "order must hold numbers of blocks");
    }
  }
  template <class U>
  void require_factor(std::int64_t d, const Tensor<U>& factor) const {
    const bool outputs = d == fit_->axes() && fit_->outputs() > 0;
    require(d >= 0 && (d < fit_->axes() || outputs), "d must be the number of an axis, or of the outputs");
    const std::int64_t rows = outputs ? fit_->outputs() : tables_[static_cast<std::size_t>(d)].size;
    require(factor.ndim == 2 && factor.shape[0] == rows && factor.shape[1] == fit_->modes(),
            "factor must have shape (table.size or outputs, modes)");
  }

  std::vector<OwnedBasisTable> tables_;
  std::unique_ptr<CpFit<T>> fit_;
};

template <class T>
void bind(py::module_& module, const char* name) {
  module.def("cp_gradients", &gradients<T>,
             "Write the gradients of sum_i slopes[i] u(points[i]) by the factors and, if given, by the points.",
             py::arg("tables"), py::arg("factors"), py::arg("points"), py::arg("slopes"), py::arg("gradients"),
             py::arg("point_gradients"), py::arg("threads") = 1);
  module.def("cp_jet_gradients", &jet_gradients<T>,
             "Write the factors' gradients of a sum of values, first and second derivatives with given weights.",
             py::arg("tables"), py::arg("factors"), py::arg("points"), py::arg("by_value"), py::arg("by_gradient"),
             py::arg("by_second"), py::arg("gradients"), py::arg("threads") = 1);
  py::class_<Fit<T>>(module, name, "A CP model in training: sorted data, gradients and Adam.")
      .def(py::init<std::vector<OwnedBasisTable>, std::int64_t, std::int64_t>(), py::arg("tables"), py::arg("modes"),
           py::arg("outputs") = 0)
      .def("put", &Fit<T>::put, py::arg("what"), py::arg("d"), py::arg("factor"))
      .def("take", &Fit<T>::take, py::arg("what"), py::arg("d"), py::arg("factor"))
      .def("set_functions", &Fit<T>::set_functions, py::arg("d"), py::arg("matrix"))
      .def("set_data", &Fit<T>::set_data, py::arg("points"), py::arg("values"), py::arg("weights"), py::arg("chosen"),
           py::arg("block"))
      .def("run", &Fit<T>::run, py::arg("order"), py::arg("blocks_per_step"), py::arg("rates"), py::arg("done"),
           py::arg("beta1") = 0.9, py::arg("beta2") = 0.999, py::arg("epsilon") = 1e-8, py::arg("decay") = 0.0,
           py::arg("threads") = 1)
      .def("partial_gradient", &Fit<T>::partial_gradient, py::arg("order"), py::arg("batch"), py::arg("threads") = 1)
      .def("apply", &Fit<T>::apply, py::arg("rate"), py::arg("done"), py::arg("beta1") = 0.9, py::arg("beta2") = 0.999,
           py::arg("epsilon") = 1e-8, py::arg("decay") = 0.0)
      .def("gradient", &Fit<T>::gradient, py::arg("threads") = 1)
      .def_property_readonly("blocks", &Fit<T>::blocks)
      .def_property_readonly("block", &Fit<T>::block)
      .def_property_readonly("count", &Fit<T>::count);
}

}  // namespace

void bind_training(py::module_& module) {
  bind<double>(module, "CpFit64");
  bind<float>(module, "CpFit32");
}

}  // namespace inntd::python
