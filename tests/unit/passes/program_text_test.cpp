#include <fmt/core.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "base/rng.h"
#include "base/words.h"
#include "unit/passes/tiny_programs.h"

namespace autarky {
namespace {

template <class T>
std::string shown(const std::vector<T>& list) {
  std::string text;
  for (const auto& v : list) text += fmt::format(" {}", v);
  return text;
}

void expect_same(const std::vector<Value>& a, const std::vector<Value>& b) { EXPECT_EQ(a, b); }

void expect_same(const std::vector<Port>& a, const std::vector<Port>& b) {
  ASSERT_EQ(a.size(), b.size());
  for (std::size_t i = 0; i < a.size(); ++i) {
    EXPECT_EQ(a[i].name, b[i].name);
    EXPECT_EQ(a[i].kind, b[i].kind) << a[i].name;
    EXPECT_EQ(a[i].value, b[i].value) << a[i].name;
  }
}

void expect_same(const Graph& a, const Graph& b) {
  EXPECT_EQ(a.name, b.name);
  EXPECT_EQ(a.values, b.values) << a.name;
  expect_same(a.inputs, b.inputs);
  expect_same(a.outputs, b.outputs);
  ASSERT_EQ(a.nodes.size(), b.nodes.size()) << a.name;
  for (std::size_t i = 0; i < a.nodes.size(); ++i) {
    EXPECT_EQ(a.nodes[i].op, b.nodes[i].op);
    EXPECT_EQ(a.nodes[i].op->print(a.nodes[i].attrs), b.nodes[i].op->print(b.nodes[i].attrs));
    expect_same(a.nodes[i].in, b.nodes[i].in);
    expect_same(a.nodes[i].out, b.nodes[i].out);
    EXPECT_EQ(a.nodes[i].phase, b.nodes[i].phase);
    EXPECT_EQ(a.nodes[i].source, b.nodes[i].source);
  }
}

void expect_same(const Buffer& a, const Buffer& b) {
  EXPECT_EQ(a.name, b.name);
  EXPECT_EQ(a.kind, b.kind) << a.name;
  EXPECT_EQ(a.type, b.type) << a.name;
  EXPECT_EQ(a.bytes, b.bytes) << a.name;
  EXPECT_EQ(a.first, b.first) << a.name;
  EXPECT_EQ(a.last, b.last) << a.name;
  EXPECT_EQ(a.offset, b.offset) << a.name;
  EXPECT_EQ(a.same_as, b.same_as) << a.name;
  EXPECT_EQ(a.borrowed, b.borrowed) << a.name;
}

// Every field, but what only a pass in progress looks at (Graph::phase).
void expect_same(const Program& a, const Program& b) {
  EXPECT_EQ(a.name, b.name);
  EXPECT_EQ(a.mesh, b.mesh);
  EXPECT_EQ(a.stage, b.stage);
  EXPECT_EQ(a.after, b.after);
  ASSERT_EQ(a.blocks.size(), b.blocks.size());
  for (std::size_t i = 0; i < a.blocks.size(); ++i) {
    expect_same(a.blocks[i].graph, b.blocks[i].graph);
    EXPECT_EQ(a.blocks[i].frame.offsets, b.blocks[i].frame.offsets);
    EXPECT_EQ(a.blocks[i].frame.scratch, b.blocks[i].frame.scratch);
    EXPECT_EQ(a.blocks[i].frame.bytes, b.blocks[i].frame.bytes);
  }
  ASSERT_EQ(a.buffers.size(), b.buffers.size());
  for (std::size_t i = 0; i < a.buffers.size(); ++i) expect_same(a.buffers[i], b.buffers[i]);
  ASSERT_EQ(a.calls.size(), b.calls.size());
  for (std::size_t i = 0; i < a.calls.size(); ++i) {
    const Call &x = a.calls[i], &y = b.calls[i];
    EXPECT_TRUE(x.block == y.block && x.layer == y.layer && x.microbatch == y.microbatch &&
                x.queue == y.queue)
        << i;
    EXPECT_EQ(shown(x.inputs), shown(y.inputs)) << i;
    EXPECT_EQ(shown(x.outputs), shown(y.outputs)) << i;
    EXPECT_EQ(shown(x.waits), shown(y.waits)) << i;
  }
  EXPECT_EQ(a.static_bytes, b.static_bytes);
  EXPECT_EQ(a.slot_bytes, b.slot_bytes);
  EXPECT_EQ(a.frame_bytes, b.frame_bytes);
}

void expect_round_trip(const Program& p) {
  const std::string text = print(p);
  const Program parsed = parse_program(text);
  EXPECT_TRUE(print(parsed) == text);  // not shown: long
  expect_same(p, parsed);
}

TEST(ProgramText, ParsesBackAfterEveryPass) {
  for (std::size_t pass = 0; pass < std::size(kPassNames); ++pass)
    for (const auto& [tp, dp, pp] : {std::tuple{1, 1, 1}, std::tuple{2, 2, 2}}) {
      StepOptions o = small_options(tp, dp, pp);
      o.last_pass = static_cast<Pass>(pass);
      for (const auto& p : small_stages(o)) {
        SCOPED_TRACE(kPassNames[pass]);
        EXPECT_EQ(p.after, o.last_pass);
        EXPECT_EQ(p.calls.empty(), o.last_pass < Pass::schedule);
        expect_round_trip(p);
      }
    }
}

TEST(ProgramText, ParsesBackForEveryKindOfModelAndPolicy) {
  for (const char* preset : {"gpt2-124m", "qwen2-0.5b"}) {
    StepOptions o = small_options(1, 2, 1);
    o.recompute = Recompute::full;
    expect_round_trip(small_stages(o, preset)[0]);
    o.recompute = Recompute::none;
    o.rules = default_rules(true);
    o.mesh.size(Axis::tp) = 2;
    expect_round_trip(small_stages(o, preset)[0]);
    o.borrow = true;
    o.mesh.size(Axis::tp) = 1;
    expect_round_trip(compile_forward(
        build_decoder(small_config(preset), {DType::f32, o.mesh.size(Axis::dp), 16}), o, 0));
    expect_round_trip(
        compile_forward(build_cached_decoder(small_config(preset), {DType::f32, 2, 1}, 32), o, 0));
  }
}

TEST(ProgramText, SaysWhatEachCollectiveMovesAndChecksIt) {
  StepOptions o = small_options(2, 1, 1);
  const Program p = small_stages(o)[0];
  const std::string text = print(p);
  // bf16 [b1 s16 e384], partial over tp, of the projection of attention's heads.
  const std::string moved = "{axis=tp how=sum} @forward moves 12288 bytes decoder.cpp:";
  ASSERT_NE(text.find(moved), text.npos) << text.substr(0, 4000);
  std::string wrong = text;
  wrong.replace(wrong.find("moves 12288"), 11, "moves 12289");
  EXPECT_THROW(parse_program(wrong), InputError);
  for (const auto& name : {"slice(", "contract("})
    for (std::size_t at = text.find(name); at != text.npos; at = text.find(name, at + 1)) {
      const auto line = text.substr(at, text.find('\n', at) - at);
      EXPECT_EQ(line.find(" moves "), line.npos) << line;
    }
}

// The text of a program that shows every kind of line.
constexpr std::string_view kSmall = R"(program tiny.step on one rank, stage 0, after memory
graph a.F {
  in activation x %0: f32[b4 e8]
  in param w %1: f32[f8 e8]
  %2: f32[b4 f8] = contract(%0, %1) {spec="b e, f e -> b f" out=f32 accumulate=false} @forward m.h:1
  %3: f32[b4 f8] = add(%2, %2) {} @forward #1
  out activation y %3
}
frame of a.F: 192 bytes {
  %2 at 0
  scratch of node 1 at 128
}
buffer x: f32[b4 e8], data, 128 bytes, at 0, calls 0..0
buffer w: f32[f8 e8], parameters, 256 bytes, at 128, calls 0..0
buffer w.again: f32[f8 e8], parameters, 256 bytes, at 128, memory of w
buffer y: f32[b4 f8], activations, 128 bytes, at 384, calls 0..0
call 0: a.F layer 0 micro-batch 0 on compute (x, w) -> (y)
memory: static 384 + slots 128 + frame 192 = 704 bytes
)";

TEST(ProgramText, ReadsWhatADocumentShows) {
  const Program p = parse_program(kSmall);
  EXPECT_EQ(print(p), kSmall);
  EXPECT_EQ(p.blocks[0].graph.nodes[0].source, "m.h:1");
  EXPECT_EQ(p.blocks[0].graph.nodes[0].number, -1);
  EXPECT_EQ(p.blocks[0].graph.nodes[1].number, 1);
  EXPECT_EQ(p.blocks[0].frame.scratch, (std::vector<std::int64_t>{-1, 128}));
  EXPECT_EQ(p.buffers[2].same_as, 1);
}

struct Mistake {
  std::string_view from, to;      // the first is replaced
  std::string_view line, wanted;  // of the message
};

const Mistake kMistakes[] = {
    {"program tiny", "program (tiny", "line 1: ", "wanted the program's name"},
    {"one rank", "tp1", "line 1: cannot read the program; found 'tp1'", "wanted a mesh like"},
    {"stage 0", "stage 1", "line 1: ", "wanted a whole number from 0 to 0"},
    {"after memory", "after lunch", "found 'lunch'", "wanted one of autodiff, partition"},
    {"graph a.F {", "graph a.F", "line 2: ", "wanted ' {'"},
    {"in activation x", "in thing x", "line 3: ", "found 'thing', wanted one of activation"},
    {"f32[b4 e8]", "f33[b4 e8]", "line 3: cannot read a type: unknown element type", "f33"},
    {"b4 e8", "b4 e99999999999999999999", "line 3: cannot read a type: bad dim", "wanted"},
    {"b4 e8", "b4 e0", "line 3: cannot read a type: bad dim", "wanted a type like"},
    {"b4 e8", "b99999999 e99999999", "line 3: cannot read a type: too many elements", ""},
    {"%1: f32[f8 e8]", "%0: f32[f8 e8]", "line 4: cannot read the program; found '%0'",
     "wanted a value that no line before gives"},
    {"%1: f32[f8 e8]", "%99999999: f32[f8 e8]", "line 4: ", "wanted a whole number from 0 to"},
    {"contract(", "contrast(", "line 5: cannot read the program; found 'contrast'",
     "wanted an operation of the catalog"},
    {"contract(%0, %1)", "contract(%0, %7)",
     "line 5: ", "found '%7', wanted a value that a line before gives"},
    {"contract(%0, %1)", "contract(%0)", "line 5: wrong number of inputs; found 1", "wanted 2"},
    {"contract(%0, %1)", "contract()", "line 5: contract has no inputs", ""},
    {"f e -> b f", "f e -> b q", "line 5: dim 'q' of result 0 is in no input of contract", ""},
    {"f e -> b f", "f e to b f", "line 5: cannot read a dimension rule", "wanted"},
    {"out=f32 ", "", "line 5: attribute 'out' is missing", "found"},
    {"out=f32 ", "out=f32 in=f32 ", "line 5: ", "out=f32 accumulate=false'"},
    {"accumulate=false", "accumulate=no", "line 5: cannot read an attribute; found 'no'",
     "wanted true or false"},
    {"@forward m.h", "@onward m.h", "line 5: ", "found 'onward', wanted one of forward"},
    {"@forward #1", "@forward #x", "line 6: ", "wanted a whole number from 0 to"},
    {"%2: f32[b4 f8]", "%2: f32[b4 f9]", "line 5: block a.F, contract (m.h:1): the graph",
     "result 0 is f32[b4 f9], but the rule says f32[b4 f8]"},
    {"%3: f32[b4 f8]", "%4: f32[b4 f8]", "line 7: ", "wanted a value that a line before gives"},
    {"}\nframe", "frame", "line 8: ", "wanted"},
    {"frame of a.F", "frame of b.F", "line 9: ", "found 'b.F', wanted a block of a line before"},
    {"  %2 at 0", "  %9 at 0", "line 10: ", "wanted a whole number from 0 to 3"},
    {"  %2 at 0", "  %2 at 128", "frame of a.F: the memory plan is broken", "%2 ends at 256"},
    {"  %2 at 0\n", "", "frame of a.F: the memory plan is broken", "%2 has no place"},
    {"node 1 at", "node 2 at", "line 11: ", "wanted a whole number from 0 to 1"},
    {", data,", ", dates,", "line 13: ", "wanted a kind of buffer: parameters, master weights"},
    {"at 0, calls 0..0", "at 0, calls 1..0", "line 13: ", "wanted a whole number from 1 to"},
    {"buffer w.again", "buffer w", "line 15: cannot read the program; found 'w'",
     "wanted a name that no buffer before has"},
    {"memory of w", "memory of z", "line 15: ", "found 'z', wanted a buffer of a line before"},
    {"at 384, calls", "at 320, calls", "buffer y: the memory plan is broken", "320 .. 448"},
    {"call 0: ", "call 1: ", "line 17: ", "wanted a whole number from 0 to 0"},
    {"on compute", "on fire", "line 17: ", "found 'fire', wanted compute or an axis"},
    {"(x, w)", "(x)", "line 17: call 0 (a.F): the calls are broken", "2 ports have 1 buffers"},
    {"(x, w)", "(w, x)", "line 17: call 0 (a.F): the calls are broken",
     "port x is f32[b4 e8], its buffer w is f32[f8 e8]"},
    {"-> (y)", "-> (y) after 0", "line 17: ", "wanted a whole number from 0 to -1"},
    {"= 704", "= 705", "line 18: ", "found '705 bytes', wanted a whole number from 704 to 704"},
    {"bytes\n", "bytes\nmore\n", "", ""}};

TEST(ProgramText, AMistakeIsNamedWithItsLineAndWhatWasWanted) {
  for (const auto& m : kMistakes) {
    std::string text(kSmall);
    const auto at = m.to == "bytes\nmore\n" ? text.rfind(m.from) : text.find(m.from);
    ASSERT_NE(at, text.npos) << m.from;
    text.replace(at, m.from.size(), m.to);
    try {
      parse_program(text);
      ADD_FAILURE() << "no error for " << m.to;
    } catch (const InputError& e) {
      const std::string what = e.what();
      EXPECT_TRUE(what.starts_with("line ")) << what;
      EXPECT_NE(what.find(m.line), what.npos) << what;
      EXPECT_NE(what.find(m.wanted), what.npos) << what;
    }
  }
}

// Whatever a text holds: it is read, or refused with a line.
TEST(ProgramText, GarbledTextsAreRefusedAndNothingElse) {
  const std::string whole = print(small_program(small_options(2, 2, 2)));
  const auto lines = split(whole.substr(0, whole.find("\nbuffer ") + 2000), '\n');
  const Random random{11, Purpose::test};
  std::uint64_t n = 0;
  const auto pick = [&](std::size_t below) { return std::size_t(random.bits(n++) % below); };
  constexpr std::string_view kLetters = " %():;,{}=\"->0123456789abcdefs.\n@";
  int refused = 0;
  for (int round = 0; round < 400; ++round) {
    std::string text;
    if (round % 2 == 0) {
      text = kSmall;
    } else {  // a piece of a real one: cheap to read
      text = lines[0] + "\n";
      for (auto i = pick(lines.size()), end = std::min(lines.size(), i + 30); i < end; ++i)
        text += lines[i] + "\n";
    }
    for (auto changes = 1 + pick(3); changes > 0; --changes) {
      const auto at = pick(text.size());
      if (pick(3) == 0) text.erase(at, 1 + pick(8));
      else if (pick(2) == 0) text.insert(at, 1, kLetters[pick(kLetters.size())]);
      else text.replace(at, 1, text.substr(pick(text.size()), 1 + pick(12)));
    }
    try {
      parse_program(text);
    } catch (const InputError& e) {
      EXPECT_TRUE(std::string_view(e.what()).starts_with("line ")) << e.what();
      ++refused;
    }
  }
  EXPECT_GT(refused, 200);
}

}  // namespace
}  // namespace autarky
