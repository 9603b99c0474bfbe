// tokenizer.json, and behind bytes 0 a text to encode and tokenizer_config.json.
#include "fuzz/fuzz.h"
#include "fuzz/use_tokenizer.h"

using namespace autarky;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto parts = parts_of(as_text(data, size));
  fuzz_folder().write("tokenizer.json", parts[0]);
  const std::string_view text = parts.size() > 1 ? parts[1] : "Hello <s>, it's 2024\xff\n\n  ok";
  fuzz_folder().write("tokenizer_config.json", parts.size() > 2 ? parts[2] : "{}");
  accepted([&] { use_tokenizer(Tokenizer::load(fuzz_folder().path()), text); });
  return 0;
}
