// Which CVEs are fixed on this host, and by what: for people, scanners and monitoring.
//
// What an update fixes is in the manifest of its stored copy; whether it is in place, the kernel
// says. What the kernel itself has fixed is in the changelog of its Debian package
// (/usr/share/doc/linux-image-RELEASE/changelog.gz), read from the entry of the version that runs
// (/proc/version) on: a package that was upgraded since describes a kernel that does not run.
//
// Nothing is claimed that was not read: "open" means that neither an applied update nor the
// kernel's changelog names the CVE, and "unknown" that there is no such changelog to look into.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "apply/host.h"
#include "create/package/package.h"

namespace ksplice {

struct CveState {
  std::string cve;
  std::string state;  // fixed_live, fixed_by_kernel, open, unknown
  std::vector<std::string> updates;
  std::string why;  // an update that names it does not fix it here; or empty
};

// The Debian version of the running kernel ("6.1.176-1"), or empty.
std::string kernel_version(const Host& host);

// From the entry of its version on; nothing if there is no changelog that has it.
std::optional<std::string> kernel_changelog(const Host& host);

// Whether the kernel with that changelog has all that the update fixes: its CVEs or, if it names
// none, its upstream commits. An update that names neither is in no kernel, as far as is known.
bool is_in_kernel(const Package& package, const std::optional<std::string>& changelog);

// Of the running kernel's changelog; nothing if there is none that has its version.
std::optional<std::set<std::string>> kernel_cves(const Host& host);

// Of the CVEs that updates name which are in the kernel or have a stored copy, and of those that
// are asked for, in the order of their names.
std::vector<CveState> cve_states(const Host& host, const std::vector<std::string>& asked);

nlohmann::ordered_json to_json(const std::vector<CveState>& states);

// OpenVEX 0.2.0 (github.com/openvex/spec), about the running kernel's package. A document has at
// least one statement: throws Error("no_cves") without one.
nlohmann::ordered_json to_openvex(const Host& host, const std::vector<CveState>& states,
                                  int64_t now);

// Prometheus' text format, for the textfile collector of node_exporter.
std::string to_prometheus(const Host& host, const std::vector<CveState>& states);

}  // namespace ksplice
