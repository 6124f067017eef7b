// How one axis' block system  sum_j A_j X H_j^T = F  is solved: see alternating.hpp.
#include <algorithm>
#include <cmath>
#include <utility>

#include "inntd/alternating.hpp"
#include "inntd/kernels.hpp"

namespace inntd {
namespace {

// Pivots below this part of their diagonal entry tell that modes are nearly redundant: slower, more accurate ways then.
constexpr double redundant_pivot = 1e-6;
// From here on one factorisation for all nodes of an axis is cheaper than one per node.
constexpr int smallest_pencil = 12;
// Refinement with a mean pencil: how many steps to expect and to allow, the slowest rate worth going on with, and the
// part of the first correction that may be left.
constexpr double expected_steps = 4.0;
constexpr int most_steps = 8;
constexpr double slowest_step = 0.5;
constexpr double step_accuracy = 3e-2;

const DenseKernels<double>& dense() { return kernels().f64.dense; }
const BandedKernels<double>& banded() { return kernels().f64.banded; }

double trace(const double* a, int m) {
  double sum = 0.0;
  for (int i = 0; i < m; ++i) sum += a[i * m + i];
  return sum;
}

// Eigenvalues that are negative by round-off are those of semidefinite matrices. Others may well be negative: a
// parameter of either sign has an indefinite matrix beside a definite one.
double without_round_off(double eigenvalue) { return eigenvalue < 0.0 && eigenvalue > -1e-12 ? 0.0 : eigenvalue; }

void transpose(int m, double* a) {
  for (int i = 0; i < m; ++i) {
    for (int j = 0; j < i; ++j) std::swap(a[i * m + j], a[j * m + i]);
  }
}

}  // namespace

bool Alternating::others_symmetric(int axis) const {
  for (int d = 0; d < axis_count(); ++d) {
    if (d != axis && !system_.axes[d].symmetric) return false;
  }
  return true;
}

bool Alternating::solve_diagonal(const Pencil& pencil, int active, bool symmetric, SweepReport& report) {
  const std::int64_t n = pencil.n;
  const int count = pencil.count();
  const std::size_t square = static_cast<std::size_t>(active) * active;
  if (count <= 2 && active >= smallest_pencil) {
    if (symmetric && solve_symmetric_pencil(pencil, active)) return true;
    if (!symmetric && count == 2 && solve_general_pencil(pencil, active)) return true;
  }
  std::vector<const double*> small(count);
  for (int j = 0; j < count; ++j) small[j] = matrix_work_.data() + j * square;
  auto* failed = reinterpret_cast<bool*>(failed_.data());
  const std::int64_t failures = dense().solve_pencils(n, active, count, pencil.diagonals.data(), small.data(),
                                                      symmetric, solution_.data(), failed, lane_work_.data());
  report.repaired += symmetric ? failures : 0;
  for (std::int64_t i = 0; failures > 0 && i < n; ++i) {
    if (!failed[i]) continue;
    for (std::size_t k = 0; k < square; ++k) {
      double sum = 0.0;
      for (int j = 0; j < count; ++j) sum += pencil.diagonals[j][i] * small[j][k];
      lane_work_[k] = sum;
    }
    if (!dense().solve_general(active, 1, lane_work_.data(), solution_.data() + i * active)) return false;
  }
  return true;
}

// The congruence W^T H_0 W = diag(alpha), W^T H_1 W = diag(beta) of two symmetric small matrices whose weighted sum
// H_0 / scale0 + H_1 / scale1 is positive definite; `pair` false: H_0 alone. W (m, m), alpha (m) and beta (m) lie one
// after the other in pencil_work_. False when the sum is not positive definite, or nearly so and `careful` is off.
bool Alternating::diagonalise_small(int m, bool pair, double scale0, double scale1, bool careful) {
  const std::size_t square = static_cast<std::size_t>(m) * m;
  const double *h0 = matrix_work_.data(), *h1 = h0 + (pair ? square : 0);
  pencil_work_.resize(4 * square + 6 * m);
  double* vectors = pencil_work_.data();
  double* alpha = vectors + square;
  double* beta = alpha + m;
  double* sum = beta + m;
  double* reduced = sum + square;
  for (std::size_t k = 0; k < square; ++k) sum[k] = h0[k] / scale0 + (pair ? h1[k] / scale1 : 0.0);
  double* diagonal = reduced + square;
  for (int i = 0; i < m; ++i) diagonal[i] = sum[i * m + i];
  if (!dense().cholesky(m, sum)) return false;
  bool redundant = false;
  for (int i = 0; i < m; ++i) redundant |= sum[i * m + i] * sum[i * m + i] < redundant_pivot * diagonal[i];
  if (redundant && !careful) return false;
  // reduced = L^-1 h0 / scale0 L^-T, by two triangular substitutions.
  for (std::size_t k = 0; k < square; ++k) reduced[k] = h0[k] / scale0;
  for (int side = 0; side < 2; ++side) {
    for (int i = 0; i < m; ++i) {
      for (int k = 0; k < i; ++k) {
        for (int j = 0; j < m; ++j) reduced[i * m + j] -= sum[i * m + k] * reduced[k * m + j];
      }
      for (int j = 0; j < m; ++j) reduced[i * m + j] /= sum[i * m + i];
    }
    transpose(m, reduced);
  }
  (redundant ? dense().jacobi : dense().eigen)(m, reduced, alpha, vectors, reduced + square);
  // W = L^-T Q.
  for (int i = m - 1; i >= 0; --i) {
    for (int k = i + 1; k < m; ++k) {
      for (int j = 0; j < m; ++j) vectors[i * m + j] -= sum[k * m + i] * vectors[k * m + j];
    }
    for (int j = 0; j < m; ++j) vectors[i * m + j] /= sum[i * m + i];
  }
  for (int p = 0; p < m; ++p) {
    beta[p] = pair ? without_round_off(1.0 - alpha[p]) * scale1 : 0.0;
    alpha[p] = pair ? without_round_off(alpha[p]) * scale0 : scale0;
  }
  return true;
}

// From solution_ to image_ = solution_ W, or back: solution_ = image_ W^T, which leaves W transposed.
void Alternating::rotate(std::int64_t n, int m, bool back) {
  double* vectors = pencil_work_.data();
  if (back) transpose(m, vectors);
  double* from = back ? image_.data() : solution_.data();
  double* to = back ? solution_.data() : image_.data();
  std::fill_n(to, n * m, 0.0);
  dense().multiply_add(n, m, m, from, vectors, nullptr, 1.0, to);
}

// All nodes of a diagonal axis at once, by the congruence: O(m^2) per node instead of O(m^3).
bool Alternating::solve_symmetric_pencil(const Pencil& pencil, int active) {
  const std::size_t square = static_cast<std::size_t>(active) * active;
  const bool pair = pencil.count() == 2;
  const double total =
      trace(matrix_work_.data(), active) + (pair ? pencil.middle * trace(matrix_work_.data() + square, active) : 0.0);
  if (!(total > 0.0) || !diagonalise_small(active, pair, total, pair ? total / pencil.middle : 1.0, false))
    return false;
  const double* alpha = pencil_work_.data() + square;
  const double* beta = alpha + active;
  rotate(pencil.n, active, false);
  for (std::int64_t i = 0; i < pencil.n; ++i) {
    const double d0 = pencil.diagonals[0][i], d1 = pair ? pencil.diagonals[1][i] : 0.0;
    for (int p = 0; p < active; ++p) {
      const double value = d0 * alpha[p] + d1 * beta[p];
      if (!(value > 0.0)) return false;
      image_[i * active + p] /= value;
    }
  }
  rotate(pencil.n, active, true);
  return true;
}

// The same where the small matrices are not symmetric. With B = H_0 + sigma H_1 and B^-1 H_1 = Q T Q^T in Hessenberg
// form, (H_0 + lambda H_1)^-1 = Q (I + (lambda - sigma) T)^-1 Q^T B^-1.
bool Alternating::solve_general_pencil(const Pencil& pencil, int active) {
  const std::size_t m = active, square = m * m;
  const double *h0 = matrix_work_.data(), *h1 = h0 + square;
  pencil_work_.resize(6 * square + 2 * m + pencil.n * (1 + 2 * m));
  double* q = pencil_work_.data();
  double* t = q + square;
  double* b = t + square;
  double* inverse = b + square;  // (m, 2 m): B^-1 [I, H_1]
  double* right = inverse + 2 * square;
  double* householder = right + square;
  double* shifts = householder + 2 * m;
  double* load = shifts + pencil.n;
  double* sum = load + pencil.n * m;
  const double sigma = pencil.middle;
  for (std::size_t k = 0; k < square; ++k) b[k] = h0[k] + sigma * h1[k];
  for (std::size_t i = 0; i < m; ++i) {
    std::fill_n(inverse + i * 2 * m, 2 * m, 0.0);
    inverse[i * 2 * m + i] = 1.0;
    std::copy_n(h1 + i * m, m, inverse + i * 2 * m + m);
  }
  if (!dense().solve_general(active, 2 * active, b, inverse)) return false;
  for (std::size_t i = 0; i < m; ++i) {
    for (std::size_t j = 0; j < m; ++j) b[j * m + i] = inverse[i * 2 * m + j];  // B^-T
    std::copy_n(inverse + i * 2 * m + m, m, t + i * m);
  }
  double largest = 0.0, inverse_largest = 0.0;
  for (std::size_t k = 0; k < square; ++k) {
    largest = std::max(largest, std::abs(h0[k] + sigma * h1[k]));
    inverse_largest = std::max(inverse_largest, std::abs(b[k]));
  }
  if (!(largest * inverse_largest < 1.0 / redundant_pivot)) return false;
  dense().hessenberg(active, t, q, householder);
  std::fill_n(right, square, 0.0);
  dense().multiply_add(active, active, active, b, q, nullptr, 1.0, right);
  for (std::int64_t i = 0; i < pencil.n; ++i) {
    const double scale = 1.0 / pencil.diagonals[0][i];
    shifts[i] = pencil.diagonals[1][i] * scale - sigma;
    for (std::size_t p = 0; p < m; ++p) load[i * m + p] = solution_[i * m + p] * scale;
  }
  transpose(active, q);
  std::fill_n(sum, pencil.n * m, 0.0);
  std::copy_n(load, pencil.n * m, solution_.data());
  // The second turn refines: the explicit inverse costs digits when modes are nearly redundant.
  for (int turn = 0; turn < 2; ++turn) {
    double* rotated = image_.data();
    std::fill_n(rotated, pencil.n * m, 0.0);
    dense().multiply_add(pencil.n, active, active, solution_.data(), right, nullptr, 1.0, rotated);
    dense().solve_shifted(pencil.n, active, t, shifts, rotated, lane_work_.data());
    dense().multiply_add(pencil.n, active, active, rotated, q, nullptr, 1.0, sum);
    if (turn == 1) break;
    // Residual load - sum (H_0^T + lambda H_1^T), with the transposed small matrices in the places of B.
    for (std::size_t i = 0; i < m; ++i) {
      for (std::size_t j = 0; j < m; ++j) b[j * m + i] = h0[i * m + j] + sigma * h1[i * m + j];
    }
    std::copy_n(load, pencil.n * m, solution_.data());
    dense().multiply_add(pencil.n, active, active, sum, b, nullptr, -1.0, solution_.data());
    for (std::size_t i = 0; i < m; ++i) {
      for (std::size_t j = 0; j < m; ++j) b[j * m + i] = h1[i * m + j];
    }
    dense().multiply_add(pencil.n, active, active, sum, b, shifts, -1.0, solution_.data());
  }
  std::copy_n(sum, pencil.n * m, solution_.data());
  return true;
}

// Two banded matrices whose small matrices are symmetric and positive definite: the congruence leaves one banded system
// per mode, so the cost stays linear in n and in the number of modes. The banded matrices themselves need not be
// symmetric: a time axis has the mass matrix and that of the first derivative.
bool Alternating::solve_two_banded(int axis, int active) {
  const AxisSystem& a = system_.axes[axis];
  const std::size_t square = static_cast<std::size_t>(active) * active;
  const bool pair = used(axis) == 2;
  const double scale0 = trace(matrix_work_.data(), active);
  const double scale1 = pair ? trace(matrix_work_.data() + square, active) : 1.0;
  if (!(scale0 > 0.0) || !(scale1 > 0.0) || !diagonalise_small(active, pair, scale0, scale1, true)) return false;
  const double* alpha = pencil_work_.data() + square;
  rotate(a.n, active, false);
  const double* second = a.matrices[pair ? 1 : 0];
  const auto solve_columns = a.symmetric ? banded().solve_columns : banded().solve_columns_general;
  if (solve_columns(a.n, a.half_bandwidth, a.matrices[0], second, active, alpha, alpha + active, image_.data(),
                    banded_work_.data()) < a.n) {
    return false;
  }
  rotate(a.n, active, true);
  return true;
}

// Fills band storage (n active, width), the diagonal at place `block` of each row, with the unknowns ordered node by
// node. The blocks sum_j A_j[i, k] H_j of a few nodes at a time are one matrix product. Values that a condition fixes
// get the equation x = 0.
void Alternating::fill_block_banded(int axis, int begin, int active, int width, double* system) {
  const AxisSystem& a = system_.axes[axis];
  const int b = a.half_bandwidth, diagonals = 2 * b + 1, block = (b + 1) * active - 1, count = used(axis);
  const std::size_t square = static_cast<std::size_t>(active) * active;
  std::fill_n(system, a.n * active * width, 0.0);
  pencil_work_.resize(diagonals * (square + count));
  double* entries = pencil_work_.data();
  double* blocks = entries + diagonals * count;
  const auto fixed = [&](std::int64_t i, int p) {
    return a.fixed != nullptr && a.fixed[i * a.classes + classes_[begin + p]] != 0;
  };
  for (std::int64_t i = 0; i < a.n; ++i) {
    // Symmetric matrices give the block (k, i) with the block (i, k).
    const int first = a.symmetric ? b : 0;
    for (int k = first; k < diagonals; ++k) {
      for (int j = 0; j < count; ++j) entries[k * count + j] = a.matrices[j][i * diagonals + k];
    }
    std::fill_n(blocks, diagonals * square, 0.0);
    dense().multiply_add(diagonals - first, count, static_cast<int>(square), entries + first * count,
                         matrix_work_.data(), nullptr, 1.0, blocks + first * square);
    const auto place = [&](std::int64_t row_node, std::int64_t column_node, const double* h) {
      for (int p = 0; p < active; ++p) {
        const std::int64_t unknown = row_node * active + p;
        double* row = system + unknown * width + block - unknown + column_node * active;
        std::copy_n(h + p * active, active, row);
        for (int q = 0; a.fixed != nullptr && q < active; ++q) {
          if (fixed(row_node, p) || fixed(column_node, q)) row[q] = unknown == column_node * active + q ? 1.0 : 0.0;
        }
      }
    };
    const std::int64_t lowest = std::max<std::int64_t>(0, i - b + first);
    for (std::int64_t k = lowest; k <= std::min<std::int64_t>(a.n - 1, i + b); ++k) {
      place(i, k, blocks + (b + k - i) * square);
      if (a.symmetric && k != i) place(k, i, blocks + (b + k - i) * square);
    }
  }
}

// The general case: one banded system of half-bandwidth (b + 1) m - 1.
bool Alternating::solve_block_banded(int axis, int begin, int active) {
  const AxisSystem& a = system_.axes[axis];
  const int block = (a.half_bandwidth + 1) * active - 1;
  const std::int64_t unknowns = a.n * active;
  for (std::int64_t i = 0; a.fixed != nullptr && i < a.n; ++i) {
    for (int p = 0; p < active; ++p) {
      if (a.fixed[i * a.classes + classes_[begin + p]] != 0) solution_[i * active + p] = 0.0;
    }
  }
  const std::size_t needed = static_cast<std::size_t>(unknowns) * (2 * block + 1);
  if (banded_work_.size() < needed) banded_work_.resize(needed);
  fill_block_banded(axis, begin, active, 2 * block + 1, banded_work_.data());
  if (banded().lu_plain(unknowns, block, banded_work_.data()) == unknowns) {
    banded().lu_plain_solve(unknowns, block, banded_work_.data(), solution_.data());
    return true;
  }
  const std::size_t pivoted = static_cast<std::size_t>(unknowns) * (3 * block + 1);
  if (banded_work_.size() < pivoted) banded_work_.resize(pivoted);
  pivots_.resize(unknowns);
  fill_block_banded(axis, begin, active, 3 * block + 1, banded_work_.data());
  if (banded().lu(unknowns, block, banded_work_.data(), pivots_.data()) < unknowns) return false;
  banded().lu_solve(unknowns, block, banded_work_.data(), pivots_.data(), 1, solution_.data(), false);
  return true;
}

// out = sum_j A_j x H_j^T for active modes x (n, active); null: for the modes as they are, whose images are known when
// all are active.
void Alternating::apply_all(int axis, int begin, const double* x, double* out) {
  const AxisSystem& a = system_.axes[axis];
  const int active = rank_ - begin;
  const std::size_t square = static_cast<std::size_t>(rank_) * active, values = a.n * static_cast<std::size_t>(active);
  double* combined = image_.data();
  double* image = mean_work_.data();
  std::fill_n(out, values, 0.0);
  for (int j = 0; j < used(axis); ++j) {
    const double* h = small_.data() + j * square + static_cast<std::size_t>(begin) * active;
    if (x == nullptr && begin == 0) {
      for (int q = 0; q < active; ++q) {
        for (int p = 0; p < active; ++p) image[q * active + p] = amplitudes_[q] * h[q * active + p];
      }
      dense().multiply_add(a.n, active, active, images_[axis].data() + j * values, image, nullptr, 1.0, out);
      continue;
    }
    std::fill_n(combined, values, 0.0);
    dense().multiply_add(a.n, active, active, x == nullptr ? old_.data() : x, h, nullptr, 1.0, combined);
    apply(axis, j, active, combined, image);
    for (std::size_t k = 0; k < values; ++k) out[k] += image[k];
  }
}

// Whether a few steps with the mean pencil cost less than elimination.
bool Alternating::mean_pays(int axis, int active) const {
  const AxisSystem& a = system_.axes[axis];
  if (a.mean.basis == nullptr || mean_failed_[axis] == rank_) return false;
  const double m = active, b = a.half_bandwidth, n = static_cast<double>(a.n), count = used(axis);
  const double elimination = m * m * (2 * b + 1) * count + m * m * m * (b + 1) * (b + 1);
  const double step = count * (m * m + (2 * b + 1) * m) + 2 * n * m;
  return expected_steps * step < elimination;
}

// Many banded matrices that nearly lie in the span of two: a few steps of iterative refinement with that pencil, from
// the modes before. They need not be exact, since the next sweep goes on from here. False when they converge slowly.
bool Alternating::solve_by_mean(int axis, int begin, int active) {
  const AxisSystem& a = system_.axes[axis];
  const std::size_t square = static_cast<std::size_t>(active) * active, values = a.n * static_cast<std::size_t>(active);
  const std::size_t scratch = std::max(values, square);
  mean_work_.resize(scratch + 2 * values + a.n);
  double* load = mean_work_.data() + scratch;
  double* x = load + values;
  double* ones = x + values;
  std::fill_n(ones, a.n, 1.0);
  std::copy_n(solution_.data(), values, load);
  std::copy_n(old_.data(), values, x);
  const Pencil pencil = {a.n, {ones, a.mean.values}, middle_[axis]};
  const bool symmetric = others_symmetric(axis);
  std::vector<double> mean(2 * square, 0.0);
  for (int j = 0; j < used(axis); ++j) {
    const double* h = matrix_work_.data() + j * square;
    for (int side = 0; side < 2; ++side) {
      const double weight = a.mean.weights[2 * j + side];
      for (std::size_t k = 0; k < square; ++k) mean[side * square + k] += weight * h[k];
    }
  }
  double first = 0.0, previous = 0.0;
  for (int step = 0; step < most_steps; ++step) {
    apply_all(axis, begin, step == 0 ? nullptr : x, solution_.data());
    for (std::size_t k = 0; k < values; ++k) image_[k] = load[k] - solution_[k];
    dense().gram(a.n, static_cast<int>(a.n), active, a.mean.basis, image_.data(), nullptr, solution_.data());
    std::copy_n(mean.data(), 2 * square, matrix_work_.data());
    SweepReport ignored;
    if (!solve_diagonal(pencil, active, symmetric, ignored)) break;
    double correction = 0.0;
    for (std::size_t k = 0; k < values; ++k) correction += solution_[k] * solution_[k];
    correction = std::sqrt(correction);
    if (!std::isfinite(correction) || (step > 0 && correction > slowest_step * previous)) break;
    dense().multiply_add(a.n, static_cast<int>(a.n), active, a.mean.basis, solution_.data(), nullptr, 1.0, x);
    first = step == 0 ? correction : first;
    if (step > 0) mean_rate_[axis] = correction / previous;
    if (correction * mean_rate_[axis] <= step_accuracy * first) {
      std::copy_n(x, values, solution_.data());
      return true;
    }
    previous = correction;
  }
  mean_failed_[axis] = rank_;
  std::copy_n(load, values, solution_.data());
  gather_small(axis, begin);
  return false;
}

// small_ holds [trial q][test p] for all modes; the systems want [test p][trial q] for the active ones.
void Alternating::gather_small(int axis, int begin) {
  const int active = rank_ - begin;
  const std::size_t square = static_cast<std::size_t>(rank_) * active;
  for (int j = 0; j < used(axis); ++j) {
    const double* h = small_.data() + j * square + static_cast<std::size_t>(begin) * active;
    double* target = matrix_work_.data() + j * static_cast<std::size_t>(active) * active;
    for (int p = 0; p < active; ++p) {
      for (int q = 0; q < active; ++q) target[p * active + q] = h[q * active + p];
    }
  }
}

// Adds the proximal term mu |X - X_old|^2 in the mass norm, then solves. It is unbiased at the fixed point and keeps
// the small matrices regular when modes are redundant.
bool Alternating::solve_axis(int axis, int begin, SweepReport& report) {
  const AxisSystem& a = system_.axes[axis];
  const int active = rank_ - begin;
  const std::size_t square = static_cast<std::size_t>(rank_) * active;
  const auto block = [&](int j) { return small_.data() + j * square + static_cast<std::size_t>(begin) * active; };
  double strength = 0.0;
  for (int j = 0; j < used(axis); ++j) strength += std::abs(trace(block(j), active)) * averages_[axis][j];
  strength *= system_.proximal / active;
  for (int p = 0; p < active; ++p) block(a.metric)[p * active + p] += strength;
  gather_small(axis, begin);
  apply(axis, a.metric, active, old_.data(), image_.data());
  for (std::int64_t k = 0; k < a.n * active; ++k) solution_[k] += strength * image_[k];
  if (a.fixed != nullptr) return solve_block_banded(axis, begin, active);
  if (a.diagonal) return solve_diagonal({a.n, a.matrices, middle_[axis]}, active, others_symmetric(axis), report);
  if (used(axis) <= 2 && others_symmetric(axis)) {
    if (solve_two_banded(axis, active)) return true;
    report.repaired += a.n;  // not definite: elimination does not mind
  }
  if (mean_pays(axis, active) && solve_by_mean(axis, begin, active)) return true;
  return solve_block_banded(axis, begin, active);
}

}  // namespace inntd
