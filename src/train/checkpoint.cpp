// Writing checkpoints.
#include "train/checkpoint.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <stdio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <nlohmann/json.hpp>
#include <sstream>

#include "base/error.h"
#include "base/json.h"
#include "train/manifest.h"

namespace autarky {
namespace {

constexpr std::string_view kTemporaryPrefix = ".tmp-";

// What Hugging Face keeps beside a model for its tokenizer.
constexpr std::string_view kTokenizerFiles[] = {"tokenizer.json",
                                                "tokenizer_config.json",
                                                "special_tokens_map.json",
                                                "added_tokens.json",
                                                "vocab.json",
                                                "merges.txt",
                                                "tokenizer.model",
                                                "chat_template.jinja"};

InputError cannot(std::string_view verb, const fs::path& path, std::string_view reason) {
  return InputError(fmt::format("cannot {} '{}': {}", verb, path.string(), reason));
}

// Nothing is removed but folders and links of our own names.
void remove_leftovers(const fs::path& folder) {
  std::vector<fs::path> leftovers;
  for (const auto& entry : fs::directory_iterator(folder))
    if (entry.path().filename().string().starts_with(kTemporaryPrefix))
      leftovers.push_back(entry.path());
  for (const auto& path : leftovers) fs::remove_all(path);
}

std::string state_json(const TrainState& state) {
  const Json json = {{"step", state.step},          {"samples", state.samples},
                     {"tokens", state.tokens},      {"seed", state.seed},
                     {"lanes", state.lanes},        {"recipe_hash", state.recipe_hash},
                     {"data", to_json(state.data)}, {"history", to_json(state.history)}};
  return json.dump(2) + "\n";
}

void append(std::vector<WrittenFile>& files, std::vector<WrittenFile> more) {
  for (auto& file : more) files.push_back(std::move(file));
}

std::vector<WrittenFile> save_optimizer(const fs::path& folder, const ModelConfig& config,
                                        const CheckpointShare& share, const StateSource& source) {
  const auto parameters = parameter_instances(config);
  std::vector<SafetensorsSpec> tensors;
  WritingShare writing{share.rank, {}};
  for (std::size_t i = 0; i < parameters.size(); ++i)
    for (const StatePart part : {StatePart::m, StatePart::v}) {
      tensors.push_back(optimizer_tensor(part, parameters[i]));
      writing.owners.push_back(share.owner(i));
    }
  SafetensorsSetWriter writer(folder, "optimizer", std::move(tensors), kMostShardBytes, writing);
  std::vector<float> values;
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    if (!share.mine(i)) continue;
    const ParameterInstance& parameter = parameters[i];
    for (const StatePart part : {StatePart::m, StatePart::v}) {
      values.resize(std::size_t(parameter.spec.count()));
      source(part, parameter.spec, parameter.layer, values);
      writer.write(optimizer_tensor(part, parameter).name, std::as_bytes(std::span(values)));
    }
  }
  return writer.finish();
}

std::vector<WrittenFile> copy_tokenizer(const fs::path& from, const fs::path& to) {
  std::vector<WrittenFile> files;
  if (from.empty()) return files;
  for (const std::string_view name : kTokenizerFiles)
    if (fs::is_regular_file(from / name))
      files.push_back(write_listed_file(to / name, read_file(from / name)));
  return files;
}

// What a rank leaves for rank 0: "NAME BYTES HASH" a line.
std::string part_name(int rank) { return fmt::format(".part-{}", rank); }

std::string to_text(const std::vector<WrittenFile>& files) {
  std::string text;
  for (const auto& f : files) text += fmt::format("{} {} {}\n", f.name, f.bytes, f.xxh3);
  return text;
}

std::vector<WrittenFile> files_of_text(const std::string& text) {
  std::vector<WrittenFile> files;
  std::istringstream in(text);
  for (WrittenFile f; in >> f.name >> f.bytes >> f.xxh3;) files.push_back(f);
  return files;
}

// The last that a rank does in the folder, which rank 0 takes away when it has all lists.
void leave_list(const fs::path& folder, int rank, const std::vector<WrittenFile>& files) {
  const fs::path unseen = folder / (part_name(rank) + ".unseen");
  write_file_atomic(unseen, to_text(files));
  fs::rename(unseen, folder / part_name(rank));
}

// Removes a checkpoint that cannot be written; false: it was gone. It loses its name before it
// loses its files: of all ranks one alone gives it up, and the others find that in whatever they do
// next.
bool give_up(const fs::path& folder) {
  fs::path nameless = folder;
  nameless += ".given-up";
  std::error_code error, ignored;
  fs::rename(folder, nameless, error);
  fs::remove_all(error ? folder : nameless, ignored);
  return error != std::errc::no_such_file_or_directory;
}

// Gives `from` the name `to`, which may be a folder that is there: then the two change names in one
// step, or, on file systems without that, the old one goes first.
void put_in_place(const fs::path& from, const fs::path& to) {
  if (fs::exists(to)) {
    if (::renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_EXCHANGE) == 0) {
      fs::remove_all(from);
      return;
    }
    fs::remove_all(to);
  }
  fs::rename(from, to);
}

}  // namespace

CheckpointWriter::CheckpointWriter(CheckpointOptions options, ModelConfig config)
    : options_(std::move(options)), config_(std::move(config)) {
  AUTARKY_CHECK(options_.keep_last >= 1, "a run keeps its last checkpoint");
  to_config_json(config_);  // throws where there is none
  try {
    fs::create_directories(options_.folder);
    if (::access(options_.folder.c_str(), W_OK | X_OK) != 0)
      throw cannot("write checkpoints to", options_.folder, std::strerror(errno));
    if (options_.share.rank == 0) remove_leftovers(options_.folder);
  } catch (const fs::filesystem_error& e) {
    throw cannot("write checkpoints to", options_.folder, e.code().message());
  }
}

CheckpointWriter::~CheckpointWriter() {
  abandoned_ = true;
  if (thread_.joinable()) thread_.join();
}

fs::path CheckpointWriter::temporary(std::int64_t step) const {
  return options_.folder / (std::string(kTemporaryPrefix) + checkpoint_name(step));
}

void CheckpointWriter::make_folder(std::int64_t step) const {
  fs::remove_all(temporary(step));
  fs::create_directory(temporary(step));
}

void CheckpointWriter::open(std::int64_t step) {
  wait();
  try {
    if (options_.share.rank == 0) make_folder(step);
  } catch (const fs::filesystem_error& e) {
    throw Error(fmt::format("writing the checkpoint of step {} failed: {}", step, e.what()));
  }
}

void CheckpointWriter::start(StateSource source, const TrainState& state) {
  wait();
  step_ = state.step;
  thread_ = std::thread([this, source = std::move(source), state] {
    try {
      write(source, state);
    } catch (...) {
      error_ = std::current_exception();
    }
  });
}

void CheckpointWriter::wait() {
  if (thread_.joinable()) thread_.join();
  if (!error_) return;
  try {
    std::rethrow_exception(std::exchange(error_, nullptr));
  } catch (const std::exception& e) {
    throw Error(fmt::format("writing the checkpoint of step {} failed: {}", step_, e.what()))
        .hint(fmt::format("Those in '{}' from before are untouched", options_.folder.string()));
  }
}

void CheckpointWriter::write(const StateSource& source, const TrainState& state) {
  const fs::path folder = temporary(state.step);
  given_up_by_another_ = false;
  bool in_place = false;
  try {
    if (options_.share.ranks == 1) make_folder(state.step);
    auto files = write_share(folder, source, state);
    if (options_.share.rank != 0) return leave_list(folder, options_.share.rank, files);
    append(files, files_of_others(folder));
    write_manifest(folder, state.step, files);
    sync_path(folder);
    put_in_place(folder, options_.folder / checkpoint_name(state.step));
    in_place = true;
    point_latest_to(state.step);
  } catch (...) {
    given_up_by_another_ = !in_place && !give_up(folder) && options_.share.ranks > 1;
    throw;
  }
  prune(state.step);
}

std::vector<WrittenFile> CheckpointWriter::write_share(const fs::path& folder,
                                                       const StateSource& source,
                                                       const TrainState& state) const {
  const CheckpointShare& share = options_.share;
  if (!fs::is_directory(folder))
    throw Error("another rank has given the checkpoint up, or its folder is not seen here")
        .at(folder.string())
        .hint("All ranks need the run folder on a file system that they share");
  const auto weights = [&](const ParameterSpec& spec, std::int64_t layer, std::span<float> values) {
    source(StatePart::weight, spec, layer, values);
  };
  auto files = save_weights(folder, config_, DType::f32, weights, kMostShardBytes, share.tensors());
  append(files, save_optimizer(folder, config_, share, source));
  if (share.rank != 0) return files;
  append(files, copy_tokenizer(options_.tokenizer, folder));
  files.push_back(write_listed_file(folder / "train_state.json", state_json(state)));
  return files;
}

// Waits for the lists of the other ranks; takes them out of the folder.
std::vector<WrittenFile> CheckpointWriter::files_of_others(const fs::path& folder) const {
  const auto last = std::chrono::steady_clock::now() + options_.patience;
  std::vector<WrittenFile> files;
  for (int rank = 1; rank < options_.share.ranks; ++rank) {
    const fs::path list = folder / part_name(rank);
    while (!fs::exists(list)) {
      if (abandoned_ || !fs::is_directory(folder) || std::chrono::steady_clock::now() > last)
        throw Error(fmt::format("rank {} has not written its share", rank)).at(folder.string());
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    append(files, files_of_text(read_file(list)));
    fs::remove(list);
  }
  return files;
}

void CheckpointWriter::point_latest_to(std::int64_t step) const {
  sync_path(options_.folder);
  const fs::path link = options_.folder / (std::string(kTemporaryPrefix) + "latest");
  fs::remove(link);
  fs::create_symlink(checkpoint_name(step), link);
  fs::rename(link, options_.folder / "latest");
  sync_path(options_.folder);
}

// A folder loses its name before it loses its files: what has the name of a checkpoint is whole.
void CheckpointWriter::prune(std::int64_t step) const {
  std::vector<std::int64_t> steps;
  for (const auto& entry : fs::directory_iterator(options_.folder))
    if (const auto found = checkpoint_step(entry.path().filename().string());
        found && *found <= step)
      steps.push_back(*found);
  const auto planned = [&](std::int64_t s) {
    return s == step || options_.every == 0 || s % options_.every == 0;
  };
  std::sort(steps.begin(), steps.end(), [&](std::int64_t a, std::int64_t b) {
    return std::pair(planned(a), a) > std::pair(planned(b), b);
  });
  for (std::size_t i = std::size_t(options_.keep_last); i < steps.size(); ++i) {
    const fs::path path = options_.folder / checkpoint_name(steps[i]);
    const fs::path doomed =
        options_.folder / (std::string(kTemporaryPrefix) + checkpoint_name(steps[i]));
    fs::rename(path, doomed);
    fs::remove_all(doomed);
  }
}

}  // namespace autarky
