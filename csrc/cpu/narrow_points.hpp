// Points in blocks for narrow bases: their rows and weights, tabulated once.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "sorted_points.hpp"
#include "train_memory.hpp"

namespace inntd {

template <class T>
class NarrowPoints {
 public:
  // Whether all bases have two functions at each point, or one, and offsets fit 32 bits.
  static bool fit(const BasisTable<T>* tables, std::int64_t dimension) {
    std::int64_t rows = 0;
    for (std::int64_t d = 0; d < dimension; ++d) {
      if (tables[d].width > 2) return false;
      rows += tables[d].size + 1;
    }
    return rows * line_lanes<T>() < INT32_MAX;
  }

  // Points (count, dimension); point i of block b is given[chosen[b * block + i]]. 12 bytes (float) or 20 (double) per
  // point and axis.
  void set(const TrainLayout<T>& layout, const double* given, const std::int64_t* chosen, std::int64_t count,
           std::int64_t block) {
    dimension_ = layout.dimension();
    count_ = count;
    block_ = block;
    row_.resize(static_cast<std::size_t>(count * dimension_));
    weights_.resize(2 * row_.size());
    std::vector<double> x(static_cast<std::size_t>(count));
    std::vector<std::int64_t> piece(x.size());
    for (std::int64_t d = 0; d < dimension_; ++d) {
      for (std::int64_t i = 0; i < count; ++i) x[at(i)] = given[chosen[i] * dimension_ + d];
      tabulate(layout, d, x, piece);
    }
  }

  std::int64_t count() const { return count_; }
  std::int64_t block() const { return block_; }
  std::int64_t size(std::int64_t b) const { return std::min(block_, count_ - b * block_); }
  const std::int32_t* row(std::int64_t b) const { return row_.data() + b * block_ * dimension_; }
  const T* weights(std::int64_t b) const { return weights_.data() + 2 * b * block_ * dimension_; }

 private:
  static std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }

  void tabulate(const TrainLayout<T>& layout, std::int64_t d, const std::vector<double>& x,
                std::vector<std::int64_t>& piece) {
    const BasisTable<T>& table = layout.tables()[at(d)];
    locate_points(table, x.data(), count_, piece.data());
    for (std::int64_t i = 0; i < count_; ++i) {
      const std::int64_t e = piece[at(i)], place = i * dimension_ + d;
      const double low = table.breaks[e], high = table.breaks[e + 1];
      const T xi = static_cast<T>((2.0 * x[at(i)] - low - high) / (high - low));
      const T* c = table.coefficients + std::int64_t{table.kind[e]} * (table.degree + 1) * table.width;
      row_[at(place)] = static_cast<std::int32_t>(layout.start(d) + table.first[e] * layout.row_stride());
      for (int k = 0; k < 2; ++k) {
        T weight = T(0);  // on a discrete axis there is only one function
        for (int q = table.degree; q >= 0 && k < table.width; --q) weight = weight * xi + c[q * table.width + k];
        weights_[at(2 * place + k)] = weight;
      }
    }
  }

  std::int64_t dimension_ = 0, count_ = 0, block_ = 0;
  std::vector<std::int32_t> row_;  // (count, dimension)
  std::vector<T> weights_;         // (count, dimension, 2)
};

}  // namespace inntd
