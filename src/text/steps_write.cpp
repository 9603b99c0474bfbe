#include <nlohmann/json.hpp>

#include "text/steps_json.h"
#include "text/tokenizer_names.h"

namespace autarky {
namespace {

Json pattern_json(const TextPattern& p) { return {{p.literal ? "String" : "Regex", p.text}}; }

Json step_json(const Replace& s) {
  return {{"type", "Replace"}, {"pattern", pattern_json(s.pattern)}, {"content", s.content}};
}
Json step_json(NormalForm form) { return {{"type", name_of(form, kNormalForms)}}; }
Json step_json(const Prepend& s) { return {{"type", "Prepend"}, {"prepend", s.text}}; }
Json step_json(const StripSpaces& s) {
  return {{"type", "Strip"}, {"strip_left", s.left}, {"strip_right", s.right}};
}
Json step_json(const Split& s) {
  return {{"type", "Split"},
          {"pattern", pattern_json(s.pattern)},
          {"behavior", name_of(s.behavior, kSplitBehaviors)},
          {"invert", s.invert}};
}
Json step_json(const Digits& s) {
  return {{"type", "Digits"}, {"individual_digits", s.individual}};
}
Json step_json(const Punctuation& s) {
  return {{"type", "Punctuation"}, {"behavior", name_of(s.behavior, kSplitBehaviors)}};
}
Json step_json(const Metaspace& s) {
  return {{"type", "Metaspace"},
          {"replacement", s.replacement},
          {"prepend_scheme", name_of(s.scheme, kPrependSchemes)},
          {"split", s.split}};
}
Json step_json(const ByteLevel& s) {
  return {{"type", "ByteLevel"},
          {"add_prefix_space", s.add_prefix_space},
          {"trim_offsets", true},
          {"use_regex", s.use_regex}};
}
Json step_json(const ByteFallback&) { return {{"type", "ByteFallback"}}; }
Json step_json(const Fuse&) { return {{"type", "Fuse"}}; }
Json step_json(const StripEnds& s) {
  return {{"type", "Strip"}, {"content", s.content}, {"start", s.start}, {"stop", s.stop}};
}

template <typename Step>
Json steps_json(const std::vector<Step>& steps, const char* list_key) {
  Json list = Json::array();
  for (const Step& step : steps)
    list.push_back(std::visit([](const auto& s) { return step_json(s); }, step));
  if (list.empty()) return nullptr;
  if (list.size() == 1) return list[0];
  return {{"type", "Sequence"}, {list_key, std::move(list)}};
}

}  // namespace

Json normalizer_json(const std::vector<NormalizerStep>& steps) {
  return steps_json(steps, "normalizers");
}
Json pre_tokenizer_json(const std::vector<PreTokenizerStep>& steps) {
  return steps_json(steps, "pretokenizers");
}
Json decoder_json(const std::vector<DecoderStep>& steps) { return steps_json(steps, "decoders"); }

}  // namespace autarky
