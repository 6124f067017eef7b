#include <doctest/doctest.h>

#include <cmath>
#include <random>
#include <vector>

#include "inntd/product_tree.hpp"

namespace inntd {
namespace {

constexpr std::size_t entries = 3;

struct Sum {
  static constexpr int factors = 3;  // per axis
  int axes;
  std::vector<std::int32_t> terms;
  std::vector<double> weights;
  std::vector<std::vector<double>> values;  // per axis (factors, entries)

  Sum(int axis_count, int count, unsigned seed) : axes(axis_count) {
    std::mt19937 random(seed);
    std::uniform_int_distribution<std::int32_t> factor(0, factors - 1);
    std::uniform_real_distribution<double> value(-1.5, 1.5);
    for (int t = 0; t < count; ++t) {
      for (int d = 0; d < axes; ++d) terms.push_back(factor(random));
      weights.push_back(value(random));
    }
    values.assign(axes, std::vector<double>(factors * entries));
    for (auto& own : values) {
      for (double& v : own) v = value(random);
    }
  }

  // What is summed up for a factor of an axis, term by term.
  double expected(int axis, int factor, std::size_t entry) const {
    double sum = 0.0;
    for (std::size_t t = 0; t < weights.size(); ++t) {
      if (terms[t * axes + axis] != factor) continue;
      double product = weights[t];
      for (int d = 0; d < axes; ++d) {
        if (d != axis) product *= values[d][terms[t * axes + d] * entries + entry];
      }
      sum += product;
    }
    return sum;
  }
};

TEST_CASE("sums of products over the other axes, with factors that change on the way") {
  for (int axes = 1; axes <= 9; ++axes) {
    for (int count : {0, 1, 7}) {
      Sum sum(axes, count, static_cast<unsigned>(10 * axes + count));
      ProductTree tree(axes, sum.terms, sum.weights);
      std::vector<const double*> factors;
      for (const auto& own : sum.values) factors.push_back(own.data());
      for (int sweep = 0; sweep < 2; ++sweep) {
        tree.start(entries, factors);
        for (int d = 0; d < axes; ++d) {
          std::vector<double> found(sum.factors * entries, 0.0);
          tree.collect(d, found.data());
          for (int j = 0; j < sum.factors; ++j) {
            for (std::size_t k = 0; k < entries; ++k) {
              CHECK(found[j * entries + k] == doctest::Approx(sum.expected(d, j, k)).epsilon(1e-12));
            }
          }
          for (double& value : sum.values[d]) value = 0.5 - value * value;
          tree.update(d);
        }
      }
    }
  }
}

}  // namespace
}  // namespace inntd
