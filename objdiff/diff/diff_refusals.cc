#include "objdiff/diff/diff_refusals.h"

#include <elf.h>
#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <deque>
#include <map>
#include <set>
#include <string_view>
#include <tuple>

#include "objdiff/diff/diff_start.h"

namespace ksplice {

namespace {

bool has_prefix(std::string_view name, std::span<const std::string_view> prefixes) {
  return std::any_of(prefixes.begin(), prefixes.end(),
                     [&](std::string_view prefix) { return name.starts_with(prefix); });
}

bool is_percpu_section(const std::string& name) {
  return name.starts_with(".data..percpu") || name.starts_with(".bss..percpu");
}

bool is_read_only_after_init(const std::string& name) {
  return name.starts_with(".data..ro_after_init");
}

bool is_tracepoint_section(const std::string& name) {
  return name.starts_with("__tracepoints") || name == "_ftrace_events" ||
         name == "__bpf_raw_tp_map" || name == "_ftrace_eval_map";
}

// Sections that the update object knows what to do with, beside the tables of special_tables.h.
bool is_known_section(const Section& section) {
  using namespace std::string_view_literals;
  static constexpr std::array Known = {
      ".text"sv,
      ".data"sv,
      ".bss"sv,
      ".rodata"sv,
      ".init"sv,
      ".exit"sv,
      ".ref."sv,
      ".sbss"sv,
      ".sdata"sv,
      "__param"sv,
      "__modver"sv,
      "__tracepoint"sv,
      "_ftrace"sv,
      "__dyndbg"sv,
      ".ksplice.call_"sv,
      "alloc_tags"sv,
      ".codetag."sv,
      "__bpf_raw_tp_map"sv,
      "__syscalls_metadata"sv,
      "___srcu_struct_ptrs"sv,
      "__verbose"sv,
      ".kunit"sv,
      "__lockdep"sv,
  };
  return is_special_section(section) || is_table(section.name) || has_prefix(section.name, Known);
}

class Judge {
 public:
  explicit Judge(const DiffContext& context) : c_(context) {
    for (const FunctionDiff& function : c_.diff.functions)
      if (function.post != nullptr && function.status != DiffStatus::Same)
        included_.insert(c_.post.of(function.post));
    for (const DataDiff& data : c_.diff.data)
      if (data.post != nullptr && data.status == DiffStatus::Changed)
        changed_data_.insert(c_.post.of(data.post));
  }

  std::vector<Refusal> run() {
    for (const FunctionDiff& function : c_.diff.functions) judge_function(function);
    for (const DataDiff& data : c_.diff.data) judge_data(data);
    judge_initcalls();
    judge_exports();
    judge_types();
    judge_tables();
    judge_unknown_sections();
    judge_static_keys();
    for (Refusal& refusal : find_start_refusals(c_)) refusals_.push_back(std::move(refusal));
    judge_ambiguous();
    std::stable_sort(refusals_.begin(), refusals_.end(), [](const Refusal& a, const Refusal& b) {
      return std::tie(a.code, a.section, a.symbol, a.offset) <
             std::tie(b.code, b.section, b.symbol, b.offset);
    });
    return std::move(refusals_);
  }

 private:
  Refusal& refuse(std::string code, std::string section, std::string symbol, std::string message,
                  std::string advice) {
    Refusal& refusal = refusals_.emplace_back();
    refusal.code = std::move(code);
    refusal.object = c_.post.object().path;
    refusal.section = std::move(section);
    refusal.symbol = std::move(symbol);
    refusal.message = std::move(message);
    refusal.advice = std::move(advice);
    return refusal;
  }

  static const char* verb(DiffStatus status) {
    switch (status) {
      case DiffStatus::New:
        return "is new";
      case DiffStatus::Removed:
        return "is gone";
      default:
        return "changed";
    }
  }

  void judge_function(const FunctionDiff& function) {
    if (function.status == DiffStatus::Same) return;
    if (is_init_section(function.section)) {
      Refusal& refusal = refuse(
          "init_changed", function.section, function.name,
          fmt::format("{} is in {}, which runs only at start or exit, and {}", function.name,
                      function.section, verb(function.status)),
          "leave it out of the patch, and do what it would have done in a ksplice_apply hook");
      if (!function.reasons.empty()) {
        refusal.offset = function.reasons.front().offset;
        refusal.found = function.reasons.front().detail;
      }
      return;
    }
    if (function.status != DiffStatus::Changed) return;
    const Atom* pre = c_.pre.of(function.pre);
    const uint64_t offset = function.reasons.empty() ? 0 : function.reasons.front().offset;
    if (is_assembly(c_.post.object(), c_.post_debug)) {
      refuse("assembly", function.section, function.name,
             fmt::format("{} is written in assembly; it has no ftrace site and no known frame",
                         function.name),
             "patch the C functions that call it instead")
          .offset = offset;
      return;
    }
    const std::string parent = fragment_parent(function.name);
    if (!parent.empty() && c_.post.object().find_symbol(parent) != nullptr) return;
    if (c_.pre_tables.has_ftrace_site(*pre)) return;
    const std::vector<std::string> callers = patchable_callers(*pre);
    Refusal& refusal = refuse(
        "no_ftrace_site", function.section, function.name,
        fmt::format("{} has no ftrace site (notrace, noinstr, or too small), so it cannot be "
                    "redirected",
                    function.name),
        callers.empty()
            ? "nothing in this unit that calls it can be redirected either; patch its callers in "
              "other units"
            : fmt::format("put the new code into a function of another name and patch its "
                          "callers to call that: {}",
                          fmt::join(callers, ", ")));
    refusal.offset = offset;
    refusal.expected = "call __fentry__ at its entry";
  }

  // The nearest functions up the call graph of pre that can be redirected.
  std::vector<std::string> patchable_callers(const Atom& target) {
    if (callers_.empty()) {
      for (const Atom& atom : c_.pre.all()) {
        if (!atom.is_function()) continue;
        for (const Relocation* relocation : c_.pre.relocations(atom)) {
          const Reference reference = c_.pre.resolve(*atom.section, *relocation);
          if (reference.atom != nullptr && reference.atom->is_function() && reference.atom != &atom)
            callers_[reference.atom].insert(&atom);
        }
      }
    }
    std::vector<std::string> found;
    std::set<const Atom*> seen = {&target};
    std::deque<const Atom*> queue = {&target};
    while (!queue.empty()) {
      const Atom* callee = queue.front();
      queue.pop_front();
      for (const Atom* caller : callers_[callee]) {
        if (!seen.insert(caller).second || is_init_section(caller->section->name)) continue;
        if (c_.pre_tables.has_ftrace_site(*caller))
          found.push_back(caller->name);
        else
          queue.push_back(caller);
      }
    }
    std::sort(found.begin(), found.end());
    if (found.size() > 8) found.resize(8);
    return found;
  }

  void judge_data(const DataDiff& data) {
    if (data.status == DiffStatus::Same) {
      judge_moved(data);
      return;
    }
    if (is_init_section(data.section)) {
      refuse("init_changed", data.section, data.name,
             fmt::format("{} is in {}, which is only used at start, and {}", data.name,
                         data.section, verb(data.status)),
             "leave it out of the patch; what it sets up exists already");
      return;
    }
    if (is_tracepoint_section(data.section) && data.status != DiffStatus::Removed) {
      refuse("tracepoint_changed", data.section, data.name,
             fmt::format("{} in {} {}; tracepoints are registered once, at start", data.name,
                         data.section, verb(data.status)),
             "leave tracepoints out of the patch");
      return;
    }
    if (data.status != DiffStatus::Changed) return;
    const Atom& pre = *c_.pre.of(data.pre);
    const Atom& post = *c_.post.of(data.post);
    const uint64_t offset = data.offset;
    if (pre.size != post.size && !is_private_constant(pre, post)) {
      Refusal& refusal =
          refuse("data_resized", data.section, data.name,
                 fmt::format("{} exists in the running kernel with {} bytes and has {} now",
                             data.name, pre.size, post.size),
                 "keep its size; put what is new into an object of its own or a shadow variable");
      refusal.expected = fmt::format("{} bytes", pre.size);
      refusal.found = fmt::format("{} bytes", post.size);
      return;
    }
    if (is_private_constant(pre, post)) return;
    const bool code_pointers = refers_to_code(c_.pre, pre) || refers_to_code(c_.post, post);
    std::string what = post.section->is_write() ? "the initial value of existing writable data"
                       : code_pointers          ? "a table of pointers that live objects point to"
                                       : "read-only data that other data or units refer to";
    Refusal& refusal = refuse(
        "data_changed", data.section, data.name,
        fmt::format("{}{} changed at offset {:#x}: {}", data.name,
                    c_.post_debug.member_at(plain_name(data.name), offset), offset, what),
        code_pointers
            ? "keep the table and change the functions it names, or change it in a "
              "ksplice_apply hook and restore it in ksplice_reverse"
            : "set the new value in a ksplice_apply hook, under the lock that guards it, and the "
              "old one in ksplice_reverse");
    refusal.offset = offset;
    refusal.expected = value_text(c_.pre, pre, offset);
    refusal.found = value_text(c_.post, post, offset);
  }

  void judge_moved(const DataDiff& data) {
    const Atom& pre = *c_.pre.of(data.pre);
    const Atom& post = *c_.post.of(data.post);
    const std::string &from = pre.section->name, &to = post.section->name;
    if (is_percpu_section(from) == is_percpu_section(to) &&
        is_init_section(from) == is_init_section(to))
      return;
    refuse(
        "data_moved", to, data.name,
        fmt::format("{} was in {} and is in {} now: another class of memory", data.name, from, to),
        "keep the variable as it is and add a new one beside it")
        .expected = from;
  }

  // What a datum holds at offset: the symbol that it points to, or up to eight bytes.
  static std::string value_text(const Atoms& atoms, const Atom& atom, uint64_t offset) {
    for (const Relocation* relocation : atoms.relocations(atom)) {
      const uint64_t at = relocation->offset - atom.offset;
      if (at > offset || offset >= at + std::max(reloc_size(relocation->type), 1U)) continue;
      const Reference reference = atoms.resolve(*atom.section, *relocation);
      std::string text = "address of " + (reference.atom != nullptr     ? reference.atom->name
                                          : reference.symbol != nullptr ? reference.symbol->name
                                                                        : "nothing");
      return reference.offset == 0 ? text : fmt::format("{}{:+#x}", text, reference.offset);
    }
    if (atom.section->data.size() < atom.end()) return "zeros";
    std::string text;
    for (uint64_t i = offset; i < std::min(offset + 8, atom.size); ++i)
      text += fmt::format("{}{:02x}", text.empty() ? "" : " ", atom.section->data[atom.offset + i]);
    return text;
  }

  // Whether new code may bring its own copy: local, read-only, without code pointers, and named by
  // nothing but code (or by other constants that come along).
  bool is_private_constant(const Atom& pre, const Atom& post) {
    if (pre.symbol->bind != STB_LOCAL || post.symbol->bind != STB_LOCAL) return false;
    for (const Atom* atom : {&pre, &post}) {
      const std::string& name = atom->section->name;
      if (atom->section->is_write() && !name.starts_with(".data.rel.ro")) return false;
      if (!name.starts_with(".rodata") && !name.starts_with(".data.rel.ro")) return false;
    }
    if (refers_to_code(c_.pre, pre) || refers_to_code(c_.post, post)) return false;
    for (const Atom& user : c_.post.all()) {
      if (user.kind != AtomKind::Data && user.kind != AtomKind::Anonymous) continue;
      if (changed_data_.contains(&user) && !user.section->is_write()) continue;
      const Atom* user_pre = c_.correlation.pre(&user);
      if (user.kind == AtomKind::Data && user_pre == nullptr) continue;  // new
      for (const Relocation* relocation : c_.post.relocations(user))
        if (c_.post.resolve(*user.section, *relocation).atom == &post) return false;
    }
    return true;
  }

  // What runs at which point of the start.
  void judge_initcalls() {
    auto list = [](const Atoms& atoms) {
      std::multiset<std::pair<std::string, std::string>> calls;
      for (const auto& section : atoms.object().sections) {
        if (!section->name.starts_with(".initcall") && !section->name.starts_with(".con_initcall"))
          continue;
        for (const Relocation& relocation : section->relocations) {
          const Reference reference = atoms.resolve(*section, relocation);
          if (reference.atom != nullptr)
            calls.emplace(section->name, plain_name(reference.atom->name));
        }
      }
      return calls;
    };
    const auto pre = list(c_.pre), post = list(c_.post);
    for (const auto& [section, name] : post)
      if (!pre.contains({section, name}))
        refuse("init_changed", section, name,
               fmt::format("{} became an initcall of {}; these have run already", name, section),
               "call what is needed from a ksplice_apply hook");
    for (const auto& [section, name] : pre)
      if (!post.contains({section, name}))
        refuse("init_changed", section, name,
               fmt::format("{} is no longer an initcall of {}, but has run already", name, section),
               "undo what it did in a ksplice_apply hook");
  }

  static std::map<std::string, std::string> exports(const Object& object) {
    std::map<std::string, std::string> result;  // name -> kind
    for (const auto& section : object.sections)
      for (std::string_view head : {"___ksymtab+", "___ksymtab_gpl+"})
        if (section->name.starts_with(head))
          result[section->name.substr(head.size())] = head == "___ksymtab+" ? "any" : "gpl";
    for (const auto& symbol : object.symbols) {
      if (symbol->section == nullptr) continue;
      const std::string_view name = symbol->name;
      if (name.starts_with("__export_symbol_")) {
        // { .asciz license; .asciz namespace; .balign 8; .quad symbol }, linux/export.h since 6.4
        const auto& data = symbol->section->data;
        const bool gpl = symbol->value + 3 <= data.size() &&
                         std::memcmp(data.data() + symbol->value, "GPL", 3) == 0;
        result[std::string(name.substr(16))] = gpl ? "gpl" : "any";
      } else if (name.starts_with("__ksymtab_") &&
                 symbol->section->name.find("ksymtab") != std::string::npos) {
        const bool gpl = symbol->section->name.find("_gpl") != std::string::npos;
        result[std::string(name.substr(10))] = gpl ? "gpl" : "any";
      }
    }
    return result;
  }

  static std::map<std::string, uint64_t> checksums(const Object& object) {
    std::map<std::string, uint64_t> result;
    for (const auto& symbol : object.symbols) {
      if (!symbol->name.starts_with("__crc_")) continue;
      const std::string name = symbol->name.substr(6);
      if (symbol->section != nullptr && symbol->value + 4 <= symbol->section->data.size()) {
        uint32_t value = 0;
        std::memcpy(&value, symbol->section->data.data() + symbol->value, 4);
        result[name] = value;
      } else if (symbol->shndx == SHN_ABS) {
        result[name] = symbol->value;
      }
    }
    return result;
  }

  void judge_exports() {
    const auto pre = exports(c_.pre.object()), post = exports(c_.post.object());
    const std::string advice =
        "leave exports as they are; new code of the update may call the function without one";
    for (const auto& [name, kind] : post) {
      auto old = pre.find(name);
      if (old == pre.end())
        refuse("export_added", "", name,
               fmt::format("{} is exported now; running modules cannot know it", name), advice);
      else if (old->second != kind)
        refuse("export_changed", "", name,
               fmt::format("{} was exported to {} modules, now to {}", name, old->second, kind),
               advice);
    }
    for (const auto& [name, kind] : pre)
      if (!post.contains(name))
        refuse("export_changed", "", name, fmt::format("{} is no longer exported", name), advice);
    const auto pre_sums = checksums(c_.pre.object()), post_sums = checksums(c_.post.object());
    for (const auto& [name, sum] : post_sums) {
      auto old = pre_sums.find(name);
      if (old == pre_sums.end() || old->second == sum) continue;
      Refusal& refusal = refuse(
          "export_changed", "", name,
          fmt::format("the CRC of export {} changed from {:#010x} to {:#010x}: its type, or one "
                      "that it uses, is another",
                      name, old->second, sum),
          "keep the types of exported functions and data as they are");
      refusal.expected = fmt::format("{:#010x}", old->second);
      refusal.found = fmt::format("{:#010x}", sum);
    }
  }

  static std::string describe(const TypeMember& member) {
    return fmt::format("{} at bit {} of {} bits, {}",
                       member.name.empty() ? "(unnamed)" : member.name, member.offset, member.size,
                       member.type);
  }

  void judge_types() {
    if (included_.empty() || !c_.pre_debug.present() || !c_.post_debug.present()) return;
    const auto &pre = c_.pre_debug.types(), &post = c_.post_debug.types();
    std::set<std::string> update;
    for (const FunctionDiff& function : c_.diff.functions)
      if (function.status != DiffStatus::Same) {
        update.insert(function.name);
        update.insert(function.name.substr(0, function.name.find('.')));
      }
    for (const auto& [name, layout] : post) {
      auto old = pre.find(name);
      if (old == pre.end()) continue;
      const std::string difference = layout_difference(old->second, layout);
      if (difference.empty()) continue;
      // Only on the stack, and everything that touches it is replaced together.
      if (c_.pre_debug.only_on_stack(name) && c_.post_debug.only_on_stack(name)) continue;
      const std::vector<std::string> users = c_.post_debug.users_of(name);
      Refusal& refusal =
          refuse("type_changed", "", name, fmt::format("{} changed: {}", name, difference),
                 "keep the layout that live objects have; attach new data with a shadow variable "
                 "(ksplice_shadow_get)");
      refusal.expected = fmt::format("{}:{}", old->second.file, old->second.line);
      refusal.found = fmt::format(
          "used by {}",
          fmt::join(users.begin(), users.begin() + std::min<size_t>(users.size(), 12), ", "));
    }
  }

  void judge_tables() {
    for (const Refusal& refusal : c_.post_tables.refusals())
      if (!included_.empty()) refusals_.push_back(refusal);
  }

  void judge_unknown_sections() {
    for (const auto& section : c_.post.object().sections) {
      if (!section->is_alloc() || section->is_exec() || is_known_section(*section)) continue;
      for (const Relocation& relocation : section->relocations) {
        const Reference reference = c_.post.resolve(*section, relocation);
        if (reference.atom == nullptr || !included_.contains(reference.atom)) continue;
        const Atom* holder = c_.post.at(section.get(), relocation.offset);
        const Atom* holder_pre = holder == nullptr ? nullptr : c_.correlation.pre(holder);
        // Existing data that names the function's entry is served by the redirection.
        if (holder_pre != nullptr && reference.offset == 0 && !changed_data_.contains(holder) &&
            c_.correlation.pre(reference.atom) != nullptr)
          continue;
        Refusal& refusal = refuse(
            "unknown_section", section->name,
            holder != nullptr && holder->symbol != nullptr ? holder->name : reference.atom->name,
            fmt::format("section {} refers to {}+{:#x} and its meaning is not known", section->name,
                        reference.atom->name, reference.offset),
            "leave what it registers out of the patch, or report the section");
        refusal.offset = holder != nullptr && holder->symbol != nullptr
                             ? relocation.offset - holder->offset
                             : static_cast<uint64_t>(std::max<int64_t>(reference.offset, 0));
        refusal.found = reference.atom->name;
        break;
      }
    }
  }

  // The loader links a module's users into the key; a key that is read-only by then faults.
  void judge_static_keys() {
    std::set<std::pair<const Atom*, const Atom*>> seen;
    for (const FunctionDiff& function : c_.diff.functions) {
      if (function.post == nullptr || function.status == DiffStatus::Same) continue;
      const Atom* atom = c_.post.of(function.post);
      for (const TableEntry& entry : c_.post_tables.of(atom)) {
        const bool jump = entry.section->name == "__jump_table";
        if (!jump && entry.section->name != ".static_call_sites") continue;
        for (const Relocation& relocation : entry.relocations()) {
          const Atom* key = c_.post.resolve(*entry.section, relocation).atom;
          if (key == nullptr || key->is_function() || !seen.emplace(atom, key).second) continue;
          const std::string& where = key->section->name;
          if (!is_read_only_after_init(where) && !is_init_section(where)) continue;
          if (c_.correlation.pre(key) == nullptr) continue;
          refuse(jump ? "static_key" : "static_call", where, key->name,
                 fmt::format("{} uses the static {} {}, which is in {} and cannot be linked to new "
                             "code",
                             function.name, jump ? "key" : "call", key->name, where),
                 jump ? "test it with static_key_enabled() in the patch"
                      : "call the function through static_call_query() in the patch")
              .offset = entry.owner_offset;
        }
      }
    }
  }

  // State that new code would read and write in the wrong place.
  void judge_ambiguous() {
    for (const Atom* variable : c_.correlation.ambiguous) {
      const std::string user = first_user(*variable);
      if (user.empty()) continue;
      refuse("ambiguous_data", variable->section->name, variable->name,
             fmt::format("{} uses a static variable {}, and which of several of that name in the "
                         "running kernel it is cannot be told",
                         user, plain_name(variable->name)),
             "compile both objects with debug information (-g), which says to what function each "
             "belongs, or leave one of the functions that declare it as it is");
    }
  }

  // The first function of the update that refers to the variable, or "".
  std::string first_user(const Atom& variable) const {
    for (const Atom& atom : c_.post.all()) {
      if (!included_.contains(&atom)) continue;
      for (const Relocation* relocation : c_.post.relocations(atom))
        if (c_.post.resolve(*atom.section, *relocation).atom == &variable) return atom.name;
    }
    return "";
  }

  const DiffContext& c_;
  std::set<const Atom*> included_;      // post functions that are Changed or New
  std::set<const Atom*> changed_data_;  // post
  std::map<const Atom*, std::set<const Atom*>> callers_;
  std::vector<Refusal> refusals_;
};

}  // namespace

bool is_assembly(const Object& object, const DebugInfo& debug) {
  if (debug.present()) return debug.is_assembly();
  // Compilers name the source file and leave their own name; the assembler does neither.
  if (object.find_section(".comment") != nullptr) return false;
  for (const auto& symbol : object.symbols)
    if (symbol->type == STT_FILE) return false;
  return true;
}

bool refers_to_code(const Atoms& atoms, const Atom& atom) {
  for (const Relocation* relocation : atoms.relocations(atom)) {
    const Reference reference = atoms.resolve(*atom.section, *relocation);
    if (reference.atom != nullptr && reference.atom->is_function()) return true;
    // What an undefined symbol is, the object does not say: with doubt, a function.
    if (reference.atom == nullptr) return true;
  }
  return false;
}

bool is_init_section(const std::string& name) {
  using namespace std::string_view_literals;
  static constexpr std::array Prefixes = {
      ".init."sv,    ".exit."sv,    ".head.text"sv,    ".meminit."sv,
      ".memexit."sv, ".initcall"sv, ".con_initcall"sv, ".exitcall"sv,
      ".devinit."sv, ".cpuinit."sv, ".x86_cpu_dev"sv,  ".data..init"sv,
  };
  return has_prefix(name, Prefixes) || name.ends_with(".init.text") || name.ends_with(".init.data");
}

std::vector<Refusal> find_refusals(const DiffContext& context) { return Judge(context).run(); }

}  // namespace ksplice
