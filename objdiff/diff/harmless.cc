// The kernel's functions that are known to read (or write) what a pointer leads to and to keep no
// pointer when they return. A name belongs here if that is so in every kernel and configuration;
// what is not here is taken to keep what it is given.
//
// Not here, though it looks harmless: __trace_bprintk (keeps the format in the trace buffer),
// lockdep_init_map and all that takes a lock class (keeps name and key), kmem_cache_create,
// request_threaded_irq, __request_region (keep the name), proc_create (keeps the operations).
#include <algorithm>
#include <map>
#include <string_view>

#include "objdiff/diff/given_away.h"

namespace ksplice {

namespace {

constexpr Callee Reads = {};
constexpr Callee Sleeps = {.sleeps = true};
constexpr Callee Copies = {.copies = true};
constexpr Callee CopiesAndSleeps = {.sleeps = true, .copies = true};
constexpr Callee CopiesAndReturns = {.copies = true, .returns_first = true};
constexpr Callee Returns = {.returns_first = true};

const std::map<std::string_view, Callee>& by_name() {
  static const std::map<std::string_view, Callee> names = {
      // Messages.
      {"_printk", Reads},
      {"_printk_deferred", Reads},
      {"vprintk", Reads},
      {"__warn_printk", Reads},
      {"_dev_printk", Reads},
      {"_dev_emerg", Reads},
      {"_dev_alert", Reads},
      {"_dev_crit", Reads},
      {"_dev_err", Reads},
      {"_dev_warn", Reads},
      {"_dev_notice", Reads},
      {"_dev_info", Reads},
      {"dev_err_probe", Copies},
      {"netdev_printk", Reads},
      {"netdev_emerg", Reads},
      {"netdev_alert", Reads},
      {"netdev_crit", Reads},
      {"netdev_err", Reads},
      {"netdev_warn", Reads},
      {"netdev_notice", Reads},
      {"netdev_info", Reads},
      {"__dynamic_pr_debug", Reads},
      {"__dynamic_dev_dbg", Reads},
      {"__dynamic_netdev_dbg", Reads},
      {"___ratelimit", Reads},
      {"print_hex_dump", Reads},
      {"dump_stack_lvl", Reads},
      {"audit_log_format", Sleeps},
      {"panic", Reads},
      {"__might_sleep", Reads},
      {"__might_resched", Reads},
      {"__might_fault", Reads},
      // Texts.
      {"snprintf", Reads},
      {"scnprintf", Reads},
      {"sprintf", Reads},
      {"vsnprintf", Reads},
      {"vscnprintf", Reads},
      {"kasprintf", Sleeps},
      {"kvasprintf", Sleeps},
      {"kstrdup", Sleeps},
      {"kmemdup", CopiesAndSleeps},
      {"seq_printf", Reads},
      {"seq_puts", Reads},
      {"seq_write", Reads},
      {"sysfs_emit", Reads},
      {"sysfs_emit_at", Reads},
      {"strlen", Reads},
      {"strnlen", Reads},
      {"strcmp", Reads},
      {"strncmp", Reads},
      {"strcasecmp", Reads},
      {"strncasecmp", Reads},
      {"sysfs_streq", Reads},
      {"memcmp", Reads},
      {"bcmp", Reads},
      {"strcpy", Returns},
      {"strncpy", Returns},
      {"strcat", Returns},
      {"strncat", Returns},
      {"strlcpy", Reads},
      {"strlcat", Reads},
      {"strscpy", Reads},
      {"strscpy_pad", Reads},
      {"sized_strscpy", Reads},
      {"kstrtoint", Reads},
      {"kstrtouint", Reads},
      {"kstrtoll", Reads},
      {"kstrtoull", Reads},
      {"kstrtobool", Reads},
      // Memory.
      {"memcpy", CopiesAndReturns},
      {"__memcpy", CopiesAndReturns},
      {"memmove", CopiesAndReturns},
      {"__memmove", CopiesAndReturns},
      {"memset", Returns},
      {"__memset", Returns},
      {"_copy_to_user", CopiesAndSleeps},
      {"_copy_from_user", Sleeps},
      {"__check_object_size", Reads},
      // Locks: the waiting task has the caller's frame on its stack.
      {"mutex_lock", Sleeps},
      {"mutex_unlock", Sleeps},
      {"mutex_trylock", Sleeps},
      {"mutex_is_locked", Reads},
      {"mutex_lock_interruptible", Sleeps},
      {"mutex_lock_killable", Sleeps},
      {"down_read", Sleeps},
      {"down_write", Sleeps},
      {"up_read", Sleeps},
      {"up_write", Sleeps},
      {"_raw_spin_lock", Reads},
      {"_raw_spin_lock_bh", Reads},
      {"_raw_spin_lock_irq", Reads},
      {"_raw_spin_lock_irqsave", Reads},
      {"_raw_spin_trylock", Reads},
      {"_raw_spin_unlock", Reads},
      {"_raw_spin_unlock_bh", Reads},
      {"_raw_spin_unlock_irq", Reads},
      {"_raw_spin_unlock_irqrestore", Reads},
      {"_raw_read_lock", Reads},
      {"_raw_read_unlock", Reads},
      {"_raw_write_lock", Reads},
      {"_raw_write_unlock", Reads},
      // Keys of jump labels: the loader forgets those of a module that leaves.
      {"static_key_enable", Sleeps},
      {"static_key_disable", Sleeps},
      {"static_key_slow_inc", Sleeps},
      {"static_key_slow_dec", Sleeps},
      {"static_key_count", Reads},
      // The core's shadow variables call back before they return (kmod-core/shadow.c).
      {"ksplice_shadow_get", Reads},
      {"ksplice_shadow_attach", Reads},
      {"ksplice_shadow_get_or_attach", Reads},
      {"ksplice_shadow_free", Reads},
      {"ksplice_shadow_free_all", Reads},
  };
  return names;
}

// Families of the compiler's own calls, which report or look at an access.
constexpr std::string_view Prefixes[] = {"__asan_", "__ubsan_handle_", "__kasan_check_"};

}  // namespace

const Callee* find_harmless(const std::string& name) {
  auto found = by_name().find(name);
  if (found != by_name().end()) return &found->second;
  bool is_of_family =
      std::any_of(std::begin(Prefixes), std::end(Prefixes),
                  [&](std::string_view prefix) { return name.starts_with(prefix); });
  return is_of_family ? &Reads : nullptr;
}

}  // namespace ksplice
