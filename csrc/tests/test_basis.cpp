#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "tables.hpp"

namespace inntd::testing {
namespace {

template <class T>
std::vector<std::int64_t> pieces_of(const Axis& axis, const std::vector<T>& x) {
  std::vector<std::int64_t> piece(x.size());
  kernels().of<T>().basis.locate(axis.table<T>(), x.data(), static_cast<std::int64_t>(x.size()), piece.data());
  return piece;
}

TEST_CASE("a point belongs to the piece whose left end it has reached") {
  for (const std::string& isa : available_isas()) {
    const WithIsa chosen(isa);
    for (const double grading : {1.0, 2.0}) {
      for (const int elements : {1, 2, 7, 40, 1000}) {
        const Axis axis = make_axis(elements, 0, false, grading);
        const auto& breaks = axis.stencil.breaks;
        std::vector<double> x;
        std::vector<std::int64_t> expected;
        for (int e = 0; e < elements; ++e) {
          for (const double point :
               {breaks[e], 0.5 * (breaks[e] + breaks[e + 1]), std::nextafter(breaks[e + 1], -1.0)}) {
            x.push_back(point);
            expected.push_back(e);
          }
        }
        x.push_back(breaks.back());
        expected.push_back(elements - 1);
        CHECK(pieces_of(axis, x) == expected);
      }
    }
  }
}

TEST_CASE("points outside, infinite or NaN go to a piece at an end") {
  const double infinity = std::numeric_limits<double>::infinity();
  for (const std::string& isa : available_isas()) {
    const WithIsa chosen(isa);
    for (const double grading : {1.0, 2.0}) {
      const Axis axis = make_axis(8, 1, false, grading);
      CHECK(pieces_of<double>(axis, {-1.0, -infinity, 2.0, infinity}) == std::vector<std::int64_t>{0, 0, 7, 7});
      const std::int64_t piece = pieces_of<double>(axis, {std::nan("")})[0];
      CHECK(piece >= 0);
      CHECK(piece < 8);
    }
  }
}

TEST_CASE_TEMPLATE("tabulated functions sum to one, their derivatives to zero", T, float, double) {
  const T tolerance = 200 * std::numeric_limits<T>::epsilon();
  for (const std::string& isa : available_isas()) {
    const WithIsa chosen(isa);
    for (const int s : {0, 1, 2, 4}) {
      for (const bool periodic : {false, true}) {
        const Axis axis = make_axis(16, s, periodic);
        const int width = axis.stencil.width;
        std::vector<T> x;
        for (int i = 0; i <= 333; ++i) x.push_back(static_cast<T>(i / 333.0));
        const auto piece = pieces_of(axis, x);
        std::vector<T> rows(x.size() * width);
        for (int order = 0; order < 3; ++order) {
          kernels().of<T>().basis.tabulate(axis.table<T>(), x.data(), piece.data(), static_cast<std::int64_t>(x.size()),
                                           order, rows.data());
          const T size = std::pow(T(32), order);  // (2 / h)^order
          for (std::size_t i = 0; i < x.size(); ++i) {
            T sum = 0, absolute = 0;
            for (int k = 0; k < width; ++k) {
              sum += rows[i * width + k];
              absolute += std::abs(rows[i * width + k]);
            }
            CHECK(std::abs(sum - (order == 0 ? T(1) : T(0))) <= tolerance * (absolute + size));
          }
        }
      }
    }
  }
}

}  // namespace
}  // namespace inntd::testing
