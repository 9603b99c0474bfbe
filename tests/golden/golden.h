// What make_model_golden.py wrote for one model.
#pragma once
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/json.h"
#include "models/config.h"

namespace autarky {

constexpr std::int64_t kRows = 4, kSeq = 16;  // of its batch

// Parameter values by buffer_name.
using Weights = std::map<std::string, std::vector<float>>;

struct Golden {
  ModelConfig config;
  Weights initial, gradients, final;
  std::vector<float> logits;  // of the initial weights, [rows seq vocab]
  Json run;
};

// The models are the folders of tests/golden/models.
inline constexpr const char* kGoldenModels[] = {"gpt2",  "llama", "llama3",  "mistral",
                                                "qwen2", "qwen3", "telechat"};

Golden read_golden(const std::string& name);

}  // namespace autarky
