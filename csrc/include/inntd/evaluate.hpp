// Evaluation of CP and Tucker models at many points: plans one call, prepares the factors, runs the kernels on all
// threads.
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

// u(x) = sum_r core[r_1]...[r_D] prod_d sum_i N_i(x_d) factors[d][i][r_d].
template <class T>
struct TuckerView {
  const BasisTable<T>* tables;  // (axes)
  const T* const* factors;      // (axes), each (tables[d].size, ranks[d])
  const std::int64_t* ranks;    // (axes)
  const T* core;                // (ranks[0], ..., ranks[axes - 1])
  std::int64_t axes;
};

// Values at `points` (count, axes): out (count).
template <class T>
void cp_values(const CpView<T>& cp, const T* points, std::int64_t count, T* out, int threads);

// Values (count), gradients (count, axes) and diagonal second derivatives (count, axes) in one pass.
template <class T>
void cp_jet(const CpView<T>& cp, const T* points, std::int64_t count, T* values, T* gradient, T* second, int threads);

// The same for Tucker models.
template <class T>
void tucker_values(const TuckerView<T>& tucker, const T* points, std::int64_t count, T* out, int threads);
template <class T>
void tucker_jet(const TuckerView<T>& tucker, const T* points, std::int64_t count, T* values, T* gradient, T* second,
                int threads);

}  // namespace inntd
