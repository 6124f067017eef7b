// Banded factorisations and solves with one right-hand side, float64.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

#include "cases.hpp"
#include "inntd/kernels.hpp"
#include "machine.hpp"

namespace inntd::bench {
namespace {

enum class Method { cholesky, cholesky_solve, lu };

// Symmetric (or not) and diagonally dominant: positive definite, and well-conditioned enough for a strict check.
std::vector<double> random_band(std::int64_t n, int b, bool symmetric) {
  std::mt19937_64 random(7);
  std::uniform_real_distribution<double> draw(-1.0, 1.0);
  const int width = 2 * b + 1;
  std::vector<double> band(static_cast<std::size_t>(n * width), 0.0);
  for (std::int64_t i = 0; i < n; ++i) {
    for (int k = 0; k < width; ++k) {
      const std::int64_t j = i + k - b;
      if (j < 0 || j >= n) continue;
      band[i * width + k] = k == b ? 2.0 * width : symmetric && k < b ? band[j * width + b + i - j] : draw(random);
    }
  }
  return band;
}

double residual(std::int64_t n, int b, const std::vector<double>& band, const std::vector<double>& x) {
  double worst = 0.0;  // the right-hand side is all ones
  for (std::int64_t i = 0; i < n; ++i) {
    double sum = -1.0;
    for (std::int64_t j = std::max<std::int64_t>(0, i - b); j <= std::min(n - 1, i + b); ++j) {
      sum += band[i * (2 * b + 1) + b + j - i] * x[j];
    }
    worst = std::max(worst, std::abs(sum));
  }
  return worst;
}

void solve(benchmark::State& state, Method method) {
  const std::int64_t n = state.range(0);
  const int b = static_cast<int>(state.range(1));
  const auto& kernel = kernels().of<double>().banded;
  const auto band = random_band(n, b, method != Method::lu);
  const std::int64_t stored = method == Method::lu ? 3 * b + 1 : b + 1;
  std::vector<double> factor(static_cast<std::size_t>(n * stored), 0.0), x(static_cast<std::size_t>(n), 1.0);
  std::vector<std::int64_t> pivot(x.size());
  const auto factorise = [&] {
    if (method != Method::lu) return kernel.cholesky(n, b, band.data(), factor.data());
    for (std::int64_t i = 0; i < n; ++i) {
      std::copy_n(band.data() + i * (2 * b + 1), 2 * b + 1, factor.data() + i * stored);
      std::fill_n(factor.data() + i * stored + 2 * b + 1, b, 0.0);
    }
    return kernel.lu(n, b, factor.data(), pivot.data());
  };
  const auto substitute = [&] {
    std::fill(x.begin(), x.end(), 1.0);
    if (method == Method::lu) {
      kernel.lu_solve(n, b, factor.data(), pivot.data(), 1, x.data(), false);
    } else {
      kernel.cholesky_solve(n, b, factor.data(), 1, x.data());
    }
  };
  const bool regular = factorise() == n;
  substitute();
  if (!check(state, regular && residual(n, b, band, x) < 1e-13 * b, "the solution is wrong")) return;
  const Stopwatch watch(false);
  for (auto _ : state) {
    if (method != Method::cholesky_solve) factorise();
    substitute();
    benchmark::DoNotOptimize(x.data());
    benchmark::ClobberMemory();
  }
  // Per row: the factor is written and read twice, the band read. Pivots rarely move here: LU fills b columns.
  const double substitution = 4.0 * b + 1.0, passes = 8.0 * (2.0 * static_cast<double>(stored) + 3.0);
  const Work work = method == Method::cholesky ? Work{1.0 * b * (b + 2) + substitution, passes + 8.0 * (3 * b + 2)}
                    : method == Method::lu     ? Work{2.0 * b * (b + 1) + substitution, passes + 8.0 * (5 * b + 2)}
                                               : Work{substitution, passes};
  const double bytes = work.bytes * static_cast<double>(n);
  report<double>(state, "rows/s", static_cast<double>(n), work, bytes < 1e6 ? machine().cache : machine().memory,
                 watch);
}

}  // namespace

void register_banded() {
  const std::pair<const char*, Method> methods[] = {{"banded/cholesky+solve", Method::cholesky},
                                                    {"banded/cholesky-solve-only", Method::cholesky_solve},
                                                    {"banded/lu+solve", Method::lu}};
  for (const auto& entry : methods) {
    const Method method = entry.second;
    auto* added =
        benchmark::RegisterBenchmark(entry.first, [method](benchmark::State& state) { solve(state, method); });
    added->ArgNames({"n", "b"});
    for (const int b : {1, 2, 3, 5, 7, 9, 12, 20}) {
      for (const int n : {100, 1000, 10'000}) added->Args({n, b});
    }
    for (const int b : {1, 3, 7, 20}) added->Args({1'000'000, b});
  }
}

}  // namespace inntd::bench
