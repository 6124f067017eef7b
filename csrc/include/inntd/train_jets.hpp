// Training: derivatives of values by the points, and the backward pass of jets, on sorted points.
#pragma once

#include "inntd/train_blocks.hpp"

namespace inntd {
namespace {

// f holds the products of the other axes: the derivative of an axis' function is multiplied with them and summed.
template <class T>
void point_slopes(const TrainBlock<T>& block, const T* slopes, T* gradient) {
  const std::int64_t vectors = block.modes / vector_lanes<T>();
  for (std::int64_t d = 0; d < block.dimension; ++d) {
    const TrainAxis<T>& axis = block.axes[d];
    const SortedAxis<T>& sorted = block.sorted[d];
    const std::int64_t stride = round_up_to_line<T>(axis.table.width);
    const T* weights = axis.weights + block.places * stride;
    for_runs(sorted, [&](std::int64_t piece, std::int64_t begin, std::int64_t end) {
      const auto* rows = reinterpret_cast<const Vector<T>*>(axis.rows + axis.table.first[piece] * block.modes);
      const T scale = static_cast<T>(2.0 / (axis.table.breaks[piece + 1] - axis.table.breaks[piece]));
      for (std::int64_t i = begin; i < end; ++i) {
        const std::int64_t point = sorted.point[i];
        const auto* others = reinterpret_cast<const Vector<T>*>(block.f + (point * block.dimension + d) * block.modes);
        const T* w = weights + i * stride;
        Vector<T> total = {};
        for (std::int64_t v = 0; v < vectors; ++v) {
          Vector<T> sum = rows[v] * w[0];
          for (int k = 1; k < axis.table.width; ++k) sum += rows[k * vectors + v] * w[k];
          total += sum * others[v];
        }
        gradient[point * block.dimension + d] = slopes[point] * scale * sum_lanes<T>(total);
      }
    });
  }
}

// With s_d = b_d f_d' + c_d f_d'' the contribution of a point to the loss is, mode by mode, a prod f + sum_d s_d
// prod_{e != d} f_e: the products' dual part with f_d + epsilon s_d in place of f_d. Its derivative by f_d is
// a P_d + Q_d, with P_d + epsilon Q_d the product of the other axes, and by s_d it is P_d.
//
// `f` holds the axes' functions and is overwritten with derivatives by them. Rows' gradients need w (a P + Q) + (b w' +
// c w'') P: both parts are added here, with weights of order 1 holding b w' + c w'' afterwards.
template <class T>
void jet_slopes(const TrainBlock<T>& block, const T* a, const T* b, const T* c) {
  const std::int64_t vectors = block.modes / vector_lanes<T>();
  const std::int64_t dimension = block.dimension;
  for (std::int64_t d = 0; d < dimension; ++d) {  // weights of order 1 become b w' + c w'', in x
    const TrainAxis<T>& axis = block.axes[d];
    const std::int64_t stride = round_up_to_line<T>(axis.table.width);
    for_runs(block.sorted[d], [&](std::int64_t piece, std::int64_t begin, std::int64_t end) {
      const T scale = static_cast<T>(2.0 / (axis.table.breaks[piece + 1] - axis.table.breaks[piece]));
      for (std::int64_t i = begin; i < end; ++i) {
        const std::int64_t point = block.sorted[d].point[i];
        const T by_first = b[point * dimension + d] * scale, by_second = c[point * dimension + d] * scale * scale;
        T* w1 = axis.weights + (block.places + i) * stride;
        const T* w2 = axis.weights + (2 * block.places + i) * stride;
        for (std::int64_t k = 0; k < stride; ++k) w1[k] = by_first * w1[k] + by_second * w2[k];
      }
    });
  }
  // f and s lie one after the other: (count, dimension, modes) each.
  T* s_start = block.f + block.count * dimension * block.modes;
  TrainBlock<T> slopes_block = block;
  slopes_block.f = s_start;
  for (std::int64_t d = 0; d < dimension; ++d) run_axis_of_width<T, RunPass::multiply>(slopes_block, d, 1, nullptr);
  auto* before = reinterpret_cast<Vector<T>*>(block.scratch);
  for (std::int64_t i = 0; i < block.count; ++i) {
    auto* f = reinterpret_cast<Vector<T>*>(block.f) + i * dimension * vectors;
    auto* s = reinterpret_cast<Vector<T>*>(s_start) + i * dimension * vectors;
    for (std::int64_t v = 0; v < vectors; ++v) {
      Vector<T> p = reinterpret_cast<const Vector<T>*>(block.mask)[v], q = p * T(0);
      for (std::int64_t d = 0; d < dimension; ++d) {
        before[2 * d] = p;
        before[2 * d + 1] = q;
        q = q * f[d * vectors + v] + p * s[d * vectors + v];
        p = p * f[d * vectors + v];
      }
      p = p * T(0) + T(1);
      q = p * T(0);
      for (std::int64_t d = dimension - 1; d >= 0; --d) {
        const Vector<T> value = f[d * vectors + v], slope = s[d * vectors + v];
        const Vector<T> others = before[2 * d] * p;
        f[d * vectors + v] = others * a[i] + before[2 * d] * q + before[2 * d + 1] * p;
        s[d * vectors + v] = others;
        q = q * value + p * slope;
        p = p * value;
      }
    }
  }
  accumulate_rows(block, 0, static_cast<const T*>(nullptr));
  accumulate_rows(slopes_block, 1, static_cast<const T*>(nullptr));
}

}  // namespace
}  // namespace inntd
