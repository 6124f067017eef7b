// Training on points that are sorted by piece: weights, rows, products, outputs.
#pragma once

#include "inntd/train.hpp"

namespace inntd {
namespace {
// ---- runs of points that share a piece ---------------------------------------------------------------------------

template <class T, class Body>
INNTD_INLINE void for_runs(const SortedAxis<T>& sorted, const Body& body) {
  std::int64_t begin = 0;
  for (std::int64_t r = 0; r < sorted.runs; ++r) {
    body(sorted.piece[r], begin, std::int64_t{sorted.end[r]});
    begin = sorted.end[r];
  }
}

// Several points at a time: as many chains of dependent operations run side by side.
template <class T, int Orders, int Together>
INNTD_INLINE void tabulate_points(const Vector<T>* c, int degree, std::int64_t vectors, const T* xi, Vector<T>* out,
                                  std::int64_t order_stride) {
  for (std::int64_t v = 0; v < vectors; ++v) {
    Vector<T> value[Together], first[Together], half_second[Together];
    for (int j = 0; j < Together; ++j) {
      value[j] = c[degree * vectors + v];
      first[j] = half_second[j] = Vector<T>{};
    }
    for (int q = degree - 1; q >= 0; --q) {
      for (int j = 0; j < Together; ++j) {
        if constexpr (Orders > 1) {
          half_second[j] = half_second[j] * xi[j] + first[j];
          first[j] = first[j] * xi[j] + value[j];
        }
        value[j] = value[j] * xi[j] + c[q * vectors + v];
      }
    }
    for (int j = 0; j < Together; ++j) {
      out[j * vectors + v] = value[j];
      if constexpr (Orders > 1) {
        out[order_stride + j * vectors + v] = first[j];
        out[2 * order_stride + j * vectors + v] = half_second[j] + half_second[j];
      }
    }
  }
}

template <class T, int Orders>
void tabulate_axis(const TrainAxis<T>& axis, const SortedAxis<T>& sorted, std::int64_t places) {
  constexpr int together = kSpare;
  const std::int64_t padded = round_up_to_line<T>(axis.table.width);
  const std::int64_t vectors = padded / vector_lanes<T>();
  const int degree = axis.table.degree;
  auto* out = reinterpret_cast<Vector<T>*>(axis.weights);
  for_runs(sorted, [&](std::int64_t piece, std::int64_t begin, std::int64_t end) {
    const std::int64_t kind = axis.table.kind[piece];
    const auto* c = reinterpret_cast<const Vector<T>*>(axis.polynomials + kind * (degree + 1) * padded);
    for (std::int64_t i = begin; i < end; i += together) {  // what goes beyond the run is written again by the next one
      tabulate_points<T, Orders, together>(c, degree, vectors, sorted.xi + i, out + i * vectors, places * vectors);
    }
  });
}

// ---- rows times weights ------------------------------------------------------------------------------------------

// The order of points within a run is known, but the processor does not guess it: f is asked for some points ahead.
template <class T, int N, bool Write>
INNTD_INLINE void prefetch_point(const T* f) {
  for (int n = 0; n < N; ++n) __builtin_prefetch(f + n * vector_lanes<T>(), Write);
}

// W functions, N vectors of modes: W N rows in registers. W = 0 stands for any width, rows then come from memory.
template <class T, int W, int N>
INNTD_INLINE void multiply_run(const T* rows, int width, std::int64_t modes, const T* weights, std::int64_t stride,
                               const std::uint16_t* point, std::int64_t begin, std::int64_t end, T* f,
                               std::int64_t point_stride) {
  constexpr int kept = W > 0 ? W : 1;
  const int functions = W > 0 ? W : width;
  Vector<T> row[kept][N];
  if constexpr (W > 0) {
    for (int k = 0; k < W; ++k) {
      for (int n = 0; n < N; ++n) row[k][n] = reinterpret_cast<const Vector<T>*>(rows + k * modes)[n];
    }
  }
  for (std::int64_t i = begin; i < end; ++i) {
    const T* w = weights + i * stride;
    const auto row_of = [&](int k, int n) {
      return W > 0 ? row[W > 0 ? k : 0][n] : reinterpret_cast<const Vector<T>*>(rows + k * modes)[n];
    };
    Vector<T> sum[N];
    for (int n = 0; n < N; ++n) sum[n] = row_of(0, n) * w[0];
    for (int k = 1; k < functions; ++k) {
      for (int n = 0; n < N; ++n) sum[n] += row_of(k, n) * w[k];
    }
    auto* out = reinterpret_cast<Vector<T>*>(f + point[i] * point_stride);
    prefetch_point<T, N, true>(f + point[i + kSpare] * point_stride);
    for (int n = 0; n < N; ++n) out[n] = sum[n];
  }
}

template <class T, int W, int N>
INNTD_INLINE void accumulate_run(T* gradient, int width, std::int64_t modes, const T* weights, std::int64_t stride,
                                 const std::uint16_t* point, std::int64_t begin, std::int64_t end, const T* f,
                                 std::int64_t point_stride, const T* slopes) {
  if constexpr (W > 0) {
    Vector<T> sum[W][N] = {};
    for (std::int64_t i = begin; i < end; ++i) {
      const T* w = weights + i * stride;
      const auto* others = reinterpret_cast<const Vector<T>*>(f + point[i] * point_stride);
      prefetch_point<T, N, false>(f + point[i + kSpare] * point_stride);
      const T slope = slopes == nullptr ? T(1) : slopes[point[i]];
      Vector<T> g[N];
      for (int n = 0; n < N; ++n) g[n] = others[n] * slope;
      for (int k = 0; k < W; ++k) {
        for (int n = 0; n < N; ++n) sum[k][n] += g[n] * w[k];
      }
    }
    for (int k = 0; k < W; ++k) {
      auto* out = reinterpret_cast<Vector<T>*>(gradient + k * modes);
      for (int n = 0; n < N; ++n) out[n] += sum[k][n];
    }
  } else {
    for (int k = 0; k < width; ++k) {
      Vector<T> sum[N] = {};
      for (std::int64_t i = begin; i < end; ++i) {
        const auto* g = reinterpret_cast<const Vector<T>*>(f + point[i] * point_stride);
        const T weight = weights[i * stride + k] * (slopes == nullptr ? T(1) : slopes[point[i]]);
        for (int n = 0; n < N; ++n) sum[n] += g[n] * weight;
      }
      auto* out = reinterpret_cast<Vector<T>*>(gradient + k * modes);
      for (int n = 0; n < N; ++n) out[n] += sum[n];
    }
  }
}

enum class RunPass { multiply, accumulate };

template <class T, RunPass Pass, int W, int N>
INNTD_INLINE void run_vectors(const TrainAxis<T>& axis, std::int64_t first_row, std::int64_t modes, std::int64_t m,
                              const T* weights, const std::uint16_t* point, std::int64_t begin, std::int64_t end, T* f,
                              std::int64_t point_stride, const T* slopes) {
  const std::int64_t stride = round_up_to_line<T>(axis.table.width);
  if constexpr (Pass == RunPass::multiply) {
    multiply_run<T, W, N>(axis.rows + first_row * modes + m, axis.table.width, modes, weights, stride, point, begin,
                          end, f + m, point_stride);
  } else {
    accumulate_run<T, W, N>(axis.gradient + first_row * modes + m, axis.table.width, modes, weights, stride, point,
                            begin, end, f + m, point_stride, slopes);
  }
}

template <class T, RunPass Pass, int W>
void run_axis(const TrainBlock<T>& block, std::int64_t d, int order, const T* slopes) {
  constexpr int lanes = static_cast<int>(vector_lanes<T>());
  constexpr int budget = (kRegisters - 4) / (W > 0 ? W + 1 : 4);
  constexpr int together = budget >= 4 ? 4 : budget >= 2 ? 2 : 1;
  const TrainAxis<T>& axis = block.axes[d];
  const SortedAxis<T>& sorted = block.sorted[d];
  const T* weights = axis.weights + order * block.places * round_up_to_line<T>(axis.table.width);
  T* f = block.f + d * block.modes;
  const std::int64_t point_stride = block.dimension * block.modes;
  for_runs(sorted, [&](std::int64_t piece, std::int64_t begin, std::int64_t end) {
    const std::int64_t first = axis.table.first[piece];
    std::int64_t m = 0;
    for (; m + together * lanes <= block.modes; m += together * lanes) {
      run_vectors<T, Pass, W, together>(axis, first, block.modes, m, weights, sorted.point, begin, end, f, point_stride,
                                        slopes);
    }
    for (; m < block.modes; m += lanes) {
      run_vectors<T, Pass, W, 1>(axis, first, block.modes, m, weights, sorted.point, begin, end, f, point_stride,
                                 slopes);
    }
  });
}

template <class T, RunPass Pass>
void run_axis_of_width(const TrainBlock<T>& block, std::int64_t d, int order, const T* slopes) {
  switch (block.axes[d].table.width) {  // 2 s + 2 functions for patches of s hops, one on discrete axes
    case 1:
      return run_axis<T, Pass, 1>(block, d, order, slopes);
    case 2:
      return run_axis<T, Pass, 2>(block, d, order, slopes);
    case 4:
      return run_axis<T, Pass, 4>(block, d, order, slopes);
    case 6:
      return run_axis<T, Pass, 6>(block, d, order, slopes);
    case 8:
      return run_axis<T, Pass, 8>(block, d, order, slopes);
    case 10:
      return run_axis<T, Pass, 10>(block, d, order, slopes);
    default:
      return run_axis<T, Pass, 0>(block, d, order, slopes);
  }
}

// Axis by axis: the weights are then still in the first cache level.
template <class T>
void tabulate_and_multiply(const TrainBlock<T>& block, int orders) {
  for (std::int64_t d = 0; d < block.dimension; ++d) {
    if (orders == 1) {
      tabulate_axis<T, 1>(block.axes[d], block.sorted[d], block.places);
    } else {
      tabulate_axis<T, 3>(block.axes[d], block.sorted[d], block.places);
    }
    run_axis_of_width<T, RunPass::multiply>(block, d, 0, nullptr);
  }
}

template <class T>
void accumulate_rows(const TrainBlock<T>& block, int order, const T* slopes) {
  for (std::int64_t d = 0; d < block.dimension; ++d) {
    run_axis_of_width<T, RunPass::accumulate>(block, d, order, slopes);
  }
}

// ---- products over the axes --------------------------------------------------------------------------------------

// One vector of modes at one point. With a number of axes D that the compiler knows, everything stays in registers.
template <class T, int D>
INNTD_INLINE Vector<T> products_of_point(Vector<T>* f, std::int64_t axes, std::int64_t vectors, Vector<T> mask,
                                         Vector<T>* scratch) {
  const std::int64_t dimension = D > 0 ? D : axes;
  Vector<T> kept[D > 0 ? 2 * D : 1];
  Vector<T>* before = D > 0 ? kept : scratch;
  Vector<T>* value = D > 0 ? kept + D : scratch + dimension;
  Vector<T> product = mask;
  for (std::int64_t d = 0; d < dimension; ++d) {
    before[d] = product;
    value[d] = f[d * vectors];
    product *= value[d];
  }
  Vector<T> after = value[dimension - 1];
  f[(dimension - 1) * vectors] = before[dimension - 1];
  for (std::int64_t d = dimension - 2; d >= 0; --d) {
    f[d * vectors] = before[d] * after;
    after *= value[d];
  }
  return product;
}

template <class T, int D>
void products_of(const TrainBlock<T>& block, T* whole, T* values) {
  const std::int64_t vectors = block.modes / vector_lanes<T>();
  const auto* mask = reinterpret_cast<const Vector<T>*>(block.mask);
  auto* scratch = reinterpret_cast<Vector<T>*>(block.scratch);
  auto* f = reinterpret_cast<Vector<T>*>(block.f);
  auto* out = reinterpret_cast<Vector<T>*>(whole);
  for (std::int64_t i = 0; i < block.count; ++i, f += block.dimension * vectors) {
    Vector<T> total = {};
    for (std::int64_t v = 0; v < vectors; ++v) {
      const Vector<T> product = products_of_point<T, D>(f + v, block.dimension, vectors, mask[v], scratch);
      if (whole != nullptr) out[i * vectors + v] = product;
      total += product;
    }
    values[i] = sum_lanes<T>(total);
  }
}

// Calls body with a constant number of axes, or with 0 where no copy was compiled for it.
template <class Body>
INNTD_INLINE void with_dimension(std::int64_t dimension, const Body& body) {
  switch (dimension) {
    case 2:
      return body(std::integral_constant<int, 2>());
    case 3:
      return body(std::integral_constant<int, 3>());
    case 4:
      return body(std::integral_constant<int, 4>());
    case 5:
      return body(std::integral_constant<int, 5>());
    case 6:
      return body(std::integral_constant<int, 6>());
    case 8:
      return body(std::integral_constant<int, 8>());
    case 10:
      return body(std::integral_constant<int, 10>());
    default:
      return body(std::integral_constant<int, 0>());
  }
}

template <class T>
void other_products(const TrainBlock<T>& block, T* whole, T* values) {
  with_dimension(block.dimension, [&](auto d) { products_of<T, decltype(d)::value>(block, whole, values); });
}

// ---- several outputs ---------------------------------------------------------------------------------------------

template <class T>
void output_values(const TrainBlock<T>& block, const T* whole, const T* outputs, std::int64_t count, T* values) {
  const std::int64_t vectors = block.modes / vector_lanes<T>();
  const auto* product = reinterpret_cast<const Vector<T>*>(whole);
  for (std::int64_t i = 0; i < block.count; ++i, product += vectors) {
    const auto* row = reinterpret_cast<const Vector<T>*>(outputs);
    for (std::int64_t c = 0; c < count; ++c, row += vectors) {
      Vector<T> total = {};
      for (std::int64_t v = 0; v < vectors; ++v) total += product[v] * row[v];
      values[i * count + c] = sum_lanes<T>(total);
    }
  }
}

template <class T>
void output_slopes(const TrainBlock<T>& block, const T* whole, const T* outputs, std::int64_t count, const T* slopes,
                   T* gradient) {
  const std::int64_t vectors = block.modes / vector_lanes<T>();
  const auto* product = reinterpret_cast<const Vector<T>*>(whole);
  const auto* row = reinterpret_cast<const Vector<T>*>(outputs);
  auto* sum = reinterpret_cast<Vector<T>*>(gradient);
  auto* f = reinterpret_cast<Vector<T>*>(block.f);
  for (std::int64_t i = 0; i < block.count; ++i, product += vectors) {
    const T* slope = slopes + i * count;
    for (std::int64_t v = 0; v < vectors; ++v) {
      Vector<T> weight = {};
      for (std::int64_t c = 0; c < count; ++c) {
        weight += row[c * vectors + v] * slope[c];
        sum[c * vectors + v] += product[v] * slope[c];
      }
      for (std::int64_t d = 0; d < block.dimension; ++d) f[(i * block.dimension + d) * vectors + v] *= weight;
    }
  }
}

}  // namespace
}  // namespace inntd
