#include "cli/output.h"

#include <fmt/core.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/words.h"
#include "text/utf8.h"

namespace autarky::cli {
namespace {

constexpr std::chrono::milliseconds kTerminalPause{100}, kPipePause{5000};

}  // namespace

void print(std::string_view text) {
  if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size() || std::fflush(stdout) != 0)
    throw Error(fmt::format("cannot write: {}", std::strerror(errno))).at("standard output");
}

void print_json(const Json& object) {
  print(object.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n");
}

std::string table(const std::vector<std::pair<std::string, std::string>>& rows) {
  std::size_t width = 0;
  for (const auto& row : rows) width = std::max(width, row.first.size());
  std::string text;
  for (const auto& [key, value] : rows) text += fmt::format("  {:<{}}  {}\n", key, width, value);
  return text;
}

std::string printable(std::string_view text, bool one_line) {
  std::string shown;
  std::size_t valid = valid_utf8_prefix(text);
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (i > valid) valid = i + valid_utf8_prefix(text.substr(i));
    const char c = text[i];
    const auto byte = static_cast<unsigned char>(c);
    const bool stays = byte >= 0x20 ? byte != 0x7f : c == '\t' || (c == '\n' && !one_line);
    if (i < valid && stays) shown += c;
    else shown += c == '\n' ? std::string(" ") : fmt::format("\\x{:02x}", byte);
  }
  return shown;
}

ProgressLine::ProgressLine()
    : terminal_(::isatty(STDERR_FILENO) == 1), next_(std::chrono::steady_clock::now()) {
  if (!terminal_) next_ += kPipePause;
}

int ProgressLine::columns() const {
  winsize size{};
  return ::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 1 ? size.ws_col : 80;
}

void ProgressLine::show(std::string_view line) {
  const auto now = std::chrono::steady_clock::now();
  if (now < next_) return;
  next_ = now + (terminal_ ? kTerminalPause : kPipePause);
  const auto text = terminal_
                        ? fmt::format("\r{}\033[K", line.substr(0, std::size_t(columns()) - 1))
                        : fmt::format("{}\n", line);
  std::fwrite(text.data(), 1, text.size(), stderr);
  shown_ = true;
}

void ProgressLine::clear() {
  if (terminal_ && shown_) std::fputs("\r\033[K", stderr);
  shown_ = false;
}

void WorkProgress::update(std::int64_t done, std::int64_t total) {
  if (done <= 0) return;
  if (total <= 0) return line_.show(fmt::format("{}: {} read", what_, human_bytes(double(done))));
  const double share = std::min(1.0, double(done) / double(total));
  if (share < 0.01) return line_.show(what_ + ": 0%");  // too early to say
  const auto spent = std::chrono::steady_clock::now() - start_;
  const double left = std::chrono::duration<double>(spent).count() * (1 - share) / share;
  line_.show(fmt::format("{}: {:.0f}%, {} left", what_, 100 * share, human_seconds(left)));
}

}  // namespace autarky::cli
