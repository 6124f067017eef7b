#include "inntd/alternating.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <stdexcept>
#include <utility>

#include "inntd/kernels.hpp"

namespace inntd {
namespace {

const DenseKernels<double>& dense() { return kernels().f64.dense; }
const BandedKernels<double>& banded() { return kernels().f64.banded; }

double diagonal_entry(const AxisSystem& axis, int matrix, std::int64_t i) {
  const int b = axis.half_bandwidth;
  return axis.diagonal ? axis.matrices[matrix][i] : axis.matrices[matrix][i * (2 * b + 1) + b];
}

double trace(const double* a, int rows, int columns) {
  double sum = 0.0;
  for (int i = 0; i < std::min(rows, columns); ++i) sum += a[i * columns + i];
  return sum;
}

}  // namespace

Alternating::Alternating(SeparatedSystem system) : system_(std::move(system)), factors_(system_.axes.size()) {
  for (const AxisSystem& axis : system_.axes) {
    std::vector<double> averages(axis.matrices.size());
    double metric = 0.0;
    for (std::int64_t i = 0; i < axis.n; ++i) metric += std::abs(diagonal_entry(axis, axis.metric, i));
    for (std::size_t j = 0; j < averages.size(); ++j) {
      for (std::int64_t i = 0; i < axis.n; ++i) {
        averages[j] += std::abs(diagonal_entry(axis, static_cast<int>(j), i)) / metric;
      }
    }
    averages_.push_back(std::move(averages));
  }
}

void Alternating::apply(int axis, int matrix, int columns, const double* x, double* out) const {
  const AxisSystem& a = system_.axes[axis];
  const double* values = a.matrices[matrix];
  if (!a.diagonal) {
    banded().multiply(a.n, a.half_bandwidth, values, columns, x, out);
    return;
  }
  for (std::int64_t i = 0; i < a.n; ++i) {
    for (int p = 0; p < columns; ++p) out[i * columns + p] = values[i] * x[i * columns + p];
  }
}

void Alternating::append(const std::vector<const double*>& columns, int count) {
  const int old_rank = rank_;
  for (int d = 0; d < axis_count(); ++d) {
    const std::int64_t n = size(d);
    std::vector<double> grown(n * (old_rank + count));
    for (std::int64_t i = 0; i < n; ++i) {
      std::copy_n(factors_[d].data() + i * old_rank, old_rank, grown.data() + i * (old_rank + count));
      std::copy_n(columns[d] + i * count, count, grown.data() + i * (old_rank + count) + old_rank);
    }
    factors_[d] = std::move(grown);
  }
  rank_ = old_rank + count;
  amplitudes_.resize(rank_, 0.0);
  for (int d = 0; d < axis_count(); ++d) {
    const std::int64_t n = size(d);
    std::vector<double> image(n * rank_);
    apply(d, system_.axes[d].metric, rank_, factors_[d].data(), image.data());
    for (int p = old_rank; p < rank_; ++p) {
      double square = 0.0;
      for (std::int64_t i = 0; i < n; ++i) square += factors_[d][i * rank_ + p] * image[i * rank_ + p];
      if (!(square > 0.0)) throw std::invalid_argument("a starting column is zero or not finite");
      for (std::int64_t i = 0; i < n; ++i) factors_[d][i * rank_ + p] /= std::sqrt(square);
    }
  }
}

void Alternating::assign(const std::vector<const double*>& columns, const double* amplitudes, int count) {
  for (int d = 0; d < axis_count(); ++d) factors_[d].assign(columns[d], columns[d] + size(d) * count);
  amplitudes_.assign(amplitudes, amplitudes + count);
  rank_ = count;
}

double Alternating::norm() const {
  const std::size_t square = static_cast<std::size_t>(rank_) * rank_;
  std::vector<double> product(square, 1.0), gram(square), image;
  for (int d = 0; d < axis_count(); ++d) {
    image.resize(size(d) * rank_);
    apply(d, system_.axes[d].metric, rank_, factors_[d].data(), image.data());
    dense().gram(size(d), rank_, rank_, factors_[d].data(), image.data(), nullptr, gram.data());
    dense().hadamard(square, product.data(), gram.data(), product.data());
  }
  double sum = 0.0;
  for (int p = 0; p < rank_; ++p) {
    for (int q = 0; q < rank_; ++q) sum += amplitudes_[p] * product[p * rank_ + q] * amplitudes_[q];
  }
  return std::sqrt(std::max(0.0, sum));
}

void Alternating::reserve(int begin) {
  const int active = rank_ - begin;
  if (reserved_rank_ == rank_ && reserved_active_ == active) return;
  const std::size_t square = static_cast<std::size_t>(rank_) * active, axes = system_.axes.size();
  std::size_t n = 0, matrices = 0, loads = 0, banded_size = 0;
  grams_.resize(axes);
  loads_.resize(axes);
  for (int d = 0; d < axis_count(); ++d) {
    const AxisSystem& axis = system_.axes[d];
    n = std::max<std::size_t>(n, axis.n);
    matrices = std::max<std::size_t>(matrices, axis.matrices.size());
    loads = std::max<std::size_t>(loads, axis.loads);
    grams_[d].resize(axis.matrices.size() * square);
    loads_[d].resize(static_cast<std::size_t>(axis.loads) * active);
    if (axis.diagonal) continue;
    const std::size_t b = axis.half_bandwidth;
    banded_size = std::max(banded_size, axis.n * (b + 2) * column_lanes(active));
  }
  suffix_.resize((axes + 1) * (term_count() + 1) * square);
  prefix_.resize((term_count() + 1) * square);
  load_suffix_.resize((axes + 1) * static_cast<std::size_t>(load_count()) * active);
  load_prefix_.resize(static_cast<std::size_t>(load_count()) * active);
  small_.resize((matrices + 1) * square);
  solution_.resize(n * active);
  old_.resize(n * active);
  image_.resize(n * rank_);
  gathered_.resize(loads * active);
  matrix_work_.resize((matrices + 6) * square + 4 * static_cast<std::size_t>(active) * active + 4 * active);
  lane_work_.resize((static_cast<std::size_t>(active) * active + active) * batch_lanes);
  if (banded_work_.size() < banded_size) banded_work_.resize(banded_size);
  failed_.resize(n);
  reserved_rank_ = rank_;
  reserved_active_ = active;
}

void Alternating::update_grams(int axis, int begin) {
  const AxisSystem& a = system_.axes[axis];
  const int active = rank_ - begin;
  const double* u = factors_[axis].data();
  // The active columns, contiguous.
  const double* v = u;
  if (begin > 0) {
    for (std::int64_t i = 0; i < a.n; ++i) std::copy_n(u + i * rank_ + begin, active, solution_.data() + i * active);
    v = solution_.data();
  }
  for (int j = 0; j < used(axis); ++j) {
    double* out = grams_[axis].data() + static_cast<std::size_t>(j) * rank_ * active;
    if (a.diagonal) {
      dense().gram(a.n, rank_, active, u, v, a.matrices[j], out);
    } else {
      apply(axis, j, rank_, u, image_.data());
      dense().gram(a.n, rank_, active, image_.data(), v, nullptr, out);
    }
  }
  dense().gram(a.n, a.loads, active, a.load, v, nullptr, loads_[axis].data());
}

// Products over the axes to the right of each axis, for every term; the metric counts as one more term.
void Alternating::start(int begin) {
  const int active = rank_ - begin, axes = axis_count(), terms = term_count();
  const std::size_t square = static_cast<std::size_t>(rank_) * active;
  const std::size_t layer = (terms + 1) * square, load_layer = static_cast<std::size_t>(load_count()) * active;
  for (int d = 0; d < axes; ++d) update_grams(d, begin);
  for (int t = 0; t <= terms; ++t) {
    std::fill_n(suffix_.data() + axes * layer + t * square, square, t < terms ? system_.coefficients[t] : 1.0);
  }
  for (int r = 0; r < load_count(); ++r) {
    std::fill_n(load_suffix_.data() + axes * load_layer + static_cast<std::size_t>(r) * active, active,
                system_.load_weights[r]);
  }
  std::fill(prefix_.begin(), prefix_.end(), 1.0);
  std::fill(load_prefix_.begin(), load_prefix_.end(), 1.0);
  for (int d = axes - 1; d > 0; --d) {
    for (int t = 0; t <= terms; ++t) {
      const int j = t < terms ? system_.terms[t * axes + d] : system_.axes[d].metric;
      dense().hadamard(square, suffix_.data() + (d + 1) * layer + t * square, grams_[d].data() + j * square,
                       suffix_.data() + d * layer + t * square);
    }
    for (int r = 0; r < load_count(); ++r) {
      const std::size_t at = static_cast<std::size_t>(r) * active;
      dense().hadamard(active, load_suffix_.data() + (d + 1) * load_layer + at,
                       loads_[d].data() + static_cast<std::size_t>(system_.load_terms[r * axes + d]) * active,
                       load_suffix_.data() + d * load_layer + at);
    }
  }
}

// H_j for every matrix j of the axis, and the metric's product in the last place.
void Alternating::small_matrices(int axis, int begin) {
  const int active = rank_ - begin, axes = axis_count(), terms = term_count();
  const std::size_t square = static_cast<std::size_t>(rank_) * active;
  const double* suffix = suffix_.data() + (axis + 1) * (terms + 1) * square;
  std::fill_n(small_.data(), used(axis) * square, 0.0);
  for (int t = 0; t < terms; ++t) {
    dense().hadamard_add(square, prefix_.data() + t * square, suffix + t * square,
                         small_.data() + system_.terms[t * axes + axis] * square);
  }
  dense().hadamard(square, prefix_.data() + terms * square, suffix + terms * square,
                   small_.data() + used(axis) * square);
}

void Alternating::project_load(int axis, int begin) {
  const AxisSystem& a = system_.axes[axis];
  const int active = rank_ - begin, axes = axis_count();
  const double* suffix = load_suffix_.data() + (axis + 1) * static_cast<std::size_t>(load_count()) * active;
  std::fill_n(gathered_.data(), static_cast<std::size_t>(a.loads) * active, 0.0);
  for (int r = 0; r < load_count(); ++r) {
    const std::size_t at = static_cast<std::size_t>(r) * active;
    dense().hadamard_add(active, load_prefix_.data() + at, suffix + at,
                         gathered_.data() + static_cast<std::size_t>(system_.load_terms[r * axes + axis]) * active);
  }
  std::fill_n(solution_.data(), a.n * active, 0.0);
  dense().multiply_add(a.n, a.loads, active, a.load, gathered_.data(), nullptr, 1.0, solution_.data());
}

// Right-hand side minus the action of the frozen modes.
void Alternating::subtract_frozen(int axis, int begin) {
  if (begin == 0) return;
  const AxisSystem& a = system_.axes[axis];
  const int active = rank_ - begin;
  const std::size_t square = static_cast<std::size_t>(rank_) * active;
  double* scaled = matrix_work_.data();
  for (int j = 0; j < used(axis); ++j) {
    const double* h = small_.data() + j * square;
    for (int q = 0; q < rank_; ++q) {
      for (int p = 0; p < active; ++p) scaled[q * active + p] = q < begin ? amplitudes_[q] * h[q * active + p] : 0.0;
    }
    if (a.diagonal) {
      dense().multiply_add(a.n, rank_, active, factors_[axis].data(), scaled, a.matrices[j], -1.0, solution_.data());
    } else {
      apply(axis, j, rank_, factors_[axis].data(), image_.data());
      dense().multiply_add(a.n, rank_, active, image_.data(), scaled, nullptr, -1.0, solution_.data());
    }
  }
}

bool Alternating::solve_diagonal(int axis, int active, SweepReport& report) {
  const AxisSystem& a = system_.axes[axis];
  const std::size_t square = static_cast<std::size_t>(active) * active;
  std::vector<const double*> small(used(axis));
  for (int j = 0; j < used(axis); ++j) small[j] = matrix_work_.data() + j * square;
  auto* failed = reinterpret_cast<bool*>(failed_.data());
  const std::int64_t failures = dense().solve_pencils(a.n, active, used(axis), a.matrices.data(), small.data(),
                                                      solution_.data(), failed, lane_work_.data());
  report.repaired += failures;
  for (std::int64_t i = 0; failures > 0 && i < a.n; ++i) {
    if (!failed[i]) continue;
    for (std::size_t k = 0; k < square; ++k) {
      double sum = 0.0;
      for (int j = 0; j < used(axis); ++j) sum += a.matrices[j][i] * small[j][k];
      lane_work_[k] = sum;
    }
    if (!dense().solve_general(active, lane_work_.data(), solution_.data() + i * active)) return false;
  }
  return true;
}

// Two symmetric banded matrices: the congruence that diagonalises both small matrices leaves one banded system per
// mode, so the cost stays linear in n and in the number of modes.
bool Alternating::solve_two_banded(int axis, int active) {
  const AxisSystem& a = system_.axes[axis];
  const std::size_t square = static_cast<std::size_t>(active) * active;
  const bool pair = used(axis) == 2;
  const double* h0 = matrix_work_.data();
  const double* h1 = h0 + (pair ? square : 0);
  double* sum = matrix_work_.data() + 2 * square;
  double* reduced = sum + square;
  double* vectors = reduced + square;
  double* values = vectors + square;
  const double scale0 = trace(h0, active, active), scale1 = pair ? trace(h1, active, active) : 0.0;
  if (!(scale0 > 0.0) || (pair && !(scale1 > 0.0))) return false;
  for (std::size_t k = 0; k < square; ++k) sum[k] = h0[k] / scale0 + (pair ? h1[k] / scale1 : 0.0);
  if (!dense().cholesky(active, sum)) return false;
  // reduced = L^-1 h0 / scale0 L^-T, by two triangular substitutions.
  for (std::size_t k = 0; k < square; ++k) reduced[k] = h0[k] / scale0;
  for (int side = 0; side < 2; ++side) {
    for (int i = 0; i < active; ++i) {
      for (int k = 0; k < i; ++k) {
        for (int j = 0; j < active; ++j) reduced[i * active + j] -= sum[i * active + k] * reduced[k * active + j];
      }
      for (int j = 0; j < active; ++j) reduced[i * active + j] /= sum[i * active + i];
    }
    for (int i = 0; i < active; ++i) {
      for (int j = 0; j < i; ++j) std::swap(reduced[i * active + j], reduced[j * active + i]);
    }
  }
  dense().eigen(active, reduced, values, vectors);
  // W = L^-T Q: columns make both small matrices diagonal, theta scale0 and (1 - theta) scale1.
  for (int i = active - 1; i >= 0; --i) {
    for (int k = i + 1; k < active; ++k) {
      for (int j = 0; j < active; ++j) vectors[i * active + j] -= sum[k * active + i] * vectors[k * active + j];
    }
    for (int j = 0; j < active; ++j) vectors[i * active + j] /= sum[i * active + i];
  }
  double* alpha = values + active;
  double* beta = alpha + active;
  for (int p = 0; p < active; ++p) {
    alpha[p] = pair ? values[p] * scale0 : scale0;
    beta[p] = pair ? std::max(0.0, 1.0 - values[p]) * scale1 : 0.0;
  }
  double* rotated = image_.data();
  std::fill_n(rotated, a.n * active, 0.0);
  dense().multiply_add(a.n, active, active, solution_.data(), vectors, nullptr, 1.0, rotated);
  const double* second = a.matrices[pair ? 1 : 0];
  if (banded().solve_columns(a.n, a.half_bandwidth, a.matrices[0], second, active, alpha, beta, rotated,
                             banded_work_.data()) < a.n) {
    return false;
  }
  for (int i = 0; i < active; ++i) {
    for (int j = 0; j < i; ++j) std::swap(vectors[i * active + j], vectors[j * active + i]);
  }
  std::fill_n(solution_.data(), a.n * active, 0.0);
  dense().multiply_add(a.n, active, active, rotated, vectors, nullptr, 1.0, solution_.data());
  return true;
}

// The general case: unknowns ordered node by node make one banded system of half-bandwidth (b + 1) m - 1.
bool Alternating::solve_block_banded(int axis, int active) {
  const AxisSystem& a = system_.axes[axis];
  const int b = a.half_bandwidth, block = (b + 1) * active - 1, width = 3 * block + 1;
  const std::size_t square = static_cast<std::size_t>(active) * active;
  const std::size_t needed = static_cast<std::size_t>(a.n) * active * width;
  if (banded_work_.size() < needed) banded_work_.resize(needed);
  if (pivots_.size() < static_cast<std::size_t>(a.n) * active) pivots_.resize(a.n * active);
  double* system = banded_work_.data();
  std::fill_n(system, a.n * active * width, 0.0);
  for (std::int64_t i = 0; i < a.n; ++i) {
    for (std::int64_t k = std::max<std::int64_t>(0, i - b); k <= std::min<std::int64_t>(a.n - 1, i + b); ++k) {
      for (int j = 0; j < used(axis); ++j) {
        const double value = a.matrices[j][i * (2 * b + 1) + b + k - i];
        if (value == 0.0) continue;
        const double* h = matrix_work_.data() + j * square;
        for (int p = 0; p < active; ++p) {
          double* row = system + (i * active + p) * width + block - (i * active + p) + k * active;
          for (int q = 0; q < active; ++q) row[q] += value * h[p * active + q];
        }
      }
    }
  }
  const std::int64_t unknowns = a.n * active;
  if (banded().lu(unknowns, block, system, pivots_.data()) < unknowns) return false;
  banded().lu_solve(unknowns, block, system, pivots_.data(), 1, solution_.data(), false);
  return true;
}

// Adds the proximal term mu |X - X_old|^2 in the mass norm, then solves. It is unbiased at the fixed point and keeps
// the small matrices regular when modes are redundant.
bool Alternating::solve_axis(int axis, int begin, SweepReport& report) {
  const AxisSystem& a = system_.axes[axis];
  const int active = rank_ - begin;
  const std::size_t square = static_cast<std::size_t>(rank_) * active;
  const std::size_t active_square = static_cast<std::size_t>(active) * active;
  double strength = 0.0;
  for (int j = 0; j < used(axis); ++j) {
    // small_ holds [trial q][test p]; the systems want [test p][trial q].
    const double* h = small_.data() + j * square + static_cast<std::size_t>(begin) * active;
    double* target = matrix_work_.data() + j * active_square;
    for (int p = 0; p < active; ++p) {
      for (int q = 0; q < active; ++q) target[p * active + q] = h[q * active + p];
    }
    strength += std::abs(trace(h, active, active)) * averages_[axis][j];
  }
  strength *= system_.proximal / active;
  double* metric = matrix_work_.data() + a.metric * active_square;
  for (int p = 0; p < active; ++p) metric[p * active + p] += strength;
  apply(axis, a.metric, active, old_.data(), image_.data());
  for (std::int64_t k = 0; k < a.n * active; ++k) solution_[k] += strength * image_[k];
  if (a.diagonal) return solve_diagonal(axis, active, report);
  if (a.symmetric && used(axis) <= 2) {
    if (solve_two_banded(axis, active)) return true;
    report.repaired += a.n;  // not definite: elimination does not mind
  }
  return solve_block_banded(axis, active);
}

// The change of the whole field by this update, in L2, without cancellation: |sum_p (x_p - x_p_old) (x) rest_p|.
// Leaves the mass Gram matrix of the solution in matrix_work_.
void Alternating::measure(int axis, int begin, SweepReport& report) {
  const AxisSystem& a = system_.axes[axis];
  const int active = rank_ - begin;
  const std::size_t square = static_cast<std::size_t>(rank_) * active;
  const double* others = small_.data() + used(axis) * square + static_cast<std::size_t>(begin) * active;
  double* gram = matrix_work_.data();
  const auto squared_norm = [&](const double* x) {
    apply(axis, a.metric, active, x, image_.data());
    dense().gram(a.n, active, active, x, image_.data(), nullptr, gram);
    double sum = 0.0;
    for (int k = 0; k < active * active; ++k) sum += gram[k] * others[k];
    return std::max(0.0, sum);
  };
  for (std::int64_t k = 0; k < a.n * active; ++k) old_[k] -= solution_[k];
  report.change += squared_norm(old_.data());
  report.norm = std::sqrt(squared_norm(solution_.data()));
}

// Stores the solution as columns of unit norm and amplitudes. False when something is not finite.
bool Alternating::normalise(int axis, int begin) {
  const AxisSystem& a = system_.axes[axis];
  const int active = rank_ - begin;
  const double* gram = matrix_work_.data();  // of the solution, left there by measure()
  for (int p = 0; p < active; ++p) {
    if (!std::isfinite(gram[p * active + p])) return false;
  }
  double* inverse = matrix_work_.data() + static_cast<std::size_t>(active) * active;
  for (int p = 0; p < active; ++p) {
    const double norm = std::sqrt(std::max(0.0, gram[p * active + p]));
    amplitudes_[begin + p] = norm;
    inverse[p] = norm > 1e-280 ? 1.0 / norm : 0.0;  // a mode that vanished keeps its direction
  }
  for (std::int64_t i = 0; i < a.n; ++i) {
    for (int p = 0; p < active; ++p) {
      double& entry = factors_[axis][i * rank_ + begin + p];
      entry = inverse[p] > 0.0 ? solution_[i * active + p] * inverse[p] : entry;
    }
  }
  return true;
}

void Alternating::advance(int axis, int begin) {
  const int active = rank_ - begin, axes = axis_count(), terms = term_count();
  const std::size_t square = static_cast<std::size_t>(rank_) * active;
  update_grams(axis, begin);
  for (int t = 0; t <= terms; ++t) {
    const int j = t < terms ? system_.terms[t * axes + axis] : system_.axes[axis].metric;
    double* prefix = prefix_.data() + t * square;
    dense().hadamard(square, prefix, grams_[axis].data() + j * square, prefix);
  }
  for (int r = 0; r < load_count(); ++r) {
    double* prefix = load_prefix_.data() + static_cast<std::size_t>(r) * active;
    dense().hadamard(active, prefix,
                     loads_[axis].data() + static_cast<std::size_t>(system_.load_terms[r * axes + axis]) * active,
                     prefix);
  }
}

bool Alternating::update_axis(int axis, int begin, SweepReport& report) {
  const int active = rank_ - begin;
  const std::int64_t n = size(axis);
  for (std::int64_t i = 0; i < n; ++i) {
    for (int p = 0; p < active; ++p) {
      old_[i * active + p] = factors_[axis][i * rank_ + begin + p] * amplitudes_[begin + p];
    }
  }
  small_matrices(axis, begin);
  project_load(axis, begin);
  subtract_frozen(axis, begin);
  if (!solve_axis(axis, begin, report)) return false;
  measure(axis, begin, report);
  if (!normalise(axis, begin)) return false;
  advance(axis, begin);
  return true;
}

SweepReport Alternating::sweep(int begin, const std::function<void()>& checkpoint) {
  SweepReport report;
  reserve(begin);
  start(begin);
  for (int d = 0; d < axis_count() && !report.failed; ++d) {
    report.failed = !update_axis(d, begin, report);
    checkpoint();
  }
  report.change = std::sqrt(report.change);
  return report;
}

}  // namespace inntd
