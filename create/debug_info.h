// The debug information of an update's modules, for those who debug, trace or profile patched code:
// a tree that is unpacked at / of any machine that has the tools.
//
//   usr/lib/debug/.build-id/12/34...debug          by build id, as gdb, drgn, perf and systemd look
//   usr/lib/debug/lib/modules/RELEASE/ksplice/ksplice_ID_TARGET.ko   a link to it, for crash and
//   for
//                                                  the kernel's decode_stacktrace.sh, which know
//                                                  names
//   usr/src/ksplice-ID/RELEASE/net/ipv4/tcp.c      the patched source, as far as the code is from
//   it
//
// It is no part of the update's tarball, which goes to every host, and is a hundred times as small.
#pragma once

#include <cstdint>
#include <deque>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "create/overlay.h"
#include "create/targets.h"
#include "create/update_module.h"

namespace ksplice {

struct DebugTree {
  std::map<std::string, std::vector<uint8_t>> files;  // by path
  std::map<std::string, std::string> links;

  void merge(DebugTree other) {
    files.merge(other.files);
    links.merge(other.links);
  }
};

// units: those that targets were made of. The patched files must still be in the overlay.
DebugTree collect_debug_info(const std::vector<TargetUpdate>& targets,
                             const std::deque<ChangedUnit>& units, const BuiltModules& modules,
                             const Overlay& overlay, const std::string& id,
                             const std::string& release);

// Writes FOLDER/ksplice-ID-dbg.tar.gz; returns its path.
std::string write_debug_tarball(const DebugTree& tree, const std::string& id,
                                const std::filesystem::path& folder);

}  // namespace ksplice
