// Threads. Work is cut by the caller, never by the number of threads, so results keep their bits.
#pragma once
#include <cstdint>
#include <functional>

namespace autarky {

// Threads that parallel_for uses: OMP_NUM_THREADS, else the processors this process may use.
int thread_count();
void set_thread_count(int n);  // for this process; n >= 1

// Calls body(i, thread) for i in [0, n); any order, any thread. Nested calls run serially.
// The first exception thrown by a body is rethrown here.
void parallel_for(std::int64_t n, const std::function<void(std::int64_t i, int thread)>& body);

}  // namespace autarky
