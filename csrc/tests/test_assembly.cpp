#include <doctest/doctest.h>

#include <cmath>

#include "inntd/assembly.hpp"
#include "tables.hpp"

namespace inntd::testing {
namespace {

struct Rule {
  std::vector<std::int64_t> piece;
  std::vector<double> xi, weight;
  int points;

  // Gauss points on every piece, weights in x; the points are stored once or for every cell.
  Rule(const BasisTable<double>& table, int count, bool shared) : points(count) {
    std::vector<long double> x(static_cast<std::size_t>(count)), w(x);
    gauss_rule(count, x.data(), w.data());
    for (std::int64_t e = 0; e < table.pieces; ++e) {
      piece.push_back(e);
      for (int g = 0; g < count; ++g) {
        if (!shared || e == 0) xi.push_back(static_cast<double>(x[g]));
        weight.push_back(static_cast<double>(w[g]) * 0.5 * (table.breaks[e + 1] - table.breaks[e]));
      }
    }
  }

  QuadratureCells cells(bool shared) const {
    return {piece.data(), xi.data(), static_cast<std::int64_t>(piece.size()), points, shared};
  }
};

TEST_CASE("Gauss rules integrate polynomials of degree 2 q - 1 and no more") {
  for (int q = 1; q <= 30; ++q) {
    std::vector<long double> x(static_cast<std::size_t>(q)), w(x);
    gauss_rule(q, x.data(), w.data());
    for (int degree = 0; degree <= 2 * q; ++degree) {
      long double integral = 0.0L;
      for (int i = 0; i < q; ++i) integral += w[i] * std::pow(x[i], static_cast<long double>(degree));
      const double error = static_cast<double>(integral - (degree % 2 == 0 ? 2.0L / (degree + 1) : 0.0L));
      if (degree < 2 * q) {
        CHECK(std::abs(error) < 1e-17 * 8);
      } else if (q <= 20) {
        CHECK(std::abs(error) > 1e-16);
      }
    }
  }
}

TEST_CASE("a weight of one gives the matrices of the shared blocks") {
  for (const bool periodic : {false, true}) {
    for (const double grading : {1.0, 2.0}) {
      const Axis axis = make_axis(30, 3, periodic, grading);
      const BasisTable<double> table = axis.table<double>();
      const std::size_t entries = static_cast<std::size_t>(table.size * (2 * table.width - 1));
      for (const bool shared : {false, true}) {
        const Rule rule(table, table.degree + 1, shared);
        for (int trial = 0; trial <= 1; ++trial) {
          for (int test = 0; test <= 1; ++test) {
            std::vector<double> plain(entries), weighted(entries);
            assemble_matrix(table, trial, test, plain.data());
            add_weighted_matrix(table, rule.cells(shared), rule.weight.data(), trial, test, weighted.data());
            double largest = 0.0;
            for (double value : plain) largest = std::max(largest, std::abs(value));
            for (std::size_t i = 0; i < entries; ++i) CHECK(std::abs(plain[i] - weighted[i]) < 1e-13 * largest);
          }
        }
      }
    }
  }
}

TEST_CASE("loads of several functions are the loads of each") {
  const Axis axis = make_axis(25, 2, false, 1.7);
  const BasisTable<double> table = axis.table<double>();
  const Rule rule(table, 6, true);
  std::vector<double> both(rule.weight.size() * 2), out(static_cast<std::size_t>(table.size * 2));
  for (std::size_t i = 0; i < rule.weight.size(); ++i) {
    both[2 * i] = rule.weight[i];
    both[2 * i + 1] = rule.weight[i] * static_cast<double>(i);
  }
  add_load(table, rule.cells(true), both.data(), 2, 0, out.data());
  std::vector<double> single(static_cast<std::size_t>(table.size));
  add_load(table, rule.cells(true), rule.weight.data(), 1, 0, single.data());
  double total = 0.0;
  for (std::int64_t i = 0; i < table.size; ++i) {
    CHECK(out[2 * i] == single[i]);
    total += single[i];
  }
  CHECK(std::abs(total - 1.0) < 1e-14);
}

TEST_CASE("stiffness rows of long uniform axes add up to zero exactly") {
  for (const int s : {0, 1, 3}) {
    const Axis axis = make_axis(3000, s);
    const BasisTable<double> table = axis.table<double>();
    const int stride = 2 * table.width - 1;
    std::vector<double> band(static_cast<std::size_t>(table.size * stride));
    assemble_matrix(table, 1, 1, band.data());
    for (std::int64_t i = 0; i < table.size; ++i) {
      double sum = 0.0;
      for (int k = 0; k < stride; ++k) sum += band[i * stride + k];
      CHECK(sum == 0.0);
    }
  }
}

}  // namespace
}  // namespace inntd::testing
