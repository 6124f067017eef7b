// The backward pass of Tucker models' values, on top of contract_tucker.hpp.
//
// Derivatives by all axes' rows at a block of points are those of jets. Turned round again, so that modes are the
// fastest index, they are added to the rows of factors that each point has read.
#pragma once

#include "inntd/contract_tucker.hpp"

namespace inntd {
namespace {

// Adds the weights of axis d times the points' derivatives by its row, shares (modes, kPointBlock), to its gradient.
template <class T>
void add_to_factor(const ModelAxis<T>& axis, std::int64_t d, int orders, std::int64_t count, const T* shares,
                   T* gradient, const CpWorkspace<T>& work) {
  constexpr std::int64_t lanes = vector_lanes<T>();
  const std::int64_t vectors = round_up_to_line<T>(axis.modes) / lanes;
  const T* weights = work.weights + d * orders * kPointBlock * work.weight_width;
  for (std::int64_t m = 0; m < axis.modes; m += lanes) {
    for (std::int64_t i = 0; i < count; i += lanes) {
      Vector<T> tile[lanes];
      for (std::int64_t j = 0; j < lanes; ++j) {
        tile[j] =
            m + j < axis.modes ? *reinterpret_cast<const Vector<T>*>(shares + (m + j) * kPointBlock + i) : Vector<T>{};
      }
      transpose<T>(tile);
      for (std::int64_t j = 0; j < (count - i < lanes ? count - i : lanes); ++j) {
        const T* weight = weights + (i + j) * axis.padded_width;
        T* row = gradient + (work.source[d * kPointBlock + i + j] - axis.prepared) + m;
        for (int k = 0; k < axis.table.width; ++k)
          reinterpret_cast<Vector<T>*>(row)[k * vectors] += tile[j] * weight[k];
      }
    }
  }
}

// Gradients of the sum of slopes times values by the core, the factors and, unless that is null, the points, whose
// functions' derivatives are then needed: Orders = 3.
template <class T, int Orders>
void gradients_of_order(const ModelAxis<T>* axes, std::int64_t dimension, const TuckerCore<T>& core, const T* points,
                        std::int64_t begin, std::int64_t end, const T* slopes, const TuckerGradients<T>& gradients,
                        const TuckerWorkspace<T>& work) {
  const std::int64_t modes = modes_before(axes, dimension);
  T* scale = work.totals + kPointBlock;
  for (std::int64_t start = begin; start < end; start += kPointBlock) {
    const std::int64_t count = end - start < kPointBlock ? end - start : kPointBlock;
    for (std::int64_t i = 0; i < kPointBlock; ++i) scale[i] = i < count ? slopes[start + i] : T(0);
    fill_block<T, Orders>(axes, dimension, points + start * dimension, count, work);
    block_slopes<T, true>(axes, core, count, scale, gradients.core, work);
    for (std::int64_t m = 0; m < modes; ++m) {
      for (std::int64_t i = 0; i < kPointBlock; ++i) work.shares[m * kPointBlock + i] *= scale[i];
    }
    for (std::int64_t d = 0, m = 0; d < dimension; m += axes[d++].modes) {
      const T* shares = work.shares + m * kPointBlock;
      add_to_factor(axes[d], d, Orders, count, shares, gradients.factors[d], work.block);
      if constexpr (Orders > 1) {
        add_modes(shares, work.rows + (modes + m) * kPointBlock, axes[d].modes, work.totals);
        for (std::int64_t i = 0; i < count; ++i) {
          gradients.points[(start + i) * dimension + d] = work.totals[i] * work.block.scale[d * kPointBlock + i];
        }
      }
    }
  }
}

template <class T>
void tucker_gradients(const ModelAxis<T>* axes, std::int64_t dimension, const TuckerCore<T>& core, const T* points,
                      std::int64_t begin, std::int64_t end, const T* slopes, const TuckerGradients<T>& gradients,
                      const TuckerWorkspace<T>& work) {
  if (gradients.points == nullptr) {
    gradients_of_order<T, 1>(axes, dimension, core, points, begin, end, slopes, gradients, work);
  } else {
    gradients_of_order<T, 3>(axes, dimension, core, points, begin, end, slopes, gradients, work);
  }
}

}  // namespace
}  // namespace inntd
