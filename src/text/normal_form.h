// Unicode normalisation forms (ICU) of the characters of Unicode 9, as in Hugging Face tokenizers.
#pragma once
#include <string>
#include <string_view>

#include "text/tokenizer_steps.h"

namespace autarky {

// The form of each maximal stretch of valid UTF-8; other bytes stay as they are.
std::string normal_form(NormalForm form, std::string_view bytes);

}  // namespace autarky
