// Many banded systems of the same shape side by side, one per SIMD lane: entries (i, j) of all of them are neighbours.
#pragma once

#include <cmath>
#include <cstdint>

#include "inntd/spectral.hpp"

namespace inntd {

// Columns that solve_columns treats side by side.
inline int column_lanes(int m) { return m <= 2 ? m : (m <= 4 ? 4 : batch_lanes); }

#ifdef INNTD_KERNEL_SOURCE
namespace {

inline std::int64_t smaller(std::int64_t a, std::int64_t b) { return a < b ? a : b; }
inline std::int64_t larger(std::int64_t a, std::int64_t b) { return a > b ? a : b; }

// Cholesky of lane-interleaved matrices: entry (i, j) of all LANES matrices side by side. LANES = 1 is the ordinary
// algorithm; B > 0 fixes the half-bandwidth at compile time, which unrolls the inner loop.
template <class T, int LANES, int B>
std::int64_t factor_lanes(std::int64_t n, int half_bandwidth, T* factor) {
  const int b = B > 0 ? B : half_bandwidth;
  const int width = b + 1;
  for (std::int64_t i = 0; i < n; ++i) {
    T* row = factor + i * width * LANES;
    const int first = static_cast<int>(larger(0, b - i));
    for (int j = first; j <= b; ++j) {
      T sum[LANES];
      for (int l = 0; l < LANES; ++l) sum[l] = row[j * LANES + l];
      // Row of the pivot column c = i - b + j starts b - j places further left in its own storage.
      const T* other = factor + (i - b + j) * width * LANES;
      for (int k = first; k < j; ++k) {
        for (int l = 0; l < LANES; ++l) sum[l] -= row[k * LANES + l] * other[(k + b - j) * LANES + l];
      }
      if (j < b) {
        for (int l = 0; l < LANES; ++l) row[j * LANES + l] = sum[l] * other[b * LANES + l];
      } else {
        bool positive = true;
        for (int l = 0; l < LANES; ++l) positive = positive && sum[l] > T(0);
        if (!positive) return i;
        for (int l = 0; l < LANES; ++l) row[b * LANES + l] = T(1) / std::sqrt(sum[l]);
      }
    }
  }
  return n;
}

template <class T, int LANES, int B>
void substitute_lanes(std::int64_t n, int half_bandwidth, const T* factor, T* x) {
  const int b = B > 0 ? B : half_bandwidth;
  const int width = b + 1;
  for (std::int64_t i = 0; i < n; ++i) {
    const T* row = factor + i * width * LANES;
    T* xi = x + i * LANES;
    for (int j = static_cast<int>(larger(0, b - i)); j < b; ++j) {
      const T* xj = x + (i - b + j) * LANES;
      for (int l = 0; l < LANES; ++l) xi[l] -= row[j * LANES + l] * xj[l];
    }
    for (int l = 0; l < LANES; ++l) xi[l] *= row[b * LANES + l];
  }
  for (std::int64_t i = n - 1; i >= 0; --i) {
    const T* row = factor + i * width * LANES;
    T* xi = x + i * LANES;
    for (int l = 0; l < LANES; ++l) xi[l] *= row[b * LANES + l];
    for (int j = static_cast<int>(larger(0, b - i)); j < b; ++j) {
      T* xj = x + (i - b + j) * LANES;
      for (int l = 0; l < LANES; ++l) xj[l] -= row[j * LANES + l] * xi[l];
    }
  }
}

// Calls f with the half-bandwidth as a compile-time constant where that pays (2 s + 1 for s = 0..3, and the even ones
// between), else with 0.
#define INNTD_FOR_BANDWIDTH(call, ...)      \
  switch (b) {                              \
    case 1:                                 \
      return call<__VA_ARGS__, 1>(n, b, f); \
    case 2:                                 \
      return call<__VA_ARGS__, 2>(n, b, f); \
    case 3:                                 \
      return call<__VA_ARGS__, 3>(n, b, f); \
    case 4:                                 \
      return call<__VA_ARGS__, 4>(n, b, f); \
    case 5:                                 \
      return call<__VA_ARGS__, 5>(n, b, f); \
    case 7:                                 \
      return call<__VA_ARGS__, 7>(n, b, f); \
    default:                                \
      return call<__VA_ARGS__, 0>(n, b, f); \
  }

template <class T, int LANES>
std::int64_t factor_any(std::int64_t n, int b, T* f) {
  INNTD_FOR_BANDWIDTH(factor_lanes, T, LANES)
}

#undef INNTD_FOR_BANDWIDTH

// LU without pivoting of lane-interleaved matrices in band storage (n, 2 b + 1, LANES); the diagonal of U is inverted.
// Returns n, or the first row whose pivot lost ten digits against its row.
template <class T, int LANES>
std::int64_t eliminate_lanes(std::int64_t n, int b, T* a) {
  const int width = 2 * b + 1;
  for (std::int64_t i = 0; i < n; ++i) {
    T* row = a + i * width * LANES;
    T size[LANES] = {};
    for (int j = 0; j < width; ++j) {
      for (int l = 0; l < LANES; ++l)
        size[l] = size[l] > std::abs(row[j * LANES + l]) ? size[l] : std::abs(row[j * LANES + l]);
    }
    for (std::int64_t k = larger(0, i - b); k < i; ++k) {
      T* multiplier = row + (b + k - i) * LANES;
      const T* pivot_row = a + (k * width + b) * LANES;
      for (int l = 0; l < LANES; ++l) multiplier[l] *= pivot_row[l];
      const int count = static_cast<int>(smaller(b, n - 1 - k));
      for (int j = 1; j <= count; ++j) {
        for (int l = 0; l < LANES; ++l) multiplier[j * LANES + l] -= multiplier[l] * pivot_row[j * LANES + l];
      }
    }
    T* pivot = row + b * LANES;
    for (int l = 0; l < LANES; ++l) {
      if (!(std::abs(pivot[l]) > T(1e-10) * size[l])) return i;
    }
    for (int l = 0; l < LANES; ++l) pivot[l] = T(1) / pivot[l];
  }
  return n;
}

template <class T, int LANES>
void substitute_general_lanes(std::int64_t n, int b, const T* a, T* x) {
  const int width = 2 * b + 1;
  for (std::int64_t i = 0; i < n; ++i) {
    const T* row = a + (i * width + b - i) * LANES;
    for (std::int64_t k = larger(0, i - b); k < i; ++k) {
      for (int l = 0; l < LANES; ++l) x[i * LANES + l] -= row[k * LANES + l] * x[k * LANES + l];
    }
  }
  for (std::int64_t i = n - 1; i >= 0; --i) {
    const T* row = a + (i * width + b - i) * LANES;
    for (std::int64_t k = i + 1; k <= smaller(n - 1, i + b); ++k) {
      for (int l = 0; l < LANES; ++l) x[i * LANES + l] -= row[k * LANES + l] * x[k * LANES + l];
    }
    for (int l = 0; l < LANES; ++l) x[i * LANES + l] *= row[i * LANES + l];
  }
}

// A group of columns, each with its own matrix alpha A + beta B: by Cholesky from the lower halves of the bands, or,
// for GENERAL matrices, by elimination of whole rows.
template <class T, int LANES, bool GENERAL>
std::int64_t solve_column_group(std::int64_t n, int b, const T* band_a, const T* band_b, int m, int begin, int count,
                                const T* alpha, const T* beta, T* x, T* work) {
  const int width = GENERAL ? 2 * b + 1 : b + 1;
  T* column = work + n * width * LANES;
  T a[LANES], c[LANES];
  for (int l = 0; l < LANES; ++l) {
    a[l] = alpha[begin + (l < count ? l : 0)];
    c[l] = beta[begin + (l < count ? l : 0)];
  }
  for (std::int64_t i = 0; i < n; ++i) {
    for (int j = 0; j < width; ++j) {
      const T va = band_a[i * (2 * b + 1) + j], vb = band_b[i * (2 * b + 1) + j];
      T* entry = work + (i * width + j) * LANES;
      for (int l = 0; l < LANES; ++l) entry[l] = a[l] * va + c[l] * vb;
    }
    for (int l = 0; l < LANES; ++l) column[i * LANES + l] = x[i * m + begin + (l < count ? l : 0)];
  }
  std::int64_t row;
  if constexpr (GENERAL) {
    row = eliminate_lanes<T, LANES>(n, b, work);
  } else {
    row = factor_any<T, LANES>(n, b, work);
  }
  if (row < n) return row;
  if constexpr (GENERAL) {
    substitute_general_lanes<T, LANES>(n, b, work, column);
  } else {
    substitute_lanes<T, LANES, 0>(n, b, work, column);
  }
  for (std::int64_t i = 0; i < n; ++i) {
    for (int l = 0; l < count; ++l) x[i * m + begin + l] = column[i * LANES + l];
  }
  return n;
}

// As many lanes as columns need: idle lanes would cost memory, which counts on axes with a million nodes.
template <class T, bool GENERAL>
std::int64_t banded_solve_columns(std::int64_t n, int b, const T* band_a, const T* band_b, int m, const T* alpha,
                                  const T* beta, T* x, T* work) {
  if (m == 1) return solve_column_group<T, 1, GENERAL>(n, b, band_a, band_b, m, 0, 1, alpha, beta, x, work);
  if (m == 2) return solve_column_group<T, 2, GENERAL>(n, b, band_a, band_b, m, 0, 2, alpha, beta, x, work);
  if (m <= 4) return solve_column_group<T, 4, GENERAL>(n, b, band_a, band_b, m, 0, m, alpha, beta, x, work);
  for (int begin = 0; begin < m; begin += batch_lanes) {
    const int count = static_cast<int>(smaller(batch_lanes, m - begin));
    const std::int64_t row =
        solve_column_group<T, batch_lanes, GENERAL>(n, b, band_a, band_b, m, begin, count, alpha, beta, x, work);
    if (row < n) return row;
  }
  return n;
}

}  // namespace
#endif

}  // namespace inntd
