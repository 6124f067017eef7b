#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "inntd/double_double.hpp"
#include "tables.hpp"

namespace inntd::testing {
namespace {

// Values or derivatives of all functions at x, from the table.
std::vector<double> functions_at(const Axis& axis, double x, int order = 0) {
  const BasisTable<double> table = axis.table<double>();
  std::int64_t piece = 0;
  kernels().of<double>().basis.locate(table, &x, 1, &piece);
  std::vector<double> row(static_cast<std::size_t>(table.width)), all(static_cast<std::size_t>(table.size));
  kernels().of<double>().basis.tabulate(table, &x, &piece, 1, order, row.data());
  for (int k = 0; k < table.width; ++k) all[(table.first[piece] + k) % table.size] += row[k];
  return all;
}

double sum(const std::vector<double>& values) {
  double total = 0.0;
  for (double value : values) total += value;
  return total;
}

struct Sample {
  Axis axis;
  double grading;
};

std::vector<Sample> samples() {
  std::vector<Sample> axes;
  for (const bool periodic : {false, true}) {
    for (const double grading : {1.0, 1.5}) {
      for (const int s : {0, 1, 3, 5}) axes.push_back({make_axis(20, s, periodic, grading), grading});
      for (const PatchKernel kernel : {PatchKernel::cubic, PatchKernel::gaussian}) {
        axes.push_back({make_axis(20, 2, periodic, grading, kernel, 1, 20.0), grading});
        axes.push_back({make_axis(20, 3, periodic, grading, kernel, 2, 1.3), grading});
      }
    }
  }
  return axes;
}

TEST_CASE("functions are nodal and add up to one") {
  for (const Sample& sample : samples()) {
    const std::int64_t size = sample.axis.stencil.size;
    for (std::int64_t i = 0; i < size; ++i) {
      const double node = std::pow(static_cast<double>(i) / 20, sample.grading);
      const std::vector<double> values = functions_at(sample.axis, node);
      for (std::int64_t k = 0; k < size; ++k) CHECK(std::abs(values[k] - (i == k)) < 1e-12);
    }
    for (double x = 0.003; x < 1.0; x += 0.037) {
      CHECK(std::abs(sum(functions_at(sample.axis, x)) - 1.0) < 1e-12);
      CHECK(std::abs(sum(functions_at(sample.axis, x, 1))) < 1e-9);
    }
  }
}

TEST_CASE("equally spaced elements share their polynomials") {
  const Axis axis = make_axis(10000, 3);
  CHECK(axis.stencil.uniform);
  CHECK(axis.stencil.coefficients.size() == 7 * 8 * 8);
  CHECK(make_axis(10000, 3, true).stencil.coefficients.size() == 8 * 8);
  CHECK_FALSE(make_axis(100, 3, false, 2.0).stencil.uniform);
}

TEST_CASE("rows of end elements stay inside") {
  for (const Sample& sample : samples()) {
    const Stencil& stencil = sample.axis.stencil;
    for (const std::int64_t first : stencil.first) {
      CHECK(first >= 0);
      CHECK((stencil.periodic || first + stencil.width <= stencil.size));
    }
  }
}

TEST_CASE("kernels with knots inside elements get more pieces") {
  const Axis axis = make_axis(20, 2, false, 1.0, PatchKernel::cubic, 1, 1.3);
  CHECK(axis.stencil.first.size() > 20);
  CHECK_FALSE(axis.stencil.uniform);
  for (std::size_t e = 0; e + 1 < axis.stencil.breaks.size(); ++e) {
    CHECK(axis.stencil.breaks[e] < axis.stencil.breaks[e + 1]);
  }
}

TEST_CASE("no patch crosses a break") {
  std::vector<double> nodes;
  for (int i = 0; i <= 20; ++i) nodes.push_back(0.05 * i);
  const std::vector<std::int32_t> s(21, 2), p(21, 4);
  const std::vector<double> a(21, 1.0);
  const std::int64_t breaks[] = {8};
  Axis axis;
  axis.stencil =
      build_stencil({nodes.data(), 20, false, breaks, 1}, {s.data(), p.data(), a.data(), PatchKernel::lagrange, true});
  for (double x = 0.01; x < 1.0; x += 0.03) {
    const std::vector<double> values = functions_at(axis, x);
    for (int k = 0; k <= 20; ++k) {
      if (x < nodes[8] ? k > 8 : k < 8) CHECK(values[k] == 0.0);
    }
  }
}

TEST_CASE("flat kernels report the condition of their moment matrix") {
  const Axis steep = make_axis(20, 3, false, 1.0, PatchKernel::gaussian, 1, 2.0);
  const Axis flat = make_axis(20, 4, false, 1.0, PatchKernel::gaussian, 1, 20.0);
  CHECK(steep.stencil.worst_condition < 1e6);
  CHECK(flat.stencil.worst_condition > 1e18);
  CHECK(flat.stencil.worst_condition < 1e20);
  CHECK(flat.stencil.lost == flat.stencil.worst_condition * static_cast<double>(WideDouble::epsilon));
  CHECK(make_axis(20, 3, false, 1.0, PatchKernel::gaussian, 1, 1e200).stencil.lost > 1.0);
}

}  // namespace
}  // namespace inntd::testing
