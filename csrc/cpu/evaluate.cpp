// Plans one evaluation: which form each axis takes, scratch memory, threads.
#include "inntd/evaluate.hpp"

#include <algorithm>
#include <vector>

#include "inntd/kernels.hpp"
#include "inntd/parallel.hpp"

namespace inntd {
namespace {

constexpr std::int64_t kPointsPerTask = 256;

template <class T>
std::vector<CpAxis<T>> view_axes(const CpView<T>& cp) {
  std::vector<CpAxis<T>> axes;
  for (std::int64_t d = 0; d < cp.axes; ++d) axes.push_back({cp.tables[d], cp.factors[d]});
  return axes;
}

template <class T>
std::size_t scratch_size(const CpView<T>& cp) {
  int width = 0;
  for (std::int64_t d = 0; d < cp.axes; ++d) width = std::max(width, cp.tables[d].width);
  return static_cast<std::size_t>((3 * cp.axes + 2) * cp.modes + 3 * width);
}

}  // namespace

template <class T>
void cp_values(const CpView<T>& cp, const T* points, std::int64_t count, T* out, int threads) {
  const auto& kernel = kernels().of<T>().contract;
  const auto axes = view_axes(cp);
  parallel_for(count, kPointsPerTask, threads, [&](std::int64_t begin, std::int64_t end, int) {
    std::vector<T> scratch(scratch_size(cp));
    kernel.values(axes.data(), cp.axes, cp.modes, points, begin, end, out, scratch.data());
  });
}

template <class T>
void cp_jet(const CpView<T>& cp, const T* points, std::int64_t count, T* values, T* gradient, T* second, int threads) {
  const auto& kernel = kernels().of<T>().contract;
  const auto axes = view_axes(cp);
  parallel_for(count, kPointsPerTask, threads, [&](std::int64_t begin, std::int64_t end, int) {
    std::vector<T> scratch(scratch_size(cp));
    kernel.jet(axes.data(), cp.axes, cp.modes, points, begin, end, values, gradient, second, scratch.data());
  });
}

template void cp_values(const CpView<float>&, const float*, std::int64_t, float*, int);
template void cp_values(const CpView<double>&, const double*, std::int64_t, double*, int);
template void cp_jet(const CpView<float>&, const float*, std::int64_t, float*, float*, float*, int);
template void cp_jet(const CpView<double>&, const double*, std::int64_t, double*, double*, double*, int);

}  // namespace inntd
