// A trained model in memory: its folder read, its weights placed for decoding and scoring.
#pragma once
#include <memory>
#include <optional>
#include <vector>

#include "backend/backend.h"
#include "base/file.h"
#include "comm/comm.h"
#include "models/config.h"
#include "runtime/session.h"
#include "text/tokenizer.h"

namespace autarky {

struct ServeOptions {
  std::optional<DType> dtype;  // of products; default: bf16 if the weights are, else f32
  std::int64_t capacity = 0;   // tokens of the key/value cache; 0: none, for scoring alone
  // As many tokens will do where the model has fewer positions than the capacity; 0: no fewer.
  std::int64_t least_capacity = 0;
};

class ServedModel {
 public:
  // A folder with config.json and safetensors, or a .gguf file; a tokenizer is optional. InputError
  // where something is missing or does not fit, or where memory would not suffice.
  ServedModel(const fs::path& folder, const ServeOptions& options, const Backend& backend);
  ~ServedModel();

  const ModelConfig& config() const { return config_; }
  DType dtype() const { return dtype_; }
  std::int64_t capacity() const { return capacity_; }
  // InputError if the folder has none.
  const Tokenizer& tokenizer() const;
  // Tokens that end a text: the configuration's, or else the tokenizer's.
  std::vector<std::int64_t> end_tokens() const;

  // Runs `tokens` at the positions that follow what the cache holds; returns the logits [v] of the
  // last one, v as far as the tokenizer goes. InputError beyond the capacity.
  std::span<const float> feed(std::span<const std::int32_t> tokens);
  void forget() { fed_ = 0; }  // empties the cache
  std::int64_t fed() const { return fed_; }

  // Log-probability of each token after the first, given those before it (natural logarithm).
  std::vector<double> score(std::span<const std::int32_t> tokens);
  // Sum of -log p over targets >= 0; all [s] of one length.
  double loss_sum(std::span<const std::int32_t> tokens, std::span<const std::int32_t> targets,
                  std::span<const std::int32_t> positions, std::span<const std::int32_t> segments);

 private:
  Session& scoring(std::int64_t seq);
  std::unique_ptr<Session> decoding(std::int64_t seq, bool owner);
  std::unique_ptr<Session> place(Program program);
  void feed_chunk(Session& session, std::span<const std::int32_t> tokens);

  fs::path folder_;
  ModelConfig config_;
  DType dtype_;
  std::int64_t capacity_;
  const Backend& backend_;
  std::unique_ptr<Comm> comm_;
  std::optional<Tokenizer> tokenizer_;
  std::unique_ptr<Session> one_, chunk_;  // one_ owns weights and cache
  std::unique_ptr<Session> scoring_;
  std::int64_t fed_ = 0;
};

}  // namespace autarky
