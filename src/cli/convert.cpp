// autarky convert: a model from one format to another.
#include "serve/convert.h"

#include <fmt/format.h>

#include <charconv>
#include <nlohmann/json.hpp>

#include "backend/cpu/cpu_backend.h"
#include "base/error.h"
#include "base/words.h"
#include "cli/command.h"
#include "cli/output.h"
#include "cli/verbs.h"

namespace autarky::cli {
namespace {

std::optional<GgufType> parse_type(const std::string& text) {
  if (text.empty()) return std::nullopt;
  const auto type = parse_gguf_type(text);
  if (!type || *type == GgufType::q4_0 || *type == GgufType::q4_1)
    throw InputError("a model cannot be written in this type")
        .at("--dtype")
        .found(text)
        .wanted("f32, f16, bf16 or q8_0");
  return type;
}

// "5GB", "800 MB", "1000000": powers of 1000.
std::int64_t parse_size(const std::string& text) {
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  const auto unit = trim(std::string_view(end, std::size_t(text.data() + text.size() - end)));
  std::int64_t factor = unit.empty() || unit == "B" ? 1 : 0;
  if (unit == "KB") factor = 1'000;
  if (unit == "MB") factor = 1'000'000;
  if (unit == "GB") factor = 1'000'000'000;
  if (error != std::errc() || number < 1 || factor == 0 || number > INT64_MAX / factor)
    throw InputError("not a size")
        .at("--max-shard-size")
        .found("'" + text + "'")
        .wanted("5GB, 800MB");
  return number * factor;
}

}  // namespace

void run_convert(Command& command) {
  std::string from, to, dtype, shard = "5GB";
  ConvertOptions o;
  command.add("--from", from, "Folder with config.json and safetensors, or a .gguf file",
              Need::required);
  command.add("--to", to, "The new folder, or a name that ends in .gguf", Need::required);
  command.add("--dtype", dtype,
              "f32, f16, bf16 or, for GGUF, q8_0; that of the source if not given, f32 for a "
              "quantised one");
  command.add("--max-shard-size", shard, "Of a safetensors file: 5GB, 800MB; 5GB");
  command.add_flag("--force", o.force, "Replace a model that is there");
  if (!command.parse()) return;
  o.from = from;
  o.to = to;
  o.type = parse_type(dtype);
  o.most_shard_bytes = parse_size(shard);
  const auto backend = make_cpu_backend();
  const Conversion c = convert_model(o, *backend);
  const std::string type(gguf_type_info(c.type).name);
  if (command.json())
    return print_json({{"to", to},
                       {"dtype", type},
                       {"parameters", c.parameters},
                       {"bytes", c.bytes},
                       {"tokenizer", c.tokenizer},
                       {"tokens", c.tokens},
                       {"largest_logit", c.largest_logit},
                       {"largest_difference", c.largest_difference},
                       {"tolerance", c.tolerance}});
  print(table({{"written", printable(to, true)},
               {"weights", fmt::format("{} parameters, {}, {}", human_count(double(c.parameters)),
                                       type, human_bytes(double(c.bytes)))},
               {"tokenizer", c.tokenizer ? "written" : "the source has none"},
               {"logit check",
                fmt::format("{} tokens: largest difference {:.3g}, tolerance {:.3g} "
                            "(largest logit {:.4g})",
                            c.tokens, c.largest_difference, c.tolerance, c.largest_logit)}}));
}

}  // namespace autarky::cli
