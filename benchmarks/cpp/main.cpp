// Microbenchmarks of the compiled core. `--smoke` runs each case briefly; all options of Google Benchmark work.
#include <benchmark/benchmark.h>

#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include "cases.hpp"
#include "inntd/kernels.hpp"
#include "machine.hpp"

int main(int argc, char** argv) {
  using namespace inntd;
  std::vector<char*> arguments(argv, argv + argc);
  std::string brief = "--benchmark_min_time=0.001";
  for (char*& argument : arguments) {
    if (std::strcmp(argument, "--smoke") == 0) argument = brief.data();
  }
  int count = static_cast<int>(arguments.size());
  benchmark::Initialize(&count, arguments.data());
  if (benchmark::ReportUnrecognizedArguments(count, arguments.data())) return 2;

  const bench::Machine& machine = bench::machine();
  const auto giga = [](double rate) {
    char text[32];
    std::snprintf(text, sizeof text, "%.1f", rate / 1e9);
    return std::string(text);
  };
  benchmark::AddCustomContext("instruction set", kernels().name);
  benchmark::AddCustomContext("FMA limit, float32 (GFLOP/s, one core)", giga(machine.flops32));
  benchmark::AddCustomContext("FMA limit, float64 (GFLOP/s, one core)", giga(machine.flops64));
  benchmark::AddCustomContext("triad limit, second-level cache (GB/s)", giga(machine.cache));
  benchmark::AddCustomContext("triad limit, main memory (GB/s)", giga(machine.memory));

  bench::register_basis();
  bench::register_evaluate();
  bench::register_banded();
  bench::register_alternating();
  bench::register_tucker();
  bench::register_training();
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return bench::all_answers_right() ? 0 : 1;
}
