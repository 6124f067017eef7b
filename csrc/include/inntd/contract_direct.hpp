// Evaluation straight from the factors: for few points, or axes so long that preparing them would not pay.
#pragma once

#include "inntd/contract.hpp"

namespace inntd {
namespace {

// Sum with independent partial sums: without -ffast-math a plain sum cannot use SIMD.
template <class T>
T sum_modes(const T* x, std::int64_t count) {
  constexpr int lanes = 16;
  T partial[lanes] = {};
  std::int64_t i = 0;
  for (; i + lanes <= count; i += lanes) {
    for (int j = 0; j < lanes; ++j) partial[j] += x[i + j];
  }
  T sum = T(0);
  for (; i < count; ++i) sum += x[i];
  for (int j = 0; j < lanes; ++j) sum += partial[j];
  return sum;
}

// The order-th derivative of an axis' functions at x, for every mode: row (modes).
template <class T>
void evaluate_axis(const ModelAxis<T>& axis, std::int64_t modes, T x, std::int64_t piece, int order, T* weights,
                   T* row) {
  const BasisTable<T>& table = axis.table;
  tabulate(table, &x, &piece, 1, order, weights);
  for (std::int64_t m = 0; m < modes; ++m) row[m] = T(0);
  std::int64_t index = table.first[piece];
  for (int k = 0; k < table.width; ++k, ++index) {
    while (index >= table.size) index -= table.size;
    const T weight = weights[k];
    const T* source = axis.factor + index * modes;
    for (std::int64_t m = 0; m < modes; ++m) row[m] += weight * source[m];
  }
}

template <class T>
void direct_values(const ModelAxis<T>* axes, std::int64_t dimension, std::int64_t modes, const T* points,
                   std::int64_t begin, std::int64_t end, T* out, T* scratch) {
  T* product = scratch;
  T* row = product + modes;
  T* weights = row + modes;
  for (std::int64_t i = begin; i < end; ++i) {
    for (std::int64_t m = 0; m < modes; ++m) product[m] = T(1);
    for (std::int64_t d = 0; d < dimension; ++d) {
      const T x = points[i * dimension + d];
      std::int64_t piece;
      locate(axes[d].table, &x, 1, &piece);
      evaluate_axis(axes[d], modes, x, piece, 0, weights, row);
      for (std::int64_t m = 0; m < modes; ++m) product[m] *= row[m];
    }
    out[i] = sum_modes(product, modes);
  }
}

// Products over all axes but one come from prefixes and suffixes: a division would give NaN at a zero factor.
template <class T>
void direct_jet(const ModelAxis<T>* axes, std::int64_t dimension, std::int64_t modes, const T* points,
                std::int64_t begin, std::int64_t end, T* out, T* gradient, T* second, T* scratch) {
  T* rows = scratch;  // (dimension, 3, modes)
  T* product = rows + 3 * dimension * modes;
  T* term = product + modes;
  T* weights = term + modes;
  for (std::int64_t i = begin; i < end; ++i) {
    for (std::int64_t d = 0; d < dimension; ++d) {
      const T x = points[i * dimension + d];
      std::int64_t piece;
      locate(axes[d].table, &x, 1, &piece);
      for (int order = 0; order < 3; ++order) {
        evaluate_axis(axes[d], modes, x, piece, order, weights, rows + (3 * d + order) * modes);
      }
    }
    for (std::int64_t m = 0; m < modes; ++m) product[m] = T(1);
    for (std::int64_t d = 0; d < dimension; ++d) {  // derivatives times the prefix
      T* f = rows + 3 * d * modes;
      for (std::int64_t m = 0; m < modes; ++m) {
        f[modes + m] *= product[m];
        f[2 * modes + m] *= product[m];
        product[m] *= f[m];
      }
    }
    out[i] = sum_modes(product, modes);
    for (std::int64_t m = 0; m < modes; ++m) product[m] = T(1);
    for (std::int64_t d = dimension - 1; d >= 0; --d) {  // times the suffix
      const T* f = rows + 3 * d * modes;
      for (std::int64_t m = 0; m < modes; ++m) term[m] = f[modes + m] * product[m];
      gradient[i * dimension + d] = sum_modes(term, modes);
      for (std::int64_t m = 0; m < modes; ++m) term[m] = f[2 * modes + m] * product[m];
      second[i * dimension + d] = sum_modes(term, modes);
      for (std::int64_t m = 0; m < modes; ++m) product[m] *= f[m];
    }
  }
}

}  // namespace
}  // namespace inntd
