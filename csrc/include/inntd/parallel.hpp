// A small pool of std::threads. No OpenMP: a second libgomp in the process slows torch down, and libgomp hangs
// after fork.
#pragma once

#include <cstdint>
#include <functional>

namespace inntd {

// Cuts [0, count) into at most `threads` ranges of at least `grain` (the last one may be shorter) that begin at
// multiples of it, and calls body(begin, end, worker) once for each, on up to as many threads, the caller among them.
// `worker` is the number of the range: it and the ranges depend on count, grain and threads only, never on which
// thread was free, so per-worker buffers give the same bits every time. Runs serially, range by range, when called
// from inside a body or while another thread uses the pool. All ranges run even if one throws; the exception of the
// first such range is rethrown in the caller.
void parallel_for(std::int64_t count, std::int64_t grain, int threads,
                  const std::function<void(std::int64_t begin, std::int64_t end, int worker)>& body);

}  // namespace inntd
