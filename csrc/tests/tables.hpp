// Axes for tests and the plain sums that kernels are compared with.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "inntd/evaluate.hpp"
#include "inntd/kernels.hpp"
#include "inntd/stencil.hpp"

namespace inntd::testing {

// Chooses an instruction set for one scope.
class WithIsa {
 public:
  explicit WithIsa(const std::string& name) : before_(kernels().name) { select_isa(name); }
  ~WithIsa() { select_isa(before_); }
  WithIsa(const WithIsa&) = delete;
  WithIsa& operator=(const WithIsa&) = delete;

 private:
  std::string before_;
};

struct Axis {
  Stencil stencil;
  std::vector<float> coefficients32;

  template <class T>
  BasisTable<T> table() const {
    const T* coefficients;
    if constexpr (sizeof(T) == 4) {
      coefficients = coefficients32.data();
    } else {
      coefficients = stencil.coefficients.data();
    }
    return {stencil.breaks.data(),
            stencil.kind.data(),
            stencil.first.data(),
            coefficients,
            static_cast<std::int64_t>(stencil.first.size()),
            stencil.size,
            stencil.width,
            stencil.degree,
            stencil.uniform,
            stencil.periodic};
  }
};

// Patches of `s` hops on [0, 1]; grading 1 is equally spaced.
inline Axis make_axis(int elements, int s, bool periodic = false, double grading = 1.0,
                      PatchKernel kernel = PatchKernel::lagrange, int p = -1, double a = 20.0) {
  std::vector<double> nodes;
  for (int i = 0; i <= elements; ++i) nodes.push_back(std::pow(static_cast<double>(i) / elements, grading));
  const std::vector<std::int32_t> hops(nodes.size(), s), orders(nodes.size(), p < 0 ? 2 * s : p);
  const std::vector<double> dilations(nodes.size(), a);
  Axis axis;
  axis.stencil = build_stencil({nodes.data(), elements, periodic, nullptr, 0},
                               {hops.data(), orders.data(), dilations.data(), kernel, true});
  axis.coefficients32.assign(axis.stencil.coefficients.begin(), axis.stencil.coefficients.end());
  return axis;
}

// Points inside [0, 1), (count, dimension).
template <class T>
std::vector<T> random_points(std::int64_t count, std::int64_t dimension) {
  std::mt19937 random(2);
  std::uniform_real_distribution<double> draw(0.0, 1.0);
  std::vector<T> x(static_cast<std::size_t>(count * dimension));
  for (T& value : x) value = std::min(static_cast<T>(draw(random)), std::nextafter(T(1), T(0)));
  return x;
}

// A CP model on some axes, with random factors.
template <class T>
struct Model {
  std::vector<Axis> axes;
  std::vector<BasisTable<T>> tables;
  std::vector<std::vector<T>> factors;
  std::vector<const T*> pointers;
  std::int64_t modes;

  Model(std::vector<Axis> given, std::int64_t mode_count, unsigned seed = 1)
      : axes(std::move(given)), modes(mode_count) {
    std::mt19937 random(seed);
    std::uniform_real_distribution<double> draw(-1.0, 1.0);
    for (const Axis& axis : axes) {
      tables.push_back(axis.table<T>());
      factors.emplace_back(static_cast<std::size_t>(axis.stencil.size * modes));
      for (T& value : factors.back()) value = static_cast<T>(draw(random));
    }
    for (const auto& factor : factors) pointers.push_back(factor.data());
  }
  Model(const Model&) = delete;
  Model& operator=(const Model&) = delete;

  std::int64_t dimension() const { return static_cast<std::int64_t>(axes.size()); }
  CpView<T> view() const { return {tables.data(), pointers.data(), dimension(), modes}; }
  void evaluate(const T* x, std::int64_t count, T* out, int threads) const {
    cp_values(view(), x, count, out, threads);
  }
  void evaluate_jet(const T* x, std::int64_t count, T* out, T* gradient, T* second, int threads) const {
    cp_jet(view(), x, count, out, gradient, second, threads);
  }

  std::vector<T> points(std::int64_t count) const { return random_points<T>(count, dimension()); }

  // The order-th derivative of axis d's function of one mode at x: a plain sum in double, by powers of xi.
  double axis_function(std::int64_t d, double x, std::int64_t mode, int order) const {
    const Stencil& stencil = axes[d].stencil;
    std::int64_t e = 0;
    while (e + 1 < static_cast<std::int64_t>(stencil.first.size()) && x >= stencil.breaks[e + 1]) ++e;
    const double a = stencil.breaks[e], b = stencil.breaks[e + 1], xi = (2 * x - a - b) / (b - a);
    double sum = 0.0;
    for (int k = 0; k < stencil.width; ++k) {
      double value = 0.0;
      for (int q = order; q <= stencil.degree; ++q) {
        double falling = std::pow(2 / (b - a), order);
        for (int r = 0; r < order; ++r) falling *= q - r;
        value += falling * std::pow(xi, q - order) *
                 stencil.coefficients[(stencil.kind[e] * (stencil.degree + 1) + q) * stencil.width + k];
      }
      sum += value * static_cast<double>(factors[d][(stencil.first[e] + k) % stencil.size * modes + mode]);
    }
    return sum;
  }

  // Value (axis -1) or the order-th derivative along one axis, and the sum of the absolute values of its terms.
  double value(const T* x, std::int64_t axis, int order, double* scale) const {
    double sum = 0.0;
    *scale = 0.0;
    for (std::int64_t m = 0; m < modes; ++m) {
      double product = 1.0;
      for (std::int64_t d = 0; d < dimension(); ++d) {
        product *= axis_function(d, static_cast<double>(x[d]), m, d == axis ? order : 0);
      }
      sum += product;
      *scale += std::abs(product);
    }
    return sum;
  }
};

}  // namespace inntd::testing
