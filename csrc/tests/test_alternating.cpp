#include <doctest/doctest.h>

#include <cmath>
#include <stdexcept>
#include <vector>

#include "inntd/alternating.hpp"
#include "tables.hpp"

namespace inntd::testing {
namespace {

// Axes whose matrices are all diagonal make the exact solution a division: A = sum of one factor per axis.
struct Diagonal {
  std::vector<double> mass, eigenvalues, load;
  SeparatedSystem system;

  Diagonal(int axes, std::int64_t n) : mass(n, 1.0), eigenvalues(n), load(n) {
    for (std::int64_t i = 0; i < n; ++i) {
      eigenvalues[i] = 1.0 + static_cast<double>(i * i);
      load[i] = 1.0 / (1.0 + static_cast<double>(i));
    }
    AxisSystem axis;
    axis.n = n;
    axis.diagonal = true;
    axis.matrices = {mass.data(), eigenvalues.data()};
    axis.load = load.data();
    axis.loads = 1;
    system.axes.assign(axes, axis);
    for (int t = 0; t < axes; ++t) {
      for (int d = 0; d < axes; ++d) system.terms.push_back(d == t ? 1 : 0);
      system.coefficients.push_back(1.0);
    }
    system.load_terms.assign(axes, 0);
    system.load_weights = {1.0};
  }
};

std::vector<const double*> repeated(const std::vector<double>& column, int axes) {
  return std::vector<const double*>(axes, column.data());
}

TEST_CASE("growth and updates converge to the divided load on every instruction set") {
  for (const std::string& isa : available_isas()) {
    const WithIsa chosen(isa);
    const std::int64_t n = 9;
    const Diagonal problem(2, n);
    Alternating solver(problem.system);
    for (int modes = 0; modes < 9; ++modes) {
      std::vector<double> start(n);
      for (std::int64_t i = 0; i < n; ++i) start[i] = std::cos(static_cast<double>((modes + 1) * i));
      solver.append(repeated(start, 2), 1);
      for (int k = 0; k < 4; ++k) REQUIRE_FALSE(solver.sweep(modes).failed);
      for (int k = 0; k < 20; ++k) REQUIRE_FALSE(solver.sweep(0).failed);
    }
    double square = 0.0, error = 0.0;
    for (std::int64_t i = 0; i < n; ++i) {
      for (std::int64_t j = 0; j < n; ++j) {
        const double exact = problem.load[i] * problem.load[j] / (problem.eigenvalues[i] + problem.eigenvalues[j]);
        double value = 0.0;
        for (int p = 0; p < solver.rank(); ++p) {
          value += solver.amplitudes()[p] * solver.factor(0)[i * solver.rank() + p] *
                   solver.factor(1)[j * solver.rank() + p];
        }
        square += exact * exact;
        error += (value - exact) * (value - exact);
      }
    }
    CHECK(std::sqrt(error / square) < 1e-8);
    CHECK(solver.norm() == doctest::Approx(std::sqrt(square)).epsilon(1e-10));
  }
}

TEST_CASE("a hundred axes neither overflow nor vanish") {
  const std::int64_t n = 5;
  const Diagonal problem(100, n);
  Alternating solver(problem.system);
  solver.append(repeated(std::vector<double>(n, 1e-3), 100), 1);
  SweepReport report;
  for (int k = 0; k < 5; ++k) report = solver.sweep(0);
  CHECK_FALSE(report.failed);
  CHECK(std::isfinite(report.norm));
  CHECK(report.norm > 0.0);
  CHECK(report.change < 1e-3 * report.norm);
}

TEST_CASE("a starting column of zeros is refused") {
  const Diagonal problem(2, 4);
  Alternating solver(problem.system);
  CHECK_THROWS_AS(solver.append(repeated(std::vector<double>(4, 0.0), 2), 1), std::invalid_argument);
}

// An axis with three banded matrices, the last of which is not symmetric; and one with a diagonal pencil.
struct Mixed {
  static constexpr std::int64_t n = 17;
  std::vector<double> mass, stiffness, advection, ones, eigenvalues, load;
  std::vector<std::int32_t> fixed;
  SeparatedSystem system;

  explicit Mixed(int classes) : ones(n, 1.0), eigenvalues(n), load(n, 1.0), fixed(n * classes, 0) {
    for (std::int64_t i = 0; i < n; ++i) {
      eigenvalues[i] = 1.0 + static_cast<double>(i);
      for (const double value : {1.0 / 6, 2.0 / 3, 1.0 / 6}) mass.push_back(value);
      for (const double value : {-1.0, 2.0, -1.0}) stiffness.push_back(value);
      for (const double value : {-0.5, 0.0, 0.5}) advection.push_back(value);
    }
    AxisSystem banded, diagonal;
    banded.n = diagonal.n = n;
    banded.half_bandwidth = 1;
    banded.symmetric = false;
    banded.matrices = {mass.data(), stiffness.data(), advection.data()};
    diagonal.diagonal = true;
    diagonal.matrices = {ones.data(), eigenvalues.data()};
    banded.load = diagonal.load = load.data();
    banded.loads = diagonal.loads = 1;
    if (classes > 1) {
      for (std::int64_t i = 0; i < n; ++i) fixed[i * classes + 1] = i < 3 ? 1 : 0;
      banded.fixed = fixed.data();
      banded.classes = classes;
    }
    system.axes = {banded, diagonal};
    system.terms = {1, 0, 0, 1, 2, 0};
    system.coefficients = {1.0, 1.0, 0.7};
    system.load_terms = {0, 0};
    system.load_weights = {1.0};
  }

  std::vector<double> start(int count) const {
    std::vector<double> columns(n * count);
    for (std::size_t k = 0; k < columns.size(); ++k) columns[k] = 1.0 + 0.5 * std::cos(static_cast<double>(k * k));
    return columns;
  }
};

TEST_CASE("axes of many matrices and nonsymmetric small ones settle, with few and with many modes") {
  for (const std::string& isa : available_isas()) {
    const WithIsa chosen(isa);
    for (const int modes : {1, 5, 16}) {
      const Mixed problem(1);
      Alternating solver(problem.system);
      const std::vector<double> columns = problem.start(modes);
      solver.append({columns.data(), columns.data()}, modes);
      SweepReport report;
      for (int k = 0; k < 60; ++k) report = solver.sweep(0);
      CHECK_FALSE(report.failed);
      CHECK(report.change < 1e-3 * report.norm);
    }
  }
}

TEST_CASE("values that a class fixes stay zero, and frozen factors stay as they are") {
  Mixed problem(2);
  problem.system.axes[1].frozen = true;
  Alternating solver(problem.system);
  const std::vector<double> columns = problem.start(4);
  solver.append({columns.data(), columns.data()}, 4, {0, 1, 0, 1});
  const std::vector<double> before = solver.factor(1);
  for (int k = 0; k < 3; ++k) REQUIRE_FALSE(solver.sweep(0).failed);
  for (std::size_t k = 0; k < before.size(); ++k) CHECK(solver.factor(1)[k] == before[k]);
  for (std::int64_t i = 0; i < Mixed::n; ++i) {
    for (int p = 0; p < 4; ++p) {
      const bool zero = i < 3 && p % 2 == 1;
      CHECK((solver.factor(0)[i * 4 + p] == 0.0) == zero);
    }
  }
}

}  // namespace
}  // namespace inntd::testing
