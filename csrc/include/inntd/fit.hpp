// The native fit loop: mini-batches of sorted blocks, squared loss, Adam.
#pragma once

#include <cstdint>
#include <memory>

#include "inntd/basis.hpp"

namespace inntd {

struct AdamSettings {
  double beta1 = 0.9;
  double beta2 = 0.999;
  double epsilon = 1e-8;
  double decay = 0.0;
};

// A CP model in training, u_c(x) = sum_m outputs[c][m] prod_d sum_i N_i(x_d) factors[d][i][m]; without outputs these
// are ones. The loss is the weighted mean of squares over points and outputs.
template <class T>
class CpFit {
 public:
  CpFit(const BasisTable<T>* tables, std::int64_t axes, std::int64_t modes, std::int64_t outputs);
  ~CpFit();
  CpFit(const CpFit&) = delete;
  CpFit& operator=(const CpFit&) = delete;

  std::int64_t axes() const;
  std::int64_t modes() const;
  std::int64_t outputs() const;
  std::int64_t blocks() const;
  std::int64_t block() const;
  std::int64_t count() const;  // points

  // Factor d < axes, or the outputs' (outputs, modes) for d = axes. What: parameters, Adam's means or squares, the
  // gradient that `gradient` left, or what Adam moves: the coefficients, which are the parameters of an axis without
  // functions of its own. Parameters that are put do not change the coefficients; coefficients change the parameters.
  enum class What { parameters, mean, square, gradient, coefficients };
  void put(What what, std::int64_t d, const T* factor);
  void take(What what, std::int64_t d, T* factor) const;

  // Lets Adam move coefficients of functions, whose nodal values are the columns of matrix (size, size), in place of
  // the nodal values of axis d: parameters = matrix coefficients. Put the coefficients next.
  void set_functions(std::int64_t d, const T* matrix);

  // Points (count, axes), values (count, outputs or 1), weights (count) or null. Blocks of at most `block` points are
  // formed of chosen[0], chosen[1], ...; everything is copied.
  void set_data(const double* points, const double* values, const double* weights, const std::int64_t* chosen,
                std::int64_t count, std::int64_t block);

  // Steps of Adam, each on the next `blocks_per_step` of the blocks in `order` (length), at rates[i]. The number of
  // steps done before is `done`. Returns the sum over steps of loss times points; stops at a loss that is not finite.
  double run(const std::int32_t* order, std::int64_t length, std::int64_t blocks_per_step, const double* rates,
             std::int64_t done, const AdamSettings& settings, int threads);

  // The loss over all data; its gradient waits for `take`.
  double gradient(int threads);

  // One step in two halves, for several processes: the share of some blocks in the gradient of a batch of `batch`
  // points, left for `take`; and a step of Adam with the gradient that was `put`. Returns the sum of squares over these
  // blocks by outputs.
  double partial_gradient(const std::int32_t* order, std::int64_t length, std::int64_t batch, int threads);
  void apply(double rate, std::int64_t done, const AdamSettings& settings);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace inntd
