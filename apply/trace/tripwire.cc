#include "apply/trace/tripwire.h"

#include <bpf/btf.h>
#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <optional>

#include "objdiff/base/error.h"

namespace ksplice {

namespace {

struct Operand {
  std::string text;
  const btf_type* type = nullptr;
  trace_term term = {};
};

bool is_word_begin(char c) { return std::isalpha(static_cast<unsigned char>(c)) || c == '_'; }
bool is_word(char c) { return is_word_begin(c) || std::isdigit(static_cast<unsigned char>(c)); }

class Parser {
 public:
  Parser(const btf* types, const std::string& function, const std::string& condition)
      : types_(types), function_(function), condition_(condition), rest_(condition) {
    if (types != nullptr) prototype_ = find_prototype();
  }

  Tripwire parse() {
    Tripwire tripwire;
    tripwire.condition = condition_;
    for (bool is_first = true;;) {
      if (tripwire.code.terms == TRACE_TERMS)
        fail(fmt::format("it has more than {} comparisons", TRACE_TERMS));
      const Operand operand = parse_term();
      trace_term& term = tripwire.code.term[tripwire.code.terms++];
      term = operand.term;
      term.is_first = is_first ? 1 : 0;
      tripwire.operands.push_back(operand.text);
      if (is_end()) return tripwire;
      if (take("&&"))
        is_first = false;
      else if (take("||"))
        is_first = true;
      else
        fail(fmt::format("before '{}' there must be && or ||", rest_));
    }
  }

 private:
  [[noreturn]] void fail(const std::string& why) const {
    throw Error("bad_condition",
                fmt::format("condition '{}' of {}: {}", condition_, function_, why),
                "a condition is like: count > 4096 && arg2 != NULL, or m->size == 0");
  }

  void skip_space() { rest_.erase(0, std::min(rest_.find_first_not_of(" \t"), rest_.size())); }
  bool is_end() {
    skip_space();
    return rest_.empty();
  }
  bool take(std::string_view token) {
    skip_space();
    if (!rest_.starts_with(token)) return false;
    rest_.erase(0, token.size());
    return true;
  }
  std::string take_word() {
    skip_space();
    if (rest_.empty() || !is_word_begin(rest_[0])) return "";
    const auto end = std::find_if_not(rest_.begin(), rest_.end(), is_word);
    const std::string word(rest_.begin(), end);
    rest_.erase(rest_.begin(), end);
    return word;
  }

  Operand parse_term() {
    Operand operand = parse_operand();
    trace_term& term = operand.term;
    static constexpr std::pair<const char*, trace_operator> Operators[] = {
        {"==", TRACE_EQUAL},         {"!=", TRACE_NOT_EQUAL},
        {"<=", TRACE_LESS_OR_EQUAL}, {">=", TRACE_GREATER_OR_EQUAL},
        {"<", TRACE_LESS},           {">", TRACE_GREATER}};
    bool is_found = false;
    for (const auto& [token, op] : Operators)
      if (!is_found && take(token)) {
        is_found = true;
        term.op = static_cast<uint8_t>(op);
      }
    skip_space();
    if (!is_found && !rest_.starts_with("&&") && take("&")) {
      is_found = true;
      term.op = TRACE_BITS;
    }
    if (!is_found)
      fail(fmt::format("after '{}' there must be ==, !=, <, <=, >, >= or &", operand.text));
    term.value = parse_constant(operand);
    return operand;
  }

  // A number that the operand can be; else the condition would always be met, or never.
  uint64_t parse_constant(const Operand& operand) {
    if (take("NULL")) return 0;
    const bool is_negative = take("-");
    skip_space();
    const size_t length =
        static_cast<size_t>(std::find_if_not(rest_.begin(), rest_.end(), is_word) - rest_.begin());
    const std::string text = rest_.substr(0, length);
    const bool is_hex = text.starts_with("0x") || text.starts_with("0X");
    const char *begin = text.data() + (is_hex ? 2 : 0), *end = text.data() + text.size();
    uint64_t value = 0;
    const auto [stop, error] = std::from_chars(begin, end, value, is_hex ? 16 : 10);
    if (begin == end || stop != end || error != std::errc())
      fail(fmt::format("'{}' is no number of 64 bits", text.empty() ? rest_ : text));
    rest_.erase(0, length);
    const trace_term& term = operand.term;
    const bool is_signed = term.is_signed && term.op != TRACE_BITS;
    const uint64_t bits = term.bits, half = uint64_t{1} << (bits - 1);
    const uint64_t most = is_signed ? half - 1 : half - 1 + half;
    if (is_negative ? !is_signed || value > half : value > most)
      fail(fmt::format("{} is {} of {} bits, which is never {}{}", operand.text,
                       is_signed ? "a signed number" : "a number without sign", bits,
                       is_negative ? "-" : "", text));
    if (term.op == TRACE_BITS && value == 0) fail("no bit of 0 is ever set");
    if (!is_signed && value == 0 && (term.op == TRACE_LESS || term.op == TRACE_GREATER_OR_EQUAL))
      fail(fmt::format("{} is a number without sign, which is never below 0", operand.text));
    return is_negative ? 0 - value : value;
  }

  Operand parse_operand() {
    Operand operand;
    operand.text = take_word();
    if (operand.text.empty())
      fail(rest_.empty() ? "a parameter is missing at the end"
                         : fmt::format("at '{}' there must be a parameter", rest_));
    find_parameter(operand);
    for (;;) {
      const bool is_arrow = take("->");
      if (!is_arrow && !take(".")) break;
      const std::string member = take_word();
      if (member.empty()) fail(fmt::format("after '{}' there must be a member", operand.text));
      enter_member(operand, member, is_arrow);
      operand.text += (is_arrow ? "->" : ".") + member;
    }
    if (operand.term.bits == 0) set_scalar(operand);
    return operand;
  }

  const btf_type* skip_names(uint32_t id) const {
    const btf_type* type = btf__type_by_id(types_, id);
    while (type != nullptr && (btf_is_mod(type) || btf_is_typedef(type) || btf_is_type_tag(type)))
      type = btf__type_by_id(types_, type->type);
    return type;
  }
  std::string name_of(uint32_t offset) const { return btf__name_by_offset(types_, offset); }

  // nullptr: the kernel tells none. Functions of one name may have different ones.
  const btf_type* find_prototype() const {
    const btf_type* found = nullptr;
    const btf* base = btf__base_btf(types_);
    for (uint32_t id = base == nullptr ? 1 : btf__type_cnt(base); id < btf__type_cnt(types_);
         ++id) {
      const btf_type* type = btf__type_by_id(types_, id);
      if (!btf_is_func(type) || function_ != name_of(type->name_off)) continue;
      const btf_type* prototype = btf__type_by_id(types_, type->type);
      if (prototype == nullptr || !btf_is_func_proto(prototype) || prototype == found) continue;
      if (found != nullptr) fail("there are functions of that name with different parameters");
      found = prototype;
    }
    return found;
  }

  void find_parameter(Operand& operand) const {
    std::optional<size_t> index;
    std::vector<std::string> names;
    if (prototype_ != nullptr)
      for (size_t i = 0; i < btf_vlen(prototype_); ++i) {
        names.push_back(name_of(btf_params(prototype_)[i].name_off));
        if (names.back() == operand.text) index = i;
      }
    const std::string& word = operand.text;
    if (!index && word.size() == 4 && word.starts_with("arg") && word[3] >= '1' && word[3] <= '9')
      index = static_cast<size_t>(word[3] - '1');
    if (!index)
      fail(
          prototype_ == nullptr
              ? fmt::format("the kernel tells no types of it, so there is no '{}' but only arg1 to "
                            "arg{}",
                            word, TRACE_ARGUMENTS)
              : fmt::format("it has no parameter '{}', but: {}", word, fmt::join(names, ", ")));
    if (prototype_ != nullptr && *index >= names.size())
      fail(fmt::format("it has no {}, but {} parameters", word, names.size()));
    if (*index >= TRACE_ARGUMENTS)
      fail(fmt::format("{} is not passed in a register, as only the first {} are", word,
                       TRACE_ARGUMENTS));
    operand.term.argument = static_cast<uint8_t>(*index);
    if (prototype_ == nullptr) {
      operand.term.size = 8;
      operand.term.bits = 64;
      operand.term.is_signed = 1;
      return;
    }
    // One that takes no register, or two, moves the others.
    for (size_t i = 0; i <= *index; ++i) {
      operand.type = skip_names(btf_params(prototype_)[i].type);
      if (operand.type == nullptr || !(btf_is_ptr(operand.type) || is_number(operand.type)))
        fail(fmt::format("{} is not passed in a register of its own", names[i]));
    }
  }

  static bool is_number(const btf_type* type) {
    return (btf_is_int(type) || btf_is_any_enum(type)) && type->size <= 8;
  }

  void enter_member(Operand& operand, const std::string& member, bool is_arrow) const {
    trace_term& term = operand.term;
    if (operand.type == nullptr)
      fail(term.bits != 0 && prototype_ != nullptr
               ? fmt::format("{} is no structure", operand.text)
               : fmt::format("the kernel tells no type of {}", operand.text));
    const btf_type* structure = operand.type;
    if (is_arrow) {
      if (!btf_is_ptr(structure)) fail(fmt::format("{} is no pointer", operand.text));
      structure = skip_names(structure->type);
      if (term.steps == TRACE_STEPS)
        fail(fmt::format("it follows more than {} pointers", TRACE_STEPS));
      ++term.steps;
    } else if (btf_is_ptr(structure)) {
      fail(fmt::format("{} is a pointer: its members are behind ->", operand.text));
    }
    if (structure == nullptr || !btf_is_composite(structure))
      fail(fmt::format("{} {} no structure of which the kernel tells the members", operand.text,
                       is_arrow ? "points to" : "is"));
    if (!find_member(operand, structure, member, 0))
      fail(fmt::format("{} has no member {}", operand.text, member));
  }

  // Those of members without a name, too. before: bits of the structures around it.
  bool find_member(Operand& operand, const btf_type* structure, const std::string& name,
                   uint64_t before) const {
    for (uint32_t i = 0; i < btf_vlen(structure); ++i) {
      const btf_member& member = btf_members(structure)[i];
      const uint64_t at = before + btf_member_bit_offset(structure, i);
      const btf_type* type = skip_names(member.type);
      if (type == nullptr) continue;
      if (name_of(member.name_off).empty() && btf_is_composite(type) &&
          find_member(operand, type, name, at))
        return true;
      if (name_of(member.name_off) != name) continue;
      trace_term& term = operand.term;
      uint32_t& offset = term.offsets[term.steps - 1];
      operand.type = type;
      if (const uint32_t bits = btf_member_bitfield_size(structure, i); bits != 0) {
        set_scalar(operand);
        const uint64_t unit = uint64_t{term.size} * 8;
        term.shift = static_cast<uint8_t>(at % unit);
        term.bits = static_cast<uint8_t>(bits);
        if (term.shift + bits > unit)
          fail(fmt::format("the bits of {} are no part of one number", name));
        offset += static_cast<uint32_t>(at / unit * term.size);
        operand.type = nullptr;  // nothing is in it
      } else {
        offset += static_cast<uint32_t>(at / 8);
      }
      return true;
    }
    return false;
  }

  void set_scalar(Operand& operand) const {
    const btf_type* type = operand.type;
    trace_term& term = operand.term;
    if (btf_is_ptr(type)) {
      term.size = 8;
    } else if (is_number(type)) {
      term.size = static_cast<uint8_t>(type->size);
      term.is_signed =
          (btf_is_int(type) ? (btf_int_encoding(type) & BTF_INT_SIGNED) != 0 : btf_kflag(type)) ? 1
                                                                                                : 0;
    } else {
      fail(fmt::format("{} is neither a number nor a pointer", operand.text));
    }
    if (term.size != 1 && term.size != 2 && term.size != 4 && term.size != 8)
      fail(fmt::format("{} has {} bytes", operand.text, term.size));
    term.bits = static_cast<uint8_t>(term.size * 8);
  }

  const btf* types_;
  const std::string function_, condition_;
  std::string rest_;
  const btf_type* prototype_ = nullptr;
};

}  // namespace

TripwireText split_tripwire(const std::string& text) {
  const size_t colon = text.rfind(':');
  if (colon == std::string::npos) return {"", text};
  return {text.substr(0, colon), text.substr(colon + 1)};
}

Tripwire make_tripwire(const btf* types, const std::string& function,
                       const std::string& condition) {
  return Parser(types, function, condition).parse();
}

std::vector<std::pair<std::string, std::string>> compared_values(const Tripwire& tripwire,
                                                                 const trace_event& event) {
  std::vector<std::pair<std::string, std::string>> list;
  for (size_t i = 0; i < tripwire.operands.size(); ++i) {
    if ((event.compared >> i & 1) == 0) continue;
    const trace_term& term = tripwire.code.term[i];
    const uint64_t value = event.values[i];
    const bool is_hex = term.op == TRACE_BITS || value > UINT32_MAX;
    std::pair<std::string, std::string> pair = {
        tripwire.operands[i], term.is_signed ? fmt::format("{}", static_cast<int64_t>(value))
                              : is_hex       ? fmt::format("{:#x}", value)
                                             : fmt::format("{}", value)};
    if (std::find(list.begin(), list.end(), pair) == list.end()) list.push_back(std::move(pair));
  }
  return list;
}

std::string values_text(const Tripwire& tripwire, const trace_event& event) {
  std::vector<std::string> texts;
  for (const auto& [operand, value] : compared_values(tripwire, event))
    texts.push_back(fmt::format("{} = {}", operand, value));
  return fmt::format("{}", fmt::join(texts, ", "));
}

}  // namespace ksplice
