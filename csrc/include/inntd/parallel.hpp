// A small pool of std::threads. No OpenMP: a second libgomp in the process slows torch down, and libgomp hangs
// after fork.
#pragma once

#include <cstdint>
#include <functional>

namespace inntd {

// Calls body(begin, end, worker) over disjoint ranges that cover [0, count), on at most `threads` threads, the
// caller among them. Ranges depend on count, grain and threads only. Serial when called from a worker or while the
// pool is busy. An exception thrown by a body is rethrown in the caller.
void parallel_for(std::int64_t count, std::int64_t grain, int threads,
                  const std::function<void(std::int64_t begin, std::int64_t end, int worker)>& body);

}  // namespace inntd
