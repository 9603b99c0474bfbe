#include <fmt/core.h>

#include <algorithm>
#include <unordered_map>
#include <unordered_set>

#include <nlohmann/json.hpp>

#include "base/json.h"
#include "text/json_fields.h"
#include "text/sentencepiece.h"
#include "text/steps_json.h"
#include "text/tokenizer_spec.h"

namespace autarky {

namespace {

constexpr std::size_t kMostAround = 64;  // parts of a template

using IdsByText = std::unordered_map<std::string_view, std::int32_t>;

void read_vocab(const JsonField& vocab, TokenizerSpec& spec) {
  vocab.need(vocab.value().is_object(), "an object of tokens and ids");
  for (const auto& [token, value] : vocab.value().items()) {
    const JsonField field(value, fmt::format("{}['{}']", vocab.where(), token));
    const auto id = std::size_t(field.id_below(TokenizerSpec::kMaxVocab));
    if (token.empty()) throw field.error("an empty token");
    if (id >= spec.vocab.size()) spec.vocab.resize(id + 1);
    if (!spec.vocab[id].empty())
      throw field.error(fmt::format("id {} is also that of '{}'", id, spec.vocab[id]));
    spec.vocab[id] = token;
  }
}

// A merge is ["a", "b"] or "a b".
std::pair<std::string_view, std::string_view> merge_texts(const JsonField& merge) {
  if (merge.value().is_array()) {
    merge.need(merge.value().size() == 2, "two tokens");
    // References into the document, which outlives this.
    return {merge.item(0).text(), merge.item(1).text()};
  }
  merge.need(merge.value().is_string(), "two tokens");
  const std::string_view text = merge.text();
  const std::size_t space = text.find(' ');
  const bool two = space != text.npos && text.find(' ', space + 1) == text.npos;
  merge.need(two, "two tokens with one space between");
  return {text.substr(0, space), text.substr(space + 1)};
}

void read_merges(const JsonField& merges, TokenizerSpec& spec) {
  IdsByText ids;
  for (std::size_t id = 0; id < spec.vocab.size(); ++id)
    if (!spec.vocab[id].empty()) ids.emplace(spec.vocab[id], std::int32_t(id));
  const auto id_of = [&](const JsonField& merge, std::string_view token) {
    const auto found = ids.find(token);
    if (found == ids.end()) throw merge.error(fmt::format("'{}' is not in the vocabulary", token));
    return found->second;
  };
  const std::size_t n = merges.array_size();
  spec.merges.reserve(n);
  for (std::size_t i = 0; i < n; ++i) {
    const JsonField merge = merges.item(i);
    const auto [left, right] = merge_texts(merge);
    spec.merges.emplace_back(id_of(merge, left), id_of(merge, right));
  }
}

void read_model(const JsonField& model, TokenizerSpec& spec) {
  model["type"].support(model["type"].text_or("BPE") == "BPE", "\"BPE\"");
  const JsonField dropout = model["dropout"];
  dropout.support(dropout.is_null() || dropout.value() == 0, "null");
  for (const auto key : {"continuing_subword_prefix", "end_of_word_suffix"})
    model[key].support(model[key].text_or("").empty(), "null");
  spec.byte_fallback = model["byte_fallback"].flag_or(false);
  spec.unk_token = model["unk_token"].text_or("");
  spec.fuse_unk = model["fuse_unk"].flag_or(false);
  spec.ignore_merges = model["ignore_merges"].flag_or(false);
  read_vocab(model["vocab"], spec);
  read_merges(model["merges"], spec);
}

AddedToken read_added_token(const JsonField& field) {
  AddedToken token;
  token.id = field["id"].id_below(TokenizerSpec::kMaxVocab);
  token.content = field["content"].text();
  const bool fits = !token.content.empty() && token.content.size() <= AddedTokenFinder::kMaxLength;
  field["content"].support(fits, fmt::format("1 to {} bytes", AddedTokenFinder::kMaxLength));
  token.single_word = field["single_word"].flag_or(false);
  token.lstrip = field["lstrip"].flag_or(false);
  token.rstrip = field["rstrip"].flag_or(false);
  token.special = field["special"].flag_or(false);
  token.normalized = field["normalized"].flag_or(!token.special);
  return token;
}

void read_added_tokens(const JsonField& list, TokenizerSpec& spec) {
  if (list.is_null()) return;
  IdsByText ids;
  for (std::size_t id = 0; id < spec.vocab.size(); ++id)
    if (!spec.vocab[id].empty()) ids.emplace(spec.vocab[id], std::int32_t(id));
  std::unordered_set<std::int32_t> used_ids;
  std::unordered_set<std::string> used_contents;
  const std::size_t n = list.array_size();
  for (std::size_t i = 0; i < n; ++i) {
    AddedToken token = read_added_token(list.item(i));
    const auto id = std::size_t(token.id);
    const auto same = ids.find(token.content);
    const bool taken = id < spec.vocab.size() && !spec.vocab[id].empty();
    if (same != ids.end() ? same->second != token.id : taken)
      throw list.item(i).error(
          fmt::format("id {} of '{}' does not agree with model.vocab", token.id, token.content));
    if (!used_ids.insert(token.id).second || !used_contents.insert(token.content).second)
      throw list.item(i).error(
          fmt::format("'{}' with id {} is there twice", token.content, token.id));
    spec.added.push_back(std::move(token));
  }
}

void read_template(const JsonField& field, TokenizerSpec& spec) {
  const JsonField single = field["single"];
  const std::size_t n = single.array_size();
  single.support(n <= kMostAround, fmt::format("at most {} parts", kMostAround));
  bool behind = false;
  for (std::size_t i = 0; i < n; ++i) {
    const JsonField item = single.item(i);
    if (const JsonField token = item["SpecialToken"]; !token.is_null()) {
      const std::string& name = token["id"].text();
      const auto known = [&](const AddedToken& t) { return t.content == name; };
      token["id"].need(std::any_of(spec.added.begin(), spec.added.end(), known),
                       "one of added_tokens");
      (behind ? spec.suffix : spec.prefix).push_back(name);
    } else {
      item.support(!behind && !item["Sequence"].is_null(), "special tokens around one Sequence");
      behind = true;
    }
  }
  single.support(behind, "special tokens around one Sequence");
}

void read_post_processor(const JsonField& field, TokenizerSpec& spec) {
  if (field.is_null()) return;
  const std::string& type = field["type"].text();
  if (type == "ByteLevel") return;
  if (type == "TemplateProcessing" && spec.prefix.empty() && spec.suffix.empty())
    return read_template(field, spec);
  field["type"].support(type == "Sequence",
                        "null, ByteLevel, TemplateProcessing or their Sequence");
  const JsonField list = field["processors"];
  for (std::size_t i = 0; i < list.array_size(); ++i) read_post_processor(list.item(i), spec);
}

// Byte-level tokens are decoded as such, and no others are.
void check_decoder(const JsonField& field, TokenizerSpec& spec) {
  if (field.is_null() && spec.byte_level()) spec.decoder.emplace_back(ByteLevel{});
  const auto is_level = [](const DecoderStep& s) { return std::holds_alternative<ByteLevel>(s); };
  const bool level = std::any_of(spec.decoder.begin(), spec.decoder.end(), is_level);
  field.support(!spec.decoder.empty() && level == spec.byte_level(),
                spec.byte_level() ? "ByteLevel, as pre_tokenizer has it"
                                  : "steps without ByteLevel, as pre_tokenizer has none");
}

// A token in tokenizer_config.json: its text, or an object with `content`.
std::string config_token(const JsonField& field) {
  if (field.is_null()) return "";
  return field.value().is_object() ? field["content"].text() : field.text();
}

// A template, or a list of named ones of which "default" counts.
std::string config_template(const JsonField& field) {
  if (!field.value().is_array()) return field.text_or("");
  for (std::size_t i = 0; i < field.array_size(); ++i)
    if (field.item(i)["name"].text() == "default") return field.item(i)["template"].text();
  return "";
}

void read_config(const JsonField& config, TokenizerSpec& spec) {
  const auto set = [&](const char* key, std::string& token) {
    if (!config[key].is_null()) token = config_token(config[key]);
  };
  set("bos_token", spec.bos_token);
  set("eos_token", spec.eos_token);
  set("pad_token", spec.pad_token);
  spec.chat_template = config_template(config["chat_template"]);
}

TokenizerSpec read_json_spec(const fs::path& path) {
  TokenizerSpec spec;
  const auto document = read_json_unordered(path);
  const JsonField root(document, path.string());
  read_model(root["model"], spec);
  read_added_tokens(root["added_tokens"], spec);
  spec.normalizer = read_normalizer(root["normalizer"]);
  spec.pre_tokenizer = read_pre_tokenizer(root["pre_tokenizer"]);
  spec.decoder = read_decoder(root["decoder"]);
  check_decoder(root["decoder"], spec);
  read_post_processor(root["post_processor"], spec);
  return spec;
}

// What a .model file says of tokens around a text; tokenizer_config.json may say otherwise.
TokenizerSpec read_model_spec(const fs::path& path) {
  TokenizerSpec spec;
  spec.sentencepiece = read_file(path);
  const SentencePiece model(spec.sentencepiece, path.string());
  spec.bos_token = model.bos();
  spec.eos_token = model.eos();
  spec.pad_token = model.pad();
  return spec;
}

void put_around(const JsonField& config, TokenizerSpec& spec) {
  if (config["add_bos_token"].flag_or(true) && !spec.bos_token.empty())
    spec.prefix = {spec.bos_token};
  if (config["add_eos_token"].flag_or(false) && !spec.eos_token.empty())
    spec.suffix = {spec.eos_token};
}

}  // namespace

bool TokenizerSpec::byte_level() const {
  return !pre_tokenizer.empty() && std::holds_alternative<ByteLevel>(pre_tokenizer.back());
}

TokenizerSpec read_tokenizer_spec(const fs::path& path) {
  if (!fs::is_directory(path) && path.extension() == ".model") {
    TokenizerSpec spec = read_model_spec(path);
    if (!spec.bos_token.empty()) spec.prefix = {spec.bos_token};
    return spec;
  }
  const fs::path json = path / "tokenizer.json", model = path / "tokenizer.model";
  const fs::path config_path = path / "tokenizer_config.json";
  if (!fs::exists(json) && !fs::exists(model))
    throw InputError("there is no tokenizer")
        .at(json.string())
        .hint("Make one with 'autarky tokenizer train', or give the folder of a model.");
  TokenizerSpec spec = fs::exists(json) ? read_json_spec(json) : read_model_spec(model);
  const auto config =
      fs::exists(config_path) ? read_json_unordered(config_path) : nlohmann::json::object();
  const JsonField root(config, config_path.string());
  read_config(root, spec);
  if (!spec.sentencepiece.empty()) put_around(root, spec);
  return spec;
}

}  // namespace autarky
