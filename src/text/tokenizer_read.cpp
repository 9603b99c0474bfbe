#include <fmt/core.h>

#include <algorithm>
#include <unordered_map>
#include <unordered_set>

#include <nlohmann/json.hpp>

#include "text/json_fields.h"
#include "text/tokenizer_spec.h"

namespace autarky {

namespace {

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
    model[key].support(model[key].text_or("").empty(), "null (byte-level tokens)");
  model["byte_fallback"].support(!model["byte_fallback"].flag_or(false),
                                 "false (byte-level tokens)");
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
  for (const auto key : {"single_word", "lstrip", "rstrip"})
    field[key].support(!field[key].flag_or(false), "false");
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

void read_byte_level(const JsonField& field, TokenizerSpec& spec) {
  spec.add_prefix_space = field["add_prefix_space"].flag_or(true);
  if (field["use_regex"].flag_or(true)) {
    spec.gpt2_split = spec.steps.empty();
    spec.steps.push_back({split_pattern("gpt2")});
  }
}

SplitStep read_split(const JsonField& field) {
  field["type"].support(field["type"].text() == "Split", "Split steps and ByteLevel at the end");
  field["behavior"].support(field["behavior"].text() == "Isolated", "\"Isolated\"");
  field["invert"].support(!field["invert"].flag_or(false), "false");
  const JsonField pattern = field["pattern"];
  const bool literal = !pattern["String"].is_null();
  return {literal ? pattern["String"].text() : pattern["Regex"].text(), literal};
}

constexpr std::string_view kPreTokenizers =
    "ByteLevel, or a Sequence of Split steps that ends with ByteLevel";

void read_pre_tokenizer(const JsonField& field, TokenizerSpec& spec) {
  field.support(!field.is_null(), kPreTokenizers);
  const std::string& type = field["type"].text();
  if (type == "ByteLevel") return read_byte_level(field, spec);
  field["type"].support(type == "Sequence", kPreTokenizers);
  const JsonField list = field["pretokenizers"];
  const std::size_t n = list.array_size();
  list.support(n > 0, kPreTokenizers);
  for (std::size_t i = 0; i + 1 < n; ++i) spec.steps.push_back(read_split(list.item(i)));
  const JsonField last = list.item(n - 1);
  last["type"].support(last["type"].text() == "ByteLevel", kPreTokenizers);
  read_byte_level(last, spec);
  // A space before each piece, not before the text, is what the file would mean.
  last["add_prefix_space"].support(n == 1 || !spec.add_prefix_space, "false after Split");
}

void read_normalizer(const JsonField& field, TokenizerSpec& spec) {
  if (field.is_null()) return;
  field["type"].support(field["type"].text() == "NFC", "null or NFC");
  spec.normalize_nfc = true;
}

void read_template(const JsonField& field, TokenizerSpec& spec) {
  const JsonField single = field["single"];
  const std::size_t n = single.array_size();
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

void read_decoder(const JsonField& field) {
  if (field.is_null()) return;
  field["type"].support(field["type"].text() == "ByteLevel", "ByteLevel");
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
  spec.bos_token = config_token(config["bos_token"]);
  spec.eos_token = config_token(config["eos_token"]);
  spec.pad_token = config_token(config["pad_token"]);
  spec.chat_template = config_template(config["chat_template"]);
}

}  // namespace

TokenizerSpec read_tokenizer_spec(const fs::path& dir) {
  const fs::path path = dir / "tokenizer.json", config_path = dir / "tokenizer_config.json";
  if (!fs::exists(path))
    throw InputError("there is no tokenizer")
        .at(path.string())
        .hint("Make one with 'autarky tokenizer train', or give the folder of a model.");
  TokenizerSpec spec;
  const auto document = read_json_unordered(path);
  const JsonField root(document, path.string());
  read_model(root["model"], spec);
  read_added_tokens(root["added_tokens"], spec);
  read_normalizer(root["normalizer"], spec);
  read_pre_tokenizer(root["pre_tokenizer"], spec);
  read_post_processor(root["post_processor"], spec);
  read_decoder(root["decoder"]);
  if (fs::exists(config_path)) {
    const auto config = read_json_unordered(config_path);
    read_config(JsonField(config, config_path.string()), spec);
  }
  return spec;
}

}  // namespace autarky
