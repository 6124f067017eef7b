#include "inntd/product_tree.hpp"

#include <algorithm>

#include "inntd/kernels.hpp"

namespace inntd {

ProductTree::ProductTree(int axes, const std::vector<std::int32_t>& terms, const std::vector<double>& weights)
    : axes_(axes), leaves_(axes) {
  std::vector<std::int32_t> own;
  const int root = build(0, axes, -1, 0, terms, weights.size(), own);
  weights_.assign(nodes_[root].a.size(), 0.0);
  for (std::size_t t = 0; t < weights.size(); ++t) weights_[own[t]] += weights[t];
  std::vector<std::size_t> most;
  for (const Node& node : nodes_) {
    if (most.size() <= static_cast<std::size_t>(node.depth)) most.resize(node.depth + 1);
    most[node.depth] = std::max(most[node.depth], node.a.size());
  }
  for (const std::size_t size : most) {
    depth_offset_.push_back(outer_size_);
    outer_size_ += size;
  }
}

// Makes the node of axes first .. last - 1; own[t] becomes the place of term t among its distinct products.
int ProductTree::build(int first, int last, int parent, int depth, const std::vector<std::int32_t>& terms,
                       std::size_t count, std::vector<std::int32_t>& own) {
  const int index = static_cast<int>(nodes_.size());
  nodes_.push_back({first, last});
  nodes_[index].parent = parent;
  nodes_[index].depth = depth;
  std::vector<std::int64_t> keys(count);
  std::int64_t stride = 1;
  if (last - first == 1) {
    leaves_[first] = index;
    for (std::size_t t = 0; t < count; ++t) keys[t] = terms[t * axes_ + first];
  } else {
    std::vector<std::int32_t> left, right;
    const int middle = first + (last - first + 1) / 2;
    nodes_[index].left = build(first, middle, index, depth + 1, terms, count, left);
    const int right_node = build(middle, last, index, depth + 1, terms, count, right);
    nodes_[index].right = right_node;
    stride = static_cast<std::int64_t>(nodes_[right_node].a.size());
    for (std::size_t t = 0; t < count; ++t) keys[t] = left[t] * stride + right[t];
  }
  std::vector<std::int64_t> distinct = keys;
  std::sort(distinct.begin(), distinct.end());
  distinct.erase(std::unique(distinct.begin(), distinct.end()), distinct.end());
  own.resize(count);
  for (std::size_t t = 0; t < count; ++t) {
    own[t] = static_cast<std::int32_t>(std::lower_bound(distinct.begin(), distinct.end(), keys[t]) - distinct.begin());
  }
  Node& node = nodes_[index];
  for (const std::int64_t key : distinct) {
    node.a.push_back(static_cast<std::int32_t>(key / stride));
    node.b.push_back(static_cast<std::int32_t>(key % stride));
  }
  if (node.left >= 0 && parent >= 0) {
    node.inner = inner_size_;
    inner_size_ += distinct.size();
  }
  return index;
}

const double* ProductTree::inner(int node, std::int32_t product) const {
  const Node& n = nodes_[node];
  if (n.left < 0) return factors_[n.first] + static_cast<std::size_t>(n.a[product]) * count_;
  return inner_.data() + (n.inner + static_cast<std::size_t>(product)) * count_;
}

// The products of a node from those of its children.
void ProductTree::multiply_up(int node) {
  const Node& n = nodes_[node];
  double* out = inner_.data() + n.inner * count_;
  for (std::size_t s = 0; s < n.a.size(); ++s) {
    kernels().f64.dense.hadamard(count_, inner(n.left, n.a[s]), inner(n.right, n.b[s]), out + s * count_);
  }
}

// What all other axes contribute to each product of a node, from the same of its parent.
void ProductTree::divide_down(int node) {
  const Node& up = nodes_[nodes_[node].parent];
  const bool left = up.left == node;
  const int sibling = left ? up.right : up.left;
  const std::vector<std::int32_t>&mine = left ? up.a : up.b, &others = left ? up.b : up.a;
  const double* from = outer(nodes_[node].parent);
  double* to = outer(node);
  std::fill_n(to, nodes_[node].a.size() * count_, 0.0);
  for (std::size_t s = 0; s < mine.size(); ++s) {
    kernels().f64.dense.hadamard_add(count_, from + s * count_, inner(sibling, others[s]), to + mine[s] * count_);
  }
}

void ProductTree::start(std::size_t count, const std::vector<const double*>& factors) {
  count_ = count;
  factors_ = factors;
  inner_.resize(inner_size_ * count);
  outer_.resize(outer_size_ * count);
  for (std::size_t s = 0; s < weights_.size(); ++s) std::fill_n(outer(0) + s * count, count, weights_[s]);
  for (int node = static_cast<int>(nodes_.size()) - 1; node > 0; --node) {  // children come after their parent
    if (nodes_[node].left >= 0) multiply_up(node);
  }
}

void ProductTree::collect(int axis, double* out) {
  // Nodes that begin with this axis have not been visited; the others on the way to it have.
  int top = leaves_[axis];
  while (nodes_[top].parent >= 0 && nodes_[nodes_[top].parent].first == axis) top = nodes_[top].parent;
  for (int node = top; node >= 0; node = nodes_[node].left) {
    if (nodes_[node].parent >= 0) divide_down(node);
  }
  const Node& leaf = nodes_[leaves_[axis]];
  const double* found = outer(leaves_[axis]);
  for (std::size_t s = 0; s < leaf.a.size(); ++s) {
    std::copy_n(found + s * count_, count_, out + static_cast<std::size_t>(leaf.a[s]) * count_);
  }
}

void ProductTree::update(int axis) {
  for (int node = nodes_[leaves_[axis]].parent; node > 0 && nodes_[node].last == axis + 1; node = nodes_[node].parent) {
    multiply_up(node);
  }
}

}  // namespace inntd
