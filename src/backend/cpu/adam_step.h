// The numbers of one AdamW step, as its vectors use them.
#pragma once

namespace autarky::cpu {

struct AdamStep {
  float clip, beta1, rest1, beta2, rest2;  // rest = 1 - beta
  float keep;                              // 1 - lr decay
  float step, inverse2, eps;               // lr / (1 - beta1^t), 1 / (1 - beta2^t)
};

}  // namespace autarky::cpu
