// SPDX-License-Identifier: MIT
#include "gradus/nn/trace.hpp"

#include <thread>

#include "support/test.hpp"

using namespace gradus;

namespace {

struct Layer {
    static constexpr const char* type = "Layer";
    Variable<> operator()(const Variable<>& x) const { return nn::traced(this, x); }
};

}  // namespace

TEST_CASE("trace: notes layer, type and output shape, in order") {
    const Layer a, b;
    const Variable<> x(zeros({2})), y(zeros({3, 4}));
    a(x);  // nobody listens yet
    const nn::Trace trace;
    CHECK(trace.entries().empty());
    a(x);
    b(y);
    a(y);
    REQUIRE(trace.entries().size() == 3);
    CHECK(trace.entries()[0].layer == &a);
    CHECK(trace.entries()[0].type == std::string("Layer"));
    CHECK(trace.entries()[0].output == Shape{2});
    CHECK(trace.entries()[1].layer == &b);
    CHECK(trace.entries()[1].output == Shape{3, 4});
    CHECK(trace.entries()[2].layer == &a);
}

TEST_CASE("trace: a layer returns what it was given") {
    const Variable<> x(zeros({2}));
    const nn::Trace trace;
    CHECK(&Layer()(x).node() == &x.node());
}

TEST_CASE("trace: the inner one listens while it lives, on its own thread") {
    const Layer layer;
    const Variable<> x(zeros({2}));
    const nn::Trace outer;
    {
        const nn::Trace inner;
        layer(x);
        CHECK(inner.entries().size() == 1);
    }
    CHECK(outer.entries().empty());
    std::thread([&] { layer(x); }).join();
    CHECK(outer.entries().empty());
    layer(x);
    CHECK(outer.entries().size() == 1);
}

TEST_CASE("trace: ends with an exception, too") {
    const Layer layer;
    const Variable<> x(zeros({2}));
    const nn::Trace outer;
    try {
        const nn::Trace inner;
        throw 1;
    } catch (int) {
    }
    layer(x);
    CHECK(outer.entries().size() == 1);
}

namespace {

/// Fails on what has two elements.
struct Picky {
    static constexpr const char* type = "Picky";
    Variable<> operator()(const Variable<>& x) const {
        return nn::traced(this, [&] {
            if (x.numel() == 2) throw ValueError("picky: not two");
            return x;
        });
    }
};

/// A layer of layers.
struct Around {
    static constexpr const char* type = "Around";
    Picky inner;
    Variable<> operator()(const Variable<>& x) const {
        return nn::traced(this, [&] { return inner(x); });
    }
};

}  // namespace

TEST_CASE("trace: an error has the path of the innermost layer that is known, once") {
    const Around net;
    const Variable<> two(zeros({2})), three(zeros({3}));
    CHECK_THROWS_MATCHES(net(two), ValueError, Message("picky: not two"));  // nobody listens
    {
        const nn::Trace trace;
        CHECK_THROWS_MATCHES(net(two), ValueError, Message("picky: not two"));
    }
    {
        const nn::Trace trace({{&net, "Around", "net"}, {&net.inner, "Picky", "net.inner"}});
        for (int i = 0; i < 2; ++i)
            CHECK_THROWS_MATCHES(net(two), ValueError, Message("net.inner: picky: not two"));
        CHECK(trace.entries().empty());
        net(three);
        REQUIRE(trace.entries().size() == 2);
        CHECK(trace.entries()[0].type == std::string("Picky"));
        CHECK(*trace.name_of(&net, "Around") == "net");  // the first member has the same address
        CHECK(*trace.name_of(&net, "Picky") == "net.inner");
        CHECK(trace.name_of(&net, "ReLU") == nullptr);
    }
    const nn::Trace trace({{&net, "Around", "net"}});
    CHECK_THROWS_MATCHES(net(two), ValueError, Message("net: picky: not two"));
}
