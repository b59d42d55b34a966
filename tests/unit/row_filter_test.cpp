#include "engine/config/row_filter.hpp"

#include <cmath>
#include <random>

#include <gmock/gmock.h>

#include "tests/support/support.hpp"

namespace twinscreen {
namespace {

using test::error_text;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

const double unknown = std::nan("");

Table units()
{
    return {{
        {"heldout_r", "", std::vector<double>{0.1, 0.5, unknown, 0.3, 0.9}},
        {"area", "", std::vector<std::string>{"V1", "V4", "V4", "LM", "V1"}},
        {"id", "", std::vector<std::int64_t>{-2, 0, 7, (1LL << 53) + 1, 1LL << 53}},
        {"mean rate", "Hz", std::vector<double>{1, 2, 3, 4, 5}},
    }};
}

std::vector<std::size_t> kept(const std::string& expression)
{
    return filter_rows(units(), expression);
}

std::string mistake(const std::string& expression)
{
    return error_text([&] { filter_rows(units(), expression); });
}

TEST(RowFilter, KeepsAllRowsForAnEmptyExpression)
{
    EXPECT_THAT(kept(""), ElementsAre(0, 1, 2, 3, 4));
    EXPECT_THAT(kept(" \n\t"), ElementsAre(0, 1, 2, 3, 4));
    EXPECT_THAT(filter_rows(Table{}, ""), IsEmpty());
}

TEST(RowFilter, ComparesNumbers)
{
    EXPECT_THAT(kept("heldout_r > 0.3"), ElementsAre(1, 4));
    EXPECT_THAT(kept("heldout_r >= 0.3"), ElementsAre(1, 3, 4));
    EXPECT_THAT(kept("heldout_r<.3"), ElementsAre(0));
    EXPECT_THAT(kept("heldout_r <= +3e-1"), ElementsAre(0, 3));
    EXPECT_THAT(kept("heldout_r == 0.5"), ElementsAre(1));
    EXPECT_THAT(kept("id > -1.5"), ElementsAre(1, 2, 3, 4));
    EXPECT_THAT(kept("`mean rate` >= 4"), ElementsAre(3, 4));
}

TEST(RowFilter, NanIsOnlyEverUnequal)
{
    EXPECT_THAT(kept("heldout_r != 0.5"), ElementsAre(0, 2, 3, 4));
    EXPECT_THAT(kept("heldout_r > 0 or heldout_r <= 0"), ElementsAre(0, 1, 3, 4));
    EXPECT_THAT(kept("heldout_r in [0.1, 0.9]"), ElementsAre(0, 4));
    EXPECT_THAT(kept("not heldout_r > 0.3"), ElementsAre(0, 2, 3));
}

TEST(RowFilter, ComparesLargeIntegersExactly)
{
    EXPECT_THAT(kept("id == 9007199254740992"), ElementsAre(4));
    EXPECT_THAT(kept("id > 9007199254740992"), ElementsAre(3));
    EXPECT_THAT(kept("id < 1e300"), ElementsAre(0, 1, 2, 3, 4));
    EXPECT_THAT(kept("id > -1e300 and id <= -1.5"), ElementsAre(0));
}

TEST(RowFilter, ComparesTexts)
{
    EXPECT_THAT(kept("area == 'V4'"), ElementsAre(1, 2));
    EXPECT_THAT(kept("area != \"V4\""), ElementsAre(0, 3, 4));
    EXPECT_THAT(kept("area in ['V1', 'LM']"), ElementsAre(0, 3, 4));
    EXPECT_THAT(kept("area not in ['V1', 'LM',]"), ElementsAre(1, 2));
    EXPECT_THAT(kept("area in []"), IsEmpty());
    EXPECT_THAT(kept("area < 'V'"), ElementsAre(3));
}

TEST(RowFilter, BindsNotBeforeAndBeforeOr)
{
    EXPECT_THAT(kept("area == 'V1' or area == 'V4' and heldout_r > 0.4"), ElementsAre(0, 1, 4));
    EXPECT_THAT(kept("(area == 'V1' or area == 'V4') and heldout_r > 0.4"), ElementsAre(1, 4));
    EXPECT_THAT(kept("not area == 'V1' and heldout_r < 0.4"), ElementsAre(3));
    EXPECT_THAT(kept("not (area == 'V1' and heldout_r < 0.4)"), ElementsAre(1, 2, 3, 4));
    EXPECT_THAT(kept("not not area == 'LM'"), ElementsAre(3));
}

/// A random expression and, row by row, whether it holds: written down together, so that the
/// reference needs no parser.
struct Written {
    std::string text;
    std::vector<bool> holds;
};

class ExpressionWriter {
public:
    explicit ExpressionWriter(unsigned seed) : random_(seed) {}

    Written write(int depth)
    {
        if (depth == 0 || pick(4) == 0) return comparison();
        const Written left = write(depth - 1);
        if (pick(3) == 0) {
            Written result{"not (" + left.text + ")", left.holds};
            result.holds.flip();
            return result;
        }
        const Written right = write(depth - 1);
        const bool both = pick(2) == 0;
        Written result{"(" + left.text + (both ? ") and (" : ") or (") + right.text + ")", {}};
        for (std::size_t row = 0; row < left.holds.size(); ++row)
            result.holds.push_back(both ? left.holds[row] && right.holds[row]
                                        : left.holds[row] || right.holds[row]);
        return result;
    }

private:
    int pick(int count) { return static_cast<int>(random_() % static_cast<unsigned>(count)); }

    Written comparison()
    {
        const std::vector<double> values{0.1, 0.5, unknown, 0.3, 0.9};
        const double limit = pick(11) / 10.0;
        const int sign = pick(6);
        const char* signs[] = {"==", "!=", "<", "<=", ">", ">="};
        Written result{fmt::format("heldout_r {} {}", signs[sign], limit), {}};
        for (const double value : values) {
            const bool holds[] = {value == limit, value != limit,
                                  value<limit, value <= limit, value> limit, value >= limit};
            result.holds.push_back(holds[sign]);
        }
        return result;
    }

    std::mt19937 random_;
};

TEST(RowFilter, AgreesWithExpressionsThatCarryTheirOwnAnswer)
{
    ExpressionWriter writer(5);
    for (int repeat = 0; repeat < 500; ++repeat) {
        const Written written = writer.write(5);
        std::vector<std::size_t> expected;
        for (std::size_t row = 0; row < written.holds.size(); ++row)
            if (written.holds[row]) expected.push_back(row);

        ASSERT_EQ(kept(written.text), expected) << written.text;
    }
}

TEST(RowFilter, PointsAtTheMistake)
{
    EXPECT_EQ(mistake("heldout_r >> 0.3"),
              "filter, column 12: expected a number or a quoted text, found \">\"\n"
              "    heldout_r >> 0.3\n"
              "               ^");
    EXPECT_EQ(mistake("held_out_r > 0.3"),
              "filter, column 1: unknown column \"held_out_r\"\n"
              "    held_out_r > 0.3\n"
              "    ^\n"
              "  did you mean 'heldout_r'? columns: heldout_r, area, id, mean rate");
    EXPECT_EQ(mistake("area == V4"),
              "filter, column 9: expected a number or a quoted text, found \"V4\"\n"
              "    area == V4\n"
              "            ^\n"
              "  a text is written in quotes: 'V4'");
    EXPECT_EQ(mistake("area > 3"),
              "filter, column 8: column 'area' holds texts, it cannot be compared with a number\n"
              "    area > 3\n"
              "           ^\n"
              "  write the text in quotes: '3'");
    EXPECT_EQ(mistake("heldout_r in ['a']"),
              "filter, column 15: column 'heldout_r' holds numbers, it cannot be compared with a "
              "text\n"
              "    heldout_r in ['a']\n"
              "                  ^\n"
              "  write the number without quotes");
}

TEST(RowFilter, RefusesUnfinishedAndStrayParts)
{
    EXPECT_THAT(mistake("heldout_r >"), HasSubstr("column 12: expected a number or a quoted text, "
                                                  "found the end"));
    EXPECT_THAT(mistake("heldout_r"), HasSubstr("expected == != < <= > >= or 'in', found the end"));
    EXPECT_THAT(mistake("(id > 1"), HasSubstr("expected 'and', 'or' or ')', found the end"));
    EXPECT_THAT(mistake("id > 1)"),
                HasSubstr("column 7: expected 'and', 'or' or the end, found \")\""));
    EXPECT_THAT(mistake("id > 1 id"), HasSubstr("found \"id\""));
    EXPECT_THAT(mistake("id = 1"), HasSubstr("equality is written =="));
    EXPECT_THAT(mistake("id > 1 && id < 2"), HasSubstr("write 'and'"));
    EXPECT_THAT(mistake("!id"), HasSubstr("write 'not'"));
    EXPECT_THAT(mistake("id > 1.2.3"), HasSubstr("\"1.2.3\" is not a number"));
    EXPECT_THAT(mistake("area == 'V1"), HasSubstr("column 9: text without its closing '"));
    EXPECT_THAT(mistake("area in 'V1'"), HasSubstr("expected '[' and a list"));
    EXPECT_THAT(mistake("area in ['V1' 'V4']"), HasSubstr("expected ',' or ']', found \"V4\""));
    EXPECT_THAT(mistake("area not 'V1'"), HasSubstr("expected 'in'"));
    EXPECT_THAT(mistake("area > \xC2\xB5"), HasSubstr("unexpected \"\xC2\xB5\""));
    EXPECT_THAT(mistake("3 < id"), HasSubstr("expected the name of a column, found \"3\""));
}

TEST(RowFilter, RefusesDeepNestingInsteadOfOverflowing)
{
    EXPECT_THAT(mistake(std::string(100000, '(')), HasSubstr("nested more than 64 deep"));
    std::string negations;
    for (int i = 0; i < 100000; ++i) negations += "not ";
    EXPECT_THAT(mistake(negations + "id > 1"), HasSubstr("nested more than 64 deep"));
}

TEST(RowFilter, CutsALongExpressionAroundTheCaret)
{
    std::string expression = "id > 1";
    for (int i = 0; i < 100; ++i) expression += " and id > 1";

    const std::string text = mistake(expression + " and idd > 1" + expression);

    EXPECT_THAT(text, HasSubstr("filter, column 1112: unknown column \"idd\""));
    const std::size_t shown = text.find('\n') + 1;
    const std::size_t below = text.find('\n', shown) + 1;
    EXPECT_EQ(text.substr(shown, 7), "    ...");
    const std::size_t caret = text.find('^', below) - below;
    EXPECT_EQ(text.substr(shown + caret, 3), "idd");
    EXPECT_LE(below - shown, 112U);
}

TEST(RowFilter, NeverCrashesOnDamagedExpressions)
{
    const std::string sound =
        "not (heldout_r > 0.3 and area in ['V1', \"V4\"]) or `mean rate` != 1e-3";
    std::mt19937 random(11);
    int refused = 0;
    for (int repeat = 0; repeat < 3000; ++repeat) {
        std::string damaged = sound.substr(0, random() % (sound.size() + 1));
        for (int flip = 0; flip < 2 && !damaged.empty(); ++flip)
            damaged[random() % damaged.size()] = static_cast<char>(random() & 0xFF);
        try {
            kept(damaged);
        } catch (const Error& error) {
            ASSERT_EQ(error.kind(), Error::Kind::config);
            ++refused;
        }
    }
    EXPECT_GT(refused, 2000);
}

}  // namespace
}  // namespace twinscreen
