// The backward pass of Tucker models: each thread adds up gradients of its own, which are then added and brought into
// the form of core and factors.
#include <memory>
#include <numeric>

#include "inntd/gradients.hpp"
#include "train_memory.hpp"
#include "tucker_plan.hpp"

namespace inntd {
namespace {

// The gradients of one thread.
template <class T>
class Sums {
 public:
  explicit Sums(const TuckerPlan<T>& plan) : core_(zeros<T>(plan.core_size() * line_lanes<T>())) {
    for (std::int64_t d = 0; d < plan.dimension(); ++d) {
      memory_.push_back(zeros<T>(plan.rows(d) * round_up_to_line<T>(plan.axes()[d].modes)));
      factors_.push_back(memory_.back().get());
    }
  }
  TuckerGradients<T> view(T* points) const { return {core_.get(), factors_.data(), points}; }

  void add_core(std::int64_t size, T* out) const {
    for (std::int64_t i = 0; i < size; ++i) {
      const T* lanes = core_.get() + i * line_lanes<T>();
      out[i] = std::accumulate(lanes, lanes + line_lanes<T>(), out[i]);
    }
  }
  void add_factor(const TuckerPlan<T>& plan, std::int64_t d, T* out) const {
    const ModelAxis<T>& axis = plan.axes()[d];
    const std::int64_t padded = round_up_to_line<T>(axis.modes);
    for (std::int64_t i = 0; i < plan.rows(d); ++i) {  // repeated rows of a periodic axis go to the first ones
      T* row = out + i % axis.table.size * axis.modes;
      for (std::int64_t m = 0; m < axis.modes; ++m) row[m] += factors_[static_cast<std::size_t>(d)][i * padded + m];
    }
  }

 private:
  AlignedArray<T> core_;
  std::vector<AlignedArray<T>> memory_;
  std::vector<T*> factors_;
};

}  // namespace

template <class T>
void tucker_gradients(const TuckerView<T>& tucker, const T* points, std::int64_t count, const T* slopes,
                      T* core_gradient, T* const* factor_gradients, T* point_gradients, int threads) {
  TuckerPlan<T> plan(tucker, count);
  plan.prepare_all(threads);
  const std::int64_t chunks = (count + plan.grain() - 1) / plan.grain();
  const int workers = static_cast<int>(std::clamp<std::int64_t>(chunks, 1, std::max(threads, 1)));
  std::vector<std::unique_ptr<Sums<T>>> sums(static_cast<std::size_t>(workers));
  for (auto& sum : sums) sum = std::make_unique<Sums<T>>(plan);
  parallel_for(count, plan.grain(), workers, [&](std::int64_t begin, std::int64_t end, int worker) {
    const TuckerMemory<T> memory(plan, point_gradients == nullptr ? 1 : 3, true);
    kernels().of<T>().contract.tucker_gradients(plan.axes(), plan.dimension(), plan.core(), points, begin, end, slopes,
                                                sums[static_cast<std::size_t>(worker)]->view(point_gradients),
                                                memory.view());
  });
  std::fill_n(core_gradient, plan.core_size(), T(0));
  for (std::int64_t d = 0; d < tucker.axes; ++d) {
    std::fill_n(factor_gradients[d], tucker.tables[d].size * tucker.ranks[d], T(0));
  }
  for (const auto& sum : sums) {
    sum->add_core(plan.core_size(), core_gradient);
    for (std::int64_t d = 0; d < tucker.axes; ++d) sum->add_factor(plan, d, factor_gradients[d]);
  }
}

template void tucker_gradients(const TuckerView<float>&, const float*, std::int64_t, const float*, float*,
                               float* const*, float*, int);
template void tucker_gradients(const TuckerView<double>&, const double*, std::int64_t, const double*, double*,
                               double* const*, double*, int);

}  // namespace inntd
