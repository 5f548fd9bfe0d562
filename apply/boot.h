// Bringing back after a boot what the host had applied before it.
//
// Each wanted update (wanted.h) goes through the very checks of ksplice-apply, in the order in
// which they were applied, after a mark of it is on the disk (boot_state.h). One that cannot be
// applied stops no other; those that stand on it are refused by themselves.
//
// The word ksplice=off on the kernel's command line, or a file /etc/ksplice/off, switches it off.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "apply/boot_state.h"
#include "apply/host.h"
#include "apply/load.h"
#include "apply/wanted.h"

namespace ksplice {

struct BootResult {
  std::string id;
  // applied, already_applied, in_kernel (its changelog has all that the update fixes), other_kernel
  // (the update is for others), quarantined, refused, failed; not_applied where nobody tried yet
  std::string result;
  std::string code, message, hint;  // of what was not applied
  bool is_fine() const;             // nothing that somebody has to look at
};

struct BootReport {
  std::string off;                  // why nothing was tried, or empty
  std::vector<Quarantined> fresh;   // put into quarantine just now
  std::vector<BootResult> results;  // one for each wanted update
};

// options: report only. Throws Error: not_permitted, bad_state, interrupted.
BootReport bring_back(const Host& host, const LoadOptions& options);

// What is wanted or in quarantine and is not in the kernel, as far as can be said without trying.
// Throws Error("bad_state").
std::vector<BootResult> missing_updates(const Host& host);

// Why the host brings nothing back: "ksplice=off on the kernel's command line"; or empty.
std::string switched_off(const Host& host);

// Takes the update out of quarantine. Throws Error("unknown_update") if it is not in it.
void lift_quarantine(const Host& host, const std::string& id);

// What somebody has to look at goes to the console and the journal, where there is one; as a
// message of a program, at the level of errors.
void tell_console(const Host& host, const std::string& text);

nlohmann::ordered_json to_json(const BootResult& result);
std::string to_text(const BootResult& result);

}  // namespace ksplice
