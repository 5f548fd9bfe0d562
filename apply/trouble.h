// What the kernel says of itself when something has gone badly wrong: warnings, oopses, lockups,
// stalls. Read from /dev/kmsg, whose records say who wrote them: those of facility 0 are the
// kernel's own, and nobody else can write such a record (kernel/printk/printk.c, devkmsg_write()).
//
// A record of the kernel may still begin with words that a user has chosen: the name of a program
// (15 characters: "%s[%d]: segfault at") or of a network device (15). So what is looked for is a
// whole record, or the beginning of one and longer than that; a test sees to it.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "apply/host.h"
#include "objdiff/base/file.h"

namespace ksplice {

struct TroubleWord {
  std::string_view kind;  // warning, oops, lockup, stall
  std::string_view text;
  bool is_whole;  // the record is this text, and does not only begin with it
};

std::span<const TroubleWord> trouble_words();

struct KernelRecord {
  unsigned facility = 0;
  uint64_t sequence = 0;
  std::string text;
};

// "6,339,5140900,-;message\n KEY=value\n"; nothing if it is not one.
std::optional<KernelRecord> parse_kernel_record(std::string_view record);

// The word in a record of the kernel; nothing if there is none, or somebody else wrote it.
const TroubleWord* find_trouble(const KernelRecord& record);

// Bits of /proc/sys/kernel/tainted that a warning, an oops, a lockup or a damaged page set.
uint64_t trouble_taint(const Host& host);

// What goes wrong from a moment on.
class TroubleWatch {
 public:
  // From now on, or from behind what another watch has seen.
  explicit TroubleWatch(const Host& host);
  TroubleWatch(const Host& host, uint64_t after, uint64_t taint);
  uint64_t last_seen() const { return last_; }
  uint64_t taint() const { return taint_; }
  // The first that went wrong since, as "warning: what the kernel says"; or nothing. Where records
  // were overwritten before they were read, the taint still tells.
  std::optional<std::string> look();
  // A lockup or a stall was among what look() has seen: a processor may not answer any more.
  bool is_stuck() const { return is_stuck_; }

 private:
  std::optional<KernelRecord> next();
  void read_trouble(std::string& found);
  const Host& host_;
  Fd fd_;
  uint64_t last_ = 0, taint_ = 0;
  bool is_stuck_ = false;
};

}  // namespace ksplice
