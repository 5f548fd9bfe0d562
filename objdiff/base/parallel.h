// Work on all processors at once.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <future>
#include <thread>
#include <vector>

namespace ksplice {

// Calls work(i) for each i below count, in any order and from several threads. When all have ended,
// throws what one of them has thrown, if any; the others may then have left some out.
template <typename Work>
void for_each_in_parallel(size_t count, const Work& work) {
  constexpr unsigned MostThreads = 8;
  std::atomic<size_t> next = 0;
  auto take = [&] {
    for (size_t i = next++; i < count; i = next++) work(i);
  };
  std::vector<std::future<void>> workers;
  for (unsigned i = 0; i < std::clamp(std::thread::hardware_concurrency(), 1U, MostThreads); ++i)
    workers.push_back(std::async(std::launch::async, take));
  for (std::future<void>& worker : workers) worker.wait();
  for (std::future<void>& worker : workers) worker.get();
}

}  // namespace ksplice
