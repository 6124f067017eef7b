#include <doctest/doctest.h>

#include <limits>

#include "tables.hpp"

namespace inntd::testing {
namespace {

template <class T>
void compare(const Model<T>& model, std::int64_t count) {
  const std::int64_t dimension = model.dimension();
  const auto x = model.points(count);
  std::vector<T> values(count), again(count), gradient(count * dimension), second(count * dimension);
  cp_values(model.view(), x.data(), count, values.data(), 1);
  cp_jet(model.view(), x.data(), count, again.data(), gradient.data(), second.data(), 1);
  // Derivatives of polynomials of degree 2 s + 1 in xi amplify round-off by the square of the degree each.
  const double tolerance = 3000 * static_cast<double>(std::numeric_limits<T>::epsilon());
  for (std::int64_t i = 0; i < count; i += 1 + count / 40) {
    double scale;
    const T* point = x.data() + i * dimension;
    const double value = model.value(point, -1, 0, &scale);
    CHECK(std::abs(values[i] - value) <= tolerance * (scale + 1e-3));
    CHECK(std::abs(again[i] - value) <= tolerance * (scale + 1e-3));
    for (std::int64_t d = 0; d < dimension; ++d) {
      const double step = 1.0 / static_cast<double>(model.axes[d].stencil.first.size());
      const double slope = model.value(point, d, 1, &scale);
      CHECK(std::abs(gradient[i * dimension + d] - slope) <= tolerance * (scale + 1 / step));
      const double bend = model.value(point, d, 2, &scale);
      CHECK(std::abs(second[i * dimension + d] - bend) <= tolerance * (scale + 1 / (step * step)));
    }
  }
}

// Modes below, at and above whole cache lines and groups of vectors.
TEST_CASE_TEMPLATE("evaluation agrees with plain sums", T, float, double) {
  for (const std::string& isa : available_isas()) {
    const WithIsa chosen(isa);
    for (const std::int64_t modes : {1, 16, 60, 129}) {
      const Model<T> model({make_axis(12, 4), make_axis(11, 1, true), make_axis(10, 0), make_axis(9, 2, false, 1.5)},
                           modes);
      for (const std::int64_t count : {1, 63, 64, 65, 300}) {
        CAPTURE(isa);
        CAPTURE(modes);
        CAPTURE(count);
        compare(model, count);
      }
    }
  }
}

// Enough points for the plan to prepare both forms: polynomials of degree 4 over 10 functions, and the converse.
TEST_CASE_TEMPLATE("cubic kernels agree with plain sums", T, float, double) {
  const std::vector<Axis> axes = {make_axis(16, 4, false, 1.0, PatchKernel::cubic, 1), make_axis(16, 4)};
  REQUIRE(axes[0].stencil.degree + 1 < axes[0].stencil.width);
  for (const std::string& isa : available_isas()) {
    const WithIsa chosen(isa);
    compare(Model<T>(axes, 20), 5000);
  }
}

TEST_CASE("threads do not change a bit") {
  const Model<float> model({make_axis(12, 3), make_axis(30, 0, true), make_axis(8, 1)}, 19);
  const std::int64_t count = 3001, dimension = 3;
  const auto x = model.points(count);
  std::vector<float> values[2], gradient[2], second[2];
  for (const std::string& isa : available_isas()) {
    const WithIsa chosen(isa);
    for (int run = 0; run < 2; ++run) {
      values[run].assign(count, 0);
      gradient[run].assign(count * dimension, 0);
      second[run].assign(count * dimension, 0);
      cp_jet(model.view(), x.data(), count, values[run].data(), gradient[run].data(), second[run].data(), 1 + 2 * run);
    }
    CHECK(values[0] == values[1]);
    CHECK(gradient[0] == gradient[1]);
    CHECK(second[0] == second[1]);
  }
}

TEST_CASE("factors need no alignment, outputs are not overrun") {
  const Model<float> model({make_axis(6, 1), make_axis(6, 1)}, 16);
  std::vector<float> shifted(model.factors[0].size() + 1);
  std::copy(model.factors[0].begin(), model.factors[0].end(), shifted.begin() + 1);
  const float* pointers[] = {shifted.data() + 1, model.pointers[1]};
  CpView<float> view = model.view();
  const std::int64_t count = 1000;
  const auto x = model.points(count);
  std::vector<float> expected(count), found(count + 1, -7.0f);
  cp_values(view, x.data(), count, expected.data(), 1);
  view.factors = pointers;
  cp_values(view, x.data(), count, found.data(), 1);
  CHECK(found.back() == -7.0f);
  found.pop_back();
  CHECK(found == expected);
}

}  // namespace
}  // namespace inntd::testing
