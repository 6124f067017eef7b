// Plans one evaluation: which form each axis takes, memory, threads.
#include "inntd/evaluate.hpp"

#include <algorithm>
#include <cstdint>
#include <vector>

#include "inntd/aligned.hpp"
#include "inntd/kernels.hpp"
#include "inntd/parallel.hpp"

namespace inntd {
namespace {

constexpr std::int64_t kPointsPerTask = 8 * kPointBlock;

template <class T>
bool is_block_aligned(const T* pointer) {
  return reinterpret_cast<std::uintptr_t>(pointer) % kAlignment == 0;
}

// Axes in the form that the blocked kernels want, and the memory that takes.
template <class T>
class Preparation {
 public:
  explicit Preparation(const CpView<T>& cp) : cp_(cp) {
    for (std::int64_t d = 0; d < cp.axes; ++d) axes_.push_back({cp.tables[d], cp.factors[d]});
  }

  const CpAxis<T>* axes() const { return axes_.data(); }

  // Rows of `modes` numbers that preparing all axes would write.
  std::int64_t rows() const {
    std::int64_t sum = 0;
    for (const CpAxis<T>& axis : axes_) sum += row_count(axis);
    return sum;
  }

  void prepare(std::int64_t points, int threads) {
    for (CpAxis<T>& axis : axes_) {
      axis.form = choose_form(axis, points);
      if (axis.form == AxisForm::rows) {
        pad_polynomials(axis);
        if (cp_.modes % block_lanes<T>() == 0 && is_block_aligned(axis.factor) && !axis.table.periodic) {
          axis.prepared = const_cast<T*>(axis.factor);  // already as wanted, and never written to
          continue;
        }
      }
      const bool rows = axis.form == AxisForm::rows;
      const std::int64_t items = rows ? row_count(axis) : axis.table.pieces;
      axis.prepared = keep(items * (rows ? 1 : axis.table.degree + 1) * round_up_to_block<T>(cp_.modes));
      const std::int64_t cost = cp_.modes * (rows ? 1 : axis.table.width * (axis.table.degree + 1));
      parallel_for(items, std::max<std::int64_t>(1, 100000 / cost), threads,
                   [&](std::int64_t begin, std::int64_t end, int) {
                     kernels().of<T>().contract.prepare(axis, cp_.modes, begin, end);
                   });
    }
  }

  std::int64_t weight_width() const {
    std::int64_t width = 0;
    for (const CpAxis<T>& axis : axes_) width = std::max(width, axis.padded_width);
    return width;
  }

 private:
  T* keep(std::int64_t count) {
    memory_.push_back(aligned_array<T>(count));
    return memory_.back().get();
  }

  static std::int64_t row_count(const CpAxis<T>& axis) {
    return axis.table.size + (axis.table.periodic ? axis.table.width - 1 : 0);
  }

  static AxisForm choose_form(const CpAxis<T>& axis, std::int64_t points);

  void pad_polynomials(CpAxis<T>& axis) {
    const BasisTable<T>& table = axis.table;
    const auto bytes = static_cast<std::int64_t>(sizeof(T)) * table.width;
    axis.padded_width =
        (bytes <= 16 ? 16 : bytes <= 32 ? 32 : (bytes + 63) / 64 * 64) / static_cast<std::int64_t>(sizeof(T));
    const std::int64_t kinds = 1 + *std::max_element(table.kind, table.kind + table.pieces);
    axis.polynomials = keep(kinds * (table.degree + 1) * axis.padded_width);
    for (std::int64_t row = 0; row < kinds * (table.degree + 1); ++row) {
      T* target = axis.polynomials + row * axis.padded_width;
      std::copy_n(table.coefficients + row * table.width, table.width, target);
      std::fill(target + table.width, target + axis.padded_width, T(0));
    }
  }

  CpView<T> cp_;
  std::vector<CpAxis<T>> axes_;
  std::vector<AlignedArray<T>> memory_;
};

template <class T>
AxisForm Preparation<T>::choose_form(const CpAxis<T>& axis, std::int64_t) {
  if (const char* f = getenv("FORM")) return *f == 'p' ? AxisForm::pieces : AxisForm::rows;
  return axis.table.degree + 1 < axis.table.width ? AxisForm::pieces : AxisForm::rows;
}

// One thread's CpWorkspace.
template <class T>
class Workspace {
 public:
  Workspace(std::int64_t dimension, std::int64_t weight_width, int orders)
      : doubles_(aligned_array<double>(2 * kPointBlock)),
        pieces_(aligned_array<std::int64_t>(kPointBlock)),
        sources_(aligned_array<const T*>(dimension * kPointBlock)) {
    const std::int64_t lanes = block_lanes<T>();
    const std::int64_t coordinates = dimension * kPointBlock;
    const std::int64_t weights = dimension * orders * kPointBlock * weight_width;
    const std::int64_t totals = kPointBlock * (orders == 1 ? 1 : 2 * dimension + 1) * lanes;
    const std::int64_t rows = orders == 1 ? 0 : dimension * 3 * kMaxBlocksAtOnce * lanes;
    scalars_ = aligned_array<T>(2 * coordinates + weights + totals + rows);
    T* next = scalars_.get();
    const auto take = [&](std::int64_t count) {
      T* taken = next;
      next += count;
      return taken;
    };
    view_ = {doubles_.get(), doubles_.get() + kPointBlock, pieces_.get(), sources_.get(), take(coordinates),
             take(coordinates), take(weights), weight_width, take(totals), take(rows)};
  }
  const CpWorkspace<T>& view() const { return view_; }

 private:
  AlignedArray<double> doubles_;
  AlignedArray<std::int64_t> pieces_;
  AlignedArray<const T*> sources_;
  AlignedArray<T> scalars_;
  CpWorkspace<T> view_;
};

// Preparing writes each row once; a point from unprepared factors reads about as many rows as it has functions.
template <class T>
bool worth_preparing(const CpView<T>& cp, const Preparation<T>& preparation, std::int64_t points) {
  if (const char* f = getenv("FORM"); f && *f=='d') return false;
  std::int64_t width = 0;
  for (std::int64_t d = 0; d < cp.axes; ++d) width += cp.tables[d].width;
  return points >= kPointBlock && points * width >= preparation.rows();
}

template <class T>
std::vector<T> direct_scratch(const CpView<T>& cp) {
  int width = 0;
  for (std::int64_t d = 0; d < cp.axes; ++d) width = std::max(width, cp.tables[d].width);
  return std::vector<T>(static_cast<std::size_t>((3 * cp.axes + 2) * cp.modes + 3 * width));
}

}  // namespace

template <class T>
void cp_values(const CpView<T>& cp, const T* points, std::int64_t count, T* out, int threads) {
  const auto& kernel = kernels().of<T>().contract;
  Preparation<T> preparation(cp);
  if (!worth_preparing(cp, preparation, count)) {
    return parallel_for(count, kPointsPerTask, threads, [&](std::int64_t begin, std::int64_t end, int) {
      auto scratch = direct_scratch(cp);
      kernel.direct_values(preparation.axes(), cp.axes, cp.modes, points, begin, end, out, scratch.data());
    });
  }
  preparation.prepare(count, threads);
  parallel_for(count, kPointsPerTask, threads, [&](std::int64_t begin, std::int64_t end, int) {
    const Workspace<T> workspace(cp.axes, preparation.weight_width(), 1);
    kernel.block_values(preparation.axes(), cp.axes, cp.modes, points, begin, end, out, workspace.view());
  });
}

template <class T>
void cp_jet(const CpView<T>& cp, const T* points, std::int64_t count, T* values, T* gradient, T* second, int threads) {
  const auto& kernel = kernels().of<T>().contract;
  Preparation<T> preparation(cp);
  if (!worth_preparing(cp, preparation, count)) {
    return parallel_for(count, kPointsPerTask, threads, [&](std::int64_t begin, std::int64_t end, int) {
      auto scratch = direct_scratch(cp);
      kernel.direct_jet(preparation.axes(), cp.axes, cp.modes, points, begin, end, values, gradient, second,
                        scratch.data());
    });
  }
  preparation.prepare(count, threads);
  parallel_for(count, kPointsPerTask, threads, [&](std::int64_t begin, std::int64_t end, int) {
    const Workspace<T> workspace(cp.axes, preparation.weight_width(), 3);
    kernel.block_jet(preparation.axes(), cp.axes, cp.modes, points, begin, end, values, gradient, second,
                     workspace.view());
  });
}

template void cp_values(const CpView<float>&, const float*, std::int64_t, float*, int);
template void cp_values(const CpView<double>&, const double*, std::int64_t, double*, int);
template void cp_jet(const CpView<float>&, const float*, std::int64_t, float*, float*, float*, int);
template void cp_jet(const CpView<double>&, const double*, std::int64_t, double*, double*, double*, int);

}  // namespace inntd
