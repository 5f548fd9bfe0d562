// Which objects this configuration builds, and which of them a change touches.
//
// kbuild compiles any foo.o it is asked for, whether the configuration has it or not, so the lists
// obj-y, obj-m and lib-y of the folders' own Makefiles are evaluated by make (units.mk) to know.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "create/kbuild.h"

namespace ksplice {

// An object of the configuration. goal is what kbuild calls it, which is not always its source's
// path: "arch/x86/kvm/../../../virt/kvm/kvm_main.o".
struct ConfiguredUnit {
  std::string goal;
  std::string module;  // empty: built in; "a:b" if it is a part of several, as kbuild writes it
};

// The single ones of "a:b".
std::vector<std::string> split_modules(const std::string& modules);

class UnitTable {
 public:
  // kbuild's obj must be prepared. Keeps the table of the whole tree in cache_file once it is made.
  UnitTable(const Kbuild& kbuild, std::filesystem::path cache_file)
      : kbuild_(kbuild), cache_file_(std::move(cache_file)) {}

  // The object that source ("net/ipv4/tcp.c") is compiled into, if this configuration does.
  std::optional<ConfiguredUnit> find(const std::string& source);

  // All of them, by source path; takes seconds the first time.
  const std::map<std::string, ConfiguredUnit>& all();

  // Objects of a module, as far as the folders that find() looked into list them.
  std::vector<std::string> parts_of(const std::string& module) const;

 private:
  struct Folder {
    std::vector<ConfiguredUnit> units;
    std::vector<std::string> folders;
  };
  // Nothing if make cannot read the folder's makefile by itself.
  std::optional<Folder> probe(const std::string& folder) const;
  void walk();
  void add(const Folder& folder);
  void add(const ConfiguredUnit& unit);

  const Kbuild& kbuild_;
  std::filesystem::path cache_file_;
  std::set<std::string> probed_;
  std::map<std::string, ConfiguredUnit> units_;
  bool complete_ = false;
};

}  // namespace ksplice
