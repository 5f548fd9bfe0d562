#include "objdiff/image/run_image.h"

#include <bzlib.h>
#include <gtest/gtest.h>
#include <lz4.h>
#include <lzma.h>
#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <functional>

#include "objdiff/base/error.h"
#include "objdiff/image/decompress.h"
#include "tests/unit/compile.h"

namespace ksplice {
namespace {

using Blob = std::vector<uint8_t>;

template <typename T>
void append(Blob& blob, T value) {
  const uint8_t* bytes = reinterpret_cast<const uint8_t*>(&value);
  blob.insert(blob.end(), bytes, bytes + sizeof(T));
}

Blob gzip(const Blob& in) {
  z_stream stream{};
  deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
  Blob out(deflateBound(&stream, in.size()));
  stream.next_in = const_cast<Bytef*>(in.data());
  stream.avail_in = static_cast<uInt>(in.size());
  stream.next_out = out.data();
  stream.avail_out = static_cast<uInt>(out.size());
  EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

Blob bzip2(const Blob& in) {
  Blob out(in.size() + 1000);
  unsigned size = static_cast<unsigned>(out.size());
  EXPECT_EQ(BZ2_bzBuffToBuffCompress(reinterpret_cast<char*>(out.data()), &size,
                                     const_cast<char*>(reinterpret_cast<const char*>(in.data())),
                                     static_cast<unsigned>(in.size()), 9, 0, 0),
            BZ_OK);
  out.resize(size);
  return out;
}

Blob lzma(const Blob& in, bool xz_format) {
  lzma_stream stream = LZMA_STREAM_INIT;
  lzma_options_lzma options;
  lzma_lzma_preset(&options, 1);
  EXPECT_EQ(xz_format ? lzma_easy_encoder(&stream, 1, LZMA_CHECK_CRC32)
                      : lzma_alone_encoder(&stream, &options),
            LZMA_OK);
  Blob out(in.size() + 1000);
  stream.next_in = in.data();
  stream.avail_in = in.size();
  stream.next_out = out.data();
  stream.avail_out = out.size();
  EXPECT_EQ(lzma_code(&stream, LZMA_FINISH), LZMA_STREAM_END);
  out.resize(stream.total_out);
  lzma_end(&stream);
  return out;
}

Blob lz4(const Blob& in) {
  Blob out;
  append<uint32_t>(out, 0x184c2102);
  Blob block(static_cast<size_t>(LZ4_compressBound(static_cast<int>(in.size()))));
  int size = LZ4_compress_default(reinterpret_cast<const char*>(in.data()),
                                  reinterpret_cast<char*>(block.data()),
                                  static_cast<int>(in.size()), static_cast<int>(block.size()));
  append<uint32_t>(out, static_cast<uint32_t>(size));
  out.insert(out.end(), block.begin(), block.begin() + size);
  return out;
}

Blob zstd(const Blob& in) {
  Blob out(ZSTD_compressBound(in.size()));
  out.resize(ZSTD_compress(out.data(), out.size(), in.data(), in.size(), 3));
  return out;
}

// A bzImage around a payload: four sectors of setup, then the payload at 0x100 of the rest.
Blob bzimage(const Blob& payload) {
  Blob file(5 * 512 + 0x100);
  file[0x1f1] = 4;
  std::memcpy(file.data() + 0x202, "HdrS", 4);
  file[0x206] = 0x0f;
  file[0x207] = 0x02;
  uint32_t offset = 0x100, length = static_cast<uint32_t>(payload.size());
  std::memcpy(file.data() + 0x248, &offset, 4);
  std::memcpy(file.data() + 0x24c, &length, 4);
  file.resize(file.size() + payload.size() + 512, 0xee);
  std::copy(payload.begin(), payload.end(), file.begin() + 5 * 512 + 0x100);
  return file;
}

class RunImageTest : public testing::Test {
 protected:
  std::string kernel() {
    std::string object = shop_.compile("kernel.c", R"(
      const char linux_banner[] = "Linux version 6.1.0-test (builder) #1\n";
      int counter = 5;
      static int helper(int x) { return x + counter; }
      int start(int x) { return helper(x) * 3; })",
                                       {"-O1", "-mcmodel=kernel", "-fno-pic", "-ffreestanding"});
    shop_.run({KSPLICE_TEST_CC, "-nostdlib", "-static", "-no-pie", "-Wl,--build-id=0x00ff10ab",
               "-Wl,-Ttext-segment=0xffffffff81000000", "-Wl,-e,0", "-Wl,-z,norelro",
               "-Wl,--defsym=_text=0xffffffff81000000", "-o", shop_.file("vmlinux"), object});
    return shop_.file("vmlinux");
  }

  std::string module() {
    return shop_.compile(
        "mod.c", R"(
      #define MODINFO(x) static const char x##_[] __attribute__((section(".modinfo"), used))
      MODINFO(n) = "name=my-mod";
      MODINFO(v) = "vermagic=6.1.0-test SMP preempt";
      extern int imported(const char *);
      extern int shared_counter;
      int local_data[4] = { 1, 2, 3, 4 };
      int *pointer = &local_data[2];
      int run(int x) { return imported("hello") + local_data[x] + shared_counter; })",
        {"-O1", "-mcmodel=kernel", "-fno-pic", "-ffreestanding", "-fcf-protection=none"});
  }

  test::Workshop shop_;
};

TEST_F(RunImageTest, ReadsVmlinux) {
  RunImage image = read_run_image(kernel());
  EXPECT_EQ(image.target, "vmlinux");
  EXPECT_EQ(image.release, "6.1.0-test");
  EXPECT_EQ(image.build_id, "00ff10ab");
  EXPECT_EQ(image.banner, "Linux version 6.1.0-test (builder) #1");
  const RunSymbol* start = image.unique_symbol("start");
  ASSERT_NE(start, nullptr);
  EXPECT_EQ(start->type, 'T');
  EXPECT_EQ(image.symbol_at(start->addr + 1)->name, "start");
  EXPECT_TRUE(image.section_at(start->addr)->exec);
  RunLocation location = image.locate(start->addr + 3);
  EXPECT_EQ(location.target, "vmlinux");
  EXPECT_EQ(location.offset, static_cast<int64_t>(start->addr + 3 - 0xffffffff81000000));
  EXPECT_EQ(*image.read(image.unique_symbol("counter")->addr, 1)->data(), 5);
  EXPECT_FALSE(image.read(start->addr, 1 << 30));
  EXPECT_THROW(image.locate(0x1234), Error);
}

TEST_F(RunImageTest, UnpacksEveryFormat) {
  Blob elf = read_file(kernel());
  struct Format {
    const char* name;
    Blob data;
  };
  for (Format& format : std::vector<Format>{{"gzip", gzip(elf)},
                                            {"bzip2", bzip2(elf)},
                                            {"lzma", lzma(elf, false)},
                                            {"xz", lzma(elf, true)},
                                            {"lz4", lz4(elf)},
                                            {"zstd", zstd(elf)}}) {
    Blob payload = format.data;
    if (std::string(format.name) != "gzip")
      append<uint32_t>(payload, static_cast<uint32_t>(elf.size()));
    write_file(shop_.file("vmlinuz"), bzimage(payload));
    RunImage image = read_run_image(shop_.file("vmlinuz"));
    EXPECT_EQ(image.release, "6.1.0-test") << format.name;
    EXPECT_NE(image.unique_symbol("start"), nullptr) << format.name;

    Blob cut(format.data.begin(), format.data.end() - static_cast<long>(format.data.size() / 3));
    EXPECT_THROW(decompress_payload(cut, "test"), Error) << format.name << " cut off";
    Blob lie = format.data;
    append<uint32_t>(lie, static_cast<uint32_t>(elf.size() + 1));
    EXPECT_THROW(decompress_payload(lie, "test"), Error) << format.name << " of another size";
  }
  EXPECT_THROW(decompress_payload(Blob(64, 0x55), "test"), Error);
}

TEST_F(RunImageTest, RefusesBadHeaders) {
  Blob image = bzimage(Blob(64, 0x55));
  image[0x248 + 3] = 0x7f;  // the payload is far outside
  write_file(shop_.file("vmlinuz"), image);
  EXPECT_THROW(read_run_image(shop_.file("vmlinuz")), Error);
  image[0x206] = 0x07;  // protocol 2.07
  write_file(shop_.file("vmlinuz"), image);
  EXPECT_THROW(read_run_image(shop_.file("vmlinuz")), Error);
  write_file(shop_.file("text"), std::string_view("no kernel"));
  EXPECT_THROW(read_run_image(shop_.file("text")), Error);
}

TEST_F(RunImageTest, CachesWhatItUnpacked) {
  Blob payload = lz4(read_file(kernel()));
  append<uint32_t>(payload, static_cast<uint32_t>(read_file(kernel()).size()));
  write_file(shop_.file("vmlinuz"), bzimage(payload));
  std::string cache = shop_.file("cache");
  EXPECT_EQ(read_run_image(shop_.file("vmlinuz"), cache).release, "6.1.0-test");
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(cache))
    files.push_back(entry.path());
  ASSERT_EQ(files.size(), 1u);
  // A damaged cache is noticed and made anew.
  Blob damaged = read_file(files[0]);
  damaged[damaged.size() / 2] ^= 1;
  write_file(files[0], damaged);
  EXPECT_EQ(read_run_image(shop_.file("vmlinuz"), cache).release, "6.1.0-test");
  EXPECT_NE(read_file(files[0]), damaged);
}

TEST_F(RunImageTest, LaysOutModules) {
  RunImage image = read_run_image(module());
  EXPECT_EQ(image.target, "my_mod");
  EXPECT_EQ(image.release, "6.1.0-test");
  const RunSymbol* data = image.unique_symbol("local_data");
  const RunSymbol* pointer = image.unique_symbol("pointer");
  ASSERT_NE(data, nullptr);
  ASSERT_NE(pointer, nullptr);
  uint64_t value;
  std::memcpy(&value, image.read(pointer->addr, 8)->data(), 8);
  EXPECT_EQ(value, data->addr + 8);  // its relocation was applied
  RunLocation location = image.locate(value);
  EXPECT_EQ(location.target, "my_mod");
  EXPECT_EQ(location.section, ".data");
  std::optional<uint64_t> import = image.import_address("imported");
  ASSERT_TRUE(import);
  EXPECT_EQ(image.locate(*import + 4).import, "imported");
  EXPECT_EQ(image.locate(*import + 4).offset, 4);
  EXPECT_EQ(image.locate(*import - 8).import, "imported");
  EXPECT_EQ(image.locate(*import - 8).offset, -8);
  EXPECT_NE(image.import_address("shared_counter"), import);
  EXPECT_FALSE(image.import_address("nobody"));
}

TEST_F(RunImageTest, PlacesPerCpuDataOfAModuleByAName) {
  RunImage image =
      read_run_image(shop_.compile("m.s",
                                   ".section .modinfo,\"a\"\n.asciz \"name=m\"\n"
                                   ".section .data..percpu,\"aw\"\n"
                                   "first: .quad 0\n.type first,@object\n.size first,8\n"
                                   ".quad 0\n"
                                   "last: .quad 0\n.type last,@object\n.size last,8\n"));
  const uint64_t first = image.unique_symbol("first")->addr;
  for (auto [offset, name, from] : {std::tuple(4, "first", 4), std::tuple(8, "first", 8),
                                    std::tuple(16, "last", 0), std::tuple(20, "last", 4)}) {
    const RunLocation location = image.locate(first + static_cast<uint64_t>(offset));
    EXPECT_EQ(location.section, ".data..percpu");
    EXPECT_EQ(location.symbol, name) << offset;
    EXPECT_EQ(location.offset, from) << offset;
    EXPECT_TRUE(location.percpu);
  }
  for (RunSymbol& symbol : image.symbols)
    if (symbol.name == "first" || symbol.name == "last") symbol.name = "same";
  image.by_name.clear();
  for (size_t i = 0; i < image.symbols.size(); ++i) image.by_name.emplace(image.symbols[i].name, i);
  EXPECT_EQ(image.locate(first).symbol, "");  // no name says which
}

// The kernel tells no address of an empty section; its place is right behind the one before it.
TEST_F(RunImageTest, PlacesSectionsWithoutAByteBehindTheOneBefore) {
  std::string text =
      ".section .modinfo,\"a\"\n.asciz \"name=m\"\n"
      ".data\n.balign 8\n.quad 1\n.byte 2\n"
      ".section .data.empty,\"aw\"\n.balign 4\nlock:\n"
      ".section .data.wide,\"aw\"\n.balign 64\nwide:\n";
  RunImage image = read_run_image(shop_.compile("m.s", text));
  RunLocation lock = image.locate(image.unique_symbol("lock")->addr);
  EXPECT_EQ(lock.target, "m");
  EXPECT_EQ(lock.section, ".data");
  EXPECT_EQ(lock.offset, 12);
  // Its alignment is more than is known of the place before it.
  EXPECT_THROW(image.locate(image.unique_symbol("wide")->addr), Error);
}

TEST_F(RunImageTest, NamesStubAndForeignSystemMaps) {
  RunImage image = read_run_image(kernel());
  std::string stub = shop_.write(
      "stub", "ffffffffffffffff B The real System.map is in the linux-image-dbg package\n");
  SystemMap map = read_system_map(stub);
  EXPECT_TRUE(map.is_stub);
  EXPECT_NE(check_system_map(map, image).find("stub"), std::string::npos);

  std::string foreign =
      shop_.write("foreign", "ffffffff81000000 T _text\nffffffff81000010 T start\n");
  map = read_system_map(foreign);
  EXPECT_FALSE(map.is_stub);
  std::string complaint = check_system_map(map, image);
  EXPECT_NE(complaint.find("start is at 0xffffffff81000010"), std::string::npos) << complaint;
  EXPECT_THROW(read_system_map(shop_.write("bad", "hello world\n")), Error);
}

}  // namespace
}  // namespace ksplice
