#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <mutex>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "inntd/parallel.hpp"

namespace inntd {
namespace {

struct Range {
  std::int64_t begin, end;
  bool operator==(const Range& other) const { return begin == other.begin && end == other.end; }
};

// Ranges by worker number.
std::vector<Range> ranges_of(std::int64_t count, std::int64_t grain, int threads) {
  std::vector<Range> ranges(64, Range{-1, -1});
  std::atomic<int> calls{0};
  parallel_for(count, grain, threads, [&](std::int64_t begin, std::int64_t end, int worker) {
    ranges.at(static_cast<std::size_t>(worker)) = {begin, end};
    ++calls;
  });
  ranges.resize(static_cast<std::size_t>(calls));
  return ranges;
}

TEST_CASE("ranges cover everything once, in order, at multiples of the grain") {
  for (const std::int64_t count : {1, 2, 7, 64, 1000, 1001}) {
    for (const std::int64_t grain : {1, 3, 32, 5000}) {
      for (const int threads : {1, 2, 3, 8}) {
        const auto ranges = ranges_of(count, grain, threads);
        REQUIRE(!ranges.empty());
        CHECK(static_cast<int>(ranges.size()) <= threads);
        CHECK(static_cast<std::int64_t>(ranges.size()) <= (count + grain - 1) / grain);
        std::int64_t next = 0;
        for (const Range& range : ranges) {
          CHECK(range.begin == next);
          CHECK(range.begin % grain == 0);
          CHECK(range.end > range.begin);
          next = range.end;
        }
        CHECK(next == count);
      }
    }
  }
}

TEST_CASE("nothing to do, or nonsense as a thread count") {
  bool called = false;
  parallel_for(0, 1, 4, [&](std::int64_t, std::int64_t, int) { called = true; });
  parallel_for(-5, 1, 4, [&](std::int64_t, std::int64_t, int) { called = true; });
  CHECK(!called);
  CHECK(ranges_of(10, 0, 0) == std::vector<Range>{{0, 10}});
  CHECK(ranges_of(10, 1, -3) == std::vector<Range>{{0, 10}});
}

TEST_CASE("several threads take part, the caller among them") {
  std::mutex lock;
  std::set<std::thread::id> seen;
  std::atomic<int> arrived{0};
  parallel_for(2, 1, 2, [&](std::int64_t, std::int64_t, int) {
    ++arrived;
    while (arrived < 2) std::this_thread::yield();  // would hang if one thread had to do both
    const std::lock_guard<std::mutex> guard(lock);
    seen.insert(std::this_thread::get_id());
  });
  CHECK(seen.size() == 2);
  CHECK(seen.count(std::this_thread::get_id()) == 1);
}

TEST_CASE("calls from inside a body are serial and see the same ranges") {
  const auto expected = ranges_of(100, 1, 3);
  std::atomic<int> right{0};
  parallel_for(4, 1, 4, [&](std::int64_t begin, std::int64_t end, int) {
    for (std::int64_t i = begin; i < end; ++i) {
      const auto caller = std::this_thread::get_id();
      bool alone = true;
      parallel_for(100, 1, 3, [&](std::int64_t, std::int64_t, int) { alone &= std::this_thread::get_id() == caller; });
      if (alone && ranges_of(100, 1, 3) == expected) ++right;
    }
  });
  CHECK(right == 4);
}

TEST_CASE("a second thread that finds the pool busy works alone") {
  std::atomic<bool> inside{false}, done{false};
  std::thread holder([&] {
    parallel_for(2, 1, 2, [&](std::int64_t, std::int64_t, int) {
      inside = true;
      while (!done) std::this_thread::yield();
    });
  });
  while (!inside) std::this_thread::yield();
  CHECK(ranges_of(100, 1, 3).size() == 3);  // would hang if it waited for the pool
  done = true;
  holder.join();
}

TEST_CASE("many threads may call at once") {
  std::atomic<std::int64_t> total{0};
  std::vector<std::thread> callers;
  for (int i = 0; i < 4; ++i) {
    callers.emplace_back([&] {
      for (int repeat = 0; repeat < 500; ++repeat) {
        parallel_for(64, 1, 3, [&](std::int64_t begin, std::int64_t end, int) { total += end - begin; });
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
  CHECK(total == 4 * 500 * 64);
}

TEST_CASE("the exception of the first range that failed reaches the caller; all ranges run; the pool lives on") {
  for (int repeat = 0; repeat < 20; ++repeat) {
    std::atomic<int> calls{0};
    std::string message;
    try {
      parallel_for(4, 1, 4, [&](std::int64_t begin, std::int64_t, int) {
        ++calls;
        if (begin >= 1) throw std::runtime_error("range " + std::to_string(begin));
      });
    } catch (const std::runtime_error& error) {
      message = error.what();
    }
    CHECK(message == "range 1");
    CHECK(calls == 4);
  }
  CHECK(ranges_of(100, 1, 2).size() == 2);
}

TEST_CASE("a forked child gets threads of its own") {
  CHECK(ranges_of(10, 1, 2).size() == 2);
  const pid_t child = fork();
  if (child == 0) {
    alarm(20);
    std::atomic<int> arrived{0};
    parallel_for(2, 1, 2, [&](std::int64_t, std::int64_t, int) {
      ++arrived;
      while (arrived < 2) std::this_thread::yield();
    });
    _exit(arrived == 2 ? 0 : 1);
  }
  int status = -1;
  REQUIRE(waitpid(child, &status, 0) == child);
  CHECK(status == 0);
  CHECK(ranges_of(10, 1, 2).size() == 2);
}

}  // namespace
}  // namespace inntd
