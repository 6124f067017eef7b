// Contractions of factors with bases: evaluation of CP models at points, u(x) = sum_m prod_d sum_i N_i(x_d) F_d[i][m],
// and of Tucker models, where a core takes the place of the sum (contract_tucker.hpp).
//
// Two families: few points go straight from the factors (contract_direct.hpp); many points from factors that were
// prepared once per call, a block of points at a time (contract_blocks.hpp). evaluate.hpp chooses.
#pragma once

#include <cstdint>

#include "inntd/basis.hpp"
#include "inntd/simd.hpp"

namespace inntd {

// How a prepared axis holds its factor; modes are padded with zeros to whole lines of 64 bytes.
enum class AxisForm {
  rows,   // the factor, with width - 1 more rows on a periodic axis so that nothing wraps. Each point tabulates its
          // basis functions and adds up `width` rows.
  pieces  // polynomial coefficients of the factor on each piece: Horner's rule over degree + 1 rows. Fewer operations
          // where width > degree + 1, but several times the memory.
};

// One axis of a model as the kernels see it. The axes of a CP model all have the same number of modes.
template <class T>
struct ModelAxis {
  BasisTable<T> table;
  const T* factor;  // (table.size, modes)
  std::int64_t modes;
  AxisForm form = AxisForm::rows;
  T* prepared = nullptr;          // rows: (rows, padded modes); pieces: (pieces, degree + 1, padded modes)
  T* polynomials = nullptr;       // rows: the table's coefficients, (kinds, degree + 1, padded width)
  std::int64_t padded_width = 0;  // rows: `width` rounded up to a vector of 16, 32 or whole lines of 64 bytes
};

// Memory of one thread for the blocked kernels. All pointers are aligned to 64 bytes.
template <class T>
struct CpWorkspace {
  double* x;            // (kPointBlock)
  double* local;        // (kPointBlock)
  std::int64_t* piece;  // (kPointBlock)
  const T** source;     // (dimension, kPointBlock): first row of each point
  T* xi;                // (dimension, kPointBlock): coordinate in the piece, -1..1
  T* scale;             // (dimension, kPointBlock): d xi / d x
  T* weights;           // (dimension, orders, kPointBlock, padded width of the axis, at most `weight_width`)
  std::int64_t weight_width;
  T* totals;  // (kPointBlock, 2 dimension + 1) vectors
  T* rows;    // (dimension, 3, kMaxVectorsAtOnce) vectors
};

constexpr std::int64_t kPointBlock = 64;

// Consecutive axes of a Tucker model whose rows are multiplied into one row of `size` numbers, every one with every
// one.
struct AxisGroup {
  std::int64_t begin;
  std::int64_t end;
  std::int64_t size;    // product of the modes of its axes, 1 without any
  std::int64_t stages;  // numbers of all the products on the way: modes of the first axis, of the first two, ...
};

// The core of a Tucker model, seen as one of three axes. The last index runs fastest.
template <class T>
struct TuckerCore {
  const T* numbers;  // (groups[0].size, groups[1].size, groups[2].size)
  AxisGroup groups[3];
};

// Memory of one thread for Tucker models; pointers are aligned to 64 bytes. `rows` holds every axis' functions and
// their derivatives at a block of points, (orders, sum of modes, kPointBlock); `products` and `slopes` the groups' rows
// and the derivatives by them, for one register group of points at a time.
template <class T>
struct TuckerWorkspace {
  CpWorkspace<T> block;
  T* rows;
  T* products;  // (stages of all groups) vectors, kMaxVectorsAtOnce times
  T* slopes;    // (sizes of all groups) vectors, kMaxVectorsAtOnce times
  T* shares;    // (sum of modes, kPointBlock): derivatives by the rows; not for values
  T* totals;    // (2, kPointBlock)
  T* scratch;   // (modes) + 3 width scalars
};

// Where the backward pass of a Tucker model adds to: the core's numbers in lanes, (numbers, one line), whose sums are
// the gradient, and factors in the form of their prepared rows. The points' gradient (count, dimension) may be null.
template <class T>
struct TuckerGradients {
  T* core;
  T* const* factors;
  T* points;
};

template <class T>
struct ContractKernels {
  // Points [begin, end) straight from the factors. `scratch` holds (3 dimension + 2) modes + 3 width scalars.
  void (*direct_values)(const ModelAxis<T>* axes, std::int64_t dimension, std::int64_t modes, const T* points,
                        std::int64_t begin, std::int64_t end, T* out, T* scratch);
  void (*direct_jet)(const ModelAxis<T>* axes, std::int64_t dimension, std::int64_t modes, const T* points,
                     std::int64_t begin, std::int64_t end, T* out, T* gradient, T* second, T* scratch);
  // Fills axis.prepared, rows or pieces [begin, end).
  void (*prepare)(const ModelAxis<T>& axis, std::int64_t begin, std::int64_t end);
  // Points [begin, end) from prepared axes.
  void (*block_values)(const ModelAxis<T>* axes, std::int64_t dimension, std::int64_t modes, const T* points,
                       std::int64_t begin, std::int64_t end, T* out, const CpWorkspace<T>& workspace);
  void (*block_jet)(const ModelAxis<T>* axes, std::int64_t dimension, std::int64_t modes, const T* points,
                    std::int64_t begin, std::int64_t end, T* out, T* gradient, T* second,
                    const CpWorkspace<T>& workspace);
  // The same for Tucker models. Axes that were not prepared go straight from their factors.
  void (*tucker_values)(const ModelAxis<T>* axes, std::int64_t dimension, const TuckerCore<T>& core, const T* points,
                        std::int64_t begin, std::int64_t end, T* out, const TuckerWorkspace<T>& workspace);
  void (*tucker_jet)(const ModelAxis<T>* axes, std::int64_t dimension, const TuckerCore<T>& core, const T* points,
                     std::int64_t begin, std::int64_t end, T* out, T* gradient, T* second,
                     const TuckerWorkspace<T>& workspace);
  // Adds the gradients of the sum of slopes times values. All axes are prepared, as rows.
  void (*tucker_gradients)(const ModelAxis<T>* axes, std::int64_t dimension, const TuckerCore<T>& core, const T* points,
                           std::int64_t begin, std::int64_t end, const T* slopes, const TuckerGradients<T>& gradients,
                           const TuckerWorkspace<T>& workspace);
};

}  // namespace inntd

#ifdef INNTD_KERNEL_SOURCE
#include "inntd/contract_blocks.hpp"
#include "inntd/contract_direct.hpp"
#include "inntd/contract_tucker.hpp"
#include "inntd/contract_tucker_gradients.hpp"

namespace inntd {
namespace {

template <class T>
constexpr ContractKernels<T> make_contract_kernels() {
  return {&direct_values<T>, &direct_jet<T>,    &prepare_axis<T>, &block_values<T>,
          &block_jet<T>,     &tucker_values<T>, &tucker_jet<T>,   &tucker_gradients<T>};
}

}  // namespace
}  // namespace inntd
#endif
