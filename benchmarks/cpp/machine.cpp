#include "machine.hpp"

#include <time.h>

#include <algorithm>
#include <atomic>
#include <string>
#include <vector>

#include "inntd/kernels.hpp"
#include "limits.hpp"

namespace inntd::bench {

extern const Limits limits_base;
#ifdef INNTD_HAVE_v3
extern const Limits limits_v3;
#endif
#ifdef INNTD_HAVE_v4
extern const Limits limits_v4;
#endif

namespace {

std::atomic<bool> wrong_answer{false};

template <class Run>
double best_rate(int repeats, const Run& run) {
  double best = 0.0;
  for (int i = 0; i < repeats; ++i) {
    const Stopwatch watch(false);
    const double amount = run();
    best = std::max(best, amount / watch.seconds());
  }
  return best;
}

const Limits& limits_in_use() {
  const std::string name = kernels().name;
#ifdef INNTD_HAVE_v4
  if (name == "v4") return limits_v4;
#endif
#ifdef INNTD_HAVE_v3
  if (name == "v3") return limits_v3;
#endif
  return limits_base;
}

// Bytes per second over three arrays of `bytes` together.
double triad(std::int64_t bytes, int repeats) {
  const std::int64_t count = bytes / 24;
  std::vector<double> a(static_cast<std::size_t>(count), 0.0), b(a.size(), 1.0), c(a.size(), 2.0);
  const std::int64_t passes = std::max<std::int64_t>(1, 50'000'000 / bytes);
  return best_rate(repeats, [&] {
    double amount = 0.0;
    for (std::int64_t pass = 0; pass < passes; ++pass) {
      amount += limits_in_use().triad(count, b.data(), c.data(), a.data());
    }
    benchmark::DoNotOptimize(a.data());
    return amount;
  });
}

Machine measure() {
  Machine found;
  double result;
  found.flops32 = best_rate(20, [&] { return limits_in_use().multiply_add32(100'000, &result); });
  found.flops64 = best_rate(20, [&] { return limits_in_use().multiply_add64(100'000, &result); });
  benchmark::DoNotOptimize(result);
  found.cache = triad(384 << 10, 20);
  found.memory = triad(384 << 20, 5);
  return found;
}

}  // namespace

double Stopwatch::now() const {
  timespec time;
  clock_gettime(wall_ ? CLOCK_MONOTONIC : CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

const Machine& machine() {
  static const Machine found = measure();
  return found;
}

bool check(benchmark::State& state, bool right, const char* message) {
  if (!right) {
    wrong_answer = true;
    state.SkipWithError(message);
  }
  return right;
}

bool all_answers_right() { return !wrong_answer; }

}  // namespace inntd::bench
