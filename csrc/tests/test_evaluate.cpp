#include <doctest/doctest.h>

#include "compare.hpp"

namespace inntd::testing {
namespace {

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
        compare<T>(model, count);
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
    compare<T>(Model<T>(axes, 20), 5000);
  }
}

TEST_CASE("threads do not change a bit") {
  const Model<float> model({make_axis(12, 3), make_axis(30, 0, true), make_axis(8, 1)}, 19);
  compare_threads(model, 3001);
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
