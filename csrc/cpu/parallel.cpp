// The pool sleeps on C++20 atomics, which are futexes: std::condition_variable would need a newer libstdc++ at run
// time than everything else here.
#include "inntd/parallel.hpp"

#include <pthread.h>
#include <signal.h>

#include <algorithm>
#include <atomic>
#include <exception>
#include <system_error>
#include <thread>
#include <vector>

namespace inntd {
namespace {

using Body = std::function<void(std::int64_t, std::int64_t, int)>;

constexpr int kMaxRanges = 256;
constexpr int kSpins = 500;  // some ten microseconds: about what waking a sleeping thread costs

// Set while this thread runs a body: calls from within are serial.
thread_local bool inside_body = false;

void relax() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

template <class Condition>
void spin_until(const Condition& condition) {
  for (int i = 0; i < kSpins && !condition(); ++i) relax();
}

struct Job {
  const Body* body = nullptr;
  std::int64_t count = 0;
  std::int64_t grain = 1;
  int ranges = 0;
  std::exception_ptr* errors = nullptr;

  void run(int range) const noexcept {
    const std::int64_t chunks = (count + grain - 1) / grain;
    const std::int64_t begin = chunks * range / ranges * grain;
    const std::int64_t end = std::min(count, chunks * (range + 1) / ranges * grain);
    const bool nested = inside_body;
    inside_body = true;
    try {
      (*body)(begin, end, range);
    } catch (...) {
      errors[range] = std::current_exception();
    }
    inside_body = nested;
  }
};

// Ranges are claimed one by one through `ticket`, so a thread that wakes late holds nobody up: its range has then been
// taken by another. A claimed range keeps the job alive until `remaining` says that it is done.
class Pool {
 public:
  // False when another thread is using the pool.
  bool try_run(const Job& job) {
    if (busy_.exchange(true, std::memory_order_acquire)) return false;
    hire(job.ranges - 1);
    job_ = job;
    remaining_.store(job.ranges, std::memory_order_relaxed);
    const std::uint64_t number = (ticket_.load(std::memory_order_relaxed) >> 32) + 1;
    ticket_.store(number << 32 | static_cast<std::uint64_t>(job.ranges) << 16, std::memory_order_release);
    wake(job.ranges - 1);
    work();
    spin_until([&] { return remaining_.load(std::memory_order_acquire) == 0; });
    while (const int left = remaining_.load(std::memory_order_acquire)) remaining_.wait(left);
    busy_.store(false, std::memory_order_release);
    return true;
  }

 private:
  // ticket: number of the job (32 bits), its ranges (16), the next range to claim (16).
  bool claim(int& range) {
    std::uint64_t ticket = ticket_.load(std::memory_order_acquire);
    while ((ticket & 0xffff) < (ticket >> 16 & 0xffff)) {
      if (ticket_.compare_exchange_weak(ticket, ticket + 1, std::memory_order_acq_rel)) {
        range = static_cast<int>(ticket & 0xffff);
        return true;
      }
    }
    return false;
  }

  void work() {
    for (int range; claim(range);) {
      job_.run(range);
      if (remaining_.fetch_sub(1, std::memory_order_acq_rel) == 1) remaining_.notify_one();
    }
  }

  [[noreturn]] void serve() {
    for (;;) {
      const int seen = epoch_.load(std::memory_order_acquire);  // before looking: no job can slip through
      work();
      spin_until([&] { return epoch_.load(std::memory_order_acquire) != seen; });
      epoch_.wait(seen);
    }
  }

  void wake(int wanted) {
    epoch_.fetch_add(1, std::memory_order_release);
    if (wanted >= workers_) {
      epoch_.notify_all();
    } else {
      for (int i = 0; i < wanted; ++i) epoch_.notify_one();
    }
  }

  // Signals stay with the threads that Python knows. Without more threads the caller does the work alone.
  void hire(int wanted) {
    if (workers_ >= wanted) return;
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    try {
      for (; workers_ < wanted; ++workers_) std::thread([this] { serve(); }).detach();
    } catch (const std::system_error&) {
    }
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
  }

  std::atomic<bool> busy_{false};
  std::atomic<int> epoch_{0};
  std::atomic<int> remaining_{0};
  std::atomic<std::uint64_t> ticket_{0};
  Job job_;
  int workers_ = 0;
};

std::atomic<Pool*> shared_pool{nullptr};

// A forked child has the memory of the pool but none of its threads: it starts another one.
void forget_pool() { shared_pool.store(nullptr, std::memory_order_relaxed); }

// The pool is never destroyed: its threads may still sleep on it when the process exits.
Pool& pool() {
  Pool* current = shared_pool.load(std::memory_order_acquire);
  if (current != nullptr) return *current;
  static const int registered = pthread_atfork(nullptr, nullptr, &forget_pool);
  (void)registered;
  auto* fresh = new Pool;
  if (shared_pool.compare_exchange_strong(current, fresh, std::memory_order_acq_rel)) return *fresh;
  delete fresh;
  return *current;
}

}  // namespace

void parallel_for(std::int64_t count, std::int64_t grain, int threads, const Body& body) {
  if (count <= 0) return;
  grain = std::max<std::int64_t>(grain, 1);
  const std::int64_t chunks = (count + grain - 1) / grain;
  const int ranges = static_cast<int>(std::min<std::int64_t>({chunks, std::max(threads, 1), kMaxRanges}));
  if (ranges == 1) return body(0, count, 0);
  std::vector<std::exception_ptr> errors(static_cast<std::size_t>(ranges));
  const Job job{&body, count, grain, ranges, errors.data()};
  if (inside_body || !pool().try_run(job)) {
    for (int range = 0; range < ranges; ++range) job.run(range);
  }
  for (const std::exception_ptr& error : errors) {
    if (error) std::rethrow_exception(error);
  }
}

}  // namespace inntd
