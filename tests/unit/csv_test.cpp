#include "engine/config/csv.hpp"

#include <cmath>
#include <random>

#include <gmock/gmock.h>

#include "engine/config/limits.hpp"
#include "tests/support/support.hpp"

namespace twinscreen {
namespace {

using test::error_text;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

class Csv : public ::testing::Test {
protected:
    Table read(const std::string& text, const std::string& name = "labels.csv")
    {
        test::write_text(folder_ / name, text);
        return read_csv(folder_ / name);
    }

    /// The message without the folder in front of the file's name.
    std::string mistake(const std::string& text)
    {
        std::string message = error_text([&] { read(text); });
        const std::string front = folder_.path().string() + "/";
        for (std::size_t at = message.find(front); at != std::string::npos;
             at = message.find(front))
            message.erase(at, front.size());
        return message;
    }

    test::TemporaryFolder folder_;
};

const std::vector<double>& numbers(const Table& table, const std::string& name)
{
    return std::get<std::vector<double>>(table.find(name)->values);
}

const std::vector<std::string>& texts(const Table& table, const std::string& name)
{
    return std::get<std::vector<std::string>>(table.find(name)->values);
}

TEST_F(Csv, TellsNumbersFromTexts)
{
    const Table table = read("file,size,session\na.png,1.5,x1\nb.png, -2e3 ,7\n");

    EXPECT_EQ(table.rows(), 2U);
    EXPECT_THAT(texts(table, "file"), ElementsAre("a.png", "b.png"));
    EXPECT_THAT(numbers(table, "size"), ElementsAre(1.5, -2000.0));
    EXPECT_THAT(texts(table, "session"), ElementsAre("x1", "7"));
}

TEST_F(Csv, EmptyCellsAndNanAreUnknownNumbers)
{
    const Table table = read("a,b\n1,\nnan,\nNaN,\n,\n");

    ASSERT_EQ(table.rows(), 4U);
    EXPECT_EQ(numbers(table, "a")[0], 1.0);
    for (std::size_t row = 1; row < 4; ++row) EXPECT_TRUE(std::isnan(numbers(table, "a")[row]));
    for (std::size_t row = 0; row < 4; ++row) EXPECT_TRUE(std::isnan(numbers(table, "b")[row]));
}

TEST_F(Csv, KeepsDigitsThatANumberWouldLose)
{
    const Table table = read("code,id,plain\n0042,9007199254740993,0.5\n7,1,0\n");

    EXPECT_THAT(texts(table, "code"), ElementsAre("0042", "7"));
    EXPECT_THAT(texts(table, "id"), ElementsAre("9007199254740993", "1"));
    EXPECT_THAT(numbers(table, "plain"), ElementsAre(0.5, 0.0));
}

TEST_F(Csv, DoesNotTakeOtherWordsForNumbers)
{
    for (const char* word : {"nan(1)", "+-1", "0x10", "1e999", "1 2", "--1", "+", ".", "-nan"})
        EXPECT_TRUE(read(fmt::format("a\n{}\n", word)).columns[0].is_text()) << word;
    for (const char* word : {"+1", "-0.5", ".5", "1.", "1E3"})
        EXPECT_FALSE(read(fmt::format("a\n{}\n", word)).columns[0].is_text()) << word;
}

TEST_F(Csv, ReadsQuotedCells)
{
    const Table table = read("name,\"note, long\"\n\"a \"\"b\"\"\",\"two\nlines\"\n\"\", x\n");

    EXPECT_THAT(texts(table, "name"), ElementsAre("a \"b\"", ""));
    EXPECT_THAT(texts(table, "note, long"), ElementsAre("two\nlines", " x"));
}

TEST_F(Csv, AcceptsWhatEditorsWrite)
{
    const Table windows = read(
        "\xEF\xBB\xBF"
        "a, b\r\n1,x\r\n2,y\r\n\r\n");
    const Table unfinished = read("a,b\n1,x\n2,y");
    const Table tabs = read("a\tb\n1\tx,y\n2\ty\n", "labels.tsv");

    for (const Table* table : {&windows, &unfinished, &tabs}) {
        EXPECT_THAT(numbers(*table, "a"), ElementsAre(1.0, 2.0));
        EXPECT_EQ(texts(*table, "b")[1], "y");
    }
    EXPECT_EQ(texts(tabs, "b")[0], "x,y");
}

TEST_F(Csv, ATableMayHaveNoRows)
{
    EXPECT_EQ(read("a,b\n").rows(), 0U);
    EXPECT_EQ(read("a,b").columns.size(), 2U);
}

TEST_F(Csv, NamesEveryRaggedLine)
{
    EXPECT_EQ(mistake("a,b\n1,2\n1\n\"x\ny\",2\n1,2,3\n\n1,2\n"),
              "labels.csv:3: 1 cell, expected 2\n"
              "labels.csv:6: 3 cells, expected 2\n"
              "labels.csv:7: line is empty\n"
              "  every line needs a cell for each column; a cell with a separator is quoted");
}

TEST_F(Csv, StopsAfterTenRaggedLines)
{
    std::string text = "a,b\n";
    for (int i = 0; i < 1000; ++i) text += "1\n";

    const std::string message = mistake(text);

    EXPECT_THAT(message, HasSubstr("labels.csv:11: "));
    EXPECT_EQ(message.find("labels.csv:12: "), std::string::npos);
}

TEST_F(Csv, RefusesBadNames)
{
    EXPECT_EQ(mistake("a,,b\n"),
              "labels.csv:1: column 2 has no name\n  the first line names the columns");
    EXPECT_EQ(mistake("a,b, a\n"), "labels.csv:1: column name 'a' stands twice");
    EXPECT_EQ(mistake("a;b\n1;2\n"),
              "labels.csv:1: one column named \"a;b\" (other separators between the names?)\n"
              "  separate columns by commas, or by tabs in a .tsv file");
}

TEST_F(Csv, RefusesBrokenQuotes)
{
    EXPECT_EQ(mistake("a,b\n1,2\n\"x,\n,\n"), "labels.csv:3: quote is never closed");
    EXPECT_EQ(mistake("a,b\n\"x\"y,2\n"), "labels.csv:2: text after the closing quote of a cell");
    EXPECT_THAT(mistake("a,b\nx\"y,2\n"),
                StartsWith("labels.csv:2: quote inside a cell that does not begin with one"));
}

TEST_F(Csv, RefusesWhatIsNoText)
{
    EXPECT_EQ(mistake(""), "labels.csv: is empty (the first line names the columns)");
    EXPECT_EQ(mistake(" \r\n\n"), "labels.csv: is empty (the first line names the columns)");
    EXPECT_EQ(mistake(std::string("a\n\0\n", 4)),
              "labels.csv:2: holds a zero byte (is this a table?)");
    EXPECT_EQ(mistake("a\nGr\xFC n\n"),
              "labels.csv:2: byte 0xFC is not UTF-8\n  save the table as UTF-8");
    EXPECT_EQ(mistake("\xFF\xFE"
                      "a"),
              "labels.csv: is UTF-16 (tables are UTF-8)\n  save the table as UTF-8");
    EXPECT_THAT(mistake("a,b\r1,2\r"), StartsWith("labels.csv:1: carriage return without"));
}

TEST_F(Csv, RefusesWhatCannotBeRead)
{
    const std::string missing = (folder_ / "none.csv").string();
    const std::string folder = folder_.path().string();

    EXPECT_EQ(error_text([&] { read_csv(missing); }), missing + ": no such file");
    EXPECT_EQ(error_text([&] { read_csv(folder); }), folder + ": is a folder, not a table");
}

TEST_F(Csv, SizeAndColumnsHaveLimits)
{
    const std::string huge = (folder_ / "huge.csv").string();
    test::write_text(huge, "a\n");
    std::filesystem::resize_file(huge, std::uintmax_t{1} << 40U);  // of holes
    std::string header = "c0";
    for (std::size_t column = 1; column <= most_table_columns; ++column)
        header += fmt::format(",c{}", column);
    test::write_text(folder_ / "wide.csv", header + "\n");

    EXPECT_EQ(error_text([&] { read_csv(huge); }),
              huge + " has 1099511627776 bytes (at most 268435456 are read)");
    EXPECT_EQ(error_text([&] { read_csv(folder_ / "wide.csv"); }),
              (folder_ / "wide.csv").string() + ":1: 16385 columns (at most 16384)");
}

TEST_F(Csv, NeverCrashesOnDamagedTables)
{
    const std::string sound = "name,\"x, y\"\r\n\"a \"\"b\"\"\",1.5\r\n\"two\nlines\",-2\r\n";
    std::mt19937 random(3);
    int refused = 0;
    for (int repeat = 0; repeat < 300; ++repeat) {
        std::string damaged = sound.substr(0, random() % (sound.size() + 1));
        if (!damaged.empty())
            damaged[random() % damaged.size()] = static_cast<char>(random() & 0xFF);
        try {
            const Table table = read(damaged);
            for (const TableColumn& column : table.columns) ASSERT_EQ(column.size(), table.rows());
        } catch (const Error& error) {
            ASSERT_EQ(error.kind(), Error::Kind::data);
            ++refused;
        }
    }
    EXPECT_GT(refused, 100);
    EXPECT_LT(refused, 300);
}

}  // namespace
}  // namespace twinscreen
