#include <doctest/doctest.h>

#include <limits>

#include "tucker.hpp"

namespace inntd::testing {
namespace {

template <class T>
void compare(const TuckerModel<T>& model, std::int64_t count) {
  const std::int64_t dimension = model.dimension();
  const auto x = model.points(count);
  std::vector<T> values(count), again(count), gradient(count * dimension), second(count * dimension);
  tucker_values(model.view(), x.data(), count, values.data(), 1);
  tucker_jet(model.view(), x.data(), count, again.data(), gradient.data(), second.data(), 1);
  const double tolerance = 3000 * static_cast<double>(std::numeric_limits<T>::epsilon());
  for (std::int64_t i = 0; i < count; i += 1 + count / 20) {
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

// Ranks below, at and above vectors, groups of rows, and what one group of axes holds.
TEST_CASE_TEMPLATE("Tucker evaluation agrees with plain sums", T, float, double) {
  const std::vector<std::vector<std::int64_t>> cases = {{1},
                                                        {7},
                                                        {70},
                                                        {3, 5},
                                                        {1, 1},
                                                        {80, 3},
                                                        {3, 80},
                                                        {2, 3, 4},
                                                        {17, 9, 5},
                                                        {9, 9, 9},
                                                        {1, 6, 1, 2},
                                                        {4, 4, 4, 4, 4},
                                                        {2, 3, 1, 2, 5, 3, 2}};
  for (const std::string& isa : available_isas()) {
    const WithIsa chosen(isa);
    for (const auto& ranks : cases) {
      std::vector<Axis> axes;
      for (std::size_t d = 0; d < ranks.size(); ++d) {
        axes.push_back(make_axis(9 + static_cast<int>(d), static_cast<int>(d % 4), d % 3 == 1, d % 3 == 2 ? 1.5 : 1.0));
      }
      const TuckerModel<T> model(axes, ranks);
      for (const std::int64_t count : {1, 2, 33, 64, 65, 200}) {
        CAPTURE(isa);
        CAPTURE(ranks.size());
        CAPTURE(count);
        compare(model, count);
      }
    }
  }
}

// Axes so long that copying them would not pay, next to short ones.
TEST_CASE_TEMPLATE("Tucker evaluation of few points on long axes", T, float, double) {
  const TuckerModel<T> model({make_axis(900, 3), make_axis(8, 2), make_axis(700, 1, true)}, {5, 6, 3});
  for (const std::string& isa : available_isas()) {
    const WithIsa chosen(isa);
    for (const std::int64_t count : {1, 3}) compare(model, count);
  }
}

// A point's value does not depend on its place among others: lanes are independent, and the last block is filled up.
TEST_CASE_TEMPLATE("Tucker points do not see each other", T, float, double) {
  const TuckerModel<T> model({make_axis(12, 3), make_axis(7, 1), make_axis(8, 2)}, {5, 6, 3});
  const std::int64_t count = 300;
  const auto x = model.points(count);
  std::vector<T> all(count), tail(count);
  for (const std::string& isa : available_isas()) {
    const WithIsa chosen(isa);
    tucker_values(model.view(), x.data(), count, all.data(), 1);
    tucker_values(model.view(), x.data() + 3 * 101, count - 101, tail.data() + 101, 1);
    for (std::int64_t i = 101; i < count; ++i) CHECK(all[i] == tail[i]);
  }
}

TEST_CASE("Tucker: threads do not change a bit") {
  const TuckerModel<float> model({make_axis(12, 3), make_axis(30, 0, true), make_axis(8, 1)}, {19, 4, 10});
  const std::int64_t count = 3001, dimension = 3;
  const auto x = model.points(count);
  std::vector<float> values[2], gradient[2], second[2];
  for (const std::string& isa : available_isas()) {
    const WithIsa chosen(isa);
    for (int run = 0; run < 2; ++run) {
      values[run].assign(count, 0);
      gradient[run].assign(count * dimension, 0);
      second[run].assign(count * dimension, 0);
      tucker_jet(model.view(), x.data(), count, values[run].data(), gradient[run].data(), second[run].data(),
                 1 + 2 * run);
    }
    CHECK(values[0] == values[1]);
    CHECK(gradient[0] == gradient[1]);
    CHECK(second[0] == second[1]);
  }
}

TEST_CASE("Tucker: nothing needs alignment, outputs are not overrun, no points are no work") {
  const TuckerModel<float> model({make_axis(6, 1), make_axis(6, 1)}, {16, 3});
  const auto shifted = [](const float* source, std::size_t size) {
    std::vector<float> copy(size + 1);
    std::copy_n(source, size, copy.begin() + 1);
    return copy;
  };
  const auto core = shifted(model.core.data(), model.core.size());
  const auto first = shifted(model.factors[0], static_cast<std::size_t>(model.tables[0].size * 16));
  const float* factors[] = {first.data() + 1, model.factors[1]};
  TuckerView<float> view = model.view();
  const std::int64_t count = 1000;
  const auto x = model.points(count);
  std::vector<float> expected(count), found(count + 1, -7.0f);
  tucker_values(view, x.data(), count, expected.data(), 1);
  view.core = core.data() + 1;
  view.factors = factors;
  tucker_values(view, x.data(), count, found.data(), 1);
  CHECK(found.back() == -7.0f);
  found.pop_back();
  CHECK(found == expected);
  tucker_values<float>(view, nullptr, 0, nullptr, 1);
}

}  // namespace
}  // namespace inntd::testing
