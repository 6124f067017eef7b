// Limits of one instruction set: independent multiply-adds that stay in registers, and the triad a = b + s c.
#define INNTD_KERNEL_SOURCE
#include "limits.hpp"

#include "inntd/simd.hpp"

#define INNTD_CONCATENATE_(a, b) a##b
#define INNTD_CONCATENATE(a, b) INNTD_CONCATENATE_(a, b)

namespace inntd::bench {
namespace {

constexpr int kChains = kRegisters >= 32 ? 16 : 12;

template <class T>
double multiply_add(std::int64_t repeats, double* result) {
  Vector<T> chain[kChains];
  for (int i = 0; i < kChains; ++i) chain[i] = Vector<T>{} + static_cast<T>(i);
  Vector<T> factor = Vector<T>{} + T(0.5), term = Vector<T>{} + T(1);
  for (std::int64_t r = 0; r < repeats; ++r) {
    asm volatile("" : "+x"(factor), "+x"(term));  // keeps the loop, costs nothing
#pragma GCC unroll 16
    for (int i = 0; i < kChains; ++i) chain[i] = chain[i] * factor + term;
  }
  Vector<T> sum = chain[0];
  for (int i = 1; i < kChains; ++i) sum += chain[i];
  *result = static_cast<double>(sum_lanes<T>(sum));
  return 2.0 * static_cast<double>(repeats * kChains * vector_lanes<T>());
}

double triad(std::int64_t count, const double* b, const double* c, double* a) {
  for (std::int64_t i = 0; i < count; ++i) a[i] = b[i] + 3.0 * c[i];
  return 24.0 * static_cast<double>(count);
}

}  // namespace

extern const Limits INNTD_CONCATENATE(limits_, INNTD_ISA);
const Limits INNTD_CONCATENATE(limits_, INNTD_ISA) = {&multiply_add<float>, &multiply_add<double>, &triad};

}  // namespace inntd::bench
