// Banded matrices in row storage: band[i * (2 b + 1) + b + j - i] = A[i, j], half-bandwidth b.
#pragma once

#include <cmath>
#include <cstdint>

#include "inntd/banded_lanes.hpp"
#include "inntd/dense.hpp"

namespace inntd {

template <class T>
struct BandedKernels {
  // out (n, m) = A x with x (n, m).
  void (*multiply)(std::int64_t n, int b, const T* band, int m, const T* x, T* out);
  // Lower factor of A = L L^T into factor (n, b + 1), factor[i * (b + 1) + b + j - i] = L[i, j]; the diagonal holds
  // 1 / L[i, i]. Only the lower half of the band is read. Returns n, or the first row with a pivot not positive.
  std::int64_t (*cholesky)(std::int64_t n, int b, const T* band, T* factor);
  // Solves L L^T x = x in place, x (n, m).
  void (*cholesky_solve)(std::int64_t n, int b, const T* factor, int m, T* x);
  // For each of m columns its own matrix alpha[p] A + beta[p] B (symmetric, positive definite), solved in place in
  // x (n, m). work: n * (b + 2) * column_lanes(m). Returns n, or the first failing row.
  std::int64_t (*solve_columns)(std::int64_t n, int b, const T* band_a, const T* band_b, int m, const T* alpha,
                                const T* beta, T* x, T* work);
  // The same for matrices that are not symmetric, by LU without pivoting: for a positive definite symmetric part, as a
  // first-order time derivative with an initial value and a decaying operator have it. work: n * (2 b + 2) *
  // column_lanes(m). Returns n, or the first row whose pivot is too small for that.
  std::int64_t (*solve_columns_general)(std::int64_t n, int b, const T* band_a, const T* band_b, int m, const T* alpha,
                                        const T* beta, T* x, T* work);
  // LU without pivoting of a band (n, 2 b + 1) in place, the diagonal of U inverted, for wide bands: eight pivots at a
  // time. Returns n, or the first row whose pivot lost ten digits against its row.
  std::int64_t (*lu_plain)(std::int64_t n, int b, T* a);
  // Solves with it in place, one column x (n).
  void (*lu_plain_solve)(std::int64_t n, int b, const T* a, T* x);
  // LU with partial pivoting of a (n, 3 b + 1): a[i * (3 b + 1) + b + j - i] = A[i, j]; the last b columns of each row
  // receive fill. The multipliers replace the entries that they eliminate. Returns n, or the first singular row.
  std::int64_t (*lu)(std::int64_t n, int b, T* a, std::int64_t* pivot);
  // Solves A x = x, or A^T x = x, in place, x (n, m).
  void (*lu_solve)(std::int64_t n, int b, const T* a, const std::int64_t* pivot, int m, T* x, bool transpose);
};

#ifdef INNTD_KERNEL_SOURCE
namespace {

// One column: four partial sums a row, since the loop over columns below would do one product a turn.
template <class T>
void banded_multiply_vector(std::int64_t n, int b, const T* band, const T* x, T* out) {
  const int width = 2 * b + 1;
  for (std::int64_t i = 0; i < n; ++i) {
    const int first = static_cast<int>(larger(0, b - i)), last = static_cast<int>(smaller(width, b + n - i));
    const T* row = band + i * width;
    const T* source = x + i - b;
    T sum[4] = {};
    int k = first;
    for (; k + 4 <= last; k += 4) {
      for (int l = 0; l < 4; ++l) sum[l] += row[k + l] * source[k + l];
    }
    for (; k < last; ++k) sum[0] += row[k] * source[k];
    out[i] = (sum[0] + sum[1]) + (sum[2] + sum[3]);
  }
}

// M columns of m, M known to the compiler: the sums stay in registers.
template <class T, int M>
void banded_multiply_few(std::int64_t n, int b, const T* band, int m, const T* x, T* out) {
  const int width = 2 * b + 1;
  for (std::int64_t i = 0; i < n; ++i) {
    const int first = static_cast<int>(larger(0, b - i)), last = static_cast<int>(smaller(width, b + n - i));
    const T* source = x + (i - b) * m;
    T sum[M] = {};
    for (int k = first; k < last; ++k) {
      const T value = band[i * width + k];
      for (int p = 0; p < M; ++p) sum[p] += value * source[k * m + p];
    }
    for (int p = 0; p < M; ++p) out[i * m + p] = sum[p];
  }
}

// Two or four columns as one vector: the compiler makes shuffles of the loops above.
template <class T, int M>
void banded_multiply_lanes(std::int64_t n, int b, const T* band, int m, const T* x, T* out) {
  typedef T Lanes __attribute__((vector_size(M * sizeof(T)), aligned(sizeof(T)), may_alias));
  const int width = 2 * b + 1;
  for (std::int64_t i = 0; i < n; ++i) {
    const int first = static_cast<int>(larger(0, b - i)), last = static_cast<int>(smaller(width, b + n - i));
    const T* source = x + (i - b) * m;
    Lanes sum = {};
    for (int k = first; k < last; ++k) {
      sum += band[i * width + k] * *reinterpret_cast<const Lanes*>(source + k * m);
    }
    *reinterpret_cast<Lanes*>(out + i * m) = sum;
  }
}

template <class T>
void banded_multiply(std::int64_t n, int b, const T* band, int m, const T* x, T* out) {
  if (m == 1) return banded_multiply_vector(n, b, band, x, out);
  int p = 0;
  for (; p + 32 <= m; p += 32) banded_multiply_few<T, 32>(n, b, band, m, x + p, out + p);
  for (; p + 8 <= m; p += 8) banded_multiply_few<T, 8>(n, b, band, m, x + p, out + p);
  for (; p + 4 <= m; p += 4) banded_multiply_lanes<T, 4>(n, b, band, m, x + p, out + p);
  for (; p + 2 <= m; p += 2) banded_multiply_lanes<T, 2>(n, b, band, m, x + p, out + p);
  if (p < m) banded_multiply_few<T, 1>(n, b, band, m, x + p, out + p);
}

template <class T>
std::int64_t banded_cholesky(std::int64_t n, int b, const T* band, T* factor) {
  for (std::int64_t i = 0; i < n; ++i) {
    for (int j = 0; j <= b; ++j) factor[i * (b + 1) + j] = band[i * (2 * b + 1) + j];
  }
  return factor_any<T, 1>(n, b, factor);
}

template <class T>
void banded_cholesky_solve(std::int64_t n, int b, const T* factor, int m, T* x) {
  const int width = b + 1;
  for (std::int64_t i = 0; i < n; ++i) {
    const T* row = factor + i * width;
    T* xi = x + i * m;
    for (std::int64_t j = larger(0, i - b); j < i; ++j) {
      const T value = row[b + j - i];
      const T* xj = x + j * m;
      for (int p = 0; p < m; ++p) xi[p] -= value * xj[p];
    }
    for (int p = 0; p < m; ++p) xi[p] *= row[b];
  }
  for (std::int64_t i = n - 1; i >= 0; --i) {
    const T* row = factor + i * width;
    T* xi = x + i * m;
    for (int p = 0; p < m; ++p) xi[p] *= row[b];
    for (std::int64_t j = larger(0, i - b); j < i; ++j) {
      const T value = row[b + j - i];
      T* xj = x + j * m;
      for (int p = 0; p < m; ++p) xj[p] -= value * xi[p];
    }
  }
}

// Eliminates rows k .. k + count - 1 from each other, then all eight at once from the rows below: each row of the
// trailing part is loaded and stored once for eight pivots.
template <class T>
std::int64_t banded_lu_plain(std::int64_t n, int b, T* a) {
  constexpr int P = 8;
  const std::int64_t width = 2 * b + 1;
  // at(i, j) = a[i * width + b + j - i]
  const auto row_of = [a, width, b](std::int64_t i) { return a + i * width + b - i; };
  for (std::int64_t k = 0; k < n; k += P) {
    const std::int64_t end = smaller(k + P, n);
    for (std::int64_t p = k; p < end; ++p) {
      T* pivot = row_of(p);
      for (std::int64_t q = larger(k, p - b); q < p; ++q) {
        const T* upper = row_of(q);
        const T factor = pivot[q] *= upper[q];
        for (std::int64_t j = q + 1; j <= smaller(n - 1, q + b); ++j) pivot[j] -= factor * upper[j];
      }
      T size = T(0);
      for (std::int64_t j = p; j <= smaller(n - 1, p + b); ++j)
        size = size > std::abs(pivot[j]) ? size : std::abs(pivot[j]);
      if (!(std::abs(pivot[p]) > T(1e-10) * size)) return p;
      pivot[p] = T(1) / pivot[p];
    }
    for (std::int64_t i = end; i <= smaller(n - 1, end - 1 + b); ++i) {
      T* target = row_of(i);
      T factors[P] = {};
      const T* uppers[P];
      for (int p = 0; p < P; ++p) uppers[p] = row_of(smaller(k + p, end - 1));
      const std::int64_t first = larger(k, i - b);
      for (std::int64_t q = first; q < end; ++q) {
        T value = target[q];
        for (std::int64_t r = first; r < q; ++r) value -= factors[r - k] * row_of(r)[q];
        factors[q - k] = value * row_of(q)[q];
        target[q] = factors[q - k];
      }
      // The band of pivot row k + p ends p columns further right than that of row k.
      const std::int64_t common = smaller(n - 1, k + b), last = smaller(n - 1, end - 1 + b);
      if (first == k && end - k == P) {
#ifdef __GNUC__
#pragma GCC ivdep
#endif
        for (std::int64_t j = end; j <= common; ++j) {
          target[j] -= ((factors[0] * uppers[0][j] + factors[1] * uppers[1][j]) +
                        (factors[2] * uppers[2][j] + factors[3] * uppers[3][j])) +
                       ((factors[4] * uppers[4][j] + factors[5] * uppers[5][j]) +
                        (factors[6] * uppers[6][j] + factors[7] * uppers[7][j]));
        }
        for (std::int64_t q = k + 1; q < end; ++q) {
          for (std::int64_t j = larger(end, common + 1); j <= smaller(last, q + b); ++j) {
            target[j] -= factors[q - k] * row_of(q)[j];
          }
        }
      } else {
        for (std::int64_t q = first; q < end; ++q) {
          for (std::int64_t j = end; j <= smaller(last, q + b); ++j) target[j] -= factors[q - k] * row_of(q)[j];
        }
      }
    }
  }
  return n;
}

template <class T>
void banded_lu_plain_solve(std::int64_t n, int b, const T* a, T* x) {
  const std::int64_t width = 2 * b + 1;
  const auto product = [](const T* row, const T* y, std::int64_t first, std::int64_t last) {
    T sum[8] = {};
    std::int64_t j = first;
    for (; j + 8 <= last; j += 8) {
      for (int l = 0; l < 8; ++l) sum[l] += row[j + l] * y[j + l];
    }
    for (; j < last; ++j) sum[0] += row[j] * y[j];
    return ((sum[0] + sum[1]) + (sum[2] + sum[3])) + ((sum[4] + sum[5]) + (sum[6] + sum[7]));
  };
  for (std::int64_t i = 0; i < n; ++i) x[i] -= product(a + i * width + b - i, x, larger(0, i - b), i);
  for (std::int64_t i = n - 1; i >= 0; --i) {
    const T* row = a + i * width + b - i;
    x[i] = (x[i] - product(row, x, i + 1, smaller(n, i + b + 1))) * row[i];
  }
}

template <class T>
std::int64_t banded_lu(std::int64_t n, int b, T* a, std::int64_t* pivot) {
  const int width = 3 * b + 1;
  // Row i holds columns i - b .. i + 2 b.
  for (std::int64_t k = 0; k < n; ++k) {
    const std::int64_t last_row = smaller(n - 1, k + b), last_column = smaller(n - 1, k + 2 * b);
    std::int64_t best = k;
    for (std::int64_t i = k + 1; i <= last_row; ++i) {
      if (std::abs(a[i * width + b + k - i]) > std::abs(a[best * width + b + k - best])) best = i;
    }
    pivot[k] = best;
    if (!(std::abs(a[best * width + b + k - best]) > T(0))) return k;
    if (best != k) {
      for (std::int64_t j = k; j <= last_column; ++j) {
        const T swap = a[k * width + b + j - k];
        a[k * width + b + j - k] = a[best * width + b + j - best];
        a[best * width + b + j - best] = swap;
      }
    }
    const T inverse = T(1) / a[k * width + b];
    for (std::int64_t i = k + 1; i <= last_row; ++i) {
      const T factor = a[i * width + b + k - i] * inverse;
      a[i * width + b + k - i] = factor;
      if (factor == T(0)) continue;
      T* target = a + i * width + b - i;
      const T* source = a + k * width + b - k;
      for (std::int64_t j = k + 1; j <= last_column; ++j) target[j] -= factor * source[j];
    }
  }
  return n;
}

template <class T>
void banded_lu_solve(std::int64_t n, int b, const T* a, const std::int64_t* pivot, int m, T* x, bool transpose) {
  const int width = 3 * b + 1;
  if (!transpose) {
    for (std::int64_t k = 0; k < n; ++k) {
      if (pivot[k] != k) swap_entries(m, x + k * m, x + pivot[k] * m);
      for (std::int64_t i = k + 1; i <= smaller(n - 1, k + b); ++i) {
        const T factor = a[i * width + b + k - i];
        for (int p = 0; p < m; ++p) x[i * m + p] -= factor * x[k * m + p];
      }
    }
    for (std::int64_t k = n - 1; k >= 0; --k) {
      for (std::int64_t j = k + 1; j <= smaller(n - 1, k + 2 * b); ++j) {
        const T value = a[k * width + b + j - k];
        for (int p = 0; p < m; ++p) x[k * m + p] -= value * x[j * m + p];
      }
      const T inverse = T(1) / a[k * width + b];
      for (int p = 0; p < m; ++p) x[k * m + p] *= inverse;
    }
    return;
  }
  for (std::int64_t k = 0; k < n; ++k) {
    const T inverse = T(1) / a[k * width + b];
    for (int p = 0; p < m; ++p) x[k * m + p] *= inverse;
    for (std::int64_t j = k + 1; j <= smaller(n - 1, k + 2 * b); ++j) {
      const T value = a[k * width + b + j - k];
      for (int p = 0; p < m; ++p) x[j * m + p] -= value * x[k * m + p];
    }
  }
  for (std::int64_t k = n - 1; k >= 0; --k) {
    for (std::int64_t i = k + 1; i <= smaller(n - 1, k + b); ++i) {
      const T factor = a[i * width + b + k - i];
      for (int p = 0; p < m; ++p) x[k * m + p] -= factor * x[i * m + p];
    }
    if (pivot[k] != k) swap_entries(m, x + k * m, x + pivot[k] * m);
  }
}

template <class T>
constexpr BandedKernels<T> make_banded_kernels() {
  return {&banded_multiply<T>,
          &banded_cholesky<T>,
          &banded_cholesky_solve<T>,
          &banded_solve_columns<T, false>,
          &banded_solve_columns<T, true>,
          &banded_lu_plain<T>,
          &banded_lu_plain_solve<T>,
          &banded_lu<T>,
          &banded_lu_solve<T>};
}

}  // namespace
#endif

}  // namespace inntd
