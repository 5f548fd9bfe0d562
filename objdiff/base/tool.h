// The edge of every program: the one place where Error is caught and turned into text and exit
// code.
#pragma once

#include <functional>
#include <string>

#include "objdiff/base/error.h"

namespace ksplice {

// Runs body, which returns an exit code. Errors go to stderr as "NAME: message" and "hint: ..."
// lines, refusals each with code, function, offset, expected, found and advice; returns the exit
// code. If *json is true at that time, {"error":{code,message,hint,refusals}} goes to stdout
// instead. If *raw_errors is true, the first line on stderr is the bare code, as the original
// printed it.
int run_tool(const std::string& name, const std::function<int()>& body, const bool* json = nullptr,
             const bool* raw_errors = nullptr);

// "0002-fix.patch: net/ipv4/tcp.c @@ -7,6 +7,8 @@".
std::string origin_text(const Origin& origin);

// One refusal as several lines of text, as run_tool prints it.
std::string format_refusal(const Refusal& refusal);
// A refusal as a JSON object text: code, object, section, symbol, offset, message, expected, found,
// advice; from and follows where they are not empty.
std::string refusal_to_json(const Refusal& refusal);

}  // namespace ksplice
