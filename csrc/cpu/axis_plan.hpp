// The axes of one evaluation as the kernels see them, and the memory for what is prepared of them.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "inntd/aligned.hpp"
#include "inntd/kernels.hpp"
#include "inntd/parallel.hpp"

namespace inntd {

template <class T>
class AxisPlan {
 public:
  const ModelAxis<T>* axes() const { return axes_.data(); }
  std::int64_t dimension() const { return static_cast<std::int64_t>(axes_.size()); }

  // Widest padded row of weights among the prepared axes in rows form.
  std::int64_t weight_width() const {
    std::int64_t width = 0;
    for (const ModelAxis<T>& axis : axes_) width = std::max(width, axis.padded_width);
    return width;
  }

 protected:
  void add(const BasisTable<T>& table, const T* factor, std::int64_t modes) { axes_.push_back({table, factor, modes}); }

  void prepare_axis(ModelAxis<T>& axis, int threads) {
    const bool rows = axis.form == AxisForm::rows;
    if (rows) pad_polynomials(axis);
    if (rows && usable_in_place(axis)) {
      axis.prepared = const_cast<T*>(axis.factor);  // never written to
      return;
    }
    const std::int64_t items = rows ? row_count(axis) : axis.table.pieces;
    const std::int64_t rows_each = rows ? 1 : axis.table.degree + 1;
    axis.prepared = keep(items * rows_each * round_up_to_line<T>(axis.modes));
    const std::int64_t cost = axis.modes * rows_each * (rows ? 1 : axis.table.width);
    parallel_for(
        items, std::max<std::int64_t>(1, 100000 / cost), threads,
        [&](std::int64_t begin, std::int64_t end, int) { kernels().of<T>().contract.prepare(axis, begin, end); });
  }

  static std::int64_t row_count(const ModelAxis<T>& axis) {
    return axis.table.size + (axis.table.periodic ? axis.table.width - 1 : 0);
  }

  static bool usable_in_place(const ModelAxis<T>& axis) {
    return axis.modes % line_lanes<T>() == 0 && !axis.table.periodic &&
           reinterpret_cast<std::uintptr_t>(axis.factor) % kAlignment == 0;
  }

  std::vector<ModelAxis<T>> axes_;

 private:
  T* keep(std::int64_t count) {
    memory_.push_back(aligned_array<T>(count));
    return memory_.back().get();
  }

  // Rows of the table's coefficients become whole vectors of 16, 32 or a multiple of 64 bytes.
  void pad_polynomials(ModelAxis<T>& axis) {
    const BasisTable<T>& table = axis.table;
    const std::int64_t bytes = static_cast<std::int64_t>(sizeof(T)) * table.width;
    const std::int64_t vector_bytes = bytes <= 16 ? 16 : bytes <= 32 ? 32 : (bytes + 63) / 64 * 64;
    axis.padded_width = vector_bytes / static_cast<std::int64_t>(sizeof(T));
    const std::int64_t rows = (1 + *std::max_element(table.kind, table.kind + table.pieces)) * (table.degree + 1);
    axis.polynomials = keep(rows * axis.padded_width);
    for (std::int64_t row = 0; row < rows; ++row) {
      T* target = axis.polynomials + row * axis.padded_width;
      std::copy_n(table.coefficients + row * table.width, table.width, target);
      std::fill(target + table.width, target + axis.padded_width, T(0));
    }
  }

  std::vector<AlignedArray<T>> memory_;
};

// Hands out consecutive parts of one allocation; counts must be multiples of whole lines of 64 bytes but for the last.
template <class T>
class Parts {
 public:
  explicit Parts(std::int64_t count) : memory_(aligned_array<T>(count)), next_(memory_.get()) {}
  T* take(std::int64_t count) {
    T* taken = next_;
    next_ += count;
    return taken;
  }

 private:
  AlignedArray<T> memory_;
  T* next_;
};

// One thread's memory for blocks of points; `more` scalars besides.
template <class T>
class BlockMemory {
 public:
  BlockMemory(std::int64_t dimension, std::int64_t weight_width, int orders, std::int64_t more)
      : doubles_(2 * kPointBlock),
        pieces_(aligned_array<std::int64_t>(kPointBlock)),
        sources_(aligned_array<const T*>(dimension * kPointBlock)),
        scalars_(dimension * kPointBlock * (2 + orders * weight_width) + more) {
    view_.x = doubles_.take(kPointBlock);
    view_.local = doubles_.take(kPointBlock);
    view_.piece = pieces_.get();
    view_.source = sources_.get();
    view_.xi = take(dimension * kPointBlock);
    view_.scale = take(dimension * kPointBlock);
    view_.weights = take(dimension * orders * kPointBlock * weight_width);
    view_.weight_width = weight_width;
    view_.totals = nullptr;
    view_.rows = nullptr;
  }

 protected:
  T* take(std::int64_t count) { return scalars_.take(count); }
  CpWorkspace<T> view_;

 private:
  Parts<double> doubles_;
  AlignedArray<std::int64_t> pieces_;
  AlignedArray<const T*> sources_;
  Parts<T> scalars_;
};

}  // namespace inntd
