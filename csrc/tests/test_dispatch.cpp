#include <doctest/doctest.h>

#include <cstdlib>
#include <stdexcept>

#include "tables.hpp"

namespace inntd::testing {
namespace {

TEST_CASE("the baseline is always there, and every set on offer can be chosen") {
  const auto names = available_isas();
  REQUIRE(!names.empty());
  CHECK(names.front() == "base");
  for (const std::string& name : names) {
    const WithIsa chosen(name);
    CHECK(kernels().name == name);
  }
}

TEST_CASE("the environment chooses the instruction set, else the best one is taken") {
  const char* wish = std::getenv("INNTD_ISA");
  CHECK(kernels().name == (wish != nullptr ? wish : available_isas().back()));
}

TEST_CASE("an unknown instruction set is refused and nothing changes") {
  const std::string before = kernels().name;
  CHECK_THROWS_AS(select_isa("v9"), std::invalid_argument);
  CHECK_THROWS_WITH(select_isa(""), doctest::Contains("must be one of base"));
  CHECK(kernels().name == before);
}

TEST_CASE("instruction sets agree to round-off") {
  const Model<double> model({make_axis(12, 3), make_axis(9, 2, true), make_axis(10, 0, false, 2.0)}, 21);
  const std::int64_t count = 777;
  const auto x = model.points(count);
  std::vector<double> base(count), other(count);
  {
    const WithIsa chosen("base");
    cp_values(model.view(), x.data(), count, base.data(), 1);
  }
  for (const std::string& name : available_isas()) {
    const WithIsa chosen(name);
    cp_values(model.view(), x.data(), count, other.data(), 1);
    for (std::int64_t i = 0; i < count; ++i) CHECK(other[i] == doctest::Approx(base[i]).epsilon(1e-12).scale(10.0));
  }
}

}  // namespace
}  // namespace inntd::testing
