#include <doctest/doctest.h>

#include <random>

#include "inntd/double_double.hpp"

namespace inntd::testing {
namespace {

// Compared with e = 2.718281828459045235360287471352662497757247093699959574966967628, split into doubles.
constexpr double euler[4] = {0x1.5bf0a8b145769p+1, 0x1.4d57ee2b1013ap-53, -0x1.618713a31d3e2p-109,
                             0x1.c5a6d2b53c26dp-163};

TEST_CASE_TEMPLATE("sums, products and quotients undo each other", T, DoubleDouble, WideDouble) {
  using Base = decltype(T::high);
  std::mt19937 random(1);
  std::uniform_real_distribution<double> draw(-1.0, 1.0);
  for (int i = 0; i < 1000; ++i) {
    const T a = T(Base(draw(random))) + T(Base(1e-17 * draw(random)));
    const T b = T(Base(draw(random))) + T(Base(1e-17 * draw(random)));
    const auto size = [](T x) { return static_cast<double>(std::abs(x.high)); };
    const double epsilon = static_cast<double>(T::epsilon);
    CHECK(size((a + b) - b - a) <= 8 * epsilon * (size(a) + size(b)));
    CHECK(size(a * b / b - a) <= 32 * epsilon * size(a));
    CHECK(size((a + b) * (a - b) - (a * a - b * b)) <= 32 * epsilon * (size(a * a) + size(b * b)));
  }
}

TEST_CASE_TEMPLATE("products of two numbers are exact", T, double, long double) {
  const T a = T(1) + std::numeric_limits<T>::epsilon(), b = T(1) - std::numeric_limits<T>::epsilon();
  const Twofold<T> product = detail::two_product(a, b);
  CHECK(product.high == T(1));
  CHECK(product.low == -std::numeric_limits<T>::epsilon() * std::numeric_limits<T>::epsilon());
}

TEST_CASE_TEMPLATE("exp is right in all digits", T, DoubleDouble, WideDouble) {
  using Base = decltype(T::high);
  T e = T(Base(euler[3])) + T(Base(euler[2])) + T(Base(euler[1])) + T(Base(euler[0]));
  const double epsilon = static_cast<double>(T::epsilon);
  const auto distance = [](T x) { return static_cast<double>(std::abs(x.high)); };
  CHECK(distance(exp(T(Base(1))) - e) <= 64 * epsilon * 2.7);
  CHECK(distance(exp(T(Base(-1))) * e - T(Base(1))) <= 128 * epsilon);
  T power = T(Base(1));
  for (int i = 0; i < 40; ++i) power *= e;
  CHECK(distance(exp(T(Base(40))) / power - T(Base(1))) <= 2000 * epsilon);
  CHECK(exp(T(Base(0))).high == 1);
  CHECK(exp(T(Base(-1e6))).high == 0);
}

TEST_CASE("numbers change their width without loss") {
  const DoubleDouble x(1.0, 0x1p-90);
  const DoubleDouble back = DoubleDouble::from(WideDouble::from(x));
  CHECK(back.high == x.high);
  CHECK(back.low == x.low);
}

}  // namespace
}  // namespace inntd::testing
