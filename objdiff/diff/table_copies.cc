// A table is copied by a call of memcpy() and the like, or by an assignment, which the compiler
// makes of loads of all of it or of rep movs. Where the address was handed on, the copy is made
// elsewhere: that is likely where some structure has such a table in it, and not only a pointer to
// one (ixgbevf copies its operations into struct ixgbe_hw when it finds a device).
#include "objdiff/diff/table_copies.h"

#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <optional>
#include <set>

#include "objdiff/arch/registers.h"
#include "objdiff/object/code.h"
#include "objdiff/object/type_layout.h"

namespace ksplice {

namespace {

const std::set<std::string> Copiers = {"memcpy",  "__memcpy",     "memmove",  "__memmove",
                                       "kmemdup", "devm_kmemdup", "kvmemdup", "kmemdup_noprof"};
// What the compiler may set up between naming the table and copying it.
constexpr size_t Near = 16;

// rep movs
bool copies(const Section& section, const Instruction& instruction) {
  const std::optional<RegisterUse> use = register_use(section.data, instruction);
  return use && use->copies_memory;
}

// Into a register, and nothing else.
bool loads(const Section& section, const Instruction& instruction) {
  if (instruction.kind != InstructionKind::Other) return false;  // a call through the table
  const std::optional<RegisterUse> use = register_use(section.data, instruction);
  return use && use->reads_memory && use->written != 0 && !use->writes_memory && !use->only_looks;
}

// The function that a call leads to, or "".
std::string callee_of(const Atoms& atoms, const Section& section, const Instruction& call) {
  if (!call.is_branch()) return "";
  const uint64_t field = call.offset + call.imm_offset;
  for (const Relocation& relocation : section.relocations) {
    if (relocation.offset != field) continue;
    const Reference reference = atoms.resolve(section, relocation);
    return reference.symbol != nullptr ? reference.symbol->name
           : reference.atom != nullptr ? reference.atom->name
                                       : "";
  }
  return "";
}

// How the code behind the instruction that names the table copies it, or "".
std::string copy_behind(const Atoms& atoms, const Atom& function, const CodeMap& code,
                        uint64_t offset) {
  const std::vector<Instruction>& all = code.instructions();
  auto it = std::ranges::lower_bound(all, offset, {}, &Instruction::offset);
  for (size_t i = 0; i < Near && it != all.end() && it->offset < function.end(); ++i, ++it) {
    if (copies(*function.section, *it)) return "an assignment";
    const std::string callee = callee_of(atoms, *function.section, *it);
    if (Copiers.contains(callee)) return callee + "()";
  }
  return "";
}

std::string copy_in(const Atoms& atoms, const Atom& function, const Atom& table) {
  const CodeMap* code = atoms.code(*function.section);
  if (code == nullptr) return "";
  std::set<int64_t> loaded;  // words of the table
  for (const Relocation* relocation : atoms.relocations(function)) {
    const Reference reference = atoms.resolve(*function.section, *relocation);
    const Instruction* instruction = code->at(relocation->offset);
    if (reference.atom != &table || instruction == nullptr) continue;
    const bool is_memory = instruction->disp_size != 0 &&
                           relocation->offset == instruction->offset + instruction->disp_offset;
    if (is_memory && loads(*function.section, *instruction)) loaded.insert(reference.offset / 8);
    if (std::string how = copy_behind(atoms, function, *code, instruction->offset); !how.empty())
      return how;
  }
  return loaded.size() > 1 && loaded.size() * 8 >= table.size ? "an assignment" : "";
}

// The type of the table, by its name.
const TypeLayout* type_of(const DebugInfo& debug, const Atom& table) {
  const std::string name = plain_name(table.name);
  for (const auto& [key, layout] : debug.types()) {
    if (key.starts_with(VariablePrefix) || layout.size == 0 || table.size % layout.size != 0)
      continue;
    if (std::ranges::binary_search(layout.users, name)) return &layout;
  }
  return nullptr;
}

}  // namespace

TableCopies find_copies(const DiffContext& context, const Atom& table) {
  TableCopies copies;
  for (const Atom& function : context.pre.all()) {
    if (!function.is_function()) continue;
    const std::string how = copy_in(context.pre, function, table);
    if (!how.empty())
      copies.made.push_back(fmt::format("{}() copies it by {}", function.name, how));
  }
  const TypeLayout* type = type_of(context.pre_debug, table);
  if (type == nullptr) return copies;
  for (const auto& [name, layout] : context.pre_debug.types()) {
    if (name.starts_with(VariablePrefix)) continue;
    for (const TypeMember& member : layout.members) {
      const bool is_array = elements_of(member.type) == type->name;
      if (is_array || member.type == type->name)
        copies.holders.push_back({name, member.name + (is_array ? "[i]" : "")});
    }
  }
  return copies;
}

std::string advise_on_copies(const TableCopies& copies, const std::string& path,
                             const std::string& pre, const std::string& post) {
  std::string text;
  if (!copies.made.empty()) text = fmt::format("{}", fmt::join(copies.made, ", "));
  std::vector<std::string> holders;
  for (const auto& [type, member] : copies.holders)
    holders.push_back(fmt::format("{} has such a table in it, as its member {}", type, member));
  if (!holders.empty())
    text += fmt::format("{}{}, which may be filled from this one", text.empty() ? "" : "; ",
                        fmt::join(holders, ", "));
  text +=
      ": --change-pointers would leave copies as they are; keep the table, and let the functions "
      "that it names do what is new";
  if (copies.holders.empty() || path.empty() || pre.empty() || post.empty())
    return text +
           "; or set the member in each copy, in a ksplice_post_apply hook that walks the "
           "objects that have one, and back in ksplice_pre_reverse";
  const auto& [type, member] = copies.holders.front();
  return text + fmt::format(
                    "; or set the member in each copy, with what leads from one object to the next "
                    "(a list, driver_for_each_device()) in both hooks:\n"
                    "    #include <ksplice-patch.h>\n\n"
                    "    static void use_new(void)\n    {{\n    \t/* for each {0} *object */\n"
                    "    \tWRITE_ONCE(object->{1}{2}, {4});\n    }}\n"
                    "    ksplice_post_apply(use_new);\n\n"
                    "    static int use_old(void)\n    {{\n    \t/* for each {0} *object */\n"
                    "    \tWRITE_ONCE(object->{1}{2}, {3});\n    \treturn 0;\n    }}\n"
                    "    ksplice_pre_reverse(use_old);\n  ",
                    type, member, path, pre, post);
}

}  // namespace ksplice
