#include <stdexcept>
#include <string>
#include <vector>

#include "bindings.hpp"
#include "inntd/kernels.hpp"
#include "tensor.hpp"

namespace inntd::python {
namespace {

struct BandedShape {
  std::int64_t n;
  int half_bandwidth;
  int columns;
};

template <class T>
BandedShape check_shapes(const Tensor<const T>& band, const Tensor<T>& x) {
  if (band.ndim != 2 || band.shape[1] % 2 == 0) {
    throw py::value_error("band must have shape (n, 2 b + 1)");
  }
  if (x.ndim != 2 || x.shape[0] != band.shape[0]) {
    throw py::value_error("right-hand side must have shape (n, columns) with n = " + std::to_string(band.shape[0]));
  }
  return {band.shape[0], static_cast<int>(band.shape[1] / 2), static_cast<int>(x.shape[1])};
}

template <class T>
void cholesky_solve(Tensor<const T> band, Tensor<T> x) {
  const BandedShape shape = check_shapes(band, x);
  std::int64_t row;
  {
    py::gil_scoped_release release;
    const BandedKernels<T>& kernel = kernels().of<T>().banded;
    std::vector<T> factor(shape.n * (shape.half_bandwidth + 1));
    row = kernel.cholesky(shape.n, shape.half_bandwidth, band.data, factor.data());
    if (row == shape.n) kernel.cholesky_solve(shape.n, shape.half_bandwidth, factor.data(), shape.columns, x.data);
  }
  if (row < shape.n) {
    throw py::value_error("banded matrix is not positive definite: the pivot of row " + std::to_string(row) +
                          " is not positive");
  }
}

template <class T>
void lu_solve(Tensor<const T> band, Tensor<T> x, bool transpose) {
  const BandedShape shape = check_shapes(band, x);
  std::int64_t row;
  {
    py::gil_scoped_release release;
    const BandedKernels<T>& kernel = kernels().of<T>().banded;
    const int b = shape.half_bandwidth;
    std::vector<T> factor(shape.n * (3 * b + 1), T(0));
    for (std::int64_t i = 0; i < shape.n; ++i) {
      for (int j = 0; j <= 2 * b; ++j) factor[i * (3 * b + 1) + j] = band.data[i * (2 * b + 1) + j];
    }
    std::vector<std::int64_t> pivot(shape.n);
    row = kernel.lu(shape.n, b, factor.data(), pivot.data());
    if (row == shape.n) kernel.lu_solve(shape.n, b, factor.data(), pivot.data(), shape.columns, x.data, transpose);
  }
  if (row < shape.n) {
    throw py::value_error("banded matrix is singular: no pivot in column " + std::to_string(row));
  }
}

template <class T>
void multiply(Tensor<const T> band, Tensor<const T> x, Tensor<T> out) {
  const BandedShape shape = check_shapes(band, out);
  if (x.ndim != 2 || x.shape[0] != out.shape[0] || x.shape[1] != out.shape[1]) {
    throw py::value_error("x and out must have the same shape (n, columns)");
  }
  py::gil_scoped_release release;
  kernels().of<T>().banded.multiply(shape.n, shape.half_bandwidth, band.data, shape.columns, x.data, out.data);
}

template <class T>
void bind(py::module_& module) {
  module.def("banded_cholesky_solve", &cholesky_solve<T>, py::arg("band"), py::arg("x"),
             "Solve A x = x in place for a symmetric positive definite band (n, 2 b + 1).");
  module.def("banded_lu_solve", &lu_solve<T>, py::arg("band"), py::arg("x"), py::arg("transpose") = false,
             "Solve A x = x, or A^T x = x, in place by LU with partial pivoting.");
  module.def("banded_multiply", &multiply<T>, py::arg("band"), py::arg("x"), py::arg("out"),
             "Write A x for a band (n, 2 b + 1).");
}

}  // namespace

void bind_banded(py::module_& module) {
  bind<double>(module);
  bind<float>(module);
}

}  // namespace inntd::python
