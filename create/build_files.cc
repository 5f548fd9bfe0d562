#include "create/build_files.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <set>
#include <sstream>

#include "objdiff/base/file.h"

namespace ksplice {

namespace fs = std::filesystem;

namespace {

struct BuildFile {
  std::map<std::string, std::set<std::string>> lists;  // condition and name -> objects
  std::set<std::string> anew;                          // lists that begin with = or :=
  std::vector<std::string> rest;                       // other lines, in order
};

bool starts_word(const std::string& line, const char* word) {
  const size_t size = std::string_view(word).size();
  return line.starts_with(word) && (line.size() == size || line.find_first_of(" \t(") == size);
}

// Lines that go on in the next one put together, comments and blank lines taken out.
std::vector<std::string> statements(const std::string& text) {
  std::vector<std::string> found;
  std::istringstream stream(text);
  std::string whole;
  for (std::string line; std::getline(stream, line);) {
    const bool goes_on = line.ends_with("\\");
    if (goes_on) line.back() = ' ';
    whole += line;
    if (goes_on && !stream.eof()) continue;
    // In a recipe, # is for the shell.
    if (!whole.starts_with("\t")) whole.resize(std::min(whole.find('#'), whole.size()));
    const size_t end = whole.find_last_not_of(" \t");
    whole.resize(end == whole.npos ? 0 : end + 1);
    if (!whole.empty()) found.push_back(std::move(whole));
    whole.clear();
  }
  return found;
}

bool is_list(const std::string& name) {
  return name.starts_with("obj-") || name.starts_with("lib-") || name.ends_with("-objs") ||
         name.ends_with("-y") || name.ends_with("-m") || name.find("-$(CONFIG_") != name.npos;
}

bool is_object(const std::string& word) {
  return word.find('$') == word.npos && (word.ends_with(".o") || word.ends_with("/"));
}

// obj-$(CONFIG_X) += a.o b/
bool read_list(const std::string& line, const std::string& condition, BuildFile& file) {
  std::istringstream stream(line);
  std::string name, sign;
  stream >> name >> sign;
  if (line.starts_with("\t") || !is_list(name) || (sign != "+=" && sign != ":=" && sign != "="))
    return false;
  const std::vector<std::string> words{std::istream_iterator<std::string>(stream), {}};
  if (!std::all_of(words.begin(), words.end(), is_object)) return false;
  file.lists[condition + name].insert(words.begin(), words.end());
  if (sign != "+=") file.anew.insert(condition + name);
  return true;
}

BuildFile read_build_file(const std::string& text) {
  BuildFile file;
  std::vector<std::string> conditions;
  for (const std::string& line : statements(text)) {
    const std::string bare = line.substr(line.find_first_not_of(" \t"));
    std::string condition;
    for (const std::string& each : conditions) condition += each + "\n";
    if (bare.starts_with("if") && !line.starts_with("\t") &&
        (starts_word(bare, "ifeq") || starts_word(bare, "ifneq") || starts_word(bare, "ifdef") ||
         starts_word(bare, "ifndef")))
      conditions.push_back(bare);
    else if (starts_word(bare, "else") && !conditions.empty())
      conditions.back() += "\n" + bare;
    else if (starts_word(bare, "endif") && !conditions.empty())
      conditions.pop_back();
    else if (!read_list(line, condition, file))
      file.rest.push_back(condition + line);
  }
  return file;
}

// What is in the lists of file and not in those of other.
std::vector<std::string> more(const BuildFile& file, const BuildFile& other) {
  std::set<std::string> objects;
  for (const auto& [name, words] : file.lists) {
    const auto found = other.lists.find(name);
    for (const std::string& word : words)
      if (found == other.lists.end() || !found->second.contains(word)) objects.insert(word);
  }
  return {objects.begin(), objects.end()};
}

// Makefiles that one includes may be of other folders.
bool includes_others(const fs::path& tree, const fs::path& folder) {
  for (const char* name : {"Kbuild", "Makefile"}) {
    if (!fs::exists(tree / folder / name)) continue;
    const std::string text = "\n" + read_text(tree / folder / name);
    if (text.find("\ninclude ") != text.npos || text.find("\n-include ") != text.npos) return true;
  }
  return false;
}

// The nearest folder above a path that has a makefile.
std::string makefile_folder(const fs::path& tree, const std::string& path) {
  fs::path folder = fs::path(path).parent_path();
  while (!folder.empty() && !fs::exists(tree / folder / "Makefile") &&
         !fs::exists(tree / folder / "Kbuild"))
    folder = folder.parent_path();
  return folder.string();
}

}  // namespace

bool is_deep(const std::string& makefile) {
  return makefile.find("subdir-") != makefile.npos || makefile.find("export ") != makefile.npos;
}

std::vector<std::string> governed_sources(const fs::path& tree, std::string folder, bool is_deep,
                                          const std::map<std::string, ConfiguredUnit>& table) {
  for (fs::path above = fs::path(folder).parent_path(); above.has_parent_path();
       above = above.parent_path())
    if (includes_others(tree, above)) folder = above.string(), is_deep = true;
  // Folders whose makefiles have units of this one in their lists: "amdgpu/../display/a.o".
  std::set<std::string> owners = {folder + "/"};
  for (const auto& [source, unit] : table)
    if (const size_t up = unit.goal.find("/../");
        source.starts_with(folder + "/") && up != std::string::npos)
      owners.insert(unit.goal.substr(0, up + 1));
  is_deep = is_deep || owners.size() > 1;
  std::vector<std::string> sources;
  for (const auto& [source, unit] : table) {
    const bool is_below = std::any_of(owners.begin(), owners.end(), [&](const std::string& owner) {
      return source.starts_with(owner) || unit.goal.starts_with(owner);
    });
    if (is_below && (is_deep || makefile_folder(tree, unit.goal) == folder))
      sources.push_back(source);
  }
  return sources;
}

BuildFileDiff compare_build_files(const std::string& before, const std::string& after) {
  const BuildFile pre = read_build_file(before), post = read_build_file(after);
  BuildFileDiff diff;
  diff.added = more(post, pre);
  diff.removed = more(pre, post);
  diff.other = pre.rest != post.rest;
  // A list that is there before and begins anew forgets what it had.
  for (const auto& [name, words] : post.lists)
    if (pre.lists.contains(name) && pre.anew.contains(name) != post.anew.contains(name))
      diff.other = true;
  return diff;
}

}  // namespace ksplice
