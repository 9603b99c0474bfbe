#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/json.h"
#include "base/temporary.h"
#include "text/steps_json.h"
#include "text/tokenizer_spec.h"

namespace autarky {
namespace {

Json added_json(const TokenizerSpec& spec) {
  Json list = Json::array();
  for (const AddedToken& t : spec.added)
    list.push_back({{"id", t.id},
                    {"content", t.content},
                    {"single_word", t.single_word},
                    {"lstrip", t.lstrip},
                    {"rstrip", t.rstrip},
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
  // As "left right" where no token holds a space: every version of tokenizers reads that, pairs
  // only the newer ones.
  const auto has_space = [](const std::string& t) { return t.find(' ') != t.npos; };
  const bool pairs = std::any_of(spec.vocab.begin(), spec.vocab.end(), has_space);
  Json merges = Json::array();
  for (const auto& [left, right] : spec.merges) {
    const std::string &l = spec.vocab[std::size_t(left)], &r = spec.vocab[std::size_t(right)];
    merges.push_back(pairs ? Json::array({l, r}) : Json(l + " " + r));
  }
  return {{"type", "BPE"},
          {"dropout", nullptr},
          {"unk_token", spec.unk_token.empty() ? Json(nullptr) : Json(spec.unk_token)},
          {"continuing_subword_prefix", nullptr},
          {"end_of_word_suffix", nullptr},
          {"fuse_unk", spec.fuse_unk},
          {"byte_fallback", spec.byte_fallback},
          {"ignore_merges", spec.ignore_merges},
          {"vocab", std::move(vocab)},
          {"merges", std::move(merges)}};
}

Json tokenizer_json(const TokenizerSpec& spec) {
  return {{"version", "1.0"},
          {"truncation", nullptr},
          {"padding", nullptr},
          {"added_tokens", added_json(spec)},
          {"normalizer", normalizer_json(spec.normalizer)},
          {"pre_tokenizer", pre_tokenizer_json(spec.pre_tokenizer)},
          {"post_processor", template_json(spec)},
          {"decoder", decoder_json(spec.decoder)},
          {"model", model_json(spec)}};
}

Json config_json(const TokenizerSpec& spec) {
  const char* reader = spec.sentencepiece.empty() ? "PreTrainedTokenizerFast" : "LlamaTokenizer";
  Json config = {{"tokenizer_class", reader}, {"clean_up_tokenization_spaces", false}};
  const auto put = [&](const char* key, const std::string& text) {
    if (!text.empty()) config[key] = text;
  };
  put("bos_token", spec.bos_token);
  put("eos_token", spec.eos_token);
  put("pad_token", spec.pad_token);
  put("chat_template", spec.chat_template);
  if (!spec.sentencepiece.empty()) {
    config["add_bos_token"] = !spec.prefix.empty();
    config["add_eos_token"] = !spec.suffix.empty();
  }
  return config;
}

}  // namespace

void write_tokenizer_spec(const TokenizerSpec& spec, const fs::path& dir) {
  make_folder(dir);
  if (spec.sentencepiece.empty())
    write_file_atomic(dir / "tokenizer.json", tokenizer_json(spec).dump(2) + "\n");
  else write_file_atomic(dir / "tokenizer.model", spec.sentencepiece);
  write_file_atomic(dir / "tokenizer_config.json", config_json(spec).dump(2) + "\n");
}

}  // namespace autarky
