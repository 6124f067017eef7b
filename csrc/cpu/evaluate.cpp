// Runs one evaluation: plan, memory of each thread, kernels.
#include "inntd/evaluate.hpp"

#include "evaluation_plan.hpp"

namespace inntd {
namespace {

constexpr std::int64_t kPointsPerRange = 8 * kPointBlock;

// One thread's CpWorkspace.
template <class T>
class Workspace : BlockMemory<T> {
 public:
  Workspace(std::int64_t dimension, std::int64_t weight_width, int orders)
      : BlockMemory<T>(dimension, weight_width, orders, totals(dimension, orders) + rows(dimension, orders)) {
    this->view_.totals = this->take(totals(dimension, orders));
    this->view_.rows = this->take(rows(dimension, orders));
  }
  const CpWorkspace<T>& view() const { return this->view_; }

 private:
  static std::int64_t totals(std::int64_t dimension, int orders) {
    return kPointBlock * (orders == 1 ? 1 : 2 * dimension + 1) * line_lanes<T>();
  }
  static std::int64_t rows(std::int64_t dimension, int orders) {
    return orders == 1 ? 0 : dimension * 3 * kMaxVectorsAtOnce * line_lanes<T>();
  }
};

template <class T>
AlignedArray<T> direct_scratch(const CpView<T>& cp) {
  int width = 0;
  for (std::int64_t d = 0; d < cp.axes; ++d) width = std::max(width, cp.tables[d].width);
  return aligned_array<T>((3 * cp.axes + 2) * cp.modes + 3 * width);
}

}  // namespace

template <class T>
void cp_values(const CpView<T>& cp, const T* points, std::int64_t count, T* out, int threads) {
  if (cp.modes == 0) {
    std::fill_n(out, count, T(0));
    return;
  }
  const auto& kernel = kernels().of<T>().contract;
  EvaluationPlan<T> plan(cp, count, 1);
  if (plan.prepared()) plan.prepare(threads);
  parallel_for(count, kPointsPerRange, threads, [&](std::int64_t begin, std::int64_t end, int) {
    if (plan.prepared()) {
      const Workspace<T> workspace(cp.axes, plan.weight_width(), 1);
      kernel.block_values(plan.axes(), cp.axes, cp.modes, points, begin, end, out, workspace.view());
    } else {
      const auto scratch = direct_scratch(cp);
      kernel.direct_values(plan.axes(), cp.axes, cp.modes, points, begin, end, out, scratch.get());
    }
  });
}

template <class T>
void cp_jet(const CpView<T>& cp, const T* points, std::int64_t count, T* values, T* gradient, T* second, int threads) {
  if (cp.modes == 0) {
    std::fill_n(values, count, T(0));
    std::fill_n(gradient, count * cp.axes, T(0));
    std::fill_n(second, count * cp.axes, T(0));
    return;
  }
  const auto& kernel = kernels().of<T>().contract;
  EvaluationPlan<T> plan(cp, count, 3);
  if (plan.prepared()) plan.prepare(threads);
  parallel_for(count, kPointsPerRange, threads, [&](std::int64_t begin, std::int64_t end, int) {
    if (plan.prepared()) {
      const Workspace<T> workspace(cp.axes, plan.weight_width(), 3);
      kernel.block_jet(plan.axes(), cp.axes, cp.modes, points, begin, end, values, gradient, second, workspace.view());
    } else {
      const auto scratch = direct_scratch(cp);
      kernel.direct_jet(plan.axes(), cp.axes, cp.modes, points, begin, end, values, gradient, second, scratch.get());
    }
  });
}

template void cp_values(const CpView<float>&, const float*, std::int64_t, float*, int);
template void cp_values(const CpView<double>&, const double*, std::int64_t, double*, int);
template void cp_jet(const CpView<float>&, const float*, std::int64_t, float*, float*, float*, int);
template void cp_jet(const CpView<double>&, const double*, std::int64_t, double*, double*, double*, int);

}  // namespace inntd
