// What the running kernel says about itself: identity, addresses of this boot, loaded modules.
//
// Sources: /sys/kernel/notes and /sys/module/X/notes/.note.gnu.build-id (ELF notes, see the gABI),
// /proc/kallsyms ("ADDRESS TYPE NAME\t[MODULE]"; addresses are 0 where kptr_restrict hides them),
// /sys/module/X/sections/NAME (one hexadecimal address; root only),
// /sys/module/module/parameters/sig_enforce and /sys/kernel/security/lockdown.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "objdiff/image/run_image.h"

namespace ksplice {

struct Kallsym {
  uint64_t addr = 0;
  char type = '?';
  std::string_view name, module;
};

// Takes the next symbol off the text of /proc/kallsyms, which it goes on pointing into.
std::optional<Kallsym> next_symbol(std::string_view& text);

class Host {
 public:
  // root is another place than / only in unit tests.
  explicit Host(std::filesystem::path root = "/") : root_(std::move(root)) {}
  Host(const Host&) = delete;
  Host& operator=(const Host&) = delete;

  std::filesystem::path path(const std::string& absolute) const {
    return root_ / std::filesystem::path(absolute).relative_path();
  }

  std::string release() const;   // as uname -r
  std::string build_id() const;  // of the kernel, lower-case hex
  bool is_module_loaded(const std::string& name) const;
  // Not only there: its init code has run. One that is coming is being loaded.
  bool is_module_live(const std::string& name) const;
  bool is_module_coming(const std::string& name) const;
  std::string module_build_id(const std::string& name) const;  // empty if it has none
  // Modules that hold a reference on name through a symbol they use.
  std::vector<std::string> module_users(const std::string& name) const;

  // Why modules that are made on this host cannot be loaded at all; empty if nothing is known.
  std::string loading_obstacle() const;

  // The address on this boot. Throws Error("failed_to_find") naming what is missing.
  uint64_t address(const RunLocation& location) const;

 private:
  uint64_t text_address() const;
  uint64_t section_address(const std::string& module, const std::string& section) const;
  uint64_t import_address(const std::string& name) const;
  uint64_t symbol_address(const std::string& module, const std::string& name) const;
  void read_kallsyms() const;

  std::filesystem::path root_;
  // Caches of files that are read once: kallsyms has some 10 MB.
  mutable std::string kallsyms_;
  mutable std::unordered_multimap<std::string_view, Kallsym> symbols_;  // made for the first import
  mutable std::optional<uint64_t> text_;
  mutable std::map<std::pair<std::string, std::string>, uint64_t> sections_;
};

// Build id in a file of ELF notes, or empty. Exposed for its test.
std::string build_id_of_notes(const std::vector<uint8_t>& notes, const std::string& name);

}  // namespace ksplice
