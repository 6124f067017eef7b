#include <doctest/doctest.h>

#include <numeric>

#include "inntd/fit.hpp"
#include "inntd/gradients.hpp"
#include "tucker.hpp"

namespace inntd::testing {
namespace {

template <class T>
double tolerance() {
  return sizeof(T) == 4 ? 2e-4 : 1e-11;
}

// d/d factor[axis][row][mode] of sum_i slopes[i] u(x_i) (order 0), or of its derivative of some order along `along`: a
// plain sum in double. The model is linear in each factor, so the difference to a moved factor is the derivative.
template <class T>
double plain_gradient(Model<T>& model, const std::vector<T>& x, const std::vector<T>& slopes, std::int64_t axis,
                      std::int64_t entry, std::int64_t along, int order) {
  double sums[2], unused;
  for (int side = 0; side < 2; ++side) {
    T& number = model.factors[static_cast<std::size_t>(axis)][static_cast<std::size_t>(entry)];
    const T before = number;
    number = T(side);
    sums[side] = 0.0;
    for (std::size_t i = 0; i < slopes.size(); ++i) {
      sums[side] += static_cast<double>(slopes[i]) *
                    model.value(&x[i * static_cast<std::size_t>(model.dimension())], along, order, &unused);
    }
    number = before;
  }
  return sums[1] - sums[0];
}

// A periodic axis, narrow and wide bases, a width without a kernel of its own.
std::vector<Axis> some_axes() { return {make_axis(9, 2, true), make_axis(5, 0), make_axis(14, 5), make_axis(12, 4)}; }

template <class T>
struct Gradients {
  std::vector<std::vector<T>> numbers;
  std::vector<T*> pointers;
  explicit Gradients(const Model<T>& model) {
    for (const auto& factor : model.factors) numbers.emplace_back(factor.size(), T(-7));
    for (auto& array : numbers) pointers.push_back(array.data());
  }
};

TEST_CASE_TEMPLATE("gradients by the factors agree with plain sums", T, float, double) {
  for (const std::string& isa : available_isas()) {
    const WithIsa chosen(isa);
    for (const std::int64_t modes : {1, 17, 60}) {
      Model<T> model(some_axes(), modes);
      constexpr std::int64_t count = 70;
      const auto x = model.points(count);
      std::vector<T> slopes(count);
      for (std::size_t i = 0; i < slopes.size(); ++i) slopes[i] = static_cast<T>(std::cos(double(i)));
      Gradients<T> found(model);
      std::vector<T> by_point(static_cast<std::size_t>(count * model.dimension()));
      cp_gradients<T>(model.view(), x.data(), count, slopes.data(), found.pointers.data(), by_point.data(), 2);
      for (std::int64_t d = 0; d < model.dimension(); ++d) {
        const std::int64_t size = static_cast<std::int64_t>(model.factors[static_cast<std::size_t>(d)].size());
        for (std::int64_t entry = 0; entry < size; entry += 1 + size / 5) {
          CAPTURE(isa);
          CAPTURE(modes);
          const double expected = plain_gradient(model, x, slopes, d, entry, -1, 0);
          CHECK(static_cast<double>(found.numbers[static_cast<std::size_t>(d)][static_cast<std::size_t>(entry)]) ==
                doctest::Approx(expected).epsilon(tolerance<T>()).scale(10.0));
        }
        double scale;
        const double slope = static_cast<double>(slopes[3]) * model.value(&x[3 * 4], d, 1, &scale);
        CHECK(static_cast<double>(by_point[static_cast<std::size_t>(3 * 4 + d)]) ==
              doctest::Approx(slope).epsilon(tolerance<T>()).scale(1.0 + scale));
      }
    }
  }
}

// The value is linear in each number of the model: the difference to a moved one is the derivative.
template <class T>
double tucker_difference(const TuckerModel<T>& model, const std::vector<T>& x, const std::vector<T>& slopes,
                         T& number) {
  double sums[2], unused;
  const T before = number;
  for (int side = 0; side < 2; ++side) {
    number = T(side);
    sums[side] = 0.0;
    for (std::size_t i = 0; i < slopes.size(); ++i) {
      sums[side] += static_cast<double>(slopes[i]) *
                    model.value(&x[i * static_cast<std::size_t>(model.dimension())], -1, 0, &unused);
    }
  }
  number = before;
  return sums[1] - sums[0];
}

TEST_CASE_TEMPLATE("gradients of Tucker models agree with plain sums", T, float, double) {
  const std::vector<std::vector<std::int64_t>> ranks = {{3, 1, 20, 2}, {5, 4, 3, 6}, {1, 1, 1, 1}, {9, 9, 2, 17}};
  for (const std::string& isa : available_isas()) {
    const WithIsa chosen(isa);
    for (const std::vector<std::int64_t>& given : ranks) {
      TuckerModel<T> model(some_axes(), given);
      constexpr std::int64_t count = 150;
      const auto x = model.points(count);
      std::vector<T> slopes(count), core(model.core.size(), T(-7)), by_point(x.size(), T(-7));
      for (std::size_t i = 0; i < slopes.size(); ++i) slopes[i] = static_cast<T>(std::cos(double(i)));
      std::vector<std::vector<T>> factors;
      std::vector<T*> pointers;
      for (const auto& part : model.parts) factors.emplace_back(part->factors[0].size(), T(-7));
      for (auto& factor : factors) pointers.push_back(factor.data());
      tucker_gradients<T>(model.view(), x.data(), count, slopes.data(), core.data(), pointers.data(), by_point.data(),
                          2);
      CAPTURE(isa);
      const auto close = [](T found, double expected, double scale) {
        CHECK(static_cast<double>(found) == doctest::Approx(expected).epsilon(tolerance<T>()).scale(scale));
      };
      for (std::size_t i = 0; i < core.size(); i += 1 + core.size() / 9) {
        close(core[i], tucker_difference(model, x, slopes, model.core[i]), 10.0);
      }
      for (std::size_t d = 0; d < factors.size(); ++d) {
        std::vector<T>& numbers = model.parts[d]->factors[0];
        for (std::size_t i = 0; i < numbers.size(); i += 1 + numbers.size() / 9) {
          close(factors[d][i], tucker_difference(model, x, slopes, numbers[i]), 100.0);
        }
        for (const std::size_t i : {std::size_t{3}, std::size_t{149}}) {
          double scale;
          const double slope =
              static_cast<double>(slopes[i]) * model.value(&x[i * 4], static_cast<std::int64_t>(d), 1, &scale);
          close(by_point[i * 4 + d], slope, 1.0 + scale);
        }
      }
      std::vector<T> again(core.size());
      tucker_gradients<T>(model.view(), x.data(), count, slopes.data(), again.data(), pointers.data(), nullptr, 2);
      CHECK(again == core);
    }
  }
}

TEST_CASE_TEMPLATE("gradients of second derivatives agree with plain sums", T, float, double) {
  for (const std::string& isa : available_isas()) {
    const WithIsa chosen(isa);
    Model<T> model({make_axis(9, 2, true), make_axis(5, 1), make_axis(8, 3)}, 5);
    constexpr std::int64_t count = 40;
    const auto x = model.points(count);
    for (const std::int64_t along : {0, 2}) {
      std::vector<T> a(count, T(0)), b(count * 3, T(0)), c(count * 3, T(0)), slopes(count, T(1));
      for (std::int64_t i = 0; i < count; ++i) c[static_cast<std::size_t>(i * 3 + along)] = T(1);
      Gradients<T> found(model);
      cp_jet_gradients<T>(model.view(), x.data(), count, a.data(), b.data(), c.data(), found.pointers.data(), 1);
      for (std::int64_t d = 0; d < 3; ++d) {
        const double expected = plain_gradient(model, x, slopes, d, 7, along, 2);
        CHECK(static_cast<double>(found.numbers[static_cast<std::size_t>(d)][7]) ==
              doctest::Approx(expected).epsilon(10 * tolerance<T>()).scale(1e3));
      }
    }
  }
}

// The loop's gradient against differences of its loss: sorted points, narrow bases, a number of axes without a kernel
// of its own, weights.
TEST_CASE_TEMPLATE("the gradient of the loss agrees with differences", T, float, double) {
  const std::vector<std::vector<Axis>> kinds = {
      some_axes(),
      {make_axis(9, 0, true), make_axis(5, 0), make_axis(1, 0)},
      {make_axis(4, 0)},
      std::vector<Axis>(7, make_axis(6, 0)),
  };
  for (const std::string& isa : available_isas()) {
    const WithIsa chosen_isa(isa);
    for (const std::vector<Axis>& axes : kinds) {
      Model<T> model(axes, 21);
      const std::int64_t count = 150, dimension = model.dimension();
      CpFit<T> fit(model.tables.data(), dimension, 21, 0);
      const auto x = random_points<double>(count, dimension);
      std::vector<double> y(count), weights(count);
      for (std::size_t i = 0; i < y.size(); ++i) {
        y[i] = std::sin(double(i));
        weights[i] = 1.0 + std::cos(double(i));
      }
      std::vector<std::int64_t> chosen(count);
      std::iota(chosen.rbegin(), chosen.rend(), 0);
      fit.set_data(x.data(), y.data(), weights.data(), chosen.data(), count, 64);
      const auto loss = [&](std::int64_t d, const std::vector<T>& factor) {
        fit.put(CpFit<T>::What::parameters, d, factor.data());
        return fit.gradient(2);
      };
      for (std::int64_t d = 0; d < dimension; ++d) loss(d, model.factors[static_cast<std::size_t>(d)]);
      for (std::int64_t d = 0; d < dimension; ++d) {
        CAPTURE(isa);
        CAPTURE(dimension);
        CAPTURE(d);
        const std::vector<T>& factor = model.factors[static_cast<std::size_t>(d)];
        loss(d, factor);
        std::vector<T> gradient(factor.size()), up = factor, down = factor;
        fit.take(CpFit<T>::What::gradient, d, gradient.data());
        double expected = 0.0, size = 0.0;
        for (std::size_t i = 0; i < factor.size(); ++i) {
          const double step = 0.125 * std::cos(double(i));  // the loss is quadratic in each factor: no error of its own
          up[i] = static_cast<T>(static_cast<double>(factor[i]) + step);
          down[i] = static_cast<T>(static_cast<double>(factor[i]) - step);
          expected += static_cast<double>(gradient[i]) * step;
          size += std::abs(static_cast<double>(gradient[i]) * step);
        }
        const double rise = (loss(d, up) - loss(d, down)) / 2.0;
        CHECK(rise == doctest::Approx(expected).epsilon(tolerance<T>()).scale(size));
        loss(d, factor);
      }
    }
  }
}

template <class T>
struct Trained {
  Model<T> model;
  CpFit<T> fit;
  std::vector<double> x, y;

  Trained(std::int64_t count, std::int64_t block)
      : model({make_axis(9, 2, true), make_axis(7, 1)}, 6, 3), fit(model.tables.data(), 2, 6, 0) {
    for (int d = 0; d < 2; ++d) fit.put(CpFit<T>::What::parameters, d, model.pointers[d]);
    x = random_points<double>(count, 2);
    for (std::int64_t i = 0; i < count; ++i) y.push_back(std::sin(6.0 * x[static_cast<std::size_t>(2 * i)]));
    std::vector<std::int64_t> chosen(y.size());
    std::iota(chosen.begin(), chosen.end(), 0);
    fit.set_data(x.data(), y.data(), nullptr, chosen.data(), count, block);
  }
  double epoch(std::int64_t done, int threads) {
    std::vector<std::int32_t> order(static_cast<std::size_t>(fit.blocks()));
    std::iota(order.begin(), order.end(), 0);
    const std::vector<double> rates((order.size() + 3) / 4, 1e-2);
    return fit.run(order.data(), fit.blocks(), 4, rates.data(), done, {}, threads);
  }
  std::vector<T> factor() {
    std::vector<T> out(model.factors[0].size());
    fit.take(CpFit<T>::What::parameters, 0, out.data());
    return out;
  }
};

TEST_CASE_TEMPLATE("Adam lowers the loss, with the same bits every time", T, float, double) {
  Trained<T> first(1000, 64), second(1000, 64), threaded(1000, 64);
  const double before = first.fit.gradient(1);
  for (std::int64_t e = 0; e < 60; ++e) {
    first.epoch(4 * e, 1);
    second.epoch(4 * e, 1);
    threaded.epoch(4 * e, 2);
  }
  CHECK(first.fit.gradient(1) < 0.05 * before);
  CHECK(first.factor() == second.factor());
  CHECK(threaded.fit.gradient(1) == doctest::Approx(first.fit.gradient(1)).epsilon(1e-2));
}

}  // namespace
}  // namespace inntd::testing
