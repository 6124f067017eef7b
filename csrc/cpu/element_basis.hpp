// The basis functions of one element, from the positions of the nodes around it.
#pragma once

#include <cstdint>
#include <vector>

#include "inntd/double_double.hpp"
#include "inntd/stencil.hpp"

namespace inntd {

// A patch of one of the element's two nodes, within the element's window of nodes.
struct Patch {
  int begin = 0;  // of its nodes in ElementShape::positions
  int count = 1;
  int p = 0;
  double a = 1.0;
};

struct ElementShape {
  std::vector<DoubleDouble> positions;  // of the window's nodes, where the element is [-1, 1]
  Patch patches[2];                     // of the left and the right node
};

// Polynomials of all functions of the window on one piece [left, right] of the element [-1, 1], in the monomials of
// the piece's own coordinate in [-1, 1].
struct PieceBasis {
  double left = -1.0;
  double right = 1.0;
  std::vector<double> coefficients;  // (powers, window)
};

struct ElementBasis {
  std::vector<PieceBasis> pieces;
  double condition[2] = {1.0, 1.0};  // of the two patches' moment matrices
};

ElementBasis lagrange_element(const ElementShape& shape);
ElementBasis radial_element(const ElementShape& shape, PatchKernel kernel);

}  // namespace inntd
