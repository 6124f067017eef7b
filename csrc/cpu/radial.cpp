// Radial point interpolation on a patch: [W, .] = [R(x), P(x)] [[R, P], [P^T, 0]]^-1.
//
// Flat kernels make the moment matrix nearly singular, and W a small difference of huge terms: everything up to the
// final coefficients has twice the digits of long double. The cubic spline is a polynomial between its knots; the
// Gaussian is its Taylor series, economised afterwards to the lowest degree that keeps all digits.
#include <algorithm>
#include <cmath>
#include <limits>

#include "element_basis.hpp"

namespace inntd {
namespace {

using Wide = WideDouble;
using Polynomial = std::vector<Wide>;
using Matrix = std::vector<Polynomial>;

constexpr double knot_tolerance = 1e-9;  // splines are C2: to ignore a knot this close to another changes nothing
constexpr double widest_gaussian_piece = 0.25;  // half-length over dilation, for a short Taylor series
constexpr std::size_t most_terms = 40;

Wide linear_at(Wide constant, Wide slope, Wide x) { return constant + slope * x; }

// sum of coefficients[q] (constant + slope eta)^q, as a polynomial in eta.
Polynomial compose(const Polynomial& coefficients, Wide constant, Wide slope) {
  Polynomial out(coefficients.size());
  for (std::size_t q = coefficients.size(); q-- > 0;) {
    for (std::size_t i = out.size() - 1; i > 0; --i) out[i] = linear_at(constant * out[i], slope, out[i - 1]);
    out[0] = linear_at(coefficients[q], constant, out[0]);
  }
  return out;
}

// Solves in place by Gauss-Jordan elimination with row pivoting; returns the inverse, empty when singular.
Matrix inverse(Matrix a) {
  const std::size_t n = a.size();
  Matrix b(n, Polynomial(n));
  for (std::size_t i = 0; i < n; ++i) b[i][i] = 1.0;
  for (std::size_t k = 0; k < n; ++k) {
    std::size_t pivot = k;
    for (std::size_t i = k + 1; i < n; ++i) {
      if (abs(a[pivot][k]) < abs(a[i][k])) pivot = i;
    }
    if (!(std::abs(a[pivot][k].high) > 0.0)) return {};
    std::swap(a[k], a[pivot]);
    std::swap(b[k], b[pivot]);
    const Wide scale = Wide(1.0) / a[k][k];
    for (std::size_t j = 0; j < n; ++j) {
      a[k][j] *= scale;
      b[k][j] *= scale;
    }
    for (std::size_t i = 0; i < n; ++i) {
      if (i == k) continue;
      const Wide factor = a[i][k];
      for (std::size_t j = 0; j < n; ++j) {
        a[i][j] -= factor * a[k][j];
        b[i][j] -= factor * b[k][j];
      }
    }
  }
  return b;
}

double one_norm(const Matrix& a) {
  double norm = 0.0;
  for (std::size_t j = 0; j < a.size(); ++j) {
    double sum = 0.0;
    for (const Polynomial& row : a) sum += std::abs(static_cast<double>(row[j]));
    norm = std::max(norm, sum);
  }
  return norm;
}

// Polynomials in r on the spline's two intervals [0, 1/2] and [1/2, 1].
const Polynomial spline_inside = {Wide(2.0) / Wide(3.0), 0.0, -4.0, 4.0};
const Polynomial spline_outside = {Wide(4.0) / Wide(3.0), -4.0, 4.0, Wide(-4.0) / Wide(3.0)};

// The kernel around one node as a polynomial in eta, where r = |offset + slope eta| and r has no knot in [-1, 1].
Polynomial spline_piece(Wide offset, Wide slope) {
  if (offset.high < 0.0) return spline_piece(-offset, -slope);
  if (offset.high >= 1.0) return Polynomial(4);
  return compose(offset.high < 0.5 ? spline_inside : spline_outside, offset, slope);
}

// Taylor series of exp(-(offset + slope eta)^2), by the recurrence of its derivatives.
Polynomial gaussian_piece(Wide offset, Wide slope, std::size_t terms) {
  Polynomial f(terms);
  f[0] = exp(-(offset * offset));
  for (std::size_t n = 0; n + 1 < terms; ++n) {
    const Wide below = n > 0 ? slope * f[n - 1] : Wide(0.0);
    f[n + 1] = Wide(-2.0) * slope * (offset * f[n] + below) / Wide(static_cast<long double>(n + 1));
  }
  return f;
}

// The interpolation functions of one patch.
class RadialPatch {
 public:
  RadialPatch(const ElementShape& shape, const Patch& patch, PatchKernel kernel)
      : patch_(patch), kernel_(kernel), order_(std::min(patch.p, patch.count - 1)) {
    const auto begin = shape.positions.begin() + patch.begin;
    for (auto it = begin; it != begin + patch.count; ++it) positions_.push_back(Wide::from(*it));
    const Wide span = positions_.back() - positions_.front();
    reach_ = Wide(patch.a) * span / Wide(patch.count - 1);
    middle_ = (positions_.front() + positions_.back()) * Wide(0.5);
    half_ = span * Wide(0.5);
    solve();
  }

  double condition() const { return condition_; }

  // Adds the places inside the element (-1, 1) where one polynomial is not enough.
  void add_knots(std::vector<double>& knots) const {
    if (kernel_ == PatchKernel::cubic) {
      for (const Wide& position : positions_) {
        for (double r : {-1.0, -0.5, 0.5, 1.0}) knots.push_back(static_cast<double>(position + Wide(r) * reach_));
      }
      return;
    }
    const int parts = static_cast<int>(std::ceil(1.0 / (widest_gaussian_piece * static_cast<double>(reach_))));
    for (int i = 1; i < parts; ++i) knots.push_back(-1.0 + 2.0 * i / parts);
  }

  // Adds hat(xi) W^(k)(xi) to the window's functions, on the piece xi = centre + half eta.
  void add_piece(Wide centre, Wide half, double hat_slope, Matrix& sum) const {
    const Matrix basis = kernels_on(centre, half);
    const Wide hat_centre = Wide(0.5) + Wide(hat_slope) * centre;
    const Wide hat_half = Wide(hat_slope) * half;
    for (int k = 0; k < patch_.count; ++k) {
      Polynomial w(most_terms);
      for (std::size_t l = 0; l < basis.size(); ++l) {
        const Wide factor = solution_[l][static_cast<std::size_t>(k)];
        for (std::size_t q = 0; q < basis[l].size(); ++q) w[q] += factor * basis[l][q];
      }
      const std::size_t column = static_cast<std::size_t>(patch_.begin + k);
      for (std::size_t q = 0; q < most_terms; ++q) {
        sum[q][column] += hat_centre * w[q];
        sum[q + 1][column] += hat_half * w[q];
      }
    }
  }

 private:
  // Values of the kernel around node l, or of a power of the patch's coordinate, as functions on a piece.
  Matrix kernels_on(Wide centre, Wide half) const {
    Matrix basis;
    const Wide slope = half / reach_;
    for (const Wide& position : positions_) {
      const Wide offset = (centre - position) / reach_;
      basis.push_back(kernel_ == PatchKernel::cubic ? spline_piece(offset, slope)
                                                    : gaussian_piece(offset, slope, terms(static_cast<double>(slope))));
    }
    for (int q = 0; q <= order_; ++q) {
      Polynomial power(static_cast<std::size_t>(q) + 1);
      power.back() = 1.0;
      basis.push_back(compose(power, (centre - middle_) / half_, half / half_));
    }
    return basis;
  }

  // Terms of the Taylor series after which nothing is left, even when multiplied by the largest weight. The n-th
  // coefficient of exp(-(u + v eta)^2) is below 1.1 (sqrt(2) v)^n / sqrt(n!) (Cramer's inequality).
  std::size_t terms(double v) const {
    double bound = 2.0 * largest_weight_;
    std::size_t n = 0;
    while (n + 1 < most_terms && bound > 1e-22) bound *= std::sqrt(2.0) * v / std::sqrt(static_cast<double>(++n));
    return n + 1;
  }

  Wide kernel_value(Wide r) const {
    r = abs(r);
    if (kernel_ == PatchKernel::cubic) return spline_piece(r, 0.0)[0];
    return exp(-(r * r));
  }

  void solve() {
    const std::size_t count = positions_.size(), rows = count + static_cast<std::size_t>(order_) + 1;
    Matrix moments(rows, Polynomial(rows));
    for (std::size_t i = 0; i < count; ++i) {
      for (std::size_t j = 0; j < count; ++j) moments[i][j] = kernel_value((positions_[i] - positions_[j]) / reach_);
      Wide power = 1.0;
      for (std::size_t q = count; q < rows; ++q) {
        moments[i][q] = moments[q][i] = power;
        power *= (positions_[i] - middle_) / half_;
      }
    }
    solution_ = inverse(moments);
    if (solution_.empty()) {
      solution_.assign(rows, Polynomial(rows));
      condition_ = std::numeric_limits<double>::infinity();
      return;
    }
    condition_ = one_norm(moments) * one_norm(solution_);
    for (const Polynomial& row : solution_) {
      for (const Wide& value : row) largest_weight_ = std::max(largest_weight_, std::abs(static_cast<double>(value)));
    }
  }

  Patch patch_;
  PatchKernel kernel_;
  int order_;
  Polynomial positions_;
  Wide reach_, middle_, half_;  // dilation times mean spacing; centre and half-length of the patch
  Matrix solution_;             // [l][k]: weight of kernel or power l in W^(k)
  double condition_ = 1.0;
  double largest_weight_ = 1.0;
};

// Polynomial in the monomials to Chebyshev series, by Horner's rule: x T_k = (T_{k+1} + T_{|k-1|}) / 2.
Polynomial to_chebyshev(const Polynomial& a) {
  const std::size_t n = a.size();
  Polynomial c(n + 1), next(n + 1);
  for (std::size_t q = n; q-- > 0;) {
    std::fill(next.begin(), next.end(), Wide(0.0));
    next[0] = a[q];
    next[1] += c[0];
    for (std::size_t k = 1; k < n; ++k) {
      const Wide half = Wide(0.5) * c[k];
      next[k + 1] += half;
      next[k - 1] += half;
    }
    std::swap(c, next);
  }
  c.resize(n);
  return c;
}

// Back, by T_{k+1} = 2 x T_k - T_{k-1}.
Polynomial from_chebyshev(const Polynomial& c) {
  const std::size_t n = c.size();
  Polynomial before(n), current(n), next(n), sum(n);
  before[0] = 1.0;
  if (n > 1) current[1] = 1.0;
  sum[0] = c[0];
  for (std::size_t k = 1; k < n; ++k) {
    for (std::size_t q = 0; q <= k; ++q) sum[q] += c[k] * current[q];
    next[0] = -before[0];
    for (std::size_t q = 1; q < n; ++q) next[q] = Wide(2.0) * current[q - 1] - before[q];
    before = current;
    current = next;
  }
  return sum;
}

// Replaces the columns of `rows` (powers, functions) by polynomials of the lowest degree that keeps all digits of
// values and derivatives: the Chebyshev series without its last terms.
void economise(Matrix& rows) {
  const std::size_t powers = rows.size(), functions = rows[0].size();
  Matrix series;
  double scale = 0.0;
  for (std::size_t k = 0; k < functions; ++k) {
    Polynomial column(powers);
    for (std::size_t q = 0; q < powers; ++q) column[q] = rows[q][k];
    series.push_back(to_chebyshev(column));
    for (const Wide& c : series.back()) scale = std::max(scale, std::abs(static_cast<double>(c)));
  }
  std::size_t keep = powers;
  double tail = 0.0;  // of the derivatives too, hence the square
  while (keep > 1) {
    double largest = 0.0;
    for (const Polynomial& c : series) largest = std::max(largest, std::abs(static_cast<double>(c[keep - 1])));
    tail += static_cast<double>(keep * keep) * largest;
    if (tail > 0x1p-54 * scale) break;
    --keep;
  }
  for (std::size_t k = 0; k < functions; ++k) {
    series[k].resize(keep);
    const Polynomial column = from_chebyshev(series[k]);
    for (std::size_t q = 0; q < keep; ++q) rows[q][k] = column[q];
  }
  rows.resize(keep);
}

void drop_zero_powers(Matrix& rows) {
  const auto zero = [](Wide value) { return value.high == 0.0; };
  while (rows.size() > 1 && std::all_of(rows.back().begin(), rows.back().end(), zero)) rows.pop_back();
}

std::vector<double> rounded(const Matrix& rows) {
  std::vector<double> out;
  for (const Polynomial& row : rows) {
    for (const Wide& value : row) out.push_back(static_cast<double>(value));
  }
  return out;
}

std::vector<double> piece_ends(std::vector<double> knots) {
  std::sort(knots.begin(), knots.end());
  std::vector<double> ends = {-1.0};
  for (double knot : knots) {
    if (knot > ends.back() + knot_tolerance && knot < 1.0 - knot_tolerance) ends.push_back(knot);
  }
  ends.push_back(1.0);
  return ends;
}

}  // namespace

ElementBasis radial_element(const ElementShape& shape, PatchKernel kernel) {
  const RadialPatch left(shape, shape.patches[0], kernel), right(shape, shape.patches[1], kernel);
  ElementBasis basis;
  basis.condition[0] = left.condition();
  basis.condition[1] = right.condition();
  std::vector<double> knots;
  left.add_knots(knots);
  right.add_knots(knots);
  const std::vector<double> ends = piece_ends(std::move(knots));
  for (std::size_t i = 0; i + 1 < ends.size(); ++i) {
    PieceBasis piece{ends[i], ends[i + 1], {}};
    Matrix sum(most_terms + 1, Polynomial(shape.positions.size()));
    const Wide centre = (Wide(piece.left) + Wide(piece.right)) * Wide(0.5);
    const Wide half = (Wide(piece.right) - Wide(piece.left)) * Wide(0.5);
    left.add_piece(centre, half, -0.5, sum);
    right.add_piece(centre, half, 0.5, sum);
    drop_zero_powers(sum);
    if (kernel == PatchKernel::gaussian) economise(sum);
    piece.coefficients = rounded(sum);
    basis.pieces.push_back(std::move(piece));
  }
  return basis;
}

}  // namespace inntd
