// Small dense kernels of the alternating solver. All matrices are row-major and contiguous; modes run fastest.
#pragma once

#include <cmath>
#include <cstdint>

#include "inntd/spectral.hpp"

namespace inntd {

template <class T>
struct DenseKernels {
  // out (a, b) = left^T diag(weight) right, with left (n, a), right (n, b); weight may be null (ones).
  void (*gram)(std::int64_t n, int a, int b, const T* left, const T* right, const T* weight, T* out);
  // out (n, b) += scale * diag(weight) left right, with left (n, a), right (a, b); weight may be null.
  void (*multiply_add)(std::int64_t n, int a, int b, const T* left, const T* right, const T* weight, T scale, T* out);
  // out = a * b, elementwise.
  void (*hadamard)(std::int64_t count, const T* a, const T* b, T* out);
  // out += a * b, elementwise.
  void (*hadamard_add)(std::int64_t count, const T* a, const T* b, T* out);
  // For i < n: (sum_j diagonals[j][i] small[j]) x_i = rhs_i with small matrices (m, m), in place in rhs (n, m):
  // Cholesky from the lower halves if symmetric, else elimination without pivoting. Rows whose matrix is not positive
  // definite, or whose pivots are too small, are left untouched and marked in failed (n). Returns how many. work: (m *
  // m + m) * batch_lanes.
  std::int64_t (*solve_pencils)(std::int64_t n, int m, int count, const T* const* diagonals, const T* const* small,
                                bool symmetric, T* rhs, bool* failed, T* work);
  // Gaussian elimination with partial pivoting: a (m, m) is destroyed, rhs (m, count) becomes the solution. False if
  // singular.
  bool (*solve_general)(int m, int count, T* a, T* rhs);
  // Lower Cholesky factor in place; false when a pivot is not positive.
  bool (*cholesky)(int m, T* a);
  // Eigenvalues, in no order, and orthonormal eigenvectors (columns of vectors) of a symmetric matrix. a (m, m) is
  // destroyed. work: m * m + 3 * m.
  void (*eigen)(int m, T* a, T* values, T* vectors, T* work);
  // The same by Jacobi rotations: slower, and small eigenvalues of graded matrices keep their relative accuracy.
  void (*jacobi)(int m, T* a, T* values, T* vectors, T* work);
  // a = q h q^T with orthogonal q (m, m) and h, in place of a, zero below its first subdiagonal. work: 2 * m.
  void (*hessenberg)(int m, T* a, T* q, T* work);
  // For i < n: (I + shifts[i] h) x_i = rhs_i in place in rhs (n, m), h as above. work: (m * m + m) * batch_lanes.
  void (*solve_shifted)(std::int64_t n, int m, const T* h, const T* shifts, T* rhs, T* work);
};

#ifdef INNTD_KERNEL_SOURCE
namespace {

// Eight rows at a time: each entry of the output is loaded and stored once for eight products.
template <class T>
void gram(std::int64_t n, int a, int b, const T* left, const T* right, const T* weight, T* out) {
  for (int i = 0; i < a * b; ++i) out[i] = T(0);
  std::int64_t row = 0;
  for (; row + 8 <= n; row += 8) {
    const T* r = right + row * b;
    for (int p = 0; p < a; ++p) {
      T l[8];
      for (int k = 0; k < 8; ++k) {
        l[k] = (weight != nullptr ? weight[row + k] : T(1)) * left[(row + k) * a + p];
      }
      T* o = out + p * b;
      for (int q = 0; q < b; ++q) {
        o[q] += ((l[0] * r[q] + l[1] * r[b + q]) + (l[2] * r[2 * b + q] + l[3] * r[3 * b + q])) +
                ((l[4] * r[4 * b + q] + l[5] * r[5 * b + q]) + (l[6] * r[6 * b + q] + l[7] * r[7 * b + q]));
      }
    }
  }
  for (; row < n; ++row) {
    const T w = weight != nullptr ? weight[row] : T(1);
    for (int p = 0; p < a; ++p) {
      const T value = w * left[row * a + p];
      for (int q = 0; q < b; ++q) out[p * b + q] += value * right[row * b + q];
    }
  }
}

template <class T>
void multiply_add(std::int64_t n, int a, int b, const T* left, const T* right, const T* weight, T scale, T* out) {
  for (std::int64_t row = 0; row < n; ++row) {
    const T w = weight != nullptr ? scale * weight[row] : scale;
    const T* l = left + row * a;
    T* o = out + row * b;
    int p = 0;
    for (; p + 4 <= a; p += 4) {
      const T l0 = w * l[p], l1 = w * l[p + 1], l2 = w * l[p + 2], l3 = w * l[p + 3];
      const T* r0 = right + p * b;
      const T* r1 = r0 + b;
      const T* r2 = r1 + b;
      const T* r3 = r2 + b;
      for (int q = 0; q < b; ++q) o[q] += l0 * r0[q] + l1 * r1[q] + l2 * r2[q] + l3 * r3[q];
    }
    for (; p < a; ++p) {
      const T value = w * l[p];
      const T* r = right + p * b;
      for (int q = 0; q < b; ++q) o[q] += value * r[q];
    }
  }
}

template <class T>
void hadamard(std::int64_t count, const T* a, const T* b, T* out) {
  for (std::int64_t i = 0; i < count; ++i) out[i] = a[i] * b[i];
}

template <class T>
void hadamard_add(std::int64_t count, const T* a, const T* b, T* out) {
  for (std::int64_t i = 0; i < count; ++i) out[i] += a[i] * b[i];
}

// Cholesky and both substitutions for batch_lanes systems at once: entry (p, q) of all lanes lies side by side, so
// that every line of the textbook algorithm becomes one SIMD instruction. Bit l of the answer is set when lane l has
// a pivot that is not positive.
template <class T>
unsigned solve_lanes(int m, T* a, T* x) {
  constexpr int L = batch_lanes;
  unsigned bad = 0;
  for (int k = 0; k < m; ++k) {
    T* pivot = a + (k * m + k) * L;
    T inverse[L];
    for (int l = 0; l < L; ++l) bad |= pivot[l] > T(0) ? 0u : 1u << l;
    for (int l = 0; l < L; ++l) inverse[l] = T(1) / std::sqrt(pivot[l] > T(0) ? pivot[l] : T(1));
    for (int l = 0; l < L; ++l) pivot[l] = inverse[l];
    for (int i = k + 1; i < m; ++i) {
      T* entry = a + (i * m + k) * L;
      for (int l = 0; l < L; ++l) entry[l] *= inverse[l];
    }
    for (int i = k + 1; i < m; ++i) {
      const T* factor = a + (i * m + k) * L;
      for (int j = k + 1; j <= i; ++j) {
        const T* other = a + (j * m + k) * L;
        T* entry = a + (i * m + j) * L;
        for (int l = 0; l < L; ++l) entry[l] -= factor[l] * other[l];
      }
    }
  }
  for (int i = 0; i < m; ++i) {
    T* xi = x + i * L;
    for (int j = 0; j < i; ++j) {
      for (int l = 0; l < L; ++l) xi[l] -= a[(i * m + j) * L + l] * x[j * L + l];
    }
    for (int l = 0; l < L; ++l) xi[l] *= a[(i * m + i) * L + l];
  }
  for (int i = m - 1; i >= 0; --i) {
    T* xi = x + i * L;
    for (int j = i + 1; j < m; ++j) {
      for (int l = 0; l < L; ++l) xi[l] -= a[(j * m + i) * L + l] * x[j * L + l];
    }
    for (int l = 0; l < L; ++l) xi[l] *= a[(i * m + i) * L + l];
  }
  return bad;
}

// The same by elimination without pivoting, for matrices that are not symmetric. Bit l of the answer is set when lane l
// has a pivot that lost ten digits against its row.
template <class T>
unsigned solve_general_lanes(int m, T* a, T* x) {
  constexpr int L = batch_lanes;
  unsigned bad = 0;
  for (int k = 0; k < m; ++k) {
    T* row = a + k * m * L;
    T inverse[L], size[L] = {};
    for (int j = k; j < m; ++j) {
      for (int l = 0; l < L; ++l) size[l] = size[l] > std::abs(row[j * L + l]) ? size[l] : std::abs(row[j * L + l]);
    }
    for (int l = 0; l < L; ++l) bad |= std::abs(row[k * L + l]) > T(1e-10) * size[l] ? 0u : 1u << l;
    for (int l = 0; l < L; ++l) inverse[l] = row[k * L + l] != T(0) ? T(1) / row[k * L + l] : T(1);
    for (int i = k + 1; i < m; ++i) {
      T* target = a + i * m * L;
      T factor[L];
      for (int l = 0; l < L; ++l) factor[l] = target[k * L + l] * inverse[l];
      for (int j = k + 1; j < m; ++j) {
        for (int l = 0; l < L; ++l) target[j * L + l] -= factor[l] * row[j * L + l];
      }
      for (int l = 0; l < L; ++l) x[i * L + l] -= factor[l] * x[k * L + l];
    }
    for (int l = 0; l < L; ++l) row[k * L + l] = inverse[l];
  }
  for (int i = m - 1; i >= 0; --i) {
    const T* row = a + i * m * L;
    T* xi = x + i * L;
    for (int j = i + 1; j < m; ++j) {
      for (int l = 0; l < L; ++l) xi[l] -= row[j * L + l] * x[j * L + l];
    }
    for (int l = 0; l < L; ++l) xi[l] *= row[i * L + l];
  }
  return bad;
}

template <class T>
std::int64_t solve_pencils(std::int64_t n, int m, int count, const T* const* diagonals, const T* const* small,
                           bool symmetric, T* rhs, bool* failed, T* work) {
  constexpr int L = batch_lanes;
  T* a = work;
  T* x = work + std::int64_t{m} * m * L;
  std::int64_t failures = 0;
  for (std::int64_t begin = 0; begin < n; begin += L) {
    const int lanes = n - begin < L ? static_cast<int>(n - begin) : L;
    for (int j = 0; j < count; ++j) {
      T d[L];
      for (int l = 0; l < L; ++l) d[l] = diagonals[j][begin + (l < lanes ? l : 0)];
      for (int p = 0; p < m; ++p) {
        for (int q = 0; q < (symmetric ? p + 1 : m); ++q) {
          const T s = small[j][p * m + q];
          T* entry = a + (p * m + q) * L;
          if (j == 0) {
            for (int l = 0; l < L; ++l) entry[l] = d[l] * s;
          } else {
            for (int l = 0; l < L; ++l) entry[l] += d[l] * s;
          }
        }
      }
    }
    for (int p = 0; p < m; ++p) {
      for (int l = 0; l < L; ++l) x[p * L + l] = rhs[(begin + (l < lanes ? l : 0)) * m + p];
    }
    const unsigned bad = symmetric ? solve_lanes(m, a, x) : solve_general_lanes(m, a, x);
    for (int l = 0; l < lanes; ++l) {
      failed[begin + l] = (bad >> l & 1u) != 0;
      failures += failed[begin + l] ? 1 : 0;
      if (failed[begin + l]) continue;
      for (int p = 0; p < m; ++p) rhs[(begin + l) * m + p] = x[p * L + l];
    }
  }
  return failures;
}

template <class T>
bool solve_general(int m, int count, T* a, T* rhs) {
  for (int k = 0; k < m; ++k) {
    int best = k;
    for (int i = k + 1; i < m; ++i) {
      if (std::abs(a[i * m + k]) > std::abs(a[best * m + k])) best = i;
    }
    if (!(std::abs(a[best * m + k]) > T(0))) return false;
    if (best != k) {
      swap_entries(m - k, a + k * m + k, a + best * m + k);
      swap_entries(count, rhs + k * count, rhs + best * count);
    }
    const T inverse = T(1) / a[k * m + k];
    for (int i = k + 1; i < m; ++i) {
      const T factor = a[i * m + k] * inverse;
      for (int j = k + 1; j < m; ++j) a[i * m + j] -= factor * a[k * m + j];
      for (int p = 0; p < count; ++p) rhs[i * count + p] -= factor * rhs[k * count + p];
    }
  }
  for (int i = m - 1; i >= 0; --i) {
    for (int j = i + 1; j < m; ++j) {
      const T value = a[i * m + j];
      for (int p = 0; p < count; ++p) rhs[i * count + p] -= value * rhs[j * count + p];
    }
    const T inverse = T(1) / a[i * m + i];
    for (int p = 0; p < count; ++p) rhs[i * count + p] *= inverse;
  }
  return true;
}

template <class T>
bool cholesky(int m, T* a) {
  for (int k = 0; k < m; ++k) {
    if (!(a[k * m + k] > T(0))) return false;
    const T pivot = std::sqrt(a[k * m + k]);
    const T inverse = T(1) / pivot;
    a[k * m + k] = pivot;
    for (int i = k + 1; i < m; ++i) a[i * m + k] *= inverse;
    for (int i = k + 1; i < m; ++i) {
      for (int j = k + 1; j <= i; ++j) a[i * m + j] -= a[i * m + k] * a[j * m + k];
    }
  }
  return true;
}

template <class T>
constexpr DenseKernels<T> make_dense_kernels() {
  return {&gram<T>,     &multiply_add<T>, &hadamard<T>,     &hadamard_add<T>, &solve_pencils<T>, &solve_general<T>,
          &cholesky<T>, &eigen<T>,        &jacobi_eigen<T>, &hessenberg<T>,   &solve_shifted<T>};
}

}  // namespace
#endif

}  // namespace inntd
