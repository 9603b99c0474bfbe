#include "train/trace.h"

#include <map>
#include <nlohmann/json.hpp>

#include "base/json.h"

namespace autarky {
namespace {

Json name_event(const char* what, int process, int thread, const std::string& name) {
  return {
      {"ph", "M"}, {"name", what}, {"pid", process}, {"tid", thread}, {"args", {{"name", name}}}};
}

void add(Json& events, int process, const std::string& name, const Timeline& timeline) {
  events.push_back(name_event("process_name", process, 0, name));
  std::map<std::string, int> threads;
  for (const auto& e : timeline) {
    const auto [thread, fresh] = threads.emplace(e.queue, int(threads.size()) + 1);
    if (fresh) events.push_back(name_event("thread_name", process, thread->second, e.queue));
    events.push_back({{"ph", "X"},
                      {"name", e.op},
                      {"cat", e.block},
                      {"pid", process},
                      {"tid", thread->second},
                      {"ts", e.start_s * 1e6},
                      {"dur", e.seconds * 1e6},
                      {"args", {{"block", e.block}}}});
  }
}

}  // namespace

void write_trace(const fs::path& path, std::span<const NamedTimeline> timelines) {
  Json events = Json::array();
  int process = 0;
  for (const auto& [name, timeline] : timelines) add(events, ++process, name, timeline);
  write_file_atomic(path, Json{{"displayTimeUnit", "ms"}, {"traceEvents", events}}.dump() + "\n");
}

}  // namespace autarky
