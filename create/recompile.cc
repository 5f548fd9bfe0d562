#include "create/recompile.h"

#include <fmt/core.h>

#include <algorithm>
#include <sstream>

#include "create/object_cache.h"
#include "create/root.h"
#include "objdiff/base/error.h"
#include "objdiff/base/file.h"
#include "objdiff/object/elf_read.h"

namespace ksplice {

namespace fs = std::filesystem;

namespace {

// "-c -o a/b.o ../a/b.c", the end of kbuild's command (cmd_cc_o_c), and what stands before it.
struct Command {
  std::string compiler;      // the first word
  std::string flags;         // then, without the option for the rule with the dependencies
  std::string dependencies;  // the file with that rule
  std::string end;
};

std::optional<Command> parse_command(const std::string& text, const std::string& unit) {
  Command command;
  const size_t first = text.find(' '), end = text.rfind(" -c -o " + unit + " ");
  if (first == text.npos || end == text.npos || end < first) return std::nullopt;
  command.compiler = text.substr(0, first);
  command.end = text.substr(end + 1, text.find_last_not_of(' ') - end);
  // Another command behind it, or a variable of make.
  if (text.find_first_of(";|&`$<>\\#") != text.npos) return std::nullopt;
  std::istringstream words(text.substr(first, end - first));
  const std::string option = "-Wp,-MMD,";
  for (std::string word; words >> word;) {
    if (word.starts_with(option))
      command.dependencies = word.substr(option.size());
    else
      command.flags += " " + word;
  }
  if (command.dependencies.empty() || !command.end.ends_with(".c")) return std::nullopt;
  return command;
}

CommandResult run_in_obj(const Kbuild& kbuild, const std::string& command) {
  return run_for_build(kbuild, {"sh", "-c", "cd \"$0\" && " + command, kbuild.obj.string()});
}

bool has_option(const std::string& config, const std::string& name) {
  return config.find("\nCONFIG_" + name + "=y\n") != config.npos;
}

// What kbuild looks for (gen_symversions): the first until 6.3, the second since 6.4.
bool has_exports(const Object& object) {
  return std::ranges::any_of(object.symbols, [](const auto& symbol) {
    return symbol->name.starts_with("__ksymtab_") || symbol->name.starts_with("__export_symbol_");
  });
}

// The checksums of exports that kbuild would have recorded (cmd_gensymtypes_c); nothing if they are
// made in another way.
std::optional<ExportChecksums> checksums_of(const Kbuild& kbuild, const Command& command,
                                            const Object& object) {
  ExportChecksums sums;
  if (!has_exports(object)) return sums;
  const std::string config = read_text(kbuild.obj / ".config");
  if (!has_option(config, "MODVERSIONS")) return sums;
  if (has_option(config, "GENDWARFKSYMS")) return std::nullopt;
  const std::string source = command.end.substr(command.end.rfind(' '));
  const CommandResult run = run_in_obj(
      kbuild, fmt::format("{} -E -D__GENKSYMS__{}{} | scripts/genksyms/genksyms -r /dev/null",
                          command.compiler, command.flags, source));
  std::istringstream stream(run.output);
  for (std::string mark, name, sum; stream >> mark >> name >> sum;) {
    if (mark != "#SYMVER") return std::nullopt;
    sums[name] = static_cast<uint32_t>(std::stoul(sum, nullptr, 16));
  }
  if (run.status != 0 || sums.empty()) return std::nullopt;
  return sums;
}

}  // namespace

bool keeps_commands(const std::vector<FileChange>& changes) {
  return std::ranges::all_of(changes, [](const FileChange& change) {
    return change.kind == ChangeKind::Modified &&
           (change.path.ends_with(".c") || change.path.ends_with(".h"));
  });
}

std::vector<std::string> read_dependencies(const std::string& rule) {
  std::vector<std::string> files;
  std::istringstream words(rule);
  std::string word;
  while (words >> word && !word.ends_with(":")) {
  }
  while (words >> word)
    if (word != "\\") files.push_back(word);
  return files;
}

std::optional<BuiltUnit> recompile(const Kbuild& kbuild, const BuiltUnit& known) {
  const std::optional<Command> command = parse_command(known.command, known.name);
  if (!command || std::ranges::any_of(known.generated, is_made_by_unit)) return std::nullopt;
  const fs::path object = kbuild.obj / known.name, rule = kbuild.obj / command->dependencies;
  std::error_code none;
  fs::remove(object, none);
  fs::create_directories(object.parent_path());
  const CommandResult run = run_in_obj(kbuild, known.command);
  // Also a warning is for kbuild to show.
  if (run.status != 0 || !run.output.empty() || !fs::exists(object) || !fs::exists(rule)) {
    fs::remove(object, none);
    return std::nullopt;
  }
  BuiltUnit built;
  built.name = known.name;
  built.target = known.target;
  built.command = known.command;
  built.object = object;
  std::vector<std::string> files = read_dependencies(read_text(rule));
  std::erase(files, "include/generated/autoconf.h");  // kbuild looks at its options one by one
  std::erase(files, "./include/generated/autoconf.h");
  set_dependencies(built, files);
  fs::remove(rule, none);
  std::optional<ExportChecksums> sums =
      checksums_of(kbuild, *command, read_object(object.string()));
  // Exports do not come to an end in a unit that keeps its source.
  if (!sums || sums->empty() != known.checksums.empty()) {
    fs::remove(object, none);
    return std::nullopt;
  }
  built.checksums = std::move(*sums);
  return built;
}

}  // namespace ksplice
