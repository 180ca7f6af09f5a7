// SPDX-License-Identifier: MIT
#include "gradus/training/state.hpp"

#include <cmath>
#include <limits>

#include "gradus/gradus.hpp"
#include "support/same_bits.hpp"
#include "support/test.hpp"

using namespace gradus;
using training::State;
using training::StateReader;
using training::StateWriter;

TEST_CASE("state: gives back what was put, of every type, with all bits") {
    State state;
    StateWriter writer(state);
    const double tiny = std::numeric_limits<double>::denorm_min();
    writer.put("tensor", Tensor<>{{1, 2}, {3, 4}});
    writer.put("labels", Tensor<Index>{1, 2});
    writer.put("double", tiny);
    writer.put("float", 0.1f);
    writer.put("index", std::numeric_limits<Index>::min());
    writer.put("seed", std::numeric_limits<std::uint64_t>::max());
    writer.put("flag", true);
    writer.put("mode", optim::Mode::max);
    writer.put("text", std::string("a\0ä", 4));
    writer.put("empty", "");
    const StateReader reader(state);
    CHECK(reader.get<Tensor<>>("tensor") == Tensor<>{{1, 2}, {3, 4}});
    CHECK(reader.get<Index>("labels", {2}) == Tensor<Index>{1, 2});
    CHECK(reader.get<double>("double") == tiny);
    CHECK(reader.get<float>("float") == 0.1f);
    CHECK(reader.get<Index>("index") == std::numeric_limits<Index>::min());
    CHECK(reader.get<std::uint64_t>("seed") == std::numeric_limits<std::uint64_t>::max());
    CHECK(reader.get<bool>("flag"));
    CHECK(reader.get<optim::Mode>("mode") == optim::Mode::max);
    CHECK(reader.get<std::string>("text") == std::string("a\0ä", 4));
    CHECK(reader.get<std::string>("empty").empty());
}

TEST_CASE("state: a snapshot: what is changed later is not in it") {
    State state;
    Tensor<> x{1, 2};
    StateWriter(state).put("x", x);
    x.mutable_at(0) = 5;
    CHECK(StateReader(state).get<Tensor<>>("x") == Tensor<>{1, 2});
    Tensor<> y = StateReader(state).get<Tensor<>>("x");
    y.mutable_at(0) = 7;
    CHECK(StateReader(state).get<Tensor<>>("x") == Tensor<>{1, 2});
}

TEST_CASE("state: parts in parts, and their names") {
    State state;
    StateWriter outer(state), inner = StateWriter(state).in("a").in("b");
    inner.put("x", 1);
    inner.put("", 2);
    outer.put("a.c", 3);
    outer.put("ab", 4);
    CHECK(inner.path("x") == "a.b.x");
    const StateReader reader = StateReader(state).in("a");
    CHECK(reader.names() == std::vector<std::string>{"b", "b.x", "c"});
    CHECK(reader.in("b").get<int>("x") == 1);
    CHECK(reader.in("b").get<int>("") == 2);
    CHECK(reader.contains("c"));
    CHECK(!reader.contains("d"));
    CHECK(StateReader(state).names().size() == 4);
}

TEST_CASE("state: what is not there or of another type is refused by its name") {
    State state;
    StateWriter writer = StateWriter(state).in("part");
    writer.put("number", 300);
    writer.put("real", 0.5);
    writer.put("list", Tensor<double>{1, 2});
    const StateReader reader = StateReader(state, "", "load").in("part");
    CHECK_THROWS_MATCHES(
        writer.put("real", 1), ValueError,
        Message("part.real: there is one of this name already; training::part(\"teacher\", x) "
                "names a second part of one kind"));
    CHECK_THROWS_MATCHES(reader.get<double>("best"), ValueError, Message("load: part.best: is not there"));
    CHECK_THROWS_MATCHES(reader.get<double>("number"), ValueError,
                         Message("load: part.number: must be F64: got I64"));
    CHECK_THROWS_MATCHES(reader.get<Index>("real"), ValueError,
                         Message("load: part.real: must be I64: got F64"));
    CHECK_THROWS_MATCHES(reader.get<Tensor<float>>("list"), ValueError,
                         Message("load: part.list: must be F32: got F64"));
    CHECK_THROWS_MATCHES(reader.get<double>("list"), ValueError,
                         Message("load: part.list: must be one number: got shape [2]"));
    CHECK_THROWS_MATCHES(reader.get<double>("list", {3}), ShapeError,
                         Message("load: part.list: must have shape [3]: got [2]"));
    CHECK_THROWS_MATCHES(reader.get<std::int8_t>("number"), ValueError,
                         Message("load: part.number: is out of range: got 300"));
    CHECK_THROWS_MATCHES(reader.get<std::string>("real"), ValueError,
                         Message("load: part.real: must be U8: got F64"));
}
