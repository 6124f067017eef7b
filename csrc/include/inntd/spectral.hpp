// Spectral forms of the small matrices of the alternating solver: symmetric eigenproblems, Hessenberg form.
#pragma once

#include <cmath>
#include <cstdint>

namespace inntd {

// Systems that are solved side by side, one per SIMD lane.
inline constexpr int batch_lanes = 8;

#ifdef INNTD_KERNEL_SOURCE
namespace {

template <class T>
void swap_entries(int count, T* x, T* y) {
  for (int p = 0; p < count; ++p) {
    const T swap = x[p];
    x[p] = y[p];
    y[p] = swap;
  }
}

// Cyclic Jacobi: short, and accurate to the last digit also for small eigenvalues of positive matrices.
template <class T>
void jacobi_eigen(int m, T* a, T* values, T* vectors, T*) {
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

// Householder reflections to tridiagonal form: diagonal, off[1 .. m-1], and the transposed orthogonal matrix in
// vectors (one row per basis vector). All inner loops run along rows. a is destroyed; work: 2 m.
template <class T>
void tridiagonalise(int m, T* a, T* diagonal, T* off, T* vectors, T* work) {
  T* v = work;
  T* w = work + m;
  for (int i = 0; i < m * m; ++i) vectors[i] = T(0);
  for (int i = 0; i < m; ++i) vectors[i * m + i] = T(1);
  for (int k = 0; k + 1 < m; ++k) {
    T square = T(0);
    for (int i = k + 2; i < m; ++i) square += a[k * m + i] * a[k * m + i];
    const T head = a[k * m + k + 1];
    diagonal[k] = a[k * m + k];
    if (!(square > T(0))) {
      off[k + 1] = head;
      continue;
    }
    const T length = std::sqrt(head * head + square);
    off[k + 1] = head > T(0) ? -length : length;
    // The reflection I - tau v v^T takes row k to off e_{k+1}.
    for (int i = k + 1; i < m; ++i) v[i] = a[k * m + i];
    v[k + 1] -= off[k + 1];
    const T tau = T(2) / (v[k + 1] * v[k + 1] + square);
    for (int i = k + 1; i < m; ++i) w[i] = T(0);
    for (int j = k + 1; j < m; ++j) {
      const T value = tau * v[j];
      for (int i = k + 1; i < m; ++i) w[i] += value * a[j * m + i];
    }
    T projection = T(0);
    for (int i = k + 1; i < m; ++i) projection += w[i] * v[i];
    projection *= T(0.5) * tau;
    for (int i = k + 1; i < m; ++i) w[i] -= projection * v[i];
    for (int j = k + 1; j < m; ++j) {
      const T vj = v[j], wj = w[j];
      for (int i = k + 1; i < m; ++i) a[j * m + i] -= vj * w[i] + wj * v[i];
    }
    for (int i = 0; i < m; ++i) w[i] = T(0);
    for (int j = k + 1; j < m; ++j) {
      for (int i = 0; i < m; ++i) w[i] += v[j] * vectors[j * m + i];
    }
    for (int j = k + 1; j < m; ++j) {
      const T value = tau * v[j];
      for (int i = 0; i < m; ++i) vectors[j * m + i] -= value * w[i];
    }
  }
  diagonal[m - 1] = a[(m - 1) * m + m - 1];
}

// Implicit QL iterations on a tridiagonal matrix; rotations act on neighbouring rows of vectors. False when an
// eigenvalue does not settle in 60 iterations.
template <class T>
bool ql_iterate(int m, T* diagonal, T* off, T* vectors) {
  for (int i = 1; i < m; ++i) off[i - 1] = off[i];
  off[m - 1] = T(0);
  for (int l = 0; l < m; ++l) {
    for (int turn = 0;; ++turn) {
      int end = l;
      while (end + 1 < m && std::abs(off[end]) > T(1e-16) * (std::abs(diagonal[end]) + std::abs(diagonal[end + 1])))
        ++end;
      if (end == l) break;
      if (turn == 60) return false;
      T g = (diagonal[l + 1] - diagonal[l]) / (T(2) * off[l]);
      T r = std::sqrt(g * g + T(1));
      g = diagonal[end] - diagonal[l] + off[l] / (g + (g >= T(0) ? r : -r));
      T s = T(1), c = T(1), p = T(0);
      int i = end - 1;
      for (; i >= l; --i) {
        const T f = s * off[i], b = c * off[i];
        r = std::sqrt(f * f + g * g);
        off[i + 1] = r;
        if (r == T(0)) {
          diagonal[i + 1] -= p;
          off[end] = T(0);
          break;
        }
        s = f / r;
        c = g / r;
        g = diagonal[i + 1] - p;
        r = (diagonal[i] - g) * s + T(2) * c * b;
        p = s * r;
        diagonal[i + 1] = g + p;
        g = c * r - b;
        T* upper = vectors + (i + 1) * m;
        T* lower = vectors + i * m;
        for (int k = 0; k < m; ++k) {
          const T x = upper[k], y = lower[k];
          upper[k] = s * y + c * x;
          lower[k] = c * y - s * x;
        }
      }
      if (r == T(0) && i >= l) continue;
      diagonal[l] -= p;
      off[l] = g;
      off[end] = T(0);
    }
  }
  return true;
}

// Jacobi for small matrices; from there on tridiagonal form and QL, which costs a sixth.
template <class T>
void eigen(int m, T* a, T* values, T* vectors, T* work) {
  if (m > 8) {
    T* copy = work + 3 * m;
    for (int i = 0; i < m * m; ++i) copy[i] = a[i];
    tridiagonalise(m, a, values, work, vectors, work + m);
    if (ql_iterate(m, values, work, vectors)) {
      for (int i = 0; i < m; ++i) {
        for (int j = 0; j < i; ++j) {
          const T swap = vectors[i * m + j];
          vectors[i * m + j] = vectors[j * m + i];
          vectors[j * m + i] = swap;
        }
      }
      return;
    }
    for (int i = 0; i < m * m; ++i) a[i] = copy[i];
  }
  jacobi_eigen(m, a, values, vectors, work);
}

// Householder reflections from both sides, column by column. The reflections act on rows of q^T first; its transpose is
// taken at the end, so that all long loops run along rows.
template <class T>
void hessenberg(int m, T* a, T* q, T* work) {
  T* v = work;
  T* w = work + m;
  for (int i = 0; i < m * m; ++i) q[i] = T(0);
  for (int i = 0; i < m; ++i) q[i * m + i] = T(1);
  for (int k = 0; k + 2 < m; ++k) {
    T square = T(0);
    for (int i = k + 2; i < m; ++i) square += a[i * m + k] * a[i * m + k];
    if (!(square > T(0))) continue;
    const T head = a[(k + 1) * m + k];
    const T length = std::sqrt(head * head + square);
    for (int i = k + 1; i < m; ++i) v[i] = a[i * m + k];
    v[k + 1] += head > T(0) ? length : -length;
    const T tau = T(2) / (v[k + 1] * v[k + 1] + square);
    // From the left: a -= tau v (v^T a).
    for (int j = k; j < m; ++j) w[j] = T(0);
    for (int i = k + 1; i < m; ++i) {
      for (int j = k; j < m; ++j) w[j] += v[i] * a[i * m + j];
    }
    for (int i = k + 1; i < m; ++i) {
      const T value = tau * v[i];
      for (int j = k; j < m; ++j) a[i * m + j] -= value * w[j];
    }
    // From the right, row by row, for a and for the transposed product's rows.
    for (int i = 0; i < m; ++i) {
      T sum[4] = {};
      int j = k + 1;
      for (; j + 4 <= m; j += 4) {
        for (int l = 0; l < 4; ++l) sum[l] += a[i * m + j + l] * v[j + l];
      }
      for (; j < m; ++j) sum[0] += a[i * m + j] * v[j];
      const T value = tau * ((sum[0] + sum[1]) + (sum[2] + sum[3]));
      for (int c = k + 1; c < m; ++c) a[i * m + c] -= value * v[c];
    }
    for (int j = 0; j < m; ++j) w[j] = T(0);
    for (int i = k + 1; i < m; ++i) {
      for (int j = 0; j < m; ++j) w[j] += v[i] * q[i * m + j];
    }
    for (int i = k + 1; i < m; ++i) {
      const T value = tau * v[i];
      for (int j = 0; j < m; ++j) q[i * m + j] -= value * w[j];
    }
    for (int i = k + 2; i < m; ++i) a[i * m + k] = T(0);
  }
  for (int i = 0; i < m; ++i) {
    for (int j = 0; j < i; ++j) {
      const T swap = q[i * m + j];
      q[i * m + j] = q[j * m + i];
      q[j * m + i] = swap;
    }
  }
}

// Elimination with pivoting between neighbouring rows, one shift per lane: a lane swaps by selection.
template <class T>
void solve_shifted(std::int64_t n, int m, const T* h, const T* shifts, T* rhs, T* work) {
  constexpr int L = batch_lanes;
  T* u = work;
  T* x = work + std::int64_t{m} * m * L;
  for (std::int64_t begin = 0; begin < n; begin += L) {
    const int lanes = n - begin < L ? static_cast<int>(n - begin) : L;
    T s[L];
    for (int l = 0; l < L; ++l) s[l] = shifts[begin + (l < lanes ? l : 0)];
    for (int p = 0; p < m; ++p) {
      for (int l = 0; l < L; ++l) x[p * L + l] = rhs[(begin + (l < lanes ? l : 0)) * m + p];
    }
    for (int j = 0; j < m; ++j) {
      for (int l = 0; l < L; ++l) u[j * L + l] = s[l] * h[j] + (j == 0 ? T(1) : T(0));
    }
    for (int k = 0; k + 1 < m; ++k) {
      T* row = u + static_cast<std::int64_t>(k) * m * L;
      T* next = row + m * L;
      const T* source = h + (k + 1) * m;
      for (int j = k; j < m; ++j) {
        for (int l = 0; l < L; ++l) next[j * L + l] = s[l] * source[j] + (j == k + 1 ? T(1) : T(0));
      }
      T factor[L];
      bool swapped[L];
      for (int l = 0; l < L; ++l) {
        const T upper = row[k * L + l], lower = next[k * L + l];
        swapped[l] = std::abs(lower) > std::abs(upper);
        const T pivot = swapped[l] ? lower : upper;
        factor[l] = pivot != T(0) ? (swapped[l] ? upper : lower) / pivot : T(0);
      }
      for (int j = k; j < m; ++j) {
        for (int l = 0; l < L; ++l) {
          const T upper = row[j * L + l], lower = next[j * L + l];
          const T kept = swapped[l] ? lower : upper, other = swapped[l] ? upper : lower;
          row[j * L + l] = kept;
          next[j * L + l] = other - factor[l] * kept;
        }
      }
      for (int l = 0; l < L; ++l) {
        const T upper = x[k * L + l], lower = x[(k + 1) * L + l];
        x[k * L + l] = swapped[l] ? lower : upper;
        x[(k + 1) * L + l] = (swapped[l] ? upper : lower) - factor[l] * x[k * L + l];
      }
    }
    for (int i = m - 1; i >= 0; --i) {
      const T* row = u + static_cast<std::int64_t>(i) * m * L;
      T sum[L];
      for (int l = 0; l < L; ++l) sum[l] = x[i * L + l];
      for (int j = i + 1; j < m; ++j) {
        for (int l = 0; l < L; ++l) sum[l] -= row[j * L + l] * x[j * L + l];
      }
      for (int l = 0; l < L; ++l) x[i * L + l] = sum[l] / row[i * L + l];
    }
    for (int l = 0; l < lanes; ++l) {
      for (int p = 0; p < m; ++p) rhs[(begin + l) * m + p] = x[p * L + l];
    }
  }
}

}  // namespace
#endif

}  // namespace inntd
