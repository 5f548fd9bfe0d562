// Where the parts of one unit can be. Before -ffunction-sections and -fdata-sections took them
// apart, the functions of a unit were one section, its constants another, and the linker moved each
// of these as a whole. So things of one group lie together in run: within no more than the group's
// size, and functions in the order of pre.
//
// This is what tells our static foo from the foo of another file that is alike in every byte, and
// what finds out a reference that leads to another file's datum of the same name.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <unordered_map>
#include <vector>

#include "objdiff/match/pre_index.h"

namespace ksplice {

class UnitLayout {
 public:
  explicit UnitLayout(const PreIndex& pre);

  void place(const Entity& entity, uint64_t addr);
  // The function has that many bytes in run, more or less filling than in pre.
  void measure(const Entity& function, uint64_t run_size);
  void clear();
  // The group that entity belongs to may span that many bytes more.
  void allow(const Entity& entity, uint64_t bytes);
  // Whether entity at addr is near enough to everything placed so far; true for what has no place.
  bool fits(const Entity& entity, uint64_t addr) const;
  // Whether anything is placed where the linker put entity, so that fits() can say no.
  bool has_neighbours(const Entity& entity) const;
  // Whether a function at addr (with its run size) lies between its nearest placed neighbours, both
  // of which there must be.
  bool is_between(const Entity& function, uint64_t addr) const;
  // Whether nothing but filling is between the function and its placed neighbour on either side.
  bool is_beside(const Entity& function, uint64_t addr, uint64_t run_size) const;
  // Sentences about groups that are spread wider than they can be, and about things that overlap.
  struct Complaint {
    const Entity* entity = nullptr;
    std::string what;
  };
  std::vector<Complaint> complaints() const;

 private:
  struct Group {
    uint64_t limit = 0;  // bytes that the group can span
    uint64_t grown = 0;  // and the filling that measured functions have in run only
    std::map<uint64_t, const Entity*> placed;
    std::vector<const Entity*> functions;  // in the order of pre
  };
  const Group* group_of(const Entity& entity) const;
  uint64_t end_of(const Entity& entity, uint64_t addr) const;

  std::map<std::string, Group> groups_;
  std::unordered_map<const Section*, Group*> by_section_;
  std::unordered_map<const Entity*, size_t> order_;  // in functions
  std::unordered_map<const Entity*, uint64_t> addrs_;
  std::unordered_map<const Entity*, uint64_t> sizes_;  // in run
};

}  // namespace ksplice
