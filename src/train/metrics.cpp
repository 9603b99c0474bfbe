#include "train/metrics.h"

#include <fmt/core.h>

#include <array>
#include <cmath>
#include <functional>
#include <limits>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/json.h"

namespace autarky {
namespace {

std::string number(std::int64_t v) { return fmt::format("{}", v); }
std::string number(double v) { return std::isfinite(v) ? fmt::format("{}", v) : "null"; }
std::string number(const std::optional<std::int64_t>& v) { return v ? number(*v) : ""; }
std::string number(const std::vector<double>& all) {
  std::string text;
  for (double v : all) text += (text.empty() ? "[" : ",") + number(v);
  return text.empty() ? "" : text + "]";
}

template <class Line>
std::string print_line(const Line& line) {
  std::string text;
  const auto one = [&](const auto& f) {
    const std::string value = number(line.*(f.member));
    if (value.empty()) return;
    text += fmt::format("{}\"{}\":{}", text.empty() ? "" : ",", f.name, value);
  };
  std::apply([&](const auto&... f) { (one(f), ...); }, Line::fields());
  return "{" + text + "}\n";
}

void set_number(const Json& json, std::string_view name, std::int64_t& v) {
  if (!json.is_number_integer())
    throw InputError(fmt::format("'{}' is no whole number", name)).found(json.dump());
  v = json.get<std::int64_t>();
}
void set_number(const Json& json, std::string_view name, double& v) {
  if (!json.is_number() && !json.is_null())
    throw InputError(fmt::format("'{}' is no number", name)).found(json.dump());
  v = json.is_null() ? std::numeric_limits<double>::quiet_NaN() : json.get<double>();
}
void set_number(const Json& json, std::string_view name, std::optional<std::int64_t>& v) {
  set_number(json, name, v.emplace());
}
void set_number(const Json& json, std::string_view name, std::vector<double>& all) {
  if (!json.is_array())
    throw InputError(fmt::format("'{}' is no list of numbers", name)).found(json.dump());
  for (const auto& v : json) set_number(v, name, all.emplace_back());
}

constexpr bool may_be_absent(const std::optional<std::int64_t>&) { return true; }
constexpr bool may_be_absent(const std::vector<double>&) { return true; }
template <class T>
constexpr bool may_be_absent(const T&) {
  return false;
}

template <class Line>
Line parse_line(const Json& json) {
  Line line;
  const auto one = [&](const auto& f) {
    const auto it = json.find(std::string(f.name));
    if (it == json.end() && may_be_absent(line.*(f.member))) return;
    if (it == json.end()) throw InputError(fmt::format("no key '{}'", f.name));
    set_number(*it, f.name, line.*(f.member));
  };
  std::apply([&](const auto&... f) { (one(f), ...); }, Line::fields());
  return line;
}

// Calls visit(text with its end of line, parsed) for each whole line.
void for_each_line(const fs::path& path,
                   const std::function<void(std::string_view, const Json&)>& visit) {
  const MappedFile file(path);
  const std::string_view all = file.text();
  std::int64_t number_of_line = 1;
  for (std::size_t start = 0; start < all.size(); ++number_of_line) {
    const auto end = all.find('\n', start);
    if (end == std::string_view::npos) return;  // cut off
    const std::string where = fmt::format("{}:{}", path.string(), number_of_line);
    const Json json = parse_json(all.substr(start, end - start), where);
    try {
      if (!json.is_object()) throw InputError("this line is no JSON object");
      visit(all.substr(start, end + 1 - start), json);
    } catch (InputError& e) {
      throw e.at(where);
    }
    start = end + 1;
  }
}

std::string lines_until(const fs::path& path, std::int64_t last_step) {
  std::string kept;
  for_each_line(path, [&](std::string_view text, const Json& json) {
    std::int64_t step = 0;
    if (!json.contains("step")) throw InputError("no key 'step'");
    set_number(json.at("step"), "step", step);
    if (step <= last_step) kept += text;
  });
  return kept;
}

}  // namespace

std::string to_json_line(const TrainingLine& line) { return print_line(line); }
std::string to_json_line(const EvaluationLine& line) { return print_line(line); }

MetricsWriter::MetricsWriter(const fs::path& path, std::optional<std::int64_t> resume_step)
    : path_(path) {
  const bool resumes = resume_step && fs::exists(path);
  write_file_atomic(path, resumes ? lines_until(path, *resume_step) : "");
  out_.open(path, std::ios::app | std::ios::binary);
  if (!out_) throw InputError(fmt::format("cannot write '{}'", path.string()));
  const auto folder = path.has_parent_path() ? path.parent_path() : fs::path(".");
  cut_events(folder, resumes ? resume_step : std::nullopt);
  events_.emplace(folder);
}

void MetricsWriter::write(const TrainingLine& line) {
  append(to_json_line(line));
  std::vector<Scalar> scalars = {{"loss", line.loss},
                                 {"lr", line.lr},
                                 {"grad_norm", line.grad_norm},
                                 {"tokens_per_s", line.tokens_per_s},
                                 {"mfu", line.mfu},
                                 {"memory", double(line.memory_bytes)}};
  if (line.skipped) scalars.push_back({"skipped", double(*line.skipped)});
  events_->write(line.step, scalars);
}

void MetricsWriter::write(const EvaluationLine& line) {
  append(to_json_line(line));
  events_->write(line.step, std::array{Scalar{"val_loss", line.val_loss}});
}

void MetricsWriter::append(const std::string& line) {
  out_ << line << std::flush;
  if (!out_)
    throw Error(fmt::format("cannot write '{}'", path_.string())).hint("Is the disk full?");
}

Metrics read_metrics(const fs::path& path) {
  Metrics metrics;
  for_each_line(path, [&](std::string_view, const Json& json) {
    if (json.contains("val_loss")) metrics.evaluations.push_back(parse_line<EvaluationLine>(json));
    else metrics.training.push_back(parse_line<TrainingLine>(json));
  });
  return metrics;
}

}  // namespace autarky
