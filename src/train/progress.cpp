#include "train/progress.h"

#include <fmt/core.h>

#include <algorithm>

#include "base/words.h"

namespace autarky {
namespace {

constexpr int kBarMost = 24, kBarLeast = 6;

std::string figures(const Progress& p) {
  std::string text = fmt::format("loss {:.4f} | ", p.loss);
  if (p.val_loss) text += fmt::format("validation {:.4f} | ", *p.val_loss);
  text += fmt::format("lr {:.2e} | {} tokens/s | MFU {:.1f}%", p.lr, human_count(p.tokens_per_s),
                      100 * p.mfu);
  if (p.step >= p.steps) return text;
  return text + (p.seconds_left < 0 ? "" : " | " + human_seconds(p.seconds_left) + " left");
}

// The step is as wide as the number of steps, so that lines stay in columns.
std::string counter(const Progress& p) {
  const std::string total = std::to_string(p.steps);
  return fmt::format("step {:>{}}/{}", p.step, total.size(), total);
}

}  // namespace

std::string progress_line(const Progress& p) { return counter(p) + " | " + figures(p); }

std::string progress_line(const Progress& p, int columns) {
  std::string line = counter(p), rest = figures(p);
  const int room = columns - int(line.size() + rest.size()) - 6;  // " [" "] " and two to spare
  if (room < kBarLeast) return (line + " | " + rest).substr(0, std::size_t(std::max(0, columns)));
  const int width = std::min(room, kBarMost);
  const double share = p.steps > 0 ? std::clamp(double(p.step) / double(p.steps), 0.0, 1.0) : 0;
  const int done = int(share * width);
  return fmt::format("{} [{}{}] {}", line, std::string(std::size_t(done), '#'),
                     std::string(std::size_t(width - done), '.'), rest);
}

}  // namespace autarky
