#include "base/parallel.h"

#include <algorithm>
#include <exception>
#include <mutex>

#ifdef _OPENMP
#include <omp.h>
#endif

namespace autarky {

#ifdef _OPENMP
int thread_count() { return omp_get_max_threads(); }
void set_thread_count(int n) { omp_set_num_threads(std::max(n, 1)); }

void parallel_for(std::int64_t n, const std::function<void(std::int64_t, int)>& body) {
  if (n == 1 || omp_in_parallel() || omp_get_max_threads() == 1) {
    for (std::int64_t i = 0; i < n; ++i) body(i, omp_get_thread_num());
    return;
  }
  std::exception_ptr first;
  std::mutex mutex;
#pragma omp parallel for schedule(dynamic, 1)
  for (std::int64_t i = 0; i < n; ++i) {
    try {
      body(i, omp_get_thread_num());
    } catch (...) {
      std::lock_guard lock(mutex);
      if (!first) first = std::current_exception();
    }
  }
  if (first) std::rethrow_exception(first);
}
#else
int thread_count() { return 1; }
void set_thread_count(int) {}
void parallel_for(std::int64_t n, const std::function<void(std::int64_t, int)>& body) {
  for (std::int64_t i = 0; i < n; ++i) body(i, 0);
}
#endif

}  // namespace autarky
