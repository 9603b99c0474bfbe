#include <gtest/gtest.h>

#include "e2e/program.h"

namespace autarky {
namespace {

const std::vector<std::string> kVerbs = {"doctor", "tokenizer train", "data build", "data inspect"};

// Ten documents of English and Chinese, repeated enough for merges.
std::string tiny_text() {
  std::string text;
  for (int i = 0; i < 10; ++i) {
    if (i > 0) text += "<|endoftext|>\n";
    for (int k = 0; k < 3; ++k)
      text += "document " + std::to_string(i) + " says: the cat sat on the mat, " +
              "\xe4\xbd\xa0\xe5\xa5\xbd\xe4\xb8\x96\xe7\x95\x8c.\n";
  }
  return text;
}

// A folder with text.txt, a tokenizer and data made of it.
void make_data(const ScratchFolder& folder) {
  folder.write("text.txt", tiny_text());
  const auto trained =
      run(folder, "tokenizer train --input text.txt --vocab-size 300 --out tokenizer --json");
  ASSERT_EQ(trained.code, 0) << trained.err;
  EXPECT_EQ(last_json(trained)["vocab_size"], 300);
  EXPECT_EQ(last_json(trained)["documents"], 10);
  const auto built =
      run(folder, "data build --input text.txt --tokenizer tokenizer --out data/tiny --json");
  ASSERT_EQ(built.code, 0) << built.err;
  EXPECT_EQ(last_json(built)["train"]["documents"], 10);
}

void expect_wrong_input(const Outcome& outcome, const std::vector<std::string>& parts) {
  EXPECT_EQ(outcome.code, 2) << outcome.err;
  EXPECT_EQ(outcome.out, "");
  EXPECT_EQ(split(trim(outcome.err), '\n').size(), 1u) << outcome.err;
  EXPECT_TRUE(outcome.err.starts_with("autarky")) << outcome.err;
  for (const auto& part : parts) EXPECT_TRUE(contains(outcome.err, part)) << outcome.err;
}

TEST(Cli, HelpListsEveryVerb) {
  const ScratchFolder folder;
  const auto help = run(folder, "--help");
  EXPECT_EQ(help.code, 0);
  EXPECT_EQ(help.err, "");
  for (const auto& verb : kVerbs) EXPECT_TRUE(contains(help.out, "\n  " + verb + " ")) << help.out;
}

TEST(Cli, EveryVerbListedHasHelpWithAnExample) {
  const ScratchFolder folder;
  int verbs = 0;
  for (const auto& line : split(run(folder, "--help").out, '\n')) {
    if (!line.starts_with("  ")) continue;
    const auto verb = std::string(trim(line.substr(0, line.find("  ", 2))));
    const auto help = run(folder, verb + " --help");
    EXPECT_EQ(help.code, 0) << verb << help.err;
    EXPECT_TRUE(contains(help.out, "Example:\n  autarky " + verb)) << help.out;
    for (const char* option : {"--json", "--threads"})
      EXPECT_TRUE(contains(help.out, option)) << verb;
    ++verbs;
  }
  EXPECT_GE(verbs, int(kVerbs.size()));
}

TEST(Cli, VersionIsOneLine) {
  const ScratchFolder folder;
  const auto version = run(folder, "--version");
  EXPECT_EQ(version.code, 0);
  EXPECT_TRUE(version.out.starts_with("autarky ")) << version.out;
  EXPECT_EQ(split(trim(version.out), '\n').size(), 1u);
}

TEST(Cli, NothingToDoShowsTheHelpAndIsWrong) {
  const ScratchFolder folder;
  const auto outcome = run(folder, "");
  EXPECT_EQ(outcome.code, 2);
  EXPECT_TRUE(contains(outcome.out + outcome.err, "tokenizer train"));
}

TEST(Cli, UnknownVerbsGetTheNearestName) {
  const ScratchFolder folder;
  expect_wrong_input(run(folder, "docter"), {"unknown verb 'docter'", "'doctor'"});
  expect_wrong_input(run(folder, "data biuld --out x"),
                     {"unknown verb 'data biuld'", "'data build'"});
  expect_wrong_input(run(folder, "data"), {"'data'", "build", "inspect"});
  expect_wrong_input(run(folder, "xyzzyxyzzy"), {"unknown verb", "autarky --help"});
  const auto group = run(folder, "data --help");
  EXPECT_EQ(group.code, 0);
  EXPECT_TRUE(contains(group.out, "data inspect")) << group.out;
}

TEST(Cli, WrongOptionsAreNamed) {
  const ScratchFolder folder;
  const std::string train = "tokenizer train --input t.txt --out x ";
  expect_wrong_input(run(folder, train + "--vocabsize 300"),
                     {"autarky tokenizer train: error", "'--vocabsize'", "--vocab-size"});
  expect_wrong_input(run(folder, train + "--vocab-size many"), {"'many'", "--vocab-size"});
  expect_wrong_input(run(folder, train + "--vocab-size 99999999999"), {"--vocab-size"});
  expect_wrong_input(run(folder, train), {"--vocab-size is required"});
  expect_wrong_input(run(folder, "doctor now"), {"unexpected argument 'now'"});
  expect_wrong_input(run(folder, "doctor --threads 0"), {"--threads"});
  expect_wrong_input(run(folder, "data inspect x --documents -1"), {"--documents"});
}

TEST(Cli, MissingAndWrongFilesAreNamed) {
  const ScratchFolder folder;
  folder.write("text.txt", "some text\n");
  folder.write("picture.png", "png");
  folder.write("bad/tokenizer.json", "{\"model\": ");
  const std::string rest = " --vocab-size 300 --out t";
  expect_wrong_input(run(folder, "tokenizer train --input nowhere.txt" + rest), {"nowhere.txt"});
  expect_wrong_input(run(folder, "tokenizer train --input picture.png" + rest), {"picture.png"});
  expect_wrong_input(
      run(folder, "tokenizer train --input text.txt --vocab-size 300 --out text.txt"),
      {"text.txt"});
  expect_wrong_input(run(folder, "data build --input text.txt --tokenizer bad --out d"),
                     {"bad/tokenizer.json"});
  expect_wrong_input(run(folder, "data inspect nothing"), {"nothing"});
  EXPECT_FALSE(fs::exists(folder / "t"));
  EXPECT_FALSE(fs::exists(folder / "d.bin"));
}

TEST(Cli, MessagesCannotDriveATerminal) {
  const ScratchFolder folder;
  const auto outcome = run(folder, "data inspect \"$(printf 'a\\033[2Jb\\nc')\"");
  expect_wrong_input(outcome, {"\\x1b[2Jb"});
}

TEST(Cli, AFullDiskIsAFailure) {
  const ScratchFolder folder;
  if (!fs::exists("/dev/full")) GTEST_SKIP() << "no /dev/full here";
  const auto outcome = run(folder, "--version >/dev/full ; exit $? ;");
  EXPECT_EQ(outcome.code, 1);
}

TEST(Cli, TextBecomesTokensAndTextAgain) {
  const ScratchFolder folder;
  make_data(folder);
  const auto shown = run(folder,
                         "data inspect data/tiny --tokenizer tokenizer --documents 2 --tokens 9999 "
                         "--json");
  ASSERT_EQ(shown.code, 0) << shown.err;
  const auto json = last_json(shown);
  EXPECT_EQ(json["documents"], 10);
  EXPECT_EQ(json["dtype"], "u16");
  ASSERT_EQ(json["first_texts"].size(), 2u);
  const auto first = json["first_texts"][0].get<std::string>();
  EXPECT_TRUE(first.starts_with("document 0 says: the cat")) << first;
  EXPECT_TRUE(first.ends_with("<|endoftext|>")) << first;
  const auto words = run(folder, "data inspect data/tiny.idx --tokenizer tokenizer --documents 1");
  EXPECT_EQ(words.code, 0);
  EXPECT_TRUE(contains(words.out, "\xe4\xbd\xa0\xe5\xa5\xbd")) << words.out;
}

TEST(Cli, ASentencePieceModelIsATokenizer) {
  const ScratchFolder folder;
  folder.write("text.txt", "the cat sat on the mat");
  fs::create_directories(folder / "sp");
  fs::copy(fs::path(AUTARKY_SOURCE_DIR) / "tests/golden/text/sp_bpe/tokenizer.model",
           folder / "sp");
  const auto built = run(folder, "data build --input text.txt --tokenizer sp --out t --no-eos");
  ASSERT_EQ(built.code, 0) << built.err;
  const auto shown = run(folder, "data inspect t --tokenizer sp --documents 1 --json");
  ASSERT_EQ(shown.code, 0) << shown.err;
  EXPECT_TRUE(contains(shown.out, "the cat sat on the mat")) << shown.out;
}

TEST(Cli, InspectShowsTheSharesOfSeveralSources) {
  const ScratchFolder folder;
  make_data(folder);
  folder.write("more.txt", "the cat\n<|endoftext|>\nthe mat\n");
  ASSERT_EQ(run(folder, "data build --input more.txt --tokenizer tokenizer --out data/more").code,
            0);
  const auto json = last_json(run(folder, "data inspect data/tiny data/more.bin --json"));
  EXPECT_EQ(json["documents"], 12);
  ASSERT_EQ(json["sources"].size(), 2u);
  EXPECT_EQ(json["sources"][1]["documents"], 2);
  const auto tokens = [&](int i) { return json["sources"][i]["tokens"].get<double>(); };
  EXPECT_EQ(json["tokens"].get<double>(), tokens(0) + tokens(1));
  EXPECT_DOUBLE_EQ(json["sources"][0]["share"].get<double>(), tokens(0) / (tokens(0) + tokens(1)));
  const auto words =
      run(folder, "data inspect data/tiny data/more --tokenizer tokenizer --documents 1");
  EXPECT_TRUE(contains(words.out, "=== data/more: ")) << words.out;
  EXPECT_TRUE(contains(words.out, "--- document 0\nthe cat\n")) << words.out;
}

TEST(Cli, JsonIsOneLine) {
  const ScratchFolder folder;
  make_data(folder);
  for (const char* arguments : {"data inspect data/tiny --json", "--json data inspect data/tiny"}) {
    const auto outcome = run(folder, arguments);
    EXPECT_EQ(outcome.code, 0);
    ASSERT_FALSE(outcome.out.empty());
    EXPECT_EQ(outcome.out.find('\n'), outcome.out.size() - 1) << outcome.out;
    EXPECT_EQ(last_json(outcome)["documents"], 10);
  }
}

TEST(Cli, TheSameInputGivesTheSameBytesForAnyNumberOfThreads) {
  const ScratchFolder folder;
  make_data(folder);
  std::vector<std::string> before;
  const std::vector<std::string> files = {"tokenizer/tokenizer.json",
                                          "tokenizer/tokenizer_config.json", "data/tiny.bin",
                                          "data/tiny.idx", "data/tiny.json"};
  for (const auto& file : files) before.push_back(content_of(folder / file));
  for (const auto& content : before) ASSERT_FALSE(content.empty());
  for (const char* threads : {"--threads 1 ", "--threads=3 "}) {  // writes over what is there
    const std::string train = "tokenizer train --input text.txt --vocab-size 300 --out tokenizer";
    const std::string build = "data build --input text.txt --tokenizer tokenizer --out data/tiny";
    EXPECT_EQ(run(folder, threads + train).code, 0);
    EXPECT_EQ(run(folder, threads + build).code, 0);
    for (std::size_t i = 0; i < files.size(); ++i)
      EXPECT_EQ(content_of(folder / files[i]), before[i]) << files[i];
  }
  EXPECT_EQ(std::distance(fs::directory_iterator(folder / "data"), {}), 3);  // nothing else left
}

TEST(Cli, StandardInputAndPackedFilesGiveTheSameTokens) {
  const ScratchFolder folder;
  make_data(folder);
  const std::string to = " --tokenizer tokenizer --out ";
  const auto expected = content_of(folder / "data/tiny.bin");
  ASSERT_FALSE(expected.empty());
  EXPECT_EQ(run(folder, "data build --input -" + to + "a", "", "text.txt").code, 0);
  EXPECT_EQ(content_of(folder / "a.bin"), expected);
  folder.write("one.jsonl", "{\"text\": \"the cat\"}\n");
  const auto json = run(folder, "data build --json --input -" + to + "b", "", "one.jsonl");
  EXPECT_EQ(last_json(json)["train"]["bytes"], 7);
  const auto plain =
      run(folder, "data build --json --stdin-format txt --input -" + to + "c", "", "one.jsonl");
  EXPECT_EQ(last_json(plain)["train"]["bytes"], 20);
  const auto trained =
      run(folder, "tokenizer train --input - --vocab-size 300 --out again", "", "text.txt");
  EXPECT_EQ(trained.code, 0) << trained.err;
  EXPECT_EQ(content_of(folder / "again/tokenizer.json"),
            content_of(folder / "tokenizer/tokenizer.json"));
}

TEST(Cli, TextThatCannotBeReadIsNamedAndLeavesNothing) {
  const ScratchFolder folder;
  make_data(folder);
  const auto refused = [&](const std::string& arguments, const std::vector<std::string>& parts) {
    expect_wrong_input(run(folder, "data build --tokenizer tokenizer --out new/x " + arguments),
                       parts);
    EXPECT_FALSE(fs::exists(folder / "new") && !fs::is_empty(folder / "new")) << arguments;
  };
  folder.write("latin.txt", "caf\xe9\n");
  folder.write("cut.txt.gz", std::string("\x1f\x8b\x08\x00\x00", 5));
  folder.write("cut.txt.zst", "(no zstd)");
  folder.write("long.txt", std::string((1 << 20) + 1, 'x'));
  fs::create_directories(folder / "none");
  refused("--input latin.txt", {"latin.txt:1: the text is not UTF-8; found byte 0xe9 at byte 4"});
  refused("--input cut.txt.gz", {"cut.txt.gz, byte 5: the gzip data is truncated"});
  refused("--input cut.txt.zst", {"cut.txt.zst, byte", "garbled zstd data"});
  refused("--input long.txt --max-document-mb 1", {"long.txt:1: a document is too long"});
  refused("--input none", {"no text file under 'none'", ".jsonl", ".zst"});
  refused("--input -", {"standard input: no document", "0 bytes"});
  refused("--input - -", {"standard input (-) is given twice"});
  refused("--input text.txt --invalid-utf8 drop", {"'drop'", "refuse, keep or replace"});
  refused("--input - --stdin-format csv", {"'csv'", "txt or jsonl"});
  expect_wrong_input(run(folder, "data build --tokenizer tokenizer --input text.txt --out /proc/x"),
                     {"cannot write '/proc/x.bin", "may you write to it"});
  const auto kept = run(folder,
                        "data build --tokenizer tokenizer --out x --input latin.txt "
                        "--invalid-utf8 keep");
  EXPECT_EQ(kept.code, 0) << kept.err;
  EXPECT_TRUE(contains(kept.err, "1 document(s) had bytes that are not UTF-8; they were kept"));
}

TEST(Cli, AValidationFractionSplitsWholeDocuments) {
  const ScratchFolder folder;
  make_data(folder);
  const auto built = run(folder,
                         "data build --input text.txt --tokenizer tokenizer --out split/s "
                         "--validation-fraction 0.4 --seed 1 --json");
  ASSERT_EQ(built.code, 0) << built.err;
  const auto json = last_json(built);
  EXPECT_EQ(json["train"]["documents"].get<int>() + json["validation"]["documents"].get<int>(), 10);
  EXPECT_TRUE(fs::exists(folder / "split/s_train.idx"));
  EXPECT_TRUE(fs::exists(folder / "split/s_validation.idx"));
  for (const char* fraction : {"1", "-0.1", "nan"})
    expect_wrong_input(
        run(folder, std::string("data build --input text.txt --tokenizer tokenizer --out x "
                                "--validation-fraction ") +
                        fraction),
        {"validation fraction"});
}

TEST(Cli, DataOfAnotherTokenizerIsRefused) {
  const ScratchFolder folder;
  make_data(folder);
  ASSERT_EQ(run(folder, "tokenizer train --input text.txt --vocab-size 260 --out small").code, 0);
  expect_wrong_input(run(folder, "data inspect data/tiny --tokenizer small --documents 1"),
                     {"another tokenizer", "260"});
}

TEST(Cli, DoctorMeasuresThisMachine) {
  const ScratchFolder folder;
  const auto outcome = run(folder, "doctor --json");
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const auto json = last_json(outcome);
  EXPECT_GT(json["peak_flops_per_s"]["f32"].get<double>(), 1e8);
  EXPECT_GE(json["peak_flops_per_s"]["bf16"].get<double>(), 1e8);
  EXPECT_GT(json["memory_bytes_per_s"].get<double>(), 1e8);
  EXPECT_GE(json["cores"].get<int>(), 1);
  EXPECT_FALSE(json["isa"].get<std::string>().empty());
  EXPECT_TRUE(json.contains("mpi"));
}

TEST(Cli, DoctorSaysWhatIsMissing) {
  const ScratchFolder folder;
  const auto outcome = run(folder, "doctor", "PATH=/nowhere AUTARKY_MAX_ISA=avx2");
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_TRUE(contains(outcome.out, "openmpi-bin")) << outcome.out;
  expect_wrong_input(run(folder, "doctor", "AUTARKY_MAX_ISA=best"), {"AUTARKY_MAX_ISA"});
}

}  // namespace
}  // namespace autarky
