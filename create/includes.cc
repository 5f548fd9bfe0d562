#include "create/includes.h"

#include <algorithm>
#include <atomic>
#include <deque>
#include <sstream>

#include "create/include_cache.h"
#include "objdiff/base/file.h"
#include "objdiff/base/parallel.h"
#include "objdiff/base/process.h"

namespace ksplice {

namespace fs = std::filesystem;

namespace {

bool has_includes(const std::string& path) {
  for (const char* suffix : {".c", ".h", ".S", ".inc", ".inl", ".cinc", ".h_shipped", ".c_shipped"})
    if (path.ends_with(suffix)) return true;
  return false;
}

// The name that stands at place, as "x.h" or <x.h>, with its opening character in front; or "".
std::string quoted_name(const std::string& text, size_t place) {
  if (place == std::string::npos || (text[place] != '"' && text[place] != '<')) return "";
  const size_t close = text.find_first_of("\">\n", place + 1);
  if (close == std::string::npos || text[close] == '\n') return "";
  std::string name = text.substr(place + 1, close - place - 1);
  while (name.starts_with("./")) name.erase(0, 2);
  return text[place] + name;
}

// The names in #include lines of text, and those that a macro stands for, which an #include may
// use: #define GENL_MAGIC_INCLUDE_FILE <linux/drbd_genl.h>.
std::vector<std::string> included_names(const std::string& text) {
  std::vector<std::string> names;
  for (size_t at = text.find('#'); at != std::string::npos; at = text.find('#', at + 1)) {
    size_t word = text.find_first_not_of(" \t", at + 1);
    if (word == std::string::npos) break;
    size_t end = text.find_first_of(" \t\n\"<", word);
    if (end == std::string::npos) break;
    const std::string_view directive = std::string_view(text).substr(word, end - word);
    const bool defines = directive == "define";
    if (!defines && directive != "include" && directive != "include_next") continue;
    size_t place = text.find_first_not_of(" \t", end);
    if (defines && place != std::string::npos) {
      place = text.find_first_of(" \t\n", place);
      if (place != std::string::npos) place = text.find_first_not_of(" \t", place);
    }
    std::string name = quoted_name(text, place);
    if (name.empty() || (defines && !name.ends_with(".h") && !name.ends_with(".c"))) continue;
    names.push_back(std::move(name));
  }
  return names;
}

bool is_makefile(const std::string& path) {
  const std::string name = path.substr(path.rfind('/') + 1);
  return name.starts_with("Makefile") || name == "Kbuild";
}

// Its preparation makes it anew each time.
bool is_generated(const std::string& path) { return path.starts_with("obj/"); }

bool is_unit_source(const std::string& path) {
  return path.ends_with(".c") || path.ends_with(".S");
}

// Where an included name leads from the folder of the file that includes it.
std::string beside(const std::string& file, const std::string& name) {
  return (fs::path(file).parent_path() / name.substr(1)).lexically_normal().string();
}

// An included name as the compiler looks for it below the folders that it is told: without what
// leads out of these.
std::string below(const std::string& name) {
  std::string wanted = name.substr(1);
  while (wanted.starts_with("../")) wanted.erase(0, 3);
  return wanted;
}

// The path that a word of a makefile stands for, or "".
std::string path_of(std::string word, const std::string& folder) {
  for (std::string_view variable : {"$(srctree)/$(src)/", "$(obj)/", "$(src)/"})
    if (word.starts_with(variable))
      return (fs::path(folder) / word.substr(variable.size())).lexically_normal().string();
  constexpr std::string_view Tree = "$(srctree)/";
  return word.starts_with(Tree) ? fs::path(word.substr(Tree.size())).lexically_normal().string()
                                : "";
}

// What pattern's % makes of other's, if text matches that: a.o for a.c, %.c and %.o.
std::string transformed(const std::string& text, const std::string& other,
                        const std::string& pattern) {
  const size_t at = other.find('%');
  if (at == other.npos) return text == other ? pattern : "";
  const std::string_view head = std::string_view(other).substr(0, at);
  const std::string_view tail = std::string_view(other).substr(at + 1);
  if (text.size() <= other.size() - 1 || !text.starts_with(head) || !text.ends_with(tail))
    return "";
  std::string result = pattern;
  const size_t place = result.find('%');
  if (place != result.npos)
    result.replace(place, 1, text.substr(at, text.size() - head.size() - tail.size()));
  return result;
}

}  // namespace

std::vector<std::string> generated_headers(const fs::path& tree) {
  std::vector<std::string> headers;
  std::error_code none;
  for (const auto& entry : fs::recursive_directory_iterator(tree / "obj", none))
    if (entry.path().extension() == ".h" && entry.is_regular_file())
      headers.push_back(entry.path().lexically_relative(tree).string());
  std::sort(headers.begin(), headers.end());
  return headers;
}

bool is_user_code(const std::string& path) {
  for (const char* dir : {"tools/", "scripts/", "Documentation/", "usr/", "arch/um/"})
    if (path.starts_with(dir)) return true;
  return false;
}

Includes::Includes(const fs::path& tree, std::vector<std::string> files, const fs::path& cache)
    : tree_(tree), files_(std::move(files)) {
  std::vector<std::vector<std::string>> names = read_names(cache);
  for (size_t i = 0; i < files_.size(); ++i) {
    const std::string& file = files_[i];
    const bool is_users = is_user_code(file);
    if (is_makefile(file) && (!is_users || file.starts_with("scripts/"))) read_makefile(file);
    if (has_includes(file) && !is_users) take(file, std::move(names[i]));
  }
}

// What each of the kernel's files includes, in their order. Most of the time is for opening them,
// and all processors do that.
std::vector<std::vector<std::string>> Includes::read_names(const fs::path& cache) const {
  IncludeCache known(cache);
  std::vector<IncludeCache::Entry> entries(files_.size());
  std::atomic<size_t> fresh = 0;
  for_each_in_parallel(files_.size(), [&](size_t i) {
    const std::string& file = files_[i];
    if (!has_includes(file) || is_user_code(file)) return;
    IncludeCache::Entry& entry = entries[i];
    const bool may_keep = !cache.empty() && !is_generated(file);
    entry.file = file;
    if (may_keep) entry.stamp = IncludeCache::stamp(tree_ / file);
    if (const std::vector<std::string>* names = known.find(file, entry.stamp)) {
      entry.names = *names;
      return;
    }
    entry.names = included_names(read_text(tree_ / file));
    // It was written while it was read.
    if (may_keep && IncludeCache::stamp(tree_ / file) != entry.stamp) entry.stamp.clear();
    fresh += entry.stamp.empty() ? 0 : 1;
    check_interrupted();
  });
  if (fresh != 0) known.store(entries);
  std::vector<std::vector<std::string>> names;
  for (IncludeCache::Entry& entry : entries) names.push_back(std::move(entry.names));
  return names;
}

void Includes::read(const std::string& file) {
  take(file, included_names(read_text(tree_ / file)));
}

void Includes::take(const std::string& file, std::vector<std::string> names) {
  for (std::string& name : names) {
    if (is_user_code(file) || name.find("../") != name.npos) share(beside(file, name));
    share(below(name));
    named_[name.substr(name.find_last_of("/\"<") + 1)].emplace_back(file, std::move(name));
  }
}

// What the kernel reads of another program's files.
void Includes::share(const std::string& path) {
  if (is_user_code(path) && has_file(path) && shared_.insert(path).second) read(path);
}

// What it has the compiler read before a unit, and for the units below which folder:
// -include $(srctree)/include/linux/kconfig.h. And the sources of other programs that it names.
void Includes::read_makefile(const std::string& file) {
  const std::string folder = fs::path(file).parent_path().string();
  const std::string text = read_text(tree_ / file);
  constexpr std::string_view Option = "-include ";
  for (size_t at = text.find(Option); at != text.npos; at = text.find(Option, at + 1)) {
    size_t begin = text.find_first_not_of(" \t", at + Option.size());
    if (begin == text.npos) break;
    std::string path = text.substr(begin, text.find_first_of(" \t\n\\)'", begin + 10) - begin);
    for (std::string_view variable : {"$(srctree)/$(src)/", "$(srctree)/", "$(src)/"})
      if (path.starts_with(variable)) {
        path = variable == "$(srctree)/" ? path.substr(variable.size())
                                         : folder + "/" + path.substr(variable.size());
        break;
      }
    const bool for_all = folder.empty() || folder == "scripts";
    if (has_includes(path)) forced_.emplace_back(path, for_all ? "" : folder + "/");
  }
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);)
    if (line.starts_with("$(obj)/")) read_rule(line, folder);
  constexpr std::string_view Tree = "$(srctree)/";
  for (size_t at = text.find(Tree); at != text.npos; at = text.find(Tree, at + 1)) {
    const size_t begin = at + Tree.size();
    const std::string path = text.substr(begin, text.find_first_of(" \t\n\\)'", begin) - begin);
    if (has_includes(path)) share(path);
  }
}

// $(obj)/i915-display/%.o: $(srctree)/drivers/gpu/drm/i915/display/%.c FORCE
void Includes::read_rule(const std::string& line, const std::string& folder) {
  const size_t colon = line.rfind(':');
  if (colon == line.npos) return;
  const size_t before = line.rfind(':', colon - 1);
  const size_t from = before == line.npos ? 0 : before + 1;
  std::istringstream targets(line.substr(from, colon - from)), sources(line.substr(colon + 1));
  std::string source;
  sources >> source;
  source = path_of(source, folder);
  if (!source.ends_with(".c")) return;
  for (std::string word; targets >> word;)
    if (word.ends_with(".o") && !path_of(word, folder).empty())
      rules_.push_back({path_of(word, folder), source});
}

std::vector<std::string> Includes::objects_of(const std::string& source) const {
  std::vector<std::string> objects;
  for (const Rule& rule : rules_)
    if (std::string object = transformed(source, rule.source, rule.object); !object.empty())
      objects.push_back(std::move(object));
  return objects;
}

std::string Includes::source_of(const std::string& object) const {
  for (const Rule& rule : rules_)
    if (std::string source = transformed(object, rule.object, rule.source); has_file(source))
      return source;
  return "";
}

bool Includes::has_file(const std::string& path) const {
  return std::binary_search(files_.begin(), files_.end(), path);
}

// Whether a name that file includes may mean path.
bool Includes::leads_to(const std::string& file, const std::string& name,
                        const std::string& path) const {
  const std::string near = beside(file, name), wanted = below(name);
  // Other programs have headers of the same names for themselves: linux/types.h.
  if (is_user_code(path)) return near == path || wanted == path;
  // A quoted name means the file beside the includer, if there is one.
  if (name[0] == '"' && (near == path || has_file(near))) return near == path;
  return path == wanted || path.ends_with("/" + wanted);
}

std::set<std::string> Includes::readers(const std::string& path) const {
  std::set<std::string> seen = {path}, units;
  std::deque<std::string> queue = {path};
  while (!queue.empty()) {
    const std::string read = std::move(queue.front());
    queue.pop_front();
    for (const auto& [header, folder] : forced_) {
      if (header != read) continue;
      for (const std::string& file : files_)
        if (is_unit_source(file) && file.starts_with(folder) && !is_user_code(file))
          seen.insert(file);
    }
    const auto named = named_.find(read.substr(read.rfind('/') + 1));
    if (named == named_.end()) continue;
    for (const auto& [file, name] : named->second)
      if (leads_to(file, name, read) && seen.insert(file).second) queue.push_back(file);
  }
  seen.erase(path);
  for (const std::string& file : seen)
    if (is_unit_source(file)) units.insert(file);
  return units;
}

}  // namespace ksplice
