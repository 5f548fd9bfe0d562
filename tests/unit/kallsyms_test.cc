#include "objdiff/image/kallsyms.h"

#include <gtest/gtest.h>

#include <cstring>

#include "objdiff/base/error.h"

namespace ksplice {
namespace {

constexpr uint64_t Base = 0xffffffff81000000, Rodata = 0xffffffff82000000;

enum class Order { Old, Old62, New, New73 };

// Writes the tables as scripts/kallsyms.c does, with some noise around.
class Writer {
 public:
  Writer(Order order, bool absolute_percpu) : order_(order), absolute_percpu_(absolute_percpu) {}

  void add(char type, const std::string& name, uint64_t addr) {
    symbols_.push_back({name, addr, 0, type});
  }

  RunSection write() {
    noise();
    if (order_ == Order::Old || order_ == Order::Old62) {
      offsets();
      put<uint32_t>(count());
    } else {
      put<uint32_t>(count());
    }
    align();
    names();
    align();
    markers_at = data.size();
    for (uint32_t marker : markers_) put<uint32_t>(marker);
    align();
    if (order_ == Order::Old62) sequence();
    tokens();
    if (order_ == Order::New || order_ == Order::New73) {
      offsets();
      sequence();
    }
    noise();
    return {".rodata", Rodata, data.size(), false, false, data};
  }

  std::vector<uint8_t> data;
  size_t names_at = 0, length_at = 0, markers_at = 0, index_at = 0, base_at = 0, offsets_at = 0;
  const std::vector<RunSymbol>& symbols() const { return symbols_; }

 private:
  template <typename T>
  void put(T value) {
    const uint8_t* bytes = reinterpret_cast<const uint8_t*>(&value);
    data.insert(data.end(), bytes, bytes + sizeof(T));
  }
  uint32_t count() const { return static_cast<uint32_t>(symbols_.size()); }
  void align() { data.resize((data.size() + 7) / 8 * 8); }
  void noise() {
    for (uint32_t i = 0; i < 1000; i++) put<uint32_t>(i * 2654435761u);
    for (uint32_t i = 0; i < 1000; i++) put<uint32_t>(i * 600);  // as markers would look
    align();
  }

  void offsets() {
    offsets_at = data.size();
    for (const RunSymbol& symbol : symbols_) {
      if (order_ == Order::New73) {
        put<uint32_t>(static_cast<uint32_t>(symbol.addr - (Rodata + data.size())));
      } else if (!absolute_percpu_) {
        put<uint32_t>(static_cast<uint32_t>(symbol.addr - Base));
      } else {
        put<uint32_t>(symbol.addr < Base ? static_cast<uint32_t>(symbol.addr)
                                         : static_cast<uint32_t>(Base - 1 - symbol.addr));
      }
    }
    align();
    base_at = data.size();
    if (order_ != Order::New73) put<uint64_t>(Base);
  }

  // Every character is its own token, but "_f" is the token 1.
  void names() {
    names_at = data.size();
    for (size_t i = 0; i < symbols_.size(); i++) {
      if (i % 256 == 0) markers_.push_back(static_cast<uint32_t>(data.size() - names_at));
      std::string text = symbols_[i].type + symbols_[i].name;
      std::string packed;
      for (size_t j = 0; j < text.size(); j++) {
        bool pair = text.compare(j, 2, "_f") == 0;
        packed += pair ? '\1' : text[j];
        j += pair;
      }
      if (i == 1500) length_at = data.size();
      if (packed.size() < 128) {
        put<uint8_t>(static_cast<uint8_t>(packed.size()));
      } else {
        put<uint8_t>(static_cast<uint8_t>((packed.size() & 0x7f) | 0x80));
        put<uint8_t>(static_cast<uint8_t>(packed.size() >> 7));
      }
      data.insert(data.end(), packed.begin(), packed.end());
    }
  }

  void tokens() {
    std::vector<uint16_t> index;
    size_t begin = data.size();
    for (unsigned i = 0; i < 256; i++) {
      index.push_back(static_cast<uint16_t>(data.size() - begin));
      std::string token = i == 1              ? "_f"
                          : i > 32 && i < 127 ? std::string(1, static_cast<char>(i))
                                              : "?";
      data.insert(data.end(), token.begin(), token.end());
      data.push_back(0);
    }
    align();
    index_at = data.size();
    for (uint16_t offset : index) put<uint16_t>(offset);
    align();
  }

  void sequence() {
    for (uint32_t i = 0; i < count(); i++)
      for (int shift : {16, 8, 0}) put<uint8_t>(static_cast<uint8_t>(i >> shift));
    align();
  }

  Order order_;
  bool absolute_percpu_;
  std::vector<RunSymbol> symbols_;
  std::vector<uint32_t> markers_;
};

Writer sample(Order order, bool absolute_percpu) {
  Writer writer(order, absolute_percpu);
  if (absolute_percpu) {
    writer.add('A', "fixed_percpu_data", 0);
    writer.add('A', "current_task", 0x1fb80);
  }
  writer.add('T', "_text", Base);
  writer.add('t', std::string(200, 'x') + "_long", Base);
  for (unsigned i = 0; i < 3000; i++)
    writer.add(i % 3 ? 't' : 'T', "some_function_" + std::to_string(i), Base + 64 + i * 48);
  writer.add('B', "_end", Base + 0x2000000);
  return writer;
}

class KallsymsOrder : public testing::TestWithParam<std::pair<Order, bool>> {};

TEST_P(KallsymsOrder, DecodesEverySymbol) {
  Writer writer = sample(GetParam().first, GetParam().second);
  std::vector<RunSymbol> symbols = decode_kallsyms(writer.write(), "test");
  ASSERT_EQ(symbols.size(), writer.symbols().size());
  for (size_t i = 0; i < symbols.size(); i++) {
    EXPECT_EQ(symbols[i].name, writer.symbols()[i].name);
    EXPECT_EQ(symbols[i].addr, writer.symbols()[i].addr) << symbols[i].name;
    EXPECT_EQ(symbols[i].type, writer.symbols()[i].type);
  }
}

// Damage anywhere in the structure is an error, never other symbols.
TEST_P(KallsymsOrder, RefusesDamage) {
  Writer writer = sample(GetParam().first, GetParam().second);
  RunSection section = writer.write();
  auto damaged = [&](size_t at, uint8_t flip) {
    RunSection copy = section;
    copy.data[at] ^= flip;
    EXPECT_THROW(decode_kallsyms(copy, "test"), Error) << "byte " << at;
  };
  damaged(writer.names_at, 0x01);        // a name's length
  damaged(writer.length_at, 0x02);       // one in the middle
  damaged(writer.markers_at + 5, 0x40);  // a marker
  damaged(writer.index_at + 300, 0x01);  // the token index
  if (GetParam().first != Order::New73)
    damaged(writer.base_at + 7, 0x80);      // the base is no kernel address
  damaged(writer.offsets_at + 4003, 0xff);  // an address out of order
}

TEST_P(KallsymsOrder, RefusesATableThatIsCutOff) {
  RunSection section = sample(GetParam().first, GetParam().second).write();
  section.data.resize(section.data.size() - 8000 - 9500);
  EXPECT_THROW(decode_kallsyms(section, "test"), Error);
}

INSTANTIATE_TEST_SUITE_P(All, KallsymsOrder,
                         testing::Values(std::pair(Order::Old, true), std::pair(Order::Old, false),
                                         std::pair(Order::Old62, true), std::pair(Order::New, true),
                                         std::pair(Order::New, false),
                                         std::pair(Order::New73, false)));

TEST(Kallsyms, RefusesDataWithoutTables) {
  RunSection section{".rodata", Base, 5000, false, false, std::vector<uint8_t>(5000, 'x')};
  EXPECT_THROW(decode_kallsyms(section, "test"), Error);
  section.data.clear();
  EXPECT_THROW(decode_kallsyms(section, "test"), Error);
}

}  // namespace
}  // namespace ksplice
