#include "values/value_file.h"

#include <fmt/core.h>

#include <algorithm>
#include <bit>
#include <charconv>
#include <cstring>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/json.h"
#include "values/tape.h"

namespace autarky {
namespace {

static_assert(std::endian::native == std::endian::little);

constexpr int kFormat = 1;

Json to_json(const NamedValue& v) {
  const ValueName& n = v.name;
  return Json::array({n.block, n.layer, n.operation, n.output, n.microbatch, n.since, n.together,
                      v.call, v.node, v.result, v.order, to_string(v.type), v.source});
}

NamedValue from_json(const Json& j) {
  NamedValue v;
  v.name = {j.at(0), j.at(1), j.at(2), j.at(3), j.at(4), j.at(5), j.at(6)};
  v.call = j.at(7);
  v.node = j.at(8);
  v.result = j.at(9);
  v.order = j.at(10);
  v.type = parse_type(j.at(11).get<std::string>());
  v.source = j.at(12);
  return v;
}

constexpr std::string_view kSession = "from-";

}  // namespace

ValueWriter::ValueWriter(const fs::path& path, const Mesh& mesh, int rank,
                         const std::vector<NamedValue>& values)
    : path_(path) {
  fs::create_directories(path.parent_path());
  out_.open(path, std::ios::binary | std::ios::trunc);
  Json names = Json::array();
  for (const auto& v : values) names.push_back(to_json(v));
  out_ << Json{{"format", kFormat}, {"mesh", mesh.to_string()}, {"rank", rank}, {"values", names}}
              .dump()
       << '\n'
       << std::flush;
  if (!out_) throw Error("cannot write the names of a run's values").at(path.string());
}

void ValueWriter::write(std::int64_t step, std::span<const ValueSummary> values) {
  out_.write(reinterpret_cast<const char*>(&step), sizeof step);
  out_.write(reinterpret_cast<const char*>(values.data()), std::streamsize(values.size_bytes()));
  out_.flush();
  if (!out_) throw Error("cannot write what a step computed").at(path_.string());
}

ValueReader::ValueReader(const fs::path& path) : file_(path) {
  const std::string_view text = file_.text();
  const auto end = text.find('\n');
  if (end == text.npos)
    throw InputError("these are no values of a run").at(path.string()).wanted("a first line");
  read_head(text.substr(0, end), path.string());
  const std::size_t record = sizeof(std::int64_t) + values_.size() * sizeof(ValueSummary);
  for (std::size_t at = end + 1; at + record <= text.size(); at += record) {
    std::int64_t step = 0;
    std::memcpy(&step, text.data() + at, sizeof step);
    steps_[step] = at + sizeof step;
  }
}

void ValueReader::read_head(std::string_view line, const std::string& where) {
  const auto head = parse_json(line, where);
  try {
    if (head.at("format") != kFormat)
      throw InputError("values of another format").at(where).wanted(std::to_string(kFormat));
    const auto mesh = parse_mesh(head.at("mesh").get<std::string>());
    rank_ = head.at("rank");
    if (!mesh || rank_ < 0 || rank_ >= mesh->ranks())
      throw InputError("these are no values of a run").at(where).wanted("a rank of a mesh");
    mesh_ = *mesh;
    for (const auto& v : head.at("values")) values_.push_back(from_json(v));
  } catch (const Json::exception& e) {
    throw InputError("these are no values of a run").at(where).found(e.what());
  }
}

std::vector<ValueSummary> ValueReader::read(std::int64_t step) const {
  std::vector<ValueSummary> values(values_.size());
  std::memcpy(values.data(), file_.bytes().data() + steps_.at(step),
              values.size() * sizeof(ValueSummary));
  return values;
}

namespace {
fs::path session_path(const fs::path& run, std::int64_t first_step) {
  return run / "trace" / fmt::format("{}{:08}", kSession, first_step);
}
}  // namespace

bool has_values(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::string head;
  return std::getline(file, head) && !file.eof();
}

namespace {

// A session that went beyond `step` before the run went on from there.
void cut_session(const fs::path& session, std::int64_t step) {
  std::error_code none;
  for (const auto& entry : fs::directory_iterator(session, none)) {
    if (!has_values(entry.path())) continue;
    std::uintmax_t end = fs::file_size(entry.path());
    {
      const ValueReader reader(entry.path());
      for (const auto& [kept, place] : reader.steps())
        if (kept >= step) end = std::min(end, std::uintmax_t(place - sizeof kept));
    }
    fs::resize_file(entry.path(), end);
  }
}

}  // namespace

void forget_values_from(const fs::path& run, std::int64_t step) {
  for (const auto first : value_sessions(run))
    if (first >= step) fs::remove_all(session_path(run, first));
    else cut_session(session_path(run, first), step);
  for (const auto& [kept, path] : tapes(run))
    if (kept >= step) fs::remove(path);
}

fs::path value_path(const fs::path& run, std::int64_t first_step, int rank) {
  return session_path(run, first_step) / fmt::format("rank-{}.values", rank);
}

std::vector<std::int64_t> value_sessions(const fs::path& run) {
  std::vector<std::int64_t> sessions;
  std::error_code none;
  for (const auto& entry : fs::directory_iterator(run / "trace", none)) {
    const std::string name = entry.path().filename().string();
    std::int64_t first = 0;
    const char* end = name.data() + name.size();
    if (name.starts_with(kSession) &&
        std::from_chars(name.data() + kSession.size(), end, first).ptr == end)
      sessions.push_back(first);
  }
  std::sort(sessions.begin(), sessions.end());
  return sessions;
}

}  // namespace autarky
