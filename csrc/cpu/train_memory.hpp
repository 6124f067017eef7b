// Parameters and gradients of a CP model in the layout of the training kernels, and the memory of one thread.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "inntd/aligned.hpp"
#include "inntd/kernels.hpp"

namespace inntd {

// Where each factor lies in one array of all parameters: rows of padded modes, axis by axis, the outputs' rows last.
// A periodic axis repeats its first width - 1 rows at its end, so that nothing wraps. In tiles, each line of modes has
// a place of its own: (lines, rows, lanes) instead of (rows, lines, lanes).
template <class T>
class TrainLayout {
 public:
  TrainLayout(const BasisTable<T>* tables, std::int64_t dimension, std::int64_t modes, std::int64_t outputs,
              bool tiles = false)
      : tables_(tables, tables + dimension), modes_(modes), padded_(round_up_to_line<T>(modes)), outputs_(outputs) {
    row_stride_ = tiles ? line_lanes<T>() : padded_;
    std::int64_t all_rows = 0;
    for (const BasisTable<T>& table : tables_) {
      start_.push_back(all_rows * row_stride_);
      all_rows += rows(table);
      const std::int64_t width = round_up_to_line<T>(table.width);
      polynomials_.push_back(pad_polynomials(table, width));
    }
    start_.push_back(all_rows * row_stride_);
    all_rows += outputs + (tiles ? 1 : 0);  // narrow kernels read a second row on discrete axes too, to no effect
    tile_stride_ = tiles ? all_rows * row_stride_ : line_lanes<T>();
    size_ = all_rows * padded_;
    mask_ = aligned_array<T>(padded_);
    for (std::int64_t m = 0; m < padded_; ++m) mask_[static_cast<std::size_t>(m)] = T(m < modes ? 1 : 0);
  }

  const std::vector<BasisTable<T>>& tables() const { return tables_; }
  std::int64_t dimension() const { return static_cast<std::int64_t>(tables_.size()); }
  std::int64_t modes() const { return modes_; }
  std::int64_t padded() const { return padded_; }
  std::int64_t outputs() const { return outputs_; }
  std::int64_t size() const { return size_; }
  std::int64_t row_stride() const { return row_stride_; }
  std::int64_t tile_stride() const { return tile_stride_; }
  const T* mask() const { return mask_.get(); }
  const T* polynomials(std::int64_t d) const { return polynomials_[static_cast<std::size_t>(d)].get(); }
  // Of axis d; of the outputs for d = dimension.
  std::int64_t start(std::int64_t d) const { return start_[static_cast<std::size_t>(d)]; }

  // Copies a factor (rows without the repeated ones, modes) into `all`, or back.
  void put(T* all, std::int64_t d, const T* factor) const {
    for (std::int64_t i = 0; i < own_rows(d); ++i, factor += modes_) {
      for_lines([&](std::int64_t m, std::int64_t offset) {
        T* line = all + start(d) + i * row_stride_ + offset;
        const std::int64_t count = std::min(modes_ - m, line_lanes<T>());
        std::fill(std::copy_n(factor + m, count, line), line + line_lanes<T>(), T(0));
      });
    }
    repeat(all, d);
  }
  void take(const T* all, std::int64_t d, T* factor) const {
    for (std::int64_t i = 0; i < own_rows(d); ++i, factor += modes_) {
      for_lines([&](std::int64_t m, std::int64_t offset) {
        std::copy_n(all + start(d) + i * row_stride_ + offset, std::min(modes_ - m, line_lanes<T>()), factor + m);
      });
    }
  }
  // Parameters: makes the repeated rows of periodic axes equal to the first ones.
  void repeat(T* all, std::int64_t d) const {
    for_repeated(
        d, [&](std::int64_t own, std::int64_t repeated) { std::copy_n(all + own, line_lanes<T>(), all + repeated); });
  }
  // Gradients: adds the repeated rows' to the first ones' and clears them.
  void fold(T* all, std::int64_t d) const {
    for_repeated(d, [&](std::int64_t own, std::int64_t repeated) {
      for (std::int64_t lane = 0; lane < line_lanes<T>(); ++lane) {
        all[own + lane] += all[repeated + lane];
        all[repeated + lane] = T(0);
      }
    });
  }

 private:
  static std::int64_t rows(const BasisTable<T>& table) {
    return table.periodic ? table.size + table.width - 1 : table.size;
  }
  std::int64_t own_rows(std::int64_t d) const {
    return d < dimension() ? tables_[static_cast<std::size_t>(d)].size : outputs_;
  }
  // The lines of a row: their first modes, and where they lie from the row's first on.
  template <class Body>
  void for_lines(const Body& body) const {
    for (std::int64_t m = 0; m < padded_; m += line_lanes<T>()) body(m, m / line_lanes<T>() * tile_stride_);
  }
  template <class Body>
  void for_repeated(std::int64_t d, const Body& body) const {
    if (d >= dimension()) return;
    const BasisTable<T>& table = tables_[static_cast<std::size_t>(d)];
    for (std::int64_t i = table.size; i < rows(table); ++i) {
      for_lines([&](std::int64_t, std::int64_t offset) {
        body(start(d) + i % table.size * row_stride_ + offset, start(d) + i * row_stride_ + offset);
      });
    }
  }
  static AlignedArray<T> pad_polynomials(const BasisTable<T>& table, std::int64_t width) {
    std::int64_t kinds = 0;
    for (std::int64_t e = 0; e < table.pieces; ++e) kinds = std::max<std::int64_t>(kinds, table.kind[e] + 1);
    const std::int64_t lines = kinds * (table.degree + 1);
    auto out = aligned_array<T>(lines * width);
    for (std::int64_t line = 0; line < lines; ++line) {
      T* row = out.get() + line * width;
      std::copy_n(table.coefficients + line * table.width, table.width, row);
      std::fill(row + table.width, row + width, T(0));
    }
    return out;
  }

  std::vector<BasisTable<T>> tables_;
  std::int64_t modes_, padded_, outputs_, row_stride_, tile_stride_, size_;
  std::vector<std::int64_t> start_;
  std::vector<AlignedArray<T>> polynomials_;
  AlignedArray<T> mask_;
};

template <class T>
AlignedArray<T> zeros(std::int64_t count) {
  auto out = aligned_array<T>(count);
  std::fill_n(out.get(), count, T(0));
  return out;
}

// One thread's memory for one block of sorted points at a time; `gradient` is laid out like the parameters.
template <class T>
class TrainWorkspace {
 public:
  // `orders` of derivatives are tabulated; `copies` of f are kept (jets: 2).
  TrainWorkspace(const TrainLayout<T>& layout, const T* parameters, T* gradient, std::int64_t points, int orders,
                 int copies)
      : sorted_(static_cast<std::size_t>(layout.dimension())) {
    const std::int64_t dimension = layout.dimension(), padded = layout.padded();
    const std::int64_t places = points + kSpare;
    f_ = aligned_array<T>(points * dimension * padded * copies);
    scratch_ = aligned_array<T>(2 * dimension * line_lanes<T>());
    const std::int64_t outputs = std::max<std::int64_t>(layout.outputs(), 1);
    if (layout.outputs() > 0) whole_ = aligned_array<T>(points * padded);
    values_ = aligned_array<T>(points * outputs);
    for (std::int64_t d = 0; d < dimension; ++d) {
      const BasisTable<T>& table = layout.tables()[static_cast<std::size_t>(d)];
      weights_.push_back(aligned_array<T>(orders * places * round_up_to_line<T>(table.width)));
      axes_.push_back({table, layout.polynomials(d), parameters + layout.start(d), gradient + layout.start(d),
                       weights_.back().get()});
    }
    block_ = {axes_.data(), sorted_.data(), dimension, padded, 0, places, layout.mask(), f_.get(), scratch_.get()};
  }

  // The block's points, for the kernels.
  template <class Points>
  const TrainBlock<T>& enter(const Points& points, std::int64_t b) {
    points.view(b, sorted_.data());
    block_.count = points.size(b);
    return block_;
  }
  const TrainBlock<T>& block() const { return block_; }
  T* whole() { return whole_.get(); }  // products of all axes (count, modes), null without outputs
  T* values() { return values_.get(); }

 private:
  AlignedArray<T> f_, scratch_, whole_, values_;
  std::vector<AlignedArray<T>> weights_;
  std::vector<TrainAxis<T>> axes_;
  std::vector<SortedAxis<T>> sorted_;
  TrainBlock<T> block_;
};

// Points of a block for which f stays within about half of the second cache level.
template <class T>
std::int64_t cached_block(const TrainLayout<T>& layout, std::int64_t wished) {
  const std::int64_t bytes = layout.dimension() * layout.padded() * static_cast<std::int64_t>(sizeof(T));
  constexpr std::int64_t cache = 1 << 20;
  return std::clamp<std::int64_t>(cache / bytes, std::min<std::int64_t>(wished, 64), wished);
}

}  // namespace inntd
