// Kernels of training: derivatives of a CP model's values with respect to its factors, a block of points at a time.
//
// Within a block the points are sorted by piece, axis by axis. Points of one piece share the `width` rows of the factor
// that they read and add to, so rows and sums of gradients stay in registers and nothing is scattered. The steps:
//
//   multiply    f[i][d] = sum_k w[i][k] F_d[first + k], all modes, with the weights w[i][k] of the basis functions
//   products    f[i][d] becomes prod_{e != d} f[i][e], by products from both sides, never a division
//   accumulate  dF_d[first + k] += sum_i s_i w[i][k] f[i][d], with the derivative s_i of the loss by the value
//
// Per point, axis and mode: 2 width multiplications with addition and three products.
// f, which is written twice and read twice in the second cache level, costs about as much as that arithmetic with ten
// rows, and with two rows several times as much: they have kernels of their own (train_narrow.hpp).
#pragma once

#include <cstdint>

#include "inntd/basis.hpp"
#include "inntd/simd.hpp"

namespace inntd {

// Kernels may read the coordinates and numbers of so many points beyond a block's last, and write as many weights.
constexpr int kSpare = 8;

// The points of one block on one axis, in the order of their pieces. Run r covers places [end[r - 1], end[r]).
template <class T>
struct SortedAxis {
  const std::int32_t* piece;  // (runs)
  const std::int32_t* end;    // (runs)
  std::int64_t runs;
  const std::uint16_t* point;  // (count): number within the block of the point at each place
  const T* xi;                 // (count): its coordinate in the piece, -1..1
};

// One axis of the model, and the memory for its share of a block.
template <class T>
struct TrainAxis {
  BasisTable<T> table;
  const T* polynomials;  // the table's coefficients, (kinds, degree + 1, padded width)
  const T* rows;         // (table.size, and width - 1 more if periodic; padded modes)
  T* gradient;           // of the same shape
  T* weights;            // (orders, places, padded width)
};

// A block: `count` points of `dimension` axes, `modes` padded to whole lines of 64 bytes.
template <class T>
struct TrainBlock {
  const TrainAxis<T>* axes;
  const SortedAxis<T>* sorted;  // (dimension)
  std::int64_t dimension;
  std::int64_t modes;
  std::int64_t count;
  std::int64_t places;  // capacity, kSpare included: the stride between orders of weights
  const T* mask;        // (modes): one for modes, zero for padding
  T* f;                 // (count, dimension, modes)
  T* scratch;           // (2 dimension + places, one vector)
};

// A block of points on narrow bases, two functions each (train_narrow.hpp). Parameters are in tiles of one line of
// modes: (tiles, rows of all axes, lanes of a line), and so is the gradient.
template <class T>
struct NarrowBlock {
  const std::int32_t* row;  // (count, dimension): where the first row begins within a tile
  const T* weights;         // (count, dimension, 2)
  std::int64_t dimension;
  std::int64_t modes;  // padded to whole lines
  std::int64_t count;
  std::int64_t tile_stride;
  const T* parameters;
  T* gradient;
  const T* mask;  // (modes): one for modes, zero for padding
  T* scratch;     // (2 dimension, one vector)

  // Of the tile with mode m, at a mode that begins a vector.
  std::int64_t offset(std::int64_t m) const { return m / line_lanes<T>() * tile_stride + m % line_lanes<T>(); }
};

// One step of Adam with decoupled weight decay (Kingma & Ba 2015; Loshchilov & Hutter 2019).
template <class T>
struct AdamStep {
  T rate;
  T beta1, beta2;
  T correction1, correction2;  // 1 - beta^step
  T epsilon;
  T decay;
};

template <class T>
struct TrainKernels {
  // Weights of `orders` derivatives in xi, 1 or 3, and f[i][d] = sum_k w[i][k] rows with those of order 0.
  void (*multiply)(const TrainBlock<T>& block, int orders);
  // Products of the other axes in place of f; their whole products go to `whole` (count, modes) if it is there, and the
  // sums of these over the modes to `values` (count).
  void (*products)(const TrainBlock<T>& block, T* whole, T* values);
  // values[i][c] = sum_m whole[i][m] outputs[c][m].
  void (*output_values)(const TrainBlock<T>& block, const T* whole, const T* outputs, std::int64_t count, T* values);
  // f[i][d] *= sum_c slopes[i][c] outputs[c] for all d, gradient[c] += sum_i slopes[i][c] whole[i].
  void (*output_slopes)(const TrainBlock<T>& block, const T* whole, const T* outputs, std::int64_t count,
                        const T* slopes, T* gradient);
  // gradient += weights of derivative `order` times f, times slopes (count) unless that is null.
  void (*accumulate)(const TrainBlock<T>& block, int order, const T* slopes);
  // gradient[i][d] = slopes[i] * d value / d x_d, with unscaled weights of order 1 (in xi).
  void (*point_slopes)(const TrainBlock<T>& block, const T* slopes, T* gradient);
  // Backward of value, gradient and second derivatives, whose cotangents are a (count), b and c (count, dimension).
  // Takes f and weights of three orders.
  void (*jet_slopes)(const TrainBlock<T>& block, const T* a, const T* b, const T* c);
  // Narrow bases: values (count), and gradient += slopes times derivatives.
  void (*narrow_values)(const NarrowBlock<T>& block, T* values);
  void (*narrow_gradients)(const NarrowBlock<T>& block, const T* slopes);
  // Adds gradients [1, buffers) to the first, updates [begin, end) of all parameters, and sets the gradients to zero.
  void (*adam)(T* parameters, T* mean, T* square, T* const* gradients, int buffers, std::int64_t begin,
               std::int64_t end, const AdamStep<T>& step);
};

}  // namespace inntd

#ifdef INNTD_KERNEL_SOURCE
#include "inntd/train_adam.hpp"
#include "inntd/train_blocks.hpp"
#include "inntd/train_jets.hpp"
#include "inntd/train_narrow.hpp"

namespace inntd {
namespace {

template <class T>
constexpr TrainKernels<T> make_train_kernels() {
  return {&tabulate_and_multiply<T>, &other_products<T>, &output_values<T>, &output_slopes<T>,    &accumulate_rows<T>,
          &point_slopes<T>,          &jet_slopes<T>,     &narrow_values<T>, &narrow_gradients<T>, &adam<T>};
}

}  // namespace
}  // namespace inntd
#endif
