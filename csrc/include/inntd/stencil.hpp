// Builds the table of piecewise polynomials of one axis: the C-HiDeNN basis
//   N~_k(x) = sum over the two nodes i of the element of N_i(x) W_i^(k)(x),
// with the linear hats N_i and, on the patch of node i, interpolation functions W_i^(k).
#pragma once

#include <cstdint>
#include <vector>

namespace inntd {

enum class PatchKernel { lagrange, cubic, gaussian };

struct StencilMesh {
  const double* nodes;  // (elements + 1), increasing; on a periodic mesh the last is node 0 one period on
  std::int64_t elements;
  bool periodic;
  const std::int64_t* breaks;  // indices of the nodes that no patch crosses, increasing; 0 is allowed when periodic
  std::int64_t break_count;
};

// One entry per function (elements + 1, or elements when periodic).
struct StencilPatches {
  const std::int32_t* s;  // hops: patches have 2 s + 1 nodes; s = 0 gives the linear hats
  const std::int32_t* p;  // polynomials reproduced (radial kernels; the Lagrange kernel has p = 2 s)
  const double* a;        // dilation, in mean spacings of the patch (radial kernels)
  PatchKernel kernel;
  bool shifted;  // patches at an end or a break are shifted inward to keep 2 s + 1 nodes; else they are cut off
};

// The fields of BasisTable, owned, and the worst condition number met.
struct Stencil {
  std::vector<double> breaks;
  std::vector<std::int32_t> kind;
  std::vector<std::int64_t> first;
  std::vector<double> coefficients;
  std::int64_t size = 0;
  int width = 0;
  int degree = 0;
  bool uniform = false;
  bool periodic = false;
  double worst_condition = 1.0;  // of the moment matrices, 1-norm
  double lost = 0.0;  // relative error that this may cause in the functions, for they are computed in WideDouble
  std::int64_t worst_node = 0;
};

// On the elements of a segment between breaks (or ends) with fewer than 2 s + 1 nodes, shifted patches take the largest
// odd number of nodes that fits; a node at a break keeps its long patch on the other side. A periodic mesh without
// breaks needs at least 2 s + 2 elements: the caller has checked it.
Stencil build_stencil(const StencilMesh& mesh, const StencilPatches& patches);

}  // namespace inntd
