// Helpers of the text tests: a small trained tokenizer, a folder that is removed again.
#pragma once
#include <gtest/gtest.h>
#include <unistd.h>

#include <string>
#include <string_view>
#include <vector>

#include "text/bpe_trainer.h"

namespace autarky {

// A folder of this process and test, removed at the end.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    const auto* test = testing::UnitTest::GetInstance()->current_test_info();
    path_ =
        fs::temp_directory_path() / ("autarky_text_" + std::to_string(::getpid()) + test->name());
    fs::create_directories(path_);
  }
  ~TemporaryFolder() { fs::remove_all(path_); }
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

inline BpeTraining train_on(std::vector<std::string> documents, const BpeTrainerOptions& options) {
  std::size_t next = 0;
  return train_bpe(
      [&](std::string_view& document) {
        if (next == documents.size()) return false;
        document = documents[next++];
        return true;
      },
      options);
}

inline Tokenizer small_tokenizer(std::string pattern = "gpt2") {
  BpeTrainerOptions options;
  options.pattern = std::move(pattern);
  options.vocab_size = 300;
  options.normalize_nfc = options.pattern == "qwen2";
  options.special_tokens = {"<|endoftext|>", "<|end|>"};
  return train_on({"the cat sat on the mat, the cat's hat; 2024 and 1234\n\nthe end  aaaa aaaa",
                   "\xe4\xb8\xad\xe6\x96\x87\xe4\xb8\xad\xe6\x96\x87 the the"},
                  options)
      .tokenizer;
}

}  // namespace autarky
