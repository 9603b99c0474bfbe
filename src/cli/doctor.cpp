// autarky doctor: what this machine can do, what is missing and how to get it.
#include <fmt/format.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "backend/cpu/cpu_backend.h"
#include "backend/cpu/cpu_info.h"
#include "base/file.h"
#include "base/parallel.h"
#include "base/process.h"
#include "base/words.h"
#include "cli/command.h"
#include "cli/output.h"
#include "cli/verbs.h"
#include "train/calibrate.h"
#include "train/machine_sheet.h"

namespace autarky::cli {
namespace {

constexpr double kLittleDisk = 5e9, kLittleMemory = 2e9;

struct Machine {
  std::string processor, isa, mpirun;  // mpirun: its path, "" if there is none
  int cores = 0;
  std::int64_t memory = 0, usable_memory = 0;  // bytes
  std::int64_t free_disk = -1;                 // bytes, here; -1: unknown
  cpu::Peaks peaks;
};

Machine look() {
  Machine machine;
  machine.processor = processor_name();
  machine.isa = cpu::isa_name();
  machine.mpirun = find_program("mpirun");
  machine.cores = usable_cores();
  machine.memory = std::int64_t(::sysconf(_SC_PHYS_PAGES)) * ::sysconf(_SC_PAGESIZE);
  machine.usable_memory = memory_limit_bytes();
  std::error_code error;
  if (const auto space = fs::space(".", error); !error)
    machine.free_disk = std::int64_t(space.available);
  machine.peaks = cpu::measure_peaks();
  // What predictions of step times start from is measured anew.
  const auto backend = make_cpu_backend();
  for (const DType dtype : {DType::bf16, DType::f32}) local_chip(*backend, dtype, Sheet::fresh);
  return machine;
}

std::vector<std::string> advice(const Machine& machine) {
  std::vector<std::string> lines;
  if (machine.mpirun.empty())
    lines.push_back(
        "no mpirun, which starts a program on several machines: "
        "sudo apt-get install openmpi-bin libopenmpi-dev");
  if (!cpu::native_bf16_products())
    lines.push_back(
        "no bf16 products in this processor: with dtype bf16 numbers are stored in "
        "half the space, but multiplied in f32");
  if (machine.free_disk >= 0 && double(machine.free_disk) < kLittleDisk)
    lines.push_back("little disk space: checkpoints take 12 bytes a parameter");
  if (double(machine.usable_memory) < kLittleMemory)
    lines.push_back("little memory: try the preset quickstart first");
  return lines;
}

Json to_json(const Machine& machine) {
  return {{"machine", machine.processor},
          {"cores", machine.cores},
          {"threads", thread_count()},
          {"isa", machine.isa},
          {"memory_bytes", machine.usable_memory},
          {"peak_flops_per_s", {{"f32", machine.peaks.f32}, {"bf16", machine.peaks.bf16}}},
          {"memory_bytes_per_s", machine.peaks.read_bandwidth},
          {"disk_free_bytes", machine.free_disk >= 0 ? Json(machine.free_disk) : Json(nullptr)},
          {"mpi", machine.mpirun.empty() ? Json(nullptr) : Json(machine.mpirun)},
          {"advice", advice(machine)}};
}

std::string memory_text(const Machine& machine) {
  const auto usable = human_bytes(double(machine.usable_memory));
  if (machine.usable_memory >= machine.memory) return usable;
  return fmt::format("{} (a limit; the machine has {})", usable,
                     human_bytes(double(machine.memory)));
}

std::string to_text(const Machine& machine) {
  const auto flops = [](double rate) { return fmt::format("{:.1f} GFLOP/s", rate / 1e9); };
  auto text =
      table({{"processor", machine.processor},
             {"cores", fmt::format("{} ({} threads in use)", machine.cores, thread_count())},
             {"instructions", machine.isa},
             {"memory", memory_text(machine)},
             {"peak f32", flops(machine.peaks.f32) + ", measured"},
             {"peak bf16", flops(machine.peaks.bf16) + ", measured"},
             {"memory reads", human_bytes(machine.peaks.read_bandwidth) + "/s, measured"},
             {"free disk here",
              machine.free_disk >= 0 ? human_bytes(double(machine.free_disk)) : "unknown"},
             {"MPI", machine.mpirun.empty() ? "not found" : machine.mpirun}});
  const auto lines = advice(machine);
  text += lines.empty() ? "Nothing is missing.\n" : "To know:\n";
  for (const auto& line : lines) text += "  - " + line + "\n";
  return text;
}

}  // namespace

void run_doctor(Command& command) {
  if (!command.parse()) return;
  const Machine machine = look();
  if (command.json()) print_json(to_json(machine));
  else print(to_text(machine));
}

}  // namespace autarky::cli
