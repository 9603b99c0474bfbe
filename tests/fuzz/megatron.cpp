// PREFIX.idx beside a fixed PREFIX.bin: inspected, every sequence read, cut into samples.
#include <algorithm>

#include "data/dataset.h"
#include "data/inspect.h"
#include "formats/megatron_index.h"
#include "fuzz/fuzz.h"

using namespace autarky;

namespace {

constexpr std::int64_t kTokens = 256, kRows = 4;

// u16 numbers that rise; as i32 most of them are beyond any vocabulary.
std::string bin() {
  std::string bytes;
  for (int i = 0; i < kTokens; ++i) bytes += {char(i), char(0)};
  return bytes;
}

void read_all(const fs::path& prefix) {
  const MegatronDataset data(prefix);
  data.fingerprint();
  std::vector<std::int32_t> tokens;
  std::int64_t total = 0;
  for (std::int64_t i = 0; i < data.sequence_count(); ++i) {
    tokens.resize(std::size_t(data.sequence_size(i)));
    data.read_sequence(i, 0, tokens);
    total += std::int64_t(tokens.size());
  }
  AUTARKY_CHECK(total == data.token_count(), "the sequences hold all tokens");
}

template <typename Set>
void read_samples(Set set, std::int64_t first) {
  Batch batch;
  batch.resize(kRows, 16);
  set.read(first, kRows, batch);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const fs::path bin_path = fuzz_folder().write("data.bin", bin());
  const fs::path prefix = fuzz_folder().path() / "data";
  fuzz_folder().write("data.idx", as_text(data, size));
  if (!accepted([&] { read_all(prefix); })) return 0;
  accepted([&] { inspect_shards(prefix, 3, 5); });
  const WeightedPrefix source{prefix, {}};
  const SampleOptions options{.seq_length = 16, .vocab_size = kTokens, .seed = 1};
  const std::span<const WeightedPrefix> sources(&source, 1);
  accepted([&] { read_samples(ValidationSet(sources, options), 0); });
  accepted([&] { read_samples(TrainingSet(sources, options), 1000); });
  return 0;
}
