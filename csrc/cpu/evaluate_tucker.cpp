// Evaluation of Tucker models, on all threads.
#include "inntd/evaluate.hpp"
#include "tucker_plan.hpp"

namespace inntd {

template <class T>
void tucker_values(const TuckerView<T>& tucker, const T* points, std::int64_t count, T* out, int threads) {
  TuckerPlan<T> plan(tucker, count);
  plan.prepare(threads);
  parallel_for(count, plan.grain(), threads, [&](std::int64_t begin, std::int64_t end, int) {
    const TuckerMemory<T> workspace(plan, 1, false);
    kernels().of<T>().contract.tucker_values(plan.axes(), plan.dimension(), plan.core(), points, begin, end, out,
                                             workspace.view());
  });
}

template <class T>
void tucker_jet(const TuckerView<T>& tucker, const T* points, std::int64_t count, T* values, T* gradient, T* second,
                int threads) {
  TuckerPlan<T> plan(tucker, count);
  plan.prepare(threads);
  parallel_for(count, plan.grain(), threads, [&](std::int64_t begin, std::int64_t end, int) {
    const TuckerMemory<T> workspace(plan, 3, true);
    kernels().of<T>().contract.tucker_jet(plan.axes(), plan.dimension(), plan.core(), points, begin, end, values,
                                          gradient, second, workspace.view());
  });
}

template void tucker_values(const TuckerView<float>&, const float*, std::int64_t, float*, int);
template void tucker_values(const TuckerView<double>&, const double*, std::int64_t, double*, int);
template void tucker_jet(const TuckerView<float>&, const float*, std::int64_t, float*, float*, float*, int);
template void tucker_jet(const TuckerView<double>&, const double*, std::int64_t, double*, double*, double*, int);

}  // namespace inntd
