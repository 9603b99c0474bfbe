// What a software stack makes of a program: facts about its kernels and its overlap, and three
// numbers that were fitted (profiles/README.md).
#pragma once
#include <array>
#include <cstdint>
#include <tuple>

#include "base/keys.h"

namespace autarky {

// What hides the collectives that activations wait for.
enum class TensorOverlap : std::uint8_t {
  none,         // each collective stops the device
  graph,        // whatever in the block does not need its result
  tiles,        // the product that makes or uses what is moved, tile by tile
  half_batches  // the other half of the micro-batch
};
// How the products of attention run.
enum class AttentionKernel : std::uint8_t {
  flash,   // in one pass, scores never stored
  stored,  // scores of all pairs are written, masked, normalised and read
};

constexpr auto words(const TensorOverlap*) {
  using T = TensorOverlap;
  return std::array{Words<T>{"none", T::none}, Words<T>{"graph", T::graph},
                    Words<T>{"tiles", T::tiles}, Words<T>{"half-batches", T::half_batches}};
}
constexpr auto words(const AttentionKernel*) {
  using T = AttentionKernel;
  return std::array{Words<T>{"flash", T::flash}, Words<T>{"stored", T::stored}};
}

// The default: this program on a device whose kernels were measured.
struct Stack {
  AttentionKernel attention = AttentionKernel::flash;
  // Share of the rate of large products that attention's reach.
  double attention_forward = 1, attention_backward = 1;
  // With selective recomputation the backward pass makes again, beside what is cheap: attention,
  // and the products into and out of the feed-forward dim.
  bool again_attention = false, again_ffn_in = false, again_ffn_out = false;
  bool again_gathers = false;     // and the collectives that activations come by
  bool again_parameters = false;  // parameters come once for recomputation and once for gradients
  bool messages_stop = false;     // the receiving stage stands still while a message comes
  double logit_bytes = 0;         // moved per logit, over all passes; 0: logits are never stored
  double norm_passes =
      1;  // times the bytes of norms and rotations: casts to f32 and back around them
  TensorOverlap tensor = TensorOverlap::graph;
  bool overlap_gradients = true;   // reduction beside the rest of the backward pass
  bool gradients_wait = true;      // what is reduced inside a block is waited for inside it
  bool overlap_parameters = true;  // gathering beside the calls before
  bool overlap_messages = true;    // between stages, beside computation
  bool scatter_messages = false;   // each rank of tp sends its part and gathers at the other end
  double gradient_bytes = 4;       // per element, between ranks
  bool merged = false;             // the parameters of a block go in one collective
  bool reduced_once = false;       // gradients go between ranks once per step, whatever the stage
  // Calls of the host for each rank's part of a parameter that is gathered or scattered by itself:
  // collectives over lists copy part by part. The device waits for them.
  double part_calls = 0;
  bool fp8 = false;  // products of layers at the fp8 peak, with casts

  // Fitted.
  double host_s = 0;         // per kernel, beside the device
  double interference = 0;   // computation and traffic at once: both slower by this
  double memory_passes = 1;  // times the bytes that the program's own kernels move
  double jitter = 0;         // of a step on one device: one standard deviation, relative

  // Facts alone.
  static constexpr auto keys() {
    using S = Stack;
    constexpr Range share = {.least = 0, .most = 1, .without_least = true};
    return std::tuple{key("attention", &S::attention),
                      key("attention_forward", &S::attention_forward, share),
                      key("attention_backward", &S::attention_backward, share),
                      key("again_attention", &S::again_attention),
                      key("again_ffn_in", &S::again_ffn_in),
                      key("again_ffn_out", &S::again_ffn_out),
                      key("again_gathers", &S::again_gathers),
                      key("again_parameters", &S::again_parameters),
                      key("messages_stop", &S::messages_stop),
                      key("logit_bytes", &S::logit_bytes, between(0, 1000)),
                      key("norm_passes", &S::norm_passes, between(1, 10)),
                      key("tensor", &S::tensor),
                      key("overlap_gradients", &S::overlap_gradients),
                      key("gradients_wait", &S::gradients_wait),
                      key("overlap_parameters", &S::overlap_parameters),
                      key("overlap_messages", &S::overlap_messages),
                      key("scatter_messages", &S::scatter_messages),
                      key("gradient_bytes", &S::gradient_bytes, between(1, 8)),
                      key("merged", &S::merged),
                      key("reduced_once", &S::reduced_once),
                      key("part_calls", &S::part_calls, between(0, 10))};
  }
};

}  // namespace autarky
