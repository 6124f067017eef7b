// Loops whose speed bounds everything else; compiled once per instruction set.
#pragma once

#include <cstdint>

namespace inntd::bench {

struct Limits {
  // Both return the number of floating-point operations carried out.
  double (*multiply_add32)(std::int64_t repeats, double* result);
  double (*multiply_add64)(std::int64_t repeats, double* result);
  // Returns the number of bytes read and written.
  double (*triad)(std::int64_t count, const double* b, const double* c, double* a);
};

}  // namespace inntd::bench
