// SPDX-License-Identifier: Apache-2.0
// Other people's CSV files: what is read, and what is refused with its line.

#include "eval/cli/csv.h"

#include <gtest/gtest.h>

#include "tests/support/temp_dir.h"

namespace cloister::eval {
namespace {

absl::StatusOr<CsvTable> Parse(std::string text) {
  return CsvTable::Parse(std::move(text), "p.csv");
}

std::string Refusal(std::string text) {
  return std::string(Parse(std::move(text)).status().message());
}

TEST(CsvTest, ReadsQuotesSeparatorsAndLineEnds) {
  for (const char* text : {"case,note\na,\"x, \"\"y\"\"\"\nb,z\n", "case;note\r\na;\"x, \"\"y\"\"\"\r\nb;z",
                           "case\tnote\na\t\"x, \"\"y\"\"\"\n\nb\tz\n\n",
                           "\xef\xbb\xbf"
                           "case,note\na,\"x, \"\"y\"\"\"\nb, z \n"}) {
    const auto table = Parse(text);
    ASSERT_TRUE(table.ok()) << table.status();
    EXPECT_EQ(table->columns(), (std::vector<std::string>{"case", "note"}));
    ASSERT_EQ(table->rows(), 2u);
    EXPECT_EQ(table->At(0, 1), "x, \"y\"");
    EXPECT_EQ(table->At(1, 0), "b");
    EXPECT_EQ(table->At(1, 1), "z");
  }
}

TEST(CsvTest, KeepsLineNumbersThroughQuotedLineEnds) {
  const auto table = Parse("case,note\n\"a\",\"two\nlines\"\n\nb,z\n");
  ASSERT_TRUE(table.ok());
  EXPECT_EQ(table->line(0), 2u);
  EXPECT_EQ(table->line(1), 5u);
  EXPECT_EQ(table->At(0, 1), "two\nlines");
}

TEST(CsvTest, ReadsGb18030) {
  // "病例,sex" and a row "甲,女".
  const auto table = Parse("\xb2\xa1\xc0\xfd,sex\n\xbc\xd7,\xc5\xae\n");
  ASSERT_TRUE(table.ok()) << table.status();
  EXPECT_TRUE(table->was_gb18030());
  EXPECT_EQ(table->columns()[0], "病例");
  EXPECT_EQ(table->At(0, 1), "女");
}

TEST(CsvTest, RefusesWhatIsNoTableAndSaysWhere) {
  EXPECT_EQ(Refusal(""), "p.csv:1: the file is empty; its first line must name the columns");
  EXPECT_EQ(Refusal("\n\n"), "p.csv:1: the file is empty; its first line must name the columns");
  EXPECT_EQ(Refusal("case,score\n"), "p.csv:1: there is no row below the header");
  EXPECT_EQ(Refusal("case,case\na,b\n"), "p.csv:1: column \"case\" appears twice");
  EXPECT_EQ(Refusal("case,,score\na,b,c\n"), "p.csv:1: column 2 has no name");
  EXPECT_EQ(Refusal("case,score\na,1\nb\n"), "p.csv:3: 1 fields, but the header names 2 columns");
  EXPECT_EQ(Refusal("case,score\na,\"1\nb,2\n"), "p.csv:2: a quote opens here and is never closed");
  EXPECT_EQ(Refusal("case\na\n\xff\xff\n"), "p.csv:3: neither UTF-8 nor GB18030; save it as \"CSV UTF-8\"");
  EXPECT_EQ(Refusal(std::string("\xff\xfe"
                                "c\0",
                                4)),
            "p.csv:1: this is UTF-16; save it as \"CSV UTF-8\"");
  EXPECT_EQ(Refusal(std::string("a,b\n1,\0\n", 8)), "p.csv:1: this is not a text file: it contains zero bytes");
  std::string wide = "a0";
  for (int i = 1; i < 5000; ++i) {
    wide += ",a" + std::to_string(i);
  }
  EXPECT_EQ(Refusal(wide + "\n"), "p.csv:1: 5000 columns; at most 4096 are read");
}

TEST(CsvTest, NumbersAreFiniteAndWhole) {
  const auto table = Parse("case,score\na,0.5\nb,+1e-3\nc,\nd,NaN\ne,inf\nf,\"0,5\"\ng,0.5x\n");
  ASSERT_TRUE(table.ok());
  EXPECT_EQ(*table->Number(0, 1), 0.5);
  EXPECT_EQ(*table->Number(1, 1), 1e-3);
  auto why = [&](size_t row) { return std::string(table->Number(row, 1).status().message()); };
  EXPECT_EQ(why(2), "p.csv:4: column \"score\": is empty; leave out rows that have no value and say so in the report");
  EXPECT_EQ(why(3), "p.csv:5: column \"score\": is not a finite number");
  EXPECT_EQ(why(4), "p.csv:6: column \"score\": is not a finite number");
  EXPECT_EQ(why(5), "p.csv:7: column \"score\": is not a number (decimal point, no thousands separator)");
  EXPECT_EQ(why(6), "p.csv:8: column \"score\": is not a number (decimal point, no thousands separator)");
}

TEST(CsvTest, AMissingFileIsSaid) {
  const testing::TempDir folder;
  EXPECT_EQ(CsvTable::Read(folder.path() / "none.csv").status().code(), absl::StatusCode::kNotFound);
  EXPECT_FALSE(CsvTable::Read(folder.path()).ok());
}

TEST(CsvTest, EveryCutIsReadOrRefused) {
  const std::string whole = "case,score,note\n\"a\",0.5,\"x \"\"y\"\"\"\r\nb,1,\xc5\xae\n";
  for (size_t length = 0; length <= whole.size(); ++length) {
    const auto table = Parse(whole.substr(0, length));
    if (table.ok()) {
      EXPECT_LE(table->rows(), 2u);
    } else {
      EXPECT_EQ(table.status().message().substr(0, 6), "p.csv:");
    }
  }
}

}  // namespace
}  // namespace cloister::eval
