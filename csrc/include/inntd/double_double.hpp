// Arithmetic with about 32 digits: an unevaluated sum of two doubles (Dekker 1971, Knuth's TwoSum; the error bounds
// are those of Joldes, Muller and Popescu 2017). Portable: no fused operation and no wide long double is needed.
#pragma once

#ifdef __FAST_MATH__
#error "double-double arithmetic needs strict IEEE semantics: do not compile it with -ffast-math"
#endif

#include <cmath>

namespace inntd {

struct DoubleDouble {
  double high = 0.0;
  double low = 0.0;

  constexpr DoubleDouble() = default;
  constexpr DoubleDouble(double value) : high(value) {}  // NOLINT: implicit on purpose, a double is one
  constexpr DoubleDouble(double h, double l) : high(h), low(l) {}
  explicit constexpr operator double() const { return high + low; }
};

// Spacing of the numbers around 1 is below 2^-104; errors of single operations stay within a few of these.
inline constexpr double double_double_epsilon = 0x1p-104;

namespace detail {

// high + low = a + b exactly.
inline DoubleDouble two_sum(double a, double b) {
  const double sum = a + b;
  const double part = sum - a;
  return {sum, (a - (sum - part)) + (b - part)};
}

// The same when |a| >= |b|.
inline DoubleDouble quick_two_sum(double a, double b) {
  const double sum = a + b;
  return {sum, b - (sum - a)};
}

// high + low = a b exactly, by splitting both factors into halves of 26 bits.
inline DoubleDouble two_product(double a, double b) {
  constexpr double splitter = 134217729.0;  // 2^27 + 1
  const double ta = splitter * a, tb = splitter * b;
  const double ah = ta - (ta - a), al = a - ah;
  const double bh = tb - (tb - b), bl = b - bh;
  const double product = a * b;
  return {product, ((ah * bh - product) + ah * bl + al * bh) + al * bl};
}

}  // namespace detail

inline DoubleDouble operator-(DoubleDouble a) { return {-a.high, -a.low}; }

inline DoubleDouble operator+(DoubleDouble a, DoubleDouble b) {
  DoubleDouble high = detail::two_sum(a.high, b.high);
  const DoubleDouble low = detail::two_sum(a.low, b.low);
  high = detail::quick_two_sum(high.high, high.low + low.high);
  return detail::quick_two_sum(high.high, high.low + low.low);
}

inline DoubleDouble operator-(DoubleDouble a, DoubleDouble b) { return a + (-b); }

inline DoubleDouble operator*(DoubleDouble a, DoubleDouble b) {
  const DoubleDouble product = detail::two_product(a.high, b.high);
  return detail::quick_two_sum(product.high, product.low + (a.high * b.low + a.low * b.high));
}

inline DoubleDouble operator/(DoubleDouble a, DoubleDouble b) {
  const double first = a.high / b.high;
  DoubleDouble rest = a - b * DoubleDouble(first);
  const double second = rest.high / b.high;
  rest = rest - b * DoubleDouble(second);
  return detail::quick_two_sum(first, second) + DoubleDouble(rest.high / b.high);
}

inline DoubleDouble& operator+=(DoubleDouble& a, DoubleDouble b) { return a = a + b; }
inline DoubleDouble& operator-=(DoubleDouble& a, DoubleDouble b) { return a = a - b; }
inline DoubleDouble& operator*=(DoubleDouble& a, DoubleDouble b) { return a = a * b; }
inline bool operator<(DoubleDouble a, DoubleDouble b) { return a.high < b.high || (a.high == b.high && a.low < b.low); }

inline DoubleDouble abs(DoubleDouble a) { return a.high < 0.0 || (a.high == 0.0 && a.low < 0.0) ? -a : a; }

// exp(x): x = k log 2 + 256 r, |r| < 0.0014, a short Taylor series for exp(r) - 1, eight squarings.
inline DoubleDouble exp(DoubleDouble x) {
  constexpr DoubleDouble log2{0x1.62e42fefa39efp-1, 0x1.abc9e3b39803fp-56};
  if (x.high < -745.0) return 0.0;
  const double k = std::floor(x.high / log2.high + 0.5);
  DoubleDouble r = x - log2 * DoubleDouble(k);
  r = {std::ldexp(r.high, -8), std::ldexp(r.low, -8)};
  DoubleDouble term = r, sum = r;  // of exp(r) - 1: squaring exp(r) itself would lose the eight bits again
  for (int n = 2; n < 14; ++n) {
    term = term * r / DoubleDouble(n);
    sum += term;
  }
  for (int i = 0; i < 8; ++i) sum = sum * sum + sum + sum;
  sum += DoubleDouble(1.0);
  return {std::ldexp(sum.high, static_cast<int>(k)), std::ldexp(sum.low, static_cast<int>(k))};
}

}  // namespace inntd
