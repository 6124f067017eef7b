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

// The piece of a point on an equally spaced axis, decided by the breaks themselves: the guess can miss by one.
template <class T>
std::int64_t exact_piece(const BasisTable<T>& table, double x, std::int64_t guess) {
  if (guess < table.pieces - 1 && x >= table.breaks[guess + 1]) return guess + 1;
  if (guess > 0 && x < table.breaks[guess]) return guess - 1;
  return guess;
}

// Pieces and local coordinates. Only points within round-off of a break need to look at the breaks: without them the
// first loop has neither branches nor gathers, and runs eight points at a time with AVX-512.
template <class T>
void locate_uniform(const BasisTable<T>& table, const double* x, std::int64_t count, std::int64_t* piece,
                    double* local) {
  const double last = static_cast<double>(table.pieces - 1);
  const double start = table.breaks[0];
  const double inverse_step = static_cast<double>(table.pieces) / (table.breaks[table.pieces] - start);
  const double margin =
      8.0 * 2.220446049250313e-16 *
      (1.0 + inverse_step * (table.breaks[table.pieces] > -start ? table.breaks[table.pieces] : -start));
  std::int64_t doubtful = 0;
  for (std::int64_t i = 0; i < count; ++i) {
    const double position = (x[i] - start) * inverse_step;
    double e = position > 0.0 ? position : 0.0;  // NaN too: it goes to the first piece and makes a NaN there
    e = e < last ? e : last;
    e = static_cast<double>(static_cast<std::int32_t>(e));
    const double inside = position - e;
    doubtful |= static_cast<std::int64_t>(inside < margin) | static_cast<std::int64_t>(inside > 1.0 - margin);
    piece[i] = static_cast<std::int64_t>(e);
    local[i] = 2.0 * inside - 1.0;
  }
  if (doubtful == 0) return;
  for (std::int64_t i = 0; i < count; ++i) {
    piece[i] = exact_piece(table, x[i], piece[i]);
    local[i] = (2.0 * x[i] - table.breaks[piece[i]] - table.breaks[piece[i] + 1]) * inverse_step;
  }
}

template <class T>
void locate_bisection(const BasisTable<T>& table, const double* x, std::int64_t count, std::int64_t* piece,
                      double* local) {
  const double* breaks = table.breaks;
  for (std::int64_t i = 0; i < count; ++i) piece[i] = 0;
  for (std::int64_t length = table.pieces; length > 1;) {
    const std::int64_t half = length / 2;
    for (std::int64_t i = 0; i < count; ++i) piece[i] += breaks[piece[i] + half] <= x[i] ? half : 0;
    length -= half;
  }
  for (std::int64_t i = 0; i < count; ++i) {
    const double a = breaks[piece[i]], b = breaks[piece[i] + 1];
    local[i] = (2.0 * x[i] - a - b) / (b - a);
  }
}

template <class T>
void locate_local(const BasisTable<T>& table, const double* x, std::int64_t count, std::int64_t* piece, double* local) {
  if (table.uniform) {
    locate_uniform(table, x, count, piece, local);
  } else {
    locate_bisection(table, x, count, piece, local);
  }
}

template <class T>
void locate(const BasisTable<T>& table, const T* x, std::int64_t count, std::int64_t* piece) {
  constexpr std::int64_t chunk = 64;
  double given[chunk], local[chunk];
  for (std::int64_t start = 0; start < count; start += chunk) {
    const std::int64_t length = count - start < chunk ? count - start : chunk;
    for (std::int64_t i = 0; i < length; ++i) given[i] = static_cast<double>(x[start + i]);
    locate_local(table, given, length, piece + start, local);
  }
}

// Rows of W functions, or of table.width with W = 0. A width that the compiler knows keeps the row in registers.
template <class T, int W>
void tabulate_rows(const BasisTable<T>& table, const T* x, const std::int64_t* piece, std::int64_t count, int order,
                   T* out) {
  const int width = W > 0 ? W : table.width, degree = table.degree;
  for (std::int64_t i = 0; i < count; ++i) {
    const double a = table.breaks[piece[i]], b = table.breaks[piece[i] + 1];
    const T xi = static_cast<T>((2.0 * static_cast<double>(x[i]) - a - b) / (b - a));
    double scale = 1.0;
    for (int r = 0; r < order; ++r) scale *= 2.0 / (b - a);
    const T* c = table.coefficients + (std::int64_t{table.kind[piece[i]]} * (degree + 1) + degree) * width;
    T registers[W > 0 ? W : 1];
    T* row = W > 0 ? registers : out + i * width;
    for (int k = 0; k < width; ++k) row[k] = T(0);
    for (int q = degree; q >= order; --q, c -= width) {
      T falling = static_cast<T>(scale);
      for (int r = 0; r < order; ++r) falling *= static_cast<T>(q - r);
      for (int k = 0; k < width; ++k) row[k] = row[k] * xi + falling * c[k];
    }
    if (W > 0) {
      for (int k = 0; k < width; ++k) out[i * width + k] = row[k];
    }
  }
}

template <class T>
void tabulate(const BasisTable<T>& table, const T* x, const std::int64_t* piece, std::int64_t count, int order,
              T* out) {
  switch (table.width) {  // 2 s + 2 functions for patches of s hops
    case 2:
      return tabulate_rows<T, 2>(table, x, piece, count, order, out);
    case 4:
      return tabulate_rows<T, 4>(table, x, piece, count, order, out);
    case 6:
      return tabulate_rows<T, 6>(table, x, piece, count, order, out);
    case 8:
      return tabulate_rows<T, 8>(table, x, piece, count, order, out);
    case 10:
      return tabulate_rows<T, 10>(table, x, piece, count, order, out);
    default:
      return tabulate_rows<T, 0>(table, x, piece, count, order, out);
  }
}

template <class T>
constexpr BasisKernels<T> make_basis_kernels() {
  return {&locate<T>, &tabulate<T>};
}

}  // namespace
#endif

}  // namespace inntd
