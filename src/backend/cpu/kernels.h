// The kernels of the cpu backend, by file. Storage is f32 or bf16, arithmetic f32, long sums f64 or
// in fixed blocks; bits do not depend on the number of threads. f64 is left to the reference.
#pragma once
#include "backend/kernel_table.h"

namespace autarky::cpu {

void add_adamw_kernels(KernelTable& table);          // clip_scale, adamw
void add_attention_kernels(KernelTable& table);      // attention, attention_grad
void add_bias_kernels(KernelTable& table);           // add_bias, bias_grad
void add_contract_kernels(KernelTable& table);       // contract
void add_cross_entropy_kernels(KernelTable& table);  // linear_cross_entropy
void add_elementwise_kernels(KernelTable& table);    // add, accumulate, fill
void add_embedding_kernels(KernelTable& table);      // embedding, embedding_grad
void add_exact_sum_kernels(KernelTable& table);      // exact_sum
void add_gate_kernels(KernelTable& table);           // silu_gate, gelu and their gradients
void add_layer_norm_kernels(KernelTable& table);     // layer_norm, layer_norm_grad
void add_rms_norm_kernels(KernelTable& table);       // rms_norm, rms_norm_grad
void add_rope_kernels(KernelTable& table);           // rope
void add_token_loss_kernels(KernelTable& table);     // token_loss, token_loss_grad
void add_vocab_kernels(KernelTable& table);          // vocab_stats, vocab_stats_grad

}  // namespace autarky::cpu
