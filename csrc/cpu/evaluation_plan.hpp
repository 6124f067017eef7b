// How one evaluation is carried out: straight from the factors, or from axes prepared in one form or the other.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "inntd/aligned.hpp"
#include "inntd/evaluate.hpp"
#include "inntd/kernels.hpp"
#include "inntd/parallel.hpp"

namespace inntd {

// Rough costs in units of one operation on a 64-byte line, fitted to measurements on a Zen 5 (float32 and float64,
// 2 to 10 functions per point, 1 to 8 lines of modes). They only choose between ways to the same result.
struct CostModel {
  static constexpr double kCall = 1e4;         // allocating and planning
  static constexpr double kDirectAxis = 60.0;  // one point, one axis, straight from the factor
  static constexpr double kDirectRow = 6.0;    // and each block of its rows

  // Slowdown of reading lines at random from `bytes` of memory.
  static double spread(double bytes) { return bytes <= 64e3 ? 1.0 : bytes <= 128e3 ? 1.3 : bytes <= 1.1e6 ? 1.6 : 3.0; }
};

template <class T>
class EvaluationPlan {
 public:
  // `orders`: 1 for values, 3 for jets.
  EvaluationPlan(const CpView<T>& cp, std::int64_t points, int orders) : cp_(cp), points_(points), orders_(orders) {
    for (std::int64_t d = 0; d < cp.axes; ++d) axes_.push_back({cp.tables[d], cp.factors[d]});
    choose();
  }

  const CpAxis<T>* axes() const { return axes_.data(); }
  bool prepared() const { return prepared_; }

  // Widest padded row of weights among the axes in rows form.
  std::int64_t weight_width() const {
    std::int64_t width = 0;
    for (const CpAxis<T>& axis : axes_) width = std::max(width, axis.padded_width);
    return width;
  }

  void prepare(int threads) {
    for (CpAxis<T>& axis : axes_) {
      const bool rows = axis.form == AxisForm::rows;
      if (rows) pad_polynomials(axis);
      if (rows && usable_in_place(axis)) {
        axis.prepared = const_cast<T*>(axis.factor);  // never written to
        continue;
      }
      const std::int64_t items = rows ? row_count(axis) : axis.table.pieces;
      const std::int64_t rows_each = rows ? 1 : axis.table.degree + 1;
      axis.prepared = keep(items * rows_each * round_up_to_line<T>(cp_.modes));
      const std::int64_t cost = cp_.modes * rows_each * (rows ? 1 : axis.table.width);
      parallel_for(items, std::max<std::int64_t>(1, 100000 / cost), threads,
                   [&](std::int64_t begin, std::int64_t end, int) {
                     kernels().of<T>().contract.prepare(axis, cp_.modes, begin, end);
                   });
    }
  }

 private:
  static std::int64_t row_count(const CpAxis<T>& axis) {
    return axis.table.size + (axis.table.periodic ? axis.table.width - 1 : 0);
  }

  bool usable_in_place(const CpAxis<T>& axis) const {
    return cp_.modes % line_lanes<T>() == 0 && !axis.table.periodic &&
           reinterpret_cast<std::uintptr_t>(axis.factor) % kAlignment == 0;
  }

  void choose() {
    const double lines = static_cast<double>(round_up_to_line<T>(cp_.modes) / line_lanes<T>());
    const double points = static_cast<double>(points_);
    double row_bytes = 0.0, piece_bytes = 0.0;
    for (const CpAxis<T>& axis : axes_) {
      row_bytes += kLineBytes * lines * static_cast<double>(row_count(axis));
      piece_bytes += kLineBytes * lines * static_cast<double>(axis.table.pieces * (axis.table.degree + 1));
    }
    // A jet does three times the arithmetic on the same data.
    const double row_spread = (orders_ - 1 + CostModel::spread(row_bytes)) * lines;
    const double piece_spread = (orders_ - 1 + CostModel::spread(piece_bytes)) * lines;
    double direct = 0.0, prepared = CostModel::kCall;
    for (CpAxis<T>& axis : axes_) {
      const double width = axis.table.width, terms = axis.table.degree + 1;
      const double pieces = static_cast<double>(axis.table.pieces), rows = static_cast<double>(row_count(axis));
      const double as_rows = points * (width * row_spread + orders_ * (3.0 + terms)) +
                             (usable_in_place(axis) ? 0.0 : rows * lines * CostModel::spread(row_bytes));
      const double as_pieces =
          points * terms * piece_spread + pieces * terms * width * lines * CostModel::spread(piece_bytes);
      axis.form = as_rows <= as_pieces ? AxisForm::rows : AxisForm::pieces;
      prepared += std::min(as_rows, as_pieces);
      direct += points * orders_ * (CostModel::kDirectAxis + CostModel::kDirectRow * width * lines);
    }
    prepared_ = prepared < direct;
  }

  T* keep(std::int64_t count) {
    memory_.push_back(aligned_array<T>(count));
    return memory_.back().get();
  }

  // Rows of the table's coefficients become whole vectors of 16, 32 or a multiple of 64 bytes.
  void pad_polynomials(CpAxis<T>& axis) {
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

  CpView<T> cp_;
  std::int64_t points_;
  int orders_;
  bool prepared_ = false;
  std::vector<CpAxis<T>> axes_;
  std::vector<AlignedArray<T>> memory_;
};

}  // namespace inntd
