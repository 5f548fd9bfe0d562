// Which source files read which other ones, and which objects are made of sources of other names.
//
// In: the files of a source tree, and the headers that its preparation made. Out: the .c and .S
// files that may read a given file. Never: too few; conditions around an #include, and in
// makefiles, are not looked at.
#pragma once

#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace ksplice {

// The headers that the preparation made, below tree
// ("obj/arch/x86/include/generated/asm/unaligned.h"): an include may lead through them.
std::vector<std::string> generated_headers(const std::filesystem::path& tree);

// Whether a file lies where other programs than the kernel have their sources. Units of the kernel
// are made from few of these, too: kernel/bpf/relo_core.o from tools/lib/bpf/relo_core.c.
bool is_user_code(const std::string& path);

class Includes {
 public:
  // Reads all of files, paths below tree, sorted, but of other programs only what the kernel reads.
  // What is known of them is kept in the file cache, if that is not empty (include_cache.h).
  Includes(const std::filesystem::path& tree, std::vector<std::string> files,
           const std::filesystem::path& cache = {});

  // The .c and .S files (assembly, linker scripts) that may include path, directly or through other
  // files, by a macro for the name, or as the build's -include tells. An include of "linux/foo.h"
  // is taken for every file of the tree whose path ends so. path may be new.
  std::set<std::string> readers(const std::string& path) const;

  // Files of other programs (is_user_code) that a source or a makefile of the kernel names, and
  // what these read beside them.
  const std::set<std::string>& shared() const { return shared_; }

  // Objects that a makefile's rule makes of a source elsewhere
  // ("drivers/gpu/drm/xe/i915-display/a.o" of "drivers/gpu/drm/i915/display/a.c"), and the other
  // way round, "" if there is no rule.
  std::vector<std::string> objects_of(const std::string& source) const;
  std::string source_of(const std::string& object) const;

 private:
  struct Rule {
    std::string object, source;  // paths below tree; % stands for the same in both
  };
  std::vector<std::vector<std::string>> read_names(const std::filesystem::path& cache) const;
  void read(const std::string& file);
  void take(const std::string& file, std::vector<std::string> names);
  void share(const std::string& path);
  void read_makefile(const std::string& file);
  void read_rule(const std::string& line, const std::string& folder);
  bool has_file(const std::string& path) const;
  bool leads_to(const std::string& file, const std::string& name, const std::string& path) const;

  const std::filesystem::path tree_;
  const std::vector<std::string> files_;
  // Last component of an included name -> (file that includes, name with its opening character).
  std::unordered_map<std::string, std::vector<std::pair<std::string, std::string>>> named_;
  std::vector<std::pair<std::string, std::string>> forced_;  // header, folder of its readers
  std::vector<Rule> rules_;
  std::set<std::string> shared_;
};

}  // namespace ksplice
