// Start code has run, and never runs again. Two kinds of change look possible and are not:
//
// init_needed. fs/quota/dquot.c between two Debian versions: dqput() uses the new variable
// quota_unbound_wq, and the __init function dquot_init() sets it. In a running kernel it would stay
// null. Somebody has to set it up in a hook.
//
// always_busy. kernel/audit.c: audit_init() starts a kernel thread whose body is kauditd_thread(),
// a loop that ends with the kernel. No instant comes at which no task is inside, and the running
// thread would go on in the old code anyway. Somebody has to say that this does no harm.
//
// Threads that other code starts (one per mount, per device) may run or not: the host finds out.
#include "objdiff/diff/diff_start.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <string_view>

namespace ksplice {

namespace {

using namespace std::string_view_literals;

// Functions that start a thread whose body is their first argument.
constexpr std::array ThreadStarters = {"kthread_create_on_node"sv, "kthread_create_on_cpu"sv,
                                       "kernel_thread"sv, "user_mode_thread"sv};

// Functions that some task of every running system is in: idle tasks, the loops of kernel threads,
// and where init and the shell that waits for ksplice-apply sleep.
struct Resident {
  std::string_view unit, function;
};
constexpr std::array Residents = {
    Resident{"kernel/sched/core.o", "schedule"},
    Resident{"kernel/sched/core.o", "schedule_idle"},
    Resident{"kernel/sched/idle.o", "do_idle"},
    Resident{"kernel/sched/idle.o", "cpu_startup_entry"},
    Resident{"kernel/kthread.o", "kthread"},
    Resident{"kernel/kthread.o", "kthreadd"},
    Resident{"kernel/workqueue.o", "worker_thread"},
    Resident{"kernel/workqueue.o", "rescuer_thread"},
    Resident{"kernel/smpboot.o", "smpboot_thread_fn"},
    Resident{"kernel/rcu/tree.o", "rcu_gp_kthread"},
    Resident{"mm/vmscan.o", "kswapd"},
    Resident{"init/main.o", "kernel_init"},
    Resident{"kernel/exit.o", "do_wait"},
    Resident{"kernel/exit.o", "kernel_wait4"},
    Resident{"kernel/exit.o", "__do_sys_wait4"},
    Resident{"fs/eventpoll.o", "ep_poll"},
    Resident{"fs/eventpoll.o", "do_epoll_wait"},
};

bool is_start_code(const Atom& atom) {
  return atom.is_function() && is_init_section(atom.section->name) &&
         !atom.section->name.starts_with(".exit");
}

bool is_resident(const std::string& unit, const std::string& function) {
  return std::any_of(Residents.begin(), Residents.end(), [&](const Resident& each) {
    return unit.ends_with(each.unit) && function == each.function;
  });
}

bool is_call(const Atoms& atoms, const Atom& atom, const Relocation& relocation) {
  const Instruction* instruction = atoms.code(*atom.section)->at(relocation.offset);
  return instruction != nullptr && (instruction->kind == InstructionKind::Call ||
                                    instruction->kind == InstructionKind::Jump);  // at the end
}

// Functions whose address atom loads before it calls a starter of threads.
std::set<const Atom*> thread_bodies(const Atoms& atoms, const Atom& atom) {
  std::set<const Atom*> bodies, loaded;
  for (const Relocation* relocation : atoms.relocations(atom)) {
    const Reference reference = atoms.resolve(*atom.section, *relocation);
    if (!is_call(atoms, atom, *relocation)) {
      if (reference.atom != nullptr && reference.atom->is_function() && reference.offset == 0)
        loaded.insert(reference.atom);
      continue;
    }
    const std::string_view callee = reference.symbol != nullptr ? reference.symbol->name
                                    : reference.atom != nullptr ? reference.atom->name
                                                                : ""sv;
    if (std::count(ThreadStarters.begin(), ThreadStarters.end(), callee) != 0)
      bodies.insert(loaded.begin(), loaded.end());
    loaded.clear();
  }
  return bodies;
}

// Thread body -> the start code that starts it, itself or by a function of the unit that it calls.
std::map<const Atom*, const Atom*> threads_from_start(const Atoms& atoms) {
  std::map<const Atom*, const Atom*> threads;
  for (const Atom& atom : atoms.all()) {
    if (!is_start_code(atom)) continue;
    for (const Atom* body : thread_bodies(atoms, atom)) threads.emplace(body, &atom);
    for (const Relocation* relocation : atoms.relocations(atom)) {
      const Atom* callee = atoms.resolve(*atom.section, *relocation).atom;
      if (callee == nullptr || !callee->is_function() || !is_call(atoms, atom, *relocation))
        continue;
      for (const Atom* body : thread_bodies(atoms, *callee)) threads.emplace(body, &atom);
    }
  }
  return threads;
}

Refusal always_busy(const DiffContext& context, const FunctionDiff& function, std::string why) {
  Refusal refusal;
  refusal.code = "always_busy";
  refusal.object = context.post.object().path;
  refusal.section = function.section;
  refusal.symbol = function.name;
  refusal.message = fmt::format("{} is never without a task in it: {}", function.name, why);
  refusal.advice = fmt::format(
      "the tasks in it go on in the old code; if old and new code may run side by side, create the "
      "update with --allow-busy={}",
      function.name);
  if (!function.reasons.empty()) {
    refusal.offset = function.reasons.front().offset;
    refusal.found = function.reasons.front().detail;
  }
  return refusal;
}

void find_always_busy(const DiffContext& context, std::vector<Refusal>& refusals) {
  std::map<const Atom*, const Atom*> threads;
  bool searched = false;
  for (const FunctionDiff& function : context.diff.functions) {
    // Also what is gone must be off every stack.
    if (function.status == DiffStatus::Same || function.pre == nullptr) continue;
    if (is_init_section(function.section)) continue;
    if (!searched) threads = threads_from_start(context.pre);
    searched = true;
    auto thread = threads.find(context.pre.of(function.pre));
    if (thread != threads.end())
      refusals.push_back(always_busy(
          context, function,
          fmt::format("it is the body of a kernel thread that {} starts", thread->second->name)));
    else if (is_resident(context.post.object().path, function.name))
      refusals.push_back(always_busy(context, function, "tasks of every system wait there"));
  }
}

void find_init_needed(const DiffContext& context, std::vector<Refusal>& refusals) {
  std::map<const Atom*, const Atom*> set_up;  // new data -> start code that names it
  auto each_data = [&](const FunctionDiff& function, auto visit) {
    const Atom* atom = context.post.of(function.post);
    for (const Relocation* relocation : context.post.relocations(*atom)) {
      const Atom* data = context.post.resolve(*atom->section, *relocation).atom;
      if (data != nullptr && data->kind == AtomKind::Data && data->section->is_write() &&
          context.correlation.pre(data) == nullptr)
        visit(data, atom);
    }
  };
  for (const FunctionDiff& function : context.diff.functions)
    if (function.post != nullptr && function.status != DiffStatus::Same &&
        is_start_code(*context.post.of(function.post)))
      each_data(function, [&](const Atom* data, const Atom* atom) { set_up.emplace(data, atom); });
  std::set<const Atom*> told;
  for (const FunctionDiff& function : context.diff.functions) {
    if (set_up.empty() || function.post == nullptr || function.status == DiffStatus::Same) continue;
    if (is_init_section(function.section)) continue;
    each_data(function, [&](const Atom* data, const Atom*) {
      auto found = set_up.find(data);
      if (found == set_up.end() || !told.insert(data).second) return;
      Refusal& refusal = refusals.emplace_back();
      refusal.code = "init_needed";
      refusal.object = context.post.object().path;
      refusal.section = data->section->name;
      refusal.symbol = data->name;
      refusal.message =
          fmt::format("{} is new, and {}, which has run already, would have set it up", data->name,
                      found->second->name);
      refusal.found = fmt::format("used by {}", function.name);
      refusal.advice =
          "set it up in a ksplice_pre_apply hook, and take it down in ksplice_post_reverse";
    });
  }
}

}  // namespace

std::vector<Refusal> find_start_refusals(const DiffContext& context) {
  std::vector<Refusal> refusals;
  find_always_busy(context, refusals);
  find_init_needed(context, refusals);
  return refusals;
}

}  // namespace ksplice
