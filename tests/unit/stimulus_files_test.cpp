#include <cmath>
#include <limits>
#include <random>
#include <thread>

#include <gtest/gtest.h>
#include <hdf5.h>
#include <zip.h>

#include "engine/config/section.hpp"
#include "engine/stimulus/hdf5_dataset.hpp"
#include "engine/stimulus/limits.hpp"
#include "engine/stimulus/npy.hpp"
#include "engine/stimulus/png_writer.hpp"
#include "engine/stimulus/stimuli.hpp"
#include "engine/stimulus/zip_archive.hpp"
#include "tests/support/support.hpp"

namespace twinscreen {
namespace {

namespace fs = std::filesystem;

const InputTransform no_canvas{};

Picture flat_picture(int height, int width, std::uint8_t value)
{
    Picture picture{height, width, 1, false, OwnedBatch(ElementType::u8, {height, width, 1})};
    for (auto& pixel : picture.pixels.values<std::uint8_t>()) pixel = value;
    return picture;
}

int first_value(const StimulusSource& source, std::uint64_t item)
{
    return source.draw(ItemId{item}, no_canvas).pixels.values<std::uint8_t>()[0];
}

std::vector<std::string> texts(const Table& table, const std::string& column)
{
    return std::get<std::vector<std::string>>(table.find(column)->values);
}

std::unique_ptr<StimulusSource> opened(const fs::path& path)
{
    SharedReads reads;
    return open_stimuli(path, reads);
}

class Files : public testing::Test {
protected:
    void picture(const std::string& name, std::uint8_t value)
    {
        fs::create_directories((folder_ / name).parent_path());
        write_png(flat_picture(3, 4, value), folder_ / name);
    }
    /// The source of one [[stimuli]] table; all complaints are thrown.
    std::unique_ptr<StimulusSource> source(const std::string& toml)
    {
        ConfigDocument document =
            ConfigDocument::parse("[[stimuli]]\n" + toml, "campaign.toml", folder_.path());
        ConfigSection root = document.root();
        std::vector<ConfigSection> tables = root.children("stimuli");
        auto result = make_stimulus_source(tables.at(0), 1, 0);
        document.throw_if_invalid();
        return result;
    }
    /// The first line of a complaint, without the folder of the test.
    std::string complaint(const std::string& toml)
    {
        return plain(test::error_text([&] { source(toml); }));
    }
    std::string plain(std::string text) const
    {
        const std::string folder = folder_.path().string() + "/";
        for (auto at = text.find(folder); at != std::string::npos; at = text.find(folder))
            text.erase(at, folder.size());
        return text;
    }
    void npy(const std::string& name, ElementType type, const std::vector<std::uint64_t>& shape,
             const void* values)
    {
        std::uint64_t count = 1;
        for (const std::uint64_t extent : shape) count *= extent;
        test::write_text(folder_ / name,
                         npy_header_text(type, shape) +
                             std::string(static_cast<const char*>(values), count * bytes_of(type)));
    }
    test::TemporaryFolder folder_;
};

TEST_F(Files, OfAFolderAreSortedBytewiseAndFoundBelowOnRequest)
{
    picture("set/b.png", 2);
    picture("set/B.PNG", 1);
    picture("set/a10.png", 10);
    picture("set/a9.png", 9);
    picture("set/.hidden.png", 0);
    picture("set/deep/c.png", 3);
    test::write_text(folder_ / "set/notes.txt", "no image");

    const auto flat = source("folder = \"set\"");
    const auto deep = source("folder = \"set\"\nrecursive = true");

    EXPECT_EQ(texts(flat->describe({ItemId{0}, 4}), "file"),
              (std::vector<std::string>{"B.PNG", "a10.png", "a9.png", "b.png"}));
    EXPECT_EQ(texts(deep->describe({ItemId{3}, 2}), "file"),
              (std::vector<std::string>{"b.png", "deep/c.png"}));
    EXPECT_EQ(flat->count(), 4U);
    EXPECT_EQ(first_value(*flat, 1), 10);
    EXPECT_FALSE(flat->drawn_for_canvas());
    EXPECT_EQ(plain(flat->summary()), "4 images from folder set");
}

TEST_F(Files, OfAFolderKeepTheirOwnNamesWhenTheyAreLinks)
{
    picture("elsewhere/a.png", 7);
    fs::create_directories(folder_ / "set");
    fs::create_symlink(folder_ / "elsewhere/a.png", folder_ / "set/one.png");
    fs::create_symlink(folder_ / "elsewhere/a.png", folder_ / "set/two.png");

    const auto set = source("folder = \"set\"");

    EXPECT_EQ(texts(set->describe({ItemId{0}, 2}), "file"),
              (std::vector<std::string>{"one.png", "two.png"}));
    EXPECT_EQ(first_value(*set, 1), 7);
}

TEST_F(Files, OfAListKeepItsOrder)
{
    picture("x/b.png", 2);
    picture("a.png", 1);
    test::write_text(folder_ / "list.txt", "# two images\r\nx/b.png\r\n\na.png\n");

    const auto listed = source("list = \"list.txt\"");

    ASSERT_EQ(listed->count(), 2U);
    EXPECT_EQ(first_value(*listed, 0), 2);
    EXPECT_EQ(first_value(*listed, 1), 1);
    test::write_text(folder_ / "bad.txt", "a.png\nnone.png\n");
    EXPECT_NE(complaint("list = \"bad.txt\"").find("bad.txt:2: image 'none.png' cannot be found"),
              std::string::npos);
}

TEST_F(Files, OfAZipAreReadFromManyThreads)
{
    zip_t* archive = zip_open((folder_ / "a.zip").c_str(), ZIP_CREATE, nullptr);
    std::vector<std::string> bytes;
    for (int i = 0; i < 20; ++i) {
        picture("tmp.png", static_cast<std::uint8_t>(i));
        bytes.push_back(test::read_text(folder_ / "tmp.png"));
    }
    for (std::size_t i = 20; i-- > 0;)
        zip_file_add(archive, fmt::format("set/{:02}.png", i).c_str(),
                     zip_source_buffer(archive, bytes[i].data(), bytes[i].size(), 0), 0);
    zip_file_add(archive, "__MACOSX/set/._00.png", zip_source_buffer(archive, "x", 1, 0), 0);
    zip_close(archive);

    const auto zipped = source("zip = \"a.zip\"");

    ASSERT_EQ(zipped->count(), 20U);
    std::vector<int> wrong(4, 0);
    std::vector<std::thread> threads;
    for (std::size_t t = 0; t < 4; ++t)
        threads.emplace_back([&, t] {
            for (std::uint64_t i = 0; i < 60; ++i)
                wrong[t] +=
                    first_value(*zipped, (i * 7 + t) % 20) != static_cast<int>((i * 7 + t) % 20);
        });
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(wrong, std::vector<int>(4, 0));
}

TEST_F(Files, CutAnywhereInAZipAreErrors)
{
    picture("tmp.png", 5);
    const std::string png = test::read_text(folder_ / "tmp.png");
    zip_t* archive = zip_open((folder_ / "a.zip").c_str(), ZIP_CREATE, nullptr);
    zip_file_add(archive, "a.png", zip_source_buffer(archive, png.data(), png.size(), 0), 0);
    zip_close(archive);
    const std::string whole = test::read_text(folder_ / "a.zip");
    for (std::size_t length = 0; length < whole.size(); ++length) {
        test::write_text(folder_ / "cut.zip", whole.substr(0, length));
        EXPECT_NE(
            test::error_text([&] { opened(folder_ / "cut.zip")->draw(ItemId{0}, no_canvas); }), "");
    }
}

TEST_F(Files, OfAZipMayNotClaimMoreThanTheyCanHold)
{
    test::write_text(folder_ / "a.zip", test::fuzz_input("zip/claims_a_gibibyte"));

    const std::string text = plain(test::error_text([&] { opened(folder_ / "a.zip"); }));
    EXPECT_NE(text.find("bytes unpack to 1073741824 (no image shrinks so far). The archive is "
                        "damaged or a trap\n  entry 'a.png'\n  in the zip archive a.zip"),
              std::string::npos)
        << text;
}

TEST_F(Files, OfAZipStayBelowIt)
{
    test::write_text(folder_ / "a.zip", test::fuzz_input("zip/leads_out"));

    EXPECT_EQ(
        plain(test::error_text([&] { opened(folder_ / "a.zip"); })),
        "entry '../a.png' leads out of the archive (names are relative, without ..). Pack the "
        "images again from inside their folder\n  in the zip archive a.zip");
    for (const char* name : {"/a.png", "a/../b.png", "..", "a/..", "\\a.png", "a\\..\\b.png"})
        EXPECT_THROW(detail::require_inner_name(name), Error) << name;
    for (const char* name : {"a.png", "a/b.png", "..a.png", "a..png", "a../b.png", "./a.png"})
        EXPECT_NO_THROW(detail::require_inner_name(name)) << name;
}

TEST_F(Files, OfAZipHaveLimits)
{
    EXPECT_EQ(test::error_text([] { detail::require_zip_entries(most_zip_entries + 1); }),
              "the archive has 20000001 entries (at most 20000000 are read). Split it");
    EXPECT_EQ(
        test::error_text([] { detail::require_inner_name(std::string(4097, 'n')); }),
        "an entry has a name of 4097 bytes, '" + std::string(64, 'n') + "...' (at most 4096)");
    EXPECT_EQ(
        test::error_text([] { detail::require_unpacked_size(most_image_bytes + 1, 1U << 30U); }),
        "it says it unpacks to 1073741825 bytes (at most 1073741824 are read as one image)");
    EXPECT_NO_THROW(detail::require_unpacked_size(1032 * 100 + 1031, 100));
    EXPECT_THROW(detail::require_unpacked_size(1032 * 101, 100), Error);
}

TEST_F(Files, OfAZipThatIsReplacedAreStillThoseThatWereListed)
{
    const auto zip_of = [&](const std::string& name, std::uint8_t value) {
        picture("tmp.png", value);
        const std::string bytes = test::read_text(folder_ / "tmp.png");
        zip_t* archive = zip_open((folder_ / name).c_str(), ZIP_CREATE, nullptr);
        zip_file_add(archive, "a.png", zip_source_buffer(archive, bytes.data(), bytes.size(), 0),
                     0);
        zip_close(archive);
    };
    zip_of("a.zip", 1);
    zip_of("b.zip", 2);
    const auto zipped = source("zip = \"a.zip\"");

    fs::rename(folder_ / "b.zip", folder_ / "a.zip");

    std::vector<int> wrong(4, 0);  // together they need more handles than the first
    std::vector<std::thread> threads;
    for (std::size_t t = 0; t < 4; ++t)
        threads.emplace_back([&, t] {
            for (int i = 0; i < 50; ++i) wrong[t] += first_value(*zipped, 0) != 1;
        });
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(wrong, std::vector<int>(4, 0));
}

TEST_F(Files, OfAZipHaveDifferentNames)
{
    test::write_text(folder_ / "a.zip", test::fuzz_input("zip/name_twice"));

    EXPECT_EQ(plain(test::error_text([&] { opened(folder_ / "a.zip"); })),
              "two entries are called 'a.png'\n  in the zip archive a.zip");
}

TEST_F(Files, ThatAreDamagedNameThemselvesAndTheirItem)
{
    picture("set/a.png", 1);
    picture("set/b.png", 2);
    const std::string whole = test::read_text(folder_ / "set/b.png");
    test::write_text(folder_ / "set/b.png", whole.substr(0, whole.size() / 2));

    const auto damaged = source("folder = \"set\"");

    EXPECT_EQ(
        plain(test::error_text([&] { damaged->draw(ItemId{1}, no_canvas); })),
        "the PNG data are damaged or cut (the file ends too early)\n  image 'b.png' of folder "
        "set\n  item 1 of stimulus set 0");
}

TEST_F(Files, GetLabelsByNameOrByRow)
{
    picture("set/a.png", 1);
    picture("set/b.png", 2);
    picture("set/c.png", 3);
    test::write_text(folder_ / "named.csv",
                     "file,kind,size\nc.png,face,3\nb.png,house,2\na.png,car,1\nz.png,x,0\n");
    test::write_text(folder_ / "rows.csv", "kind\none\ntwo\nthree\n");

    const auto named = source("folder = \"set\"\nlabels = \"named.csv\"\nfirst = 1");
    const auto by_row = source("folder = \"set\"\nlabels = \"rows.csv\"\nfirst = 1\ncount = 1");

    EXPECT_EQ(texts(named->describe({ItemId{0}, 2}), "kind"),
              (std::vector<std::string>{"house", "face"}));
    EXPECT_EQ(named->describe({ItemId{1}, 1}).number("size", 0), 3.0);
    EXPECT_EQ(texts(by_row->describe({ItemId{0}, 1}), "kind"), (std::vector<std::string>{"two"}));
    EXPECT_EQ(by_row->count(), 1U);
    EXPECT_EQ(first_value(*by_row, 0), 2);
}

TEST_F(Files, WithLabelsThatDoNotFitAreRefused)
{
    picture("set/a.png", 1);
    picture("set/b.png", 2);
    test::write_text(folder_ / "rows.csv", "kind\none\n");
    test::write_text(folder_ / "named.csv", "file,kind\na.png,one\n");

    EXPECT_NE(complaint("folder = \"set\"\nlabels = \"rows.csv\"")
                  .find("rows.csv has 1 rows, but there are 2 stimuli (2 images from folder set)"),
              std::string::npos);
    EXPECT_NE(complaint("folder = \"set\"\nlabels = \"named.csv\"")
                  .find("named.csv has no row for 1 of the images of 2 images from folder set, the "
                        "first is 'b.png' (matched by column 'file')"),
              std::string::npos);
    EXPECT_NE(complaint("folder = \"set\"\ncount = 3")
                  .find("first = 0 and count = 3 reach beyond the 2 stimuli"),
              std::string::npos);
}

TEST_F(Files, OfArraysAreReadInEveryLayoutAndType)
{
    std::vector<std::uint8_t> bytes(2 * 3 * 4 * 5);
    std::vector<float> floats(bytes.size());
    for (std::size_t i = 0; i < bytes.size(); ++i) {
        bytes[i] = static_cast<std::uint8_t>(i);
        floats[i] = static_cast<float>(i) / 255.0F;
    }
    npy("nchw.npy", ElementType::u8, {2, 3, 4, 5}, bytes.data());
    npy("nhwc.npy", ElementType::u8, {2, 5, 4, 3}, bytes.data());
    npy("nhw.npy", ElementType::f32, {2, 3, 20}, floats.data());

    const Picture planes = source("npy = \"nchw.npy\"")->draw(ItemId{1}, no_canvas);
    const Picture pixels = source("npy = \"nhwc.npy\"")->draw(ItemId{1}, no_canvas);
    const Picture grey = source("npy = \"nhw.npy\"\nrange = [0, 1]")->draw(ItemId{1}, no_canvas);

    EXPECT_EQ(planes.channels, 3);
    EXPECT_EQ(planes.pixels.values<std::uint8_t>()[3 * 6 + 2], 60 + 40 + 6);
    EXPECT_EQ(pixels.pixels.values<std::uint8_t>()[7], 67);
    EXPECT_NEAR(grey.pixels.values<float>()[7], 67.0F, 1e-4F);
    EXPECT_EQ(grey.width, 20);
}

TEST_F(Files, ShownByTheSquareRootOfBrightnessAreTruncatedWhereTheyHave8Bits)
{
    std::vector<std::uint8_t> bytes(3 * 256);
    std::vector<float> floats(bytes.size());
    for (std::size_t i = 0; i < bytes.size(); ++i) {
        bytes[i] = static_cast<std::uint8_t>(i / 3);
        floats[i] = static_cast<float>(i) / 3.0F;
    }
    npy("bytes.npy", ElementType::u8, {1, 1, 256, 3}, bytes.data());
    npy("floats.npy", ElementType::f32, {1, 1, 256, 3}, floats.data());

    const auto of_bytes = in_square_root(source("npy = \"bytes.npy\"\nlayout = \"nhwc\""));
    const auto of_floats =
        in_square_root(source("npy = \"floats.npy\"\nlayout = \"nhwc\"\nrange = [0, 255]"));
    const Picture eight_bits = of_bytes->draw(ItemId{0}, no_canvas);
    const Picture fractions = of_floats->draw(ItemId{0}, no_canvas);

    for (std::size_t i = 0; i < bytes.size(); ++i) {
        // The largest root whose square is not above 255 * level.
        const unsigned root = eight_bits.pixels.values<std::uint8_t>()[i];
        EXPECT_LE(root * root, 255U * (i / 3));
        EXPECT_GT((root + 1) * (root + 1), 255U * (i / 3));
        EXPECT_NEAR(fractions.pixels.values<float>()[i], 255.0 * std::sqrt(floats[i] / 255.0),
                    1e-4);
    }
    EXPECT_NE(of_bytes->identity(), source("npy = \"bytes.npy\"\nlayout = \"nhwc\"")->identity());
}

TEST_F(Files, OfArraysThatLeaveADoubtAreRefused)
{
    const std::vector<float> values(2 * 3 * 4 * 3, 7.0F);
    npy("doubt.npy", ElementType::f32, {2, 3, 4, 3}, values.data());
    npy("flat.npy", ElementType::f32, {2, 36}, values.data());
    std::vector<float> holes = values;
    holes[40] = std::numeric_limits<float>::quiet_NaN();
    npy("holes.npy", ElementType::f32, {2, 6, 6}, holes.data());

    EXPECT_NE(
        complaint("npy = \"doubt.npy\"\nrange = [0, 255]")
            .find("from which the place of the channels cannot be told. Set layout = \"nhwc\" or "
                  "\"nchw\""),
        std::string::npos);
    EXPECT_NE(complaint("npy = \"flat.npy\"").find("flat.npy has shape [2, 36], expected [items,"),
              std::string::npos);
    EXPECT_NE(complaint("npy = \"holes.npy\"")
                  .find("holes.npy holds float32 values, whose black and white are unknown"),
              std::string::npos);
    EXPECT_EQ(plain(test::error_text([&] {
                  source("npy = \"holes.npy\"\nrange = [0, 255]")->draw(ItemId{1}, no_canvas);
              })),
              "holes.npy: row 1 holds 1 values that are not finite\n  item 1 of stimulus set 0");
    EXPECT_NE(test::error_text([&] {
                  source("npy = \"holes.npy\"\nrange = [0, 1]")->draw(ItemId{0}, no_canvas);
              }).find("row 0 holds 36 values far outside range = [0, 1]"),
              std::string::npos);
}

/// Two datasets [4, 2, 3] of the numbers 0 to 23: /plain and /chunked.
void write_hdf5(const std::string& path)
{
    const hid_t file = H5Fcreate(path.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    const hsize_t shape[3] = {4, 2, 3};
    const hid_t space = H5Screate_simple(3, shape, nullptr);
    const hid_t chunked = H5Pcreate(H5P_DATASET_CREATE);
    const hsize_t chunk[3] = {1, 2, 3};
    H5Pset_chunk(chunked, 3, chunk);
    std::vector<std::uint8_t> values(24);
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<std::uint8_t>(i);
    for (const auto& [name, properties] :
         {std::pair{"plain", hid_t{H5P_DEFAULT}}, {"chunked", chunked}}) {
        const hid_t set =
            H5Dcreate2(file, name, H5T_NATIVE_UINT8, space, H5P_DEFAULT, properties, H5P_DEFAULT);
        H5Dwrite(set, H5T_NATIVE_UINT8, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data());
        H5Dclose(set);
    }
    H5Pclose(chunked);
    H5Sclose(space);
    H5Fclose(file);
}

TEST_F(Files, OfAnHdf5DatasetAreReadWithoutTheLibraryOrConvertedFirst)
{
    const std::string path = (folder_ / "a.h5").string();
    write_hdf5(path);

    const auto plain_set = source("hdf5 = \"a.h5:/plain\"");
    test::write_text(folder_ / "somebodys", "important");
    fs::create_symlink("somebodys", folder_ / "b.npy.part");
    convert_hdf5_to_npy(path, "/chunked", folder_ / "b.npy");
    EXPECT_EQ(test::read_text(folder_ / "somebodys"), "important");
    const auto converted = source("npy = \"b.npy\"");

    EXPECT_EQ(first_value(*plain_set, 3), 18);
    EXPECT_EQ(first_value(*converted, 3), 18);
    EXPECT_NE(
        complaint("hdf5 = \"a.h5:/chunked\"").find("twinscreen convert a.h5:/chunked OUT.npy"),
        std::string::npos);
    EXPECT_NE(complaint("hdf5 = \"a.h5:/none\"").find("a.h5 has no dataset '/none'"),
              std::string::npos);
    const std::string whole = test::read_text(path);
    for (std::size_t length = 0; length < whole.size(); length += whole.size() / 12) {
        test::write_text(folder_ / "cut.h5", whole.substr(0, length));
        EXPECT_NE(test::error_text([&] { opened((folder_ / "cut.h5").string() + ":/plain"); }), "");
    }
}

TEST_F(Files, OfSeveralSetsAreConcatenatedWithTheColumnsOfAll)
{
    picture("set/a.png", 1);
    picture("set/b.png", 2);
    test::write_text(folder_ / "rows.csv", "score\n10\n20\n");
    std::vector<std::uint8_t> bytes(6, 9);
    npy("a.npy", ElementType::u8, {1, 2, 3}, bytes.data());
    std::vector<std::unique_ptr<StimulusSource>> sets;
    sets.push_back(source("npy = \"a.npy\""));
    sets.push_back(source("folder = \"set\"\nlabels = \"rows.csv\""));

    const auto all = concatenate(std::move(sets));
    const Table table = all->describe({ItemId{0}, 3});

    EXPECT_EQ(all->count(), 3U);
    EXPECT_EQ(first_value(*all, 0), 9);
    EXPECT_EQ(first_value(*all, 2), 2);
    EXPECT_EQ(table.number("set", 2), 1.0);
    EXPECT_TRUE(std::isnan(table.number("score", 0)));
    EXPECT_EQ(table.number("score", 2), 20.0);
    EXPECT_TRUE(std::isnan(table.number("row", 1)));
    EXPECT_EQ(plain(texts(table, "file")[0]), "a.npy");
    EXPECT_EQ(all->describe({ItemId{1}, 1}).columns.size(), table.columns.size());
}

TEST_F(Files, AreTheSameSetOnlyWithTheSameNamesSizesAndSlice)
{
    picture("set/a.png", 1);
    picture("set/b.png", 2);
    const std::string before = source("folder = \"set\"")->identity();
    const std::string part = source("folder = \"set\"\ncount = 1")->identity();

    EXPECT_EQ(source("folder = \"set\"")->identity(), before);
    EXPECT_NE(part, before);
    picture("set/c.png", 3);
    EXPECT_NE(source("folder = \"set\"")->identity(), before);
}

TEST_F(Files, InAMovedFolderAreTheSameSet)
{
    picture("here/set/deep/a.png", 1);
    picture("here/b.png", 2);
    test::write_text(folder_ / "here/list.txt", "set/deep/a.png\nb.png\n");
    const std::string tables[] = {"folder = \"PLACE/set\"\nrecursive = true",
                                  "list = \"PLACE/list.txt\"",
                                  "crops = { folder = \"PLACE\" }\ncount = 3"};
    const auto identities = [&](const std::string& place) {
        std::vector<std::string> all;
        for (std::string table : tables) {
            table.replace(table.find("PLACE"), 5, place);
            all.push_back(source(table)->identity());
        }
        return all;
    };
    const std::vector<std::string> before = identities("here");

    fs::rename(folder_ / "here", folder_ / "there");

    EXPECT_EQ(identities("there"), before);
    EXPECT_EQ(plain(source("folder = \"there/set\"\nrecursive = true")->summary()),
              "1 images from folder there/set");
    test::write_text(folder_ / "there/set/deep/a.png",
                     test::read_text(folder_ / "there/set/deep/a.png") + "x");
    EXPECT_NE(identities("there")[0], before[0]);
    EXPECT_NE(identities("there")[1], before[1]);
}

TEST_F(Files, OfAZipAreTheSameSetWhereverItLiesAsLongAsTheirBytesAre)
{
    const auto pack = [&](const std::string& name, const std::string& bytes) {
        zip_t* archive = zip_open((folder_ / name).c_str(), ZIP_CREATE, nullptr);
        zip_file_add(archive, "a.png", zip_source_buffer(archive, bytes.data(), bytes.size(), 0),
                     0);
        zip_close(archive);
        return source("zip = \"" + name + "\"")->identity();
    };

    const std::string identity = pack("one.zip", "some bytes");

    EXPECT_EQ(pack("two.zip", "some bytes"), identity);
    EXPECT_NE(pack("three.zip", "same size!"), identity);
}

TEST_F(Files, OfAnArrayAreTheSameSetWhereverItLiesAsLongAsItsValuesAre)
{
    constexpr std::size_t items = 600;  // 6 MB: only a part of it is looked at
    std::vector<std::uint8_t> values(items * 100 * 100);
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<std::uint8_t>(i % 251);
    const auto identity = [&](const std::string& name) {
        npy(name, ElementType::u8, {items, 100, 100}, values.data());
        return source("npy = \"" + name + "\"")->identity();
    };
    const std::string before = identity("a.npy");

    EXPECT_EQ(identity("b.npy"), before);
    values.back() ^= 1U;
    EXPECT_NE(identity("a.npy"), before);
    values.back() ^= 1U;
    values.front() ^= 1U;
    EXPECT_NE(identity("a.npy"), before);
    values.front() ^= 1U;
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<std::uint8_t>(i % 253);
    EXPECT_NE(identity("a.npy"), before);
    const std::uint8_t small[] = {1, 2, 3, 4};
    npy("small.npy", ElementType::u8, {1, 2, 2}, small);
    npy("wide.npy", ElementType::u8, {1, 1, 4}, small);
    EXPECT_NE(source("npy = \"small.npy\"")->identity(), source("npy = \"wide.npy\"")->identity());
}

TEST_F(Files, OfAnHdf5FileWithRandomDamageAreReadOrRefusedButNeverCrashNorHang)
{
    const std::string path = (folder_ / "a.h5").string();
    write_hdf5(path);
    const std::string sound = test::read_text(path);
    std::mt19937 random(20260611);
    int read = 0;
    int refused = 0;
    const auto count = [&](auto&& action) {
        try {
            action();
            ++read;
        } catch (const Error& error) {
            EXPECT_EQ(error.kind(), Error::Kind::data) << error.what();
            ++refused;
        }
    };

    for (int mutant = 0; mutant < 150; ++mutant) {
        std::string damaged = sound;
        for (auto bytes = 1 + random() % 8; bytes > 0; --bytes)
            damaged[random() % damaged.size()] = static_cast<char>(random());
        test::write_text(path, damaged);
        count([&] { locate_hdf5_dataset(ReadFile(path), "/plain", std::chrono::seconds(2)); });
        count([&] {
            convert_hdf5_to_npy(path, "/chunked", folder_ / "b.npy", std::chrono::seconds(2));
        });
    }

    EXPECT_GT(read, 0);
    EXPECT_GT(refused, 0);
}

TEST_F(Files, OfAnHdf5DatasetAreTheSameSetWhereverItLiesAsLongAsItsValuesAre)
{
    const auto identity = [&](const std::string& name, const char* dataset, std::uint8_t last) {
        const std::uint8_t values[] = {1, 2, 3, 4, 5, last};
        const hsize_t shape[3] = {1, 2, 3};
        const hid_t file =
            H5Fcreate((folder_ / name).c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
        const hid_t space = H5Screate_simple(3, shape, nullptr);
        const hid_t set = H5Dcreate2(file, dataset, H5T_NATIVE_UINT8, space, H5P_DEFAULT,
                                     H5P_DEFAULT, H5P_DEFAULT);
        H5Dwrite(set, H5T_NATIVE_UINT8, H5S_ALL, H5S_ALL, H5P_DEFAULT, values);
        H5Dclose(set);
        H5Sclose(space);
        H5Fclose(file);
        return source(fmt::format("hdf5 = \"{}:/{}\"", name, dataset))->identity();
    };

    const std::string before = identity("a.h5", "set", 6);

    EXPECT_EQ(identity("b.h5", "another_name", 6), before);
    EXPECT_NE(identity("a.h5", "set", 7), before);
}

TEST_F(Files, OfAnUnknownOrDoubleKindAreRefused)
{
    EXPECT_NE(complaint("foldr = \"set\"").find("did you mean 'folder'?"), std::string::npos);
    EXPECT_NE(complaint("count = 1").find("does not say what the stimuli are"), std::string::npos);
    EXPECT_NE(
        complaint("folder = \".\"\nzip = \"a.zip\"").find("'folder' and 'zip' stand together"),
        std::string::npos);
    fs::create_directories(folder_ / "empty");
    EXPECT_NE(complaint("folder = \"empty\"").find("folder empty holds no PNG or JPEG images"),
              std::string::npos);
}

}  // namespace
}  // namespace twinscreen
