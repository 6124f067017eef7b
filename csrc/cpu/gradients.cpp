#include "inntd/gradients.hpp"

#include <memory>

#include "inntd/parallel.hpp"
#include "sorted_points.hpp"
#include "train_memory.hpp"

namespace inntd {
namespace {

constexpr std::int64_t kBlock = 512;

// Sorts the points, runs `body(block, b, workspace)` on all blocks and adds up the threads' gradients in their order.
template <class T, class Body>
void backward(const CpView<T>& cp, const T* points, std::int64_t count, int orders, int copies, int threads,
              T* const* factor_gradients, const Body& body) {
  const TrainLayout<T> layout(cp.tables, cp.axes, cp.modes, 0);
  auto parameters = aligned_array<T>(layout.size());
  for (std::int64_t d = 0; d < cp.axes; ++d) layout.put(parameters.get(), d, cp.factors[d]);
  SortedPoints<T> sorted;
  sorted.sort(layout.tables(), points, nullptr, count, cached_block(layout, std::min(kBlock, count)));
  const int workers = static_cast<int>(std::clamp<std::int64_t>(sorted.blocks(), 1, std::max(threads, 1)));
  std::vector<AlignedArray<T>> gradients;
  std::vector<std::unique_ptr<TrainWorkspace<T>>> workspaces;
  for (int w = 0; w < workers; ++w) {
    gradients.push_back(zeros<T>(layout.size()));
    workspaces.push_back(std::make_unique<TrainWorkspace<T>>(layout, parameters.get(), gradients.back().get(),
                                                             sorted.block(), orders, copies));
  }
  parallel_for(sorted.blocks(), 1, workers, [&](std::int64_t begin, std::int64_t end, int worker) {
    TrainWorkspace<T>& workspace = *workspaces[static_cast<std::size_t>(worker)];
    for (std::int64_t b = begin; b < end; ++b) {
      body(workspace.enter(sorted, b), b * sorted.block(), workspace);
    }
  });
  T* total = gradients[0].get();
  for (std::size_t w = 1; w < gradients.size(); ++w) {
    const T* other = gradients[w].get();
    for (std::int64_t i = 0; i < layout.size(); ++i) total[i] += other[i];
  }
  for (std::int64_t d = 0; d < cp.axes; ++d) {
    layout.fold(total, d);
    layout.take(total, d, factor_gradients[d]);
  }
}

}  // namespace

template <class T>
void cp_gradients(const CpView<T>& cp, const T* points, std::int64_t count, const T* slopes, T* const* factor_gradients,
                  T* point_gradients, int threads) {
  const TrainKernels<T>& kernel = kernels().of<T>().train;
  const int orders = point_gradients == nullptr ? 1 : 3;
  backward<T>(cp, points, count, orders, 1, threads, factor_gradients,
              [&](const TrainBlock<T>& block, std::int64_t start, TrainWorkspace<T>& workspace) {
                kernel.multiply(block, orders);
                kernel.products(block, nullptr, workspace.values());
                if (point_gradients != nullptr) {
                  kernel.point_slopes(block, slopes + start, point_gradients + start * cp.axes);
                }
                kernel.accumulate(block, 0, slopes + start);
              });
}

template <class T>
void cp_jet_gradients(const CpView<T>& cp, const T* points, std::int64_t count, const T* a, const T* b, const T* c,
                      T* const* factor_gradients, int threads) {
  const TrainKernels<T>& kernel = kernels().of<T>().train;
  backward<T>(cp, points, count, 3, 2, threads, factor_gradients,
              [&](const TrainBlock<T>& block, std::int64_t start, TrainWorkspace<T>&) {
                kernel.multiply(block, 3);
                kernel.jet_slopes(block, a + start, b + start * cp.axes, c + start * cp.axes);
              });
}

template void cp_gradients(const CpView<float>&, const float*, std::int64_t, const float*, float* const*, float*, int);
template void cp_gradients(const CpView<double>&, const double*, std::int64_t, const double*, double* const*, double*,
                           int);
template void cp_jet_gradients(const CpView<float>&, const float*, std::int64_t, const float*, const float*,
                               const float*, float* const*, int);
template void cp_jet_gradients(const CpView<double>&, const double*, std::int64_t, const double*, const double*,
                               const double*, double* const*, int);

}  // namespace inntd
