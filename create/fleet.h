// One tarball for several kernels: what each of them adds to it, and which of them refused.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "create/debug_info.h"
#include "create/package/package.h"
#include "create/targets.h"
#include "create/update_module.h"
#include "objdiff/base/error.h"

namespace ksplice {

struct TargetSummary {
  std::string name;                   // "vmlinux" or a module
  std::vector<std::string> replaced;  // functions that will be redirected
  std::vector<std::string> why;       // why each is, in the same order: "code (mm/slab.c:12)"
  std::vector<std::string> added;     // new functions and data
};

struct KernelSummary {
  std::string release;
  std::vector<std::string> units;    // compiled with the patch
  std::vector<std::string> changed;  // those of them whose code differs
  std::vector<TargetSummary> targets;
};

// What the update for one kernel adds to the tarball, and to what the user is told.
struct KernelPart {
  PackageKernel kernel;
  std::map<std::string, std::vector<uint8_t>> files;
  KernelSummary summary;
  std::vector<std::string> warnings, notes;  // notes: what the user consented to
  DebugTree debug;
};

// A kernel that got no update.
struct KernelFailure {
  std::string release, code, message, hint;
  std::vector<Refusal> refusals;  // empty if it was an Error
  std::vector<Origin> origins;    // of an Error
};

// Folder of a kernel's files in the tarball; kernels of one release can be of several builds.
std::string kernel_folder(const Package& package, const std::string& release,
                          const std::string& build_id);

// What goes into folder of the tarball for the kernel of images, with the modules made of targets.
KernelPart make_part(const std::vector<TargetUpdate>& targets, const std::deque<ChangedUnit>& units,
                     Images& images, BuiltModules& modules, const std::string& release,
                     const std::string& folder);

// Throws Error("bad_config") if the same kernel is in package already.
void add_part(KernelPart part, Package& package);

// Adds the words of more that are not in list yet, in their order.
void add_new(std::vector<std::string>& list, const std::vector<std::string>& more);

// Can another kernel of the fleet succeed where this error came up? Not after a signal, a full disk
// or a mistake of ours.
bool is_of_kernel(const Error& error);

KernelFailure failure_of(const std::string& release, const Error& error);

// Throws what ends a create whose kernels did not all get an update: Refused with every refusal, or
// Error if there are none; kernels are named.
[[noreturn]] void throw_failures(const std::vector<KernelFailure>& failures);

}  // namespace ksplice
