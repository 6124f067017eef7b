// Evaluation of CP models at unsorted random points: cases A (60 modes on 5 axes of 40 elements, 10 functions per
// point: Lagrange patches, degree 9, and cubic kernels, degree 4), B (the same with linear hats) and C (20 modes on 10
// axes of 20 elements, linear).
#include <benchmark/benchmark.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>

#include "cases.hpp"
#include "machine.hpp"
#include "tables.hpp"

namespace inntd::bench {
namespace {

struct Case {
  const char* name;
  int axes, modes, elements, s;
  PatchKernel kernel;
  int p;
};

constexpr Case kCases[] = {{"A-lagrange", 5, 60, 40, 4, PatchKernel::lagrange, 8},
                           {"A-cubic", 5, 60, 40, 4, PatchKernel::cubic, 1},
                           {"B", 5, 60, 40, 0, PatchKernel::lagrange, 0},
                           {"C", 10, 20, 20, 0, PatchKernel::lagrange, 0}};

template <class T>
std::unique_ptr<testing::Model<T>> make_model(const Case& which) {
  const std::vector<testing::Axis> axes(static_cast<std::size_t>(which.axes),
                                        testing::make_axis(which.elements, which.s, false, 1.0, which.kernel, which.p));
  return std::make_unique<testing::Model<T>>(axes, which.modes);
}

// Per point and axis: a sum over `terms` rows of modes, and one product. Bytes are read from caches.
template <class T>
Work work_of(const testing::Model<T>& model, bool jet) {
  const double modes = static_cast<double>(model.modes), axes = static_cast<double>(model.dimension());
  const double terms = std::min(model.tables[0].width, model.tables[0].degree + 1);
  const double flops = jet ? axes * modes * (6.0 * terms + 10.0) : axes * modes * (2.0 * terms + 1.0);
  return {flops, static_cast<double>(sizeof(T)) * axes * (1.0 + terms * modes)};
}

template <class T>
bool close(const testing::Model<T>& model, const std::vector<T>& x, std::int64_t i, double found, std::int64_t axis,
           int order) {
  double scale;
  const double expected = model.value(&x[i * model.dimension()], axis, order, &scale);
  const double size = scale + std::pow(80.0, order);
  return std::abs(found - expected) < 1e4 * static_cast<double>(std::numeric_limits<T>::epsilon()) * size;
}

template <class T>
void evaluate(benchmark::State& state, const Case& which, bool jet) {
  const auto model = make_model<T>(which);
  const std::int64_t count = state.range(0), dimension = model->dimension();
  const int threads = static_cast<int>(state.range(1));
  const auto x = model->points(count);
  std::vector<T> values(count), gradient(jet ? count * dimension : 0), second(gradient.size());
  const auto run = [&] {
    if (jet) {
      cp_jet(model->view(), x.data(), count, values.data(), gradient.data(), second.data(), threads);
    } else {
      cp_values(model->view(), x.data(), count, values.data(), threads);
    }
  };
  run();
  bool right = true;
  for (std::int64_t i = 0; i < count; i += 1 + count / 16) {
    right = right && close(*model, x, i, values[i], -1, 0);
    if (jet) {
      right = right && close(*model, x, i, gradient[i * dimension + 1], 1, 1);
      right = right && close(*model, x, i, second[i * dimension + 1], 1, 2);
    }
  }
  if (!check(state, right, "values are wrong")) return;
  const Stopwatch watch(threads > 1);
  for (auto _ : state) {
    run();
    benchmark::DoNotOptimize(values.data());
    benchmark::ClobberMemory();
  }
  report<T>(state, "points/s", static_cast<double>(count), work_of(*model, jet), machine().cache, watch);
}

template <class T>
void add(const std::string& type) {
  for (const Case& which : kCases) {
    for (const bool jet : {false, true}) {
      const std::string name = std::string(jet ? "jet/" : "values/") + type + "/" + which.name;
      auto* added = benchmark::RegisterBenchmark(
          name.c_str(), [&which, jet](benchmark::State& state) { evaluate<T>(state, which, jet); });
      added->ArgNames({"points", "threads"})->Args({128, 1})->Args({4096, 1})->Args({262144, 1});
      benchmark::RegisterBenchmark((name + "/wall").c_str(),
                                   [&which, jet](benchmark::State& state) { evaluate<T>(state, which, jet); })
          ->ArgNames({"points", "threads"})
          ->Args({262144, 2})
          ->UseRealTime();
    }
  }
}

}  // namespace

void register_evaluate() {
  add<float>("float32");
  add<double>("float64");
}

}  // namespace inntd::bench
