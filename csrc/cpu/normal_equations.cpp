#include "inntd/normal_equations.hpp"

#include <algorithm>
#include <numeric>

#include "inntd/aligned.hpp"
#include "inntd/kernels.hpp"
#include "inntd/parallel.hpp"

namespace inntd {
namespace {

// Copies rows of `modes` numbers into rows padded with zeros.
AlignedArray<double> padded_rows(const double* rows, std::int64_t count, std::int64_t modes) {
  const std::int64_t padded = round_up_to_line<double>(modes);
  auto out = aligned_array<double>(count * padded);
  for (std::int64_t i = 0; i < count; ++i) {
    std::fill(std::copy_n(rows + i * modes, modes, out.get() + i * padded), out.get() + (i + 1) * padded, 0.0);
  }
  return out;
}

// What the kernels read, in their layout.
class Prepared {
 public:
  explicit Prepared(const Samples& samples) : modes_(samples.modes) {
    for (const SampledFactor& axis : samples.axes) {
      memory_.push_back(padded_rows(axis.functions, axis.groups * axis.terms, modes_));
      axes_.push_back({memory_.back().get(), axis.terms, axis.place, axis.local});
      most_terms_ = std::max(most_terms_, axis.terms);
    }
    memory_.push_back(padded_rows(samples.factor, samples.outputs, modes_));
    data_ = {axes_.data(),
             static_cast<std::int64_t>(axes_.size()),
             modes_,
             samples.y,
             samples.weights,
             samples.outputs,
             memory_.back().get()};
  }

  const SampledData<double>& data() const { return data_; }
  std::int64_t padded() const { return round_up_to_line<double>(modes_); }
  AlignedArray<double> work(std::int64_t sums) const {
    return aligned_array<double>(kSampleBlock * (2 * padded() + std::max(round_up_to_four(sums), most_terms_) +
                                                 data_.outputs + outer_width<double>(modes_) + line_lanes<double>()));
  }

 private:
  std::int64_t modes_;
  std::int64_t most_terms_ = 1;
  std::vector<AlignedArray<double>> memory_;
  std::vector<SampledAxis<double>> axes_;
  SampledData<double> data_;
};

// Numbers of a group's moments in the kernels' layout.
std::int64_t moment_numbers(std::int64_t sums, std::int64_t modes) {
  if (sums == 1) return round_up_to_four(modes) * round_up_to_line<double>(modes);
  return round_up_to_four(sums) * packed_size<double>(modes);
}

// Writes a symmetric matrix (modes, modes) of which the kernels gave row p's entries from the diagonal on.
void write_row(const double* from, std::int64_t p, std::int64_t modes, double* to) {
  for (std::int64_t q = p; q < modes; ++q) to[p * modes + q] = to[q * modes + p] = from[q - p];
}

void write_moments(const double* from, std::int64_t sums, std::int64_t modes, double* to) {
  const std::int64_t padded = round_up_to_line<double>(modes);
  if (sums == 1) {
    for (std::int64_t p = 0; p < modes; ++p) write_row(from + p * padded + p, p, modes, to);
    return;
  }
  for (std::int64_t j = 0; j < sums; ++j, to += modes * modes) {
    for (std::int64_t p = 0; p < modes;) {
      const PackedRows<double> rows(modes, p);
      const double* row = from;
      for (std::int64_t i = p; i < rows.last; row += modes - i, ++i) write_row(row, i, modes, to);
      from += rows.width;
      p = rows.last;
    }
  }
}

}  // namespace

double normal_equations(const Samples& samples, std::int64_t axis, const std::int64_t* order,
                        const std::int64_t* bounds, std::int64_t sums, double* moments, double* slopes, int threads) {
  const Prepared prepared(samples);
  const std::int64_t modes = samples.modes, padded = prepared.padded();
  const std::int64_t groups = samples.axes[axis].groups, terms = samples.axes[axis].terms;
  const std::int64_t numbers = moment_numbers(sums, modes);
  std::vector<double> losses(groups, 0.0);
  parallel_for(groups, 1, threads, [&](std::int64_t begin, std::int64_t end, int) {
    const auto work = prepared.work(sums);
    const auto total = aligned_array<double>(numbers), slope = aligned_array<double>(terms * padded);
    for (std::int64_t group = begin; group < end; ++group) {
      std::fill_n(total.get(), numbers, 0.0);
      std::fill_n(slope.get(), terms * padded, 0.0);
      for (std::int64_t i = bounds[group]; i < bounds[group + 1]; i += kSampleBlock) {
        const std::int64_t count = std::min(kSampleBlock, bounds[group + 1] - i);
        losses[group] += kernels().f64.normal.add_block(prepared.data(), axis, order + i, count, sums, total.get(),
                                                        slope.get(), work.get());
      }
      write_moments(total.get(), sums, modes, moments + group * sums * modes * modes);
      for (std::int64_t j = 0; j < terms; ++j) {
        std::copy_n(slope.get() + j * padded, modes, slopes + (group * terms + j) * modes);
      }
    }
  });
  return std::accumulate(losses.begin(), losses.end(), 0.0);
}

void sample_products(const Samples& samples, std::int64_t begin, std::int64_t count, double* out, int threads) {
  const Prepared prepared(samples);
  const std::int64_t modes = samples.modes, padded = prepared.padded();
  parallel_for(count, 16 * kSampleBlock, threads, [&](std::int64_t first, std::int64_t last, int) {
    const auto work = prepared.work(1), rows = aligned_array<double>(kSampleBlock * padded);
    std::int64_t which[kSampleBlock];
    for (std::int64_t i = first; i < last; i += kSampleBlock) {
      const std::int64_t size = std::min(kSampleBlock, last - i);
      std::iota(which, which + size, begin + i);
      kernels().f64.normal.products(prepared.data(), -1, which, size, rows.get(), work.get());
      for (std::int64_t k = 0; k < size; ++k) std::copy_n(rows.get() + k * padded, modes, out + (i + k) * modes);
    }
  });
}

}  // namespace inntd
