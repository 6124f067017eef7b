#include <doctest/doctest.h>

#include <cmath>
#include <random>
#include <vector>

#include "tables.hpp"

namespace inntd::testing {
namespace {

using Matrix = std::vector<double>;

Matrix random_matrix(int m, bool symmetric) {
  std::mt19937 generator(7);
  std::uniform_real_distribution<double> uniform(-1.0, 1.0);
  Matrix a(m * m);
  for (int i = 0; i < m; ++i) {
    for (int j = 0; j < m; ++j) a[i * m + j] = symmetric && j < i ? a[j * m + i] : uniform(generator);
  }
  return a;
}

// Largest entry of left right - expected, the factors transposed on request.
double product_error(int m, const Matrix& left, bool transposed, const Matrix& right, const Matrix& expected) {
  double largest = 0.0;
  for (int i = 0; i < m; ++i) {
    for (int j = 0; j < m; ++j) {
      double sum = -expected[i * m + j];
      for (int k = 0; k < m; ++k) sum += (transposed ? left[k * m + i] : left[i * m + k]) * right[k * m + j];
      largest = std::max(largest, std::abs(sum));
    }
  }
  return largest;
}

Matrix identity(int m) {
  Matrix one(m * m, 0.0);
  for (int i = 0; i < m; ++i) one[i * m + i] = 1.0;
  return one;
}

TEST_CASE("eigenvectors diagonalise and are orthonormal, whatever the algorithm") {
  for (const std::string& isa : available_isas()) {
    const WithIsa scope(isa);
    const KernelTable& table = kernels();
    for (const bool jacobi : {false, true}) {
      for (const int m : {1, 2, 8, 9, 30, 61}) {
        for (const bool deficient : {false, true}) {
          Matrix a = random_matrix(m, true);
          // A projection has two eigenvalues only: the hardest case for deflation.
          if (deficient) {
            for (int i = 0; i < m; ++i) {
              for (int j = 0; j < m; ++j) a[i * m + j] = (i == j ? 1.0 : 0.0) - 1.0 / m;
            }
          }
          Matrix destroyed = a, values(m), vectors(m * m), work(m * m + 3 * m), scaled(m * m);
          (jacobi ? table.f64.dense.jacobi : table.f64.dense.eigen)(m, destroyed.data(), values.data(), vectors.data(),
                                                                    work.data());
          for (int i = 0; i < m; ++i) {
            for (int j = 0; j < m; ++j) scaled[i * m + j] = vectors[i * m + j] * values[j];
          }
          CAPTURE(m);
          CAPTURE(jacobi);
          CHECK(product_error(m, vectors, true, vectors, identity(m)) < 1e-14 * (m + 10));
          CHECK(product_error(m, a, false, vectors, scaled) < 1e-14 * (m + 10));
        }
      }
    }
  }
}

TEST_CASE("the Hessenberg form is similar, and shifted systems are solved with it") {
  for (const std::string& isa : available_isas()) {
    const WithIsa scope(isa);
    const KernelTable& table = kernels();
    const std::int64_t n = 11;
    for (const int m : {1, 2, 3, 13, 40}) {
      const Matrix a = random_matrix(m, false);
      Matrix h = a, q(m * m), work((m * m + 2 * m) * batch_lanes), qh(m * m, 0.0);
      table.f64.dense.hessenberg(m, h.data(), q.data(), work.data());
      for (int i = 0; i < m; ++i) {
        for (int j = 0; j + 1 < i; ++j) CHECK(h[i * m + j] == 0.0);
      }
      table.f64.dense.multiply_add(m, m, m, q.data(), h.data(), nullptr, 1.0, qh.data());
      CHECK(product_error(m, q, true, q, identity(m)) < 1e-14 * (m + 10));
      CHECK(product_error(m, a, false, q, qh) < 1e-14 * (m + 10));
      std::vector<double> shifts(n), rhs(n * m);
      for (std::int64_t i = 0; i < n; ++i) shifts[i] = 0.3 * static_cast<double>(i) - 1.0;
      for (std::size_t k = 0; k < rhs.size(); ++k) rhs[k] = std::sin(static_cast<double>(k));
      std::vector<double> x = rhs;
      table.f64.dense.solve_shifted(n, m, h.data(), shifts.data(), x.data(), work.data());
      for (std::int64_t i = 0; i < n; ++i) {
        double size = 1.0, largest = 0.0;
        for (int p = 0; p < m; ++p) size = std::max(size, std::abs(x[i * m + p]));
        for (int p = 0; p < m; ++p) {
          double sum = x[i * m + p] - rhs[i * m + p];
          for (int r = 0; r < m; ++r) sum += shifts[i] * h[p * m + r] * x[i * m + r];
          largest = std::max(largest, std::abs(sum));
        }
        CHECK(largest < 1e-13 * size * m);
      }
    }
  }
}

TEST_CASE("elimination without pivoting solves wide bands and reports lost pivots") {
  for (const std::string& isa : available_isas()) {
    const WithIsa scope(isa);
    const KernelTable& table = kernels();
    for (const std::int64_t n : {1, 3, 7, 50}) {
      for (const int b : {1, 2, 5, 17}) {
        const int width = 2 * b + 1;
        std::mt19937 generator(3);
        std::uniform_real_distribution<double> uniform(-1.0, 1.0);
        std::vector<double> band(n * width, 0.0), exact(n), x(n, 0.0);
        for (std::int64_t i = 0; i < n; ++i) {
          exact[i] = uniform(generator);
          for (std::int64_t j = std::max<std::int64_t>(0, i - b); j <= std::min<std::int64_t>(n - 1, i + b); ++j) {
            band[i * width + b + j - i] = uniform(generator) + (i == j ? 2.0 * b : 0.0);
          }
        }
        table.f64.banded.multiply(n, b, band.data(), 1, exact.data(), x.data());
        std::vector<double> lu = band;
        CHECK(table.f64.banded.lu_plain(n, b, lu.data()) == n);
        table.f64.banded.lu_plain_solve(n, b, lu.data(), x.data());
        for (std::int64_t i = 0; i < n; ++i) CHECK(x[i] == doctest::Approx(exact[i]).epsilon(1e-11));
        if (n > 4) {
          for (int k = 0; k < width; ++k) band[3 * width + k] = 0.0;
          CHECK(table.f64.banded.lu_plain(n, b, band.data()) == 3);
        }
      }
    }
  }
}

}  // namespace
}  // namespace inntd::testing
