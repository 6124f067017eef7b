// Normal equations of one axis of a CP model, from scattered samples of the function.
//
// On one element the modes' values along an axis are polynomials, here in Legendre's P_0, P_1, ... of the local
// coordinate in [-1, 1]. Samples are sorted by the element (or by the value) that they have on the axis in question: a
// group. With g, the product of the modes' values along all other axes at a sample, and the residual r, a group adds up
//   moments[j] = sum_k w P_j g g^T  and  slopes[j] = sum_k w P_j (sum_c r_c outputs_c) g.
#pragma once

#include <cstdint>

#include "inntd/simd.hpp"

namespace inntd {

// One axis as samples see it. Modes are padded with zeros to whole lines of 64 bytes.
template <class T>
struct SampledAxis {
  const T* functions;         // (groups, terms, padded modes)
  std::int64_t terms;         // Legendre polynomials; one where groups are values
  const std::int32_t* place;  // (samples): the group of each sample
  const T* local;             // (samples): local coordinates; not read for one term
};

template <class T>
struct SampledData {
  const SampledAxis<T>* axes;
  std::int64_t dimension;
  std::int64_t modes;
  const T* y;        // (samples, outputs)
  const T* weights;  // (samples)
  std::int64_t outputs;
  const T* factor;  // (outputs, padded modes)
};

constexpr std::int64_t kSampleBlock = 64;

namespace {
// Rows of a single matrix of moments, and number of several ones: those beyond what is wanted mean nothing.
constexpr std::int64_t round_up_to_four(std::int64_t count) { return (count + 3) / 4 * 4; }

// Numbers of a few rows of a packed matrix, at most.
template <class T>
constexpr std::int64_t outer_width(std::int64_t modes) {
  return round_up_to_line<T>(modes > 112 ? modes : 112) + line_lanes<T>();
}

// Rows p .. last - 1 of the upper half of a symmetric matrix, as many as are computed together: each is packed behind
// the one before, and all of them are padded to whole lines.
template <class T>
struct PackedRows {
  std::int64_t last;
  std::int64_t width;

  PackedRows(std::int64_t modes, std::int64_t p) : last(p + 1) {
    std::int64_t length = modes - p;
    while (last < modes && length + modes - last + line_lanes<T>() <= outer_width<T>(modes)) length += modes - last++;
    width = round_up_to_line<T>(length);
  }
};

template <class T>
std::int64_t packed_size(std::int64_t modes) {
  std::int64_t size = 0;
  for (std::int64_t p = 0; p < modes;) {
    const PackedRows<T> rows(modes, p);
    size += rows.width;
    p = rows.last;
  }
  return size;
}
}  // namespace

template <class T>
struct NormalKernels {
  // Products (count, padded modes) of the modes' values along all axes but `skip` at up to kSampleBlock samples. work:
  // largest terms * kSampleBlock.
  void (*products)(const SampledData<T>& data, std::int64_t skip, const std::int64_t* samples, std::int64_t count,
                   T* out, T* work);
  // Adds up to kSampleBlock samples of one group of an axis to moments and to slopes (terms, padded modes); returns the
  // sum of w r^2. moments: for one sum (modes rounded up to four, padded modes), of which only the lines from the
  // diagonal on are defined, else (sums rounded up to four, packed_size). work: (2 padded modes + larger of all terms
  // and of the sums rounded up + outputs + outer_width + one line) * kSampleBlock.
  T (*add_block)(const SampledData<T>& data, std::int64_t axis, const std::int64_t* samples, std::int64_t count,
                 std::int64_t sums, T* moments, T* slopes, T* work);
};

#ifdef INNTD_KERNEL_SOURCE
namespace {

// P_0 .. P_{terms - 1} of one axis at samples, (terms, kSampleBlock).
template <class T>
void legendre_block(const SampledAxis<T>& axis, const std::int64_t* samples, std::int64_t count, std::int64_t terms,
                    T* out) {
  for (std::int64_t k = 0; k < count; ++k) out[k] = T(1);
  if (terms == 1) return;
  T* x = out + kSampleBlock;
  for (std::int64_t k = 0; k < count; ++k) x[k] = axis.local[samples[k]];
  for (std::int64_t j = 2; j < terms; ++j) {
    const T* before = out + (j - 2) * kSampleBlock;
    const T* last = out + (j - 1) * kSampleBlock;
    T* next = out + j * kSampleBlock;
    const T a = T(2 * j - 1) / T(j), b = T(j - 1) / T(j);
    for (std::int64_t k = 0; k < count; ++k) next[k] = a * x[k] * last[k] - b * before[k];
  }
}

// out (count, padded) = or *= the modes' values of one axis.
template <class T, int N>
INNTD_INLINE void sampled_vectors(const Vector<T>* source, std::int64_t vectors, std::int64_t terms, const T* legendre,
                                  bool first, Vector<T>* out) {
  Vector<T> sum[N];
  for (int n = 0; n < N; ++n) sum[n] = source[n];
  for (std::int64_t j = 1; j < terms; ++j) {
    const T value = legendre[j * kSampleBlock];
    for (int n = 0; n < N; ++n) sum[n] += value * source[j * vectors + n];
  }
  for (int n = 0; n < N; ++n) out[n] = first ? sum[n] : out[n] * sum[n];
}

template <class T>
void multiply_values(const SampledAxis<T>& axis, std::int64_t padded, const std::int64_t* samples, std::int64_t count,
                     const T* legendre, bool first, T* out) {
  const std::int64_t vectors = padded / vector_lanes<T>();
  for (std::int64_t k = 0; k < count; ++k) {
    const auto* source =
        reinterpret_cast<const Vector<T>*>(axis.functions + axis.place[samples[k]] * axis.terms * padded);
    auto* target = reinterpret_cast<Vector<T>*>(out + k * padded);
    std::int64_t v = 0;
    for (; v + 4 <= vectors; v += 4)
      sampled_vectors<T, 4>(source + v, vectors, axis.terms, legendre + k, first, target + v);
    for (; v + 2 <= vectors; v += 2)
      sampled_vectors<T, 2>(source + v, vectors, axis.terms, legendre + k, first, target + v);
    for (; v < vectors; ++v) sampled_vectors<T, 1>(source + v, vectors, axis.terms, legendre + k, first, target + v);
  }
}

template <class T>
void sample_products(const SampledData<T>& data, std::int64_t skip, const std::int64_t* samples, std::int64_t count,
                     T* out, T* work) {
  const std::int64_t padded = round_up_to_line<T>(data.modes);
  bool first = true;
  for (std::int64_t e = 0; e < data.dimension; ++e) {
    if (e == skip) continue;
    legendre_block(data.axes[e], samples, count, data.axes[e].terms, work);
    multiply_values(data.axes[e], padded, samples, count, work, first, out);
    first = false;
  }
  if (first) {
    for (std::int64_t i = 0; i < count * padded; ++i) out[i] = i % padded < data.modes ? T(1) : T(0);
  }
}

// Rows p .. p + R - 1 of sum_k left_k right_k^T, N vectors of them, on top of what is there.
template <class T, int R, int N>
INNTD_INLINE void add_outer(std::int64_t count, std::int64_t padded, const T* left, const T* right, T* out) {
  Vector<T> sum[R][N];
  for (int r = 0; r < R; ++r) {
    for (int n = 0; n < N; ++n) sum[r][n] = reinterpret_cast<const Vector<T>*>(out + r * padded)[n];
  }
  for (std::int64_t k = 0; k < count; ++k) {
    const auto* row = reinterpret_cast<const Vector<T>*>(right + k * padded);
    const T* column = left + k * padded;
    for (int r = 0; r < R; ++r) {
      for (int n = 0; n < N; ++n) sum[r][n] += column[r] * row[n];
    }
  }
  for (int r = 0; r < R; ++r) {
    for (int n = 0; n < N; ++n) reinterpret_cast<Vector<T>*>(out + r * padded)[n] = sum[r][n];
  }
}

template <class T, int R>
void add_outer_rows(std::int64_t count, std::int64_t padded, std::int64_t p, const T* left, const T* right, T* out) {
  constexpr std::int64_t lanes = vector_lanes<T>();
  constexpr int N = kRegisters >= 32 ? 4 : 2;
  std::int64_t q = p / lanes * lanes;  // the rest is symmetric
  const T* l = left + p;
  T* o = out + p * padded;
  for (; q + N * lanes <= padded; q += N * lanes) add_outer<T, R, N>(count, padded, l, right + q, o + q);
  if constexpr (N == 4) {
    for (; q + 2 * lanes <= padded; q += 2 * lanes) add_outer<T, R, 2>(count, padded, l, right + q, o + q);
  }
  for (; q < padded; q += lanes) add_outer<T, R, 1>(count, padded, l, right + q, o + q);
}

// Weighted residuals into r (count, outputs); returns the sum of w r^2. row: the model's values along all axes.
template <class T>
T weigh_residuals(const SampledData<T>& data, const std::int64_t* samples, std::int64_t count, const T* row, T* r) {
  const std::int64_t padded = round_up_to_line<T>(data.modes), vectors = padded / vector_lanes<T>();
  T loss = T(0);
  for (std::int64_t k = 0; k < count; ++k) {
    const auto* values = reinterpret_cast<const Vector<T>*>(row + k * padded);
    const T weight = data.weights[samples[k]];
    for (std::int64_t c = 0; c < data.outputs; ++c) {
      const auto* output = reinterpret_cast<const Vector<T>*>(data.factor + c * padded);
      Vector<T> sum = values[0] * output[0];
      for (std::int64_t v = 1; v < vectors; ++v) sum += values[v] * output[v];
      const T residual = data.y[samples[k] * data.outputs + c] - sum_lanes<T>(sum);
      r[k * data.outputs + c] = weight * residual;
      loss += weight * residual * residual;
    }
  }
  return loss;
}

// row (count, padded) = g times the pull of the residuals on each mode; slopes += P_j times its rows.
template <class T>
void add_slopes(const SampledData<T>& data, std::int64_t count, std::int64_t terms, const T* legendre, const T* r,
                const T* g, T* row, T* slopes) {
  const std::int64_t padded = round_up_to_line<T>(data.modes), vectors = padded / vector_lanes<T>();
  for (std::int64_t v = 0; v < vectors; ++v) {
    const auto* output = reinterpret_cast<const Vector<T>*>(data.factor) + v;
    const auto* product = reinterpret_cast<const Vector<T>*>(g) + v;
    auto* target = reinterpret_cast<Vector<T>*>(row) + v;
    for (std::int64_t k = 0; k < count; ++k) {
      Vector<T> pull = r[k * data.outputs] * output[0];
      for (std::int64_t c = 1; c < data.outputs; ++c) pull += r[k * data.outputs + c] * output[c * vectors];
      target[k * vectors] = pull * product[k * vectors];
    }
    auto* slope = reinterpret_cast<Vector<T>*>(slopes) + v;
    for (std::int64_t j = 0; j < terms; ++j) {
      Vector<T> sums[4] = {};
      std::int64_t k = 0;
      for (; k + 4 <= count; k += 4) {
        for (int l = 0; l < 4; ++l) sums[l] += legendre[j * kSampleBlock + k + l] * target[(k + l) * vectors];
      }
      for (; k < count; ++k) sums[0] += legendre[j * kSampleBlock + k] * target[k * vectors];
      slope[j * vectors] += (sums[0] + sums[1]) + (sums[2] + sums[3]);
    }
  }
}

// moments += sum_k w g g^T, a matrix (modes rounded up, padded). scaled: memory for (count, padded).
template <class T>
void add_one_moment(std::int64_t modes, std::int64_t count, const T* weight, const T* g, T* scaled, T* moments) {
  constexpr int R = 4;
  const std::int64_t padded = round_up_to_line<T>(modes), vectors = padded / vector_lanes<T>();
  const auto* product = reinterpret_cast<const Vector<T>*>(g);
  auto* target = reinterpret_cast<Vector<T>*>(scaled);
  for (std::int64_t k = 0; k < count; ++k) {
    for (std::int64_t v = 0; v < vectors; ++v) target[k * vectors + v] = weight[k] * product[k * vectors + v];
  }
  for (std::int64_t p = 0; p < round_up_to_four(modes); p += R) {
    add_outer_rows<T, R>(count, padded, p, scaled, g, moments);
  }
}

// Rows j .. j + R - 1 of moments (sums, stride), N vectors of them: += sum_k legendre[j][k] outer[k].
template <class T, int R, int N>
INNTD_INLINE void add_sums(std::int64_t count, const T* legendre, const T* outer, std::int64_t width, T* moments,
                           std::int64_t stride) {
  Vector<T> sum[R][N];
  for (int r = 0; r < R; ++r) {
    for (int n = 0; n < N; ++n) sum[r][n] = reinterpret_cast<const Vector<T>*>(moments + r * stride)[n];
  }
  for (std::int64_t k = 0; k < count; ++k) {
    const auto* row = reinterpret_cast<const Vector<T>*>(outer + k * width);
    for (int r = 0; r < R; ++r) {
      for (int n = 0; n < N; ++n) sum[r][n] += legendre[r * kSampleBlock + k] * row[n];
    }
  }
  for (int r = 0; r < R; ++r) {
    for (int n = 0; n < N; ++n) reinterpret_cast<Vector<T>*>(moments + r * stride)[n] = sum[r][n];
  }
}

template <class T, int R>
void add_sums_row(std::int64_t count, const T* legendre, const T* outer, std::int64_t width, T* moments,
                  std::int64_t stride) {
  constexpr std::int64_t lanes = vector_lanes<T>();
  constexpr int N = kRegisters >= 32 ? 4 : 2;
  std::int64_t q = 0;
  for (; q + N * lanes <= width; q += N * lanes) {
    add_sums<T, R, N>(count, legendre, outer + q, width, moments + q, stride);
  }
  for (; q < width; q += lanes) add_sums<T, R, 1>(count, legendre, outer + q, width, moments + q, stride);
}

// Several moments: the upper halves of the matrices w g g^T, row after row without gaps, a few rows at a time, times
// all polynomials. legendre: (sums rounded up to four, kSampleBlock); moments: (the same, packed_size); outer: memory
// for (count, outer_width) and a line.
template <class T>
void add_many_moments(std::int64_t modes, std::int64_t count, std::int64_t sums, const T* weight, const T* legendre,
                      const T* g, T* outer, T* moments) {
  constexpr std::int64_t lanes = vector_lanes<T>();
  typedef T Loose __attribute__((vector_size(kRegisterBytes), aligned(sizeof(T)), may_alias));
  const std::int64_t padded = round_up_to_line<T>(modes), stride = packed_size<T>(modes);
  std::int64_t place = 0;  // of the chunk in a packed matrix
  for (std::int64_t p = 0; p < modes;) {
    const PackedRows<T> rows(modes, p);
    const std::int64_t width = rows.width;
    for (std::int64_t k = 0; k < count; ++k) {
      const T* row = g + k * padded;
      T* target = outer + k * width;
      for (std::int64_t i = p; i < rows.last; target += modes - i, ++i) {
        const T value = weight[k] * row[i];
        // Whole vectors: what is too much is overwritten by the next row or sample, or is padding.
        for (std::int64_t q = 0; q < modes - i; q += lanes) {
          *reinterpret_cast<Loose*>(target + q) = value * *reinterpret_cast<const Loose*>(row + i + q);
        }
      }
    }
    for (std::int64_t j = 0; j < sums; j += 4) {
      add_sums_row<T, 4>(count, legendre + j * kSampleBlock, outer, width, moments + j * stride + place, stride);
    }
    place += width;
    p = rows.last;
  }
}

template <class T>
T add_samples(const SampledData<T>& data, std::int64_t axis, const std::int64_t* samples, std::int64_t count,
              std::int64_t sums, T* moments, T* slopes, T* work) {
  const std::int64_t padded = round_up_to_line<T>(data.modes);
  T* g = work;
  T* row = g + kSampleBlock * padded;
  T* legendre = row + kSampleBlock * padded;
  sample_products(data, axis, samples, count, g, legendre);
  const std::int64_t polynomials = sums == 1 ? 1 : round_up_to_four(sums);
  legendre_block(data.axes[axis], samples, count, polynomials, legendre);
  T* r = legendre + polynomials * kSampleBlock;
  for (std::int64_t i = 0; i < count * padded; ++i) row[i] = g[i];
  multiply_values(data.axes[axis], padded, samples, count, legendre, false, row);
  const T loss = weigh_residuals(data, samples, count, row, r);
  add_slopes(data, count, data.axes[axis].terms, legendre, r, g, row, slopes);
  T weight[kSampleBlock];
  for (std::int64_t k = 0; k < count; ++k) weight[k] = data.weights[samples[k]];
  if (sums == 1) {
    add_one_moment(data.modes, count, weight, g, row, moments);
  } else {
    T* outer = r + data.outputs * kSampleBlock;
    add_many_moments(data.modes, count, sums, weight, legendre, g, outer, moments);
  }
  return loss;
}

template <class T>
constexpr NormalKernels<T> make_normal_kernels() {
  return {&sample_products<T>, &add_samples<T>};
}

}  // namespace
#endif

}  // namespace inntd
