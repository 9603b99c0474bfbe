#include "plan/published.h"

#include <fmt/core.h>
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <numeric>
#include <sstream>

#include "base/error.h"
#include "models/flops.h"
#include "models/parameters.h"
#include "plan/csv.h"
#include "sim/chip_sheet.h"

namespace autarky {
namespace {

constexpr const char* kColumns[] = {"id",
                                    "chips",
                                    "layers",
                                    "hidden",
                                    "heads",
                                    "kv_heads",
                                    "ffn_hidden",
                                    "vocab",
                                    "seq_len",
                                    "global_batch_sequences",
                                    "tp",
                                    "pp",
                                    "vpp",
                                    "dp",
                                    "cp",
                                    "ep",
                                    "recompute",
                                    "sequence_parallel",
                                    "zero_stage",
                                    "achieved_tflops_per_chip",
                                    "mfu_percent",
                                    "step_time_s",
                                    "tokens_per_s",
                                    "source",
                                    "notes",
                                    "chip_id",
                                    "micro_batch",
                                    "mlp",
                                    "norm",
                                    "tied",
                                    "experts",
                                    "precision_gemm",
                                    "attention_kernel",
                                    "flops_definition",
                                    "profile",
                                    "assumed",
                                    "comparable",
                                    "why_not",
                                    "system"};

// The value of "[name=VALUE]" in the notes.
std::string tag(const std::string& notes, const std::string& name) {
  const auto at = notes.find("[" + name + "=");
  if (at == notes.npos) return "";
  const auto from = at + name.size() + 2;
  return notes.substr(from, notes.find(']', from) - from);
}

class RowReader {
 public:
  explicit RowReader(const CsvRow& row) : row_(row) {}

  PublishedRun read() {
    PublishedRun run;
    run.id = text("id");
    run.source = text("source");
    run.profile = text("profile");
    run.chip = text("chip_id");
    run.assumed = text("assumed");
    run.notes = text("notes");
    run.fp8 = text("precision_gemm") == "fp8";
    run.flash = text("attention_kernel") == "flash";
    run.half_batches = run.notes.find("fine_grain_interleave 2") != std::string::npos;
    for (const char* words : {"async TP", "MC2"})
      run.tiles |= run.notes.find(words) != std::string::npos;
    run.again_gathers = run.notes.find("select_comm_recompute") != std::string::npos;
    run.apart = text("system") == "DeepSpeed ZeRO-3";
    run.plain_tensor = text("system").find("FlagPerf") != std::string::npos;
    run.overlapped = text("system").find("MindSpeed") != std::string::npos;
    run.messages_stop = text("system") == "Megatron-DeepSpeed";
    run.refused = refusal();
    if (!run.refused.empty()) return run;
    run.chips = whole("chips");
    try {
      run.options = options();
    } catch (const InputError& e) {  // no model that there could be
      run.refused = e.what();
      return run;
    }
    check(run);
    if (run.refused.empty()) run.step_s = step_seconds(run);
    return run;
  }

 private:
  const std::string& text(const std::string& column) const { return row_.fields.at(column); }
  bool has(const std::string& column) const { return !text(column).empty(); }

  double number(const std::string& column) const {
    const std::string& t = text(column);
    double value = 0;
    const auto end = std::from_chars(t.data(), t.data() + t.size(), value);
    if (end.ec != std::errc() || end.ptr != t.data() + t.size() || !(value >= 0) || value > 1e15)
      throw InputError("not a number")
          .at(fmt::format("{}, column {}", row_.place, column))
          .found(fmt::format("'{}'", t))
          .wanted("a number that is not negative");
    return value;
  }
  int whole(const std::string& column) const { return int(std::clamp(number(column), 0.0, 1e9)); }
  // Of an axis, or of anything else that ranks are cut by.
  int size(const std::string& column) const {
    const int n = whole(column);
    if (n >= 1 && n <= (1 << 20)) return n;
    throw InputError("no size")
        .at(fmt::format("{}, column {}", row_.place, column))
        .found(text(column))
        .wanted("1 to 1048576");
  }
  double number_or(const std::string& column, double otherwise) const {
    return has(column) ? number(column) : otherwise;
  }

  std::string refusal() const {
    if (text("comparable") == "n") return has("why_not") ? text("why_not") : "marked so";
    if (has("experts")) return "mixture of experts is not modelled yet";
    if (number_or("cp", 1) > 1) return "context parallelism is not modelled yet";
    for (const char* column :
         {"chips", "layers", "hidden", "heads", "kv_heads", "ffn_hidden", "vocab", "seq_len",
          "global_batch_sequences", "tp", "pp", "dp", "micro_batch"})
      if (!has(column)) return fmt::format("{} is not given", column);
    return "";
  }

  ModelConfig model() const {
    ModelConfig m;
    m.layers = std::int64_t(number("layers"));
    m.hidden = std::int64_t(number("hidden"));
    m.heads = std::int64_t(number("heads"));
    m.kv_heads = std::int64_t(number("kv_heads"));
    const std::string head_dim = tag(text("notes"), "head_dim");
    m.head_dim = m.hidden / std::max<std::int64_t>(1, m.heads);
    std::from_chars(head_dim.data(), head_dim.data() + head_dim.size(), m.head_dim);
    m.ffn = std::int64_t(number("ffn_hidden"));
    m.vocab = std::int64_t(number("vocab"));
    m.max_positions = std::int64_t(number("seq_len"));
    m.tied_embeddings = text("tied") == "y";
    const bool gpt = text("mlp") == "gelu";
    m.family = gpt ? Family::gpt2 : Family::llama;
    m.activation = gpt ? Activation::gelu_tanh : Activation::silu_gate;
    m.norm = gpt ? NormKind::layer : NormKind::rms;  // as the families have it
    m.position = gpt ? PositionKind::learned : PositionKind::rope;
    m.qkv_bias = m.attn_output_bias = m.ffn_input_bias = m.ffn_output_bias = gpt;
    validate(m, row_.place);
    return m;
  }

  EngineOptions options() const {
    EngineOptions o;
    o.model = model();
    o.dtype = DType::bf16;
    o.batch = size("micro_batch");
    o.seq = std::int64_t(number("seq_len"));
    const int dp = size("dp"), tp = size("tp"), pp = size("pp");
    o.mesh = training_mesh(o.model, dp, tp, pp);
    o.chunks = has("vpp") ? size("vpp") : 1;
    if (o.chunks > 1 && pp > 1) o.schedule = PipelineSchedule::interleaved;
    else o.chunks = 1;
    o.microbatches = int(std::min(1e9, number("global_batch_sequences") / dp / double(o.batch)));
    o.sequence_parallel = text("sequence_parallel") == "y";
    o.zero_stage = has("zero_stage") ? whole("zero_stage") : 0;
    const std::string& recompute = text("recompute");
    o.recompute = recompute == "full"        ? Recompute::full
                  : recompute == "selective" ? Recompute::selective
                                             : Recompute::none;
    o.stage_layers = stage_layers(o, pp);
    return o;
  }

  // Given per stage, here per part: the chunks of a stage share them.
  std::vector<int> stage_layers(const EngineOptions& o, int pp) const {
    const int parts = pp * o.chunks;
    std::vector<int> of_stage;
    const std::string given = tag(text("notes"), "stage_layers");
    if (given.find_first_not_of("0123456789,") == given.npos && !given.empty()) {
      std::istringstream numbers(given);
      for (std::string n; std::getline(numbers, n, ',');) {
        int layers = 0;
        std::from_chars(n.data(), n.data() + n.size(), layers);
        of_stage.push_back(layers);
      }
    }
    if (int(of_stage.size()) == pp &&
        std::accumulate(of_stage.begin(), of_stage.end(), std::int64_t(0)) == o.model.layers) {
      std::vector<int> all(std::size_t(parts), 0);
      for (int s = 0; s < pp; ++s)
        for (int c = 0; c < o.chunks; ++c)
          all[std::size_t(c * pp + s)] = of_stage[std::size_t(s)] * (c + 1) / o.chunks -
                                         of_stage[std::size_t(s)] * c / o.chunks;
      return all;
    }
    // More parts than layers: the first and the last ones hold the embedding and the head alone.
    if (parts <= o.model.layers) return {};
    std::vector<int> all(std::size_t(parts), 1);
    for (int less = parts - int(o.model.layers), k = 0; k < less; ++k)
      all[std::size_t(k % 2 == 0 ? k / 2 : parts - 1 - k / 2)] = 0;
    return all;
  }

  void check(PublishedRun& run) const {
    const auto& o = run.options;
    constexpr double kMostSlots = 1e7;
    const double dp = o.mesh.size(Axis::dp), pp = o.mesh.size(Axis::pp);
    const double ranks = dp * pp * double(o.mesh.size(Axis::tp)) * double(o.mesh.size(Axis::tpr));
    if (ranks != double(run.chips))
      run.refused = fmt::format("tp x pp x dp is {}, not {} chips", ranks, run.chips);
    else if (double(o.batch) * o.microbatches * dp != number("global_batch_sequences"))
      run.refused = "the batch is no multiple of data-parallel ranks x micro-batch";
    else if (pp * o.chunks * o.microbatches > kMostSlots)
      run.refused = "a schedule of more than 10^7 slots";
    else if (o.zero_stage > 3) run.refused = "ZeRO has stages 0 to 3";
  }

  // Of a step, in the way the row's TFLOP/s are counted; 0: not known.
  double counted_flops(const PublishedRun& run) const {
    const ModelConfig& m = run.options.model;
    const double tokens = number("global_batch_sequences") * double(run.options.seq);
    const double causal = model_flops_per_token(m, run.options.seq);
    const double full = 2 * causal - model_flops_per_token(m, 1);  // all pairs of tokens
    const std::string& how = text("flops_definition");
    if (how == "mfu_causal") return tokens * causal;
    if (how == "mfu_full_attention") return tokens * full;
    if (how == "hfu_full_recompute") return tokens * full * 4 / 3;
    return how == "mfu_6n" ? tokens * 6 * double(parameter_count(m)) : 0;
  }

  // FLOP/s of a chip, which MFU is a share of. Refuses a run of a chip that is not known.
  double peak(PublishedRun& run) const {
    try {
      const ChipSheet sheet = chip_sheet(run.chip);
      if (const Figure* figure = training_peak(sheet)) return figure->value;
      run.refused = fmt::format("the peak of {}, which its MFU is of, is not known", run.chip);
    } catch (const InputError& e) {  // no such chip
      run.refused = e.what();
    }
    return 0;
  }

  double step_seconds(PublishedRun& run) const {
    const double tokens = number("global_batch_sequences") * double(run.options.seq);
    double seconds = 0;
    if (has("step_time_s")) seconds = number("step_time_s");
    else if (has("tokens_per_s")) seconds = tokens / number("tokens_per_s");
    else if (has("achieved_tflops_per_chip"))
      seconds = counted_flops(run) / (number("achieved_tflops_per_chip") * 1e12 * run.chips);
    else if (has("mfu_percent") && !run.fp8)  // of which peak, where products are fp8, is not said
      seconds = counted_flops(run) / (number("mfu_percent") / 100 * peak(run) * run.chips);
    if (!run.refused.empty()) return 0;
    if (seconds > 0 && std::isfinite(seconds)) return seconds;
    run.refused = "no step time, tokens/s, or TFLOP/s or MFU in a known way of counting";
    return 0;
  }

  const CsvRow& row_;
};

}  // namespace

std::vector<PublishedRun> read_published_runs(const fs::path& path) {
  const auto rows = read_csv(path);
  if (rows.empty()) throw InputError("there are no runs in this table").at(path.string());
  std::vector<std::string> missing;
  for (const char* column : kColumns)
    if (!rows[0].fields.contains(column)) missing.push_back(column);
  if (!missing.empty())
    throw InputError("the table lacks columns")
        .at(path.string())
        .wanted(fmt::format("{}", fmt::join(missing, ", ")));
  std::vector<PublishedRun> runs;
  for (const auto& row : rows) runs.push_back(RowReader(row).read());
  return runs;
}

}  // namespace autarky
