#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "tables.hpp"

namespace inntd::testing {
namespace {

// A band of random entries, its diagonal raised by `shift`; symmetric on request.
template <class T>
std::vector<T> random_band(std::int64_t n, int b, bool symmetric, double shift) {
  std::mt19937 generator(42);
  std::uniform_real_distribution<double> uniform(-1.0, 1.0);
  const int width = 2 * b + 1;
  std::vector<T> band(n * width, T(0));
  for (std::int64_t i = 0; i < n; ++i) {
    for (std::int64_t j = std::max<std::int64_t>(0, i - b); j <= std::min(n - 1, i + b); ++j) {
      if (symmetric && j < i) {
        band[i * width + b + j - i] = band[j * width + b + i - j];
      } else {
        band[i * width + b + j - i] = static_cast<T>(uniform(generator) + (i == j ? shift : 0.0));
      }
    }
  }
  return band;
}

// Largest entry of A x - rhs by plain sums, with A or its transpose.
template <class T>
double residual(std::int64_t n, int b, const std::vector<T>& band, int m, const std::vector<T>& x,
                const std::vector<T>& rhs, bool transpose = false) {
  double largest = 0.0;
  for (std::int64_t i = 0; i < n; ++i) {
    for (int p = 0; p < m; ++p) {
      double sum = -static_cast<double>(rhs[i * m + p]);
      for (std::int64_t j = std::max<std::int64_t>(0, i - b); j <= std::min(n - 1, i + b); ++j) {
        const T entry = transpose ? band[j * (2 * b + 1) + b + i - j] : band[i * (2 * b + 1) + b + j - i];
        sum += static_cast<double>(entry) * static_cast<double>(x[j * m + p]);
      }
      largest = std::max(largest, std::abs(sum));
    }
  }
  return largest;
}

template <class T>
std::vector<T> ramp(std::int64_t count) {
  std::vector<T> values(count);
  for (std::int64_t i = 0; i < count; ++i) values[i] = static_cast<T>(std::sin(0.7 * static_cast<double>(i)));
  return values;
}

TEST_CASE_TEMPLATE("banded Cholesky and its solves", T, float, double) {
  for (const std::string& isa : available_isas()) {
    const WithIsa chosen(isa);
    const BandedKernels<T>& kernel = kernels().of<T>().banded;
    for (const int b : {1, 2, 3, 4, 5, 6, 7, 12, 20}) {
      for (const int m : {1, 3}) {
        const std::int64_t n = 37;
        const auto band = random_band<T>(n, b, true, 2.0 * b + 2.0);
        const auto rhs = ramp<T>(n * m);
        auto x = rhs;
        std::vector<T> factor(n * (b + 1));
        REQUIRE(kernel.cholesky(n, b, band.data(), factor.data()) == n);
        kernel.cholesky_solve(n, b, factor.data(), m, x.data());
        CHECK(residual(n, b, band, m, x, rhs) < 200 * static_cast<double>(std::numeric_limits<T>::epsilon()));
      }
    }
  }
}

TEST_CASE_TEMPLATE("every column has its own combination of two matrices", T, float, double) {
  for (const std::string& isa : available_isas()) {
    const WithIsa chosen(isa);
    const BandedKernels<T>& kernel = kernels().of<T>().banded;
    for (const int m : {1, 2, 3, 4, 5, 8, 11}) {
      const std::int64_t n = 29;
      const int b = 7;
      const auto first = random_band<T>(n, b, true, 20.0), second = random_band<T>(n, b, true, 30.0);
      std::vector<T> alpha(m), beta(m), work(n * (b + 2) * column_lanes(m));
      for (int p = 0; p < m; ++p) alpha[p] = static_cast<T>(1 + p), beta[p] = static_cast<T>(2.5 - 0.1 * p);
      const auto rhs = ramp<T>(n * m);
      auto x = rhs;
      REQUIRE(kernel.solve_columns(n, b, first.data(), second.data(), m, alpha.data(), beta.data(), x.data(),
                                   work.data()) == n);
      for (int p = 0; p < m; ++p) {
        std::vector<T> sum(first.size()), column(n), load(n);
        for (std::size_t k = 0; k < sum.size(); ++k) sum[k] = alpha[p] * first[k] + beta[p] * second[k];
        for (std::int64_t i = 0; i < n; ++i) column[i] = x[i * m + p], load[i] = rhs[i * m + p];
        CHECK(residual(n, b, sum, 1, column, load) < 200 * static_cast<double>(std::numeric_limits<T>::epsilon()));
      }
    }
  }
}

TEST_CASE("LU pivots, also transposed") {
  for (const int b : {1, 2, 5, 9}) {
    for (const bool transpose : {false, true}) {
      const std::int64_t n = 31;
      const int m = 2;
      const auto band = random_band<double>(n, b, false, 0.0);
      const auto rhs = ramp<double>(n * m);
      auto x = rhs;
      std::vector<double> factor(n * (3 * b + 1), 0.0);
      for (std::int64_t i = 0; i < n; ++i) {
        for (int j = 0; j <= 2 * b; ++j) factor[i * (3 * b + 1) + j] = band[i * (2 * b + 1) + j];
      }
      std::vector<std::int64_t> pivot(n);
      REQUIRE(kernels().f64.banded.lu(n, b, factor.data(), pivot.data()) == n);
      kernels().f64.banded.lu_solve(n, b, factor.data(), pivot.data(), m, x.data(), transpose);
      CHECK(residual(n, b, band, m, x, rhs, transpose) < 1e-9);
    }
  }
}

TEST_CASE("a pivot that is not positive is reported by its row") {
  const std::vector<double> band = {0, 1, 0, 0, -1, 0, 0, 1, 0};
  std::vector<double> factor(6);
  CHECK(kernels().f64.banded.cholesky(3, 1, band.data(), factor.data()) == 1);
}

}  // namespace
}  // namespace inntd::testing
