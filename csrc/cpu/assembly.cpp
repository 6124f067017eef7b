#include "inntd/assembly.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

namespace inntd {
namespace {

using Index = std::int64_t;

// Derivatives of order `order` with respect to xi of all functions of one kind, at xi.
template <class T>
void evaluate(const BasisTable<double>& table, Index kind, T xi, int order, T* out) {
  const int width = table.width;
  const double* block = table.coefficients + kind * (table.degree + 1) * width;
  std::fill(out, out + width, T(0));
  for (int q = table.degree; q >= order; --q) {
    T falling = 1;
    for (int r = 0; r < order; ++r) falling *= static_cast<T>(q - r);
    const double* c = block + Index{q} * width;
    for (int k = 0; k < width; ++k) out[k] = out[k] * xi + falling * static_cast<T>(c[k]);
  }
}

// Rounding makes the pieces of a uniform mesh differ in their last bits; they are meant to be equal.
double half_length(const BasisTable<double>& table, Index piece) {
  if (table.uniform) return 0.5 * ((table.breaks[table.pieces] - table.breaks[0]) / static_cast<double>(table.pieces));
  return 0.5 * (table.breaks[piece + 1] - table.breaks[piece]);
}

double power(double base, int exponent) {
  double result = 1.0;
  for (int i = 0; i < std::abs(exponent); ++i) result *= base;
  return exponent < 0 ? 1.0 / result : result;
}

// Writes the whole block from its upper triangle: rounding then cannot break the symmetry.
template <class T>
void mirror(T* block, int width) {
  for (int k = 0; k < width; ++k) {
    for (int l = 0; l < k; ++l) block[k * width + l] = block[l * width + k];
  }
}

// Blocks (kinds, width, width): integrals over xi in [-1, 1] of N_k^(test) N_l^(trial).
std::vector<double> kind_blocks(const BasisTable<double>& table, int trial, int test) {
  const std::int32_t kinds = 1 + *std::max_element(table.kind, table.kind + table.pieces);
  const int width = table.width, count = std::max(1, table.degree + 1 - (trial + test) / 2);
  const std::size_t area = static_cast<std::size_t>(width) * static_cast<std::size_t>(width);
  std::vector<long double> points(static_cast<std::size_t>(count)), weights(points), u(static_cast<std::size_t>(width)),
      v(u), block(area);
  gauss_rule(count, points.data(), weights.data());
  std::vector<double> blocks(static_cast<std::size_t>(kinds) * area);
  for (std::int32_t kind = 0; kind < kinds; ++kind) {
    std::fill(block.begin(), block.end(), 0.0L);
    for (int g = 0; g < count; ++g) {
      evaluate<long double>(table, kind, points[g], trial, u.data());
      evaluate<long double>(table, kind, points[g], test, v.data());
      for (int k = 0; k < width; ++k) {
        const long double scaled = weights[g] * v[k];
        for (int l = test == trial ? k : 0; l < width; ++l) block[k * width + l] += scaled * u[l];
      }
    }
    if (test == trial) mirror(block.data(), width);
    std::copy(block.begin(), block.end(), blocks.begin() + static_cast<std::ptrdiff_t>(kind * area));
  }
  return blocks;
}

// Derivatives (points, width) of the functions of a cell's piece at the cell's points. Where all cells have the same
// points, they are computed once per kind.
class CellTabulation {
 public:
  CellTabulation(const BasisTable<double>& table, const QuadratureCells& cells, int order)
      : table_(table), cells_(cells), order_(order), stride_(static_cast<std::size_t>(cells.points * table.width)) {
    constexpr std::int32_t most_kinds = 1 << 10;
    std::int32_t kinds = 1;
    for (Index c = 0; cells.shared && c < cells.cells; ++c) kinds = std::max(kinds, table.kind[cells.piece[c]] + 1);
    keep_ = cells.shared && kinds <= most_kinds;
    known_.assign(static_cast<std::size_t>(keep_ ? kinds : 1), 0);
    values_.resize(known_.size() * stride_);
  }

  const double* of_cell(Index c) {
    const std::int32_t kind = table_.kind[cells_.piece[c]];
    const std::size_t slot = keep_ ? static_cast<std::size_t>(kind) : 0;
    double* values = values_.data() + slot * stride_;
    if (keep_ && known_[slot] != 0) return values;
    known_[slot] = 1;
    const double* xi = cells_.xi + (cells_.shared ? 0 : c * cells_.points);
    for (int g = 0; g < cells_.points; ++g) evaluate<double>(table_, kind, xi[g], order_, values + g * table_.width);
    return values;
  }

 private:
  const BasisTable<double>& table_;
  const QuadratureCells& cells_;
  int order_;
  std::size_t stride_;
  bool keep_ = false;
  std::vector<char> known_;
  std::vector<double> values_;
};

// On a long uniform axis, rounding in the stiffness matrix costs pieces^2 units in the last place: the rows no longer
// annihilate constants. Blocks whose entries are multiples of one power of two, coarse enough for all sums of them to
// be exact, and whose rows add up to zero exactly, lose nothing but the rounding of the operator as a whole.
constexpr Index pieces_for_exact_rows = 512;

void make_rows_exact(std::vector<double>& blocks, int width) {
  double largest = 0.0;
  for (double value : blocks) largest = std::max(largest, std::abs(value));
  const double unit = std::ldexp(1.0, std::ilogb(largest) + 1 - 48);
  for (std::size_t start = 0; start < blocks.size(); start += static_cast<std::size_t>(width)) {
    double* row = blocks.data() + start;
    const int diagonal = static_cast<int>(start / static_cast<std::size_t>(width)) % width;
    double others = 0.0;
    for (int l = 0; l < width; ++l) {
      row[l] = std::round(row[l] / unit) * unit;
      if (l != diagonal) others += row[l];
    }
    row[diagonal] = -others;
  }
}

// Calls add(row of the band shifted so that [l] is the l-th function's column, k) for all functions of a piece.
template <class Add>
void for_band_rows(const BasisTable<double>& table, Index piece, double* band, Add&& add) {
  const int width = table.width, stride = 2 * width - 1;
  for (int k = 0; k < width; ++k) {
    Index row = table.first[piece] + k;
    if (row >= table.size) row -= table.size;
    add(band + row * stride + (width - 1 - k), k);
  }
}

}  // namespace

void gauss_rule(int count, long double* points, long double* weights) {
  constexpr long double pi = 3.14159265358979323846264338327950288L;
  for (int i = 0; i < (count + 1) / 2; ++i) {
    long double x = std::cos(pi * (static_cast<long double>(i) + 0.75L) / (static_cast<long double>(count) + 0.5L));
    if (2 * i + 1 == count) x = 0.0L;
    long double slope = 1.0L;
    for (int step = 0; step < 100; ++step) {
      long double previous = 1.0L, value = x;
      for (int n = 2; n <= count; ++n) {
        const long double next = ((2 * n - 1) * x * value - (n - 1) * previous) / n;
        previous = value;
        value = next;
      }
      slope = count * (x * value - previous) / (x * x - 1.0L);
      const long double change = value / slope;
      if (2 * i + 1 == count) break;
      x -= change;
      if (std::abs(change) < 1e-18L) break;
    }
    points[i] = -x;
    points[count - 1 - i] = x;
    weights[i] = weights[count - 1 - i] = 2.0L / ((1.0L - x * x) * slope * slope);
  }
}

void assemble_matrix(const BasisTable<double>& table, int trial, int test, double* band) {
  const int width = table.width;
  std::vector<double> blocks = kind_blocks(table, trial, test);
  std::fill(band, band + table.size * (2 * width - 1), 0.0);
  const bool scaled = table.uniform;  // all pieces alike
  if (scaled) {
    const double scale = power(half_length(table, 0), 1 - trial - test);
    for (double& value : blocks) value *= scale;
    if (trial == test && trial > 0 && table.pieces >= pieces_for_exact_rows) make_rows_exact(blocks, width);
  }
  for (Index e = 0; e < table.pieces; ++e) {
    const double scale = scaled ? 1.0 : power(half_length(table, e), 1 - trial - test);
    const double* block = blocks.data() + Index{table.kind[e]} * width * width;
    for_band_rows(table, e, band, [&](double* row, int k) {
      for (int l = 0; l < width; ++l) row[l] += scale * block[k * width + l];
    });
  }
}

void add_weighted_matrix(const BasisTable<double>& table, const QuadratureCells& cells, const double* weight, int trial,
                         int test, double* band) {
  const int width = table.width;
  CellTabulation trials(table, cells, trial), tests(table, cells, test);
  std::vector<double> block(static_cast<std::size_t>(width) * static_cast<std::size_t>(width));
  for (Index c = 0; c < cells.cells; ++c) {
    const Index piece = cells.piece[c];
    const double scale = power(half_length(table, piece), -trial - test);
    const double *u = trials.of_cell(c), *v = test == trial ? u : tests.of_cell(c);
    std::fill(block.begin(), block.end(), 0.0);
    for (int g = 0; g < cells.points; ++g, u += width, v += width) {
      const double factor = scale * weight[c * cells.points + g];
      for (int k = 0; k < width; ++k) {
        const double scaled = factor * v[k];
        for (int l = test == trial ? k : 0; l < width; ++l) block[k * width + l] += scaled * u[l];
      }
    }
    if (test == trial) mirror(block.data(), width);
    for_band_rows(table, piece, band, [&](double* row, int k) {
      for (int l = 0; l < width; ++l) row[l] += block[k * width + l];
    });
  }
}

void add_load(const BasisTable<double>& table, const QuadratureCells& cells, const double* values, int columns,
              int test, double* out) {
  const int width = table.width;
  CellTabulation tests(table, cells, test);
  for (Index c = 0; c < cells.cells; ++c) {
    const Index piece = cells.piece[c];
    const double scale = power(half_length(table, piece), -test);
    const double* v = tests.of_cell(c);
    for (int g = 0; g < cells.points; ++g, v += width) {
      const double* value = values + (c * cells.points + g) * columns;
      for (int k = 0; k < width; ++k) {
        Index row = table.first[piece] + k;
        if (row >= table.size) row -= table.size;
        const double factor = scale * v[k];
        for (int r = 0; r < columns; ++r) out[row * columns + r] += factor * value[r];
      }
    }
  }
}

}  // namespace inntd
