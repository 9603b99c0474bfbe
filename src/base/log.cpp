#include "base/log.h"

#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

namespace autarky {
namespace {

spdlog::logger& logger() {
  static const auto log = [] {
    auto l = spdlog::stderr_color_mt("autarky");
    l->set_pattern("%H:%M:%S %^%L%$ %v");
    return l;
  }();
  return *log;
}

}  // namespace

void log_info(std::string_view message) { logger().info(message); }
void log_warning(std::string_view message) { logger().warn(message); }
void set_quiet(bool quiet) {
  logger().set_level(quiet ? spdlog::level::warn : spdlog::level::info);
}

}  // namespace autarky
