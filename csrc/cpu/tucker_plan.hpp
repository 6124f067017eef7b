// How the work on a Tucker model is carried out: which axes to prepare, how to group them, memory of each thread.
#pragma once

#include "axis_plan.hpp"
#include "inntd/evaluate.hpp"

namespace inntd {

constexpr std::int64_t kFewest = 4;      // numbers of a group's row below which it takes one more axis
constexpr std::int64_t kInnermost = 64;  // and up to which it may: the innermost row stays in the first cache level
constexpr std::int64_t kMiddle = 4096;   // the middle one in the second
constexpr std::int64_t kWorkPerRange = 1 << 22;  // operations for which a thread is worth calling

template <class T>
class TuckerPlan : public AxisPlan<T> {
 public:
  TuckerPlan(const TuckerView<T>& tucker, std::int64_t points) {
    for (std::int64_t d = 0; d < tucker.axes; ++d) this->add(tucker.tables[d], tucker.factors[d], tucker.ranks[d]);
    core_.numbers = tucker.core;
    std::int64_t end = tucker.axes;
    core_.groups[2] = group(end, kInnermost);
    core_.groups[1] = group(core_.groups[2].begin, kMiddle);
    core_.groups[0] = group(core_.groups[1].begin, INT64_MAX);
    for (const ModelAxis<T>& axis : this->axes_) {
      width_ = std::max<std::int64_t>(width_, axis.table.width);
      modes_ += axis.modes;
      most_modes_ = std::max(most_modes_, axis.modes);
    }
    points_ = points;
  }

  // Long axes are not worth copying for a few points.
  void prepare(int threads) {
    for (ModelAxis<T>& axis : this->axes_) {
      if (this->usable_in_place(axis) || this->row_count(axis) <= 4 * axis.table.width * points_) {
        this->prepare_axis(axis, threads);
      }
    }
  }

  void prepare_all(int threads) {
    for (ModelAxis<T>& axis : this->axes_) this->prepare_axis(axis, threads);
  }

  const TuckerCore<T>& core() const { return core_; }
  std::int64_t core_size() const { return core_.groups[0].size * core_.groups[1].size * core_.groups[2].size; }
  // Rows of an axis' prepared form; a periodic axis repeats its first ones.
  std::int64_t rows(std::int64_t d) const { return this->row_count(this->axes_[static_cast<std::size_t>(d)]); }
  std::int64_t modes() const { return modes_; }
  std::int64_t scratch() const { return most_modes_ + 3 * width_; }

  // Points that a thread takes at a time, at least.
  std::int64_t grain() const {
    const double size = static_cast<double>(core_.groups[0].size) * static_cast<double>(core_.groups[1].size) *
                        static_cast<double>(core_.groups[2].size);
    const double blocks = static_cast<double>(kWorkPerRange) / (size * static_cast<double>(kPointBlock));
    return kPointBlock * std::clamp<std::int64_t>(static_cast<std::int64_t>(std::min(blocks, 8.0)), 1, 8);
  }

 private:
  // The axes before `end` that make one row of about `largest` numbers.
  AxisGroup group(std::int64_t end, std::int64_t largest) const {
    AxisGroup found{end, end, 1, 0};
    while (found.begin > 0) {
      const std::int64_t modes = this->axes_[static_cast<std::size_t>(found.begin - 1)].modes;
      if (found.size >= kFewest && found.size > largest / modes) break;
      found.size *= modes;
      --found.begin;
    }
    std::int64_t size = 1;
    for (std::int64_t d = found.begin; d < end; ++d) {
      size *= this->axes_[static_cast<std::size_t>(d)].modes;
      found.stages += size;
    }
    found.stages = std::max<std::int64_t>(found.stages, 1);
    return found;
  }

  TuckerCore<T> core_;
  std::int64_t points_ = 0;
  std::int64_t width_ = 0;
  std::int64_t modes_ = 0;
  std::int64_t most_modes_ = 0;
};

// One thread's TuckerWorkspace.
template <class T>
class TuckerMemory : BlockMemory<T> {
 public:
  // `orders` of derivatives in the rows; `with_slopes`: whether derivatives by them are computed.
  TuckerMemory(const TuckerPlan<T>& plan, int orders, bool with_slopes)
      : BlockMemory<T>(plan.dimension(), plan.weight_width(), orders,
                       rows(plan, orders) + products(plan) + (with_slopes ? slopes(plan) + shares(plan) : 0) + kTotals +
                           plan.scratch()) {
    tucker_.rows = this->take(rows(plan, orders));
    tucker_.products = this->take(products(plan));
    tucker_.slopes = with_slopes ? this->take(slopes(plan)) : nullptr;
    tucker_.shares = with_slopes ? this->take(shares(plan)) : nullptr;
    tucker_.totals = this->take(kTotals);
    tucker_.scratch = this->take(plan.scratch());
    tucker_.block = this->view_;
  }
  const TuckerWorkspace<T>& view() const { return tucker_; }

 private:
  static constexpr std::int64_t kTotals = 2 * kPointBlock;
  static constexpr std::int64_t kVector = kMaxVectorsAtOnce * line_lanes<T>();

  static std::int64_t rows(const TuckerPlan<T>& plan, int orders) { return orders * plan.modes() * kPointBlock; }
  static std::int64_t products(const TuckerPlan<T>& plan) {
    std::int64_t stages = 0;
    for (const AxisGroup& group : plan.core().groups) stages += group.stages;
    return stages * kVector;
  }
  static std::int64_t slopes(const TuckerPlan<T>& plan) {
    std::int64_t sizes = 0;
    for (const AxisGroup& group : plan.core().groups) sizes += group.size;
    return sizes * kVector;
  }
  static std::int64_t shares(const TuckerPlan<T>& plan) { return plan.modes() * kPointBlock; }

  TuckerWorkspace<T> tucker_;
};

}  // namespace inntd
