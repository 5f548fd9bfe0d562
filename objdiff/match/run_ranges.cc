// The ranges of run code that the kernel rewrites itself, from what pre's special sections and
// relocations say about the code.
//
//   call __fentry__               nop or call of a trampoline           (ftrace)
//   jmp __x86_return_thunk        ret, or jmp to another thunk          (apply_returns)
//   call __x86_indirect_thunk_R   call *R, lfence; call *R, ITS thunk   (apply_retpolines)
//   call __SCT__x                 call of the function, nop, ret ...    (static_call)
//   .altinstructions              original or one of the replacements   (apply_alternatives)
//   .parainstructions, or alternatives with ALT_FLAG_DIRECT_CALL: also a direct call of what the
//                                 pv_ops slot holds, or nops            (paravirt)
//   __jump_table                  nop or jmp                            (jump_label)
//   .smp_locks                    lock or ds prefix
//   endbr64 at the entry          a nop when sealed                     (apply_seal_endbr)
//   runtime_ptr_x, runtime_shift_x, runtime_mask_x  the value of x      (runtime_const_init)
#include "objdiff/match/run_ranges.h"

#include <algorithm>
#include <cstring>

#include "kmod-core/ksplice_abi.h"
#include "objdiff/base/error.h"

namespace ksplice {
namespace {

std::optional<RunLocation> try_locate(const RunImage& image, uint64_t addr) {
  // A constant (SHN_ABS in vmlinux) is no place: nothing relocates it.
  try {
    return image.locate(addr);
  } catch (const Error&) {
    return std::nullopt;
  }
}

class RangeMaker {
 public:
  RangeMaker(const PreIndex& pre, const RunImage& image, const RunTables& tables,
             const Entity& entity, const Comparison& code)
      : pre_(pre), image_(image), tables_(tables), entity_(entity), code_(code) {}

  RunCode make() {
    run_.addr = code_.addr;
    run_.location = image_.locate(code_.addr);
    if (auto bytes = image_.read(code_.addr, code_.run_size))
      run_.bytes.assign(bytes->begin(), bytes->end());
    for (const FieldUse& use : code_.fields) add_field(run_.fields, use, 0, code_.addr);
    add_endbr();
    add_branches();
    add_jump_labels();
    add_alternatives();
    add_smp_locks();
    add_runtime_constants();
    merge();
    return std::move(run_);
  }

 private:
  // Appends the field to list if its value depends on the boot. base: what offsets are relative to;
  // place: the run address of the code that the field is put into.
  void add_field(std::vector<RunField>& list, const FieldUse& use, uint32_t base, uint64_t place) {
    std::optional<RunLocation> target = try_locate(image_, use.target);
    if (!target) return;
    RunLocation here = image_.locate(place);
    bool moves_along = target->target == here.target && target->section == here.section &&
                       target->import.empty() && target->percpu == here.percpu;
    if (use.pc_relative && moves_along) return;
    if (!use.pc_relative && target->percpu && target->target == "vmlinux") return;
    if (!use.pc_relative && !image_.is_module() && is_constant_symbol(use.target)) return;
    RunField field;
    field.offset = use.run_offset - base;
    field.size = use.size;
    field.pc_relative = use.pc_relative;
    field.target = *target;
    field.addend = use.addend;
    list.push_back(field);
  }

  bool is_constant_symbol(uint64_t addr) const {
    const RunSymbol* symbol = image_.symbol_at(addr);
    return symbol != nullptr && symbol->addr == addr &&
           (symbol->type == 'A' || symbol->type == 'a');
  }

  // The range's bytes as the image has them, with their fields.
  RunVariant original(uint32_t offset, uint32_t length) {
    RunVariant variant;
    variant.bytes.assign(run_.bytes.begin() + offset, run_.bytes.begin() + offset + length);
    variant.length = static_cast<uint8_t>(length);
    for (const RunField& field : run_.fields) {
      if (field.offset < offset || field.offset >= offset + length) continue;
      variant.fields.push_back(field);
      variant.fields.back().offset -= offset;
    }
    return variant;
  }

  RunRange& add_range(uint32_t offset, uint32_t length, uint8_t kind) {
    RunRange range;
    range.offset = offset;
    range.length = static_cast<uint16_t>(length);
    range.kind = kind;
    range.variants.push_back(original(offset, length));
    run_.ranges.push_back(std::move(range));
    return run_.ranges.back();
  }

  static void add_variant(RunRange& range, std::vector<uint8_t> bytes) {
    RunVariant variant;
    variant.length = static_cast<uint8_t>(bytes.size());
    bytes.resize(range.length, FillByte);
    variant.bytes = std::move(bytes);
    range.variants.push_back(std::move(variant));
  }

  std::optional<Instruction> instruction_at(uint32_t offset) const {
    return decode_instruction(run_.bytes, offset);
  }

  // The start of the run instruction that stands for the pre one with a field at pre_offset.
  std::optional<uint32_t> run_instruction(uint64_t pre_offset) const {
    auto after =
        std::upper_bound(code_.map.begin(), code_.map.end(), pre_offset,
                         [](uint64_t value, const auto& pair) { return value < pair.first; });
    if (after == code_.map.begin()) return std::nullopt;
    return std::prev(after)->second;
  }

  void add_endbr() {
    const size_t length = landing_pad(run_.bytes).size();
    if (length == 0) return;
    RunRange& range = add_range(0, static_cast<uint32_t>(length), KSPLICE_RANGE_VARIANTS);
    const auto& sealed = tables_.series->sealed_pad;
    add_variant(range, {sealed.begin(), sealed.end()});
  }

  void add_branches() {
    const std::vector<Relocation>& relocations = entity_.section->relocations;
    for (const Relocation& relocation : relocations) {
      if (relocation.offset < entity_.begin || relocation.offset >= entity_.end) continue;
      if (relocation.symbol == nullptr) continue;
      const std::string& name = relocation.symbol->name;
      std::optional<uint32_t> at = run_instruction(relocation.offset - entity_.begin);
      std::optional<Instruction> insn = at ? instruction_at(*at) : std::nullopt;
      if (!insn || !insn->is_branch() || insn->imm_size != 4) continue;
      add_branch(name, *insn);
    }
  }

  void add_branch(const std::string& name, const Instruction& insn) {
    uint32_t offset = static_cast<uint32_t>(insn.offset);
    const BranchSite site = branch_site(name, insn);
    switch (site.kind) {
      case BranchSite::Kind::Ftrace:
        add_range(offset, insn.size, KSPLICE_RANGE_FTRACE);
        break;
      case BranchSite::Kind::ReturnThunk:
        add_range(offset, insn.size, KSPLICE_RANGE_RETURN_THUNK);
        break;
      case BranchSite::Kind::IndirectThunk: {
        RunRange& range = add_range(offset, insn.size, KSPLICE_RANGE_RETPOLINE);
        range.has_param = true;
        range.param_number = site.number;
        break;
      }
      case BranchSite::Kind::Plain:
        if (name.starts_with("__SCT__")) add_static_call(name, insn);
        break;
    }
  }

  void add_static_call(const std::string& name, const Instruction& insn) {
    auto site = tables_.static_calls.find(code_.addr + insn.offset);
    if (site == tables_.static_calls.end()) return;  // never rewritten
    std::string key_name = "__SCK__" + name.substr(7);
    RunRange& range =
        add_range(static_cast<uint32_t>(insn.offset), insn.size, KSPLICE_RANGE_STATIC_CALL);
    range.has_param = true;
    const RunSymbol* key = image_.unique_symbol(key_name);
    std::optional<uint64_t> import = image_.import_address(key_name);
    if (key != nullptr) {
      range.param = image_.locate(key->addr);
    } else if (import) {
      range.param = image_.locate(*import);
    } else {
      // A module may call without seeing the key; the kernel finds it through the trampoline.
      range.param.target = image_.target;
      range.param.import = key_name;
    }
  }

  void add_jump_labels() {
    CodePlace first{entity_.section, entity_.begin};
    for (auto it = pre_.jump_labels.lower_bound(first);
         it != pre_.jump_labels.end() && it->first.first == entity_.section &&
         it->first.second < entity_.end;
         ++it) {
      std::optional<uint32_t> at = code_.run_offset(it->first.second - entity_.begin);
      std::optional<Instruction> insn = at ? instruction_at(*at) : std::nullopt;
      if (!insn) continue;
      auto label = tables_.jump_labels.find(code_.addr + *at);
      if (label == tables_.jump_labels.end()) continue;
      RunRange& range = add_range(*at, insn->size, KSPLICE_RANGE_VARIANTS);
      uint64_t target = label->second.target;
      if (insn->kind == InstructionKind::Jump) {
        add_variant(range, jump_label_nop(insn->size));
        continue;
      }
      int64_t distance = static_cast<int64_t>(target - (code_.addr + *at + insn->size));
      const JumpBytes jump = jump_label_jump(insn->size, distance);
      add_variant(range, jump.bytes);
      if (jump.target_offset != 0)
        add_field(range.variants.back().fields, {jump.target_offset, 4, true, target, -4}, 0,
                  code_.addr + *at);
    }
  }

  void add_alternatives() {
    CodePlace first{entity_.section, entity_.begin};
    for (auto it = pre_.alternatives.lower_bound(first); it != pre_.alternatives.end() &&
                                                         it->first.first == entity_.section &&
                                                         it->first.second < entity_.end;) {
      CodePlace place = it->first;
      std::optional<uint32_t> at = code_.run_offset(place.second - entity_.begin);
      auto group = tables_.alternatives.find(at ? code_.addr + *at : 0);
      while (it != pre_.alternatives.end() && it->first == place) ++it;
      if (!at || group == tables_.alternatives.end()) continue;
      add_alternative(*at, group->second);
    }
    for (auto it = pre_.paravirt.lower_bound(first);
         it != pre_.paravirt.end() && it->first.first == entity_.section &&
         it->first.second < entity_.end;
         ++it) {
      std::optional<uint32_t> at = code_.run_offset(it->first.second - entity_.begin);
      std::optional<uint32_t> end = code_.run_end(it->first.second - entity_.begin + it->second);
      if (!at || !end) continue;
      set_paravirt(add_range(*at, *end - *at, KSPLICE_RANGE_PARAVIRT));
    }
  }

  void add_alternative(uint32_t at, const std::vector<RunAlternative>& entries) {
    uint32_t length = 0;
    for (const RunAlternative& entry : entries) length = std::max<uint32_t>(length, entry.length);
    if (at + length > run_.bytes.size()) return;
    RunRange& range = add_range(at, length, KSPLICE_RANGE_ALTERNATIVE);
    // The filling behind the original is optimized; what counts ends before it.
    RunVariant& first = range.variants.front();
    uint32_t counted = 0;
    for (const Instruction& insn : decode_range(first.bytes, 0, length))
      if (insn.kind != InstructionKind::Nop) counted = static_cast<uint32_t>(insn.end());
    first.length = static_cast<uint8_t>(counted);
    for (const RunAlternative& entry : entries) {
      if ((entry.feature & tables_.series->direct_call_flag) != 0) {
        set_paravirt(range);
        continue;
      }
      add_replacement(range, entry);
    }
  }

  // The slot is what the original's indirect call reads.
  void set_paravirt(RunRange& range) {
    for (const FieldUse& use : code_.fields) {
      if (use.run_offset < range.offset || use.run_offset >= range.offset + MaxIndirectCall)
        continue;
      std::optional<Instruction> insn = instruction_at(range.offset);
      if (!insn || (insn->kind != InstructionKind::IndirectCall &&
                    insn->kind != InstructionKind::IndirectJump))
        break;
      range.kind = KSPLICE_RANGE_PARAVIRT;
      range.has_param = true;
      range.param = image_.locate(use.target);
      return;
    }
  }

  // A replacement as it looks at the site: relative operands keep their targets.
  void add_replacement(RunRange& range, const RunAlternative& entry) {
    auto source = image_.read(entry.replacement, entry.replacement_length);
    if (!source && entry.replacement_length != 0) return;
    std::vector<uint8_t> bytes;
    if (source) bytes.assign(source->begin(), source->end());
    std::vector<RunField> fields;
    uint64_t site = code_.addr + range.offset;
    std::optional<std::vector<uint8_t>> shortened;
    for (const Instruction& insn : decode_range(bytes, 0, bytes.size())) {
      bool branch = insn.is_branch() && insn.imm_size == 4;
      if (!branch && !insn.rip_relative) continue;
      uint64_t at = insn.offset + (branch ? insn.imm_offset : insn.disp_offset);
      int32_t distance;
      std::memcpy(&distance, bytes.data() + at, 4);
      uint64_t target =
          entry.replacement + insn.end() + static_cast<uint64_t>(static_cast<int64_t>(distance));
      distance = static_cast<int32_t>(target - (site + insn.end()));
      std::memcpy(bytes.data() + at, &distance, 4);
      add_field(
          fields,
          {static_cast<uint32_t>(at), 4, true, target, -static_cast<int64_t>(insn.end() - at)}, 0,
          site);
      // A jump that ends the replacement is written in two bytes if that suffices.
      const bool is_last = insn.kind == InstructionKind::Jump && insn.end() == bytes.size();
      auto near = short_jump(static_cast<int64_t>(target - (site + insn.offset)));
      if (is_last && near && fields.empty()) {
        shortened.emplace(bytes.begin(), bytes.begin() + static_cast<long>(insn.offset));
        shortened->insert(shortened->end(), near->begin(), near->end());
      }
    }
    add_variant(range, bytes);
    range.variants.back().fields = fields;
    if (shortened) add_variant(range, *shortened);
  }

  void add_smp_locks() {
    CodePlace first{entity_.section, entity_.begin};
    for (auto it = pre_.smp_locks.lower_bound(first);
         it != pre_.smp_locks.end() && it->first.first == entity_.section &&
         it->first.second < entity_.end;
         ++it) {
      std::optional<uint32_t> at = code_.run_offset(it->first.second - entity_.begin);
      if (!at || *at >= run_.bytes.size() || run_.bytes[*at] != LockPrefix) continue;
      add_variant(add_range(*at, 1, KSPLICE_RANGE_VARIANTS), {LockPrefixOff});
    }
  }

  void add_runtime_constants() {
    CodePlace first{entity_.section, entity_.begin};
    for (auto it = pre_.runtime_constants.lower_bound(first);
         it != pre_.runtime_constants.end() && it->first.first == entity_.section &&
         it->first.second < entity_.end;
         ++it) {
      uint64_t pre_offset = it->first.second - entity_.begin;
      std::optional<uint32_t> start = run_instruction(pre_offset);
      std::optional<Instruction> insn = start ? instruction_at(*start) : std::nullopt;
      if (!insn || insn->imm_size == 0) continue;
      const std::string& name = it->second.name;
      const uint32_t place = *start + insn->imm_offset;
      const std::optional<uint64_t> value = find_constant(image_, name, code_.addr + place);
      if (!value) continue;
      RunRange& range = add_range(
          place, insn->imm_size,
          name.starts_with("ptr_") ? KSPLICE_RANGE_RUNTIME_POINTER : KSPLICE_RANGE_RUNTIME_SHIFT);
      range.has_param = true;
      range.param = image_.locate(*value);
    }
  }

  // Sorted and disjoint. A lock prefix inside an alternative's original doubles that variant; a
  // paravirt site takes the variants of the alternative at the same place; ranges that lie in
  // another (the call of a thunk in an alternative's original) are covered by it.
  void merge() {
    std::stable_sort(run_.ranges.begin(), run_.ranges.end(),
                     [](const RunRange& a, const RunRange& b) {
                       return a.offset != b.offset ? a.offset < b.offset : a.length > b.length;
                     });
    std::vector<RunRange> result;
    for (RunRange& range : run_.ranges) {
      if (result.empty() || range.offset >= result.back().offset + result.back().length) {
        result.push_back(std::move(range));
        continue;
      }
      RunRange& outer = result.back();
      uint32_t inside = range.offset - outer.offset;
      // What the kernel goes on writing is not settled, whatever it lies in.
      if (outer.kind == KSPLICE_RANGE_ALTERNATIVE &&
          (range.kind == KSPLICE_RANGE_VARIANTS || range.kind == KSPLICE_RANGE_STATIC_CALL))
        outer.kind = KSPLICE_RANGE_VARIANTS;
      if (range.kind == KSPLICE_RANGE_PARAVIRT && inside == 0) {
        outer.kind = range.kind;
        outer.has_param = true;
        outer.param = range.param;
      } else if (range.length == 1 && range.kind == KSPLICE_RANGE_VARIANTS) {
        std::vector<RunVariant> doubled;
        for (const RunVariant& variant : outer.variants)
          if (variant.length > inside && variant.bytes[inside] == LockPrefix)
            doubled.push_back(variant);
        for (RunVariant& variant : doubled) {
          variant.bytes[inside] = LockPrefixOff;
          outer.variants.push_back(variant);
        }
      } else if (inside == 0 && range.length == outer.length &&
                 (outer.kind == KSPLICE_RANGE_VARIANTS ||
                  outer.kind == KSPLICE_RANGE_ALTERNATIVE)) {
        // The same bytes seen as a plain alternative and as a thunk call: the latter says more.
        outer.kind = range.kind;
        outer.has_param = range.has_param;
        outer.param = range.param;
        outer.param_number = range.param_number;
      }
    }
    run_.ranges = std::move(result);
    std::vector<RunField> fields;
    for (const RunField& field : run_.fields) {
      bool in_range = std::any_of(run_.ranges.begin(), run_.ranges.end(), [&](const RunRange& r) {
        return field.offset >= r.offset && field.offset < r.offset + uint32_t{r.length};
      });
      if (!in_range) fields.push_back(field);
    }
    run_.fields = std::move(fields);
  }

  const PreIndex& pre_;
  const RunImage& image_;
  const RunTables& tables_;
  const Entity& entity_;
  const Comparison& code_;
  RunCode run_;
};

}  // namespace

RunCode make_run_code(const PreIndex& pre, const RunImage& image, const RunTables& tables,
                      const Entity& entity, const Comparison& code) {
  return RangeMaker(pre, image, tables, entity, code).make();
}

}  // namespace ksplice
