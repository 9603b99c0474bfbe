// A step's time line as a file that Perfetto and chrome://tracing open.
#pragma once
#include "base/file.h"
#include "passes/timeline.h"

namespace autarky {

// Trace Event Format (JSON object form): "measured" and "predicted" are two processes, each queue a
// thread of them; complete events ("X") in microseconds. Atomic.
void write_trace(const fs::path& path, const Timeline& measured, const Timeline& predicted);

}  // namespace autarky
