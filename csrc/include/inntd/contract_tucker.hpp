// Evaluation of Tucker models, kPointBlock points at a time.
//
// The rows of all axes at the block's points come from the kernels for CP models, and are turned round: points become
// the fastest index, so that a vector holds as many points as it has lanes. From there on nothing is padded whatever
// the ranks, and no lane depends on another. Rows of consecutive axes are multiplied into the rows p, q, w of three
// groups, and the core C, now with three indices, is contracted without anything kept in between:
//
//   u = sum_a p[a] sum_b q[b] sum_k C[a][b][k] w[k],
//
// four (a, b) at a time, for up to four vectors of points: every number of the core that is read serves as many points.
// Per point the values take 2 R (1 + 1 / |w|) operations for a core of R numbers, and jets twice as many: with the
// values of the inner sums at hand, the derivatives by p, q and w cost one multiplication per number of the core more,
// and give those by each axis' row by undoing the products.
#pragma once

#include "inntd/contract.hpp"

namespace inntd {
namespace {

constexpr int kRowsAtOnce = 4;
constexpr int kValueVectors = kRegisters >= 32 ? 4 : 2;  // of points
constexpr int kJetVectors = kRegisters >= 32 ? 2 : 1;

// N vectors of modes from `first` on for all points of the block: (orders, stride, kPointBlock).
template <class T, int N, int Orders>
void turned_rows(const ModelAxis<T>& axis, std::int64_t d, std::int64_t first, const CpWorkspace<T>& work, T* rows,
                 std::int64_t stride) {
  constexpr std::int64_t lanes = vector_lanes<T>();
  const std::int64_t vectors = round_up_to_line<T>(axis.modes) / lanes;
  for (std::int64_t i = 0; i < kPointBlock; i += lanes) {
    Vector<T> tiles[Orders][N][lanes];
    for (std::int64_t j = 0; j < lanes; ++j) {
      Vector<T> f[Orders][N];
      if constexpr (Orders == 1) {
        axis_function<T, N>(axis, d, i + j, vectors, first, work, f[0]);
      } else {
        axis_jet<T, N>(axis, d, i + j, vectors, first, work, f[0], f[1], f[2]);
      }
      for (int order = 0; order < Orders; ++order) {
        for (int n = 0; n < N; ++n) tiles[order][n][j] = f[order][n];
      }
    }
    for (int order = 0; order < Orders; ++order) {
      T* out = rows + (order * stride + first * lanes) * kPointBlock + i;
      for (int n = 0; n < N; ++n) {
        transpose<T>(tiles[order][n]);
        const std::int64_t left = axis.modes - (first + n) * lanes;
        for (std::int64_t m = 0; m < (left < lanes ? left : lanes); ++m, out += kPointBlock) {
          *reinterpret_cast<Vector<T>*>(out) = tiles[order][n][m];
        }
      }
    }
  }
}

// The same straight from the factor, for an axis that was not prepared. Points that fill up the block are the first.
template <class T, int Orders>
void direct_rows(const ModelAxis<T>& axis, std::int64_t d, std::int64_t dimension, const T* points, std::int64_t count,
                 const TuckerWorkspace<T>& work, T* rows, std::int64_t stride) {
  for (std::int64_t i = 0; i < kPointBlock; ++i) work.block.scale[d * kPointBlock + i] = T(1);
  for (std::int64_t i = 0; i < count; ++i) {
    const T x = points[i * dimension + d];
    std::int64_t piece;
    locate(axis.table, &x, 1, &piece);
    for (int order = 0; order < Orders; ++order) {
      evaluate_axis(axis, axis.modes, x, piece, order, work.scratch + axis.modes, work.scratch);
      T* column = rows + order * stride * kPointBlock + i;
      for (std::int64_t m = 0; m < axis.modes; ++m) column[m * kPointBlock] = work.scratch[m];
    }
  }
  for (int order = 0; order < Orders; ++order) {
    for (std::int64_t m = 0; m < axis.modes; ++m) {
      T* row = rows + (order * stride + m) * kPointBlock;
      for (std::int64_t i = count; i < kPointBlock; ++i) row[i] = row[0];
    }
  }
}

// Functions of axis d, and their derivatives, at a block of points: (orders, stride, kPointBlock). Derivatives of
// prepared axes are by xi; work.scale makes them derivatives by x.
template <class T, int Orders>
void fill_rows(const ModelAxis<T>& axis, std::int64_t d, std::int64_t dimension, const T* points, std::int64_t count,
               const TuckerWorkspace<T>& work, T* rows, std::int64_t stride) {
  if (axis.prepared == nullptr) {
    direct_rows<T, Orders>(axis, d, dimension, points, count, work, rows, stride);
    return;
  }
  locate_axis<T, Orders>(axis, d, dimension, points, count, work.block);
  const std::int64_t vectors = round_up_to_line<T>(axis.modes) / vector_lanes<T>();
  for (std::int64_t first = 0; first * vector_lanes<T>() < axis.modes;) {
    if (vectors - first >= 2) {
      turned_rows<T, 2, Orders>(axis, d, first, work.block, rows, stride);
      first += 2;
    } else {
      turned_rows<T, 1, Orders>(axis, d, first, work.block, rows, stride);
      first += 1;
    }
  }
}

// Multiplies the rows of a group's axes for N vectors of points: all stages (stages, N), the last one being the group's
// row. `rows` points to the first of these points, in the row of the group's first mode.
template <class T, int N>
const Vector<T>* multiply_rows(const ModelAxis<T>* axes, const AxisGroup& group, const T* rows, Vector<T>* stage) {
  if (group.begin == group.end) {
    for (int n = 0; n < N; ++n) stage[n] = Vector<T>{} + T(1);
    return stage;
  }
  std::int64_t size = axes[group.begin].modes;
  for (std::int64_t m = 0; m < size; ++m, rows += kPointBlock) {
    for (int n = 0; n < N; ++n) stage[m * N + n] = reinterpret_cast<const Vector<T>*>(rows)[n];
  }
  for (std::int64_t d = group.begin + 1; d < group.end; ++d) {
    const std::int64_t modes = axes[d].modes;
    Vector<T>* next = stage + size * N;
    for (std::int64_t a = 0; a < size; ++a) {
      for (std::int64_t m = 0; m < modes; ++m) {
        const auto* row = reinterpret_cast<const Vector<T>*>(rows + m * kPointBlock);
        for (int n = 0; n < N; ++n) next[(a * modes + m) * N + n] = stage[a * N + n] * row[n];
      }
    }
    rows += modes * kPointBlock;
    stage = next;
    size *= modes;
  }
  return stage;
}

// Sums over k of Rows consecutive rows of the core times w.
template <class T, int N, int Rows>
INNTD_INLINE void inner_sums(const T* core, std::int64_t size, const Vector<T>* w, Vector<T> (&sums)[Rows][N]) {
  for (int r = 0; r < Rows; ++r) {
    for (int n = 0; n < N; ++n) sums[r][n] = Vector<T>{};
  }
  for (std::int64_t k = 0; k < size; ++k, w += N) {
    Vector<T> f[N];
    for (int n = 0; n < N; ++n) f[n] = w[n];
    for (int r = 0; r < Rows; ++r) {
      const T number = core[r * size + k];
      for (int n = 0; n < N; ++n) sums[r][n] += f[n] * number;
    }
  }
}

template <class T, int N, int Rows>
INNTD_INLINE void add_rows(const T* core, std::int64_t size, const Vector<T>* q, const Vector<T>* w, Vector<T>* sum) {
  Vector<T> sums[Rows][N];
  inner_sums<T, N, Rows>(core, size, w, sums);
  for (int r = 0; r < Rows; ++r) {
    for (int n = 0; n < N; ++n) sum[n] += q[r * N + n] * sums[r][n];
  }
}

// Values at N vectors of points from the groups' rows.
template <class T, int N>
void contract_core(const TuckerCore<T>& core, const Vector<T>* p, const Vector<T>* q, const Vector<T>* w,
                   Vector<T>* value) {
  const std::int64_t outer = core.groups[0].size, middle = core.groups[1].size, inner = core.groups[2].size;
  const T* numbers = core.numbers;
  for (int n = 0; n < N; ++n) value[n] = Vector<T>{};
  for (std::int64_t a = 0; a < outer; ++a) {
    Vector<T> sum[N];
    for (int n = 0; n < N; ++n) sum[n] = Vector<T>{};
    std::int64_t b = 0;
    for (; b + kRowsAtOnce <= middle; b += kRowsAtOnce, numbers += kRowsAtOnce * inner) {
      add_rows<T, N, kRowsAtOnce>(numbers, inner, q + b * N, w, sum);
    }
    for (; b + 2 <= middle; b += 2, numbers += 2 * inner) add_rows<T, N, 2>(numbers, inner, q + b * N, w, sum);
    for (; b < middle; ++b, numbers += inner) add_rows<T, N, 1>(numbers, inner, q + b * N, w, sum);
    for (int n = 0; n < N; ++n) value[n] += p[a * N + n] * sum[n];
  }
}

// What Rows consecutive rows of the core give to the sum over b, and to the derivatives by q and w; with ByCore also
// what the points, times `scale`, give to the core's gradient: a line of lanes for every number, to be added up in the
// end.
template <class T, int N, int Rows, bool ByCore>
INNTD_INLINE void add_slopes(const T* core, std::int64_t size, const Vector<T>* p, const Vector<T>* q,
                             const Vector<T>* w, Vector<T>* sum, Vector<T>* by_q, Vector<T>* by_w, const T* scale,
                             T* by_core) {
  Vector<T> sums[Rows][N], products[Rows][N];
  for (int r = 0; r < Rows; ++r) {
    for (int n = 0; n < N; ++n) {
      sums[r][n] = Vector<T>{};
      products[r][n] = p[n] * q[r * N + n];
    }
  }
  for (std::int64_t k = 0; k < size; ++k) {
    Vector<T> f[N], slope[N];
    for (int n = 0; n < N; ++n) {
      f[n] = w[k * N + n];
      slope[n] = by_w[k * N + n];
    }
    for (int r = 0; r < Rows; ++r) {
      const T number = core[r * size + k];
      for (int n = 0; n < N; ++n) {
        sums[r][n] += f[n] * number;
        slope[n] += products[r][n] * number;
      }
    }
    if constexpr (ByCore) {
      for (int n = 0; n < N; ++n) f[n] *= reinterpret_cast<const Vector<T>*>(scale)[n];
      for (int r = 0; r < Rows; ++r) {
        auto* lanes = reinterpret_cast<Vector<T>*>(by_core + (r * size + k) * line_lanes<T>());
        Vector<T> total = *lanes;
        for (int n = 0; n < N; ++n) total += products[r][n] * f[n];
        *lanes = total;
      }
    }
    for (int n = 0; n < N; ++n) by_w[k * N + n] = slope[n];
  }
  for (int r = 0; r < Rows; ++r) {
    for (int n = 0; n < N; ++n) {
      sum[n] += q[r * N + n] * sums[r][n];
      by_q[r * N + n] += p[n] * sums[r][n];
    }
  }
}

// Values, and derivatives by the groups' rows p, q, w, at N vectors of points.
template <class T, int N, bool ByCore>
void core_slopes(const TuckerCore<T>& core, const Vector<T>* const* rows, Vector<T>* value, Vector<T>* const* slopes,
                 const T* scale, T* by_core) {
  const std::int64_t outer = core.groups[0].size, middle = core.groups[1].size, inner = core.groups[2].size;
  const T* numbers = core.numbers;
  for (int n = 0; n < N; ++n) value[n] = Vector<T>{};
  for (std::int64_t b = 0; b < middle * N; ++b) slopes[1][b] = Vector<T>{};
  for (std::int64_t k = 0; k < inner * N; ++k) slopes[2][k] = Vector<T>{};
  for (std::int64_t a = 0; a < outer; ++a) {
    const Vector<T>* p = rows[0] + a * N;
    Vector<T> sum[N];
    for (int n = 0; n < N; ++n) sum[n] = Vector<T>{};
    std::int64_t b = 0;
    for (; b + kRowsAtOnce <= middle; b += kRowsAtOnce, numbers += kRowsAtOnce * inner) {
      add_slopes<T, N, kRowsAtOnce, ByCore>(numbers, inner, p, rows[1] + b * N, rows[2], sum, slopes[1] + b * N,
                                            slopes[2], scale, by_core);
      by_core += ByCore ? kRowsAtOnce * inner * line_lanes<T>() : 0;
    }
    for (; b < middle; ++b, numbers += inner) {
      add_slopes<T, N, 1, ByCore>(numbers, inner, p, rows[1] + b * N, rows[2], sum, slopes[1] + b * N, slopes[2], scale,
                                  by_core);
      by_core += ByCore ? inner * line_lanes<T>() : 0;
    }
    for (int n = 0; n < N; ++n) {
      slopes[0][a * N + n] = sum[n];
      value[n] += p[n] * sum[n];
    }
  }
}

// Derivatives by the row of a group, `slope` (size, N), become those by the rows of its axes, `shares`, from the last
// axis on: each takes its share, and leaves the derivatives by the product of those before it. `rows` and `shares`
// point to the points' numbers of the group's first mode.
template <class T, int N>
void undo_products(const ModelAxis<T>* axes, const AxisGroup& group, const T* rows, const Vector<T>* stages,
                   Vector<T>* slope, T* shares) {
  std::int64_t size = group.size, offset = 0, start = group.stages - group.size;
  for (std::int64_t d = group.begin; d < group.end; ++d) offset += axes[d].modes;
  for (std::int64_t d = group.end - 1; d >= group.begin; --d) {
    const std::int64_t modes = axes[d].modes, before = size / modes;
    offset -= modes;
    start -= before;  // of the products of the axes before d
    for (std::int64_t m = 0; m < modes; ++m) {
      Vector<T> share[N];
      for (int n = 0; n < N; ++n) share[n] = d == group.begin ? slope[m * N + n] : Vector<T>{};
      for (std::int64_t a = 0; a < before && d > group.begin; ++a) {
        for (int n = 0; n < N; ++n) share[n] += stages[(start + a) * N + n] * slope[(a * modes + m) * N + n];
      }
      auto* out = reinterpret_cast<Vector<T>*>(shares + (offset + m) * kPointBlock);
      for (int n = 0; n < N; ++n) out[n] = share[n];
    }
    const T* row = rows + offset * kPointBlock;
    for (std::int64_t a = 0; a < before && d > group.begin; ++a) {
      Vector<T> sum[N];
      for (int n = 0; n < N; ++n) sum[n] = Vector<T>{};
      for (std::int64_t m = 0; m < modes; ++m) {
        const auto* functions = reinterpret_cast<const Vector<T>*>(row + m * kPointBlock);
        for (int n = 0; n < N; ++n) sum[n] += functions[n] * slope[(a * modes + m) * N + n];
      }
      for (int n = 0; n < N; ++n) slope[a * N + n] = sum[n];
    }
    size = before;
  }
}

// Derivatives by the coordinates of all points of a block: shares times the functions' derivatives (modes,
// kPointBlock).
template <class T>
INNTD_INLINE void add_modes(const T* shares, const T* derivatives, std::int64_t modes, T* out) {
  for (std::int64_t i = 0; i < kPointBlock; i += vector_lanes<T>()) {
    Vector<T> sum = {};
    for (std::int64_t m = 0; m < modes; ++m) {
      sum += *reinterpret_cast<const Vector<T>*>(shares + m * kPointBlock + i) *
             *reinterpret_cast<const Vector<T>*>(derivatives + m * kPointBlock + i);
    }
    *reinterpret_cast<Vector<T>*>(out + i) = sum;
  }
}

template <class T>
std::int64_t modes_before(const ModelAxis<T>* axes, std::int64_t axis) {
  std::int64_t sum = 0;
  for (std::int64_t d = 0; d < axis; ++d) sum += axes[d].modes;
  return sum;
}

template <class T, int Orders>
void fill_block(const ModelAxis<T>* axes, std::int64_t dimension, const T* points, std::int64_t count,
                const TuckerWorkspace<T>& work) {
  const std::int64_t modes = modes_before(axes, dimension);
  T* rows = work.rows;
  for (std::int64_t d = 0; d < dimension; ++d) {
    fill_rows<T, Orders>(axes[d], d, dimension, points, count, work, rows, modes);
    rows += axes[d].modes * kPointBlock;
  }
}

template <class T>
void tucker_values(const ModelAxis<T>* axes, std::int64_t dimension, const TuckerCore<T>& core, const T* points,
                   std::int64_t begin, std::int64_t end, T* out, const TuckerWorkspace<T>& work) {
  constexpr int N = kValueVectors;
  constexpr std::int64_t together = N * vector_lanes<T>();
  for (std::int64_t start = begin; start < end; start += kPointBlock) {
    const std::int64_t count = end - start < kPointBlock ? end - start : kPointBlock;
    fill_block<T, 1>(axes, dimension, points + start * dimension, count, work);
    for (std::int64_t i = 0; i < count; i += together) {
      const Vector<T>* rows[3];
      auto* next = reinterpret_cast<Vector<T>*>(work.products);
      for (int g = 0; g < 3; ++g) {
        const T* first = work.rows + modes_before(axes, core.groups[g].begin) * kPointBlock + i;
        rows[g] = multiply_rows<T, N>(axes, core.groups[g], first, next);
        next += core.groups[g].stages * N;
      }
      contract_core<T, N>(core, rows[0], rows[1], rows[2], reinterpret_cast<Vector<T>*>(work.totals + i));
    }
    for (std::int64_t i = 0; i < count; ++i) out[start + i] = work.totals[i];
  }
}

// Values, and derivatives by all axes' rows, at the first `count` points of a block whose rows are filled; with ByCore
// also the core's gradient of scale (kPointBlock) times the values.
template <class T, bool ByCore>
void block_slopes(const ModelAxis<T>* axes, const TuckerCore<T>& core, std::int64_t count, const T* scale, T* by_core,
                  const TuckerWorkspace<T>& work) {
  constexpr int N = kJetVectors;
  for (std::int64_t i = 0; i < count; i += N * vector_lanes<T>()) {
    const Vector<T>* rows[3];
    Vector<T>*stages[3], *slopes[3];
    auto* next = reinterpret_cast<Vector<T>*>(work.products);
    auto* slope = reinterpret_cast<Vector<T>*>(work.slopes);
    std::int64_t first[3];
    for (int g = 0; g < 3; ++g) {
      first[g] = modes_before(axes, core.groups[g].begin) * kPointBlock + i;
      rows[g] = multiply_rows<T, N>(axes, core.groups[g], work.rows + first[g], next);
      stages[g] = next;
      slopes[g] = slope;
      next += core.groups[g].stages * N;
      slope += core.groups[g].size * N;
    }
    core_slopes<T, N, ByCore>(core, rows, reinterpret_cast<Vector<T>*>(work.totals + i), slopes,
                              ByCore ? scale + i : nullptr, by_core);
    for (int g = 0; g < 3; ++g) {
      undo_products<T, N>(axes, core.groups[g], work.rows + first[g], stages[g], slopes[g], work.shares + first[g]);
    }
  }
}

template <class T>
void tucker_jet(const ModelAxis<T>* axes, std::int64_t dimension, const TuckerCore<T>& core, const T* points,
                std::int64_t begin, std::int64_t end, T* out, T* gradient, T* second, const TuckerWorkspace<T>& work) {
  const std::int64_t orders = modes_before(axes, dimension) * kPointBlock;
  T* totals = work.totals;
  for (std::int64_t start = begin; start < end; start += kPointBlock) {
    const std::int64_t count = end - start < kPointBlock ? end - start : kPointBlock;
    fill_block<T, 3>(axes, dimension, points + start * dimension, count, work);
    block_slopes<T, false>(axes, core, count, nullptr, nullptr, work);
    for (std::int64_t i = 0; i < count; ++i) out[start + i] = totals[i];
    for (std::int64_t d = 0, m = 0; d < dimension; m += axes[d++].modes) {
      const T* shares = work.shares + m * kPointBlock;
      const T* rows = work.rows + m * kPointBlock;
      add_modes(shares, rows + orders, axes[d].modes, totals);
      add_modes(shares, rows + 2 * orders, axes[d].modes, totals + kPointBlock);
      const T* scale = work.block.scale + d * kPointBlock;
      for (std::int64_t i = 0; i < count; ++i) {
        const std::int64_t place = (start + i) * dimension + d;
        gradient[place] = totals[i] * scale[i];
        second[place] = totals[kPointBlock + i] * scale[i] * scale[i];
      }
    }
  }
}

}  // namespace
}  // namespace inntd
