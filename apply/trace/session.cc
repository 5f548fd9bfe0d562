#include "apply/trace/session.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fmt/core.h>
#include <linux/perf_event.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "objdiff/base/error.h"
#include "objdiff/base/file.h"
#include "objdiff/base/process.h"

// The object that clang made of trace.bpf.c.
asm(".section .rodata\n"
    ".balign 8\n"
    ".global ksplice_trace_object, ksplice_trace_object_end\n"
    "ksplice_trace_object: .incbin \"" KSPLICE_TRACE_OBJECT
    "\"\n"
    "ksplice_trace_object_end:\n"
    ".previous\n");
extern const char ksplice_trace_object[], ksplice_trace_object_end[];

namespace ksplice {

namespace {

constexpr const char* ProbeType = "/sys/bus/event_source/devices/kprobe/type";
constexpr const char* Lockdown = "/sys/kernel/security/lockdown";
constexpr const char* Switches[] = {"/proc/sys/kernel/ftrace_enabled",
                                    "/sys/kernel/debug/kprobes/enabled"};
constexpr const char* NoBpfHint =
    "needed are CONFIG_BPF_EVENTS and CONFIG_KPROBE_EVENTS, and a kernel that is not locked down "
    "for "
    "confidentiality; ksplice-view --id=ID --count-calls=on counts calls without";

// Two for each probe, and many functions.
void allow_many_files() {
  rlimit files = {};
  if (::getrlimit(RLIMIT_NOFILE, &files) != 0 || files.rlim_cur >= files.rlim_max) return;
  files.rlim_cur = files.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &files);  // else the last functions say that there are too many
}

// Why the kernel lets nobody look into it; empty if it says nothing.
std::string obstacle() {
  std::error_code ignored;
  if (!std::filesystem::exists(ProbeType, ignored))
    return fmt::format("the kernel gives no kprobes to perf events ({} is not there)", ProbeType);
  if (std::filesystem::exists(Lockdown, ignored) &&
      read_text(Lockdown).find("[confidentiality]") != std::string::npos)
    return "the kernel is locked down (confidentiality), and lets nobody read its registers";
  // The kernel would take the probes, and nothing would ever meet them.
  for (const char* file : Switches)
    if (std::filesystem::exists(file, ignored) && read_text(file).starts_with('0'))
      return fmt::format("probes are switched off: {} is 0", file);
  return "";
}

constexpr size_t LongestWords = 1000;  // of one message
std::string last_words;                // of libbpf

int keep_words(enum libbpf_print_level level, const char* format, va_list arguments) {
  if (level != LIBBPF_WARN) return 0;
  va_list again;
  va_copy(again, arguments);
  const int length = ::vsnprintf(nullptr, 0, format, again);
  va_end(again);
  if (length < 0) return length;
  std::string text(static_cast<size_t>(length) + 1, '\0');
  ::vsnprintf(text.data(), text.size(), format, arguments);
  text.pop_back();
  // Why the kernel refuses a program is at the end of what it says.
  if (text.size() > LongestWords) text.replace(0, text.size() - LongestWords, "[...]");
  last_words += text;
  return length;
}

uint64_t cookie_of(size_t function, const ResultType& type) {
  uint64_t cookie = function;
  if (type.is_void) cookie |= TRACE_COOKIE_VOID;
  if (type.is_pointer) cookie |= TRACE_COOKIE_POINTER;
  if (type.is_signed) cookie |= TRACE_COOKIE_SIGNED;
  if (type.is_known) cookie |= uint64_t{type.size} << TRACE_COOKIE_SIZE_SHIFT;
  return cookie;
}

// A kprobe, or a kretprobe, by address: names may be there more than once (perf_event_open(2);
// /sys/bus/event_source/devices/kprobe/format/retprobe is config:0).
int open_probe(uint32_t type, uint64_t addr, bool is_return) {
  perf_event_attr attributes = {};
  attributes.size = sizeof attributes;
  attributes.type = type;
  attributes.config = is_return ? 1 : 0;
  attributes.kprobe_addr = addr;
  return static_cast<int>(
      ::syscall(SYS_perf_event_open, &attributes, -1, 0, -1, PERF_FLAG_FD_CLOEXEC));
}

[[noreturn]] void throw_cannot_trace(const std::string& name, int number) {
  throw Error("cannot_trace",
              fmt::format("the kernel takes no probe at {}: {}", name, ::strerror(number)),
              "functions without an ftrace site (notrace, noinstr), of entry code and of the "
              "probes themselves cannot be traced");
}

template <typename T>
std::vector<T> copies_of(const bpf_map* map, const void* key) {
  std::vector<T> copies(libbpf_num_possible_cpus());
  static_assert(sizeof(T) % 8 == 0, "the kernel rounds each copy up");
  if (::bpf_map_lookup_elem(bpf_map__fd(map), key, copies.data()) != 0) copies.clear();
  return copies;
}

// Calls body with each key of the map.
template <typename Key, typename Body>
void for_each_key(const bpf_map* map, const Body& body) {
  Key key = {};
  const Key* last = nullptr;
  while (::bpf_map_get_next_key(bpf_map__fd(map), last, &key) == 0) {
    body(key);
    last = &key;
  }
}

uint64_t sum(const std::vector<uint64_t>& copies) {
  uint64_t total = 0;
  for (uint64_t copy : copies) total += copy;
  return total;
}

}  // namespace

trace_counts sum(const std::vector<trace_counts>& copies) {
  trace_counts total = {};
  for (const trace_counts& copy : copies) {
    total.calls += copy.calls;
    total.new_calls += copy.new_calls;
    total.unlisted += copy.unlisted;
    total.no_result += copy.no_result;
    total.stacks += copy.stacks;
    total.no_stack += copy.no_stack;
    total.no_user += copy.no_user;
    total.trips += copy.trips;
    total.unread += copy.unread;
  }
  return total;
}

trace_latency sum(const std::vector<trace_latency>& copies) {
  trace_latency total = {};
  for (const trace_latency& copy : copies) {
    total.returned += copy.returned;
    total.total += copy.total;
    total.longest = std::max(total.longest, copy.longest);
    for (size_t i = 0; i < TRACE_BUCKETS; ++i) total.buckets[i] += copy.buckets[i];
  }
  return total;
}

// A process is named by the processor that saw it first; the others' copies have zeros.
trace_process sum(const std::vector<trace_process>& copies) {
  trace_process total = {};
  for (const trace_process& copy : copies) {
    total.calls += copy.calls;
    total.new_calls += copy.new_calls;
    total.trips += copy.trips;
    if (total.name[0] == 0) std::copy_n(copy.name, TRACE_NAME, total.name);
  }
  return total;
}

trace_stack sum(const std::vector<trace_stack>& copies) {
  trace_stack total = {};
  for (const trace_stack& copy : copies) {
    total.calls += copy.calls;
    total.new_calls += copy.new_calls;
  }
  return total;
}

struct TraceSession::Parts {
  bpf_object* object = nullptr;
  TraceOptions options;
  ring_buffer* events = nullptr;
  std::vector<bpf_link*> links;  // in the order in which they were made
  std::vector<std::string> why_not;
  size_t size = 0;  // targets

  ~Parts() {
    detach();
    ring_buffer__free(events);
    bpf_object__close(object);
  }

  // Last comes first off: while the original's probe counts a call, the new body's tells whose it
  // is.
  void detach(size_t keep = 0) {
    for (; links.size() > keep; links.pop_back()) bpf_link__destroy(links.back());
  }

  const bpf_map* map(const char* name) const { return bpf_object__find_map_by_name(object, name); }

  void load() {
    LIBBPF_OPTS(bpf_object_open_opts, open_options, .object_name = "ksplice_trace");
    object = bpf_object__open_mem(ksplice_trace_object,
                                  ksplice_trace_object_end - ksplice_trace_object, &open_options);
    if (object == nullptr)
      throw Error("internal", fmt::format("libbpf does not take the programs: {}", last_words));
    for (const auto& [name, rows] : {std::pair("counts", size), {"latencies", size * TRACE_BODIES}})
      bpf_map__set_max_entries(bpf_object__find_map_by_name(object, name),
                               static_cast<uint32_t>(rows));
    // Memory for what nobody asked for is none.
    if (!options.users)
      for (const char* name : {"user_stacks", "user_calls"})
        bpf_map__set_max_entries(bpf_object__find_map_by_name(object, name), 1);
    if (const int error = bpf_object__load(object); error != 0)
      throw Error("no_bpf",
                  fmt::format("the kernel does not load the programs that count: {}{}{}",
                              ::strerror(-error), last_words.empty() ? "" : "\n", last_words),
                  NoBpfHint);
  }

  static int on_event(void* parts, void* data, size_t size) {
    const auto& on_event = static_cast<Parts*>(parts)->options.on_event;
    if (on_event && size >= sizeof(trace_event)) on_event(*static_cast<trace_event*>(data));
    return 0;
  }

  void prepare() {
    events = ring_buffer__new(bpf_map__fd(map("events")), on_event, this, nullptr);
    if (events == nullptr)
      throw Error("internal", fmt::format("events cannot be read: {}", ::strerror(errno)));
    for (const auto& [target, tripwire] : options.tripwires) {
      const uint32_t row = static_cast<uint32_t>(target);
      if (::bpf_map_update_elem(bpf_map__fd(map("tripwires")), &row, &tripwire, BPF_ANY) != 0)
        throw Error("internal", fmt::format("no condition can be set: {}", ::strerror(errno)));
    }
  }

  // A stack of one of the two maps; empty if there is none of that id.
  std::vector<uint64_t> stack(const char* name, uint32_t id) const {
    std::vector<uint64_t> frames(TRACE_FRAMES);
    if (id == TRACE_NO_STACK || ::bpf_map_lookup_elem(bpf_map__fd(map(name)), &id, frames.data()))
      return {};
    frames.erase(std::find(frames.begin(), frames.end(), 0), frames.end());
    return frames;
  }

  void attach(const char* program, uint32_t type, uint64_t addr, uint64_t cookie,
              const std::string& name) {
    const bool is_return = std::string_view(program) == "leave";
    Fd probe(open_probe(type, addr, is_return));
    if (probe.get() < 0) throw_cannot_trace(name, errno);
    LIBBPF_OPTS(bpf_perf_event_opts, options, .bpf_cookie = cookie);
    bpf_link* link = bpf_program__attach_perf_event_opts(
        bpf_object__find_program_by_name(object, program), probe.get(), &options);
    if (link == nullptr) throw_cannot_trace(name, errno);
    probe.release();  // the link's now
    links.push_back(link);
  }

  // The new bodies first: a call that only they see is one of theirs, but one that only the
  // original's probe sees would be taken for one of the original.
  void attach(const TraceTarget& target, uint32_t type, uint64_t cookie) {
    for (uint64_t addr : target.new_addrs) {
      const std::string name = fmt::format("the new body of {}", target.name);
      attach("enter_new", type, addr, cookie, name);
      attach("leave", type, addr, cookie, name);
    }
    attach("leave", type, target.old_addr, cookie, target.name);
    attach("enter_old", type, target.old_addr, cookie, target.name);
  }
};

TraceSession::TraceSession(const std::vector<TraceTarget>& targets,
                           const std::vector<ResultType>& types, TraceOptions options)
    : parts_(std::make_unique<Parts>()) {
  parts_->options = std::move(options);
  libbpf_set_print(keep_words);
  allow_many_files();
  if (const std::string why = obstacle(); !why.empty()) throw Error("no_bpf", why, NoBpfHint);
  parts_->size = targets.size();
  parts_->load();
  parts_->prepare();
  const uint32_t type = static_cast<uint32_t>(std::stoul(read_text(ProbeType)));
  parts_->why_not.resize(targets.size());
  for (size_t i = 0; i < targets.size(); ++i) {
    check_interrupted();
    const size_t before = parts_->links.size();
    try {
      parts_->attach(targets[i], type, cookie_of(i, types[i]));
    } catch (const Error& error) {
      parts_->detach(before);
      parts_->why_not[i] = error.what();
      // The others may do; the last one says why if none did.
      if (i + 1 == targets.size() && parts_->links.empty()) throw;
    }
  }
}

TraceSession::~TraceSession() = default;

void TraceSession::count(bool on) {
  const uint32_t zero = 0;
  const uint32_t value = on ? TRACE_COUNT | (parts_->options.users ? TRACE_USERS : 0) : 0;
  if (::bpf_map_update_elem(bpf_map__fd(parts_->map("counting")), &zero, &value, BPF_ANY) != 0)
    throw Error("internal", fmt::format("counting cannot be switched: {}", ::strerror(errno)));
}

void TraceSession::wait(int milliseconds) { ring_buffer__poll(parts_->events, milliseconds); }

void TraceSession::detach() { parts_->detach(); }

const std::string& TraceSession::why_not(size_t target) const { return parts_->why_not.at(target); }

std::vector<uint64_t> TraceSession::calls() const {
  std::vector<uint64_t> calls;
  for (uint32_t i = 0; i < parts_->size; ++i)
    calls.push_back(sum(copies_of<trace_counts>(parts_->map("counts"), &i)).calls);
  return calls;
}

std::vector<TraceData> TraceSession::read() const {
  std::vector<TraceData> all(parts_->size);
  for (uint32_t i = 0; i < parts_->size; ++i) {
    all[i].counts = sum(copies_of<trace_counts>(parts_->map("counts"), &i));
    for (uint32_t body = 0; body < TRACE_BODIES; ++body) {
      const uint32_t row = i * TRACE_BODIES + body;
      all[i].latencies[body] = sum(copies_of<trace_latency>(parts_->map("latencies"), &row));
    }
  }
  const bpf_map* processes = parts_->map("processes");
  for_each_key<trace_process_key>(processes, [&](const trace_process_key& key) {
    all.at(key.function).processes[key.pid] = sum(copies_of<trace_process>(processes, &key));
  });
  const bpf_map* results = parts_->map("results");
  for_each_key<trace_result_key>(results, [&](const trace_result_key& key) {
    all.at(key.function).results[key.body & 1][key.value] = sum(copies_of<uint64_t>(results, &key));
  });
  const bpf_map* stack_calls = parts_->map("stack_calls");
  for_each_key<trace_stack_key>(stack_calls, [&](const trace_stack_key& key) {
    const std::vector<uint64_t> frames = parts_->stack("stacks", key.stack);
    if (frames.empty()) return;
    const trace_stack calls = sum(copies_of<trace_stack>(stack_calls, &key));
    all.at(key.function).stacks.push_back({frames, calls.calls, calls.new_calls});
  });
  const bpf_map* user_calls = parts_->map("user_calls");
  for_each_key<trace_user_key>(user_calls, [&](const trace_user_key& key) {
    const trace_stack calls = sum(copies_of<trace_stack>(user_calls, &key));
    all.at(key.function)
        .users.push_back({key.pid, parts_->stack("user_stacks", key.user_stack),
                          parts_->stack("stacks", key.stack), calls.calls, calls.new_calls});
  });
  return all;
}

}  // namespace ksplice
