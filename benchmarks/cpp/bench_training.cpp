// Training of CP models on sorted blocks: one step of mini-batch Adam, cases A (60 modes on 5 axes of 40 elements, 10
// functions per point), B (the same with linear hats) and C (20 modes on 10 axes of 20 elements, linear).
#include <benchmark/benchmark.h>

#include <cmath>
#include <limits>
#include <numeric>

#include "cases.hpp"
#include "inntd/fit.hpp"
#include "machine.hpp"
#include "tables.hpp"

namespace inntd::bench {
namespace {

struct Case {
  const char* name;
  int axes, modes, elements, s;
};

constexpr Case kCases[] = {{"A", 5, 60, 40, 4}, {"B", 5, 60, 40, 0}, {"C", 10, 20, 20, 0}};
constexpr std::int64_t kPoints = 1 << 15;

template <class T>
struct Fit {
  testing::Model<T> model;
  CpFit<T> fit;

  Fit(const Case& which, std::int64_t points, std::int64_t block)
      : model(std::vector<testing::Axis>(static_cast<std::size_t>(which.axes),
                                         testing::make_axis(which.elements, which.s)),
              which.modes),
        fit(model.tables.data(), which.axes, which.modes, 0) {
    for (int d = 0; d < which.axes; ++d) fit.put(CpFit<T>::What::parameters, d, model.pointers[d]);
    const auto x = testing::random_points<double>(points, which.axes);
    std::vector<double> y(static_cast<std::size_t>(points));
    for (std::int64_t i = 0; i < points; ++i) y[i] = std::sin(3.0 * x[i * which.axes]) + x[i * which.axes + 1];
    std::vector<std::int64_t> chosen(y.size());
    std::iota(chosen.begin(), chosen.end(), 0);
    fit.set_data(x.data(), y.data(), nullptr, chosen.data(), points, block);
  }
  std::vector<T> gradient() {
    fit.gradient(1);
    std::vector<T> out(model.factors[0].size());
    fit.take(CpFit<T>::What::gradient, 0, out.data());
    return out;
  }
};

// The gradient by the first axis' factor: in float64 against differences of the loss, in float32 against float64.
template <class T>
bool gradient_is_right(const Case& which) {
  constexpr std::int64_t points = 700;
  Fit<double> exact(which, points, 512);
  const std::vector<double> expected = exact.gradient();
  if constexpr (sizeof(T) == 4) {
    const std::vector<float> found = Fit<float>(which, points, 512).gradient();
    double size = 0.0, error = 0.0;
    for (std::size_t i = 0; i < found.size(); ++i) {
      size = std::max(size, std::abs(expected[i]));
      error = std::max(error, std::abs(static_cast<double>(found[i]) - expected[i]));
    }
    return error < 1e-4 * size;
  } else {
    std::vector<double> factor(exact.model.factors[0].begin(), exact.model.factors[0].end());
    constexpr double step = 1e-5;
    double losses[2], slope = 0.0;
    for (int side = 0; side < 2; ++side) {
      std::vector<double> moved = factor;
      for (std::size_t i = 0; i < moved.size(); ++i) moved[i] += (2 * side - 1) * step * std::cos(double(i));
      exact.fit.put(CpFit<double>::What::parameters, 0, moved.data());
      losses[side] = exact.fit.gradient(1);
    }
    for (std::size_t i = 0; i < factor.size(); ++i) slope += expected[i] * std::cos(double(i));
    return std::abs((losses[1] - losses[0]) / (2.0 * step) - slope) < 1e-6 * (1.0 + std::abs(slope));
  }
}

template <class T>
void step(benchmark::State& state, const Case& which) {
  const std::int64_t batch = state.range(0), block = std::min<std::int64_t>(batch, 512);
  const int threads = static_cast<int>(state.range(1));
  if (!check(state, gradient_is_right<T>(which), "the gradient is wrong")) return;
  Fit<T> training(which, kPoints, block);
  std::vector<std::int32_t> order(static_cast<std::size_t>(training.fit.blocks()));
  std::iota(order.begin(), order.end(), 0);
  const std::int64_t together = batch / training.fit.block(), steps = training.fit.blocks() / together;
  const std::vector<double> rates(static_cast<std::size_t>(steps), 1e-7);
  std::int64_t done = 0;
  const Stopwatch watch(threads > 1);
  for (auto _ : state) {
    training.fit.run(order.data(), training.fit.blocks(), together, rates.data(), done, {}, threads);
    done += steps;
  }
  const auto& table = training.model.tables[0];
  const double modes = which.modes, axes = which.axes, points = static_cast<double>(kPoints);
  // Forward and backward rows, three products per axis; narrow bases go forward twice. Bytes beyond the first cache
  // level: products written, read and written, read; with narrow bases none, but the points' rows and weights.
  const bool narrow = table.width <= 2;
  const double flops = axes * modes * (narrow ? 6.0 * table.width + 4.0 : 4.0 * table.width + 3.0);
  const double bytes =
      static_cast<double>(sizeof(T)) * axes * (narrow ? 2.0 : 4.0 * modes) + (narrow ? 4.0 * axes : 0.0);
  const Work work = {flops, bytes};
  report<T>(state, "points/s", points, work, machine().cache, watch);
}

template <class T>
void add(const std::string& type) {
  for (const Case& which : kCases) {
    const std::string name = "step/" + type + "/" + which.name;
    const auto run = [&which](benchmark::State& state) { step<T>(state, which); };
    benchmark::RegisterBenchmark(name.c_str(), run)
        ->ArgNames({"batch", "threads"})
        ->Args({128, 1})
        ->Args({1024, 1})
        ->Args({4096, 1});
    benchmark::RegisterBenchmark((name + "/wall").c_str(), run)
        ->ArgNames({"batch", "threads"})
        ->Args({4096, 2})
        ->UseRealTime();
  }
}

}  // namespace

void register_training() {
  add<float>("float32");
  add<double>("float64");
}

}  // namespace inntd::bench
