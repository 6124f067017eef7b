// All kernels, compiled once per instruction set (INNTD_ISA names it).
#define INNTD_KERNEL_SOURCE
#include "inntd/kernels.hpp"

#define INNTD_CONCATENATE_(a, b) a##b
#define INNTD_CONCATENATE(a, b) INNTD_CONCATENATE_(a, b)
#define INNTD_STRING_(a) #a
#define INNTD_STRING(a) INNTD_STRING_(a)

namespace inntd {
namespace {

template <class T>
constexpr Kernels<T> make_kernels() {
  return {make_basis_kernels<T>(), make_contract_kernels<T>(), make_banded_kernels<T>(),
          make_dense_kernels<T>(), make_train_kernels<T>(),    make_normal_kernels<T>()};
}

}  // namespace

extern const KernelTable INNTD_CONCATENATE(kernel_table_, INNTD_ISA);
const KernelTable INNTD_CONCATENATE(kernel_table_, INNTD_ISA) = {INNTD_STRING(INNTD_ISA), make_kernels<float>(),
                                                                 make_kernels<double>()};

}  // namespace inntd
