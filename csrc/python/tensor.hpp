// Views of NumPy arrays and torch tensors, borrowed for the length of one call.
//
// Arguments are taken as they are: nothing is converted or copied, whatever does not fit is refused with a message of
// its own. A tensor that requires grad is borrowed like any other: the core works below autograd, which is the
// business of the torch.autograd.Function that calls it; writing into one acts as it does under torch.no_grad().
#pragma once

#include <pybind11/pybind11.h>

#include <cstdint>
#include <type_traits>

namespace inntd::python {

constexpr int kMaxDimensions = 8;

// A C-contiguous array of any number of dimensions. Tensor<const T> is an input, Tensor<T> an output.
template <class T>
struct Tensor {
  T* data = nullptr;
  int ndim = 0;
  std::int64_t shape[kMaxDimensions] = {};

  std::int64_t size() const {
    std::int64_t product = 1;
    for (int i = 0; i < ndim; ++i) product *= shape[i];
    return product;
  }
};

// The element type that an argument must have.
struct ScalarType {
  char kind;  // 'f' or 'i'
  int bits;
  friend bool operator==(ScalarType a, ScalarType b) { return a.kind == b.kind && a.bits == b.bits; }
};

template <class T>
constexpr ScalarType scalar_type() {
  static_assert(std::is_floating_point_v<T> || (std::is_integral_v<T> && std::is_signed_v<T>));
  return {std::is_floating_point_v<T> ? 'f' : 'i', static_cast<int>(8 * sizeof(T))};
}

template <>
struct Tensor<void> {
  void* data = nullptr;
  int ndim = 0;
  std::int64_t shape[kMaxDimensions] = {};
};

// Borrows `source`. False when it is no array at all, or has another element type and `explain` is off (another
// overload may fit); throws for everything else that is wrong.
bool borrow(pybind11::handle source, ScalarType wanted, bool writable, bool explain, Tensor<void>& out);

}  // namespace inntd::python

namespace pybind11::detail {

template <class T>
struct type_caster<inntd::python::Tensor<T>> {
  PYBIND11_TYPE_CASTER(inntd::python::Tensor<T>, const_name("numpy.ndarray | torch.Tensor"));

  // pybind11 tries all overloads without conversion first: only in its second round is no other one left.
  bool load(handle source, bool second_round) {
    using Scalar = std::remove_const_t<T>;
    inntd::python::Tensor<void> found;
    if (!inntd::python::borrow(source, inntd::python::scalar_type<Scalar>(), !std::is_const_v<T>, second_round,
                               found)) {
      return false;
    }
    value.data = static_cast<T*>(found.data);
    value.ndim = found.ndim;
    for (int i = 0; i < found.ndim; ++i) value.shape[i] = found.shape[i];
    return true;
  }
};

}  // namespace pybind11::detail
