// What the pages and pictures that the tools write have in common.
#pragma once

#include <string>

namespace ksplice {

// Text in HTML or XML, or in an attribute within double quotes. Bytes that are no UTF-8, control
// characters, and those that turn the direction of writing, become U+FFFD.
std::string escaped(const std::string& text);

// From the doctype to the first heading, which is the title.
std::string html_head(const std::string& title, const std::string& style);

}  // namespace ksplice
