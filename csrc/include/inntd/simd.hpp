// Vectors of scalars in the compiler's own vector types, as wide as the instruction set's registers.
//
// In memory modes are padded to whole cache lines of 64 bytes, the same for every instruction set, so kernels need no
// code for a remainder.
#pragma once

#include <cstdint>
#include <type_traits>
#include <utility>

namespace inntd {

constexpr std::int64_t kLineBytes = 64;

namespace {  // internal linkage: a copy that was built for AVX-512 must not be taken for the baseline's

template <class T>
constexpr std::int64_t line_lanes() {
  return kLineBytes / static_cast<std::int64_t>(sizeof(T));
}

template <class T>
constexpr std::int64_t round_up_to_line(std::int64_t count) {
  return (count + line_lanes<T>() - 1) / line_lanes<T>() * line_lanes<T>();
}

}  // namespace

// Vectors that a loop over modes keeps in registers at a time, at most.
constexpr int kMaxVectorsAtOnce = 4;

#ifdef INNTD_KERNEL_SOURCE
#define INNTD_INLINE inline __attribute__((always_inline))

#if defined(__AVX512F__)
constexpr int kRegisterBytes = 64;
constexpr int kRegisters = 32;
#elif defined(__AVX__)
constexpr int kRegisterBytes = 32;
constexpr int kRegisters = 16;
#else
constexpr int kRegisterBytes = 16;
constexpr int kRegisters = 16;
#endif

namespace {

template <class T, int Bytes>
struct VectorOf {
  typedef T type __attribute__((vector_size(Bytes), aligned(Bytes), may_alias));
};

template <class T>
using Vector = typename VectorOf<T, kRegisterBytes>::type;

template <class T>
constexpr std::int64_t vector_lanes() {
  return kRegisterBytes / static_cast<std::int64_t>(sizeof(T));
}

// Sum of the lanes, always in the same order: halves are added until 16 bytes are left.
template <class T, int Bytes = kRegisterBytes>
INNTD_INLINE T sum_lanes(const typename VectorOf<T, Bytes>::type& vector) {
  if constexpr (Bytes > 16) {
    using Half = typename VectorOf<T, Bytes / 2>::type;
    struct {
      Half low, high;
    } halves;
    __builtin_memcpy(&halves, &vector, Bytes);
    const Half sum = halves.low + halves.high;
    return sum_lanes<T, Bytes / 2>(sum);
  } else if constexpr (sizeof(T) == 4) {
    return (vector[0] + vector[2]) + (vector[1] + vector[3]);
  } else {
    return vector[0] + vector[1];
  }
}

// One half of a butterfly: lane j is a's where j lacks the bit `Step`, and b's where it has it. The lower half takes
// b's lane j - Step in its place, the upper half a's lane j + Step.
template <class T, int Step, bool Upper, std::size_t... J>
INNTD_INLINE Vector<T> butterfly(Vector<T> a, Vector<T> b, std::index_sequence<J...>) {
  constexpr int lanes = sizeof...(J);
  constexpr int from_a = Upper ? Step : 0, from_b = Upper ? lanes : lanes - Step;
#if defined(__clang__)
  return __builtin_shufflevector(
      a, b, ((static_cast<int>(J) & Step) ? static_cast<int>(J) + from_b : static_cast<int>(J) + from_a)...);
#else
  using Index = std::conditional_t<sizeof(T) == 4, std::int32_t, std::int64_t>;
  typedef Index Mask __attribute__((vector_size(kRegisterBytes)));
  return __builtin_shuffle(a, b,
                           Mask{static_cast<Index>((static_cast<int>(J) & Step) ? static_cast<int>(J) + from_b
                                                                                : static_cast<int>(J) + from_a)...});
#endif
}

// Transposes as many vectors as they have lanes.
template <class T, int Step = static_cast<int>(vector_lanes<T>()) / 2>
INNTD_INLINE void transpose(Vector<T>* rows) {
  constexpr int lanes = static_cast<int>(vector_lanes<T>());
  using Lanes = std::make_index_sequence<static_cast<std::size_t>(lanes)>;
  for (int i = 0; i < lanes; ++i) {
    if (i & Step) continue;
    const Vector<T> a = rows[i], b = rows[i + Step];
    rows[i] = butterfly<T, Step, false>(a, b, Lanes{});
    rows[i + Step] = butterfly<T, Step, true>(a, b, Lanes{});
  }
  if constexpr (Step > 1) transpose<T, Step / 2>(rows);
}

}  // namespace
#endif

}  // namespace inntd
