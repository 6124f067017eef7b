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

// Geometric mean of the smallest and the largest eigenvalue of an axis' second matrix, or mean, against the first.
double middle_of_spectrum(const AxisSystem& axis) {
  const bool pair = axis.diagonal && axis.matrices.size() == 2;
  if (!pair && axis.mean.values == nullptr) return 0.0;
  double low = INFINITY, high = 0.0;
  for (std::int64_t i = 0; i < axis.n; ++i) {
    const double value = std::abs(pair ? axis.matrices[1][i] / axis.matrices[0][i] : axis.mean.values[i]);
    low = std::min(low, value);
    high = std::max(high, value);
  }
  return std::sqrt(std::max(low, 1e-6 * high) * high);
}

// The mass matrices of all axes, as one more term.
std::vector<std::int32_t> metric_term(const std::vector<AxisSystem>& axes) {
  std::vector<std::int32_t> term;
  for (const AxisSystem& axis : axes) term.push_back(axis.metric);
  return term;
}

}  // namespace

Alternating::Alternating(SeparatedSystem system)
    : system_(std::move(system)),
      factors_(system_.axes.size()),
      operator_(axis_count(), system_.terms, system_.coefficients),
      metric_(axis_count(), metric_term(system_.axes), {1.0}),
      source_(axis_count(), system_.load_terms, system_.load_weights) {
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
    middle_.push_back(middle_of_spectrum(axis));
    mean_failed_.push_back(-1);
    mean_rate_.push_back(1.0);
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

void Alternating::append(const std::vector<const double*>& columns, int count, const std::vector<int>& classes) {
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
  current_ = false;
  amplitudes_.resize(rank_, 0.0);
  for (int p = 0; p < count; ++p) classes_.push_back(classes.empty() ? 0 : classes[p]);
  for (int d = 0; d < axis_count(); ++d) clear_fixed(d, old_rank);
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

// Sets what conditions fix to zero in the modes from `begin` on.
void Alternating::clear_fixed(int axis, int begin) {
  const AxisSystem& a = system_.axes[axis];
  for (std::int64_t i = 0; a.fixed != nullptr && i < a.n; ++i) {
    for (int p = begin; p < rank_; ++p) {
      if (a.fixed[i * a.classes + classes_[p]] != 0) factors_[axis][i * rank_ + p] = 0.0;
    }
  }
}

void Alternating::assign(const std::vector<const double*>& columns, const double* amplitudes, int count) {
  for (int d = 0; d < axis_count(); ++d) factors_[d].assign(columns[d], columns[d] + size(d) * count);
  amplitudes_.assign(amplitudes, amplitudes + count);
  rank_ = count;
  classes_.resize(count, 0);
  current_ = false;
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
  const std::size_t square = static_cast<std::size_t>(rank_) * active;
  std::size_t n = 0, matrices = 0, loads = 0, banded_size = 0;
  grams_.resize(system_.axes.size());
  images_.resize(system_.axes.size());
  std::fill(mean_rate_.begin(), mean_rate_.end(), 1.0);  // is seen anew
  loads_.resize(system_.axes.size());
  for (int d = 0; d < axis_count(); ++d) {
    const AxisSystem& axis = system_.axes[d];
    n = std::max<std::size_t>(n, axis.n);
    matrices = std::max<std::size_t>(matrices, axis.matrices.size());
    loads = std::max<std::size_t>(loads, axis.loads);
    grams_[d].resize(axis.matrices.size() * square);
    loads_[d].resize(static_cast<std::size_t>(axis.loads) * active);
    if (axis.diagonal) continue;
    if (axis.mean.basis != nullptr && begin == 0) images_[d].resize(axis.matrices.size() * axis.n * rank_);
    const std::size_t b = axis.half_bandwidth;
    const std::size_t width = axis.symmetric ? b + 2 : 2 * b + 2;
    banded_size = std::max({banded_size, axis.n * width * column_lanes(active), 2 * axis.n * std::size_t(active)});
  }
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
  current_ = false;
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
    } else if (a.symmetric) {  // few active columns are multiplied instead of all
      const bool keep = begin == 0 && a.mean.basis != nullptr;
      double* image = keep ? images_[axis].data() + j * static_cast<std::size_t>(a.n) * rank_ : image_.data();
      apply(axis, j, active, v, image);
      dense().gram(a.n, rank_, active, u, image, nullptr, out);
    } else {
      apply(axis, j, rank_, u, image_.data());
      dense().gram(a.n, rank_, active, image_.data(), v, nullptr, out);
    }
  }
  dense().gram(a.n, a.loads, active, a.load, v, nullptr, loads_[axis].data());
}

// Gram matrices of all axes, and the trees of their products.
void Alternating::start(int begin) {
  const int active = rank_ - begin;
  const std::size_t square = static_cast<std::size_t>(rank_) * active;
  std::vector<const double*> grams, loads;
  for (int d = 0; d < axis_count(); ++d) {
    if (!current_) update_grams(d, begin);
    grams.push_back(grams_[d].data());
    loads.push_back(loads_[d].data());
  }
  operator_.start(square, grams);
  metric_.start(square, grams);
  source_.start(active, loads);
}

// H_j for every matrix j of the axis, and the metric's product in the last place.
void Alternating::small_matrices(int axis, int begin) {
  const std::size_t square = static_cast<std::size_t>(rank_) * (rank_ - begin);
  std::fill_n(small_.data(), used(axis) * square, 0.0);
  operator_.collect(axis, small_.data());
  // The metric's factor has its own place among the factors of the axis.
  metric_.collect(axis, small_.data() + (used(axis) - system_.axes[axis].metric) * square);
}

void Alternating::project_load(int axis, int begin) {
  const AxisSystem& a = system_.axes[axis];
  const int active = rank_ - begin;
  std::fill_n(gathered_.data(), static_cast<std::size_t>(a.loads) * active, 0.0);
  source_.collect(axis, gathered_.data());
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
      double* combined = banded_work_.data();
      double* image = combined + a.n * active;
      std::fill_n(combined, a.n * active, 0.0);
      dense().multiply_add(a.n, rank_, active, factors_[axis].data(), scaled, nullptr, 1.0, combined);
      apply(axis, j, active, combined, image);
      for (std::int64_t k = 0; k < a.n * active; ++k) solution_[k] -= image[k];
    }
  }
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
  update_grams(axis, begin);
  operator_.update(axis);
  metric_.update(axis);
  source_.update(axis);
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
  if (system_.axes[axis].frozen) {
    advance(axis, begin);
    return true;
  }
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
  current_ = false;  // until all axes are done: `checkpoint` may throw
  for (int d = 0; d < axis_count() && !report.failed; ++d) {
    report.failed = !update_axis(d, begin, report);
    checkpoint();
  }
  current_ = !report.failed;
  report.change = std::sqrt(report.change);
  return report;
}

}  // namespace inntd
