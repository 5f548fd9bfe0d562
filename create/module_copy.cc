#include "create/module_copy.h"

#include <algorithm>
#include <deque>
#include <iterator>
#include <set>
#include <string>
#include <string_view>

#include "objdiff/base/file.h"

namespace ksplice {

namespace fs = std::filesystem;

namespace {

bool is_build_product(const std::string& name) {
  if (name == ".git" || name == "Module.symvers" || name == "modules.order") return true;
  for (const char* suffix : {".o", ".ko", ".a", ".cmd", ".mod", ".mod.c", ".d", ".symversions"})
    if (name.ends_with(suffix)) return true;
  return false;
}

bool is_text_with_paths(const std::string& name) {
  for (const char* suffix : {".c", ".h", ".S", ".mk", ".inc"})
    if (name.ends_with(suffix)) return true;
  return name.starts_with("Makefile") || name.starts_with("Kbuild");
}

// Of what lies beside the module's folder, nothing else is copied.
bool is_source(const std::string& name) {
  return is_text_with_paths(name) || name.ends_with("_shipped") || name.ends_with(".lds");
}

bool is_below(const fs::path& path, const fs::path& folder) {
  return std::mismatch(folder.begin(), folder.end(), path.begin(), path.end()).first ==
         folder.end();
}

// Every "../..." in text, up to what cannot be in a path there.
std::set<std::string> paths_up(std::string_view text) {
  std::set<std::string> result;
  for (size_t at = 0; (at = text.find("../", at)) != std::string_view::npos;) {
    const size_t end = std::min(text.find_first_of(" \t\n\r\"'<>()$,;:\\", at), text.size());
    result.emplace(text.substr(at, end - at));
    at = end;
  }
  return result;
}

// Whether a file is meant that is there: itself, the source of an object, or one of many.
bool leads_somewhere(const fs::path& path) {
  const std::string name = path.filename().string();
  if (fs::exists(path) || name.find_first_of("*%") != name.npos) return true;
  for (const char* suffix : {".c", ".S"})
    if (fs::path source = path; fs::exists(source.replace_extension(suffix))) return true;
  return fs::exists(path.string() + "_shipped");
}

// What modules are built against, and not of.
bool is_kernel_tree(const fs::path& folder) {
  return fs::exists(folder / "include/linux/kernel.h") || fs::exists(folder / "linux/kernel.h");
}

class Copier {
 public:
  explicit Copier(const fs::path& module) : module_(module) {}

  // The folders that are needed, by their canonical paths.
  void collect() {
    look_through(module_, true, {});
    while (!todo_.empty()) {
      const fs::path folder = todo_.front();
      todo_.pop_front();
      if (!done_.insert(folder).second) continue;
      look_through(folder, !is_below(module_, folder), {});
    }
  }

  ModuleCopy copy(const fs::path& to) const {
    fs::path top = module_;
    for (const fs::path& folder : done_)
      while (!is_below(folder, top)) top = top.parent_path();
    for (const fs::path& folder : done_)
      copy_folder(folder, to / folder.lexically_relative(top), !is_below(module_, folder), false,
                  {});
    const fs::path own = module_ == top ? to : to / module_.lexically_relative(top);
    copy_folder(module_, own, true, true, {});
    return {own, module_, to, top};
  }

 private:
  using Line = std::set<fs::path>;  // the canonical folders that one lies in

  // Calls visit(entry, is_folder) for the sources in folder. Objects that come without source
  // (binary blobs) are sources, too: NAME.o_shipped is not a product.
  template <typename Visit>
  static void each(const fs::path& folder, bool deep, Line& line, Visit visit) {
    const fs::path real = fs::canonical(folder);
    if (std::any_of(line.begin(), line.end(),
                    [&](const fs::path& outer) { return is_below(outer, real); }))
      return;  // a link to what it lies in
    line.insert(real);
    for (const auto& entry : fs::directory_iterator(folder)) {
      if (is_build_product(entry.path().filename().string())) continue;
      std::error_code broken;  // a link to itself, or to nothing
      const fs::file_status status = fs::status(entry.path(), broken);
      if (fs::is_directory(status) ? deep : fs::is_regular_file(status))
        visit(entry.path(), fs::is_directory(status));
    }
  }

  void look_through(const fs::path& folder, bool deep, Line line) {
    each(folder, deep, line, [&](const fs::path& path, bool is_folder) {
      if (is_folder)
        look_through(path, true, line);
      else if (is_text_with_paths(path.filename().string()))
        for (const std::string& up : paths_up(read_text(path))) look_up(folder, up);
    });
  }

  // What the path means there, or seen from the module's folder, as include paths are.
  void look_up(const fs::path& folder, const std::string& up) {
    for (const fs::path& from : {folder, module_}) {
      const fs::path path = (from / up).lexically_normal();
      std::error_code none;
      fs::path found = fs::is_directory(path, none) ? path : path.parent_path();
      if (!found.has_filename()) found = found.parent_path();
      if (!fs::is_directory(found, none) || is_below(found, module_) || !leads_somewhere(path))
        continue;
      found = fs::canonical(found);
      if (found != found.root_path() && !is_foreign(found)) todo_.push_back(found);
    }
  }

  // Whether it is of a kernel's tree or the system's, where the module is not.
  bool is_foreign(const fs::path& folder) const {
    static constexpr const char* System[] = {"/usr/include", "/usr/lib", "/lib", "/etc",
                                             "/proc",        "/sys",     "/dev", "/run"};
    for (fs::path each = folder; !is_below(module_, each); each = each.parent_path())
      if (is_kernel_tree(each) ||
          std::find(std::begin(System), std::end(System), each.string()) != std::end(System))
        return true;
    return false;
  }

  static void copy_folder(const fs::path& from, const fs::path& to, bool deep, bool all,
                          Line line) {
    fs::create_directories(to);
    each(from, deep, line, [&](const fs::path& path, bool is_folder) {
      if (is_folder)
        copy_folder(path, to / path.filename(), true, all, line);
      else if (all || is_source(path.filename().string()))
        fs::copy_file(path, to / path.filename(), fs::copy_options::skip_existing);
    });
  }

  const fs::path module_;
  std::deque<fs::path> todo_;
  std::set<fs::path> done_;
};

}  // namespace

ModuleCopy copy_module(const fs::path& original, const fs::path& to) {
  Copier copier(original);
  copier.collect();
  return copier.copy(to);
}

}  // namespace ksplice
