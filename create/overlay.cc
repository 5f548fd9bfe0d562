#include "create/overlay.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/core.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <map>
#include <memory>

#include "objdiff/arch/arch.h"
#include "objdiff/base/error.h"
#include "objdiff/base/process.h"

namespace ksplice {

namespace fs = std::filesystem;

namespace {

bool ends_with(const std::string& text, std::string_view suffix) {
  return text.size() >= suffix.size() &&
         text.compare(text.size() - suffix.size(), suffix.size(), suffix) == 0;
}

// Products of a build in the source itself: kbuild refuses such a tree as not clean, and they must
// not be taken for the kernel's sources.
bool is_build_product(const std::string& dir, const std::string& name) {
  if (name == ".git" || name == ".pc") return true;
  for (const char* suffix :
       {".o", ".ko", ".a", ".cmd", ".mod", ".mod.c", ".order", ".orig", ".rej"})
    if (ends_with(name, suffix)) return true;
  if (dir.empty())
    return name == ".config" || name == "vmlinux" || name == "Module.symvers" || name == "obj" ||
           name == "debian" || name == "source" || name == "build";
  if (dir == "include") return name == "config" || name == "generated";
  return dir == fmt::format("{}/include", ArchFolder) && name == "generated";
}

// Folders of which only the build files matter for a kernel of this processor.
bool is_foreign(const std::string& dir) {
  if (dir.rfind("Documentation", 0) == 0) return true;
  return dir.rfind("arch/", 0) == 0 && !dir.starts_with(ArchFolder) && dir.rfind("arch/um", 0) != 0;
}

bool is_build_file(const std::string& name) {
  return name.rfind("Kconfig", 0) == 0 || name.rfind("Makefile", 0) == 0 || name == "Kbuild";
}

// Of these folders the preparation reads the build files only; headers count to be on the safe
// side.
bool matters_for_preparation(const std::string& path) {
  std::string name = path.substr(path.rfind('/') + 1);
  if (is_build_file(name) || ends_with(name, ".h")) return true;
  for (const char* dir : {"drivers/", "fs/", "net/", "mm/", "sound/", "block/", "crypto/", "ipc/",
                          "io_uring/", "virt/", "init/", "samples/"})
    if (path.rfind(dir, 0) == 0) return false;
  bool kernel_c = path.rfind("kernel/", 0) == 0 && ends_with(path, ".c");
  // kernel/sched/rq-offsets.c since 6.18, as asm-offsets.c of old.
  return !kernel_c || path == "kernel/bounds.c" || ends_with(path, "-offsets.c");
}

struct Entry {
  unsigned char type;
  std::string link;  // of symbolic links
};

std::map<std::string, Entry> list_folder(int fd, const fs::path& path) {
  int copy = ::openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR* dir = copy >= 0 ? ::fdopendir(copy) : nullptr;
  if (dir == nullptr) throw_errno("cannot read", path);
  std::unique_ptr<DIR, int (*)(DIR*)> owner(dir, ::closedir);
  std::map<std::string, Entry> entries;
  while (dirent* item = ::readdir(dir)) {
    std::string name = item->d_name;
    if (name == "." || name == "..") continue;
    Entry entry{item->d_type, ""};
    if (entry.type == DT_UNKNOWN) {
      struct stat st = {};
      if (::fstatat(fd, item->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0) continue;
      entry.type = S_ISDIR(st.st_mode) ? DT_DIR : S_ISLNK(st.st_mode) ? DT_LNK : DT_REG;
    }
    if (entry.type == DT_LNK) {
      char buffer[4096];
      ssize_t length = ::readlinkat(fd, item->d_name, buffer, sizeof buffer);
      if (length > 0) entry.link.assign(buffer, static_cast<size_t>(length));
    }
    entries.emplace(std::move(name), std::move(entry));
  }
  return entries;
}

class Hash {
 public:
  void add(std::string_view text) {
    for (char c : text) add_byte(static_cast<uint8_t>(c));
    add_byte(0);
  }
  void add(uint64_t number) {
    for (int i = 0; i < 8; ++i) add_byte(static_cast<uint8_t>(number >> (8 * i)));
  }
  std::string text() const { return fmt::format("{:016x}", value_); }

 private:
  void add_byte(uint8_t byte) { value_ = (value_ ^ byte) * 0x100000001b3; }
  uint64_t value_ = 0xcbf29ce484222325;
};

bool is_below(const fs::path& path, const fs::path& folder) {
  return path.string().starts_with(folder.string() + "/");
}

constexpr int MaxDepth =
    30;  // of folders: the kernel has 12, and 40 links is all that Linux follows

// One walk over source and tree side by side.
class Mirror {
 public:
  Mirror(const fs::path& source, const fs::path& tree) : source_(source), tree_(tree) {}

  void run() {
    Fd from(::open(source_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (from.get() < 0) throw_errno("cannot open", source_);
    Fd to(::open(tree_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (to.get() < 0) throw_errno("cannot open", tree_);
    folder(from.get(), to.get(), "", 0);
  }

  std::vector<std::string> files;
  std::vector<fs::path> outside;
  Hash hash;

 private:
  // What lies below a folder that is known already needs no word.
  void note_outside(const fs::path& link) {
    fs::path end = fs::canonical(link);
    fs::path folder = fs::is_directory(end) ? end : end.parent_path();
    auto covers = [&](const fs::path& known) { return folder == known || is_below(folder, known); };
    if (std::none_of(outside.begin(), outside.end(), covers)) outside.push_back(folder);
  }

  void folder(int from, int to, const std::string& dir, int depth) {
    check_interrupted();
    std::map<std::string, Entry> have = list_folder(to, tree_ / dir);
    for (auto& [name, entry] : list_folder(from, source_ / dir)) {
      std::string path = dir.empty() ? name : dir + "/" + name;
      if (is_build_product(dir, name)) continue;
      bool outside_link = entry.type == DT_LNK && !leads_inside(path, entry);
      if (outside_link && fs::exists(source_ / path)) note_outside(source_ / path);
      if (entry.type == DT_DIR || (outside_link && fs::is_directory(source_ / path))) {
        take_folder(from, to, have, name, path, depth);
      } else if (entry.type == DT_REG || entry.type == DT_LNK) {
        if (is_foreign(dir) && !is_build_file(name)) continue;
        take_file(from, to, have, name, path, entry, outside_link, depth);
      }
    }
    if (dir.empty()) have.erase("obj");
    for (const auto& [name, entry] : have) discard(to, name, entry, dir);
  }

  // A link that means the same in the mirror: relative, to something in the source. What other
  // links lead to is mirrored in their place; as links they would lead around the mirror.
  bool leads_inside(const std::string& path, const Entry& entry) const {
    if (entry.link.empty() || entry.link[0] == '/') return false;
    std::error_code nowhere;
    fs::path end = fs::canonical(source_ / path, nowhere);
    return !nowhere && is_below(end, source_);
  }

  void take_folder(int from, int to, std::map<std::string, Entry>& have, const std::string& name,
                   const std::string& path, int depth) {
    if (depth > MaxDepth)
      throw Error("bad_source", fmt::format("{} is a folder in itself", (source_ / path).string()));
    auto old = have.find(name);
    if (old != have.end() && old->second.type != DT_DIR) {
      discard(to, name, old->second, fs::path(path).parent_path());
      have.erase(old);
      old = have.end();
    }
    if (old != have.end())
      have.erase(old);
    else if (::mkdirat(to, name.c_str(), 0755) != 0)
      throw_errno("cannot make", tree_ / path);
    Fd sub_from(::openat(from, name.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (sub_from.get() < 0) throw_errno("cannot open", source_ / path);
    Fd sub_to(::openat(to, name.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (sub_to.get() < 0) throw_errno("cannot open", tree_ / path);
    folder(sub_from.get(), sub_to.get(), path, depth + 1);
  }

  void take_file(int from, int to, std::map<std::string, Entry>& have, const std::string& name,
                 const std::string& path, const Entry& entry, bool outside, int depth) {
    std::string target;
    if (entry.type == DT_LNK && !outside) {
      target = entry.link;
    } else {
      for (int i = 0; i <= depth; ++i) target += "../";
      target += "S/" + path;
      struct stat st = {};
      if (::fstatat(from, name.c_str(), &st, 0) != 0) {
        if (entry.type == DT_LNK) return;  // leads nowhere
        throw_errno("cannot read", source_ / path);
      }
      files.push_back(path);
      if (matters_for_preparation(path)) {
        hash.add(path);
        hash.add(static_cast<uint64_t>(st.st_size));
        hash.add(static_cast<uint64_t>(st.st_mtim.tv_sec));
        hash.add(static_cast<uint64_t>(st.st_mtim.tv_nsec));
        // What the compiler is told stands in these only, and in no object's list of sources.
        if (is_build_file(path.substr(path.rfind('/') + 1))) hash.add(read_text(source_ / path));
      }
    }
    auto old = have.find(name);
    if (old != have.end()) {
      bool right = old->second.type == DT_LNK && old->second.link == target;
      if (!right) discard(to, name, old->second, fs::path(path).parent_path());
      have.erase(old);
      if (right) return;
    }
    if (::symlinkat(target.c_str(), to, name.c_str()) != 0)
      throw_errno("cannot make", tree_ / path);
  }

  void discard(int to, const std::string& name, const Entry& entry, const fs::path& dir) {
    if (entry.type == DT_DIR)
      fs::remove_all(tree_ / dir / name);
    else if (::unlinkat(to, name.c_str(), 0) != 0)
      throw_errno("cannot remove", tree_ / dir / name);
  }

  const fs::path &source_, &tree_;
};

// A file descriptor that children inherit: a slot stays taken while a compiler of a killed create
// still writes into it.
Fd try_lock(const fs::path& path) {
  Fd fd(::open(path.c_str(), O_RDWR | O_CREAT, 0644));
  if (fd.get() < 0) throw_errno("cannot open", path);
  if (::flock(fd.get(), LOCK_EX | LOCK_NB) == 0) return fd;
  if (errno != EWOULDBLOCK) throw_errno("cannot lock", path);
  return Fd();
}

// Folders and files that killed creates were about to put into the cache. What is younger than a
// day may belong to one that runs.
void remove_leftovers(const fs::path& cache) {
  auto yesterday = fs::file_time_type::clock::now() - std::chrono::hours(24);
  std::error_code ignored;
  for (const char* part : {"pre", "core"})
    for (const auto& entry : fs::directory_iterator(cache / part, ignored))
      if (entry.path().filename().string().starts_with("ksplice.") &&
          fs::last_write_time(entry.path(), ignored) < yesterday)
        fs::remove_all(entry.path(), ignored);
}

}  // namespace

std::string flat_name(const fs::path& path) {
  std::string name = path.lexically_normal().string();
  std::replace(name.begin(), name.end(), '/', ':');  // no target of make has a colon in its name
  return name;
}

std::string hash_text(std::string_view text) {
  Hash hash;
  hash.add(text);
  return hash.text();
}

void copy_tree(const fs::path& from, const fs::path& to) {
  fs::create_directory(to);
  for (const auto& entry : fs::directory_iterator(from)) {
    fs::path target = to / entry.path().filename();
    if (entry.is_symlink()) {
      fs::copy_symlink(entry.path(), target);
    } else if (entry.is_directory()) {
      copy_tree(entry.path(), target);
    } else {
      fs::copy_file(entry.path(), target);
      struct stat st = {};
      if (::stat(entry.path().c_str(), &st) != 0) throw_errno("cannot read", entry.path());
      timespec times[2] = {st.st_atim, st.st_mtim};
      if (::utimensat(AT_FDCWD, target.c_str(), times, 0) != 0) throw_errno("cannot write", target);
    }
  }
}

fs::path usable_cache(const fs::path& cache) {
  std::error_code error;
  fs::create_directories(cache, error);
  if (error || ::access(cache.c_str(), W_OK | X_OK) != 0)
    throw Error("bad_cache",
                fmt::format("{} cannot be written: {}", cache.string(),
                            error ? error.message() : std::strerror(errno)),
                "name another folder with --cache");
  fs::path resolved = fs::canonical(cache);
  for (char c : resolved.string())
    if (!(std::isalnum(static_cast<unsigned char>(c)) || std::strchr("/._-+@,", c) != nullptr))
      throw Error(
          "bad_cache",
          fmt::format("kbuild cannot work in {}: the path holds '{}'", resolved.string(), c),
          "name another folder with --cache");
  remove_leftovers(resolved);
  return resolved;
}

fs::path kernel_source(const fs::path& source) {
  if (!fs::exists(source))
    throw Error("bad_source", fmt::format("there is no {}", source.string()),
                "give the folder of the kernel's source, or its tarball");
  if (!fs::is_directory(source))
    throw Error("bad_source", fmt::format("{} is not a folder", source.string()));
  fs::path resolved = fs::canonical(source);
  for (const char* file : {"Makefile", "Kbuild", "kernel/fork.c", "scripts/Makefile.build"})
    if (!fs::exists(resolved / file))
      throw Error("bad_source",
                  fmt::format("{} is not a kernel source: it has no {}", source.string(), file),
                  "give the folder that has the kernel's Makefile and MAINTAINERS in it; a headers "
                  "package is not enough");
  return resolved;
}

Overlay::Overlay(const fs::path& cache, const fs::path& source, const std::string& key)
    : source_(kernel_source(source)) {
  fs::path root = usable_cache(cache) / "trees" / hash_text(source_.string() + '\n' + key);
  for (int number = 0; lock_.get() < 0; ++number) {
    slot_ = root / fmt::format("slot-{}", number);
    fs::create_directories(slot_);
    lock_ = try_lock(slot_ / "lock");
  }
  fs::remove_all(work());
  fs::create_directory(work());
  fs::path link = slot_ / "S";
  std::error_code none;
  if (fs::read_symlink(link, none) != source_) {
    fs::remove(link);
    fs::create_directory_symlink(source_, link);
  }
  fs::create_directories(tree());
  sync();
}

fs::path Overlay::work(const std::string& stage) const {
  fs::create_directories(work() / stage);
  return work() / stage;
}

void Overlay::sync() {
  fs::path top = tree();
  Mirror mirror(source_, top);
  mirror.run();
  files_ = std::move(mirror.files);
  outside_ = std::move(mirror.outside);
  std::sort(files_.begin(), files_.end());
  signature_ = mirror.hash.text();
}

bool Overlay::restore_template(const std::string& key) {
  fs::path stamp = slot_ / "template/.ksplice-key";
  if (!fs::exists(stamp) || read_text(stamp) != key) {
    drop_template();
    return false;
  }
  fs::remove_all(obj());
  copy_tree(slot_ / "template", obj());
  return true;
}

void Overlay::drop_template() {
  fs::remove(slot_ / "template/.ksplice-key");  // first: half a template is none
  fs::remove_all(slot_ / "template");
  fs::remove_all(obj());
  fs::create_directory(obj());
}

void Overlay::save_template(const std::string& key) {
  fs::path fresh = slot_ / "template.new";
  fs::remove_all(fresh);
  copy_tree(obj(), fresh);
  write_file(fresh / ".ksplice-key", key);
  sync_file_system(fresh);  // after a power cut a template is whole, or there is none
  fs::remove_all(slot_ / "template");
  fs::rename(fresh, slot_ / "template");
}

void Overlay::replace(const std::string& path, const fs::path& content) {
  fs::path target = tree() / path;
  fs::create_directories(target.parent_path());
  if (!is_below(fs::canonical(target.parent_path()) / "x", fs::canonical(tree())))
    throw Error("internal", fmt::format("{} is outside of the private tree", target.string()));
  fs::remove(target);
  fs::copy_file(content, target);
  if (::utimensat(AT_FDCWD, target.c_str(), nullptr, 0) != 0) throw_errno("cannot write", target);
}

void Overlay::remove(const std::string& path) { fs::remove(tree() / path); }

void Overlay::restore(const std::string& path) {
  fs::path target = tree() / path;
  fs::remove(target);
  if (!fs::exists(source_ / path)) return;
  std::string link;
  for (char c : path) link += c == '/' ? "../" : "";
  fs::create_symlink(link + "../S/" + path, target);
}

}  // namespace ksplice
