// Views of NumPy arrays and torch tensors, borrowed for the length of one call.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <cstdint>
#include <string>

namespace inntd::python {

// A C-contiguous array of any number of dimensions. Tensor<const T> is an input, Tensor<T> an output.
template <class T>
struct Tensor {
  T* data = nullptr;
  int ndim = 0;
  std::int64_t shape[8] = {};

  std::int64_t size() const {
    std::int64_t product = 1;
    for (int i = 0; i < ndim; ++i) product *= shape[i];
    return product;
  }
};

}  // namespace inntd::python

namespace pybind11::detail {

template <class T>
struct type_caster<inntd::python::Tensor<T>> {
  using Scalar = std::remove_const_t<T>;
  PYBIND11_TYPE_CASTER(inntd::python::Tensor<T>, const_name("numpy.ndarray | torch.Tensor"));

  bool load(handle source, bool) {
    auto given = reinterpret_borrow<object>(source);
    if (!isinstance<array>(given)) given = given.attr("numpy")();
    auto view = reinterpret_borrow<array>(given);
    if (!dtype::of<Scalar>().is(view.dtype())) return false;
    if ((view.flags() & array::c_style) == 0) throw value_error("array must be C-contiguous");
    value.data = static_cast<T*>(const_cast<void*>(view.data()));
    value.ndim = static_cast<int>(view.ndim());
    for (int i = 0; i < value.ndim; ++i) value.shape[i] = view.shape(i);
    return true;
  }
};

}  // namespace pybind11::detail
