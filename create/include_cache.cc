#include "create/include_cache.h"

#include <fmt/core.h>
#include <sys/stat.h>

#include <algorithm>
#include <ctime>
#include <string_view>

#include "create/overlay.h"
#include "objdiff/base/error.h"
#include "objdiff/base/file.h"

namespace ksplice {

namespace fs = std::filesystem;

namespace {

constexpr std::string_view Format = "ksplice includes 1\n";
// Times of files advance in steps: what was written within one of them has one time.
constexpr time_t SettledSeconds = 2;

std::string_view cut(std::string_view& text, char end) {
  const size_t at = std::min(text.find(end), text.size());
  const std::string_view part = text.substr(0, at);
  text.remove_prefix(std::min(at + 1, text.size()));
  return part;
}

// Whether it can be told apart in the cache's file.
bool is_plain(std::string_view text) { return text.find_first_of("\t\n") == text.npos; }

}  // namespace

IncludeCache::IncludeCache(fs::path path) : path_(std::move(path)) {
  if (path_.empty() || !fs::exists(path_)) return;
  const std::string content = read_text(path_);
  std::string_view text = content;
  const std::string_view sum = cut(text, '\n');
  if (hash_text(text) != sum || !text.starts_with(Format)) return;
  text.remove_prefix(Format.size());
  while (!text.empty()) {
    std::string_view line = cut(text, '\n');
    Entry entry;
    entry.stamp = cut(line, '\t');
    entry.file = cut(line, '\t');
    while (!line.empty()) entry.names.emplace_back(cut(line, '\t'));
    const std::string file = entry.file;
    entries_.emplace(file, std::move(entry));
  }
}

std::string IncludeCache::stamp(const fs::path& file) {
  struct stat is = {};
  if (::stat(file.c_str(), &is) != 0) return "";
  if (std::max(is.st_ctim.tv_sec, is.st_mtim.tv_sec) + SettledSeconds > std::time(nullptr))
    return "";
  return fmt::format("{}.{}.{}.{}.{}.{}.{}", is.st_dev, is.st_ino, is.st_size, is.st_mtim.tv_sec,
                     is.st_mtim.tv_nsec, is.st_ctim.tv_sec, is.st_ctim.tv_nsec);
}

const std::vector<std::string>* IncludeCache::find(const std::string& file,
                                                   const std::string& stamp) const {
  const auto found = entries_.find(file);
  return found == entries_.end() || stamp.empty() || found->second.stamp != stamp
             ? nullptr
             : &found->second.names;
}

void IncludeCache::store(const std::vector<Entry>& entries) {
  if (path_.empty()) return;
  std::string text(Format);
  for (const Entry& entry : entries) {
    std::string line = entry.stamp + "\t" + entry.file;
    bool is_kept = !entry.stamp.empty() && is_plain(entry.file);
    for (const std::string& name : entry.names) {
      line += "\t" + name;
      is_kept = is_kept && is_plain(name);
    }
    if (is_kept) text += line + "\n";
  }
  try {
    write_file(path_, hash_text(text) + "\n" + text);
  } catch (const Error&) {  // the next create reads the sources again
  }
}

}  // namespace ksplice
