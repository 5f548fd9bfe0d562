// Makes the update object of one target: the ELF object that carries the new code, the tables of
// kmod-core/ksplice_abi.h, and (beside it) what the finalizer must fill in on the host.
//
// The room update/: in: units with their diffs and matches, the images. Out: an object for kbuild
// to make a module of, and its finalization; on the host, the finished module (finalize.h). What an
// applied update put into a kernel is added to an image here, too (lower_update.h). It never takes
// an address that was not proven, and runs no program.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "objdiff/diff/given_away.h"
#include "objdiff/diff/section_diff.h"
#include "objdiff/image/run_image.h"
#include "objdiff/match/run_pre.h"
#include "objdiff/object/object.h"

namespace ksplice {

// An absolute symbol (SHN_ABS) of the update object whose value is filled in on the host.
struct FinalSymbol {
  std::string name;  // in the object's symbol table; unique among the absolute ones
  RunLocation location;
};

// A field of the section .ksplice.bytes to be filled in on the host: the little-endian value
// target + addend, minus place if pc_relative.
struct FinalField {
  uint64_t offset = 0;  // in .ksplice.bytes
  uint8_t size = 4;
  bool pc_relative = false;
  RunLocation target;
  int64_t addend = 0;
  RunLocation place;  // run location of the field; used if pc_relative
};

struct Finalization {
  std::vector<FinalSymbol> symbols;
  std::vector<FinalField> fields;
};

// JSON text of a finalization and back; throws Error("bad_file") on malformed text.
// {"symbols":[{"name":..,"target":..,"section":..,"import":..,"offset":..,"percpu":..,"symbol":..}],
//  "fields":[{"offset":..,"size":..,"pcrel":..,"target":{location},"addend":..,"place":{location}}]}
std::string write_finalization(const Finalization& finalization);
Finalization read_finalization(const std::string& text);

// One compiled unit with everything learnt about it.
struct Unit {
  std::string name;  // "net/ipv4/tcp_ipv4.o"
  const Object* pre = nullptr;
  const Object* post = nullptr;
  const ObjectDiff* diff = nullptr;
  const MatchResult* match = nullptr;
};

// What a unit of another target gives to modules, and did not before: an export of the patch.
struct Neighbour {
  std::string target;
  std::string module;                   // the target's update module; empty if it has none
  std::optional<RunLocation> existing;  // in the running target; none: it comes with the update
  std::string why_not;                  // why it cannot be used, or empty
  // A function that may be called, and whose address may not go anywhere: it has no landing pad, or
  // objtool seals that of a new one, to which nothing in its own module leads.
  bool call_only = false;
};

// That new code of one target uses what the patch exports from another.
struct NeighbourUse {
  std::string name;
  std::string module;       // of the update, for the other target; empty: it is the kernel's own
  bool is_new = false;      // not in the running target
  bool only_called = true;  // its address goes nowhere
};

// The other side of it.
struct WantedByOther {
  std::string name, user;  // update module
  bool is_new = false;
  bool stays = false;  // after an undo the user may go on using it
};

struct UpdateInfo {
  std::string id, description;
  uint32_t nr_objects = 1;
  std::map<std::string, Neighbour> neighbours = {};  // by name
  std::vector<WantedByOther> wanted = {};
};

// A range of a post object that went into the update, under a name of its own.
struct PlacedRange {
  const Object* post = nullptr;
  const Section* from = nullptr;
  uint64_t begin = 0, end = 0, entry = 0;  // entry: where symbol is
  std::string symbol;
};

struct UpdateObject {
  Object object;  // defines ksplice_update_object; before objtool and the final link
  Finalization finalization;
  std::vector<std::string> replaced;  // names of functions that are redirected
  std::vector<std::string> added;     // new functions and data brought along
  // What may be in live memory after an undo: the undo keeps the update's own memory, unless the
  // patch declares with ksplice_addresses_removed() that its reverse hooks take every such address
  // back.
  std::vector<GivenAway> given_away;
  bool addresses_removed = false;
  bool is_kept() const { return !given_away.empty() && !addresses_removed; }
  std::vector<PlacedRange> placed;
  std::vector<NeighbourUse> uses;  // by name
  std::vector<std::string> needs;  // update modules of image.lowers that it stands on
  std::vector<Refusal> refusals;   // if not empty, the object must not be used
};

// Takes all units of one target that have changes. vmlinux is the kernel's image, image that of
// the target (the same for vmlinux).
UpdateObject make_update_object(const std::vector<Unit>& units, const RunImage& image,
                                const RunImage& vmlinux, const UpdateInfo& info);

// An update that replaces nothing: it says of every matched function of the units, but for those of
// init sections, what the running kernel must have there, so that `ksplice-apply --check` proves
// it. Units need no post and no diff.
UpdateObject make_check_object(const std::vector<Unit>& units, const RunImage& image,
                               const RunImage& vmlinux, const UpdateInfo& info);

}  // namespace ksplice
