// Sums of products over all axes but one, for one axis after the other.
//
// Terms of a separated sum share most of their factors: in a balanced tree over the axes every node holds the distinct
// products of the factors of its axes ("inner"), and on the way to an axis the sums of what the other axes contribute
// to each of them ("outer"). A diffusion equation with D random coefficients has O(D) terms of O(D) factors; the tree
// needs O(D log D) products for all axes together instead of O(D^2).
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace inntd {

class ProductTree {
 public:
  // sum over t of weights[t] * product over d of factor terms[t, d] of axis d; terms (weights.size(), axes).
  ProductTree(int axes, const std::vector<std::int32_t>& terms, const std::vector<double>& weights);

  // Takes the factors, factors[d] + j * count with `count` entries each, which stay the caller's, and gets ready for
  // the first axis.
  void start(std::size_t count, const std::vector<const double*>& factors);
  // Writes for each factor j of the axis that occurs the sum of its terms without it to out + j * count. Axes are asked
  // for in order.
  void collect(int axis, double* out);
  // Tells that the factors of an axis have changed, after collect() and before the next axis.
  void update(int axis);

 private:
  struct Node {
    int first, last;            // axes
    int left = -1, right = -1;  // children; -1: a leaf
    int parent = -1, depth = 0;
    std::vector<std::int32_t> a = {}, b = {};  // per distinct product: those of the children; a leaf: a is the factor
    std::size_t inner = 0;                     // places in memory, in units of `count`
  };

  int build(int first, int last, int parent, int depth, const std::vector<std::int32_t>& terms, std::size_t count,
            std::vector<std::int32_t>& own);
  const double* inner(int node, std::int32_t product) const;
  double* outer(int node) { return outer_.data() + depth_offset_[nodes_[node].depth] * count_; }
  void multiply_up(int node);
  void divide_down(int node);

  int axes_;
  std::vector<Node> nodes_;
  std::vector<int> leaves_;                // per axis its node
  std::vector<double> weights_;            // per distinct product of the root
  std::vector<std::size_t> depth_offset_;  // outer products: one node per depth is needed at a time
  std::size_t inner_size_ = 0, outer_size_ = 0, count_ = 0;
  std::vector<const double*> factors_;
  std::vector<double> inner_, outer_;
};

}  // namespace inntd
