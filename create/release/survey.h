// What the tree before the change says of a configuration, asked many times: which units a change
// touches. Holds no slot of the cache, so that updates can be made meanwhile.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "create/affected.h"
#include "create/config_dir.h"
#include "create/includes.h"
#include "create/kbuild.h"
#include "create/options.h"
#include "create/progress.h"
#include "create/units.h"

namespace ksplice {

class Survey {
 public:
  // Throws what creating an update throws where tools, kernel and source do not fit together.
  // options, kernel and progress must outlive this.
  Survey(const Options& options, const KernelConfig& kernel, const std::filesystem::path& source,
         Progress& progress);

  Affected affected(const std::vector<FileChange>& changes);
  // How many units may read the changes, of which affected is. Of units whose source a program
  // makes, which may read anything, only those count that do; they are compiled once to know it.
  size_t count_units(const Affected& affected, const std::vector<FileChange>& changes);
  const std::filesystem::path& source() const { return source_; }
  const std::string& banner() const { return banner_; }

 private:
  void compile_made(const Affected& affected);
  bool may_read(const std::string& unit, const std::set<std::string>& changed) const;

  const Options& options_;
  const KernelConfig& kernel_;
  Progress& progress_;
  std::filesystem::path source_;
  std::string banner_;  // of the kernel's image
  Kbuild kbuild_;
  std::vector<std::string> files_;
  std::optional<UnitTable> table_;
  std::optional<Includes> includes_;
  // What each unit with a made source reads, once it is known.
  std::optional<std::map<std::string, std::set<std::string>>> made_;
};

}  // namespace ksplice
