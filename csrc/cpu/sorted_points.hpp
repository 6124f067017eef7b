// Points in blocks, sorted by piece on every axis within each block: the form that the training kernels read.
#pragma once

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <vector>

#include "inntd/kernels.hpp"

namespace inntd {

constexpr std::int64_t kMaxBlock = 4096;  // numbers of points within a block are stored in 16 bits

// Pieces of points. Where points lie does not depend on the coefficients' precision.
template <class T>
void locate_points(const BasisTable<T>& table, const double* x, std::int64_t count, std::int64_t* piece) {
  const BasisTable<double> places = {table.breaks, table.kind,  table.first,  nullptr,       table.pieces,
                                     table.size,   table.width, table.degree, table.uniform, table.periodic};
  kernels().f64.basis.locate(places, x, count, piece);
}

template <class T>
class SortedPoints {
 public:
  // Sorts points (count, tables.size()); point i of block b is given[chosen[b * block + i]], or given[b * block + i]
  // without `chosen`. 6 bytes (float) or 10 (double) per point and axis, and 8 per run.
  template <class P>
  void sort(const std::vector<BasisTable<T>>& tables, const P* given, const std::int64_t* chosen, std::int64_t count,
            std::int64_t block) {
    dimension_ = static_cast<std::int64_t>(tables.size());
    count_ = count;
    block_ = std::min(block, kMaxBlock);
    const std::int64_t blocks = this->blocks();
    xi_.assign(static_cast<std::size_t>(dimension_ * count + kSpare), T(0));
    point_.assign(xi_.size(), 0);
    runs_.assign(static_cast<std::size_t>(dimension_ * blocks), Runs{});
    piece_.clear();
    end_.clear();
    std::vector<double> x(static_cast<std::size_t>(block_)), local(x.size());
    std::vector<std::int64_t> piece(x.size());
    for (std::int64_t d = 0; d < dimension_; ++d) {
      for (std::int64_t b = 0; b < blocks; ++b) {
        const std::int64_t size = this->size(b);
        for (std::int64_t i = 0; i < size; ++i) {
          const std::int64_t from = chosen == nullptr ? b * block_ + i : chosen[b * block_ + i];
          x[at(i)] = static_cast<double>(given[from * dimension_ + d]);
        }
        locate_points(tables[at(d)], x.data(), size, piece.data());
        sort_block(tables[at(d)], d, b, x, piece);
      }
    }
  }

  std::int64_t dimension() const { return dimension_; }
  std::int64_t count() const { return count_; }
  std::int64_t block() const { return block_; }
  std::int64_t blocks() const { return block_ == 0 ? 0 : (count_ + block_ - 1) / block_; }
  std::int64_t size(std::int64_t b) const { return std::min(block_, count_ - b * block_); }

  // The axes of block b, written to `out` (dimension).
  void view(std::int64_t b, SortedAxis<T>* out) const {
    for (std::int64_t d = 0; d < dimension_; ++d) {
      const Runs& runs = runs_[at(d * blocks() + b)];
      const std::int64_t start = d * count_ + b * block_;
      out[d] = {piece_.data() + runs.begin, end_.data() + runs.begin, runs.count, point_.data() + start,
                xi_.data() + start};
    }
  }

 private:
  struct Runs {
    std::int64_t begin = 0;
    std::int64_t count = 0;
  };
  static std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }

  void sort_block(const BasisTable<T>& table, std::int64_t d, std::int64_t b, const std::vector<double>& x,
                  const std::vector<std::int64_t>& piece) {
    const std::int64_t size = this->size(b), start = d * count_ + b * block_;
    sort_pieces(piece, size, table.pieces);
    Runs& runs = runs_[at(d * blocks() + b)];
    runs.begin = static_cast<std::int64_t>(piece_.size());
    for (std::int64_t place = 0; place < size; ++place) {
      const std::int64_t i = order_[at(place)], e = piece[at(i)];
      const double low = table.breaks[e], high = table.breaks[e + 1];
      xi_[at(start + place)] = static_cast<T>((2.0 * x[at(i)] - low - high) / (high - low));
      point_[at(start + place)] = static_cast<std::uint16_t>(i);
      if (place == 0 || piece_.back() != static_cast<std::int32_t>(e)) {
        piece_.push_back(static_cast<std::int32_t>(e));
        end_.push_back(0);
      }
      end_.back() = static_cast<std::int32_t>(place + 1);
    }
    runs.count = static_cast<std::int64_t>(piece_.size()) - runs.begin;
  }

  // order_: numbers of points by piece, stable. Counting takes `pieces` steps more, comparing a logarithm of the
  // points.
  void sort_pieces(const std::vector<std::int64_t>& piece, std::int64_t size, std::int64_t pieces) {
    order_.resize(at(size));
    if (pieces > 8 * size) {
      std::iota(order_.begin(), order_.end(), 0);
      std::stable_sort(order_.begin(), order_.end(),
                       [&](std::int64_t i, std::int64_t j) { return piece[at(i)] < piece[at(j)]; });
      return;
    }
    place_.assign(at(pieces + 1), 0);
    for (std::int64_t i = 0; i < size; ++i) ++place_[at(piece[at(i)] + 1)];
    for (std::int64_t e = 0; e < pieces; ++e) place_[at(e + 1)] += place_[at(e)];
    for (std::int64_t i = 0; i < size; ++i) order_[at(place_[at(piece[at(i)])]++)] = i;
  }

  std::int64_t dimension_ = 0, count_ = 0, block_ = 0;
  std::vector<T> xi_;                 // (dimension, count)
  std::vector<std::uint16_t> point_;  // (dimension, count)
  std::vector<Runs> runs_;            // (dimension, blocks)
  std::vector<std::int32_t> piece_, end_;
  std::vector<std::int64_t> order_, place_;
};

}  // namespace inntd
