// Refuses changes of data that exists in the running kernel, and data that cannot be told apart.
#include <elf.h>
#include <fmt/core.h>

#include <algorithm>
#include <optional>

#include "objdiff/diff/given_away.h"
#include "objdiff/diff/judge.h"
#include "objdiff/diff/table_copies.h"

namespace ksplice {

namespace {

bool is_percpu_section(const std::string& name) {
  return name.starts_with(".data..percpu") || name.starts_with(".bss..percpu");
}

bool is_tracepoint_section(const std::string& name) {
  return name.starts_with("__tracepoints") || name == "_ftrace_events" ||
         name == "__bpf_raw_tp_map" || name == "_ftrace_eval_map";
}

// What a datum holds at offset: the symbol that it points to, or up to eight bytes.
std::string value_text(const Atoms& atoms, const Atom& atom, uint64_t offset) {
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
bool is_private_constant(const Judgement& j, const Atom& pre, const Atom& post) {
  if (pre.symbol->bind != STB_LOCAL || post.symbol->bind != STB_LOCAL) return false;
  for (const Atom* atom : {&pre, &post}) {
    const std::string& name = atom->section->name;
    if (atom->section->is_write() && !name.starts_with(".data.rel.ro")) return false;
    if (!name.starts_with(".rodata") && !name.starts_with(".data.rel.ro")) return false;
  }
  if (refers_to_code(j.context.pre, pre) || refers_to_code(j.context.post, post)) return false;
  for (const Atom& user : j.context.post.all()) {
    if (user.kind != AtomKind::Data && user.kind != AtomKind::Anonymous) continue;
    if (j.changed_data.contains(&user) && !user.section->is_write()) continue;
    const Atom* user_pre = j.context.correlation.pre(&user);
    if (user.kind == AtomKind::Data && user_pre == nullptr) continue;  // new
    for (const Relocation* relocation : j.context.post.relocations(user))
      if (j.context.post.resolve(*user.section, *relocation).atom == &post) return false;
  }
  return true;
}

// Where code knows a constant by its address, in either object: it gives it to somebody who may
// keep it, or compares it with what others hold. What exists already has the old constant, and a
// copy would be another thing.
std::optional<std::string> known_by_address(const Judgement& j, const Atom& pre, const Atom& post) {
  for (const auto& [atoms, atom] : {std::pair(&j.context.pre, &pre), {&j.context.post, &post}}) {
    const std::vector<DataRange> range = {{atom->section, atom->offset, atom->end()}};
    const std::vector<GivenAway> known = find_known_by_address(atoms->object(), range);
    if (!known.empty())
      return fmt::format("its address {} in {}()+{:#x}", known[0].how, known[0].function,
                         known[0].offset);
  }
  return std::nullopt;
}

// The running kernel maps it read-only, if only from some moment of the start on.
bool is_read_only(const Section& section) {
  return !section.is_write() || section.name.starts_with(".data.rel.ro") ||
         section.name.starts_with(".data..ro_after_init");
}

// Whether the variable is a table of the devices that a driver serves: MODULE_DEVICE_TABLE() gives
// those of modules a second name.
bool is_device_table(const Judgement& j, const std::string& name) {
  for (const auto& symbol : j.context.post.object().symbols) {
    const std::string& alias = symbol->name;
    if (alias.starts_with("__mod_") && alias.find("__" + name) != alias.npos &&
        alias.find("device_table") != alias.npos)
      return true;
  }
  return false;
}

constexpr const char* DeviceTableAdvice =
    "leave it out of the patch: a driver's table of devices is read when devices and driver meet, "
    "and by the tools that load modules; an id that is new can be given to a running PCI or USB "
    "driver by its file new_id in sysfs";

std::string advise_on_size(const Judgement& j, const DataDiff& data) {
  if (is_device_table(j, data.name)) return DeviceTableAdvice;
  return "keep its size, and put what is new into an object of another name, for new code to use";
}

// The function of that name that a table names at offset, or "".
std::string function_at(const Atoms& atoms, const Atom& table, uint64_t offset) {
  for (const Relocation* relocation : atoms.relocations(table)) {
    const Reference reference = atoms.resolve(*table.section, *relocation);
    if (relocation->offset != table.offset + offset || reference.offset != 0) continue;
    return reference.atom != nullptr     ? reference.atom->name
           : reference.symbol != nullptr ? reference.symbol->name
                                         : "";
  }
  return "NULL";
}

// By which option it can be switched in place, if that is likely to do.
void judge_in_place(Judgement& j, const DataDiff& data, const Atom& pre, const Atom& post,
                    Refusal& refusal) {
  if (data.places.empty()) return;
  refusal.option = data.places.pointers.empty() ? "--change-values" : "--change-pointers";
  if (data.places.pointers.empty() || !refers_to_code(j.context.pre, pre)) return;
  const TableCopies copies = find_copies(j.context, pre);
  if (copies.empty()) return;
  const uint64_t offset = data.places.pointers.front();
  refusal.option.clear();
  refusal.advice = advise_on_copies(
      copies, j.context.post_debug.member_at(plain_name(data.name), offset),
      function_at(j.context.pre, pre, offset), function_at(j.context.post, post, offset));
}

std::string advise_on_value(const Judgement& j, const DataDiff& data, bool read_only,
                            bool code_pointers) {
  if (is_device_table(j, data.name)) return DeviceTableAdvice;
  if (read_only && code_pointers)
    return "keep the table and change the functions it names: it is read-only, and a hook cannot "
           "write it";
  if (read_only)
    return "it is read-only, and a hook cannot write it: give new code an object of another name; "
           "what other code and data read stays as it is";
  if (code_pointers)
    return "keep the table and change the functions it names, or change it in a ksplice_apply hook "
           "and restore it in ksplice_reverse";
  return "set the new value in a ksplice_apply hook, under the lock that guards it, and the old "
         "one "
         "in ksplice_reverse";
}

// What an author says of where a variable is: ".data..ro_after_init"; "" for nothing.
std::string memory_class(const std::string& section) {
  const bool is_said = section.starts_with(".data..") || section.starts_with(".bss..");
  return is_said && !section.starts_with(".data..L") ? section : "";
}

// With its section to itself, a datum is aligned as the section is. Of others the debug information
// has what the source asks for, and the section's name tells: .data..page_aligned,
// .data..cacheline_aligned, .data..percpu..shared_aligned.
void judge_alignment(Judgement& j, const DataDiff& data) {
  const Atom& pre = *j.context.pre.of(data.pre);
  const Atom& post = *j.context.post.of(data.post);
  // Another size is refused as such, and what is for the start only is not there any more.
  if (pre.size != post.size || is_init_section(post.section->name)) return;
  auto is_alone = [](const Atoms& atoms, const Atom& atom) {
    return atoms.in(atom.section).size() == 1;
  };
  const std::string &from = pre.section->name, &to = post.section->name;
  const bool both = is_alone(j.context.pre, pre) && is_alone(j.context.post, post);
  auto asked = [](const DebugInfo& debug, const Atom& atom) {
    return debug.alignment_of_variable(atom.section, atom.entry);
  };
  const uint64_t was = both ? pre.section->align : asked(j.context.pre_debug, pre);
  const uint64_t is = both ? post.section->align : asked(j.context.post_debug, post);
  const bool is_named = !both && from != to && to.find("aligned") != to.npos;
  if (is <= was && !is_named) return;
  Refusal& refusal =
      j.refuse("data_moved", to, data.name,
               fmt::format("{} is to be aligned to more bytes than before, and the running kernel "
                           "has it where it is",
                           data.name),
               "leave its alignment, and add a new variable with another one beside it");
  auto bytes = [](uint64_t count) {
    return count == 0 ? std::string("what its type needs") : fmt::format("{} bytes", count);
  };
  refusal.expected = is > was ? bytes(was) : from;
  refusal.found = is > was ? bytes(is) : to;
}

void judge_moved(Judgement& j, const DataDiff& data) {
  const Atom& pre = *j.context.pre.of(data.pre);
  const Atom& post = *j.context.post.of(data.post);
  const std::string &from = pre.section->name, &to = post.section->name;
  // The compiler takes a static variable that nobody writes for a constant, until a patch writes
  // it.
  const bool is_written_now = is_read_only(*pre.section) && !is_read_only(*post.section);
  if (is_percpu_section(from) == is_percpu_section(to) &&
      is_init_section(from) == is_init_section(to) && !is_written_now) {
    if (memory_class(from) != memory_class(to))
      j.notes.push_back(fmt::format(
          "{} is in {} with the patch and was in {}: the running kernel leaves it where it is{}",
          data.name, to, from, is_read_only(*post.section) ? ", and writable" : ""));
    return;
  }
  j.refuse(
       "data_moved", to, data.name,
       fmt::format("{} was in {} and is in {} now: another class of memory", data.name, from, to),
       "keep the variable as it is and add a new one beside it")
      .expected = from;
}

void judge_datum(Judgement& j, const DataDiff& data) {
  const bool is_copied = data.brought || (data.status == DiffStatus::Changed &&
                                          is_private_constant(j, *j.context.pre.of(data.pre),
                                                              *j.context.post.of(data.post)));
  if (data.pre != nullptr && data.post != nullptr && !is_copied) {
    judge_alignment(j, data);
    judge_moved(j, data);
  }
  if (data.status == DiffStatus::Same) return;
  if (is_init_section(data.section)) {
    j.refuse("init_changed", data.section, data.name,
             fmt::format("{} is in {}, which is only used at start, and {}", data.name,
                         data.section, verb(data.status)),
             "leave it out of the patch; what it sets up exists already");
    return;
  }
  if (is_tracepoint_section(data.section) && data.status != DiffStatus::Removed) {
    j.refuse("tracepoint_changed", data.section, data.name,
             fmt::format("{} in {} {}; tracepoints are registered once, at start", data.name,
                         data.section, verb(data.status)),
             "leave tracepoints out of the patch");
    return;
  }
  if (data.status != DiffStatus::Changed || data.brought) return;
  const Atom& pre = *j.context.pre.of(data.pre);
  const Atom& post = *j.context.post.of(data.post);
  const uint64_t offset = data.offset;
  if (pre.size != post.size && !is_copied) {
    Refusal& refusal =
        j.refuse("data_resized", data.section, data.name,
                 fmt::format("{} exists in the running kernel with {} bytes and has {} now",
                             data.name, pre.size, post.size),
                 advise_on_size(j, data));
    refusal.expected = fmt::format("{} bytes", pre.size);
    refusal.found = fmt::format("{} bytes", post.size);
    return;
  }
  std::optional<std::string> known;
  if (is_copied) known = known_by_address(j, pre, post);
  if (is_copied && !known) return;
  const bool code_pointers =
      refers_to_code(j.context.pre, pre) || refers_to_code(j.context.post, post);
  std::string what = known ? "a constant that live objects may have, as " + *known
                     : post.section->is_write() ? "the initial value of existing writable data"
                     : code_pointers            ? "a table of pointers that live objects point to"
                                     : "read-only data that other data or units refer to";
  Refusal& refusal = j.refuse(
      "data_changed", data.section, data.name,
      fmt::format("{}{} changed at offset {:#x}: {}", data.name,
                  j.context.post_debug.member_at(plain_name(data.name), offset), offset, what),
      known ? "leave the constant as it is, and let new code use one of another name"
            : advise_on_value(j, data, is_read_only(*pre.section), code_pointers));
  refusal.offset = offset;
  refusal.expected = value_text(j.context.pre, pre, offset);
  refusal.found = value_text(j.context.post, post, offset);
  judge_in_place(j, data, pre, post, refusal);
}

// The first function of the update that refers to the variable, or "".
std::string first_user(const Judgement& j, const Atom& variable) {
  for (const Atom& atom : j.context.post.all()) {
    if (!j.included.contains(&atom)) continue;
    for (const Relocation* relocation : j.context.post.relocations(atom))
      if (j.context.post.resolve(*atom.section, *relocation).atom == &variable) return atom.name;
  }
  return "";
}

// State that new code would read and write in the wrong place.
void judge_ambiguous(Judgement& j) {
  for (const Atom* variable : j.context.correlation.ambiguous) {
    const std::string user = first_user(j, *variable);
    if (user.empty()) continue;
    j.refuse("ambiguous_data", variable->section->name, variable->name,
             fmt::format("{} uses a static variable {}, and which of several of that name in the "
                         "running kernel it is cannot be told",
                         user, plain_name(variable->name)),
             "compile both objects with debug information (-g), which says to what function each "
             "belongs, or leave one of the functions that declare it as it is");
  }
}

}  // namespace

void judge_data(Judgement& j) {
  for (const DataDiff& data : j.context.diff.data) judge_datum(j, data);
  judge_ambiguous(j);
}

}  // namespace ksplice
