// Arithmetic with twice the digits of a floating-point type: an unevaluated sum of two numbers (Dekker 1971, Knuth's
// TwoSum; error bounds in Joldes, Muller and Popescu 2017). Portable: no fused operation is needed.
#pragma once

#ifdef __FAST_MATH__
#error "double-double arithmetic needs strict IEEE semantics: do not compile it with -ffast-math"
#endif

#include <cmath>
#include <limits>

namespace inntd {

template <class Base>
struct Twofold {
  Base high = 0;
  Base low = 0;

  // Errors of single operations stay within a few of these, relative to the result.
  static constexpr Base epsilon = std::numeric_limits<Base>::epsilon() * std::numeric_limits<Base>::epsilon();

  constexpr Twofold() = default;
  constexpr Twofold(Base value) : high(value) {}  // implicit on purpose: a Base is one
  constexpr Twofold(Base h, Base l) : high(h), low(l) {}
  explicit constexpr operator double() const { return static_cast<double>(high + low); }

  // From or to another width: exact when widening.
  template <class Other>
  static Twofold from(const Twofold<Other>& x) {
    if constexpr (std::numeric_limits<Other>::digits <= std::numeric_limits<Base>::digits) {
      return Twofold(static_cast<Base>(x.high)) + Twofold(static_cast<Base>(x.low));
    } else {
      const Base first = static_cast<Base>(x.high);
      const Other rest = (x.high - static_cast<Other>(first)) + x.low;
      return Twofold(first) + Twofold(static_cast<Base>(rest));
    }
  }
};

using DoubleDouble = Twofold<double>;     // 106 bits
using WideDouble = Twofold<long double>;  // 128 bits on x86, 226 where long double is a quadruple, 106 elsewhere

namespace detail {

// high + low = a + b exactly.
template <class Base>
Twofold<Base> two_sum(Base a, Base b) {
  const Base sum = a + b;
  const Base part = sum - a;
  return {sum, (a - (sum - part)) + (b - part)};
}

// The same when |a| >= |b|.
template <class Base>
Twofold<Base> quick_two_sum(Base a, Base b) {
  const Base sum = a + b;
  return {sum, b - (sum - a)};
}

// high + low = a b exactly, by splitting both factors into halves.
template <class Base>
Twofold<Base> two_product(Base a, Base b) {
  constexpr int half = (std::numeric_limits<Base>::digits + 1) / 2;
  constexpr Base splitter = static_cast<Base>(1ULL << (half / 2)) * static_cast<Base>(1ULL << (half - half / 2)) + 1;
  const Base ta = splitter * a, tb = splitter * b;
  const Base ah = ta - (ta - a), al = a - ah;
  const Base bh = tb - (tb - b), bl = b - bh;
  const Base product = a * b;
  return {product, ((ah * bh - product) + ah * bl + al * bh) + al * bl};
}

}  // namespace detail

template <class Base>
Twofold<Base> operator-(Twofold<Base> a) {
  return {-a.high, -a.low};
}

template <class Base>
Twofold<Base> operator+(Twofold<Base> a, Twofold<Base> b) {
  Twofold<Base> high = detail::two_sum(a.high, b.high);
  const Twofold<Base> low = detail::two_sum(a.low, b.low);
  high = detail::quick_two_sum(high.high, high.low + low.high);
  return detail::quick_two_sum(high.high, high.low + low.low);
}

template <class Base>
Twofold<Base> operator-(Twofold<Base> a, Twofold<Base> b) {
  return a + (-b);
}

template <class Base>
Twofold<Base> operator*(Twofold<Base> a, Twofold<Base> b) {
  const Twofold<Base> product = detail::two_product(a.high, b.high);
  return detail::quick_two_sum(product.high, product.low + (a.high * b.low + a.low * b.high));
}

template <class Base>
Twofold<Base> operator/(Twofold<Base> a, Twofold<Base> b) {
  const Base first = a.high / b.high;
  Twofold<Base> rest = a - b * Twofold<Base>(first);
  const Base second = rest.high / b.high;
  rest = rest - b * Twofold<Base>(second);
  return detail::quick_two_sum(first, second) + Twofold<Base>(rest.high / b.high);
}

template <class Base>
Twofold<Base>& operator+=(Twofold<Base>& a, Twofold<Base> b) {
  return a = a + b;
}

template <class Base>
Twofold<Base>& operator-=(Twofold<Base>& a, Twofold<Base> b) {
  return a = a - b;
}

template <class Base>
Twofold<Base>& operator*=(Twofold<Base>& a, Twofold<Base> b) {
  return a = a * b;
}

template <class Base>
bool operator<(Twofold<Base> a, Twofold<Base> b) {
  return a.high < b.high || (a.high == b.high && a.low < b.low);
}

template <class Base>
Twofold<Base> abs(Twofold<Base> a) {
  return a.high < 0 || (a.high == 0 && a.low < 0) ? -a : a;
}

// exp(x): x = k log 2 + 256 r, |r| < 0.0014, a short Taylor series for exp(r) - 1, eight squarings.
template <class Base>
Twofold<Base> exp(Twofold<Base> x) {
  using T = Twofold<Base>;
  constexpr double log2[4] = {0x1.62e42fefa39efp-1, 0x1.abc9e3b39803fp-56, 0x1.7b57a079a1934p-111,
                              -0x1.ace93a4ebe5d1p-165};
  if (x.high < -700) return T(Base(0));
  T sum = T(Base(log2[3])) + T(Base(log2[2])) + T(Base(log2[1])) + T(Base(log2[0]));
  const Base k = std::floor(x.high / sum.high + Base(0.5));
  T r = x - sum * T(k);
  r = {std::ldexp(r.high, -8), std::ldexp(r.low, -8)};
  T term = r;  // of exp(r) - 1: squaring exp(r) itself would lose the eight bits again
  sum = r;
  for (int n = 2; std::abs(term.high) > T::epsilon * std::abs(r.high); ++n) {
    term = term * r / T(Base(n));
    sum += term;
  }
  for (int i = 0; i < 8; ++i) sum = sum * sum + sum + sum;
  sum += T(Base(1));
  return {std::ldexp(sum.high, static_cast<int>(k)), std::ldexp(sum.low, static_cast<int>(k))};
}

}  // namespace inntd
