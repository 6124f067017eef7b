// Tucker models for tests and benchmarks, and the plain sums that kernels are compared with.
#pragma once

#include <memory>

#include "tables.hpp"

namespace inntd::testing {

// A Tucker model on some axes with random factors and core, each factor a column block of a CP model's.
template <class T>
struct TuckerModel {
  std::vector<std::unique_ptr<Model<T>>> parts;  // one axis each
  std::vector<BasisTable<T>> tables;
  std::vector<const T*> factors;
  std::vector<std::int64_t> ranks;
  std::vector<T> core;

  TuckerModel(const std::vector<Axis>& axes, std::vector<std::int64_t> given) : ranks(std::move(given)) {
    std::int64_t size = 1;
    for (std::size_t d = 0; d < axes.size(); ++d) {
      parts.push_back(std::make_unique<Model<T>>(std::vector<Axis>{axes[d]}, ranks[d], static_cast<unsigned>(d)));
      tables.push_back(parts.back()->tables[0]);
      factors.push_back(parts.back()->pointers[0]);
      size *= ranks[d];
    }
    std::mt19937 random(3);
    std::uniform_real_distribution<double> draw(-1.0, 1.0);
    for (std::int64_t i = 0; i < size; ++i) core.push_back(static_cast<T>(draw(random)));
  }

  std::int64_t dimension() const { return static_cast<std::int64_t>(ranks.size()); }
  TuckerView<T> view() const { return {tables.data(), factors.data(), ranks.data(), core.data(), dimension()}; }

  std::vector<T> points(std::int64_t count) const { return random_points<T>(count, dimension()); }
  void evaluate(const T* x, std::int64_t count, T* out, int threads) const {
    tucker_values(view(), x, count, out, threads);
  }
  void evaluate_jet(const T* x, std::int64_t count, T* out, T* gradient, T* second, int threads) const {
    tucker_jet(view(), x, count, out, gradient, second, threads);
  }

  // Value (axis -1) or the order-th derivative along one axis by a plain sum over the core, and of absolute values.
  double value(const T* x, std::int64_t axis, int order, double* scale) const {
    std::vector<std::vector<double>> rows;
    for (std::int64_t d = 0; d < dimension(); ++d) {
      rows.emplace_back();
      for (std::int64_t m = 0; m < ranks[d]; ++m) {
        rows.back().push_back(parts[d]->axis_function(0, static_cast<double>(x[d]), m, d == axis ? order : 0));
      }
    }
    double sum = 0.0;
    *scale = 0.0;
    for (std::size_t i = 0; i < core.size(); ++i) {
      double product = static_cast<double>(core[i]);
      std::size_t rest = i;
      for (std::int64_t d = dimension() - 1; d >= 0; --d) {
        product *= rows[d][rest % static_cast<std::size_t>(ranks[d])];
        rest /= static_cast<std::size_t>(ranks[d]);
      }
      sum += product;
      *scale += std::abs(product);
    }
    return sum;
  }
};

}  // namespace inntd::testing
