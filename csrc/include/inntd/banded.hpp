#pragma once

#include <cstdint>

namespace inntd {

template <class T>
struct BandedKernels {
  void (*placeholder)();
};

#ifdef INNTD_KERNEL_SOURCE
namespace {

template <class T>
constexpr BandedKernels<T> make_banded_kernels() {
  return {nullptr};
}

}  // namespace
#endif

}  // namespace inntd
