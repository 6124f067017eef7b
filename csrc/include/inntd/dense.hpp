// Small dense kernels of the alternating solver. All matrices are row-major and contiguous; modes run fastest.
#pragma once

#include <cmath>
#include <cstdint>

namespace inntd {

// Systems that are solved side by side, one per SIMD lane.
inline constexpr int batch_lanes = 8;

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
  // For i < n: (sum_j diagonals[j][i] small[j]) x_i = rhs_i with symmetric small matrices (m, m), in place in rhs
  // (n, m). Cholesky. Rows whose matrix is not positive definite are left untouched and marked in failed (n).
  // Returns how many failed. work: (m * m + m) * batch_lanes.
  std::int64_t (*solve_pencils)(std::int64_t n, int m, int count, const T* const* diagonals, const T* const* small,
                                T* rhs, bool* failed, T* work);
  // Gaussian elimination with partial pivoting: a (m, m) is destroyed, rhs (m) becomes the solution. False if singular.
  bool (*solve_general)(int m, T* a, T* rhs);
  // Lower Cholesky factor in place; false when a pivot is not positive.
  bool (*cholesky)(int m, T* a);
  // Eigenvalues and orthonormal eigenvectors (columns of vectors) of a symmetric matrix, by Jacobi rotations.
  // a (m, m) is destroyed.
  void (*eigen)(int m, T* a, T* values, T* vectors);
};

#ifdef INNTD_KERNEL_SOURCE
namespace {

// Four rows of the output at a time: the right-hand rows are loaded once for four left-hand columns.
template <class T>
void gram(std::int64_t n, int a, int b, const T* left, const T* right, const T* weight, T* out) {
  for (int i = 0; i < a * b; ++i) out[i] = T(0);
  for (std::int64_t row = 0; row < n; ++row) {
    const T w = weight != nullptr ? weight[row] : T(1);
    const T* l = left + row * a;
    const T* r = right + row * b;
    int p = 0;
    for (; p + 4 <= a; p += 4) {
      const T l0 = w * l[p], l1 = w * l[p + 1], l2 = w * l[p + 2], l3 = w * l[p + 3];
      T* o0 = out + p * b;
      T* o1 = o0 + b;
      T* o2 = o1 + b;
      T* o3 = o2 + b;
      for (int q = 0; q < b; ++q) {
        const T value = r[q];
        o0[q] += l0 * value;
        o1[q] += l1 * value;
        o2[q] += l2 * value;
        o3[q] += l3 * value;
      }
    }
    for (; p < a; ++p) {
      const T value = w * l[p];
      T* o = out + p * b;
      for (int q = 0; q < b; ++q) o[q] += value * r[q];
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

template <class T>
std::int64_t solve_pencils(std::int64_t n, int m, int count, const T* const* diagonals, const T* const* small, T* rhs,
                           bool* failed, T* work) {
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
        for (int q = 0; q <= p; ++q) {
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
    const unsigned bad = solve_lanes(m, a, x);
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
bool solve_general(int m, T* a, T* rhs) {
  for (int k = 0; k < m; ++k) {
    int best = k;
    for (int i = k + 1; i < m; ++i) {
      if (std::abs(a[i * m + k]) > std::abs(a[best * m + k])) best = i;
    }
    if (!(std::abs(a[best * m + k]) > T(0))) return false;
    if (best != k) {
      for (int j = k; j < m; ++j) {
        const T swap = a[k * m + j];
        a[k * m + j] = a[best * m + j];
        a[best * m + j] = swap;
      }
      const T swap = rhs[k];
      rhs[k] = rhs[best];
      rhs[best] = swap;
    }
    const T inverse = T(1) / a[k * m + k];
    for (int i = k + 1; i < m; ++i) {
      const T factor = a[i * m + k] * inverse;
      for (int j = k + 1; j < m; ++j) a[i * m + j] -= factor * a[k * m + j];
      rhs[i] -= factor * rhs[k];
    }
  }
  for (int i = m - 1; i >= 0; --i) {
    for (int j = i + 1; j < m; ++j) rhs[i] -= a[i * m + j] * rhs[j];
    rhs[i] /= a[i * m + i];
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

// Cyclic Jacobi: short, and accurate to the last digit also for small eigenvalues of positive matrices.
template <class T>
void eigen(int m, T* a, T* values, T* vectors) {
  for (int i = 0; i < m * m; ++i) vectors[i] = T(0);
  for (int i = 0; i < m; ++i) vectors[i * m + i] = T(1);
  for (int round = 0; round < 30; ++round) {
    bool rotated = false;
    for (int p = 0; p < m; ++p) {
      for (int q = p + 1; q < m; ++q) {
        const T off = a[p * m + q];
        const T scale = std::sqrt(std::abs(a[p * m + p] * a[q * m + q]));
        if (std::abs(off) <= T(1e-16) * scale || off == T(0)) continue;
        rotated = true;
        const T theta = (a[q * m + q] - a[p * m + p]) / (T(2) * off);
        const T t = (theta >= T(0) ? T(1) : T(-1)) / (std::abs(theta) + std::sqrt(theta * theta + T(1)));
        const T c = T(1) / std::sqrt(t * t + T(1)), s = t * c;
        for (int k = 0; k < m; ++k) {
          const T x = a[p * m + k], y = a[q * m + k];
          a[p * m + k] = c * x - s * y;
          a[q * m + k] = s * x + c * y;
        }
        for (int k = 0; k < m; ++k) {
          const T x = a[k * m + p], y = a[k * m + q];
          a[k * m + p] = c * x - s * y;
          a[k * m + q] = s * x + c * y;
          const T v = vectors[k * m + p], w = vectors[k * m + q];
          vectors[k * m + p] = c * v - s * w;
          vectors[k * m + q] = s * v + c * w;
        }
      }
    }
    if (!rotated) break;
  }
  for (int i = 0; i < m; ++i) values[i] = a[i * m + i];
}

template <class T>
constexpr DenseKernels<T> make_dense_kernels() {
  return {&gram<T>,          &multiply_add<T>,  &hadamard<T>, &hadamard_add<T>,
          &solve_pencils<T>, &solve_general<T>, &cholesky<T>, &eigen<T>};
}

}  // namespace
#endif

}  // namespace inntd
