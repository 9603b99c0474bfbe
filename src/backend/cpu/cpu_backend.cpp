#include "backend/cpu/cpu_backend.h"

#include "backend/cpu/cpu_info.h"
#include "backend/cpu/kernels.h"
#include "backend/host_memory.h"
#include "backend/reference/reference.h"

namespace autarky {
namespace {

class CpuBackend : public Backend {
 public:
  CpuBackend() {
    cpu::isa();  // before the first dispatch: the environment may lower it
    for (const auto add :
         {cpu::add_adamw_kernels, cpu::add_attention_kernels, cpu::add_bias_kernels,
          cpu::add_contract_kernels, cpu::add_cross_entropy_kernels, cpu::add_elementwise_kernels,
          cpu::add_embedding_kernels, cpu::add_gate_kernels, cpu::add_layer_norm_kernels,
          cpu::add_exact_sum_kernels, cpu::add_rms_norm_kernels, cpu::add_rope_kernels,
          cpu::add_token_loss_kernels, cpu::add_vocab_kernels, add_reference_kernels})
      add(table_);
  }
  std::string_view name() const override { return "cpu"; }
  const KernelTable& kernels() const override { return table_; }
  std::unique_ptr<Memory> allocate(std::int64_t bytes) const override {
    return allocate_host(bytes);
  }

 private:
  KernelTable table_;
};

}  // namespace

std::unique_ptr<Backend> make_cpu_backend() { return std::make_unique<CpuBackend>(); }

}  // namespace autarky
