// The Python class BasisTable: owns one axis' piecewise polynomials in float32 and float64.
#pragma once

#include <cstdint>
#include <vector>

#include "inntd/basis.hpp"

namespace inntd::python {

struct OwnedBasisTable {
  std::vector<double> breaks;
  std::vector<std::int32_t> kind;
  std::vector<std::int64_t> first;
  std::vector<double> coefficients64;
  std::vector<float> coefficients32;
  std::int64_t size = 0;
  int width = 0;
  int degree = 0;
  bool uniform = false;
  bool periodic = false;

  template <class T>
  BasisTable<T> view() const {
    const T* coefficients;
    if constexpr (sizeof(T) == 4) {
      coefficients = coefficients32.data();
    } else {
      coefficients = coefficients64.data();
    }
    return {breaks.data(), kind.data(), first.data(), coefficients, static_cast<std::int64_t>(first.size()),
            size,          width,       degree,       uniform,      periodic};
  }
};

}  // namespace inntd::python
