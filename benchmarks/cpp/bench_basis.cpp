// Finding pieces and tabulating basis functions.
#include <benchmark/benchmark.h>

#include <cmath>
#include <limits>

#include "cases.hpp"
#include "machine.hpp"
#include "tables.hpp"

namespace inntd::bench {
namespace {

template <class T>
void tabulate(benchmark::State& state, int s, double grading, int order) {
  constexpr std::int64_t count = 4096;
  const testing::Model<T> model({testing::make_axis(40, s, false, grading)}, 1);
  const BasisTable<T> table = model.tables[0];
  const auto x = model.points(count);
  std::vector<std::int64_t> piece(count);
  std::vector<T> rows(count * table.width);
  const auto& kernel = kernels().of<T>().basis;
  const auto run = [&] {
    kernel.locate(table, x.data(), count, piece.data());
    kernel.tabulate(table, x.data(), piece.data(), count, order, rows.data());
  };
  run();
  bool right = true;  // the rows give the function that the plain sum gives
  for (std::int64_t i = 0; i < count; i += 64) {
    double sum = 0.0, scale;
    for (int k = 0; k < table.width; ++k) {
      sum += static_cast<double>(rows[i * table.width + k]) *
             static_cast<double>(model.factors[0][(table.first[piece[i]] + k) % table.size]);
    }
    const double expected = model.value(&x[i], 0, order, &scale);
    right = right && std::abs(sum - expected) < 1e4 * std::numeric_limits<T>::epsilon() * std::pow(80.0, order);
  }
  if (!check(state, right, "tabulated rows are wrong")) return;
  const Stopwatch watch(false);
  for (auto _ : state) {
    run();
    benchmark::DoNotOptimize(rows.data());
    benchmark::ClobberMemory();
  }
  report<T>(state, "points/s", count,
            {2.0 * table.width * (table.degree + 1), 8.0 + static_cast<double>(sizeof(T)) * (1 + table.width)},
            machine().cache, watch);
}

template <class T>
void add(const std::string& type) {
  for (const int s : {0, 2, 4}) {
    for (const int order : {0, 2}) {
      for (const double grading : {1.0, 2.0}) {
        const std::string name = "tabulate/" + type + "/s:" + std::to_string(s) + "/order:" + std::to_string(order) +
                                 (grading > 1.0 ? "/graded" : "/uniform");
        benchmark::RegisterBenchmark(name.c_str(),
                                     [=](benchmark::State& state) { tabulate<T>(state, s, grading, order); });
      }
    }
  }
}

}  // namespace

void register_basis() {
  add<float>("float32");
  add<double>("float64");
}

}  // namespace inntd::bench
