// The abort codes of ksplice-apply and ksplice-undo: what each means and what to do. The words are
// those of the original Ksplice where it had one; the man pages list them all.
#pragma once

#include <string>

#include "objdiff/base/error.h"

namespace ksplice {

enum class Action { Apply, Undo };

struct AbortCode {
  std::string message;  // lower-case sentence without a final stop
  std::string advice;
  bool is_verdict = true;  // the update was understood and must not be applied or undone now
};

// Never fails: a word that this version does not know is said to be so.
AbortCode explain_abort(const std::string& code, Action action);

// What the tools themselves find, before the core is asked.
Error not_permitted();
Error unknown_update(const std::string& id);

}  // namespace ksplice
