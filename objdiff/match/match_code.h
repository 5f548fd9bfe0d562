// Compares one function, or one read-only data object, of a pre object with bytes of a run image at
// a given address. A comparison changes nothing: it says whether the bytes agree, and what would
// follow about the addresses of other things if this were the place. run_pre.cc chooses among
// places.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "objdiff/image/run_image.h"
#include "objdiff/image/run_tables.h"
#include "objdiff/match/pre_index.h"

namespace ksplice {

// "If this place is right, entity is at addr."
struct Sighting {
  const Entity* entity = nullptr;
  uint64_t addr = 0;
  uint64_t pre_offset = 0;  // of the field, in the function or datum
};

// A pointer into the middle of code: right if the entity's instruction at offset is at addr.
struct InnerReference {
  const Entity* entity = nullptr;
  int64_t offset = 0;
  uint64_t addr = 0;
  uint64_t pre_offset = 0;
};

// A relocated field of run code.
struct FieldUse {
  uint32_t run_offset = 0;  // in the function
  uint8_t size = 4;
  bool pc_relative = false;
  uint64_t target = 0;  // run address that the field refers to
  int64_t addend = 0;   // field = target + addend (- place)
};

// Where pre offset (in the entity) and run offset stand for the same instruction boundary.
using OffsetMap = std::vector<std::pair<uint32_t, uint32_t>>;  // sorted

struct CodeDifference {
  uint64_t pre_offset = 0;  // in the entity
  uint64_t run_offset = 0;
  std::string what;
  std::string symbol;  // the datum that differs, if it is not the function itself
};

struct Comparison {
  bool same = false;
  uint64_t addr = 0;
  uint64_t run_size = 0;
  CodeDifference difference;  // if not same
  OffsetMap map;              // code only
  std::vector<Sighting> sightings;
  std::vector<InnerReference> inner;
  std::vector<FieldUse> fields;
  // Merged strings and constants, by content: (section, offset) -> run address.
  std::vector<std::pair<std::pair<const Section*, uint64_t>, uint64_t>> merged;

  // Run offset of a pre offset at an instruction boundary.
  std::optional<uint32_t> run_offset(uint64_t pre_offset) const;
  // Where code ends in run that ends at pre_end: before the filling that run alone may have there.
  std::optional<uint32_t> run_end(uint64_t pre_end) const;
};

class Matcher {
 public:
  Matcher(const PreIndex& pre, const RunImage& image, const RunTables& tables)
      : pre_(pre), image_(image), tables_(tables) {}

  // Compares a function (or unnamed code) at addr, with the tables that describe it.
  Comparison compare_code(const Entity& entity, uint64_t addr) const;
  // Compares a read-only datum at addr.
  Comparison compare_data(const Entity& entity, uint64_t addr) const;
  // Whether merged content at pre (section, offset) is what the image has at addr; "" or what
  // differs.
  std::string compare_merged(const Section& section, int64_t offset, uint64_t addr) const;
  // Code of a replacement or other nameless snippet [begin, end) of section at addr.
  Comparison compare_snippet(const Section& section, uint64_t begin, uint64_t end, uint64_t addr,
                             unsigned depth) const;

 private:
  friend class CodeWalk;
  std::string compare_file_name(const PreTarget& target, uint64_t addr) const;
  std::string refer_from_data(const PreTarget& target, uint64_t target_addr, uint64_t field,
                              Comparison& result) const;
  const PreIndex& pre_;
  const RunImage& image_;
  const RunTables& tables_;
};

int64_t read_field(std::span<const uint8_t> bytes, unsigned size, bool is_signed);

}  // namespace ksplice
