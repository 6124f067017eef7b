// Contractions of factors with bases: evaluation of CP models at points.
#pragma once

#include <cstdint>

#include "inntd/basis.hpp"

namespace inntd {

template <class T>
struct ContractKernels {
  void (*placeholder)();
};

#ifdef INNTD_KERNEL_SOURCE
namespace {

template <class T>
constexpr ContractKernels<T> make_contract_kernels() {
  return {nullptr};
}

}  // namespace
#endif

}  // namespace inntd
