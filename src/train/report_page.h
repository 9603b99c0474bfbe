// The frame of a report: one HTML page without anything from outside.
#pragma once
#include <string>
#include <string_view>

namespace autarky {

// Text for an HTML page: markup escaped, bytes that are no UTF-8 and control characters replaced
// by U+FFFD (new lines and tabs stay).
std::string escape_html(std::string_view text);

// A whole page: head, style sheet for light and dark, `body` (HTML), and the script that reads
// values off charts under the pointer.
std::string html_page(std::string_view title, std::string_view body);

}  // namespace autarky
