// Training on narrow bases (two functions per point: hats), a point at a time.
//
// Sorting pays where many rows are read again and again from registers. With two rows per axis it does not: what the
// sorted kernels write and read of f costs more than the rows. Here f never leaves the registers. One line of modes (16
// in single precision) is done for all points of a block before the next: of all parameters and gradients only that
// share is in use, and it is stored in one piece (TrainLayout's tiles), so it fits the first cache level up to some 350
// rows of all axes together. The backward pass needs the whole value first, so it computes f once more.
//
// Per point, axis and line: 4 rows read and 7 multiplications for the two passes, 2 rows of the gradient added to.
#pragma once

#include "inntd/train_blocks.hpp"

namespace inntd {
namespace {

constexpr int kNarrow = 2;  // rows

// One axis' function at a point: a vector of modes.
template <class T>
INNTD_INLINE Vector<T> narrow_function(const T* rows, const T* weights) {
  const auto* lower = reinterpret_cast<const Vector<T>*>(rows);
  const auto* upper = reinterpret_cast<const Vector<T>*>(rows + line_lanes<T>());
  return *lower * weights[0] + *upper * weights[1];
}

template <class T, int D>
void narrow_values_of(const NarrowBlock<T>& block, T* values) {
  const std::int64_t dimension = D > 0 ? D : block.dimension;
  const auto* mask = reinterpret_cast<const Vector<T>*>(block.mask);
  for (std::int64_t m = 0; m < block.modes; m += vector_lanes<T>()) {
    const T* parameters = block.parameters + block.offset(m);
    const Vector<T> kept = mask[m / vector_lanes<T>()];
    const std::int32_t* row = block.row;
    const T* weights = block.weights;
    for (std::int64_t i = 0; i < block.count; ++i, row += dimension, weights += kNarrow * dimension) {
      Vector<T> product = kept;
      for (std::int64_t d = 0; d < dimension; ++d) {
        product *= narrow_function(parameters + row[d], weights + kNarrow * d);
      }
      const T sum = sum_lanes<T>(product);
      values[i] = m == 0 ? sum : values[i] + sum;
    }
  }
}

template <class T, int D>
void narrow_gradients_of(const NarrowBlock<T>& block, const T* slopes) {
  const std::int64_t dimension = D > 0 ? D : block.dimension;
  const auto* mask = reinterpret_cast<const Vector<T>*>(block.mask);
  Vector<T> kept[D > 0 ? 2 * D : 1];
  Vector<T>* before = D > 0 ? kept : reinterpret_cast<Vector<T>*>(block.scratch);
  Vector<T>* value = before + dimension;
  for (std::int64_t m = 0; m < block.modes; m += vector_lanes<T>()) {
    const T* parameters = block.parameters + block.offset(m);
    T* gradient = block.gradient + block.offset(m);
    const std::int32_t* row = block.row;
    const T* weights = block.weights;
    for (std::int64_t i = 0; i < block.count; ++i, row += dimension, weights += kNarrow * dimension) {
      Vector<T> product = mask[m / vector_lanes<T>()] * slopes[i];
      for (std::int64_t d = 0; d < dimension; ++d) {
        before[d] = product;
        value[d] = narrow_function(parameters + row[d], weights + kNarrow * d);
        product *= value[d];
      }
      Vector<T> after = {};
      for (std::int64_t d = dimension - 1; d >= 0; --d) {
        const Vector<T> others = d == dimension - 1 ? before[d] : before[d] * after;
        after = d == dimension - 1 ? value[d] : after * value[d];
        auto* lower = reinterpret_cast<Vector<T>*>(gradient + row[d]);
        auto* upper = reinterpret_cast<Vector<T>*>(gradient + row[d] + line_lanes<T>());
        *lower += others * weights[kNarrow * d];
        *upper += others * weights[kNarrow * d + 1];
      }
    }
  }
}

template <class T>
void narrow_values(const NarrowBlock<T>& block, T* values) {
  with_dimension(block.dimension, [&](auto d) { narrow_values_of<T, decltype(d)::value>(block, values); });
}

template <class T>
void narrow_gradients(const NarrowBlock<T>& block, const T* slopes) {
  with_dimension(block.dimension, [&](auto d) { narrow_gradients_of<T, decltype(d)::value>(block, slopes); });
}

}  // namespace
}  // namespace inntd
