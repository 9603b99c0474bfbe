// Decoding with a key/value cache against the logits of transformers (make_model_golden.py).
#include <gtest/gtest.h>

#include <cmath>

#include "backend/cpu/cpu_backend.h"
#include "backend/reference/reference.h"
#include "comm/local/local_comm.h"
#include "golden/golden.h"
#include "models/decoder.h"
#include "models/rope.h"
#include "passes/compile.h"
#include "runtime/session.h"

namespace autarky {
namespace {

constexpr std::int64_t kChunk = 2;  // tokens that are fed at a time

Program decoding_program(const ModelConfig& config, const Backend& backend) {
  StepOptions options;
  options.scratch = scratch_of(backend);
  return compile_forward(build_cached_decoder(config, {DType::f32, 1, kChunk}, kSeq), options, 0);
}

// Feeds one row of the batch, kChunk tokens at a time.
class Decoding {
 public:
  Decoding(const Golden& golden, const Backend& backend) : golden_(golden), comm_(single_rank()) {
    Program program = decoding_program(golden.config, backend);
    auto memory = backend.allocate(program.arena_bytes());
    session_ = std::make_unique<Session>(std::move(program), backend, std::move(memory), *comm_);
    for (const auto& [name, values] : golden.initial)
      from_doubles(std::vector<double>(values.begin(), values.end()), session_->buffer(name));
    if (golden.config.position == PositionKind::rope)
      from_doubles(rope_inv_freq(golden.config.rope, golden.config.head_dim, kSeq),
                   session_->buffer("rope_frequencies"));
  }

  // Logits after token `first` + kChunk - 1 of the row.
  std::vector<double> feed(std::int64_t row, std::int64_t first) {
    for (const char* name : {"tokens", "positions", "segments"})
      put(name, slice(name, row, first, kChunk));
    const std::int64_t seen = first + kChunk;
    auto positions = slice("positions", row, 0, seen), segments = slice("segments", row, 0, seen);
    positions.resize(std::size_t(kSeq), 0);
    segments.resize(std::size_t(kSeq), -1);
    put("cache_positions", positions);
    put("cache_segments", segments);
    put("cache_first", {double(first)});
    put("last", {double(kChunk - 1)});
    session_->run();
    return to_doubles(session_->buffer("logits.0"));
  }

 private:
  std::vector<double> slice(const char* name, std::int64_t row, std::int64_t first,
                            std::int64_t count) const {
    const auto all = golden_.run.at(name).get<std::vector<double>>();
    const auto start = all.begin() + row * kSeq + first;
    return {start, start + count};
  }
  void put(const std::string& name, const std::vector<double>& values) {
    if (session_->has(name + ".0")) from_doubles(values, session_->buffer(name + ".0"));
  }

  const Golden& golden_;
  std::unique_ptr<Comm> comm_;
  std::unique_ptr<Session> session_;
};

void expect_torch_logits(const std::string& family, const Backend& backend) {
  const Golden golden = read_golden(family);
  Decoding decoding(golden, backend);
  for (std::int64_t row : {0, 1})
    for (std::int64_t first = 0; first < kSeq; first += kChunk) {
      const auto found = decoding.feed(row, first);
      const auto* wanted =
          golden.logits.data() + (row * kSeq + first + kChunk - 1) * golden.config.vocab;
      ASSERT_EQ(std::int64_t(found.size()), golden.config.vocab);
      for (std::size_t v = 0; v < found.size(); ++v)
        ASSERT_NEAR(found[v], double(wanted[v]), 5e-5)
            << backend.name() << " row " << row << " token " << first + kChunk - 1;
    }
}

class DecodeGolden : public testing::TestWithParam<const char*> {};

TEST_P(DecodeGolden, CachedLogitsAreLikeTorch) {
  expect_torch_logits(GetParam(), *make_reference_backend());
  expect_torch_logits(GetParam(), *make_cpu_backend());
}

INSTANTIATE_TEST_SUITE_P(Families, DecodeGolden, testing::ValuesIn(kGoldenModels),
                         [](const auto& family) { return std::string(family.param); });

}  // namespace
}  // namespace autarky
