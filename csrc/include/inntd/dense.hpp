#pragma once

#include <cstdint>

namespace inntd {

template <class T>
struct DenseKernels {
  void (*placeholder)();
};

#ifdef INNTD_KERNEL_SOURCE
namespace {

template <class T>
constexpr DenseKernels<T> make_dense_kernels() {
  return {nullptr};
}

}  // namespace
#endif

}  // namespace inntd
