// From a mesh and node-wise patches to the table of piecewise polynomials: finds every element's window of nodes,
// computes one set of polynomials per distinct shape, and lets all elements of that shape share it.
#include "inntd/stencil.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include "element_basis.hpp"

namespace inntd {
namespace {

using Index = std::int64_t;

// Nodes by unwrapped index: on a periodic mesh any integer, node j + elements being node j one period on.
class Mesh {
 public:
  explicit Mesh(const StencilMesh& mesh) : mesh_(mesh), period_(mesh.nodes[mesh.elements] - mesh.nodes[0]) {
    const double largest = std::max(std::abs(mesh.nodes[0]), std::abs(mesh.nodes[mesh.elements]));
    tolerance_ = 4.0 * std::numeric_limits<double>::epsilon() * largest;
  }

  Index function(Index node) const {
    if (!mesh_.periodic) return node;
    const Index wrapped = node % mesh_.elements;
    return wrapped < 0 ? wrapped + mesh_.elements : wrapped;
  }

  DoubleDouble position(Index node) const {
    if (!mesh_.periodic) return mesh_.nodes[node];
    const Index wrapped = function(node);
    const double periods = static_cast<double>((node - wrapped) / mesh_.elements);
    return DoubleDouble(mesh_.nodes[wrapped]) + DoubleDouble(periods) * period_;
  }

  // Whether the nodes lo..hi are equally spaced up to the rounding of their coordinates.
  bool equally_spaced(Index element, Index lo, Index hi) const {
    const double origin = mesh_.nodes[element], step = mesh_.nodes[element + 1] - origin;
    for (Index j = lo; j <= hi; ++j) {
      const double hops = static_cast<double>(j - element);
      const double x = mesh_.periodic ? static_cast<double>(position(j)) : mesh_.nodes[j];
      if (std::abs(x - origin - hops * step) > tolerance_ * (1.0 + std::abs(hops))) return false;
    }
    return true;
  }

  // Whether all nodes are equally spaced over the whole mesh, to a fraction of an element.
  bool uniform() const {
    const double origin = mesh_.nodes[0], count = static_cast<double>(mesh_.elements);
    for (Index j = 0; j <= mesh_.elements; ++j) {
      const double ideal = origin + (mesh_.nodes[mesh_.elements] - origin) * (static_cast<double>(j) / count);
      if (std::abs(mesh_.nodes[j] - ideal) > tolerance_) return false;
    }
    return true;
  }

  // The nodes that the patches of an element may use: those between the breaks or ends around it.
  std::vector<std::pair<Index, Index>> segments() const {
    std::vector<std::pair<Index, Index>> segment(static_cast<std::size_t>(mesh_.elements));
    const Index far = std::numeric_limits<Index>::max() / 4;
    Index begin = 0, next = 0;
    Index last = mesh_.elements;
    if (mesh_.periodic) {
      begin = mesh_.break_count > 0 ? mesh_.breaks[mesh_.break_count - 1] - mesh_.elements : -far;
      last = mesh_.break_count > 0 ? mesh_.breaks[0] + mesh_.elements : far;
    }
    for (Index e = 0; e < mesh_.elements; ++e) {
      while (next < mesh_.break_count && mesh_.breaks[next] <= e) begin = mesh_.breaks[next++];
      segment[static_cast<std::size_t>(e)] = {begin, next < mesh_.break_count ? mesh_.breaks[next] : last};
    }
    return segment;
  }

  const StencilMesh& mesh() const { return mesh_; }

 private:
  StencilMesh mesh_;
  DoubleDouble period_;
  double tolerance_;
};

struct Range {
  Index begin, end;  // end included
};

// What distinguishes elements of an equally spaced mesh from each other.
struct Shape {
  Index offsets[5];  // first node of window and of both patches relative to the element, and both patch sizes
  Index skipped;     // functions that the padded row holds before the window
  int p[2];
  double a[2];

  auto operator<=>(const Shape&) const = default;
};

class Builder {
 public:
  Builder(const StencilMesh& mesh, const StencilPatches& patches)
      : mesh_(mesh), patches_(patches), segments_(mesh_.segments()) {}

  Stencil build() {
    const Index elements = mesh_.mesh().elements;
    stencil_.size = mesh_.mesh().periodic ? elements : elements + 1;
    stencil_.periodic = mesh_.mesh().periodic;
    for (Index e = 0; e < elements; ++e) {
      const Range window = window_of(e);
      stencil_.width = std::max(stencil_.width, static_cast<int>(window.end - window.begin + 1));
    }
    for (Index e = 0; e < elements; ++e) add_element(e);
    store_coefficients();
    stencil_.uniform = static_cast<Index>(stencil_.first.size()) == elements && mesh_.uniform();
    stencil_.lost = stencil_.worst_condition * static_cast<double>(WideDouble::epsilon);
    return std::move(stencil_);
  }

 private:
  Range patch_of(Index node, Index element) const {
    const auto [begin, end] = segments_[static_cast<std::size_t>(element)];
    Index s = patches_.s[mesh_.function(node)];
    if (!patches_.shifted) return {std::max(node - s, begin), std::min(node + s, end)};
    s = std::min(s, (end - begin) / 2);
    const Index first = std::clamp(node - s, begin, end - 2 * s);
    return {first, first + 2 * s};
  }

  Range window_of(Index element) const {
    const Range left = patch_of(element, element), right = patch_of(element + 1, element);
    return {std::min(left.begin, right.begin), std::max(left.end, right.end)};
  }

  void add_element(Index e) {
    const Range window = window_of(e), left = patch_of(e, e), right = patch_of(e + 1, e);
    const Index last_start = stencil_.size - stencil_.width;
    const Index first = stencil_.periodic ? window.begin : std::min(window.begin, last_start);
    Shape shape{};
    const Index offsets[5] = {window.begin - e, left.begin - e, left.end - left.begin, right.begin - e,
                              right.end - right.begin};
    std::copy(offsets, offsets + 5, shape.offsets);
    shape.skipped = window.begin - first;
    if (patches_.kernel != PatchKernel::lagrange) {
      for (int side = 0; side < 2; ++side) {
        shape.p[side] = patches_.p[mesh_.function(e + side)];
        shape.a[side] = patches_.a[mesh_.function(e + side)];
      }
    }
    const bool equal = mesh_.equally_spaced(e, window.begin, window.end);
    emit(e, mesh_.function(first), kinds_of(shape, e, window, equal));
  }

  // Kinds of the element's pieces: found again when an equally spaced element had the same shape, else computed.
  Range kinds_of(const Shape& shape, Index e, Range window, bool equal) {
    if (equal && recent_valid_ && shape == recent_shape_) return recent_kinds_;
    if (equal) {
      const auto found = known_.find(shape);
      if (found != known_.end()) return remember(shape, found->second);
    }
    const Range kinds = compute(shape, e, window, equal);
    if (equal) {
      known_.emplace(shape, kinds);
      remember(shape, kinds);
    }
    return kinds;
  }

  Range remember(const Shape& shape, Range kinds) {
    recent_valid_ = true;
    recent_shape_ = shape;
    recent_kinds_ = kinds;
    return kinds;
  }

  Range compute(const Shape& shape, Index e, Range window, bool equal) {
    ElementShape element;
    const DoubleDouble a = mesh_.position(e), b = mesh_.position(e + 1);
    for (Index j = window.begin; j <= window.end; ++j) {
      const DoubleDouble x = mesh_.position(j);
      element.positions.push_back(equal ? DoubleDouble(static_cast<double>(2 * (j - e) - 1))
                                        : ((x - a) + (x - b)) / (b - a));
    }
    for (int side = 0; side < 2; ++side) {
      element.patches[side] = {static_cast<int>(shape.offsets[1 + 2 * side] - shape.offsets[0]),
                               static_cast<int>(shape.offsets[2 + 2 * side]) + 1, shape.p[side], shape.a[side]};
    }
    // Nodes alone, between two breaks: no kernel is needed, nor has it a scale.
    const bool alone = element.patches[0].count == 1 && element.patches[1].count == 1;
    ElementBasis basis = alone || patches_.kernel == PatchKernel::lagrange ? lagrange_element(element)
                                                                           : radial_element(element, patches_.kernel);
    const Index first_kind = static_cast<Index>(kinds_.size());
    for (PieceBasis& piece : basis.pieces) {
      kinds_.push_back({std::move(piece), element.positions.size(), static_cast<int>(shape.skipped)});
    }
    for (int side = 0; side < 2; ++side) {
      if (!(basis.condition[side] <= stencil_.worst_condition)) {
        stencil_.worst_condition = basis.condition[side];
        stencil_.worst_node = mesh_.function(e + side);
      }
    }
    return {first_kind, static_cast<Index>(kinds_.size()) - 1};
  }

  void emit(Index e, Index first, Range kinds) {
    const double a = mesh_.mesh().nodes[e], b = mesh_.mesh().nodes[e + 1];
    if (stencil_.breaks.empty()) stencil_.breaks.push_back(a);
    for (Index kind = kinds.begin; kind <= kinds.end; ++kind) {
      const double right = kinds_[static_cast<std::size_t>(kind)].basis.right;
      stencil_.breaks.push_back(kind == kinds.end ? b : a + 0.5 * (right + 1.0) * (b - a));
      stencil_.kind.push_back(static_cast<std::int32_t>(kind));
      stencil_.first.push_back(first);
    }
  }

  void store_coefficients() {
    std::size_t rows = 1;
    for (const Kind& kind : kinds_) rows = std::max(rows, kind.basis.coefficients.size() / kind.window);
    const std::size_t width = static_cast<std::size_t>(stencil_.width), block = rows * width;
    stencil_.degree = static_cast<int>(rows) - 1;
    stencil_.coefficients.assign(kinds_.size() * block, 0.0);
    double* out = stencil_.coefficients.data();
    for (const Kind& kind : kinds_) {
      double* row = out + kind.skipped;
      const std::vector<double>& values = kind.basis.coefficients;
      for (std::size_t i = 0; i < values.size(); i += kind.window, row += width) {
        std::copy_n(values.data() + i, kind.window, row);
      }
      out += block;
    }
  }

  struct Kind {
    PieceBasis basis;
    std::size_t window;  // functions
    int skipped;
  };

  Mesh mesh_;
  StencilPatches patches_;
  std::vector<std::pair<Index, Index>> segments_;
  Stencil stencil_;
  std::vector<Kind> kinds_;
  std::map<Shape, Range> known_;
  bool recent_valid_ = false;
  Shape recent_shape_{};
  Range recent_kinds_{};
};

}  // namespace

Stencil build_stencil(const StencilMesh& mesh, const StencilPatches& patches) { return Builder(mesh, patches).build(); }

}  // namespace inntd
