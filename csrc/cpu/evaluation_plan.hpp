// How one evaluation is carried out: straight from the factors, or from axes prepared in one form or the other.
#pragma once

#include <algorithm>
#include <cstdint>

#include "axis_plan.hpp"
#include "inntd/evaluate.hpp"

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
class EvaluationPlan : public AxisPlan<T> {
 public:
  // `orders`: 1 for values, 3 for jets.
  EvaluationPlan(const CpView<T>& cp, std::int64_t points, int orders) : cp_(cp), points_(points), orders_(orders) {
    for (std::int64_t d = 0; d < cp.axes; ++d) this->add(cp.tables[d], cp.factors[d], cp.modes);
    choose();
  }

  bool prepared() const { return prepared_; }
  void prepare(int threads) {
    for (ModelAxis<T>& axis : axes_) this->prepare_axis(axis, threads);
  }

 private:
  using AxisPlan<T>::axes_;

  void choose() {
    const double lines = static_cast<double>(round_up_to_line<T>(cp_.modes) / line_lanes<T>());
    const double points = static_cast<double>(points_);
    double row_bytes = 0.0, piece_bytes = 0.0;
    for (const ModelAxis<T>& axis : axes_) {
      row_bytes += kLineBytes * lines * static_cast<double>(this->row_count(axis));
      piece_bytes += kLineBytes * lines * static_cast<double>(axis.table.pieces * (axis.table.degree + 1));
    }
    // A jet does three times the arithmetic on the same data.
    const double row_spread = (orders_ - 1 + CostModel::spread(row_bytes)) * lines;
    const double piece_spread = (orders_ - 1 + CostModel::spread(piece_bytes)) * lines;
    double direct = 0.0, prepared = CostModel::kCall;
    for (ModelAxis<T>& axis : axes_) {
      const double width = axis.table.width, terms = axis.table.degree + 1;
      const double pieces = static_cast<double>(axis.table.pieces), rows = static_cast<double>(this->row_count(axis));
      const double as_rows = points * (width * row_spread + orders_ * (3.0 + terms)) +
                             (this->usable_in_place(axis) ? 0.0 : rows * lines * CostModel::spread(row_bytes));
      const double as_pieces =
          points * terms * piece_spread + pieces * terms * width * lines * CostModel::spread(piece_bytes);
      axis.form = as_rows <= as_pieces ? AxisForm::rows : AxisForm::pieces;
      prepared += std::min(as_rows, as_pieces);
      direct += points * orders_ * (CostModel::kDirectAxis + CostModel::kDirectRow * width * lines);
    }
    prepared_ = prepared < direct;
  }

  CpView<T> cp_;
  std::int64_t points_;
  int orders_;
  bool prepared_ = false;
};

}  // namespace inntd
