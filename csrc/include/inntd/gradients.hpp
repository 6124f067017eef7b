// Backward passes of CP and Tucker models: what torch's autograd asks for.
#pragma once

#include <cstdint>

#include "inntd/evaluate.hpp"

namespace inntd {

// Gradients of sum_i slopes[i] u(points[i]) by the factors, factor_gradients[d] (tables[d].size, modes), and by the
// points (count, axes) unless that is null.
template <class T>
void cp_gradients(const CpView<T>& cp, const T* points, std::int64_t count, const T* slopes, T* const* factor_gradients,
                  T* point_gradients, int threads);

// Gradients by the factors of sum_i a[i] u + sum_id b[i][d] du/dx_d + c[i][d] d2u/dx_d2.
template <class T>
void cp_jet_gradients(const CpView<T>& cp, const T* points, std::int64_t count, const T* a, const T* b, const T* c,
                      T* const* factor_gradients, int threads);

// Gradients of sum_i slopes[i] u(points[i]) by the core, by the factors, factor_gradients[d] (tables[d].size,
// ranks[d]), and by the points (count, axes) unless that is null.
template <class T>
void tucker_gradients(const TuckerView<T>& tucker, const T* points, std::int64_t count, const T* slopes,
                      T* core_gradient, T* const* factor_gradients, T* point_gradients, int threads);

}  // namespace inntd
