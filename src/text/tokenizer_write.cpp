#include <nlohmann/json.hpp>
#include <unordered_map>

#include "base/error.h"
#include "base/json.h"
#include "text/tokenizer_spec.h"

namespace autarky {
namespace {

Json byte_level_json(bool add_prefix_space, bool use_regex) {
  return {{"type", "ByteLevel"},
          {"add_prefix_space", add_prefix_space},
          {"trim_offsets", true},
          {"use_regex", use_regex}};
}

Json pre_tokenizer_json(const TokenizerSpec& spec) {
  if (spec.steps.empty() || spec.gpt2_split)
    return byte_level_json(spec.add_prefix_space, spec.gpt2_split);
  Json list = Json::array();
  for (const SplitStep& step : spec.steps)
    list.push_back({{"type", "Split"},
                    {"pattern", {{step.literal ? "String" : "Regex", step.pattern}}},
                    {"behavior", "Isolated"},
                    {"invert", false}});
  list.push_back(byte_level_json(spec.add_prefix_space, false));
  return {{"type", "Sequence"}, {"pretokenizers", std::move(list)}};
}

Json added_json(const TokenizerSpec& spec) {
  Json list = Json::array();
  for (const AddedToken& t : spec.added)
    list.push_back({{"id", t.id},
                    {"content", t.content},
                    {"single_word", false},
                    {"lstrip", false},
                    {"rstrip", false},
                    {"normalized", t.normalized},
                    {"special", t.special}});
  return list;
}

Json template_json(const TokenizerSpec& spec) {
  if (spec.prefix.empty() && spec.suffix.empty()) return nullptr;
  const auto part = [](const char* kind, const std::string& id, int type_id) -> Json {
    return {{kind, {{"id", id}, {"type_id", type_id}}}};
  };
  Json single = Json::array(), pair = Json::array(), tokens = Json::object();
  const auto around = [&](Json& list, const char* sequence, int type_id) {
    for (const std::string& name : spec.prefix) list.push_back(part("SpecialToken", name, type_id));
    list.push_back(part("Sequence", sequence, type_id));
    for (const std::string& name : spec.suffix) list.push_back(part("SpecialToken", name, type_id));
  };
  around(single, "A", 0);
  around(pair, "A", 0);
  around(pair, "B", 1);
  for (const auto* names : {&spec.prefix, &spec.suffix})
    for (const std::string& name : *names)
      for (const AddedToken& t : spec.added)
        if (t.content == name) tokens[name] = {{"id", name}, {"ids", {t.id}}, {"tokens", {name}}};
  return {{"type", "TemplateProcessing"},
          {"single", std::move(single)},
          {"pair", std::move(pair)},
          {"special_tokens", std::move(tokens)}};
}

Json model_json(const TokenizerSpec& spec) {
  Json::object_t vocab;
  for (std::size_t id = 0; id < spec.vocab.size(); ++id)  // the keys differ: no look-up
    if (!spec.vocab[id].empty()) vocab.Container::emplace_back(spec.vocab[id], id);
  Json merges = Json::array();
  // As "left right": every version of tokenizers reads that, pairs only the newer ones; byte-level
  // tokens hold no space.
  for (const auto& [left, right] : spec.merges)
    merges.push_back(spec.vocab[std::size_t(left)] + " " + spec.vocab[std::size_t(right)]);
  return {{"type", "BPE"},
          {"dropout", nullptr},
          {"unk_token", nullptr},
          {"continuing_subword_prefix", nullptr},
          {"end_of_word_suffix", nullptr},
          {"fuse_unk", false},
          {"byte_fallback", false},
          {"ignore_merges", spec.ignore_merges},
          {"vocab", std::move(vocab)},
          {"merges", std::move(merges)}};
}

Json tokenizer_json(const TokenizerSpec& spec) {
  return {{"version", "1.0"},
          {"truncation", nullptr},
          {"padding", nullptr},
          {"added_tokens", added_json(spec)},
          {"normalizer", spec.normalize_nfc ? Json{{"type", "NFC"}} : Json(nullptr)},
          {"pre_tokenizer", pre_tokenizer_json(spec)},
          {"post_processor", template_json(spec)},
          {"decoder", byte_level_json(spec.add_prefix_space, true)},
          {"model", model_json(spec)}};
}

Json config_json(const TokenizerSpec& spec) {
  Json config = {{"tokenizer_class", "PreTrainedTokenizerFast"},
                 {"clean_up_tokenization_spaces", false}};
  const auto put = [&](const char* key, const std::string& text) {
    if (!text.empty()) config[key] = text;
  };
  put("bos_token", spec.bos_token);
  put("eos_token", spec.eos_token);
  put("pad_token", spec.pad_token);
  put("chat_template", spec.chat_template);
  return config;
}

}  // namespace

void write_tokenizer_spec(const TokenizerSpec& spec, const fs::path& dir) {
  std::error_code error;
  fs::create_directories(dir, error);
  if (error) throw InputError("cannot make the folder: " + error.message()).at(dir.string());
  write_file_atomic(dir / "tokenizer.json", tokenizer_json(spec).dump(2) + "\n");
  write_file_atomic(dir / "tokenizer_config.json", config_json(spec).dump(2) + "\n");
}

}  // namespace autarky
