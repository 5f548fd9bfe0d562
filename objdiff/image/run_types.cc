#include "objdiff/image/run_types.h"

#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cstring>
#include <string_view>
#include <unordered_map>

#include "objdiff/arch/arch.h"
#include "objdiff/base/file.h"

namespace ksplice {
namespace {

constexpr int MaxDepth = 64;  // of nested types; deeper ones are cut off

struct FreeBtf {
  void operator()(btf* types) const { btf__free(types); }
};
using Btf = std::unique_ptr<btf, FreeBtf>;

// base: whose types those of a module count on from; null for none.
Btf parse(const std::string& path, const std::vector<uint8_t>& bytes, btf* base) {
  libbpf_set_print(nullptr);
  Btf types;
  int error = 0;
  if (base == nullptr) {
    types.reset(btf__new(bytes.data(), static_cast<uint32_t>(bytes.size())));
    error = errno;
  } else {  // libbpf 1.1 takes a module's from a file only
    TempDir folder;
    write_file(folder.path() / "btf", bytes);
    types.reset(btf__parse_raw_split((folder.path() / "btf").c_str(), base));
    error = errno;
  }
  if (types == nullptr)
    throw Error("bad_image",
                fmt::format("{}: its BTF cannot be read: {}", path, std::strerror(error)));
  return types;
}

std::string name_of(const btf* types, const btf_type* type) {
  const char* name = btf__name_by_offset(types, type->name_off);
  return name == nullptr ? "" : name;
}

// The type behind typedefs and qualifiers; null for void and for a damaged reference. alias: of
// the innermost typedef, if there is one.
const btf_type* strip(const btf* types, uint32_t id, std::string* alias = nullptr) {
  for (int depth = 0; depth < MaxDepth; ++depth) {
    const btf_type* type = id == 0 ? nullptr : btf__type_by_id(types, id);
    if (type == nullptr || !(btf_is_mod(type) || btf_is_typedef(type) || btf_is_type_tag(type)))
      return type;
    if (alias != nullptr && btf_is_typedef(type)) *alias = name_of(types, type);
    id = type->type;
  }
  return nullptr;
}

const char* word_of(const btf_type* type) { return btf_is_union(type) ? "union" : "struct"; }

// An array of arrays is one array in TypeMember::type, as most writers of BTF make it
// (Documentation/bpf/btf.rst, BTF_KIND_ARRAY); one of a typedef of an array is not.
std::pair<uint64_t, uint32_t> flat_array(const btf* types, const btf_type* type) {
  uint64_t count = 1;
  for (int depth = 0; depth < MaxDepth; ++depth) {
    const auto* array = btf_array(type);
    count *= array->nelems;
    type = btf__type_by_id(types, array->type);
    if (type == nullptr || !btf_is_array(type)) return {count, array->type};
  }
  return {0, 0};
}

uint64_t size_of(const btf* types, uint32_t id, int depth = 0) {
  const btf_type* type = strip(types, id);
  if (depth > MaxDepth || type == nullptr) return 0;
  if (btf_is_ptr(type)) return 8;
  if (btf_is_array(type)) {
    const auto [count, element] = flat_array(types, type);
    return count * size_of(types, element, depth + 1);
  }
  const bool sized =
      btf_is_composite(type) || btf_is_int(type) || btf_is_any_enum(type) || btf_is_float(type);
  return sized ? type->size : 0;
}

// As TypeMember::type.
std::string canonical(const btf* types, uint32_t id, int depth = 0) {
  std::string alias;
  const btf_type* type = strip(types, id, &alias);
  if (depth > MaxDepth || type == nullptr) return "void";
  if (btf_is_ptr(type)) return "pointer";
  if (btf_is_float(type)) return fmt::format("float of {} bytes", type->size);
  if (btf_is_int(type) || btf_is_any_enum(type)) return fmt::format("int of {} bytes", type->size);
  if (btf_is_array(type)) {
    const auto [count, element] = flat_array(types, type);
    return fmt::format("array of {} {}", count, canonical(types, element, depth + 1));
  }
  const std::string name = name_of(types, type);
  if (name.empty() && !alias.empty()) return alias;
  const bool is_union = btf_is_fwd(type) ? btf_kflag(type) : btf_is_union(type);
  return fmt::format("{} {}", is_union ? "union" : "struct",
                     name.empty() ? fmt::format("of {} bytes", type->size) : name);
}

// The structure, union or enumeration that a type is made of, through pointers and arrays, as in
// the debug information of objects (dwarf_shape.h).
struct CoreType {
  const btf_type* type = nullptr;
  std::string alias;
  bool pointer = false, indirect = false;
};
CoreType core_type(const btf* types, uint32_t id) {
  CoreType core;
  for (int depth = 0; depth < MaxDepth; ++depth) {
    const btf_type* type = strip(types, id, &core.alias);
    if (type == nullptr) return {};
    if (btf_is_composite(type) || btf_is_any_enum(type)) {
      core.type = type;
      return core;
    }
    if (!btf_is_ptr(type) && !btf_is_array(type)) return {};
    core.indirect = true;
    core.pointer |= btf_is_ptr(type);
    id = btf_is_ptr(type) ? type->type : btf_array(type)->type;
  }
  return {};
}

bool is_unnamed(const btf* types, const CoreType& core) {
  return core.type != nullptr && btf_is_composite(core.type) && name_of(types, core.type).empty();
}

TypeMember member(const std::string& name, uint64_t offset, uint64_t size, std::string type) {
  TypeMember result;
  result.name = name;
  result.offset = offset;
  result.size = size;
  result.type = std::move(type);
  return result;
}

void add_children(const btf* types, const btf_type* type, uint64_t base, const std::string& name,
                  std::vector<TypeMember>& members, int depth);

// As the members of a TypeLayout.
void add_member(const btf* types, uint32_t id, const std::string& name, uint64_t offset,
                std::vector<TypeMember>& members, int depth) {
  if (depth > MaxDepth) return;
  const CoreType core = core_type(types, id);
  const bool unnamed = is_unnamed(types, core);
  if (unnamed && !core.indirect)
    return add_children(types, core.type, offset, name, members, depth);
  members.push_back(member(name, offset, size_of(types, id) * 8, canonical(types, id)));
  if (!unnamed || !core.alias.empty()) return;
  const std::string path = name + (core.pointer ? "->" : "[]");
  members.push_back(member(path, 0, core.type->size * uint64_t{8}, "element"));
  add_children(types, core.type, 0, path, members, depth);
}

void add_children(const btf* types, const btf_type* type, uint64_t base, const std::string& name,
                  std::vector<TypeMember>& members, int depth) {
  const btf_member* list = btf_members(type);
  for (uint32_t i = 0; i < btf_vlen(type); ++i) {
    const char* text = btf__name_by_offset(types, list[i].name_off);
    const std::string own = text == nullptr ? "" : text;
    const bool dot = !name.empty() && !own.empty() && !name.ends_with("->");
    const std::string path = name + (dot ? "." : "") + own;
    const uint64_t offset = base + btf_member_bit_offset(type, i);
    if (const uint64_t bits = btf_member_bitfield_size(type, i); bits != 0)
      members.push_back(member(path, offset, bits, canonical(types, list[i].type)));
    else
      add_member(types, list[i].type, path, offset, members, depth + 1);
  }
}

}  // namespace

struct RunTypes::Data {
  Btf base;  // of a module that has one of its own; before types, which refers to it
  Btf types;
  const Data* kernel = nullptr;
  // "struct foo", or a typedef that names an unnamed one: its number.
  std::unordered_multimap<std::string, uint32_t> layouts;
  std::unordered_map<std::string, std::set<int64_t>> enumerators;
  std::set<std::string> functions;  // of which there is an id in .BTF_ids

  // Numbers that resolve_btfids wrote at the kernel's link, between flags and counts (linux/
  // btf_ids.h). One of these that is by chance a function's number does no harm.
  void read_ids(const RunImage& image) {
    const btf* all = types.get();
    for (const RunSection& section : image.sections) {
      if (section.name != ".BTF_ids" || !section.owner.empty()) continue;
      for (size_t at = 0; at + 4 <= section.data.size(); at += 4) {
        uint32_t id;
        std::memcpy(&id, section.data.data() + at, sizeof id);
        const btf_type* type = id < btf__type_cnt(all) ? btf__type_by_id(all, id) : nullptr;
        if (type != nullptr && btf_is_func(type)) functions.insert(name_of(all, type));
      }
    }
  }

  void index(uint32_t first) {
    const btf* all = types.get();
    for (uint32_t id = first; id < btf__type_cnt(all); ++id) {
      const btf_type* type = btf__type_by_id(all, id);
      if (btf_is_composite(type)) {
        if (const std::string name = name_of(all, type); !name.empty())
          layouts.emplace(fmt::format("{} {}", word_of(type), name), id);
      } else if (btf_is_typedef(type)) {
        const CoreType core = core_type(all, type->type);
        if (is_unnamed(all, core) && core.alias.empty()) layouts.emplace(name_of(all, type), id);
      } else if (btf_is_any_enum(type)) {
        for (uint32_t i = 0; i < btf_vlen(type); ++i) add_enumerator(type, i);
      }
    }
  }

  void add_enumerator(const btf_type* type, uint32_t i) {
    const bool wide = btf_is_enum64(type);
    const char* name = btf__name_by_offset(
        types.get(), wide ? btf_enum64(type)[i].name_off : btf_enum(type)[i].name_off);
    if (name == nullptr) return;
    enumerators[name].insert(wide ? static_cast<int64_t>(btf_enum64_value(&btf_enum64(type)[i]))
                                  : btf_enum(type)[i].val);
  }
};

RunTypes::RunTypes(const RunImage& image, const RunTypes* kernel)
    : data_(std::make_unique<Data>()) {
  if (kernel != nullptr) data_->kernel = kernel->data_.get();
  if (image.btf.empty() || (kernel != nullptr && !kernel->present())) return;
  btf* base = kernel == nullptr ? nullptr : kernel->data_->types.get();
  if (!image.btf_base.empty()) {
    data_->base = parse(image.path, image.btf_base, nullptr);
    base = data_->base.get();
  }
  data_->types = parse(image.path, image.btf, base);
  data_->index(base == nullptr ? 1 : btf__type_cnt(base));
  data_->read_ids(image);
}

RunTypes::~RunTypes() = default;
RunTypes::RunTypes(RunTypes&&) noexcept = default;

bool RunTypes::present() const { return data_->types != nullptr; }

std::vector<TypeLayout> RunTypes::layouts(const std::string& name) const {
  std::vector<TypeLayout> result;
  for (const Data* data = data_.get(); data != nullptr; data = data->kernel) {
    const auto [first, last] = data->layouts.equal_range(name);
    for (auto it = first; it != last; ++it) {
      const btf_type* type = btf__type_by_id(data->types.get(), it->second);
      TypeLayout& layout = result.emplace_back();
      layout.name = name;
      layout.size = size_of(data->types.get(), it->second);
      if (btf_is_composite(type))
        add_children(data->types.get(), type, 0, "", layout.members, 0);
      else
        add_member(data->types.get(), type->type, "", 0, layout.members, 0);
    }
  }
  return result;
}

std::set<int64_t> RunTypes::values(const std::string& enumerator) const {
  std::set<int64_t> result;
  for (const Data* data = data_.get(); data != nullptr; data = data->kernel)
    if (auto found = data->enumerators.find(enumerator); found != data->enumerators.end())
      result.insert(found->second.begin(), found->second.end());
  return result;
}

bool RunTypes::has_id_of(const std::string& function) const {
  for (const Data* data = data_.get(); data != nullptr; data = data->kernel)
    if (data->functions.contains(function)) return true;
  return false;
}

namespace {

Refusal wrong_type(const Object& object, const std::string& symbol, const std::string& message,
                   const std::string& place) {
  Refusal refusal;
  refusal.code = "wrong_type";
  refusal.object = object.path;
  refusal.symbol = symbol;
  refusal.message = message;
  refusal.found = place;
  refusal.advice = "give the source and the configuration that the running kernel was built from";
  return refusal;
}

std::optional<Refusal> check_layout(const Object& object, const TypeLayout& layout,
                                    const RunTypes& run) {
  std::string difference;
  for (const TypeLayout& candidate : run.layouts(layout.name)) {
    difference = layout_difference(candidate, layout);
    if (difference.empty()) return std::nullopt;
  }
  if (difference.empty()) return std::nullopt;
  return wrong_type(
      object, layout.name,
      fmt::format("{} of the source is not the running kernel's: {}", layout.name, difference),
      fmt::format("{}:{}", layout.file, layout.line));
}

std::optional<Refusal> check_enumerator(const Object& object, const std::string& name,
                                        int64_t value, const EnumLayout& layout,
                                        const RunTypes& run) {
  const std::set<int64_t> values = run.values(name);
  if (values.empty() || values.contains(value)) return std::nullopt;
  // Before it knew enum64 (6.1), BTF kept the lower halves of wide ones.
  if (values.contains(static_cast<int32_t>(value))) return std::nullopt;
  return wrong_type(object, name,
                    fmt::format("the constant {} is {} in the source and {} in the running kernel",
                                name, value, fmt::join(values, " or ")),
                    fmt::format("{}:{}", layout.file, layout.line));
}

bool is_header(const std::string& file) { return file.ends_with(".h"); }

// One of the headers that the kernel and all modules share, named as from kbuild's output folder.
bool is_shared_header(std::string_view file) {
  while (file.starts_with("../")) file.remove_prefix(3);
  return file.starts_with("include/") || file.starts_with(std::string(ArchFolder) + "/include/");
}

}  // namespace

std::optional<Refusal> check_types(const Object& pre, const Object* post, const RunTypes& run) {
  const DebugInfo before(pre);
  // The private types of a module without BTF may have the names of some in the kernel.
  auto is_known = [&](const std::string& file) { return run.present() || is_shared_header(file); };
  for (const auto& [name, layout] : before.types())
    if (is_known(layout.file))
      if (auto refusal = check_layout(pre, layout, run)) return refusal;
  std::set<std::string> known;
  for (const EnumLayout& layout : before.enums())
    for (const auto& [name, value] : layout.values)
      if (known.insert(name).second && is_known(layout.file))
        if (auto refusal = check_enumerator(pre, name, value, layout, run)) return refusal;
  if (post == nullptr) return std::nullopt;
  // What pre has too is compared by the differ. What a patch makes anew may have the name of
  // something that is private elsewhere.
  const DebugInfo after(*post);
  for (const auto& [name, layout] : after.types())
    if (!before.types().contains(name) && is_header(layout.file) && is_known(layout.file))
      if (auto refusal = check_layout(*post, layout, run)) return refusal;
  for (const EnumLayout& layout : after.enums())
    for (const auto& [name, value] : layout.values)
      if (!known.contains(name) && is_header(layout.file) && is_known(layout.file))
        if (auto refusal = check_enumerator(*post, name, value, layout, run)) return refusal;
  return std::nullopt;
}

std::vector<Refusal> check_ids(const Object& pre, const Object& post,
                               const std::vector<std::string>& functions, const RunTypes& run) {
  std::vector<Refusal> refusals;
  const DebugInfo before(pre), after(post);  // read when they are asked
  for (const std::string& name : functions) {
    if (!run.has_id_of(name)) continue;
    const std::optional<Prototype> old = before.prototype(name), now = after.prototype(name);
    if (!old || !now || old->shape == now->shape) continue;
    Refusal& refusal = refusals.emplace_back();
    refusal.code = "export_changed";
    refusal.object = post.path;
    refusal.symbol = name;
    refusal.message = fmt::format(
        "the type of {}, which BPF programs know by its BTF id, changed from {} to {}: they are "
        "checked against the old one, and call it so",
        name, old->text, now->text);
    refusal.expected = old->text;
    refusal.found = now->text;
    refusal.advice =
        "keep its parameters and result as they are: give what is new a function of its own, and "
        "let this one call it";
  }
  return refusals;
}

}  // namespace ksplice
