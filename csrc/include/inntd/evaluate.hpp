// Evaluation of CP models at many points: plans one call, prepares the factors, runs the kernels on all threads.
#pragma once

#include <cstdint>

#include "inntd/basis.hpp"

namespace inntd {

// u(x) = sum_m prod_d sum_i N_i(x_d) factors[d][i][m].
template <class T>
struct CpView {
  const BasisTable<T>* tables;  // (axes)
  const T* const* factors;      // (axes), each (tables[d].size, modes)
  std::int64_t axes;
  std::int64_t modes;
};

// Values at `points` (count, axes): out (count).
template <class T>
void cp_values(const CpView<T>& cp, const T* points, std::int64_t count, T* out, int threads);

// Values (count), gradients (count, axes) and diagonal second derivatives (count, axes) in one pass.
template <class T>
void cp_jet(const CpView<T>& cp, const T* points, std::int64_t count, T* values, T* gradient, T* second, int threads);

}  // namespace inntd
