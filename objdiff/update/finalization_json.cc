#include <fmt/core.h>

#include <initializer_list>
#include <nlohmann/json.hpp>
#include <string_view>

#include "objdiff/base/error.h"
#include "objdiff/update/update_object.h"

namespace ksplice {

namespace {

using Json = nlohmann::ordered_json;

[[noreturn]] void fail(const std::string& message) {
  throw Error("bad_file", "finalization: " + message);
}

// Keys with the value that a missing key means are left out: most locations are vmlinux's.
void put_location(Json& object, const RunLocation& location) {
  object["target"] = location.target;
  if (!location.section.empty()) object["section"] = location.section;
  if (!location.import.empty()) object["import"] = location.import;
  object["offset"] = location.offset;
  if (location.percpu) object["percpu"] = true;
  if (!location.symbol.empty()) object["symbol"] = location.symbol;
}

const Json& get_list(const Json& object, const char* key) {
  auto found = object.find(key);
  if (found == object.end() || !found->is_array()) fail(fmt::format("no list \"{}\"", key));
  return *found;
}

void check_keys(const Json& object, std::initializer_list<std::string_view> known,
                const std::string& what) {
  if (!object.is_object()) fail(what + " is not an object");
  for (const auto& item : object.items()) {
    bool is_known = false;
    for (std::string_view key : known) is_known = is_known || item.key() == key;
    if (!is_known) fail(fmt::format("{} has the unknown key \"{}\"", what, item.key()));
  }
}

std::string get_string(const Json& object, const char* key, const std::string& what, bool needed) {
  auto found = object.find(key);
  if (found == object.end() && !needed) return "";
  if (found == object.end() || !found->is_string()) fail(fmt::format("{} has no {}", what, key));
  return found->get<std::string>();
}

bool get_flag(const Json& object, const char* key, const std::string& what) {
  auto found = object.find(key);
  if (found == object.end()) return false;
  if (!found->is_boolean()) fail(fmt::format("{}: {} is not true or false", what, key));
  return found->get<bool>();
}

// Numbers above INT64_MAX and fractions are refused, not wrapped.
int64_t get_number(const Json& object, const char* key, const std::string& what) {
  auto found = object.find(key);
  if (found == object.end() || !found->is_number_integer() ||
      (found->is_number_unsigned() && found->get<uint64_t>() > uint64_t{INT64_MAX}))
    fail(fmt::format("{} has no number {}", what, key));
  return found->get<int64_t>();
}

RunLocation get_location(const Json& object, const std::string& what) {
  RunLocation location;
  location.target = get_string(object, "target", what, true);
  location.section = get_string(object, "section", what, false);
  location.import = get_string(object, "import", what, false);
  location.offset = get_number(object, "offset", what);
  location.percpu = get_flag(object, "percpu", what);
  location.symbol = get_string(object, "symbol", what, false);
  if (location.target.empty()) fail(what + " has an empty target");
  return location;
}

RunLocation get_own_location(const Json& object, const char* key, const std::string& what) {
  auto found = object.find(key);
  if (found == object.end()) fail(fmt::format("{} has no {}", what, key));
  std::string whole = fmt::format("{} {}", what, key);
  check_keys(*found, {"target", "section", "import", "offset", "percpu", "symbol"}, whole);
  return get_location(*found, whole);
}

FinalSymbol get_symbol(const Json& object, size_t number) {
  std::string what = fmt::format("symbol {}", number);
  check_keys(object, {"name", "target", "section", "import", "offset", "percpu", "symbol"}, what);
  FinalSymbol symbol{get_string(object, "name", what, true), get_location(object, what)};
  if (symbol.name.empty()) fail(what + " has an empty name");
  return symbol;
}

FinalField get_field(const Json& object, size_t number) {
  std::string what = fmt::format("field {}", number);
  check_keys(object, {"offset", "size", "pcrel", "target", "addend", "place"}, what);
  FinalField field;
  int64_t offset = get_number(object, "offset", what);
  int64_t size = get_number(object, "size", what);
  if (offset < 0) fail(what + " has a negative offset");
  if (size != 1 && size != 4 && size != 8) fail(fmt::format("{} has size {}", what, size));
  field.offset = static_cast<uint64_t>(offset);
  field.size = static_cast<uint8_t>(size);
  field.pc_relative = get_flag(object, "pcrel", what);
  field.target = get_own_location(object, "target", what);
  if (object.contains("addend")) field.addend = get_number(object, "addend", what);
  if (field.pc_relative || object.contains("place"))
    field.place = get_own_location(object, "place", what);
  return field;
}

}  // namespace

std::string write_finalization(const Finalization& finalization) {
  Json symbols = Json::array();
  for (const FinalSymbol& symbol : finalization.symbols) {
    Json object = {{"name", symbol.name}};
    put_location(object, symbol.location);
    symbols.push_back(std::move(object));
  }
  Json fields = Json::array();
  for (const FinalField& field : finalization.fields) {
    Json object = {{"offset", field.offset}, {"size", field.size}};
    if (field.pc_relative) object["pcrel"] = true;
    put_location(object["target"], field.target);
    if (field.addend != 0) object["addend"] = field.addend;
    if (field.pc_relative) put_location(object["place"], field.place);
    fields.push_back(std::move(object));
  }
  return Json{{"symbols", std::move(symbols)}, {"fields", std::move(fields)}}.dump(1) + "\n";
}

Finalization read_finalization(const std::string& text) {
  Json whole;
  try {
    whole = Json::parse(text, [](int depth, Json::parse_event_t, Json&) {
      if (depth > 8) fail("nested too deeply");
      return true;
    });
  } catch (const Json::exception& error) {
    fail(error.what());
  }
  check_keys(whole, {"symbols", "fields"}, "the file");
  Finalization finalization;
  for (const Json& object : get_list(whole, "symbols"))
    finalization.symbols.push_back(get_symbol(object, finalization.symbols.size()));
  for (const Json& object : get_list(whole, "fields"))
    finalization.fields.push_back(get_field(object, finalization.fields.size()));
  return finalization;
}

}  // namespace ksplice
