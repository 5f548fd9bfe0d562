// Changes a run image in one place at a time and asks whether matching still accepts it.
//
//   mutation --image VMLINUZ [--flips 10000] [--edits 2000] [--seed 1] PRE.o...
//
// Places are drawn from the code of all matched functions, from the strings and constants that they
// refer to, and from the tables that describe them. Flips change one bit. Edits are what a person
// or another compiler would do: another register, another constant, another call or jump target,
// two instructions swapped, another string, another entry of a jump table or other read-only data,
// another byte in the function's entry of __jump_table, __ex_table, .altinstructions, __bug_table,
// .static_call_sites or the tables of runtime constants. A mutation is accepted if the function is
// still matched at the same address and without a contradiction; each is printed. Free by
// run_pre.cc's list, and counted as that where accepted: the file and line of a __bug_table entry
// ("Line numbers"), and the place of an alternative's replacement ("Replacements"). "unreadable"
// counts what is not matched because the image's table cannot be read with it, which is a refusal
// of the whole image. Exit status 1 if anything else was accepted.
//
// A unit is matched as a whole, which takes long for a large one, only where the changed function
// by itself still looks like the right one: run_pre.cc's try_at() accepts no place whose code
// differs, whatever the rest of the unit says. --whole-units does without this.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <map>
#include <random>

#include "objdiff/base/tool.h"
#include "objdiff/image/run_image.h"
#include "objdiff/image/run_tables.h"
#include "objdiff/match/match_code.h"
#include "objdiff/match/run_pre.h"
#include "objdiff/object/code.h"
#include "objdiff/object/elf_read.h"

namespace ksplice {
namespace {

struct Place {  // of one matched function
  const Object* pre;
  const Symbol* symbol;
  RunCode run;
};

class Mutation {
 public:
  Mutation(RunImage& image, uint64_t seed, bool whole_units)
      : image_(image), random_(seed), whole_units_(whole_units), tables_(keep_tables(image)) {}

  void add(const Object& pre) {
    if (!whole_units_) units_[&pre] = std::make_unique<Unit>(pre, image_, *tables_);
    MatchResult result = match_run_pre(pre, image_);
    for (FunctionMatch& match : result.functions)
      if (match.status == MatchStatus::Matched && !match.run.bytes.empty())
        places_.push_back({&pre, match.pre, match.run});
    for (const auto& [place, addr] : result.anonymous) {
      const Section& section = *place.first;
      if (section.is_strings()) strings_[&pre].push_back(addr);
      if (section.is_strings() || section.is_write() || section.is_exec() || section.size == 0)
        continue;
      uint64_t size = section.size - place.second;
      if ((section.flags & 0x10) != 0 && section.entsize != 0)  // SHF_MERGE: one constant
        size = section.entsize - place.second % section.entsize;
      data_[&pre].push_back({addr, size});
    }
    for (const auto& [symbol, addr] : result.addresses)
      if (symbol->section != nullptr && symbol->size > 0 && !symbol->section->is_write() &&
          !symbol->section->is_exec() && symbol->section->is_alloc() &&
          symbol->section->type == 1 && symbol->section->name != ".BTF_ids" && symbol->bind != 2)
        data_[&pre].push_back({addr, symbol->size});
  }

  // The tables' entries about matched functions.
  void find_entries() {
    std::vector<Table> tables = {
        {"__jump_table", "__start___jump_table", "__stop___jump_table", 16},
        {"__ex_table", "__start___ex_table", "__stop___ex_table", 12},
        {".altinstructions", "__alt_instructions", "__alt_instructions_end", 0},
        {"__bug_table", "__start___bug_table", "__stop___bug_table", 0},
        {".static_call_sites", "__start_static_call_sites", "__stop_static_call_sites", 8}};
    // 6.11 and later: distances to the constants in the code.
    const std::string runtime = "__start_runtime_";
    for (const RunSymbol& symbol : image_.symbols)
      if (symbol.name.starts_with(runtime))
        tables.push_back(
            {symbol.name.substr(8), symbol.name, "__stop_" + symbol.name.substr(8), 4});
    std::map<uint64_t, const Place*> functions;
    for (const Place& place : places_) functions[place.run.addr] = &place;
    for (const Table& table : tables) {
      const RunSymbol* start = image_.unique_symbol(table.start);
      const RunSymbol* stop = image_.unique_symbol(table.stop);
      if (start == nullptr || stop == nullptr) continue;
      uint64_t size = table.entry;
      if (size == 0) size = (stop->addr - start->addr) / count(table.name);
      for (uint64_t at = start->addr; at + size <= stop->addr; at += size) {
        int32_t distance;
        std::memcpy(&distance, image_.read(at, 4)->data(), 4);
        uint64_t code = at + static_cast<uint64_t>(static_cast<int64_t>(distance));
        auto after = functions.upper_bound(code);
        if (after == functions.begin()) continue;
        const Place& place = *std::prev(after)->second;
        if (code - place.run.addr < place.run.bytes.size())
          entries_.push_back({&place, at, size, table.name});
      }
    }
  }

  void flips(unsigned count) {
    for (unsigned i = 0; i < count && !places_.empty(); i++) {
      const Place& place = pick(places_);
      uint64_t offset = random_() % place.run.bytes.size();
      std::vector<uint8_t> bytes = {place.run.bytes[offset]};
      bytes[0] ^= static_cast<uint8_t>(1u << random_() % 8);
      check(place, "flip", place.run.addr + offset, bytes);
    }
  }

  void edits(unsigned count) {
    for (unsigned i = 0; done_ < count && i < count * 20 && !places_.empty(); i++) {
      const Place& place = pick(places_);
      std::vector<Instruction> code = decode_range(place.run.bytes, 0, place.run.bytes.size());
      size_t at = random_() % code.size();
      switch (random_() % 7) {
        case 0:
          edit_register(place, code[at]);
          break;
        case 1:
          edit_constant(place, code[at]);
          break;
        case 2:
          edit_target(place, code[at]);
          break;
        case 3:
          if (at + 1 < code.size()) swap(place, code[at], code[at + 1]);
          break;
        case 4:
          edit_string(place);
          break;
        case 5:
          edit_data(place);
          break;
        case 6:
          edit_entry();
          break;
      }
    }
  }

  // Prints the counts; true if nothing was accepted that is not free.
  bool report() const {
    Count all;
    for (const auto& [kind, count] : counts_) {
      fmt::print("{:<20} {:>6} tried, {} accepted, {} free, {} unreadable\n", kind, count.tried,
                 count.accepted, count.free, count.unreadable);
      all.tried += count.tried;
      all.accepted += count.accepted;
      all.free += count.free;
      all.unreadable += count.unreadable;
    }
    fmt::print("{} mutations in {} functions, {} accepted, {} free, {} unreadable\n", all.tried,
               places_.size(), all.accepted, all.free, all.unreadable);
    return all.accepted == 0;
  }

 private:
  struct Unit {
    Unit(const Object& pre, const RunImage& image, const RunTables& tables)
        : index(pre, tables.series), matcher(index, image, tables) {}
    PreIndex index;
    Matcher matcher;
  };
  struct Table {
    std::string name, start, stop;
    uint64_t entry;  // bytes, 0 if that depends on the kernel
  };
  struct Entry {
    const Place* place;
    uint64_t addr, size;
    std::string table;
  };
  struct Count {
    unsigned tried = 0, accepted = 0, free = 0, unreadable = 0;
  };

  static std::shared_ptr<const RunTables> keep_tables(const RunImage& image) {
    tables_of(image);
    return image.tables;
  }

  template <typename T>
  const T& pick(const std::vector<T>& list) {
    return list[random_() % list.size()];
  }

  std::vector<uint8_t> bytes_of(const Place& place, const Instruction& insn) const {
    return {place.run.bytes.begin() + static_cast<long>(insn.offset),
            place.run.bytes.begin() + static_cast<long>(insn.end())};
  }

  void edit_register(const Place& place, const Instruction& insn) {
    if (insn.modrm_offset == 0 || insn.is_padding()) return;
    std::vector<uint8_t> bytes = bytes_of(place, insn);
    bytes[insn.modrm_offset] ^= static_cast<uint8_t>(8u << random_() % 3);
    done_++;
    check(place, "register", place.run.addr + insn.offset, bytes);
  }

  void edit_constant(const Place& place, const Instruction& insn) {
    if (insn.imm_size == 0 || insn.is_branch()) return;
    std::vector<uint8_t> bytes = bytes_of(place, insn);
    bytes[insn.imm_offset] = static_cast<uint8_t>(bytes[insn.imm_offset] + 1 + random_() % 254);
    done_++;
    check(place, "constant", place.run.addr + insn.offset, bytes);
  }

  // Another function for a call, another instruction of the function for a jump.
  void edit_target(const Place& place, const Instruction& insn) {
    if (!insn.is_branch() || insn.imm_size != 4) return;
    std::vector<uint8_t> bytes = bytes_of(place, insn);
    uint64_t target = pick(places_).run.addr;
    if (insn.kind != InstructionKind::Call) {
      std::vector<Instruction> code = decode_range(place.run.bytes, 0, place.run.bytes.size());
      target = place.run.addr + pick(code).offset;
    }
    int64_t distance = static_cast<int64_t>(target - (place.run.addr + insn.end()));
    std::memcpy(bytes.data() + insn.imm_offset, &distance, 4);
    done_++;
    check(place, "target", place.run.addr + insn.offset, bytes);
  }

  void swap(const Place& place, const Instruction& first, const Instruction& second) {
    std::vector<uint8_t> bytes = bytes_of(place, second), tail = bytes_of(place, first);
    bytes.insert(bytes.end(), tail.begin(), tail.end());
    done_++;
    check(place, "swap", place.run.addr + first.offset, bytes);
  }

  void edit_string(const Place& place) {
    const std::vector<uint64_t>& list = strings_[place.pre];
    if (list.empty()) return;
    uint64_t addr = pick(list);
    auto bytes = image_.read(addr, 1);
    if (!bytes) return;
    done_++;
    check_object(*place.pre, "string", addr, {static_cast<uint8_t>((*bytes)[0] ^ 0x20)});
  }

  void edit_data(const Place& place) {
    const auto& list = data_[place.pre];
    if (list.empty()) return;
    auto [addr, size] = pick(list);
    addr += random_() % size;
    auto bytes = image_.read(addr, 1);
    if (!bytes) return;
    done_++;
    check_object(*place.pre, "read-only data", addr,
                 {static_cast<uint8_t>((*bytes)[0] + 1 + random_() % 254)});
  }

  // struct alt_instr and struct bug_entry have other sizes in other kernels.
  uint64_t count(const std::string& table) const {
    uint64_t count = table == "__bug_table" ? tables_of(image_).bugs.size() : 0;
    if (table == ".altinstructions")
      for (const auto& [addr, entries] : tables_of(image_).alternatives) count += entries.size();
    return std::max<uint64_t>(count, 1);
  }

  // The file and line of a trap, and where an alternative's replacement lies: if that was accepted,
  // the same code lies there, too.
  bool is_free(const Entry& entry, uint64_t offset) const {
    if (entry.table == "__bug_table") return offset >= entry.size - 8 && offset < entry.size - 2;
    return entry.table == ".altinstructions" && offset >= 4 && offset < 8;
  }

  void edit_entry() {
    if (entries_.empty()) return;
    const Entry& entry = pick(entries_);
    uint64_t offset = random_() % entry.size;
    uint8_t byte = (*image_.read(entry.addr + offset, 1))[0];
    done_++;
    in_table_ = true;
    is_free_ = is_free(entry, offset);
    check(*entry.place, entry.table.c_str(), entry.addr + offset,
          {static_cast<uint8_t>(byte + 1 + random_() % 254)});
    in_table_ = is_free_ = false;
  }

  // Puts bytes into the image for the time of run().
  template <typename F>
  bool with(uint64_t addr, const std::vector<uint8_t>& bytes, const F& run) {
    RunSection* section = const_cast<RunSection*>(image_.section_at(addr));
    uint8_t* at = section->data.data() + (addr - section->addr);
    std::vector<uint8_t> saved(at, at + bytes.size());
    if (saved == bytes) return false;
    std::copy(bytes.begin(), bytes.end(), at);
    if (in_table_) image_.tables.reset();
    run();
    std::copy(saved.begin(), saved.end(), at);
    if (in_table_) image_.tables = tables_;
    return true;
  }

  // Whether the code at the function's own place differs, so that no match can choose that place.
  bool differs_by_itself(const Place& place) const {
    auto unit = units_.find(place.pre);
    if (in_table_ || unit == units_.end()) return false;
    const Entity* entity = unit->second->index.entity_of(place.symbol);
    return entity != nullptr && !unit->second->matcher.compare_code(*entity, place.run.addr).same;
  }

  // Nothing if a table cannot be read.
  std::optional<MatchResult> match(const Object& pre) const {
    try {
      return match_run_pre(pre, image_);
    } catch (const Error&) {
      return std::nullopt;
    }
  }

  void check(const Place& place, const char* kind, uint64_t addr,
             const std::vector<uint8_t>& bytes) {
    with(addr, bytes, [&] {
      Count& count = counts_[kind];
      count.tried++;
      if (differs_by_itself(place)) return;
      std::optional<MatchResult> tried = match(*place.pre);
      if (!tried) count.unreadable++;
      if (!tried) return;
      const MatchResult& result = *tried;
      const FunctionMatch* match = result.find(place.symbol);
      bool same = match != nullptr && match->status == MatchStatus::Matched &&
                  match->run.addr == place.run.addr && result.contradictions.empty();
      if (!same) return;
      if (is_free_) count.free++;
      if (is_free_) return;
      count.accepted++;
      uint64_t offset = addr - place.run.addr;
      fmt::print("ACCEPTED {} in {} {}+{:#x}\n{}---\n{}", kind, place.pre->path, place.symbol->name,
                 offset, disassemble_around(place.run.bytes, place.run.addr, offset, 2),
                 disassemble_around(*image_.read(place.run.addr, place.run.bytes.size()),
                                    place.run.addr, offset, 2));
    });
  }

  // The place belongs to some function of the object.
  void check_object(const Object& pre, const char* kind, uint64_t addr,
                    const std::vector<uint8_t>& bytes) {
    with(addr, bytes, [&] {
      MatchResult result = match_run_pre(pre, image_);
      Count& count = counts_[kind];
      count.tried++;
      if (!result.contradictions.empty()) return;
      for (const FunctionMatch& match : result.functions)
        if (match.status != MatchStatus::Matched) return;
      count.accepted++;
      fmt::print("ACCEPTED {} in {} at {:#x}\n", kind, pre.path, addr);
    });
  }

  RunImage& image_;
  std::mt19937_64 random_;
  bool whole_units_;
  std::shared_ptr<const RunTables> tables_;
  std::map<const Object*, std::unique_ptr<Unit>> units_;
  std::vector<Place> places_;
  std::map<const Object*, std::vector<uint64_t>> strings_;
  std::map<const Object*, std::vector<std::pair<uint64_t, uint64_t>>> data_;  // addr, size
  std::vector<Entry> entries_;
  std::map<std::string, Count> counts_;
  unsigned done_ = 0;
  bool in_table_ = false, is_free_ = false;
};

}  // namespace
}  // namespace ksplice

int main(int argc, char** argv) {
  CLI::App app("mutate an image and see whether matching notices", "mutation");
  std::string path;
  unsigned flips = 10000, edits = 2000;
  uint64_t seed = 1;
  bool whole_units = false;
  std::vector<std::string> objects;
  app.add_option("--image", path, "kernel or module")->required();
  app.add_option("--flips", flips, "single bits");
  app.add_option("--edits", edits, "meaningful edits");
  app.add_option("--seed", seed, "of the random numbers");
  app.add_flag("--whole-units", whole_units, "match the unit again for each change");
  app.add_option("PRE", objects, "objects")->required();
  CLI11_PARSE(app, argc, argv);
  return ksplice::run_tool("mutation", [&] {
    ksplice::RunImage image = ksplice::read_run_image(path);
    ksplice::Mutation mutation(image, seed, whole_units);
    std::vector<std::unique_ptr<ksplice::Object>> pre;
    for (const std::string& name : objects) {
      pre.push_back(std::make_unique<ksplice::Object>(ksplice::read_object(name)));
      mutation.add(*pre.back());
    }
    mutation.find_entries();
    mutation.flips(flips);
    mutation.edits(edits);
    return mutation.report() ? 0 : 1;
  });
}
