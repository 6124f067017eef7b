#include <doctest/doctest.h>

#include "compare.hpp"
#include "tucker.hpp"

namespace inntd::testing {
namespace {

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
        compare<T>(model, count);
      }
    }
  }
}

// Axes so long that copying them would not pay, next to short ones.
TEST_CASE_TEMPLATE("Tucker evaluation of few points on long axes", T, float, double) {
  const TuckerModel<T> model({make_axis(900, 3), make_axis(8, 2), make_axis(700, 1, true)}, {5, 6, 3});
  for (const std::string& isa : available_isas()) {
    const WithIsa chosen(isa);
    for (const std::int64_t count : {1, 3}) compare<T>(model, count);
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
  compare_threads(model, 3001);
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
