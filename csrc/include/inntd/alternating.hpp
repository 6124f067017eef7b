// The alternating solver's inner loops: block updates of separated Galerkin systems.
//
// A = sum_t c_t (x)_d A_d^(t), b = sum_r w_r (x)_d p_d^(r), u = sum_m a_m (x)_d u_d^(m).
// Freezing all axes but one leaves  sum_j A_d^j X H_j^T = F  for that axis' columns X (n, active modes), where j runs
// over the distinct matrices of the axis, H_j sums the products of the other axes' Gram matrices over the terms that
// carry matrix j, and F is the projected load minus the action on frozen modes.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "inntd/dense.hpp"
#include "inntd/product_tree.hpp"

namespace inntd {

// A pair of matrices in whose span the matrices of an axis nearly lie: A_j is about weights[2 j] M + weights[2 j + 1]
// K, with the columns of basis (n, n) diagonalising both, M to ones and K to values (n). Null: none.
struct MeanPencil {
  const double* basis = nullptr;
  const double* values = nullptr;
  const double* weights = nullptr;
};

// One axis of the system. The arrays are borrowed: their owner keeps them alive.
struct AxisSystem {
  std::int64_t n = 0;
  bool diagonal = false;   // matrices are given by their diagonals (n), in a basis that diagonalises all of them
  int half_bandwidth = 0;  // otherwise bands (n, 2 b + 1)
  bool symmetric = true;
  std::vector<const double*> matrices;
  int metric = 0;                // which of the matrices is the mass matrix: norms and the proximal term use it
  const double* load = nullptr;  // (n, loads): distinct load vectors
  int loads = 0;
  // Vector fields: each mode belongs to a class, its component. Of a mode of class c the values at the nodes i with
  // fixed[i * classes + c] != 0 are zero. Null: none.
  const std::int32_t* fixed = nullptr;
  int classes = 1;
  MeanPencil mean;      // of an axis with many banded matrices: preconditions its systems
  bool frozen = false;  // the factor keeps its values
};

struct SeparatedSystem {
  std::vector<AxisSystem> axes;
  std::vector<std::int32_t> terms;       // (terms, axes): which matrix
  std::vector<double> coefficients;      // (terms)
  std::vector<std::int32_t> load_terms;  // (load terms, axes): which load vector
  std::vector<double> load_weights;      // (load terms)
  double proximal = 1e-13;
};

struct SweepReport {
  double change = 0.0;        // root of the sum of the squared L2 norms of the block updates
  double norm = 0.0;          // L2 norm of the active part after the sweep
  std::int64_t repaired = 0;  // systems that were not positive definite and went to Gaussian elimination
  bool failed = false;        // a system could not be solved or produced NaN; the factors keep their last good values
};

class Alternating {
 public:
  explicit Alternating(SeparatedSystem system);

  int rank() const { return rank_; }
  std::int64_t size(int axis) const { return system_.axes[axis].n; }
  int axis_count() const { return static_cast<int>(system_.axes.size()); }
  const std::vector<double>& factor(int axis) const { return factors_[axis]; }
  const std::vector<double>& amplitudes() const { return amplitudes_; }

  // Appends `count` modes; columns[d] is (n_d, count). Columns are normalised; amplitudes start at zero.
  // `classes` has one entry per mode; empty: all of class 0.
  void append(const std::vector<const double*>& columns, int count, const std::vector<int>& classes = {});
  // Replaces all modes; those beyond the ones there before are of class 0.
  void assign(const std::vector<const double*>& columns, const double* amplitudes, int count);
  // L2 norm of the sum of all modes, from products of Gram matrices.
  double norm() const;
  // Updates modes begin..rank-1 axis by axis, once; the others stay frozen. `checkpoint` is called between axes, where
  // the modes are consistent, and may throw to end the sweep.
  SweepReport sweep(int begin, const std::function<void()>& checkpoint = [] {});

 private:
  struct Step;

  void reserve(int begin);
  void clear_fixed(int axis, int begin);
  void start(int begin);
  void update_grams(int axis, int begin);
  bool update_axis(int axis, int begin, SweepReport& report);
  void small_matrices(int axis, int begin);
  void project_load(int axis, int begin);
  void subtract_frozen(int axis, int begin);
  bool solve_axis(int axis, int begin, SweepReport& report);
  // Matrices of an axis that are diagonal, one or more.
  struct Pencil {
    std::int64_t n;
    std::vector<const double*> diagonals;
    double middle;  // geometric mean of the ends of the spectrum of the second against the first, for two
    int count() const { return static_cast<int>(diagonals.size()); }
  };
  void gather_small(int axis, int begin);
  bool solve_diagonal(const Pencil& pencil, int active, bool symmetric, SweepReport& report);
  bool diagonalise_small(int m, bool pair, double scale0, double scale1, bool careful);
  void rotate(std::int64_t n, int m, bool back);
  bool solve_symmetric_pencil(const Pencil& pencil, int active);
  bool solve_general_pencil(const Pencil& pencil, int active);
  bool solve_by_mean(int axis, int begin, int active);
  bool mean_pays(int axis, int active) const;
  void apply_all(int axis, int begin, const double* x, double* out);
  bool solve_two_banded(int axis, int active);
  bool solve_block_banded(int axis, int begin, int active);
  void fill_block_banded(int axis, int begin, int active, int width, double* system);
  // Whether the small matrices of an axis are symmetric.
  bool others_symmetric(int axis) const;
  void advance(int axis, int begin);
  void measure(int axis, int begin, SweepReport& report);
  bool normalise(int axis, int begin);
  void apply(int axis, int matrix, int columns, const double* x, double* out) const;

  int used(int axis) const { return static_cast<int>(system_.axes[axis].matrices.size()); }

  SeparatedSystem system_;
  int rank_ = 0;
  std::vector<std::vector<double>> factors_;  // per axis (n, rank), columns of unit mass norm
  std::vector<double> amplitudes_;            // (rank)
  std::vector<int> classes_;                  // (rank)

  ProductTree operator_, metric_, source_;  // of the Gram matrices and of the projected loads
  bool current_ = false;                    // whether grams_ and loads_ are those of the present factors

  // Workspaces of a sweep, sized once per (rank, active) by reserve().
  std::vector<std::vector<double>> grams_;      // per axis (matrices, rank, active): (A u_q, v_p) at [q][p]
  std::vector<std::vector<double>> loads_;      // per axis (loads, active)
  std::vector<double> small_;                   // (matrices, rank, active)
  std::vector<double> solution_, old_, image_;  // (n, rank)
  std::vector<double> gathered_;                // (loads, active)
  std::vector<double> matrix_work_, lane_work_, banded_work_, pencil_work_, mean_work_;
  std::vector<std::vector<double>> averages_;  // per axis and matrix: mean diagonal over that of the metric
  std::vector<std::vector<double>> images_;  // per axis with a mean pencil (matrices, n, rank): A_j u, all modes active
  std::vector<double> mean_rate_;            // per axis the rate of its refinement as last seen with so many modes
  std::vector<int> mean_failed_;  // per axis the number of modes for which its mean pencil was no good preconditioner
  std::vector<double> middle_;    // per diagonal axis of two matrices: geometric mean of the ends of their spectrum
  std::vector<std::int64_t> pivots_;
  std::vector<unsigned char> failed_;
  int reserved_rank_ = -1, reserved_active_ = -1;
};

}  // namespace inntd
