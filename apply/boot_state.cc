#include "apply/boot_state.h"

#include <fmt/core.h>

#include <algorithm>

#include "apply/kernel_updates.h"
#include "create/package/manifest.h"
#include "create/package/package.h"
#include "objdiff/base/error.h"
#include "objdiff/base/file.h"
#include "objdiff/base/utc.h"

namespace ksplice {

namespace {

namespace fs = std::filesystem;

constexpr const char* StateFile = "/var/lib/ksplice/boot.json";
constexpr unsigned MaxStops = 3;
constexpr Phase Phases[] = {Phase::Applying, Phase::Watched, Phase::Probation, Phase::Again};

using Json = nlohmann::ordered_json;

// Throws what the reader below turns into bad_state.
Phase phase_of(const std::string& text) {
  for (Phase phase : Phases)
    if (text == word(phase)) return phase;
  throw std::invalid_argument("phase " + text);
}

std::string id_of(const Json& json) {
  const std::string id = json.at("id").get<std::string>();
  if (!is_valid_id(id)) throw std::invalid_argument("id " + id);
  return id;
}

std::optional<Probation> probation_of(const Json& mark, Phase phase) {
  if (phase != Phase::Probation) return std::nullopt;
  const Json& json = mark.at("probation");
  return Probation{json.at("seconds").get<double>(), json.at("command").get<std::string>(),
                   json.at("after").get<uint64_t>(), json.at("taint").get<uint64_t>(),
                   json.at("watcher").get<int>(),    json.at("until").get<double>()};
}

Mark mark_of(const Json& json) {
  Mark mark = {id_of(json),
               phase_of(json.at("phase").get<std::string>()),
               json.at("boot").get<std::string>(),
               json.at("since").get<int64_t>(),
               json.at("stopped").get<bool>(),
               json.at("stops").get<unsigned>(),
               {}};
  mark.probation = probation_of(json, mark.phase);
  return mark;
}

BootState from_json(const Json& json) {
  BootState state;
  for (const Json& mark : json.at("marks")) state.marks.push_back(mark_of(mark));
  for (const Json& each : json.at("quarantine"))
    state.quarantine.push_back(
        {id_of(each), each.at("reason").get<std::string>(), each.at("since").get<int64_t>()});
  return state;
}

Json to_json(const BootState& state) {
  Json json = {{"marks", Json::array()}, {"quarantine", Json::array()}};
  for (const Mark& mark : state.marks) {
    json["marks"].push_back({{"id", mark.id},
                             {"phase", word(mark.phase)},
                             {"boot", mark.boot},
                             {"since", mark.since},
                             {"stopped", mark.is_stopped},
                             {"stops", mark.stops}});
    if (!mark.probation) continue;
    const Probation& probation = *mark.probation;
    json["marks"].back()["probation"] = {
        {"seconds", probation.seconds}, {"command", probation.command}, {"after", probation.after},
        {"taint", probation.taint},     {"watcher", probation.watcher}, {"until", probation.until}};
  }
  for (const Quarantined& each : state.quarantine)
    json["quarantine"].push_back({{"id", each.id}, {"reason", each.reason}, {"since", each.since}});
  return json;
}

// What writers that were killed have left.
void remove_halves(const fs::path& file) {
  std::error_code ignored;
  std::vector<fs::path> halves;
  for (const auto& entry : fs::directory_iterator(file.parent_path(), ignored))
    if (entry.path().filename().string().starts_with(file.filename().string() + "."))
      halves.push_back(entry.path());
  for (const fs::path& half : halves) fs::remove(half, ignored);
}

std::string reason_of(const Mark& mark) {
  if (mark.phase == Phase::Applying) return "the host went down while the update was being applied";
  if (mark.phase == Phase::Probation)
    return "the host went down, or was shut down, before the probation of the update was over";
  if (mark.is_stopped)
    return fmt::format(
        "the host was shut down {} times in a row before it was healthy for long "
        "enough after the update was brought back at boot",
        MaxStops);
  return "the host went down shortly after the update was brought back at boot";
}

}  // namespace

const char* word(Phase phase) {
  switch (phase) {
    case Phase::Applying:
      return "applying";
    case Phase::Watched:
      return "watched";
    case Phase::Probation:
      return "probation";
    case Phase::Again:
      return "again";
  }
  return "";
}

BootState read_boot_state(const Host& host) {
  const fs::path file = host.path(StateFile);
  std::error_code error;
  if (!fs::exists(file, error) && !error) return {};
  try {
    return from_json(Json::parse(read_text(file)));
  } catch (const std::exception& damage) {
    throw Error("bad_state", fmt::format("{} cannot be used: {}", file.string(), damage.what()),
                "if it is removed, the host forgets which updates may have brought it down");
  }
}

void write_boot_state(const Host& host, const BootState& state) {
  const fs::path file = host.path(StateFile), folder = file.parent_path();
  if (state.marks.empty() && state.quarantine.empty()) {
    std::error_code ignored;
    const bool is_gone = fs::remove(file, ignored) || !fs::exists(file, ignored);
    if (!is_gone) throw Error("failed", fmt::format("cannot remove {}", file.string()));
    remove_halves(file);
    sync_folder(folder);
    fs::remove(folder, ignored);  // if it is empty
    return;
  }
  std::error_code error;
  if (fs::create_directories(folder, error)) sync_folder(folder.parent_path());
  if (error)
    throw Error("failed", fmt::format("cannot make {}: {}", folder.string(), error.message()));
  remove_halves(file);
  constexpr auto Replace = Json::error_handler_t::replace;
  write_file(file, to_json(state).dump(2, ' ', false, Replace) + "\n");
  sync_folder(folder);
}

std::string boot_id(const Host& host) {
  std::string id = read_text(host.path("/proc/sys/kernel/random/boot_id"));
  while (!id.empty() && id.back() == '\n') id.pop_back();
  return id;
}

std::vector<Quarantined> settle_marks(BootState& state, const std::string& boot, int64_t now) {
  std::vector<Quarantined> fresh;
  std::vector<Mark> left;
  for (Mark& mark : state.marks) {
    if (mark.boot == boot) {
      left.push_back(mark);
    } else if (mark.phase == Phase::Watched && mark.is_stopped && mark.stops + 1 < MaxStops) {
      left.push_back({mark.id, Phase::Again, boot, now, false, mark.stops + 1, {}});
    } else if (mark.phase != Phase::Again) {
      fresh.push_back({mark.id, reason_of(mark), now});
    }
  }
  state.marks = std::move(left);
  for (const Quarantined& each : fresh) {
    std::erase_if(state.quarantine, [&](const Quarantined& old) { return old.id == each.id; });
    state.quarantine.push_back(each);
  }
  return fresh;
}

std::optional<Quarantined> find_quarantined(const BootState& state, const std::string& id,
                                            const std::string& boot) {
  BootState settled = state;
  settle_marks(settled, boot, 0);
  for (const Quarantined& each : settled.quarantine)
    if (each.id == id) return each;
  return std::nullopt;
}

void refuse_quarantined(const Host& host, const std::string& id) {
  const std::optional<Quarantined> found =
      find_quarantined(read_boot_state(host), id, boot_id(host));
  if (!found) return;
  Refusal refusal;
  refusal.code = "quarantined";
  refusal.object = id;
  refusal.message = found->reason;
  refusal.found =
      found->since == 0 ? "" : "in quarantine since the boot at " + utc_text(found->since);
  refusal.advice =
      fmt::format("if the update is not to blame, or to try it again: ksplice-boot --lift={}", id);
  throw Refused({refusal});
}

// Nobody else is applying anything: a mark of this boot that says so is of a tool that was killed.
TryMark::TryMark(const Host& host, const std::string& id, const std::optional<Probation>& probation)
    : host_(host) {
  BootState state = read_boot_state(host);
  const std::string boot = boot_id(host);
  mark_ = {id,       probation ? Phase::Probation : Phase::Applying, boot, now_utc(), false, 0,
           probation};
  for (const Mark& mark : state.marks) {
    if (mark.id != id || mark.boot != boot) continue;
    mark_.stops = mark.stops;
    if (mark.phase == Phase::Watched || mark.phase == Phase::Probation) before_ = mark;
  }
  // What is left of one that is not in the kernel any more says nothing of this one.
  if (!is_applied(host, id)) before_.reset();
  // Its watcher goes by the mark, and must not lose it while another target is patched.
  if (before_ && before_->probation && !probation) mark_ = *before_;
  std::erase_if(state.marks, [&](const Mark& mark) {
    return mark.id == id || (mark.boot == boot && mark.phase == Phase::Applying);
  });
  state.marks.push_back(mark_);
  write_boot_state(host, state);
}

TryMark::~TryMark() {
  if (!is_open_) return;
  try {
    end(std::nullopt);
  } catch (const std::exception&) {
    // As in forget_mark().
  }
}

void TryMark::watch() {
  mark_.phase = Phase::Watched;
  end(mark_);
}

void TryMark::end(const std::optional<Mark>& left) {
  is_open_ = false;
  BootState state = read_boot_state(host_);
  std::erase_if(state.marks, [&](const Mark& mark) { return mark.id == mark_.id; });
  if (before_ && !is_applied(host_, mark_.id)) before_.reset();
  if (before_ || left) state.marks.push_back(before_ ? *before_ : *left);
  write_boot_state(host_, state);
}

void settle(const Host& host, std::vector<Quarantined>& fresh) {
  BootState state = read_boot_state(host);
  const std::string boot = boot_id(host);
  const size_t foreign = static_cast<size_t>(std::count_if(
      state.marks.begin(), state.marks.end(), [&](const Mark& mark) { return mark.boot != boot; }));
  if (foreign == 0) return;
  fresh = settle_marks(state, boot, now_utc());
  write_boot_state(host, state);
}

void end_watch(const Host& host) {
  BootState state = read_boot_state(host);
  const std::string boot = boot_id(host);
  const auto is_over = [&](const Mark& mark) {
    return mark.boot == boot && mark.phase != Phase::Probation;
  };
  if (std::erase_if(state.marks, is_over) != 0) write_boot_state(host, state);
}

void note_stop(const Host& host) {
  BootState state = read_boot_state(host);
  const std::string boot = boot_id(host);
  bool has_changed = false;
  for (Mark& mark : state.marks) {
    if (mark.boot != boot || mark.phase != Phase::Watched) continue;
    has_changed = mark.is_stopped = true;
  }
  if (has_changed) write_boot_state(host, state);
}

void forget_mark(const Host& host, const std::string& id) noexcept {
  try {
    BootState state = read_boot_state(host);
    const std::string boot = boot_id(host);
    if (std::erase_if(state.marks,
                      [&](const Mark& mark) { return mark.id == id && mark.boot == boot; }) != 0)
      write_boot_state(host, state);
  } catch (const std::exception&) {
    // A mark too many costs an update at the next crash; a host that comes up is worth more.
  }
}

}  // namespace ksplice
