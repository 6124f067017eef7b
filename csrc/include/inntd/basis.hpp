// Piecewise-polynomial bases along one axis: the single data structure that all kernels share.
#pragma once

#include <cstdint>

namespace inntd {

// On piece e = [breaks[e], breaks[e+1]] the functions first[e] + k, k = 0..width-1, are
//   N_k(x) = sum_q coefficients[kind[e]][q][k] xi^q,   xi = (2 x - a - b) / (b - a) in [-1, 1].
// Pieces of the same shape share their coefficients (a uniform mesh has only a handful of kinds).
// On a periodic axis first[e] + k may reach beyond size - 1 and wraps around.
template <class T>
struct BasisTable {
  const double* breaks;       // (pieces + 1)
  const std::int32_t* kind;   // (pieces)
  const std::int64_t* first;  // (pieces)
  const T* coefficients;      // (kinds, degree + 1, width)
  std::int64_t pieces;
  std::int64_t size;  // number of basis functions
  int width;
  int degree;
  bool uniform;  // breaks are equally spaced: pieces are found by one multiplication
  bool periodic;
};

template <class T>
struct BasisKernels {
  // Piece of each point, by one multiplication (uniform) or bisection. Points outside go to the end pieces.
  void (*locate)(const BasisTable<T>& table, const T* x, std::int64_t count, std::int64_t* piece);
  // Values of the derivative of order `order` of the `width` functions of each point's piece: out (count, width).
  void (*tabulate)(const BasisTable<T>& table, const T* x, const std::int64_t* piece, std::int64_t count, int order,
                   T* out);
};

#ifdef INNTD_KERNEL_SOURCE
namespace {

template <class T>
void locate(const BasisTable<T>& table, const T* x, std::int64_t count, std::int64_t* piece) {
  const double* breaks = table.breaks;
  const std::int64_t last = table.pieces - 1;
  const double inverse_step = static_cast<double>(table.pieces) / (breaks[table.pieces] - breaks[0]);
  for (std::int64_t i = 0; i < count; ++i) {
    const double xi = static_cast<double>(x[i]);
    std::int64_t e;
    if (table.uniform) {
      const double guess = (xi - breaks[0]) * inverse_step;
      e = guess <= 0.0 ? 0 : (guess >= static_cast<double>(last) ? last : static_cast<std::int64_t>(guess));
      if (e < last && xi >= breaks[e + 1]) ++e;
      if (e > 0 && xi < breaks[e]) --e;
    } else {
      std::int64_t low = 0, high = last;
      while (low < high) {
        const std::int64_t middle = (low + high + 1) / 2;
        if (breaks[middle] <= xi) {
          low = middle;
        } else {
          high = middle - 1;
        }
      }
      e = low;
    }
    piece[i] = e;
  }
}

template <class T>
void tabulate(const BasisTable<T>& table, const T* x, const std::int64_t* piece, std::int64_t count, int order,
              T* out) {
  const int width = table.width, degree = table.degree;
  for (std::int64_t i = 0; i < count; ++i) {
    const double a = table.breaks[piece[i]], b = table.breaks[piece[i] + 1];
    const T xi = static_cast<T>((2.0 * static_cast<double>(x[i]) - a - b) / (b - a));
    double scale = 1.0;
    for (int r = 0; r < order; ++r) scale *= 2.0 / (b - a);
    const T* coefficients = table.coefficients + std::int64_t{table.kind[piece[i]]} * (degree + 1) * width;
    T* row = out + i * width;
    for (int k = 0; k < width; ++k) row[k] = T(0);
    for (int q = degree; q >= order; --q) {
      T falling = static_cast<T>(scale);
      for (int r = 0; r < order; ++r) falling *= static_cast<T>(q - r);
      const T* c = coefficients + std::int64_t{q} * width;
      for (int k = 0; k < width; ++k) row[k] = row[k] * xi + falling * c[k];
    }
  }
}

template <class T>
constexpr BasisKernels<T> make_basis_kernels() {
  return {&locate<T>, &tabulate<T>};
}

}  // namespace
#endif

}  // namespace inntd
