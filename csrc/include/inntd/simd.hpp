// Blocks of 64 bytes of scalars, in the compiler's own vector types: one register with AVX-512, two with AVX2, four
// with SSE2. Kernels that pad modes to whole blocks need no code for the rest, and the padding means the same to every
// instruction set.
#pragma once

#include <cstdint>

namespace inntd {

constexpr std::int64_t kBlockBytes = 64;

template <class T>
constexpr std::int64_t block_lanes() {
  return kBlockBytes / static_cast<std::int64_t>(sizeof(T));
}

template <class T>
constexpr std::int64_t round_up_to_block(std::int64_t count) {
  return (count + block_lanes<T>() - 1) / block_lanes<T>() * block_lanes<T>();
}

// Blocks that a loop over modes keeps in registers at a time, at most.
constexpr int kMaxBlocksAtOnce = 4;

#ifdef INNTD_KERNEL_SOURCE
#define INNTD_INLINE inline __attribute__((always_inline))

#if defined(__AVX512F__)
constexpr int kBlocksAtOnce = kMaxBlocksAtOnce;
#elif defined(__AVX__)
constexpr int kBlocksAtOnce = 2;
#else
constexpr int kBlocksAtOnce = 1;
#endif

namespace {

template <class T, int Bytes>
struct VectorOf {
  typedef T type __attribute__((vector_size(Bytes), aligned(Bytes), may_alias));
};

template <class T>
using Block = typename VectorOf<T, kBlockBytes>::type;

// Sum of the lanes, always in the same order.
template <class T>
INNTD_INLINE T sum_lanes(const Block<T>& block) {
  struct {
    typename VectorOf<T, 32>::type low, high;
  } half;
  __builtin_memcpy(&half, &block, 64);
  const typename VectorOf<T, 32>::type sum32 = half.low + half.high;
  struct {
    typename VectorOf<T, 16>::type low, high;
  } quarter;
  __builtin_memcpy(&quarter, &sum32, 32);
  const typename VectorOf<T, 16>::type sum16 = quarter.low + quarter.high;
  if constexpr (sizeof(T) == 4) {
    return (sum16[0] + sum16[2]) + (sum16[1] + sum16[3]);
  } else {
    return sum16[0] + sum16[1];
  }
}

}  // namespace
#endif

}  // namespace inntd
