// The finished code of a shadow variable (ksplice-patch.h) for members that a structure of the
// running kernel has no room for.
#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>

#include "objdiff/diff/layout_advice.h"

namespace ksplice {

namespace {

// "conn" of "struct conn"
std::string tag_of(const std::string& type) { return type.substr(type.rfind(' ') + 1); }

std::string upper(std::string text) {
  for (char& c : text) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return text;
}

// The same for the same patch, and hardly ever another patch's (FNV-1a).
uint32_t id_of(const std::string& text) {
  uint32_t hash = 0x811c9dc5;
  for (const char c : text) hash = (hash ^ static_cast<uint8_t>(c)) * 0x01000193;
  return hash;
}

// What zeros do not make of a member.
std::string setup_of(const std::string& declaration, const std::string& member) {
  static const std::pair<const char*, const char*> Known[] = {
      {"struct list_head ", "INIT_LIST_HEAD"},       {"spinlock_t ", "spin_lock_init"},
      {"raw_spinlock_t ", "raw_spin_lock_init"},     {"struct mutex ", "mutex_init"},
      {"wait_queue_head_t ", "init_waitqueue_head"}, {"struct completion ", "init_completion"},
      {"struct rw_semaphore ", "init_rwsem"}};
  for (const auto& [type, setup] : Known)
    if (declaration == type + member) return fmt::format("{}(&data->{});", setup, member);
  return "";
}

// A member's own name, where an unnamed structure around it has none any more.
std::string flat(const std::string& path) { return path.substr(path.find_last_of(".>") + 1); }

// Where functions that know the type call one of calls: "conn_free() (net/conn.c:120)".
std::vector<std::string> places_of(const Judgement& j, const TypeLayout& layout,
                                   const std::set<std::string>& calls) {
  constexpr size_t Most = 6;
  const std::set<std::string> users(layout.users.begin(), layout.users.end());
  std::vector<std::string> places;
  for (const Atom& atom : j.context.post.all()) {
    if (!atom.is_function()) continue;
    for (const Relocation* relocation : j.context.post.relocations(atom)) {
      const Reference reference = j.context.post.resolve(*atom.section, *relocation);
      if (reference.symbol == nullptr || !calls.contains(reference.symbol->name)) continue;
      const DebugInfo& debug = j.context.post_debug;
      std::string function = debug.inlined_at(atom.section, relocation->offset);
      if (!users.contains(function)) function = plain_name(atom.name);
      const size_t part = function.find('.');
      if (part != std::string::npos) function.resize(part);
      if (!users.contains(function)) continue;
      const auto line = debug.line_at(atom.section, relocation->offset);
      std::string place = fmt::format("{}()", function);
      if (line)  // kbuild compiles in a folder of its own
        place += fmt::format(" ({}:{})", line->file.substr(line->file.starts_with("../") ? 3 : 0),
                             line->line);
      if (std::ranges::find(places, place) == places.end()) places.push_back(place);
    }
  }
  if (places.size() > Most) {
    places.resize(Most);
    places.emplace_back("others");
  }
  return places;
}

const std::set<std::string> Frees = {
    "kfree",       "kfree_sensitive",  "kvfree",       "vfree",     "kmem_cache_free",
    "kfree_const", "kvfree_sensitive", "mempool_free", "devm_kfree"};
const std::set<std::string> LateFrees = {"kvfree_call_rcu", "call_rcu", "call_rcu_hurry"};

std::string lifetime(const Judgement& j, const TypeLayout& layout, const std::string& id) {
  const std::vector<std::string> frees = places_of(j, layout, Frees);
  const std::vector<std::string> late = places_of(j, layout, LateFrees);
  std::string text = fmt::format(
      "free it with ksplice_shadow_free(object, {}, NULL) before each "
      "{} is freed",
      id, layout.name);
  if (frees.empty() && late.empty())
    text += " (no function that is compiled here is seen to free one)";
  if (!frees.empty())
    text += fmt::format(", of which these functions may be some: {}", fmt::join(frees, ", "));
  if (!late.empty())
    text += fmt::format(
        "; objects that go through RCU ({}) in the callback, as readers would attach it again "
        "(call_rcu() instead of kfree_rcu())",
        fmt::join(late, ", "));
  return text + ": else the next object at that address has it";
}

}  // namespace

std::string shadow_code(const Judgement& j, const TypeLayout& layout,
                        const std::vector<ShadowMember>& members) {
  const std::string tag = tag_of(layout.name), name = tag + "_new", id = upper(name);
  // A structure that goes by a variable has no name in C.
  const bool is_named = !layout.name.starts_with(LocalTypePrefix);
  const std::string type = is_named ? layout.name : "void";
  std::string fields, setup, names, seed = layout.name;
  for (const auto& [is, was] : members) {
    const std::string own = flat(is->name);
    const std::string declaration = j.context.post_debug.declaration(layout, is->name);
    fields += declaration.empty() ? fmt::format("\t/* {} */\n", is->name)
                                  : fmt::format("\t{};\n", declaration);
    std::string line = setup_of(declaration, own);
    const bool is_number = is->type.starts_with("int of ");
    if (was != nullptr && is_named && is_number && was->type.starts_with("int of "))
      line = fmt::format("data->{} = ((const {} *)object)->{};", own, layout.name, was->name);
    if (!line.empty()) setup += fmt::format("\t{}\n", line);
    names += fmt::format("{}{}(object)->{} for object->{}", names.empty() ? "" : ", ", name, own,
                         is->name);
    seed += "/" + is->name;
  }
  std::string code = fmt::format(
      "#include <linux/slab.h>\n#include <ksplice-patch.h>\n\n#define {} {:#x}UL\n\n"
      "struct {} {{\n{}}};\n\n",
      id, id_of(seed), name, fields);
  std::string init = "NULL";
  if (!setup.empty()) {
    init = "init_" + name;
    code += fmt::format(
        "static int {}(const void *object, void *memory, void *argument)\n{{\n\tstruct {} *data = "
        "memory;\n\n{}\treturn 0;\n}}\n\n",
        init, name, setup);
  }
  code += fmt::format(
      "/* NULL if there is no memory. */\nstatic struct {0} *{0}(const {1} *object)\n{{\n"
      "\treturn ksplice_shadow_get_or_attach(object, {2}, sizeof(struct {0}), GFP_ATOMIC,\n"
      "\t\t\t\t\t    {3}, NULL);\n}}\n\n"
      "static void forget_{0}(void)\n{{\n\tksplice_shadow_free_all({2}, NULL);\n}}\n"
      "ksplice_post_reverse(forget_{0});\n",
      name, type, id, init);
  std::string indented = "    ";
  for (const char c : code) {
    indented += c;
    if (c == '\n') indented += "    ";
  }
  while (indented.ends_with(' ')) indented.pop_back();
  return fmt::format(
      "keep the layout that live objects have, and attach what is new with a shadow variable:\n{}"
      "  then use {}, where that is not NULL; it begins {}, also for objects that live; {}; an "
      "object that is copied or moved takes none along",
      indented, names, setup.empty() ? "as zeros" : "as set up there", lifetime(j, layout, id));
}

}  // namespace ksplice
