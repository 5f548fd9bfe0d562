// What the targets of one update use of each other. A patch can add an export to one target and use
// it in another: modules that are not built anew cannot know it, so the update itself leads the new
// code there (DESIGN D16).
//
//   in the running target   a function or datum that is exported only now: its run address
//   comes with the update   a place in the update module of the other target, which is loaded
//                           first; where in it shows when the modules are built
//
// A module whose new code uses what another one's update brings along stays no longer than that:
// both are undone at once, and what keeps the one in memory keeps the other.
#pragma once

#include <deque>
#include <map>
#include <string>
#include <vector>

#include "create/targets.h"
#include "create/update_module.h"
#include "objdiff/update/update_object.h"

namespace ksplice {

// By name. modules: the update modules, by target.
std::map<std::string, Neighbour> find_neighbours(const std::deque<ChangedUnit>& units,
                                                 Images& images,
                                                 const std::map<std::string, std::string>& modules);

// The targets in an order in which each comes before those whose neighbours its units refer to.
// Throws Refused if two need each other.
std::vector<std::string> users_first(const std::map<std::string, std::vector<Unit>>& by_target,
                                     const std::map<std::string, Neighbour>& neighbours);

// What other's use of its neighbours means for the update of target.
void add_wanted(const TargetUpdate& other, const std::string& module, UpdateInfo& info);

// The modules that can be built as a whole (--build-modules): the kernel loads none that imports
// what it does not export. Adds a note for each that cannot.
std::vector<std::string> whole_targets(const std::vector<TargetUpdate>& updates,
                                       std::vector<std::string>& notes);

// Fills in where in the built modules things are that other modules use.
void settle_neighbours(std::vector<TargetUpdate>& updates, const BuiltModules& modules);

}  // namespace ksplice
