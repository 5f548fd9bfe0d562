#include "apply/host.h"

#include <elf.h>
#include <fmt/core.h>
#include <sys/utsname.h>

#include <algorithm>
#include <charconv>
#include <set>

#include "objdiff/base/bytes.h"
#include "objdiff/base/error.h"
#include "objdiff/base/file.h"

namespace ksplice {

namespace {

constexpr const char* HiddenHint =
    "run as root; if it still fails, allow it with: sysctl kernel.kptr_restrict=1";

std::optional<uint64_t> parse_hex(std::string_view text) {
  if (text.substr(0, 2) == "0x") text.remove_prefix(2);
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.remove_suffix(1);
  uint64_t value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, 16);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::string trimmed(std::string text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
  return text;
}

std::string read_if_there(const std::filesystem::path& path) {
  std::error_code ignored;
  if (!std::filesystem::exists(path, ignored)) return "";
  return read_text(path);
}

}  // namespace

std::optional<Kallsym> next_symbol(std::string_view& text) {
  while (!text.empty()) {
    size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    size_t space = line.find(' ');
    if (space == std::string_view::npos || line.size() < space + 4) continue;
    Kallsym symbol;
    std::optional<uint64_t> addr = parse_hex(line.substr(0, space));
    if (!addr) continue;
    symbol.addr = *addr;
    symbol.type = line[space + 1];
    std::string_view rest = line.substr(space + 3);
    size_t name_end = std::min(rest.find_first_of("\t "), rest.size());
    symbol.name = rest.substr(0, name_end);
    size_t open = rest.find('[');
    if (open != std::string_view::npos)
      symbol.module = rest.substr(open + 1, rest.find(']') - open - 1);
    return symbol;
  }
  return std::nullopt;
}

std::string build_id_of_notes(const std::vector<uint8_t>& notes, const std::string& name) {
  Bytes bytes(notes, name);
  auto padded = [](uint64_t size) { return (size + 3) / 4 * 4; };
  for (uint64_t at = 0; at + sizeof(Elf64_Nhdr) <= bytes.size();) {
    Elf64_Nhdr note = bytes.read<Elf64_Nhdr>(at);
    uint64_t owner = at + sizeof note;
    uint64_t content = owner + padded(note.n_namesz);
    if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == 4 &&
        bytes.c_string(owner) == ELF_NOTE_GNU) {
      Bytes id = bytes.slice(content, note.n_descsz);
      std::string hex;
      for (uint8_t byte : id.span()) hex += fmt::format("{:02x}", byte);
      return hex;
    }
    at = content + padded(note.n_descsz);
  }
  return "";
}

std::string Host::release() const {
  // The file has what uname says, and a test can have one of its own.
  std::string text = trimmed(read_if_there(path("/proc/sys/kernel/osrelease")));
  if (!text.empty()) return text;
  struct utsname name = {};
  if (::uname(&name) != 0) throw Error("failed", "the kernel does not tell its release");
  return name.release;
}

std::string Host::build_id() const {
  std::filesystem::path file = path("/sys/kernel/notes");
  std::string id = build_id_of_notes(read_file(file), file.string());
  if (id.empty())
    throw Error("failed", fmt::format("{} has no build id of the running kernel", file.string()),
                "an update is made for one build of the kernel and needs its build id");
  return id;
}

bool Host::is_module_loaded(const std::string& name) const {
  // Modules that are built in and have parameters are there too, but only loaded ones have a state.
  std::error_code ignored;
  return std::filesystem::exists(path("/sys/module/" + name + "/initstate"), ignored);
}

bool Host::is_module_live(const std::string& name) const {
  return trimmed(read_if_there(path("/sys/module/" + name + "/initstate"))) == "live";
}

bool Host::is_module_coming(const std::string& name) const {
  return trimmed(read_if_there(path("/sys/module/" + name + "/initstate"))) == "coming";
}

std::string Host::module_build_id(const std::string& name) const {
  std::filesystem::path file = path("/sys/module/" + name + "/notes/.note.gnu.build-id");
  std::error_code ignored;
  if (!std::filesystem::exists(file, ignored)) return "";
  return build_id_of_notes(read_file(file), file.string());
}

std::vector<std::string> Host::module_users(const std::string& name) const {
  std::vector<std::string> users;
  std::error_code error;
  for (const auto& entry :
       std::filesystem::directory_iterator(path("/sys/module/" + name + "/holders"), error))
    users.push_back(entry.path().filename());
  std::sort(users.begin(), users.end());
  return users;
}

std::string Host::loading_obstacle() const {
  std::string lockdown = read_if_there(path("/sys/kernel/security/lockdown"));
  size_t open = lockdown.find('[');
  if (open != std::string::npos) {
    std::string mode = lockdown.substr(open + 1, lockdown.find(']', open) - open - 1);
    if (mode != "none")
      return fmt::format("the kernel is locked down ({}) and loads only signed modules", mode);
  }
  std::string enforce = read_if_there(path("/sys/module/module/parameters/sig_enforce"));
  if (!enforce.empty() && enforce[0] == 'Y')
    return "the kernel loads only signed modules (module.sig_enforce)";
  std::string disabled = read_if_there(path("/proc/sys/kernel/modules_disabled"));
  if (!disabled.empty() && disabled[0] == '1')
    return "loading modules is switched off until the next boot (kernel.modules_disabled)";
  return "";
}

uint64_t Host::address(const RunLocation& location) const {
  uint64_t offset = static_cast<uint64_t>(location.offset);
  if (!location.import.empty()) return import_address(location.import) + offset;
  if (!location.symbol.empty()) return symbol_address(location.target, location.symbol) + offset;
  if (location.target != "vmlinux")
    return section_address(location.target, location.section) + offset;
  return location.percpu ? offset : text_address() + offset;
}

void Host::read_kallsyms() const {
  if (kallsyms_.empty()) kallsyms_ = read_text(path("/proc/kallsyms"));
}

uint64_t Host::text_address() const {
  if (text_) return *text_;
  read_kallsyms();
  std::string_view rest = kallsyms_;
  while (std::optional<Kallsym> symbol = next_symbol(rest)) {
    if (symbol->name != "_text" || !symbol->module.empty()) continue;
    if (symbol->addr == 0)
      throw Error("failed_to_find", "the kernel hides its addresses: _text is 0 in /proc/kallsyms",
                  HiddenHint);
    text_ = symbol->addr;
    return *text_;
  }
  throw Error("failed_to_find", "_text is not in /proc/kallsyms");
}

uint64_t Host::section_address(const std::string& module, const std::string& section) const {
  auto known = sections_.find({module, section});
  if (known != sections_.end()) return known->second;
  if (!is_module_loaded(module))
    throw Error("target_not_loaded", fmt::format("module {} is not loaded", module),
                fmt::format("load it first: modprobe {}", module));
  if (section.empty() || section.find('/') != std::string::npos)
    throw Error("failed_to_find", fmt::format("module {}: no section \"{}\"", module, section));
  std::filesystem::path file = path("/sys/module/" + module + "/sections/" + section);
  std::error_code ignored;
  if (!std::filesystem::exists(file, ignored))
    throw Error(
        "failed_to_find",
        fmt::format("the kernel does not tell where section {} of module {} is", section, module));
  std::optional<uint64_t> addr = parse_hex(read_text(file));
  if (!addr || *addr == 0)
    throw Error("failed_to_find",
                fmt::format("the kernel hides where section {} of module {} is", section, module),
                HiddenHint);
  return sections_[{module, section}] = *addr;
}

// Exports are not marked in kallsyms as such. An exported symbol has a companion __ksymtab_NAME of
// the same owner; where the companions are not listed, only one global symbol of that name may
// exist.
uint64_t Host::import_address(const std::string& name) const {
  read_kallsyms();
  std::string_view rest = kallsyms_;
  if (symbols_.empty())
    while (std::optional<Kallsym> symbol = next_symbol(rest))
      symbols_.emplace(symbol->name, *symbol);
  std::map<std::string_view, std::set<uint64_t>> globals, locals;  // by owner
  std::set<std::string_view> exporters;
  auto [companion, companions_end] = symbols_.equal_range("__ksymtab_" + name);
  for (; companion != companions_end; ++companion) exporters.insert(companion->second.module);
  auto [it, end] = symbols_.equal_range(name);
  for (; it != end; ++it) {
    const Kallsym& symbol = it->second;
    bool is_global = symbol.type >= 'A' && symbol.type <= 'Z';
    (is_global ? globals : locals)[symbol.module].insert(symbol.addr);
  }
  // Weak symbols show as w although they are global.
  std::map<std::string_view, std::set<uint64_t>>& candidates = globals.empty() ? locals : globals;
  if (candidates.size() > 1)
    std::erase_if(candidates, [&](const auto& item) { return !exporters.contains(item.first); });
  if (candidates.size() != 1 || candidates.begin()->second.size() != 1)
    throw Error("failed_to_find",
                fmt::format("{} {} in /proc/kallsyms", name,
                            candidates.empty() ? "is not" : "is there more than once"));
  uint64_t addr = *candidates.begin()->second.begin();
  if (addr == 0)
    throw Error("failed_to_find",
                fmt::format("the kernel hides its addresses: {} is 0 in /proc/kallsyms", name),
                HiddenHint);
  return addr;
}

// What a module has once under that name. What was loaded since the list was read is not in it.
uint64_t Host::symbol_address(const std::string& module, const std::string& name) const {
  auto known = sections_.find({module, "symbol " + name});
  if (known != sections_.end()) return known->second;
  const std::string text = read_text(path("/proc/kallsyms"));
  std::string_view rest = text;
  std::set<uint64_t> found;
  while (std::optional<Kallsym> symbol = next_symbol(rest))
    if (symbol->module == module && symbol->name == name) found.insert(symbol->addr);
  if (found.size() != 1)
    throw Error("failed_to_find",
                fmt::format("{} of module {} {} in /proc/kallsyms", name, module,
                            found.empty() ? "is not" : "is there more than once"),
                found.empty() && is_module_loaded(module)
                    ? "the kernel lists the data of modules only with CONFIG_KALLSYMS_ALL"
                    : "");
  if (*found.begin() == 0)
    throw Error("failed_to_find",
                fmt::format("the kernel hides its addresses: {} is 0 in /proc/kallsyms", name),
                HiddenHint);
  return sections_[{module, "symbol " + name}] = *found.begin();
}

}  // namespace ksplice
