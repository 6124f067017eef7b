// One step of Adam on a part of all parameters.
#pragma once

#include <cmath>

#include "inntd/train.hpp"

namespace inntd {
namespace {

template <class T>
void adam(T* parameters, T* mean, T* square, T* const* gradients, int buffers, std::int64_t begin, std::int64_t end,
          const AdamStep<T>& step) {
  T* __restrict gradient = gradients[0];
  for (int b = 1; b < buffers; ++b) {
    T* __restrict other = gradients[b];
    for (std::int64_t i = begin; i < end; ++i) {
      gradient[i] += other[i];
      other[i] = T(0);
    }
  }
  T* __restrict p = parameters;
  T* __restrict m = mean;
  T* __restrict v = square;
  const T size = step.rate / step.correction1, root = T(1) / std::sqrt(step.correction2);
  const T keep = T(1) - step.rate * step.decay;
  for (std::int64_t i = begin; i < end; ++i) {
    const T g = gradient[i];
    gradient[i] = T(0);
    m[i] = step.beta1 * m[i] + (T(1) - step.beta1) * g;
    v[i] = step.beta2 * v[i] + (T(1) - step.beta2) * g * g;
    p[i] = keep * p[i] - size * m[i] / (std::sqrt(v[i]) * root + step.epsilon);
  }
}

}  // namespace
}  // namespace inntd
