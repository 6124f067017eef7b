// Uninitialised memory on 64-byte boundaries: whole cache lines, whole vector registers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>

namespace inntd {

constexpr std::size_t kAlignment = 64;

struct AlignedDelete {
  void operator()(void* memory) const { ::operator delete(memory, std::align_val_t{kAlignment}); }
};

template <class T>
using AlignedArray = std::unique_ptr<T[], AlignedDelete>;

template <class T>
AlignedArray<T> aligned_array(std::int64_t count) {
  static_assert(std::is_trivial_v<T>);
  const std::size_t bytes = static_cast<std::size_t>(count > 0 ? count : 1) * sizeof(T);
  return AlignedArray<T>(static_cast<T*>(::operator new(bytes, std::align_val_t{kAlignment})));
}

}  // namespace inntd
