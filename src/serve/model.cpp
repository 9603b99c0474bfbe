#include "serve/model.h"

#include <fmt/core.h>

#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>
#include <numeric>

#include "base/error.h"
#include "base/json.h"
#include "base/process.h"
#include "base/words.h"
#include "comm/local/local_comm.h"
#include "formats/model_files.h"
#include "models/decoder.h"
#include "passes/compile.h"

namespace autarky {
namespace {

constexpr std::int64_t kChunk = 64;  // prompt tokens at a time

void put(const Session& session, const std::string& name, std::span<const std::int32_t> values) {
  if (!session.has(name)) return;
  const Tensor t = session.buffer(name);
  std::memcpy(t.data, values.data(), values.size() * sizeof(std::int32_t));
}

void write_parameter(const Tensor& t, std::span<const float> values) {
  if (t.dtype() == DType::f32) std::memcpy(t.data, values.data(), values.size() * sizeof(float));
  else
    for (std::size_t i = 0; i < values.size(); ++i) t.as<bf16>()[i] = bf16(values[i]);
}

void write_frequencies(const Session& session, const ModelConfig& c, std::int64_t seq) {
  if (!session.has("rope_frequencies")) return;
  const auto frequencies = rope_inv_freq(c.rope, c.head_dim, seq);
  std::copy(frequencies.begin(), frequencies.end(), session.buffer("rope_frequencies").as<float>());
}

}  // namespace

ServedModel::ServedModel(const fs::path& folder, const ServeOptions& options,
                         const Backend& backend)
    : folder_(folder),
      config_(read_model_config(folder)),
      capacity_(options.capacity),
      backend_(backend),
      comm_(single_rank()) {
  const ModelFiles files(folder);
  dtype_ = options.dtype.value_or(files.dtype() == DType::bf16 ? DType::bf16 : DType::f32);
  if (auto spec = files.tokenizer()) tokenizer_.emplace(std::move(*spec), folder.string());
  if (options.least_capacity > 0 && options.least_capacity <= config_.max_positions)
    capacity_ = std::min(capacity_, config_.max_positions);
  if (capacity_ > config_.max_positions)
    throw InputError("the text would be longer than the model's positions")
        .at(folder.string())
        .found(fmt::format("{} tokens", capacity_))
        .wanted(fmt::format("at most {}", config_.max_positions))
        .hint("Shorten the prompt or ask for fewer new tokens");
  one_ = decoding(1, true);
  if (capacity_ > 0) chunk_ = decoding(kChunk, false);
  files.load([&](const ParameterSpec& spec, std::int64_t layer, std::span<const float> values) {
    write_parameter(one_->buffer(buffer_name(spec, layer)), values);
  });
  write_frequencies(*one_, config_, std::max(capacity_, std::int64_t(1)));
}

ServedModel::~ServedModel() = default;

const Tokenizer& ServedModel::tokenizer() const {
  if (!tokenizer_)
    throw InputError("the model has no tokenizer")
        .at(folder_.string())
        .hint("Copy the tokenizer's files beside config.json");
  return *tokenizer_;
}

std::vector<std::int64_t> ServedModel::end_tokens() const {
  if (!config_.eos_ids.empty() || !tokenizer_ || !tokenizer_->eos_id()) return config_.eos_ids;
  return {*tokenizer_->eos_id()};
}

std::unique_ptr<Session> ServedModel::decoding(std::int64_t seq, bool owner) {
  StepOptions o;
  o.scratch = scratch_of(backend_);
  o.borrow = !owner;
  const auto rows = std::max<std::int64_t>(capacity_, 1);
  return place(compile_forward(build_cached_decoder(config_, {dtype_, 1, seq}, rows), o, 0));
}

std::unique_ptr<Session> ServedModel::place(Program program) {
  const auto needed = program.arena_bytes() + resident_bytes(), limit = memory_limit_bytes();
  if (needed > limit)
    throw InputError("the model does not fit in memory")
        .at(folder_.string())
        .found(fmt::format("{} needed", human_bytes(double(needed))))
        .wanted(fmt::format("at most {}", human_bytes(double(limit))))
        .hint("Shorter texts need less");
  auto arena = backend_.allocate(program.arena_bytes());
  return std::make_unique<Session>(std::move(program), backend_, std::move(arena), *comm_,
                                   one_.get());
}

std::span<const float> ServedModel::feed(std::span<const std::int32_t> tokens) {
  if (fed_ + std::int64_t(tokens.size()) > capacity_)
    throw InputError("the key/value cache is full")
        .found(fmt::format("{} tokens", fed_ + std::int64_t(tokens.size())))
        .wanted(fmt::format("at most {}", capacity_));
  Session* last = one_.get();
  while (!tokens.empty()) {
    last = tokens.size() > 1 ? chunk_.get() : one_.get();
    const auto n =
        std::min(tokens.size(), last == one_.get() ? std::size_t(1) : std::size_t(kChunk));
    feed_chunk(*last, tokens.first(n));
    tokens = tokens.subspan(n);
  }
  // A vocabulary is often padded beyond the tokenizer's: those rows mean nothing.
  const auto texts =
      tokenizer_ ? std::min<std::int64_t>(config_.vocab, tokenizer_->vocab_size()) : config_.vocab;
  return {last->buffer("logits.0").as<const float>(), std::size_t(texts)};
}

// What the chunk has beyond its tokens is padding: in a segment that nothing sees, and in rows of
// the cache that the next tokens overwrite.
void ServedModel::feed_chunk(Session& session, std::span<const std::int32_t> tokens) {
  const auto s = std::size_t(session.buffer("tokens.0").elements()), n = tokens.size();
  std::vector<std::int32_t> ids(s, 0), positions(s, 0), segments(s, -1);
  for (std::size_t i = 0; i < n; ++i) {
    ids[i] = tokens[i];
    positions[i] = std::int32_t(fed_) + std::int32_t(i);
    segments[i] = 0;
  }
  const auto capacity = std::size_t(capacity_);
  std::vector<std::int32_t> rows(capacity), seen(capacity, -1);
  std::iota(rows.begin(), rows.end(), 0);
  std::fill_n(seen.begin(), std::size_t(fed_) + n, 0);
  put(session, "tokens.0", ids);
  put(session, "positions.0", positions);
  put(session, "segments.0", segments);
  put(session, "cache_positions.0", rows);
  put(session, "cache_segments.0", seen);
  put(session, "cache_first.0", std::vector<std::int32_t>{std::int32_t(fed_)});
  put(session, "last.0", std::vector<std::int32_t>{std::int32_t(n) - 1});
  session.run();
  fed_ += std::int64_t(n);
}

Session& ServedModel::scoring(std::int64_t seq) {
  if (scoring_ && scoring_->buffer("tokens.0").elements() == seq) return *scoring_;
  StepOptions o;
  o.scratch = scratch_of(backend_);
  o.borrow = true;
  scoring_.reset();  // its memory is free before the next one's is asked for
  scoring_ = place(compile_forward(build_decoder(config_, {dtype_, 1, seq}), o, 0));
  return *scoring_;
}

double ServedModel::loss_sum(std::span<const std::int32_t> tokens,
                             std::span<const std::int32_t> targets,
                             std::span<const std::int32_t> positions,
                             std::span<const std::int32_t> segments) {
  Session& session = scoring(std::int64_t(tokens.size()));
  put(session, "tokens.0", tokens);
  put(session, "targets.0", targets);
  put(session, "positions.0", positions);
  put(session, "segments.0", segments);
  session.run();
  double sum = 0;
  const auto losses = session.buffer("loss.0");
  for (std::int64_t i = 0; i < losses.elements(); ++i) sum += double(losses.as<const float>()[i]);
  return sum;
}

std::vector<double> ServedModel::score(std::span<const std::int32_t> tokens) {
  if (tokens.size() < 2)
    throw InputError("too few tokens to score")
        .found(std::to_string(tokens.size()))
        .wanted("at least 2");
  if (std::int64_t(tokens.size()) > config_.max_positions + 1)
    throw InputError("more tokens than the model has positions")
        .found(std::to_string(tokens.size()))
        .wanted(fmt::format("at most {}", config_.max_positions + 1));
  for (auto t : tokens)
    if (t < 0 || t >= config_.vocab)
      throw InputError(fmt::format("token {} is not in the model's vocabulary", t))
          .wanted(fmt::format("0 to {}", config_.vocab - 1));
  const std::size_t n = tokens.size() - 1;
  std::vector<std::int32_t> positions(n), segments(n, 0);
  for (std::size_t i = 0; i < n; ++i) positions[i] = std::int32_t(i);
  loss_sum(tokens.first(n), tokens.subspan(1), positions, segments);
  const auto losses = scoring_->buffer("loss.0");
  std::vector<double> logprobs;
  for (std::size_t i = 0; i < n; ++i) logprobs.push_back(-double(losses.as<const float>()[i]));
  return logprobs;
}

}  // namespace autarky
