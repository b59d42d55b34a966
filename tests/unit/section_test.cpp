#include "engine/config/section.hpp"

#include <cmath>
#include <cstdlib>
#include <limits>
#include <random>

#include <gmock/gmock.h>

#include "engine/config/limits.hpp"
#include "tests/support/support.hpp"

namespace twinscreen {
namespace {

namespace fs = std::filesystem;
using test::error_text;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

ConfigDocument parsed(const std::string& text)
{
    return ConfigDocument::parse(text, "c.toml", ".");
}

std::string mistakes(const ConfigDocument& document)
{
    return error_text([&] { document.throw_if_invalid(); });
}

std::string syntax_mistake(const std::string& text)
{
    return error_text([&] { parsed(text); });
}

/// All the mistakes of reading one key of a one-line file.
template <class T>
std::string mistake_of(const std::string& line, const std::string& unit = {},
                       const Rule<T>& rule = any_value<T>())
{
    auto document = parsed(line);
    document.root().require<T>("x", unit, rule);
    return mistakes(document);
}

TEST(Section, ReadsEveryTypeOfValue)
{
    auto root = parsed(R"(
flag = true
count = -3
ratio = 0.5
whole = 2
name = "V4"
sizes = [1, 2.5]
ids = [1, 2]
areas = ["V1", "V2"]
one = "V1"
none = []
)")
                    .root();

    EXPECT_TRUE(root.require<bool>("flag"));
    EXPECT_EQ(root.require<std::int64_t>("count"), -3);
    EXPECT_EQ(root.require<double>("ratio"), 0.5);
    EXPECT_EQ(root.require<double>("whole"), 2.0);
    EXPECT_EQ(root.require<std::string>("name"), "V4");
    EXPECT_THAT(root.require<std::vector<double>>("sizes"), ElementsAre(1.0, 2.5));
    EXPECT_THAT(root.require<std::vector<std::int64_t>>("ids"), ElementsAre(1, 2));
    EXPECT_THAT(root.require<std::vector<std::string>>("areas"), ElementsAre("V1", "V2"));
    EXPECT_THAT(root.require<std::vector<std::string>>("one"), ElementsAre("V1"));
    EXPECT_THAT(root.require<std::vector<double>>("none"), IsEmpty());
    EXPECT_EQ(root.get_or<double>("absent", 7.0), 7.0);
    EXPECT_FALSE(root.has_mistakes());
}

TEST(Section, AnswersQuestionsWithoutComplaints)
{
    auto document = parsed("a = 'x'\nb = ['x']\nc = [1]\nd = []\n[e]\n[[f]]\n");
    auto root = document.root();

    EXPECT_TRUE(root.has("a"));
    EXPECT_FALSE(root.has("z"));
    EXPECT_TRUE(root.holds_text("a"));
    EXPECT_TRUE(root.holds_text("b"));
    EXPECT_FALSE(root.holds_text("c"));
    EXPECT_FALSE(root.holds_text("d"));
    EXPECT_FALSE(root.holds_text("z"));
    EXPECT_TRUE(root.holds_array("b"));
    EXPECT_TRUE(root.holds_array("f"));
    EXPECT_FALSE(root.holds_array("a"));
    EXPECT_TRUE(root.holds_table("e"));
    EXPECT_FALSE(root.holds_table("f"));
    EXPECT_NO_THROW(document.throw_if_invalid());
}

TEST(Section, ReportsAllMistakesInFileOrder)
{
    auto document = ConfigDocument::parse(
        "[schedule]\nshard_rows = 0\nbacth_rows = 64\n\n[stimulus]\nkind = \"gratngs\"\n"
        "frame_rate = \"fast\"\n",
        "campaign.toml", ".");
    auto root = document.root();
    auto stimulus = root.child("stimulus");
    stimulus.get_or<double>("frame_rate", 30, "Hz");
    stimulus.one_of("kind", "noise", {"noise", "gratings"});
    stimulus.require<double>("size", "deg", above(0.0));
    auto schedule = root.child("schedule");
    schedule.get_or<std::int64_t>("batch_rows", 1);
    schedule.get_or<std::int64_t>("shard_rows", 1, "stimuli", in_range<std::int64_t>(1, 65536));
    schedule.reject_unknown_keys();

    EXPECT_EQ(
        mistakes(document),
        "campaign.toml:2:14: error: schedule.shard_rows = 0 stimuli (must be in 1..65536)\n"
        "    2 | shard_rows = 0\n"
        "      |              ^\n"
        "campaign.toml:3:1: error: unknown key 'bacth_rows' in [schedule]\n"
        "    3 | bacth_rows = 64\n"
        "      | ^\n"
        "      = did you mean 'batch_rows'?\n"
        "campaign.toml:5:1: error: stimulus.size is missing, expected a number [deg] above 0\n"
        "    5 | [stimulus]\n"
        "      | ^\n"
        "campaign.toml:6:8: error: stimulus.kind = \"gratngs\" (must be one of \"noise\", "
        "\"gratings\")\n"
        "    6 | kind = \"gratngs\"\n"
        "      |        ^\n"
        "      = did you mean 'gratings'?\n"
        "campaign.toml:7:14: error: stimulus.frame_rate is a string, expected a number [Hz]\n"
        "    7 | frame_rate = \"fast\"\n"
        "      |              ^\n"
        "5 errors in campaign.toml; nothing was run");
    try {
        document.throw_if_invalid();
    } catch (const Error& error) {
        EXPECT_EQ(error.exit_code(), 2);
    }
}

TEST(Section, NamesTheExpectedType)
{
    EXPECT_THAT(mistake_of<bool>("x = 1"),
                StartsWith("c.toml:1:5: error: x is a whole number, expected true or false\n"));
    EXPECT_THAT(mistake_of<std::int64_t>("x = 10.0", "items"),
                StartsWith("c.toml:1:5: error: x = 10.0, expected a whole number [items]\n"));
    EXPECT_THAT(mistake_of<std::int64_t>("x = 1e3"), HasSubstr("x = 1000.0, expected a whole "));
    EXPECT_THAT(mistake_of<double>("x = [1]", "Hz"),
                HasSubstr("x is an array, expected a number [Hz]"));
    EXPECT_THAT(mistake_of<std::string>("x = {a = 1}"),
                HasSubstr("x is a table, expected a string"));
    EXPECT_THAT(mistake_of<std::string>("x = 2020-01-01"),
                HasSubstr("x is a date or time, expected a string"));
    EXPECT_THAT(mistake_of<std::vector<double>>("x = {a = 1}", "deg"),
                HasSubstr("x is a table, expected an array of numbers [deg]"));
}

TEST(Section, PointsAtEveryBadElementOfAnArray)
{
    EXPECT_EQ(mistake_of<std::vector<std::int64_t>>("x = [1, 'a',\n 2.0]", "px"),
              "c.toml:1:9: error: x[1] is a string, expected a whole number [px]\n"
              "    1 | x = [1, 'a',\n"
              "      |         ^\n"
              "c.toml:2:2: error: x[2] = 2.0, expected a whole number [px]\n"
              "    2 |  2.0]\n"
              "      |  ^\n"
              "2 errors in c.toml; nothing was run");
}

TEST(Section, RefusesNonFiniteNumbersUnlessTheRuleTakesThem)
{
    EXPECT_THAT(mistake_of<double>("x = nan", "Hz"), HasSubstr("x = nan Hz (must be finite)"));
    EXPECT_THAT(mistake_of<double>("x = -inf"), HasSubstr("x = -inf (must be finite)"));
    EXPECT_THAT(mistake_of<std::vector<double>>("x = [1, inf]"),
                HasSubstr("c.toml:1:9: error: x[1] = inf (must be finite)"));

    Rule<double> any = any_value<double>();
    any.takes_non_finite = true;
    EXPECT_EQ(parsed("x = inf").root().require<double>("x", "", any),
              std::numeric_limits<double>::infinity());
}

TEST(Section, GivesTheFallbackAfterAMistake)
{
    auto root = parsed("a = 'x'\nb = 11\nc = 'w'\n").root();

    EXPECT_EQ(root.get_or<double>("a", 4.5), 4.5);
    EXPECT_EQ(root.require<std::int64_t>("b", "", in_range<std::int64_t>(1, 10)), 0);
    EXPECT_EQ(root.one_of("c", "u", {"u", "v"}), "u");
    EXPECT_TRUE(root.has_mistakes());
}

TEST(Section, ShowsArraysThatBreakARule)
{
    const Rule<std::vector<double>> pair{[](const auto& values) { return values.size() == 2; },
                                         "two numbers"};

    EXPECT_THAT(mistake_of<std::vector<double>>("x = [1, 2.5, 3]", "deg", pair),
                HasSubstr("x = [1, 2.5, 3] deg (must be two numbers)"));
    EXPECT_THAT(mistake_of<std::vector<double>>("x = [1,2,3,4,5,6,7,8,9]", "", pair),
                HasSubstr("x = [1, 2, 3, 4, 5, 6, 7, 8, ...] (must be two numbers)"));
}

TEST(Section, CompliesWithRulesAtTheirBorders)
{
    auto root = parsed("a = 1\nb = 65536\nc = 1e-9\n").root();
    root.require<std::int64_t>("a", "", in_range<std::int64_t>(1, 65536));
    root.require<std::int64_t>("b", "", in_range<std::int64_t>(1, 65536));
    root.require<double>("c", "", above(0.0));

    EXPECT_FALSE(root.has_mistakes());
}

TEST(Section, ReportsAMistakeOnceHoweverOftenItIsRead)
{
    auto document = parsed("[s]\nx = 'a'\ntypo = 1\n");
    for (int repeat = 0; repeat < 3; ++repeat) {
        auto section = document.root().child("s");
        section.require<double>("x");
        section.require<double>("y");
        section.reject_unknown_keys();
    }

    EXPECT_THAT(mistakes(document), HasSubstr("3 errors in c.toml; nothing was run"));
}

TEST(Section, RemembersAskedKeysWhenTakenTwice)
{
    auto document = parsed("[s]\na = 1\nb = 2\n");
    document.root().child("s").require<std::int64_t>("a");
    auto again = document.root().child("s");
    again.require<std::int64_t>("b");
    again.reject_unknown_keys();

    EXPECT_NO_THROW(document.throw_if_invalid());
}

TEST(Section, RejectsOnlyItsOwnUnknownKeys)
{
    auto document = parsed("a = 1\n[asked]\nx = 1\n[[list]]\ny = 1\n[stranger]\nz = 1\n");
    auto root = document.root();
    root.has("a");
    root.child("asked");
    root.children("list");
    root.reject_unknown_keys();

    EXPECT_EQ(mistakes(document),
              "c.toml:6:2: error: unknown key 'stranger'\n"
              "    6 | [stranger]\n"
              "      |  ^\n"
              "1 error in c.toml; nothing was run");
}

TEST(Section, AbsentSectionsGiveFallbacksAndMissWhatIsRequired)
{
    auto document = parsed("[a]\n");
    auto absent = document.root().child("a").child("b");

    EXPECT_EQ(absent.name(), "a.b");
    EXPECT_EQ(absent.get_or<double>("x", 2.0), 2.0);
    EXPECT_THAT(absent.keys(), IsEmpty());
    EXPECT_THAT(absent.children("list"), IsEmpty());
    absent.reject_unknown_keys();
    EXPECT_FALSE(absent.has_mistakes());
    absent.require<std::string>("y");
    EXPECT_TRUE(absent.has_mistakes());
    EXPECT_EQ(mistakes(document),
              "c.toml:1:1: error: a.b.y is missing, expected a string\n"
              "    1 | [a]\n"
              "      | ^\n"
              "1 error in c.toml; nothing was run");
}

TEST(Section, MissesKeysOfAnEmptyFile)
{
    auto document = parsed("");
    document.root().require<std::string>("name");

    EXPECT_EQ(mistakes(document),
              "c.toml:1:1: error: name is missing, expected a string\n"
              "1 error in c.toml; nothing was run");
}

TEST(Section, ListsChildrenInFileOrder)
{
    auto root = parsed("[[s]]\nx = 1\n[[s]]\nx = 2\n[one]\nx = 3\n").root();

    auto children = root.children("s");
    ASSERT_EQ(children.size(), 2U);
    EXPECT_EQ(children[1].name(), "s[1]");
    EXPECT_EQ(children[1].require<std::int64_t>("x"), 2);
    EXPECT_EQ(root.children("one").front().require<std::int64_t>("x"), 3);
    EXPECT_THAT(root.children("none"), IsEmpty());
    EXPECT_THAT(root.keys(), ElementsAre("s", "one"));
}

TEST(Section, RefusesOtherThingsInPlaceOfTables)
{
    auto document = parsed("a = 1\nb = [1, {x = 1}]\nc = 'x'\n[[d]]\nx = 1\n");
    auto root = document.root();
    root.child("a").require<double>("unheard");
    EXPECT_EQ(root.children("b").size(), 1U);
    EXPECT_THAT(root.children("c"), IsEmpty());
    root.child("d");

    EXPECT_EQ(mistakes(document),
              "c.toml:1:5: error: a is a whole number, expected a table: [a]\n"
              "    1 | a = 1\n"
              "      |     ^\n"
              "c.toml:2:6: error: b[0] is a whole number, expected a table: [[b]]\n"
              "    2 | b = [1, {x = 1}]\n"
              "      |      ^\n"
              "c.toml:3:5: error: c is a string, expected a table: [[c]]\n"
              "    3 | c = 'x'\n"
              "      |     ^\n"
              "c.toml:4:1: error: d is an array, expected a table: [d]\n"
              "    4 | [[d]]\n"
              "      | ^\n"
              "4 errors in c.toml; nothing was run");
}

TEST(Section, KnowsMistakesOfItselfAndBelowOnly)
{
    auto document = parsed("[ab]\nx = 'a'\n[a]\n[a.c]\nx = 'a'\n");
    auto root = document.root();
    root.child("ab").require<double>("x");
    EXPECT_FALSE(root.child("a").has_mistakes());
    root.child("a").child("c").require<double>("x");

    EXPECT_TRUE(root.child("a").has_mistakes());
    EXPECT_TRUE(root.child("a").child("c").has_mistakes());
    EXPECT_TRUE(root.has_mistakes());
}

TEST(Section, ComplainsWhereTheCallerPoints)
{
    auto document = parsed("[s]\nm = ['a', 'b']\n");
    auto section = document.root().child("s");
    section.complain("m", "these do not go together", "drop one");
    section.complain("m[1]", "no measure 'b'");
    section.complain("nothing", "something else is needed");

    EXPECT_EQ(mistakes(document),
              "c.toml:1:1: error: something else is needed\n"
              "    1 | [s]\n"
              "      | ^\n"
              "c.toml:2:5: error: these do not go together\n"
              "    2 | m = ['a', 'b']\n"
              "      |     ^\n"
              "      = drop one\n"
              "c.toml:2:11: error: no measure 'b'\n"
              "    2 | m = ['a', 'b']\n"
              "      |           ^\n"
              "3 errors in c.toml; nothing was run");
}

TEST(Section, OutlivesItsDocument)
{
    auto section = parsed("[s]\nx = 3\n").root().child("s");

    EXPECT_EQ(section.require<std::int64_t>("x"), 3);
}

TEST(ConfigPath, IsRelativeToTheFolderOfTheFile)
{
    const test::TemporaryFolder folder;
    fs::create_directories(folder / "sub/images");
    auto document = ConfigDocument::parse("a = 'images'\nb = '../sub'\nc = '/'\nd = 'new/x'\n",
                                          "c.toml", folder / "sub");
    auto root = document.root();

    EXPECT_EQ(root.require_existing_path("a"), folder / "sub/images");
    EXPECT_EQ(root.require_existing_path("b"), folder / "sub");
    EXPECT_EQ(root.require_existing_path("c"), "/");
    EXPECT_EQ(root.path("d"), folder / "sub/new/x");
    EXPECT_EQ(root.path("absent"), std::nullopt);
    EXPECT_NO_THROW(document.throw_if_invalid());
}

TEST(ConfigPath, ExpandsTheEnvironment)
{
    const test::TemporaryFolder folder;
    fs::create_directories(folder / "v4");
    ASSERT_EQ(setenv("TWINSCREEN_TEST_FOLDER", folder.path().c_str(), 1), 0);
    unsetenv("TWINSCREEN_TEST_UNSET");
    auto document = parsed(
        "a = '${TWINSCREEN_TEST_FOLDER}/v4'\nb = '${TWINSCREEN_TEST_UNSET}/v4'\n"
        "c = '${OPEN'\nd = '$HOME'\n");
    auto root = document.root();

    EXPECT_EQ(root.require_existing_path("a"), folder / "v4");
    EXPECT_EQ(root.path("d"), "$HOME");
    root.path("b");
    root.require_existing_path("c");
    EXPECT_EQ(
        mistakes(document),
        "c.toml:2:5: error: b = \"${TWINSCREEN_TEST_UNSET}/v4\" needs the environment variable "
        "TWINSCREEN_TEST_UNSET, which is not set\n"
        "    2 | b = '${TWINSCREEN_TEST_UNSET}/v4'\n"
        "      |     ^\n"
        "c.toml:3:5: error: c = \"${OPEN\" has a ${ without its }\n"
        "    3 | c = '${OPEN'\n"
        "      |     ^\n"
        "2 errors in c.toml; nothing was run");
}

TEST(ConfigPath, NamesTheFirstMissingPartAndItsNearestNeighbour)
{
    const test::TemporaryFolder folder;
    fs::create_directories(folder / "images/natural");
    auto document =
        ConfigDocument::parse("a = 'imagse/natural'\nb = 'images/x'\n", "c.toml", folder.path());
    auto root = document.root();
    root.require_existing_path("a");
    root.require_existing_path("b");
    root.require_existing_path("c");

    const std::string text = mistakes(document);
    const std::string base = folder.path().string();
    EXPECT_THAT(text, HasSubstr("c.toml:1:5: error: a = \"imagse/natural\" (" + base +
                                "/imagse does not exist)\n    1 | a = 'imagse/natural'\n"
                                "      |     ^\n      = did you mean 'images'?\n"));
    EXPECT_THAT(text, HasSubstr("b = \"images/x\" (" + base +
                                "/images/x does not exist)\n"
                                "    2 | b = 'images/x'\n      |     ^\n3 errors"));
    EXPECT_THAT(text, HasSubstr("error: c is missing, expected a path\n"));
}

TEST(ConfigPath, RefusesWhatIsNoPath)
{
    const test::TemporaryFolder folder;
    test::write_text(folder / "file", "");
    fs::create_symlink("nowhere", folder / "link");
    auto document = ConfigDocument::parse(
        "a = ''\nb = \"x\\u0000y\"\nc = 'file/x'\nd = 'link'\n"
        "e = '" +
            std::string(300, 'x') + "'\nf = 1\n",
        "c.toml", folder.path());
    auto root = document.root();
    for (const char* key : {"a", "b", "c", "d", "e", "f"}) root.require_existing_path(key);

    const std::string text = mistakes(document);
    EXPECT_THAT(text, HasSubstr("a = \"\" (must be a path)\n"));
    EXPECT_THAT(text, HasSubstr("b = \"x?y\" holds a zero byte\n"));
    EXPECT_THAT(text, HasSubstr("/file is a file, not a folder)\n"));
    EXPECT_THAT(text, HasSubstr("/link is a link to nothing)\n"));
    EXPECT_THAT(text, HasSubstr("cannot be read: File name too long)\n"));
    EXPECT_THAT(text, HasSubstr("f is a whole number, expected a string\n"));
}

TEST(ConfigSyntax, IsReportedInTheSameFormat)
{
    EXPECT_EQ(
        syntax_mistake("[a]\nx = 1\n[a]\n"),
        "c.toml:3:1: error: cannot redefine existing table 'a' (while reading a table header)\n"
        "    3 | [a]\n"
        "      | ^\n"
        "1 error in c.toml; nothing was run");
    EXPECT_THAT(syntax_mistake("x = 1\nx = 2\n"),
                StartsWith("c.toml:2:5: error: cannot redefine existing integer 'x' "));
    EXPECT_THAT(syntax_mistake("x = 99999999999999999999"),
                HasSubstr("'99999999999999999999' is not representable in 64 bits"));
    EXPECT_THAT(syntax_mistake("x = \"abc"), StartsWith("c.toml:1:9: error: "));
}

TEST(ConfigSyntax, RefusesBytesThatAreNoText)
{
    EXPECT_THAT(syntax_mistake("x = \"\xFF\"\n"),
                StartsWith("c.toml:1:5: error: encountered invalid utf-8 sequence\n"
                           "    1 | x = \"?\"\n"));
    EXPECT_THAT(syntax_mistake(std::string("x = 1\0y\n", 8)), HasSubstr("    1 | x = 1?y\n"));
    EXPECT_THAT(syntax_mistake("\xFF\xFEx"), HasSubstr("invalid utf-8"));
    // A file must not be able to move the cursor or to colour the terminal.
    EXPECT_EQ(syntax_mistake("x = \x1B[31m").find('\x1B'), std::string::npos);
}

TEST(ConfigSyntax, TakesLettersOfAllLanguagesInTextsOnly)
{
    auto document = parsed("x = \"\"\"\\\n  \xC3\xA4\xD2\x8E x\"\"\" # \xC3\xA4\n");

    EXPECT_EQ(document.root().require<std::string>("x"), "\xC3\xA4\xD2\x8E x");
    EXPECT_THAT(syntax_mistake("\xC3\xA4 = 1"), StartsWith("c.toml:1:1: error: "));
    EXPECT_THAT(syntax_mistake("x\xD2\x8E = 1"), StartsWith("c.toml:1:2: error: "));
    EXPECT_THAT(syntax_mistake("x = 1 \xC3\xA4"), StartsWith("c.toml:1:7: error: "));
}

TEST(ConfigSyntax, RefusesHugeFiles)
{
    std::string text = "# ";
    text.resize(largest_config + 1, 'x');

    EXPECT_EQ(syntax_mistake(text),
              "c.toml has 1048577 bytes (at most 1048576 are read)\n"
              "  long lists belong into files that the campaign names");
}

TEST(ConfigSyntax, RefusesLongKeys)
{
    const std::string longest(longest_key, 'k');

    EXPECT_NO_THROW(parsed("[a]\nb = [{x = {" + longest + " = 1}}]\n"));
    EXPECT_THAT(syntax_mistake("[a]\nb = [{x = {" + longest + "k = 1}}]\n"),
                StartsWith("c.toml:2:12: error: a key has 257 bytes (at most 256)"));
    EXPECT_THAT(syntax_mistake("[" + longest + "k]\n"), HasSubstr("a key has 257 bytes"));
}

TEST(ConfigSyntax, RefusesDeepNestingInsteadOfOverflowing)
{
    std::string dots = "a";
    for (int i = 0; i < 400000; ++i) dots += ".a";
    std::string tables;
    for (int i = 0; i < 100000; ++i) tables += "{a.b=";
    const std::string mistake = "values are nested more than 64 deep";

    EXPECT_THAT(syntax_mistake("x = " + std::string(100000, '[')),
                StartsWith("c.toml:1:69: error: " + mistake));
    EXPECT_THAT(syntax_mistake(dots + " = 1"), HasSubstr(mistake));
    EXPECT_THAT(syntax_mistake("[" + dots + "]"), HasSubstr(mistake));
    EXPECT_THAT(syntax_mistake("x = " + tables), HasSubstr(mistake));
    EXPECT_THAT(syntax_mistake("x = '''\n'''\ny = " + std::string(100, '[')), HasSubstr(mistake));
}

TEST(ConfigSyntax, ReportsEarlierMistakesBeforeDeepNesting)
{
    EXPECT_THAT(syntax_mistake("x = 01\ny = " + std::string(100, '[')),
                StartsWith("c.toml:1:7: error: leading zeroes"));
}

TEST(ConfigSyntax, CountsOnlyWhatIsNested)
{
    std::string dots(500, '.');
    std::string text = "# " + dots + std::string(500, '[') + "\n";
    text += "a = \"" + dots + "[[[\\\"[[[" + "\"\n";
    text += "b = '''\n" + dots + "\n'' " + std::string(200, '{') + "'''\n";
    text += "c = [" + std::string(60, '[') + std::string(60, ']') + "]\n";
    text += "d = [";
    for (int i = 0; i < 200; ++i) text += "1.5, [0.5], {x.y = 1.0},\n";
    text += "]\n";
    for (int i = 0; i < 200; ++i) text += fmt::format("e{}.f.g = 1.5\n[h{}.i]\n[[j]]\n", i, i);

    EXPECT_NO_THROW(parsed(text));
}

TEST(ConfigSource, KeepsTheCaretBelowTabsAndUmlauts)
{
    auto document = parsed("\tx = 'a'\r\n\"\xC3\xA4\" = { x = 'b' }\r\n");
    auto root = document.root();
    root.require<double>("x");
    root.child("\xC3\xA4").require<double>("x");

    EXPECT_EQ(mistakes(document),
              "c.toml:1:6: error: x is a string, expected a number\n"
              "    1 | \tx = 'a'\n"
              "      | \t    ^\n"
              "c.toml:2:13: error: \"\xC3\xA4\".x is a string, expected a number\n"
              "    2 | \"\xC3\xA4\" = { x = 'b' }\n"
              "      |             ^\n"
              "2 errors in c.toml; nothing was run");
}

TEST(ConfigSource, SkipsAByteOrderMark)
{
    auto document = parsed("\xEF\xBB\xBFx = 'a'\n");
    document.root().require<double>("x");

    EXPECT_THAT(mistakes(document), StartsWith("c.toml:1:5: error: x is a string, expected a "
                                               "number\n    1 | x = 'a'\n      |     ^\n"));
}

TEST(ConfigSource, CutsALongLineAroundTheCaret)
{
    std::string line = "x = [";
    for (int i = 0; i < 1000; ++i) line += "1, ";
    auto document = parsed(line + "'here', " + line.substr(5) + "]");
    document.root().require<std::vector<double>>("x");

    const std::string text = mistakes(document);

    const std::size_t shown = text.find('\n') + 1;
    const std::size_t below = text.find('\n', shown) + 1;
    const std::size_t caret = text.find('^', below) - below;
    EXPECT_THAT(text, StartsWith("c.toml:1:3006: error: x[1000] is a string"));
    EXPECT_EQ(text.substr(shown, 11), "    1 | ...");
    EXPECT_EQ(text.substr(shown + caret, 6), "'here'");
    EXPECT_EQ(text.substr(below - 4, 4), "...\n");
    EXPECT_LE(below - shown, 116U);
}

TEST(ConfigSource, ShowsFiftyMistakesAndCountsTheRest)
{
    std::string text;
    for (int i = 0; i < 60; ++i) text += fmt::format("unheard_of_{} = 1\n", i);
    auto document = parsed(text);
    document.root().reject_unknown_keys();

    const std::string report = mistakes(document);

    EXPECT_THAT(report, HasSubstr("'unheard_of_49'"));
    EXPECT_EQ(report.find("'unheard_of_50'"), std::string::npos);
    EXPECT_THAT(report, HasSubstr("\n... and 10 more\n60 errors in c.toml; nothing was run"));
}

TEST(ConfigSource, EndsAfterAThousandMistakes)
{
    std::string text;
    for (int i = 0; i < 20'000; ++i) text += fmt::format("unheard_of_{} = 1\n", i);
    auto document = parsed(text);

    EXPECT_THAT(test::error_text([&] { document.root().reject_unknown_keys(); }),
                HasSubstr("\n1000 errors in c.toml; nothing was run"));
}

const std::string realistic = R"(# Screen of natural images.
seed = 11
[screen]
measures = ["area_mean", "top_k"]
top_k = 10
[[twins]]
bundle = "v4_190923"
units = "heldout_r > 0.3"
[[twins]]
family = 'gabor_energy'
size = { deg = [0.5, 1.25], "a.b" = -1e-3 }
[[stimuli]]
folder = "${NAME}/images"
when = 2024-05-01T10:00:00Z
note = """several
lines \u00e4"""
[schedule.limits]
shard_rows = 1_000
)";

/// Asks for every key as every type, and for keys that do not exist.
void read_everything(ConfigSection section, int depth)
{
    auto keys = section.keys();
    keys.emplace_back("absent");
    for (const std::string& key : keys) {
        section.require<double>(key, "deg", in_range(0.0, 1.0));
        section.get_or<std::int64_t>(key, 1, "items", above<std::int64_t>(100));
        section.require<std::vector<std::string>>(key);
        section.one_of(key, "a", {"seed", "screen"});
        section.path(key);
        if (depth == 0) continue;
        read_everything(section.child(key), depth - 1);
        for (const ConfigSection& child : section.children(key)) read_everything(child, depth - 1);
    }
    section.reject_unknown_keys();
}

TEST(ConfigFuzz, DamagedCampaignsAreReadOrRefusedButNeverCrash)
{
    std::mt19937 random(17);
    const std::string telling = "[]{}=.\"'#\\\n\r\t,\xC3\xFF\x00\x1B";
    int sound = 0;
    int refused = 0;
    for (int repeat = 0; repeat < 2000; ++repeat) {
        std::string text = realistic;
        if (random() % 3 == 0) text.resize(random() % text.size());
        for (unsigned flips = random() % 4; flips > 0 && !text.empty(); --flips) {
            char& byte = text[random() % text.size()];
            if (random() % 2 == 0)
                byte = telling[random() % telling.size()];
            else
                byte = static_cast<char>(random() & 0xFFU);
        }
        try {
            auto document = parsed(text);
            ++sound;
            document.override_value("stimuli.0.count=3");
            read_everything(document.root(), 2);
            document.throw_if_invalid();
        } catch (const Error& error) {
            ASSERT_EQ(error.kind(), Error::Kind::config) << error.what();
            ASSERT_THAT(error.what(), HasSubstr("in c.toml; nothing was run"));
            ++refused;
        }
    }
    EXPECT_GT(sound, 400);
    EXPECT_GT(refused, 400);
}

}  // namespace
}  // namespace twinscreen
