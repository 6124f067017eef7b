// The table of kernels that one instruction set provides, and the choice among the tables.
//
// Every kernel is a template over the scalar type in an unnamed namespace: kernels.cpp is compiled once per
// instruction set, and internal linkage makes sure that the linker can never put code built for AVX-512 where the
// baseline is wanted. For the same reason kernels use raw pointers and no standard containers.
#pragma once

#include <string>
#include <vector>

#include "inntd/banded.hpp"
#include "inntd/basis.hpp"
#include "inntd/contract.hpp"
#include "inntd/dense.hpp"
#include "inntd/normal.hpp"
#include "inntd/train.hpp"

namespace inntd {

template <class T>
struct Kernels {
  BasisKernels<T> basis;
  ContractKernels<T> contract;
  BandedKernels<T> banded;
  DenseKernels<T> dense;
  TrainKernels<T> train;
  NormalKernels<T> normal;
};

struct KernelTable {
  const char* name;
  Kernels<float> f32;
  Kernels<double> f64;

  template <class T>
  const Kernels<T>& of() const {
    if constexpr (sizeof(T) == 4) {
      return f32;
    } else {
      return f64;
    }
  }
};

// The table in use: the best that the processor carries, or the one named by the environment variable INNTD_ISA.
const KernelTable& kernels();
// Names of the tables that this processor can run, best last.
std::vector<std::string> available_isas();
// Chooses a table by name; throws std::invalid_argument when the processor or the build lacks it.
void select_isa(const std::string& name);

}  // namespace inntd
