#include "serve/convert.h"

#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/temporary.h"
#include "formats/gguf_tokenizer.h"
#include "formats/gguf_weights.h"
#include "formats/model_files.h"
#include "models/parameters.h"
#include "serve/model.h"

namespace autarky {
namespace {

constexpr std::int64_t kTokens = 8;

DType dtype_of(GgufType type) {
  if (type == GgufType::bf16) return DType::bf16;
  return type == GgufType::f16 ? DType::f16 : DType::f32;
}

GgufType type_of(DType dtype) {
  if (dtype == DType::bf16) return GgufType::bf16;
  return dtype == DType::f16 ? GgufType::f16 : GgufType::f32;
}

// A name beside the target, removed unless it was renamed.
class Draft {
 public:
  explicit Draft(const fs::path& target)
      : path_(target.parent_path() / fmt::format(".tmp-{}-{}{}", ::getpid(), target.stem().string(),
                                                 target.extension().string())) {}
  ~Draft() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  Draft(const Draft&) = delete;
  Draft& operator=(const Draft&) = delete;
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

// A path without a slash at its end, absolute.
fs::path plain(const fs::path& path) {
  const fs::path p = fs::absolute(path).lexically_normal();
  return p.has_filename() ? p : p.parent_path();
}

void check_target(const ConvertOptions& o, const fs::path& to) {
  if (!is_gguf(to) && o.type && *o.type == GgufType::q8_0)
    throw InputError("safetensors have no q8_0").at("--dtype").wanted("f32, f16 or bf16");
  if (!fs::exists(to)) return;
  std::error_code missing;
  if (fs::equivalent(o.from, to, missing))
    throw InputError("the source would be replaced by itself").at(to.string());
  if (!o.force)
    throw InputError("it is already there").at(to.string()).hint("Replace it with --force");
  const bool model = is_gguf(to) ? fs::is_regular_file(to) : fs::exists(to / "config.json");
  if (!model) throw InputError("what is there is no model, so it is not replaced").at(to.string());
}

void write_gguf(const fs::path& path, const ModelFiles& source, const TokenizerSpec* tokenizer,
                GgufType type) {
  GgufWeightsWriter writer(path, source.config(),
                           gguf_tokenizer_metadata(tokenizer, source.config()), type);
  source.load([&](const ParameterSpec& spec, std::int64_t layer, std::span<const float> values) {
    writer.put(spec, layer, values);
  });
  writer.finish();
}

void write_folder(const fs::path& path, const ModelFiles& source, const TokenizerSpec* tokenizer,
                  GgufType type, std::int64_t most_bytes) {
  make_folder(path);
  WeightsWriter writer(path, source.config(), dtype_of(type), most_bytes);
  source.load([&](const ParameterSpec& spec, std::int64_t layer, std::span<const float> values) {
    writer.put(spec, layer, values);
  });
  writer.finish();
  if (tokenizer) write_tokenizer_spec(*tokenizer, path);
}

// After each of a few tokens spread over the vocabulary, end to end.
std::vector<float> logits_of(const fs::path& path, const Backend& backend, std::int64_t tokens) {
  ServedModel model(path, {DType::f32, tokens}, backend);
  std::vector<float> all;
  for (std::int64_t i = 0; i < tokens; ++i) {
    const auto id = std::int32_t((i * 7919 + 11) % model.config().vocab);
    const auto logits = model.feed(std::span(&id, 1));
    all.insert(all.end(), logits.begin(), logits.end());
  }
  return all;
}

void compare(const ConvertOptions& o, const fs::path& draft, const ModelConfig& config,
             const Backend& backend, Conversion& result) {
  result.tokens = std::min(kTokens, config.max_positions);
  const auto before = logits_of(o.from, backend, result.tokens);
  const auto after = logits_of(draft, backend, result.tokens);
  bool finite = before.size() == after.size();
  for (std::size_t i = 0; finite && i < before.size(); ++i) {
    const double difference = std::fabs(double(after[i]) - double(before[i]));
    finite = std::isfinite(difference);
    result.largest_difference = std::max(result.largest_difference, difference);
    result.largest_logit = std::max(result.largest_logit, std::fabs(double(before[i])));
  }
  result.tolerance *= result.largest_logit;
  if (finite && result.largest_difference <= result.tolerance) return;
  throw Error("the converted model does not compute what the source does")
      .at(o.to.string())
      .found(finite ? fmt::format("logits that differ by {:.6g}", result.largest_difference)
                    : "logits that are not finite, or of another vocabulary")
      .wanted(fmt::format("at most {:.6g}", result.tolerance))
      .hint("Nothing was written; choose a wider --dtype");
}

std::int64_t bytes_of(const fs::path& path) {
  if (!fs::is_directory(path)) return std::int64_t(fs::file_size(path));
  std::int64_t bytes = 0;
  for (const auto& entry : fs::directory_iterator(path)) bytes += std::int64_t(entry.file_size());
  return bytes;
}

// The draft takes the place of what was there, which is gone only afterwards.
void publish(const fs::path& draft, const fs::path& to) {
  if (fs::is_directory(to)) {
    const Draft old(to.string() + ".old");
    fs::rename(to, old.path());
    try {
      fs::rename(draft, to);
    } catch (...) {
      fs::rename(old.path(), to);
      throw;
    }
  } else {
    fs::rename(draft, to);
  }
  sync_path(to.parent_path());
}

}  // namespace

double logit_tolerance(GgufType source, GgufType type) {
  if (type == GgufType::f32 || type == source) return 0;
  switch (type) {
    case GgufType::f16:
      return 0.01;
    case GgufType::bf16:
      return 0.05;
    default:
      return 0.1;  // Q8_0
  }
}

Conversion convert_model(const ConvertOptions& options, const Backend& backend) {
  ConvertOptions o = options;
  o.to = plain(o.to);
  check_target(o, o.to);
  Conversion result;
  const Draft draft(o.to);
  ModelConfig config;
  {
    const ModelFiles source(o.from);
    config = source.config();
    result.type = o.type.value_or(type_of(source.dtype()));
    result.tolerance = logit_tolerance(type_of(source.dtype()), result.type);
    const auto tokenizer = source.tokenizer();
    const TokenizerSpec* spec = tokenizer ? &*tokenizer : nullptr;
    if (is_gguf(o.to)) write_gguf(draft.path(), source, spec, result.type);
    else write_folder(draft.path(), source, spec, result.type, o.most_shard_bytes);
    result.tokenizer = tokenizer.has_value();
  }
  result.parameters = parameter_count(config);
  result.bytes = bytes_of(draft.path());
  compare(o, draft.path(), config, backend, result);
  publish(draft.path(), o.to);
  return result;
}

}  // namespace autarky
