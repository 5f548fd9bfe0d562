// The table below names the programs of x86 that the kernel's build makes beside the kernel, each
// with what its Makefile calls the objects. make is given one rule for each (--eval reaches the
// makes below, too), so they are compiled with the flags and in the way of their own folders; what
// needs a finished kernel in between (the addresses that the boot code is told) gets made-up ones.
//
// Objects are compared without debug information, bit by bit, so a moved line does not count, and
// everything else does: a difference that is none costs a refusal, never a wrong update.

#include "create/outside.h"

#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <sstream>

#include "objdiff/base/file.h"
#include "objdiff/base/process.h"

namespace ksplice {

namespace fs = std::filesystem;

namespace {

constexpr OutsideProgram Programs[] = {
    {"arch/x86/entry/vdso", "arch/x86/entry/vdso/", "the vdso, which processes have mapped",
     "$(obj)/vdso64.so.dbg $(if $(CONFIG_IA32_EMULATION),$(obj)/vdso32.so.dbg) "
     "$(if $(CONFIG_X86_X32_ABI),$(obj)/vdsox32.so.dbg)",
     "$(vobjs) $(if $(CONFIG_IA32_EMULATION),$(vobjs32)) $(obj)/vdso.lds", false, false},
    {"arch/x86/boot", "arch/x86/boot/", "the code that the boot loader starts", "$(SETUP_OBJS)",
     "$(SETUP_OBJS)", true, true},
    {"arch/x86/boot/compressed", "arch/x86/boot/", "the code that unpacks the kernel",
     "$(filter-out %/piggy.o,$(vmlinux-objs-y))", "$(filter-out %/piggy.o,$(vmlinux-objs-y))", true,
     true},
    {"arch/x86/realmode/rm", "arch/x86/realmode/rm/", "the code that starts other processors",
     "$(REALMODE_OBJS)", "$(REALMODE_OBJS)", false, false},
    {"arch/x86/purgatory", "arch/x86/purgatory/", "the code that runs between two kernels",
     "$(if $(CONFIG_KEXEC_FILE),$(PURGATORY_OBJS))", "$(if $(CONFIG_KEXEC_FILE),$(PURGATORY_OBJS))",
     false, false},
    {"drivers/firmware/efi/libstub", "drivers/firmware/efi/libstub/",
     "the code that the firmware starts", "$(if $(CONFIG_EFI_STUB),$(lib-y))",
     "$(if $(CONFIG_EFI_STUB),$(lib-y))", false, true},
    {"arch/x86/kernel", "arch/x86/kernel/vmlinux.lds.S", "the kernel's layout",
     "$(obj)/vmlinux.lds", "$(obj)/vmlinux.lds", false, false},
};

constexpr const char* LeaveOutInit = "--leave-out-init";

// What the boot code is told of a finished kernel, and of the packed one, here without meaning.
constexpr const char* KernelAddresses[] = {"_text", "__start_rodata", "__bss_start", "_end"};
constexpr const char* PackedAddresses[] = {"startup_32",
                                           "efi32_stub_entry",
                                           "efi64_stub_entry",
                                           "efi32_pe_entry",
                                           "efi_pe_entry",
                                           "input_data",
                                           "kernel_info",
                                           "_end",
                                           "_ehead",
                                           "_text",
                                           "_edata",
                                           "_data",
                                           "z_input_len",
                                           "z_output_len",
                                           "z_min_kernel_align"};

void write_addresses(const fs::path& obj) {
  std::string kernel, packed;
  for (const char* name : KernelAddresses)
    kernel += fmt::format("#define VO_{} _AC(0x1000000,UL)\n", name);
  for (const char* name : PackedAddresses)
    packed += fmt::format("#define ZO_{} {}\n", name,
                          std::string_view(name) == "efi64_stub_entry" ? "0x1200" : "0x1000");
  fs::path boot = obj / "arch/x86/boot", version = obj / "include/generated/utsversion.h";
  fs::create_directories(boot);
  if (!fs::exists(version)) write_file(version, "#define UTS_VERSION \"\"\n");
  write_file(boot / "voffset.h", kernel);
  write_file(boot / "zoffset.h", packed);
}

// What boot code includes of it: names of features, lengths of instructions.
constexpr const char* TableRule =
    "$(MAKE) -f $(srctree)/scripts/Makefile.build obj=arch/x86/lib arch/x86/lib/inat-tables.c && "
    "$(MAKE) -f $(srctree)/scripts/Makefile.build obj=arch/x86/kernel/cpu "
    "arch/x86/kernel/cpu/capflags.c";

// The rules that build program number i and say what it consists of.
std::vector<std::string> rules_for(const OutsideProgram& program, size_t i) {
  std::string make = "$(MAKE) -f $(srctree)/scripts/Makefile.build";
  return {fmt::format("--eval=ksplice-outside-{}: ; {} obj={} ksplice-parts-{}", i, make,
                      program.folder, i),
          fmt::format("--eval=ksplice-parts-{}: ; {} obj=$(obj) -o $(obj)/zoffset.h "
                      "-o $(obj)/../voffset.h {} && :$(foreach p,{},&& echo ksplice-part $(p))",
                      i, make, program.goals, program.parts)};
}

// The kernel's own flags: an update's sections of their own are not for these programs.
Kbuild without_sections(Kbuild kbuild) {
  for (std::string& word : kbuild.words)
    for (std::string flag : {"-ffunction-sections", "-fdata-sections"})
      if (size_t at = word.find(flag); word.starts_with("KCFLAGS=") && at != word.npos)
        word.erase(at, flag.size());
  return kbuild;
}

std::string run_tool(const std::vector<std::string>& argv) {
  CommandOptions options;
  options.env = {{"LC_ALL", "C"}};
  CommandResult run = run_command(argv, options);
  if (run.status != 0)
    throw Error("failed", fmt::format("{} failed: {}", fmt::join(argv, " "), run.output));
  return run.output;
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

std::string trimmed(const std::string& text) {
  size_t begin = text.find_first_not_of(" \t");
  return begin == text.npos ? "" : text.substr(begin, text.find_last_not_of(" \t\r\n") + 1 - begin);
}

// Without addresses, which move, and the lines that name the file.
std::vector<std::string> disassembly(const fs::path& object) {
  std::vector<std::string> lines = lines_of(
      run_tool({"objdump", "-drw", "--no-show-raw-insn", "--no-addresses", object.string()}));
  lines.erase(lines.begin(), lines.begin() + std::min<long>(2, static_cast<long>(lines.size())));
  return lines;
}

bool may_be_source(const OutsideProgram& program, const std::string& makefile,
                   const std::string& path) {
  if (path.starts_with(program.sources)) return true;
  if (!path.ends_with(".c") && !path.ends_with(".S")) return false;
  // Sources of other folders that it has objects of its own from: lib/ctype.c as lib-ctype.o.
  std::string name = path.substr(path.rfind('/') + 1);
  std::string object = name.substr(0, name.size() - 2) + ".o";
  return makefile.find(path) != makefile.npos ||
         (path == "lib/" + name && makefile.find(object) != makefile.npos);
}

}  // namespace

std::vector<const OutsideProgram*> find_outside(const fs::path& tree,
                                                const std::vector<std::string>& changed,
                                                const std::set<std::string>& readers) {
  std::vector<const OutsideProgram*> found;
  for (const OutsideProgram& program : Programs) {
    fs::path file = tree / program.folder / "Makefile";
    if (!fs::exists(file)) continue;
    std::string text = read_text(file);
    auto reads = [&](const std::string& path) { return may_be_source(program, text, path); };
    if (std::any_of(changed.begin(), changed.end(), reads) ||
        std::any_of(readers.begin(), readers.end(), reads))
      found.push_back(&program);
  }
  return found;
}

bool is_outside(const std::string& path) {
  return std::any_of(std::begin(Programs), std::end(Programs),
                     [&](const OutsideProgram& each) { return path.starts_with(each.sources); });
}

std::string object_difference(const fs::path& pre, const fs::path& post) {
  if (read_file(pre) == read_file(post)) return "";
  TempDir folder;
  fs::path a = folder.path() / "pre.o", b = folder.path() / "post.o";
  run_tool({"objcopy", "--strip-debug", pre.string(), a.string()});
  run_tool({"objcopy", "--strip-debug", post.string(), b.string()});
  if (read_file(a) == read_file(b)) return "";
  std::vector<std::string> was = disassembly(a), now = disassembly(b);
  std::string function;
  for (size_t i = 0; i < std::min(was.size(), now.size()); ++i) {
    if (now[i].ends_with(">:"))
      function = now[i].substr(now[i].find('<'), now[i].size() - 1 - now[i].find('<'));
    if (was[i] != now[i])
      return fmt::format("at {}: {}, was {}", function, trimmed(now[i]), trimmed(was[i]));
  }
  return was == now ? "in its data or symbols" : fmt::format("at the end of {}", function);
}

std::string text_difference(const std::string& pre, const std::string& post) {
  auto statements = [](const std::string& text) {
    std::set<std::string> result;
    for (const std::string& line : lines_of(text)) {
      std::string kept = trimmed(line.substr(0, line.find("/*")));
      if (!kept.empty()) result.insert(kept);
    }
    return result;
  };
  std::set<std::string> was = statements(pre), now = statements(post);
  std::vector<std::string> changes;
  for (const std::string& line : was)
    if (!now.contains(line)) changes.push_back("-" + line);
  for (const std::string& line : now)
    if (!was.contains(line)) changes.push_back("+" + line);
  constexpr size_t Most = 12;
  if (changes.size() > Most) changes.resize(Most);
  return fmt::format("{}", fmt::join(changes, "\n"));
}

Refusal refuse_outside(const std::string& code, const std::string& thing,
                       const std::string& message, const std::vector<std::string>& changed) {
  Refusal refusal;
  refusal.code = code;
  refusal.object = thing;
  refusal.message = changed.empty()
                        ? message
                        : fmt::format("{}, which reads {}", message, fmt::join(changed, ", "));
  refusal.advice =
      "write the fix so that only C code of the kernel proper changes: leave the shared file as it "
      "is, and change its users in C";
  return refusal;
}

std::vector<std::string> leave_out_boot_code(std::vector<Refusal>& refusals) {
  std::vector<std::string> notes;
  std::erase_if(refusals, [&](const Refusal& refusal) {
    if (refusal.option != LeaveOutInit) return false;
    notes.push_back("left out, as it has run already: " + refusal.message);
    return true;
  });
  return notes;
}

Outside::Outside(Overlay& overlay, const Kbuild& kbuild,
                 std::vector<const OutsideProgram*> programs,
                 const std::vector<FileChange>& changes)
    : overlay_(overlay), kbuild_(kbuild), programs_(std::move(programs)), changes_(changes) {}

std::string Outside::names() const {
  std::vector<std::string> folders;
  for (const OutsideProgram* program : programs_) folders.push_back(program->folder);
  return fmt::format("{}", fmt::join(folders, ", "));
}

MakeResult Outside::build(std::vector<std::string>& parts) const {
  if (programs_.empty()) return {};
  bool tables = std::any_of(programs_.begin(), programs_.end(),
                            [](const OutsideProgram* program) { return program->reads_tables; });
  MakeResult prepared = run_make(kbuild_, {"prepare0"});
  if (prepared.status == 0 && tables)
    prepared =
        run_make(kbuild_, {std::string("--eval=ksplice-tables: ; ") + TableRule, "ksplice-tables"});
  if (prepared.status != 0) return prepared;
  write_addresses(kbuild_.obj);
  std::vector<std::string> goals = {"-k"};
  for (size_t i = 0; i < programs_.size(); ++i) {
    for (std::string& rule : rules_for(*programs_[i], i)) goals.push_back(std::move(rule));
    goals.push_back(fmt::format("ksplice-outside-{}", i));
  }
  MakeResult run = run_make(without_sections(kbuild_), goals);
  for (const std::string& line : lines_of(run.output))
    if (line.starts_with("ksplice-part ")) parts.push_back(line.substr(13));
  return run;
}

// The headers that the preparation makes, beside those that say when it was.
std::map<std::string, std::string> Outside::generated_texts() const {
  std::map<std::string, std::string> texts;
  for (const char* folder : {"include/generated", "arch/x86/include/generated"}) {
    if (!fs::exists(kbuild_.obj / folder)) continue;
    for (const auto& entry : fs::recursive_directory_iterator(kbuild_.obj / folder)) {
      std::string name = entry.path().filename().string();
      if (!entry.is_regular_file() || !name.ends_with(".h")) continue;
      if (name == "compile.h" || name == "utsversion.h") continue;
      texts[entry.path().lexically_relative(kbuild_.obj).string()] = read_text(entry.path());
    }
  }
  return texts;
}

// Of what was built, that which reads the change. What the patch adds may be read in the place of
// another file, which make does not know: then everything is, and is made anew.
void Outside::build_pre() {
  texts_ = generated_texts();
  std::vector<std::string> names;
  MakeResult run = build(names);
  if (run.status != 0 || (names.empty() && !programs_.empty()))
    throw Error("pre_build_failed",
                fmt::format("what the kernel's build makes beside the kernel does not compile even "
                            "without the patch:\n{}",
                            without_chatter(run.output)),
                "is SOURCE the complete source of this kernel?");
  bool adds = std::any_of(changes_.begin(), changes_.end(), [](const FileChange& change) {
    return change.kind == ChangeKind::Added || change.kind == ChangeKind::Renamed;
  });
  std::vector<const OutsideProgram*> concerned;
  for (const std::string& name : names) {
    if (!adds && changes_in(name).empty()) continue;
    const OutsideProgram* owner = owner_of(name);
    if (std::count(concerned.begin(), concerned.end(), owner) == 0) concerned.push_back(owner);
    fs::path kept = overlay_.work("2-pre-outside") / flat_name(name);
    fs::copy_file(kbuild_.obj / name, kept, fs::copy_options::overwrite_existing);
    parts_[name] = {kept, owner};
    if (adds) fs::remove(kbuild_.obj / name);
  }
  programs_ = concerned;
}

// The program in whose folder a part is; folders may lie in each other.
const OutsideProgram* Outside::owner_of(const std::string& part) const {
  const OutsideProgram* owner = nullptr;
  for (const OutsideProgram* program : programs_) {
    std::string_view folder = program->folder;
    if (part.starts_with(std::string(folder) + "/") &&
        (owner == nullptr || folder.size() > std::string_view(owner->folder).size()))
      owner = program;
  }
  if (owner == nullptr) throw Error("internal", "no program has the part " + part);
  return owner;
}

std::vector<std::string> Outside::changes_in(const std::string& part) const {
  std::vector<std::string> changed;
  fs::path object = kbuild_.obj / part;
  fs::path cmd = object.parent_path() / ("." + object.filename().string() + ".cmd");
  if (part.ends_with(".stub.o"))
    cmd =
        object.parent_path() /
        ("." + fs::path(part).filename().replace_extension().replace_extension(".o.cmd").string());
  if (!fs::exists(cmd)) return changed;
  std::string text = read_text(cmd);
  for (const FileChange& change : changes_)
    if (text.find("../" + change.path + " ") != text.npos ||
        text.find("../" + change.path + "\n") != text.npos)
      changed.push_back(change.path);
  return changed;
}

void Outside::compare_generated(std::vector<Refusal>& refusals) const {
  std::map<std::string, std::string> now = generated_texts();
  for (const auto& [path, text] : texts_) {
    auto other = now.find(path);
    std::string difference = text_difference(text, other == now.end() ? "" : other->second);
    if (difference.empty()) continue;
    refusals.push_back(refuse_outside(
        "unsupported_file", path,
        fmt::format("{}, which the kernel's build makes for assembly and others, changes", path),
        {}));
    refusals.back().found = difference;
  }
}

void Outside::compare_parts(std::vector<Refusal>& refusals) const {
  for (const auto& [name, part] : parts_) {
    fs::path object = kbuild_.obj / name;
    bool script = name.ends_with(".lds");
    std::string difference = !fs::exists(object) ? "it is not made any more"
                             : script ? text_difference(read_text(part.kept), read_text(object))
                                      : object_difference(part.kept, object);
    if (difference.empty()) continue;
    refusals.push_back(refuse_outside(
        "unsupported_file", name,
        fmt::format("the patch changes {} of {}", name, part.program->what), changes_in(name)));
    refusals.back().found = difference;
    if (!part.program->has_run) continue;
    refusals.back().option = LeaveOutInit;
    refusals.back().advice +=
        fmt::format("; or, if the rest of the patch does not need it, use {}", LeaveOutInit);
  }
}

std::vector<Refusal> Outside::build_post() {
  std::vector<Refusal> refusals;
  std::vector<std::string> names;
  MakeResult run = build(names);
  if (run.status != 0)
    throw Error("compile_failed",
                fmt::format("what the kernel's build makes beside the kernel does not compile with "
                            "the patch:\n{}",
                            without_chatter(run.output)),
                "without the patch it does");
  compare_generated(refusals);
  compare_parts(refusals);
  return refusals;
}

}  // namespace ksplice
