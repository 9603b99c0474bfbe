#include "launch/slurm.h"

#include <fmt/core.h>
#include <sys/wait.h>

#include <cstdio>

#include "base/error.h"
#include "base/process.h"
#include "base/words.h"

namespace autarky {
namespace {

// One word for a POSIX shell.
std::string quoted(const std::string& word) {
  constexpr std::string_view kPlain =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./=:,+@%";
  if (!word.empty() && word.find_first_not_of(kPlain) == word.npos) return word;
  std::string text = "'";
  for (char c : word) text += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return text + "'";
}

}  // namespace

std::string slurm_script(const SlurmJob& job) {
  std::string text =
      "#!/bin/sh\n# Written by autarky launch --slurm. Once more: sbatch and the name of this "
      "file.\n";
  const auto option = [&](const std::string& words) { text += "#SBATCH " + words + "\n"; };
  option("--job-name=" + quoted(job.name));
  option(fmt::format("--ntasks={}", job.ranks));
  option(fmt::format("--cpus-per-task={}", job.threads));
  option("--signal=B:TERM@120");
  option("--open-mode=append");
  if (!job.options.empty()) option(job.options);
  text += "exec";
  for (const auto& word : job.command) text += " " + quoted(word);
  return text + "\n";
}

std::string find_sbatch() {
  std::string sbatch = find_program("sbatch");
  if (sbatch.empty())
    throw InputError("there is no sbatch, which takes jobs for Slurm")
        .at("--slurm")
        .hint("Run this where Slurm's commands are (Debian: slurm-client), or without --slurm");
  return sbatch;
}

std::string submit(const std::string& sbatch, const std::string& script) {
  const std::string command = quoted(sbatch) + " --parsable " + quoted(script) + " 2>&1";
  std::FILE* answer = ::popen(command.c_str(), "r");
  if (answer == nullptr) throw Error("sbatch cannot be started");
  std::string said;
  char part[256];
  while (const std::size_t n = std::fread(part, 1, sizeof part, answer)) said.append(part, n);
  const int status = ::pclose(answer);
  said = trim(said);
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
    throw InputError("sbatch refuses the job")
        .at(script)
        .found(said)
        .hint("Options for it go into --slurm-options");
  const std::string last = said.substr(said.rfind('\n') + 1);  // "JOB" or "JOB;CLUSTER"
  return last.substr(0, last.find(';'));
}

}  // namespace autarky
