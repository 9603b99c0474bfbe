// Tokenizers from outside: ids for comparison with other programs, times. See peers/tokenizers.sh
// and tests/golden/check_tokenizers.sh. DOCUMENTS: records of u32 length and bytes.
//   tokenizer_bench ids TOKENIZER DOCUMENTS OUT     OUT: per document u32 n, n ids, u32 n, n bytes
//   tokenizer_bench encode TOKENIZER DOCUMENTS      seconds, tokens
//   tokenizer_bench train DOCUMENTS VOCAB_SIZE PATTERN FOLDER
#include <fmt/core.h>

#include <chrono>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/parallel.h"
#include "text/bpe_trainer.h"

namespace autarky {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

std::vector<std::string_view> read_documents(std::string_view bytes) {
  std::vector<std::string_view> documents;
  while (bytes.size() >= sizeof(std::uint32_t)) {
    std::uint32_t n = 0;
    std::memcpy(&n, bytes.data(), sizeof n);
    documents.push_back(bytes.substr(sizeof n, n));
    bytes.remove_prefix(std::min(bytes.size(), sizeof n + n));
  }
  return documents;
}

void append(std::string& out, const void* data, std::size_t count, std::size_t size) {
  const auto n = std::uint32_t(count);
  out.append(reinterpret_cast<const char*>(&n), sizeof n);
  out.append(static_cast<const char*>(data), count * size);
}

void write_ids(const Tokenizer& t, const std::vector<std::string_view>& documents,
               const fs::path& path) {
  std::string out;
  for (const std::string_view text : documents) {
    const auto ids = t.encode(text);
    const std::string decoded = t.decode(ids);
    append(out, ids.data(), ids.size(), sizeof ids[0]);
    append(out, decoded.data(), decoded.size(), 1);
  }
  write_file_atomic(path, out);
}

void time_encoding(const Tokenizer& t, const std::vector<std::string_view>& documents) {
  std::vector<std::size_t> counts(documents.size());
  const auto start = Clock::now();
  parallel_for(std::int64_t(documents.size()), [&](std::int64_t i, int) {
    counts[std::size_t(i)] = t.encode(documents[std::size_t(i)], false).size();
  });
  const double seconds = seconds_since(start);
  std::size_t tokens = 0;
  for (const std::size_t n : counts) tokens += n;
  fmt::print("{{\"seconds\": {:.4f}, \"tokens\": {}}}\n", seconds, tokens);
}

void time_training(const std::vector<std::string_view>& documents, const char* size,
                   const char* pattern, const fs::path& folder) {
  BpeTrainerOptions options;
  options.vocab_size = std::stoi(size);
  options.pattern = pattern;
  std::size_t next = 0;
  const auto start = Clock::now();
  const BpeTraining training = train_bpe(
      [&](std::string_view& document) {
        if (next == documents.size()) return false;
        document = documents[next++];
        return true;
      },
      options);
  fmt::print("{{\"seconds\": {:.4f}, \"tokens\": {}}}\n", seconds_since(start),
             training.tokenizer.vocab_size());
  training.tokenizer.save(folder);
}

int run(const std::vector<std::string>& arguments) {
  const std::string verb = arguments.empty() ? "" : arguments[0];
  const bool is_train = verb == "train";
  if (arguments.size() != (is_train ? 5u : verb == "ids" ? 4u : 3u)) {
    fmt::print(stderr, "usage: see the first lines of bench/tokenizer_bench.cpp\n");
    return 2;
  }
  const MappedFile file(arguments[is_train ? 1 : 2]);
  const auto documents = read_documents(file.text());
  if (is_train)
    return time_training(documents, arguments[2].c_str(), arguments[3].c_str(), arguments[4]), 0;
  const Tokenizer tokenizer = Tokenizer::load(arguments[1]);
  verb == "ids" ? write_ids(tokenizer, documents, arguments[3])
                : time_encoding(tokenizer, documents);
  return 0;
}

}  // namespace
}  // namespace autarky

int main(int argc, char** argv) {
  try {
    return autarky::run({argv + 1, argv + argc});
  } catch (const autarky::Error& e) {
    fmt::print(stderr, "{}\n", e.what());
    return e.exit_code();
  }
}
