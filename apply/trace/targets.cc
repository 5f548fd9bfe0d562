#include "apply/trace/targets.h"

#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <iterator>
#include <optional>
#include <set>

#include "apply/kernel_updates.h"
#include "apply/load.h"
#include "apply/store.h"
#include "apply/trace/trace_abi.h"
#include "create/package/package.h"
#include "objdiff/base/error.h"
#include "objdiff/base/file.h"
#include "objdiff/update/finalize.h"

namespace ksplice {

namespace {

// As sysfs shows it; 0 if it is hidden or missing.
uint64_t parse_address(std::string_view text) {
  if (text.starts_with("0x")) text.remove_prefix(2);
  uint64_t addr = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), addr, 16);
  return error == std::errc() && end == text.data() + text.size() ? addr : 0;
}

class Finder {
 public:
  Finder(const Host& host, const SymbolTable& symbols) : host_(host), symbols_(symbols) {
    for (const std::string& id : list_updates(host)) {
      std::optional<UpdateState> state = read_update(host, id);
      if (state && state->stage == "applied") applied_.push_back(std::move(*state));
    }
  }

  void add(const std::string& word) {
    std::error_code ignored;
    const bool is_path = word.find('/') != std::string::npos || word.ends_with(".tar.gz");
    if (is_path || std::filesystem::is_regular_file(word, ignored))
      add_tarball(word);
    else if (read_update(host_, word) || !find_copy(host_, word).empty())
      add_update(word);
    else
      add_function(word);
  }

  TraceTargets take() {
    if (found_.functions.size() > TRACE_FUNCTIONS)
      throw Error("usage",
                  fmt::format("these are {} functions, and one trace takes {} at most",
                              found_.functions.size(), TRACE_FUNCTIONS),
                  "name some of them");
    return std::move(found_);
  }

 private:
  void add_tarball(const std::string& path) {
    const Package package = read_package(path);
    note_inlined(package);
    const std::optional<UpdateState> state = read_update(host_, package.id);
    if (state && state->stage == "applied")
      add_state(*state);
    else
      add_package(package);
  }

  void add_update(const std::string& id) {
    const std::optional<UpdateState> state = read_update(host_, id);
    if (state && !state->functions.empty())
      add_state(*state);
    else
      add_package(read_package(find_copy(host_, id)));
  }

  void add_state(const UpdateState& state) {
    for (const FunctionState& function : state.functions) {
      const uint64_t old_addr = parse_address(function.old_addr);
      if (old_addr == 0)
        throw Error("failed_to_find", fmt::format("the kernel hides where {} is", function.name),
                    "allow it with: sysctl kernel.kptr_restrict=1");
      add_entry(function.name, function.target, state.id, original_of(old_addr));
    }
  }

  // Of an update on top of another one, the body that it replaces is the other one's.
  uint64_t original_of(uint64_t addr) const {
    for (const UpdateState& state : applied_)
      for (const FunctionState& function : state.functions)
        if (parse_address(function.new_addr) == addr && parse_address(function.old_addr) != addr)
          return original_of(parse_address(function.old_addr));
    return addr;
  }

  // What an applied update put in the place of the code at addr, and the update; or 0.
  std::pair<uint64_t, std::string> body_over(uint64_t addr) const {
    for (const UpdateState& state : applied_)
      for (const FunctionState& function : state.functions)
        if (const uint64_t body = parse_address(function.new_addr);
            body != 0 && body != addr && parse_address(function.old_addr) == addr)
          return {body, state.id};
    return {0, ""};
  }

  // One that is not applied: where its functions are is in what apply would finish its modules
  // with.
  void add_package(const Package& package) {
    const Plan plan = make_plan(host_, package, true);
    for (const std::string& target : plan.skipped)
      found_.notes.push_back(fmt::format(
          "{} is not loaded: its functions in update {} are not traced", target, package.id));
    for (const PackageTarget* target : plan.targets) {
      const std::vector<uint8_t>& text = package.files.at(target->final);
      const Finalization final = read_finalization(std::string(text.begin(), text.end()));
      for (const ReplacedFunction& function : replaced_functions(package.files.at(target->file)))
        add_entry(function.name, target->name, package.id, original_of(address(final, function)));
    }
  }

  // Not by its plain name: another unit may have a static function of the same one.
  uint64_t address(const Finalization& final, const ReplacedFunction& function) const {
    for (const FinalSymbol& symbol : final.symbols)
      if (symbol.name == function.symbol) return host_.address(symbol.location);
    throw Error("failed_to_find",
                fmt::format("the update does not say where {} is", function.name));
  }

  void add_function(const std::string& word) {
    const size_t colon = word.find(':');
    const std::string module = colon == std::string::npos ? "" : word.substr(0, colon);
    const std::string name = colon == std::string::npos ? word : word.substr(colon + 1);
    std::vector<Kallsym> listed = symbols_.find(name, module);
    if (!listed.empty()) {
      note_parts(name, module);
    } else {
      listed = symbols_.find_parts(name, module);
      if (listed.empty()) throw_unknown(word, name, module);
      found_.notes.push_back(
          fmt::format("of {} there is only what the compiler made of it under other names", name));
    }
    for (const Kallsym& symbol : listed)
      add_entry(std::string(symbol.name),
                symbol.module.empty() ? "vmlinux" : std::string(symbol.module), "", symbol.addr);
  }

  // Who asks for foo may not know that foo.part.0 is called in its place where foo was inlined.
  void note_parts(const std::string& name, const std::string& module) {
    std::set<std::string> parts;
    for (const Kallsym& part : symbols_.find_parts(name, module)) parts.emplace(part.name);
    if (!parts.empty())
      found_.notes.push_back(
          fmt::format("beside {} there is {}: calls that go only there are not counted, unless it "
                      "is named, too",
                      name, fmt::join(parts, ", ")));
  }

  void add_entry(const std::string& name, const std::string& module, const std::string& update,
                 uint64_t addr) {
    auto same = std::find_if(found_.functions.begin(), found_.functions.end(),
                             [&](const TraceTarget& each) { return each.old_addr == addr; });
    if (same != found_.functions.end()) return;
    TraceTarget target;
    target.name = name;
    target.module = module;
    target.update = update;
    target.old_addr = addr;
    // As they stand on each other: the last one is what runs. The core never has two for one entry.
    for (uint64_t top = addr;;) {
      const auto [body, id] = body_over(top);
      if (body == 0 || target.new_addrs.size() == applied_.size()) break;
      target.new_addrs.push_back(body);
      target.update = id;
      top = body;
    }
    found_.functions.push_back(std::move(target));
  }

  [[noreturn]] void throw_unknown(const std::string& word, const std::string& name,
                                  const std::string& module) {
    for (const std::string& id : list_copies(host_)) try {
        note_inlined(read_package(find_copy(host_, id)));
      } catch (const Error&) {  // it can tell nothing
      }
    auto known = inlined_.find(name);
    if (known != inlined_.end())
      throw Error(
          "inlined",
          fmt::format("{} has no code of its own: the compiler made it part of {}", name,
                      fmt::join(known->second, ", ")),
          fmt::format("trace what it is part of: ksplice-trace {}", fmt::join(known->second, " ")));
    if (!module.empty() && module != "vmlinux" && !host_.is_module_loaded(module))
      throw Error("target_not_loaded", fmt::format("module {} is not loaded", module),
                  fmt::format("load it first: modprobe {}", module));
    throw Error("unknown_function", fmt::format("the kernel has no function {}", word),
                "the compiler may have made it part of its callers, or its module is not loaded; "
                "ksplice-trace TARBALL finds those of an update by itself");
  }

  // A changed function of the update may be there because of others that the compiler put into it.
  void note_inlined(const Package& package) {
    for (const PackageKernel& kernel : package.kernels)
      for (const PackageTarget& target : kernel.targets)
        for (const PackageFunction& function : target.functions)
          for (const nlohmann::json& reason : function.reasons) {
            if (!reason.is_object() || reason.value("kind", "") != "inlined") continue;
            const std::string detail = reason.value("detail", "");
            if (const size_t end = detail.find(": "); end != std::string::npos)
              inlined_[detail.substr(0, end)].insert(function.name);
          }
  }

  const Host& host_;
  const SymbolTable& symbols_;
  std::vector<UpdateState> applied_;
  std::map<std::string, std::set<std::string>> inlined_;  // -> what it is part of
  TraceTargets found_;
};

}  // namespace

TraceTargets find_targets(const Host& host, const SymbolTable& symbols,
                          const std::vector<std::string>& words) {
  if (symbols.is_hidden())
    throw Error("failed_to_find", "the kernel hides the addresses of its functions",
                "run as root; if it still fails, allow it with: sysctl kernel.kptr_restrict=1");
  Finder finder(host, symbols);
  for (const std::string& word : words) finder.add(word);
  return finder.take();
}

std::vector<std::pair<uint64_t, uint64_t>> applied_bodies(const Host& host) {
  std::vector<std::pair<uint64_t, uint64_t>> bodies;
  for (const std::string& id : list_updates(host)) {
    const std::optional<UpdateState> state = read_update(host, id);
    if (!state || state->stage != "applied") continue;
    for (const FunctionState& function : state->functions)
      bodies.emplace_back(parse_address(function.old_addr), parse_address(function.new_addr));
  }
  std::sort(bodies.begin(), bodies.end());
  return bodies;
}

}  // namespace ksplice
