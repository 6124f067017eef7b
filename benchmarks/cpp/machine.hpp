// Limits of this machine, measured once at the start of the run, and how a benchmark reports its share of them.
#pragma once

#include <benchmark/benchmark.h>

#include <cstdint>

namespace inntd::bench {

struct Machine {
  double flops32 = 0.0;  // multiply-adds of one core, in operations per second
  double flops64 = 0.0;
  double cache = 0.0;   // triad a = b + s c within the second-level cache, bytes per second
  double memory = 0.0;  // the same in main memory
};

// Measures on the first call.
const Machine& machine();

// Work of one item as written in the benchmark, not as executed: what the algorithm needs at least.
struct Work {
  double flops;
  double bytes;
};

// Seconds since it was made: processor time of this thread (other programs do not count), or wall time.
class Stopwatch {
 public:
  explicit Stopwatch(bool wall) : wall_(wall), start_(now()) {}
  double seconds() const { return now() - start_; }

 private:
  double now() const;
  bool wall_;
  double start_;
};

// Call it right after the loop, `watch` made right before: reports items per second and the percentage of the
// arithmetic and of the memory limit that this amounts to.
template <class T>
void report(benchmark::State& state, const char* item, double items_per_iteration, Work work, double bandwidth,
            const Stopwatch& watch) {
  const double items = items_per_iteration * static_cast<double>(state.iterations());
  const double flops = sizeof(T) == 4 ? machine().flops32 : machine().flops64;
  const double rate = items / watch.seconds();
  state.counters[item] = rate;
  state.counters["FMA%"] = 100.0 * rate * work.flops / flops;
  state.counters["triad%"] = 100.0 * rate * work.bytes / bandwidth;
}

// A wrong answer is no benchmark: the case is skipped with the message, and the program fails in the end.
bool check(benchmark::State& state, bool right, const char* message);
bool all_answers_right();

}  // namespace inntd::bench
