#include "create/module_steps.h"

#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <sstream>

#include "objdiff/base/file.h"

namespace ksplice {

namespace fs = std::filesystem;

namespace {

const std::string Version = "ksplice module steps 1";
const std::string End = "end";
const std::string Folder = "@FOLDER@", Tree = "@TREE@", Module = "@MODULE@";

std::string replaced(std::string text, const std::string& old, const std::string& by) {
  for (size_t at = 0; (at = text.find(old, at)) != text.npos; at += by.size())
    text.replace(at, old.size(), by);
  return text;
}

// One command as it was run, with words for what is another one each time.
class Recorder {
 public:
  Recorder(const Kbuild& kbuild, fs::path folder, std::string module)
      : kbuild_(kbuild), folder_(std::move(folder)), module_(std::move(module)) {}

  std::string general(std::string text) const {
    text = replaced(std::move(text), folder_.string(), Folder);
    text = replaced(std::move(text), kbuild_.tree.string(), Tree);
    return replaced(std::move(text), module_, Module);
  }

  // What kbuild recorded for a file of the folder: "cmd_FILE := COMMAND", since 6.4 "savedcmd_...".
  std::optional<std::string> command(const std::string& file) {
    const fs::path path = folder_ / ("." + file + ".cmd");
    if (!fs::exists(path)) return std::nullopt;
    std::string line = read_text(path);
    line = line.substr(0, line.find('\n'));
    const size_t name = line.find("cmd_"), is = line.find(" := ");
    if (name == line.npos || is == line.npos || is < name) return std::nullopt;
    const std::string target = line.substr(name + 4, is - name - 4);
    if (target != file && target != folder_ / file) return std::nullopt;
    if (in_folder_ && *in_folder_ != (target == file)) return std::nullopt;
    in_folder_ = target == file;
    std::string text = replaced(line.substr(is + 4), "$(pound)", "#");
    if (text.find("$(") != text.npos || text.find(Folder) != text.npos ||
        text.find(Tree) != text.npos || text.find(Module) != text.npos)
      return std::nullopt;
    return general(replaced(std::move(text), "$$", "$"));
  }

  bool in_folder() const { return in_folder_.value_or(false); }

 private:
  const Kbuild& kbuild_;
  const fs::path folder_;
  const std::string module_;
  std::optional<bool> in_folder_;
};

bool is_plain_name(const std::string& module) {
  return !module.empty() && std::ranges::all_of(module, [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '_';
  });
}

void add_lines(std::string& text, const std::string& word, const std::vector<std::string>& lines) {
  for (const std::string& line : lines) text += word + " " + line + "\n";
}

}  // namespace

std::optional<ModuleSteps> record_module_steps(const Kbuild& kbuild, const fs::path& folder,
                                               const std::string& module) {
  if (!is_plain_name(module)) return std::nullopt;
  Recorder recorder(kbuild, folder, module);
  ModuleSteps steps;
  bool all = true;
  auto take = [&](std::vector<std::string>& list, const std::string& file) {
    if (std::optional<std::string> command = recorder.command(file))
      list.push_back(*command);
    else
      all = false;
  };
  // Since 6.12 what is the same in all modules is compiled once for a folder.
  const std::string common = ".module-common.o";
  if (fs::exists(folder / common)) take(steps.shared, common);
  take(steps.objects, module + "-init.o");
  if (!all) return std::nullopt;
  // update.c has a version, for which modpost asks what it was made of: that is what fixdep writes.
  const std::string place = recorder.in_folder() ? "" : Folder + "/";
  steps.objects.push_back(
      fmt::format("{0}/scripts/basic/fixdep {1}.{2}-init.o.d {1}{2}-init.o '' > {1}.{2}-init.o.cmd",
                  recorder.general(kbuild.obj.string()), place, Module));
  for (const char* suffix : {".mod", ".o"}) take(steps.objects, module + suffix);
  std::vector<std::string> modpost;
  take(modpost, "Module.symvers");
  for (const char* suffix : {".mod.o", ".ko"}) take(steps.link, module + suffix);
  if (!all || !fs::exists(folder / "modules.order")) return std::nullopt;
  steps.modpost = modpost.front();
  auto names_module = [](const std::string& step) { return step.find(Module) != step.npos; };
  if (names_module(steps.modpost) || std::ranges::any_of(steps.shared, names_module))
    return std::nullopt;
  std::istringstream order(read_text(folder / "modules.order"));
  for (std::string line; std::getline(order, line);)
    if (line.find(module) != line.npos) steps.order = recorder.general(line);
  if (steps.order.empty()) return std::nullopt;
  steps.in_folder = recorder.in_folder();
  return steps;
}

std::optional<std::string> run_module_steps(const Kbuild& kbuild, const ModuleSteps& steps,
                                            const fs::path& folder,
                                            const std::vector<std::string>& modules) {
  if (!std::ranges::all_of(modules, is_plain_name)) return std::nullopt;
  std::vector<std::string> script = {"set -e"};
  auto add = [&](const std::string& step, const std::string& module) {
    std::string text = replaced(step, Module, module);
    text = replaced(std::move(text), Tree, kbuild.tree.string());
    script.push_back(replaced(std::move(text), Folder, folder.string()));
  };
  std::string order;
  for (const std::string& step : steps.shared) add(step, "");
  for (const std::string& module : modules) {
    for (const std::string& step : steps.objects) add(step, module);
    order += replaced(replaced(steps.order, Module, module), Folder, folder.string()) + "\n";
  }
  write_file(folder / "modules.order", order);
  add(steps.modpost, "");
  for (const std::string& module : modules)
    for (const std::string& step : steps.link) add(step, module);
  const fs::path place = steps.in_folder ? folder : kbuild.obj;
  const std::vector<std::string> argv = {
      "sh", "-c", fmt::format("cd \"$0\"\n{}\n", fmt::join(script, "\n")), place.string()};
  const CommandResult run = run_for_build(kbuild, argv);
  const bool complete = run.status == 0 && std::ranges::all_of(modules, [&](const auto& module) {
                          return fs::exists(folder / (module + ".ko"));
                        });
  return complete ? std::optional(run.output) : std::nullopt;
}

std::string write_module_steps(const ModuleSteps& steps) {
  std::string text = Version + "\n";
  add_lines(text, "place", {steps.in_folder ? "folder" : "obj"});
  add_lines(text, "shared", steps.shared);
  add_lines(text, "object", steps.objects);
  add_lines(text, "order", {steps.order});
  add_lines(text, "modpost", {steps.modpost});
  add_lines(text, "link", steps.link);
  return text + End + "\n";
}

std::optional<ModuleSteps> parse_module_steps(const std::string& text) {
  std::istringstream stream(text);
  std::string line;
  if (!std::getline(stream, line) || line != Version) return std::nullopt;
  ModuleSteps steps;
  while (std::getline(stream, line) && line != End) {
    const size_t space = line.find(' ');
    if (space == line.npos) return std::nullopt;
    const std::string word = line.substr(0, space), rest = line.substr(space + 1);
    if (word == "place")
      steps.in_folder = rest == "folder";
    else if (word == "shared")
      steps.shared.push_back(rest);
    else if (word == "object")
      steps.objects.push_back(rest);
    else if (word == "order")
      steps.order = rest;
    else if (word == "modpost")
      steps.modpost = rest;
    else if (word == "link")
      steps.link.push_back(rest);
    else
      return std::nullopt;
  }
  if (line != End || steps.order.empty() || steps.modpost.empty()) return std::nullopt;
  return steps;
}

}  // namespace ksplice
