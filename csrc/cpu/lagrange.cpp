// Lagrange patches: products of linear factors in the element's own coordinate.
#include <algorithm>
#include <limits>
#include <type_traits>

#include "element_basis.hpp"

namespace inntd {
namespace {

// The x87 format is enough and fast; where long double is no wider than double, double-double stands in.
using Extended = std::conditional_t<(std::numeric_limits<long double>::digits >= 64), long double, DoubleDouble>;

template <class T>
T extend(DoubleDouble value) {
  if constexpr (std::is_same_v<T, DoubleDouble>) {
    return value;
  } else {
    return static_cast<T>(value.high) + static_cast<T>(value.low);
  }
}

// Multiplies the polynomial, given by `count` coefficients in a row of room for one more, by (shift + slope xi).
void multiply_linear(Extended* polynomial, int count, Extended shift, Extended slope) {
  polynomial[count] = slope * polynomial[count - 1];
  for (int q = count - 1; q > 0; --q) polynomial[q] = shift * polynomial[q] + slope * polynomial[q - 1];
  polynomial[0] = shift * polynomial[0];
}

// Adds hat(xi) * W^(k)(xi) of one patch to the window's functions: sum (powers, width).
void add_patch(const std::vector<Extended>& positions, const Patch& patch, Extended hat_slope,
               std::vector<Extended>& sum) {
  const std::size_t width = positions.size();
  std::vector<Extended> polynomial(static_cast<std::size_t>(patch.count) + 1);
  for (int k = patch.begin; k < patch.begin + patch.count; ++k) {
    polynomial[0] = 1.0;
    int count = 1;
    Extended denominator = 1.0;
    for (int j = patch.begin; j < patch.begin + patch.count; ++j) {
      if (j == k) continue;
      multiply_linear(polynomial.data(), count++, -positions[j], 1.0);
      denominator = denominator * (positions[k] - positions[j]);
    }
    multiply_linear(polynomial.data(), count++, 0.5, hat_slope);
    const Extended scale = Extended(1.0) / denominator;
    Extended* out = sum.data() + k;
    for (int q = 0; q < count; ++q, out += width) *out = *out + polynomial[q] * scale;
  }
}

}  // namespace

ElementBasis lagrange_element(const ElementShape& shape) {
  std::vector<Extended> positions;
  positions.reserve(shape.positions.size());
  for (const DoubleDouble& position : shape.positions) positions.push_back(extend<Extended>(position));
  const int largest = std::max(shape.patches[0].count, shape.patches[1].count);
  std::vector<Extended> sum((static_cast<std::size_t>(largest) + 1) * positions.size());
  add_patch(positions, shape.patches[0], -0.5, sum);
  add_patch(positions, shape.patches[1], 0.5, sum);

  ElementBasis basis;
  basis.pieces.resize(1);
  std::vector<double>& coefficients = basis.pieces[0].coefficients;
  coefficients.reserve(sum.size());
  for (const Extended& value : sum) coefficients.push_back(static_cast<double>(value));
  return basis;
}

}  // namespace inntd
