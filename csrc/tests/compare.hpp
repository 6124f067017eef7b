// What every form of models is held to: plain sums, and the same bits on any number of threads.
#pragma once

#include <doctest/doctest.h>

#include <limits>

#include "tables.hpp"

namespace inntd::testing {

template <class T, class AnyModel>
void compare(const AnyModel& model, std::int64_t count) {
  const std::int64_t dimension = model.dimension();
  const auto x = model.points(count);
  std::vector<T> values(count), again(count), gradient(count * dimension), second(count * dimension);
  model.evaluate(x.data(), count, values.data(), 1);
  model.evaluate_jet(x.data(), count, again.data(), gradient.data(), second.data(), 1);
  // Derivatives of polynomials of degree 2 s + 1 in xi amplify round-off by the square of the degree each.
  const double tolerance = 3000 * static_cast<double>(std::numeric_limits<T>::epsilon());
  for (std::int64_t i = 0; i < count; i += 1 + count / 30) {
    double scale;
    const T* point = x.data() + i * dimension;
    const double value = model.value(point, -1, 0, &scale);
    CHECK(std::abs(values[i] - value) <= tolerance * (scale + 1e-3));
    CHECK(std::abs(again[i] - value) <= tolerance * (scale + 1e-3));
    for (std::int64_t d = 0; d < dimension; ++d) {
      const double step = 1.0 / static_cast<double>(model.tables[d].pieces);
      const double slope = model.value(point, d, 1, &scale);
      CHECK(std::abs(gradient[i * dimension + d] - slope) <= tolerance * (scale + 1 / step));
      const double bend = model.value(point, d, 2, &scale);
      CHECK(std::abs(second[i * dimension + d] - bend) <= tolerance * (scale + 1 / (step * step)));
    }
  }
}

template <class AnyModel>
void compare_threads(const AnyModel& model, std::int64_t count) {
  const auto x = model.points(count);
  decltype(model.points(1)) values[2], gradient[2], second[2];
  for (const std::string& isa : available_isas()) {
    const WithIsa chosen(isa);
    for (int run = 0; run < 2; ++run) {
      values[run].assign(static_cast<std::size_t>(count), 0);
      gradient[run].assign(x.size(), 0);
      second[run].assign(x.size(), 0);
      model.evaluate_jet(x.data(), count, values[run].data(), gradient[run].data(), second[run].data(), 1 + 2 * run);
    }
    CHECK(values[0] == values[1]);
    CHECK(gradient[0] == gradient[1]);
    CHECK(second[0] == second[1]);
  }
}

}  // namespace inntd::testing
