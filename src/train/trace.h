// A step's time line as a file that Perfetto and chrome://tracing open.
#pragma once
#include <span>
#include <string>
#include <utility>

#include "base/file.h"
#include "passes/timeline.h"

namespace autarky {

// Trace Event Format (JSON object form): each named time line is a process, each queue a thread of
// it; complete events ("X") in microseconds. Atomic.
using NamedTimeline = std::pair<std::string, Timeline>;
void write_trace(const fs::path& path, std::span<const NamedTimeline> timelines);

}  // namespace autarky
