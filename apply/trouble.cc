#include "apply/trouble.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>

#include "objdiff/base/error.h"

namespace ksplice {

namespace {

// From 6.1, 6.12 and 7.3: lib/bug.c and kernel/panic.c (the first two frame each WARN, BUG and
// oops), arch/x86/mm/fault.c, arch/x86/kernel/dumpstack.c and traps.c, kernel/watchdog.c and
// watchdog_perf.c, kernel/hung_task.c, kernel/workqueue.c, kernel/rcu/tree_stall.h, tree_exp.h and
// tasks.h, kernel/sched/core.c, mm/page_alloc.c, mm/kasan/report.c (its line of 66 signs is
// KFENCE's and KCSAN's, too), kernel/locking/lockdep.c.
constexpr TroubleWord Words[] = {
    {"warning", "------------[ cut here ]------------", true},
    {"warning", "---[ end trace 0000000000000000 ]---", true},
    {"warning", "WARNING: possible circular locking dependency detected", true},
    {"warning", "WARNING: possible recursive locking detected", true},
    {"warning", "WARNING: inconsistent lock state", true},
    {"warning", "WARNING: bad unlock balance detected!", true},
    {"warning", "WARNING: suspicious RCU usage", true},
    {"warning", "BUG: scheduling while atomic: ", false},
    {"warning", "BUG: sleeping function called from invalid context at ", false},
    {"warning", "BUG: using smp_processor_id() in preemptible ", false},
    {"oops", "BUG: unable to handle ", false},
    {"oops", "BUG: kernel NULL pointer dereference, address: ", false},
    {"oops", "BUG: stack guard page was hit at ", false},
    {"oops", "BUG: Bad page state in process ", false},
    {"oops", "BUG: Bad page map in process ", false},
    {"oops", "BUG: Bad rss-counter state ", false},
    {"oops", "general protection fault, ", false},
    {"oops", "general protection fault: ", false},
    {"oops", "Oops: general protection fault", false},
    {"oops", "Oops: invalid opcode: ", false},
    {"oops", "Kernel panic - not syncing: ", false},
    {"oops", "==================================================================", true},
    {"lockup", "watchdog: BUG: soft lockup - CPU#", false},
    {"lockup", "watchdog: Watchdog detected hard LOCKUP on cpu ", false},
    {"lockup", "NMI watchdog: Watchdog detected hard LOCKUP on cpu ", false},
    {"lockup", "BUG: workqueue lockup - pool", false},
    {"lockup", "BUG: spinlock lockup suspected", false},
    {"lockup", "\"echo 0 > /proc/sys/kernel/hung_task_timeout_secs\" disables this message.", true},
    {"stall", "rcu: INFO: rcu_sched detected ", false},
    {"stall", "rcu: INFO: rcu_preempt detected ", false},
    {"stall", "rcu: INFO: rcu_sched self-detected stall on CPU", false},
    {"stall", "rcu: INFO: rcu_preempt self-detected stall on CPU", false},
    {"stall", "rcu: rcu_sched kthread starved for ", false},
    {"stall", "rcu: rcu_preempt kthread starved for ", false},
    {"stall", "INFO: rcu_tasks detected stalls on tasks:", false},
    {"stall", "INFO: rcu_tasks_trace detected stalls on tasks:", false},
    {"stall", "INFO: rcu_tasks_rude detected stalls on tasks:", false},
    {"stall", "rcu_tasks_wait_gp: rcu_tasks grace period", false},
};

// Documentation/admin-guide/tainted-kernels.rst: bad page, died, warned, soft lockup.
constexpr uint64_t TroubleTaint = 1 << 5 | 1 << 7 | 1 << 9 | 1 << 14;

constexpr uint64_t SoftLockupTaint = 1 << 14;

constexpr size_t LongestWords = 300;

// Takes a number and what is behind it off text.
std::optional<uint64_t> take_number(std::string_view& text, char behind) {
  uint64_t value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end == text.data() + text.size() || *end != behind)
    return std::nullopt;
  text.remove_prefix(static_cast<size_t>(end - text.data()) + 1);
  return value;
}

}  // namespace

std::span<const TroubleWord> trouble_words() { return Words; }

std::optional<KernelRecord> parse_kernel_record(std::string_view record) {
  const std::optional<uint64_t> priority = take_number(record, ',');
  const std::optional<uint64_t> sequence = priority ? take_number(record, ',') : std::nullopt;
  const size_t begin = record.find(';');
  if (!sequence || begin == std::string_view::npos) return std::nullopt;
  record.remove_prefix(begin + 1);
  return KernelRecord{static_cast<unsigned>(*priority >> 3), *sequence,
                      std::string(record.substr(0, record.find('\n')))};
}

const TroubleWord* find_trouble(const KernelRecord& record) {
  if (record.facility != 0) return nullptr;
  for (const TroubleWord& word : Words)
    if (word.is_whole ? record.text == word.text : record.text.starts_with(word.text)) return &word;
  return nullptr;
}

uint64_t trouble_taint(const Host& host) {
  const std::string text = read_text(host.path("/proc/sys/kernel/tainted"));
  uint64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value & TroubleTaint;
}

TroubleWatch::TroubleWatch(const Host& host) : TroubleWatch(host, 0, trouble_taint(host)) {
  while (next()) {
  }
}

TroubleWatch::TroubleWatch(const Host& host, uint64_t after, uint64_t taint)
    : host_(host),
      fd_(::open(host.path("/dev/kmsg").c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC)),
      last_(after),
      taint_(taint) {
  if (fd_.get() < 0)
    throw Error("failed", fmt::format("cannot read the kernel's log: {}", std::strerror(errno)),
                "without it nobody can see what goes wrong; apply the update without --probation");
}

// One read gives one record; EPIPE means that some were overwritten before we came.
std::optional<KernelRecord> TroubleWatch::next() {
  char buffer[8192];
  for (;;) {
    const ssize_t got = ::read(fd_.get(), buffer, sizeof buffer);
    if (got < 0 && (errno == EPIPE || errno == EINTR)) continue;
    if (got <= 0) return std::nullopt;
    std::optional<KernelRecord> record =
        parse_kernel_record(std::string_view(buffer, static_cast<size_t>(got)));
    if (!record || (record->sequence <= last_ && last_ != 0)) continue;
    last_ = record->sequence;
    return record;
  }
}

std::optional<std::string> TroubleWatch::look() {
  std::string found;
  read_trouble(found);
  if (!found.empty()) {
    // What it is about stands behind the frame, and may still be on its way.
    ::usleep(200'000);
    read_trouble(found);
    return found;
  }
  const uint64_t fresh = trouble_taint(host_) & ~taint_;
  if (fresh == 0) return std::nullopt;
  is_stuck_ = is_stuck_ || (fresh & SoftLockupTaint) != 0;
  return fmt::format("the kernel is tainted by {:#x} since", fresh);
}

void TroubleWatch::read_trouble(std::string& found) {
  while (const std::optional<KernelRecord> record = next()) {
    const TroubleWord* word = find_trouble(*record);
    if (word != nullptr && (word->kind == "lockup" || word->kind == "stall")) is_stuck_ = true;
    if (record->facility != 0 || (found.empty() && word == nullptr)) continue;
    if (found.empty()) found = fmt::format("{}:", word->kind);
    const bool is_frame = word != nullptr && word->is_whole;
    if (!is_frame && found.size() + record->text.size() < LongestWords) found += " " + record->text;
  }
}

}  // namespace ksplice
