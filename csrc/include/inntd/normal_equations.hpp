// Normal equations of one axis of a CP model from all samples: prepares the factors, runs the kernels on all threads.
#pragma once

#include <cstdint>
#include <vector>

namespace inntd {

// One axis: the modes' values in Legendre polynomials of each group, and where the samples lie.
struct SampledFactor {
  const double* functions;  // (groups, terms, modes)
  std::int64_t groups;
  std::int64_t terms;
  const std::int32_t* place;  // (samples)
  const double* local;        // (samples), or null for one term
};

struct Samples {
  std::vector<SampledFactor> axes;
  std::int64_t modes;
  const double* y;        // (samples, outputs)
  const double* weights;  // (samples)
  std::int64_t outputs;
  const double* factor;  // (outputs, modes)
};

// Writes moments (groups, sums, modes, modes) and slopes (groups, terms, modes) of an axis, whose samples `order` lists
// by group, from bounds[i] to bounds[i + 1]; returns the sum of w r^2. The same bits for any number of threads.
double normal_equations(const Samples& samples, std::int64_t axis, const std::int64_t* order,
                        const std::int64_t* bounds, std::int64_t sums, double* moments, double* slopes, int threads);

// Writes the products (count, modes) of the modes' values along all axes at samples begin .. begin + count - 1.
void sample_products(const Samples& samples, std::int64_t begin, std::int64_t count, double* out, int threads);

}  // namespace inntd
