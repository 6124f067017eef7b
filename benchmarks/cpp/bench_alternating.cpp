// One sweep of block updates of the alternating solver, float64: Poisson-like systems sum_d (x)_e (K on axis d, M
// elsewhere) whose solution is known, so that convergence checks the answer.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

#include "cases.hpp"
#include "inntd/alternating.hpp"
#include "machine.hpp"

namespace inntd::bench {
namespace {

constexpr double kPi = 3.141592653589793;

// The same axis in all directions: mass matrix M and stiffness matrix K of linear hats with n inner nodes, as bands;
// or both diagonal, M = 1 and K = (1, 4, 9, ...).
struct System {
  std::int64_t n;
  int dimension;
  std::vector<double> mass, stiffness, solution, load;

  System(std::int64_t size, int axes, bool diagonal) : n(size), dimension(axes) {
    for (std::int64_t i = 0; i < n; ++i) {
      const double number = static_cast<double>(i + 1), h = 1.0 / static_cast<double>(n + 1);
      solution.push_back(std::exp(-0.5 * number * h) * std::sin(kPi * number * h));
      if (diagonal) {
        mass.push_back(1.0);
        stiffness.push_back(number * number);
        continue;
      }
      const double left = i > 0 ? 1.0 : 0.0, right = i + 1 < n ? 1.0 : 0.0;
      for (const double value : {left * h / 6, 4 * h / 6, right * h / 6}) mass.push_back(value);
      for (const double value : {-left / h, 2 / h, -right / h}) stiffness.push_back(value);
    }
    const auto mass_image = times(mass), stiffness_image = times(stiffness);
    const double norm = std::sqrt(dot(solution, mass_image));
    for (std::int64_t i = 0; i < n; ++i) {
      solution[i] /= norm;
      load.push_back(mass_image[i] / norm);
      load.push_back(stiffness_image[i] / norm);
    }
    is_diagonal = diagonal;
  }

  // a(u, v) = sum_d K on axis d; the load is a of the product of `solution` over all axes.
  SeparatedSystem separated() const {
    SeparatedSystem system;
    for (int d = 0; d < dimension; ++d) {
      AxisSystem axis;
      axis.n = n;
      axis.diagonal = is_diagonal;
      axis.half_bandwidth = is_diagonal ? 0 : 1;
      axis.matrices = {mass.data(), stiffness.data()};
      axis.load = load.data();
      axis.loads = 2;
      system.axes.push_back(axis);
      for (int e = 0; e < dimension; ++e) {
        system.terms.push_back(d == e ? 1 : 0);
        system.load_terms.push_back(d == e ? 1 : 0);
      }
      system.coefficients.push_back(1.0);
      system.load_weights.push_back(1.0);
    }
    return system;
  }

  std::vector<double> times(const std::vector<double>& matrix) const {
    std::vector<double> image(solution.size());
    for (std::int64_t i = 0; i < n; ++i) {
      if (matrix.size() == solution.size()) {
        image[i] = matrix[i] * solution[i];
        continue;
      }
      for (std::int64_t j = std::max<std::int64_t>(0, i - 1); j <= std::min(n - 1, i + 1); ++j) {
        image[i] += matrix[3 * i + 1 + j - i] * solution[j];
      }
    }
    return image;
  }

  static double dot(const std::vector<double>& x, const std::vector<double>& y) {
    double sum = 0.0;
    for (std::size_t i = 0; i < x.size(); ++i) sum += x[i] * y[i];
    return sum;
  }

  bool is_diagonal = false;
};

// Smooth random columns, like those that a solver would try: rough ones have so much energy that sweeps hardly move.
void append_random(Alternating& solver, const System& system, int rank) {
  std::mt19937 random(3);
  std::uniform_real_distribution<double> draw(-1.0, 1.0);
  std::vector<std::vector<double>> columns;
  std::vector<const double*> pointers;
  for (int d = 0; d < system.dimension; ++d) {
    columns.emplace_back(static_cast<std::size_t>(system.n * rank), 0.0);
    for (int m = 0; m < rank; ++m) {
      for (int wave = 1; wave <= std::min<std::int64_t>(rank + 2, system.n); ++wave) {
        const double size = draw(random) / wave;
        for (std::int64_t i = 0; i < system.n; ++i) {
          const double x = static_cast<double>(i + 1) / static_cast<double>(system.n + 1);
          const double mode = system.is_diagonal ? (i + 1 == wave ? 1.0 : 0.0) : std::sin(kPi * wave * x);
          columns.back()[i * rank + m] += size * mode;
        }
      }
    }
    pointers.push_back(columns.back().data());
  }
  solver.append(pointers, rank);
}

// One mode must find the product that the load was made from.
bool converges(const System& system) {
  Alternating solver(system.separated());
  append_random(solver, system, 1);
  for (int i = 0; i < 30; ++i) {
    if (solver.sweep(0).failed) return false;
  }
  const double size = static_cast<double>(system.n);
  return std::abs(solver.norm() - 1.0) < 1e-9 + 1e-16 * size * size;  // round-off grows with the condition number
}

void sweep(benchmark::State& state, bool diagonal) {
  const std::int64_t n = state.range(0);
  const int dimension = static_cast<int>(state.range(1)), rank = static_cast<int>(state.range(2));
  const System system(n, dimension, diagonal);
  if (!check(state, converges(system), "the alternating solver does not find the known solution")) return;
  Alternating solver(system.separated());
  append_random(solver, system, rank);
  bool failed = false;
  const Stopwatch watch(false);
  for (auto _ : state) failed |= solver.sweep(0).failed;
  // Per axis and row: products with all modes for Gram matrices of two matrices (2 r each and mode), and a dense (or
  // block-banded) Cholesky factorisation: r^3 / 3, or (r b)^2 r per row.
  const double r = rank;
  const double factor = diagonal ? r * r * r / 3 + 2 * r * r : 3 * r * r * r + 6 * r * r;
  const Work work{static_cast<double>(n) * (4 * r * r + factor), 8.0 * static_cast<double>(n) * 6 * r};
  check(state, !failed, "a block update failed");
  report<double>(state, "updates/s", dimension, work, machine().cache, watch);
}

}  // namespace

void register_alternating() {
  benchmark::RegisterBenchmark("block-update/diagonal", [](benchmark::State& state) { sweep(state, true); })
      ->ArgNames({"n", "axes", "modes"})
      ->Args({32, 5, 7})
      ->Args({32, 10, 12})
      ->Args({100, 6, 30});
  benchmark::RegisterBenchmark("block-update/banded", [](benchmark::State& state) { sweep(state, false); })
      ->ArgNames({"n", "axes", "modes"})
      ->Args({32, 5, 1})
      ->Args({1000, 3, 8})
      ->Args({100'000, 3, 1});
}

}  // namespace inntd::bench
