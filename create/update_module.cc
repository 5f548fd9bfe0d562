#include "create/update_module.h"

#include <fmt/core.h>

#include <algorithm>
#include <regex>
#include <set>
#include <sstream>

#include "create/module_steps.h"
#include "objdiff/base/error.h"
#include "objdiff/base/file.h"
#include "objdiff/base/process.h"
#include "objdiff/object/elf_write.h"

namespace ksplice {

namespace fs = std::filesystem;

namespace {

constexpr uint16_t ShnAbs = 0xfff1;
constexpr uint8_t StbGlobal = 1;
constexpr size_t Few = 4;  // modules that are made one after the other

std::vector<std::string> read_names(const fs::path& path) {
  std::istringstream stream(read_text(path));
  std::vector<std::string> names;
  std::string line;
  while (std::getline(stream, line)) {
    line = line.substr(0, line.find('#'));
    line.erase(std::remove_if(line.begin(), line.end(), ::isspace), line.end());
    if (!line.empty()) names.push_back(line);
  }
  std::sort(names.begin(), names.end());
  return names;
}

// An object that defines names as absolute symbols of value 0; ksplice-apply fills in the values.
std::vector<uint8_t> make_absolute_symbols(const std::vector<std::string>& names) {
  Object object;
  object.path = "core_symbols.o";
  for (const std::string& name : names) {
    auto symbol = std::make_unique<Symbol>();
    symbol->name = name;
    symbol->bind = StbGlobal;
    symbol->shndx = ShnAbs;
    object.symbols.push_back(std::move(symbol));
  }
  auto note = std::make_unique<Section>();  // says that no executable stack is wanted
  note->name = ".note.GNU-stack";
  note->type = 1;
  object.sections.push_back(std::move(note));
  return write_object(object);
}

// A ready object for kbuild: with its .cmd file, which modpost reads.
void put_object(const fs::path& folder, const std::string& name,
                const std::vector<uint8_t>& bytes) {
  write_file(folder / name, bytes);
  write_file(folder / ("." + name + ".cmd"),
             fmt::format("savedcmd_{0} := true\ncmd_{0} := true\n", (folder / name).string()));
}

// Copies the core's sources; returns a hash of them.
std::string copy_core(const fs::path& folder) {
  std::map<std::string, std::string> texts;
  for (const auto& entry : fs::directory_iterator(core_source_folder())) {
    std::string name = entry.path().filename().string();
    if (name.ends_with(".mod.c")) continue;  // somebody built there
    if (name.ends_with(".c") || name.ends_with(".h") || name == "Kbuild" || name.ends_with(".txt"))
      texts[name] = read_text(entry.path());
  }
  std::string all;
  for (const auto& [name, text] : texts) {
    write_file(folder / name, text);
    all += name + '\0' + text + '\0';
  }
  return hash_text(all);
}

std::vector<std::string> find_warnings(const std::string& output) {
  std::istringstream stream(output);
  std::vector<std::string> warnings;
  std::string line;
  while (std::getline(stream, line))
    if (line.find("warning:") != std::string::npos || line.find("WARNING:") != std::string::npos)
      warnings.push_back(line);
  return warnings;
}

// Keeps the core and its line of exports for the next update. Everything is on the disk before it
// has its name: a power cut must not leave half a core that later updates would take.
void store_core(const fs::path& folder, const fs::path& entry) {
  fs::create_directories(entry.parent_path());
  TempDir fresh(entry.parent_path());
  write_file(fresh.path() / "ksplice.ko", read_file(folder / "ksplice.ko"));
  write_file(fresh.path() / "Module.symvers", core_exports(read_text(folder / "Module.symvers")));
  sync_folder(fresh.path());
  std::error_code taken;  // another create may have been faster
  fs::rename(fresh.path(), entry, taken);
  sync_folder(entry.parent_path());
}

using Files = std::set<std::string>;  // names in one folder

Files files_of(const fs::path& folder) {
  Files files;
  for (const auto& entry : fs::directory_iterator(folder))
    files.insert(entry.path().filename().string());
  return files;
}

void remove_others(const fs::path& folder, const Files& kept) {
  for (const std::string& file : files_of(folder))
    if (std::error_code ignored; !kept.contains(file)) fs::remove_all(folder / file, ignored);
}

// The modules of one update in the folder that they are made in.
struct Making {
  const Kbuild& kbuild;
  fs::path folder;
  std::vector<std::string> modules;
  Files given;          // what was there before them
  fs::path steps_file;  // of the core that they go with
};

// By the steps of an earlier update, and what these said; nothing if that must be left to kbuild.
std::optional<std::string> make_by_steps(const Making& making) {
  if (!fs::exists(making.steps_file)) return std::nullopt;
  const auto steps = parse_module_steps(read_text(making.steps_file));
  if (!steps) return std::nullopt;
  auto said = run_module_steps(making.kbuild, *steps, making.folder, making.modules);
  if (!said) remove_others(making.folder, making.given);
  return said;
}

// What kbuild says by itself (that the compiler differs) no step would say.
bool are_of_modules(const std::vector<std::string>& warnings,
                    const std::vector<std::string>& modules) {
  return std::ranges::all_of(warnings, [&](const std::string& warning) {
    return std::ranges::any_of(
        modules, [&](const std::string& module) { return warning.find(module) != warning.npos; });
  });
}

// Keeps the steps by which kbuild has just made the modules, if they make the same once more.
void keep_steps(const Making& making, const std::vector<std::string>& warnings) {
  const auto steps = record_module_steps(making.kbuild, making.folder, making.modules.front());
  if (!steps || !are_of_modules(warnings, making.modules)) return;
  std::map<fs::path, std::vector<uint8_t>> made;
  for (const std::string& module : making.modules) {
    const fs::path file = making.folder / (module + ".ko");
    made[file] = read_file(file);
  }
  remove_others(making.folder, making.given);
  const auto said = run_module_steps(making.kbuild, *steps, making.folder, making.modules);
  const bool same =
      said && find_warnings(*said) == warnings && std::ranges::all_of(made, [](const auto& module) {
        return read_file(module.first) == module.second;
      });
  if (!same) {
    for (const auto& [file, bytes] : made) write_file(file, bytes);
    return;
  }
  TempDir fresh(making.steps_file.parent_path());
  write_file(fresh.path() / "steps", write_module_steps(*steps));
  fs::rename(fresh.path() / "steps", making.steps_file);
}

// The modules are made without debug information rather than stripped of it: strip and objcopy
// (binutils 2.40) turn a relocation against an absolute symbol of value 0 into one against no
// symbol, and with that the code would call address 0.
std::string without_debug(const Kbuild& kbuild) {
  for (const std::string& word : kbuild.words)
    if (word.starts_with("KCFLAGS=")) return word + " -g0";
  return "KCFLAGS=-g0";
}

// Tables of exports besides the kernel's own: what the flags file and the external module name.
std::vector<fs::path> extra_symbols(const Kbuild& kbuild) {
  std::vector<fs::path> tables = symbol_tables(kbuild.words);
  if (!kbuild.symvers.empty()) tables.push_back(kbuild.symvers);
  std::erase_if(tables, [](const fs::path& table) { return !fs::exists(table); });
  return tables;
}

// Lines of C that import the namespaces of the exports that the object refers to. In a
// Module.symvers each line has the fields CRC, symbol, module, kind, namespace.
std::string import_namespaces(const Object& object, const std::vector<fs::path>& tables) {
  std::set<std::string> wanted, spaces;
  for (const auto& symbol : object.symbols)
    if (symbol->is_undefined()) wanted.insert(symbol->name);
  for (const fs::path& table : tables) {
    std::istringstream lines(read_text(table));
    for (std::string line; std::getline(lines, line);) {
      std::istringstream stream(line);
      std::vector<std::string> fields;
      for (std::string field; std::getline(stream, field, '\t');) fields.push_back(field);
      if (fields.size() == 5 && !fields[4].empty() && wanted.contains(fields[1]))
        spaces.insert(fields[4]);
    }
  }
  std::string text;
  for (const std::string& space : spaces)
    text += fmt::format("MODULE_INFO(import_ns, \"{}\");\n", space);
  return text;
}

// What modpost misses: no module exports it. That is a verdict about the patch.
std::vector<Refusal> find_undefined(const std::string& output) {
  static const std::regex line("modpost: \"([^\"]+)\" \\[([^\\]]*/)?([^\\]/]+)\\.ko\\] undefined!");
  std::vector<Refusal> refusals;
  for (std::sregex_iterator at(output.begin(), output.end(), line), end; at != end; ++at) {
    Refusal& refusal = refusals.emplace_back();
    refusal.code = "failed_to_find";
    refusal.object = (*at)[3];
    refusal.symbol = (*at)[1];
    refusal.message = fmt::format(
        "new code in {} uses {}, which neither the kernel nor a module "
        "exports and the update does not bring along",
        refusal.object, refusal.symbol);
    refusal.advice =
        "give the patch that defines or exports it, too (all patches in one update), "
        "or leave this use out";
  }
  return refusals;
}

}  // namespace

std::string core_exports(const std::string& symvers) {
  std::istringstream stream(symvers);
  std::string line, exports;
  while (std::getline(stream, line)) {
    std::istringstream fields(line);
    std::string field;  // the third one: CRC, symbol, module
    for (int i = 0; i < 3; ++i) std::getline(fields, field, '\t');
    if (fs::path(field).filename() == "ksplice") exports += line + "\n";
  }
  return exports;
}

fs::path core_source_folder() {
  std::error_code none;
  fs::path program = fs::read_symlink("/proc/self/exe", none);
  fs::path installed = program.parent_path().parent_path() / "share/ksplice/kmod-core";
  if (fs::exists(installed / "Kbuild")) return installed;
  fs::path source = KSPLICE_SOURCE_DIR "/kmod-core";
  if (fs::exists(source / "Kbuild")) return source;
  throw Error("failed",
              fmt::format("the core's sources are neither in {} nor in {}", installed.string(),
                          source.string()),
              "install ksplice again");
}

BuiltModules build_modules(const Kbuild& kbuild, const std::vector<TargetUpdate>& updates,
                           const fs::path& folder, const fs::path& cache, const std::string& key,
                           bool with_steps) {
  BuiltModules built;
  fs::create_directories(folder);
  fs::path core_entry = cache / hash_text(key + copy_core(folder) + without_debug(kbuild));
  built.core_symbols = read_names(folder / "core_symbols.txt");
  bool cached = fs::exists(core_entry / "ksplice.ko");
  std::string text;
  std::vector<std::string> goals = {"M=" + folder.string()};
  std::vector<fs::path> extra = extra_symbols(kbuild), tables = extra;
  tables.push_back(kbuild.obj / "Module.symvers");
  if (cached) {
    fs::copy_file(core_entry / "Module.symvers", folder / "core.symvers");
    extra.push_back(folder / "core.symvers");
  } else {
    put_object(folder, "core_symbols.o", make_absolute_symbols(built.core_symbols));
    text = read_text(folder / "Kbuild");
  }
  for (const auto& [target, module, update] : updates) {
    put_object(folder, module + "-update.o", write_object(update.object));
    write_file(folder / (module + "-init.c"),
               read_text(folder / "update.c") + import_namespaces(update.object, tables));
    text += fmt::format("obj-m += {0}.o\n{0}-y := {0}-init.o {0}-update.o\n", module);
  }
  write_file(folder / "Kbuild", text);
  // The core's WARN_ONs name their files: not by where they happened to be compiled.
  goals.push_back(without_debug(kbuild) + " -fmacro-prefix-map=" + folder.string() + "/=");
  std::string symvers;
  for (const fs::path& table : extra) symvers += " " + table.string();
  if (!symvers.empty()) goals.push_back("KBUILD_EXTRA_SYMBOLS=" + symvers.substr(1));
  goals.push_back("modules");
  built.core = cached ? core_entry / "ksplice.ko" : folder / "ksplice.ko";
  Making making{kbuild, folder, {}, files_of(folder), core_entry / "steps"};
  for (const TargetUpdate& update : updates) {
    making.modules.push_back(update.module);
    built.updates[update.target] = folder / (update.module + ".ko");
  }
  // kbuild makes many at the same time.
  with_steps = with_steps && cached && extra.size() == 1 && updates.size() <= Few;
  if (const auto said = with_steps ? make_by_steps(making) : std::nullopt) {
    built.warnings = find_warnings(*said);
    return built;
  }
  MakeResult run = run_make(kbuild, goals);
  const bool complete = run.status == 0 && fs::exists(built.core) &&
                        std::ranges::all_of(built.updates, [](const auto& update) {
                          return fs::exists(update.second);
                        });
  if (const std::vector<Refusal> missing = find_undefined(run.output); !missing.empty())
    throw Refused(missing);
  if (!complete)
    throw Error("module_failed", fmt::format("kbuild cannot make the update's modules:\n{}",
                                             without_chatter(run.output)));
  built.warnings = find_warnings(run.output);
  if (!cached) store_core(folder, core_entry);
  if (with_steps) keep_steps(making, built.warnings);
  return built;
}

}  // namespace ksplice
