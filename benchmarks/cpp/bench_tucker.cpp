// Evaluation of Tucker models at unsorted random points: ranks 10 on 3 axes, 4 on 6 axes, 12 on 4 axes, of 100 elements
// with patches of 3 hops (8 functions per point and axis).
#include <benchmark/benchmark.h>

#include <cmath>
#include <limits>
#include <memory>

#include "cases.hpp"
#include "machine.hpp"
#include "tucker.hpp"

namespace inntd::bench {
namespace {

struct Case {
  const char* name;
  int axes, rank;
};

constexpr Case kCases[] = {{"3-axes-10", 3, 10}, {"6-axes-4", 6, 4}, {"4-axes-12", 4, 12}};
constexpr int kElements = 100, kHops = 3;

// Per point: every axis' row, a sum over `width` rows of the factor; the core, once for values and twice for jets.
// Bytes are read from caches: rows of factors by each point, the core by as many points together as a block holds.
template <class T>
Work work_of(const testing::TuckerModel<T>& model, bool jet) {
  const double axes = static_cast<double>(model.dimension()), rank = static_cast<double>(model.ranks[0]);
  const double core = static_cast<double>(model.core.size()), width = model.tables[0].width;
  const double rows = axes * width * rank;
  const double flops = jet ? 6.0 * rows + 4.0 * core : 2.0 * rows + 2.0 * core;
  return {flops, static_cast<double>(sizeof(T)) * (axes + rows + core / static_cast<double>(kPointBlock))};
}

template <class T>
void evaluate(benchmark::State& state, const Case& which, bool jet) {
  const std::vector<testing::Axis> axes(static_cast<std::size_t>(which.axes), testing::make_axis(kElements, kHops));
  const testing::TuckerModel<T> model(axes, std::vector<std::int64_t>(axes.size(), which.rank));
  const std::int64_t count = state.range(0), dimension = model.dimension();
  const int threads = static_cast<int>(state.range(1));
  const auto x = model.points(count);
  std::vector<T> values(count), gradient(jet ? count * dimension : 0), second(gradient.size());
  const auto run = [&] {
    if (jet) {
      model.evaluate_jet(x.data(), count, values.data(), gradient.data(), second.data(), threads);
    } else {
      model.evaluate(x.data(), count, values.data(), threads);
    }
  };
  run();
  bool right = true;
  for (std::int64_t i = 0; i < count; i += 1 + count / 8) {
    for (int order = 0; order < (jet ? 3 : 1); ++order) {
      double scale;
      const double expected = model.value(&x[i * dimension], 1, order, &scale);
      const T found = order == 0 ? values[i] : (order == 1 ? gradient : second)[i * dimension + 1];
      const double size = scale + std::pow(2.0 * kElements, order);
      right = right && std::abs(found - expected) < 1e4 * static_cast<double>(std::numeric_limits<T>::epsilon()) * size;
    }
  }
  if (!check(state, right, "values are wrong")) return;
  const Stopwatch watch(threads > 1);
  for (auto _ : state) {
    run();
    benchmark::DoNotOptimize(values.data());
    benchmark::ClobberMemory();
  }
  report<T>(state, "points/s", static_cast<double>(count), work_of(model, jet), machine().cache, watch);
}

template <class T>
void add(const std::string& type) {
  for (const Case& which : kCases) {
    for (const bool jet : {false, true}) {
      const std::string name = std::string(jet ? "tucker-jet/" : "tucker-values/") + type + "/" + which.name;
      auto* added = benchmark::RegisterBenchmark(
          name.c_str(), [&which, jet](benchmark::State& state) { evaluate<T>(state, which, jet); });
      added->ArgNames({"points", "threads"})->Args({1, 1})->Args({4096, 1})->Args({65536, 1});
    }
  }
}

}  // namespace

void register_tucker() {
  add<float>("float32");
  add<double>("float64");
}

}  // namespace inntd::bench
