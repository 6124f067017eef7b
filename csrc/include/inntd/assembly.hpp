// One-dimensional matrices and loads of a basis table.
//
// Matrices are stored by rows: band (size, 2 b + 1), band[i][b + j - i] = A_ij, with b = width - 1; on a periodic axis
// the column index wraps around.
#pragma once

#include <cstdint>

#include "inntd/basis.hpp"

namespace inntd {

// band = integral of N_i^(test) N_j^(trial). One small dense block per kind, scaled by the length of each piece.
void assemble_matrix(const BasisTable<double>& table, int trial, int test, double* band);

// Cells of quadrature points: cell c lies in piece[c] and has `points` points xi (in the piece's coordinate [-1, 1]).
struct QuadratureCells {
  const std::int64_t* piece;  // (cells)
  const double* xi;           // (cells, points), or (points) when shared
  std::int64_t cells;
  int points;
  bool shared;  // all cells have the same points
};

// band += sum over points of weight (cells, points) * N_i^(test) N_j^(trial).
void add_weighted_matrix(const BasisTable<double>& table, const QuadratureCells& cells, const double* weight, int trial,
                         int test, double* band);

// out (size, columns) += sum over points of N_i^(test) * values (cells, points, columns).
void add_load(const BasisTable<double>& table, const QuadratureCells& cells, const double* values, int columns,
              int test, double* out);

// Gauss-Legendre points and weights on [-1, 1], symmetric to the last bit.
void gauss_rule(int count, long double* points, long double* weights);

}  // namespace inntd
