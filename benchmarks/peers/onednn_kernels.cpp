// SPDX-License-Identifier: MIT
// The work of gemm.cpp, conv2d.cpp and bandwidth.cpp done by oneDNN, its primitives called directly.
// --layout=contiguous: arrays are plain (NCHW), and where a primitive likes another layout better, reordering
// into it and back is part of the time. --layout=blocked: arrays, also weights and results, lie in that
// layout already, as in a program that knows no other.

#include <dnnl.hpp>

#include <string>
#include <vector>

#include "../support/measure.hpp"
#include "../support/workload.hpp"

namespace {

using dnnl::memory;
using tag = memory::format_tag;
using workload::Traffic;

const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
dnnl::stream queue(engine);

memory::desc layout(const memory::dims& shape, tag order) { return {shape, memory::data_type::f32, order}; }

std::span<float> floats(const memory& plain) {
    return {static_cast<float*>(plain.get_data_handle()), plain.get_desc().get_size() / sizeof(float)};
}

memory numbers(const memory::desc& desc, std::uint32_t stream, float scale) {
    memory values(desc, engine);
    workload::fill(floats(values), stream, scale);
    return values;
}

/// A primitive and its arguments, each as the program has it and as the primitive wants it.
class Call {
public:
    Call(const measure::Arguments& arguments, const dnnl::primitive& primitive)
        : primitive_(primitive), reorders_(!arguments.blocked) {}

    void input(int name, const memory& plain, const memory::desc& wanted) {
        const memory inside = argument(name, plain, wanted);
        if (inside != plain) before_.push_back({dnnl::reorder(plain, inside), plain, inside});
    }
    void input(int name, const memory& plain) { input(name, plain, plain.get_desc()); }

    /// Returns the result as the program has it.
    memory output(int name, const memory::desc& plain_desc, const memory::desc& wanted) {
        const memory plain(plain_desc, engine), inside = argument(name, plain, wanted);
        if (inside != plain) after_.push_back({dnnl::reorder(inside, plain), inside, plain});
        return plain;
    }
    memory output(int name, const memory::desc& desc) { return output(name, desc, desc); }

    /// With all reorders, whatever the layout: fills what run() reads.
    void prepare() {
        execute(before_);
        primitive_.execute(queue, arguments_);
        execute(after_);
        queue.wait();
    }

    void run() {
        if (reorders_) execute(before_);
        primitive_.execute(queue, arguments_);
        if (reorders_) execute(after_);
        queue.wait();
    }

private:
    struct Reorder {
        dnnl::reorder primitive;
        memory from, to;
    };

    memory argument(int name, const memory& plain, const memory::desc& wanted) {
        const memory inside = wanted == plain.get_desc() ? plain : memory(wanted, engine);
        arguments_.insert({name, inside});
        return inside;
    }
    static void execute(std::vector<Reorder>& reorders) {
        for (Reorder& r : reorders) r.primitive.execute(queue, r.from, r.to);
    }

    dnnl::primitive primitive_;
    std::unordered_map<int, memory> arguments_;
    std::vector<Reorder> before_, after_;
    bool reorders_;
};

void time_product(const measure::Arguments& arguments, const workload::Product& p) {
    const std::string name = std::string("gemm ") + p.name;
    if (!arguments.wants(name)) return;
    const memory::desc a = layout({p.m, p.k}, p.a_transposed ? tag::ba : tag::ab),
                       b = layout({p.k, p.n}, p.b_transposed ? tag::ba : tag::ab),
                       c = layout({p.m, p.n}, tag::ab);
    const auto wanted = [&](const memory::desc& plain) {
        return arguments.blocked ? layout(plain.dims(), tag::any) : plain;
    };
    const dnnl::matmul::primitive_desc product({wanted(a), wanted(b), wanted(c)}, engine);
    Call call(arguments, dnnl::matmul(product));
    call.input(DNNL_ARG_SRC, numbers(a, 6, 1.0f), product.src_desc());
    call.input(DNNL_ARG_WEIGHTS, numbers(b, 7, 1.0f), product.weights_desc());
    const memory result = call.output(DNNL_ARG_DST, c, product.dst_desc());
    call.prepare();
    measure::run(arguments, name, {.first = workload::checksum(floats(result)), .flop = p.flop()},
                 [&] { call.run(); });
}

class Convolution {
public:
    Convolution(const measure::Arguments& arguments, const workload::Convolution& c)
        : arguments_(arguments),
          c_(c),
          x_(layout({c.batch, c.in, c.size, c.size}, tag::nchw)),
          w_(c.groups == 1
                 ? layout({c.out, c.in, c.kernel, c.kernel}, tag::oihw)
                 : layout({c.groups, c.out / c.groups, c.in / c.groups, c.kernel, c.kernel}, tag::goihw)),
          y_(layout({c.batch, c.out, c.result(), c.result()}, tag::nchw)),
          forward_({dnnl::prop_kind::forward_training, best, any(x_), any(w_), any(y_), stride(), padding(),
                    padding()},
                   engine) {}

    void time_all() const {
        if (const std::string name = case_name("forward"); arguments_.wants(name)) {
            Call call(arguments_, dnnl::convolution_forward(forward_));
            call.input(DNNL_ARG_SRC, x(), forward_.src_desc());
            call.input(DNNL_ARG_WEIGHTS, w(), forward_.weights_desc());
            time(name, call, call.output(DNNL_ARG_DST, y_, forward_.dst_desc()));
        }
        if (const std::string name = case_name("input gradient"); arguments_.wants(name)) {
            const dnnl::convolution_backward_data::primitive_desc backward(
                {best, any(x_), any(w_), any(y_), stride(), padding(), padding()}, engine, forward_);
            Call call(arguments_, dnnl::convolution_backward_data(backward));
            call.input(DNNL_ARG_DIFF_DST, dy(), backward.diff_dst_desc());
            call.input(DNNL_ARG_WEIGHTS, w(), backward.weights_desc());
            time(name, call, call.output(DNNL_ARG_DIFF_SRC, x_, backward.diff_src_desc()));
        }
        if (const std::string name = case_name("weight gradient"); arguments_.wants(name)) {
            const dnnl::convolution_backward_weights::primitive_desc backward(
                {best, any(x_), any(w_), any(y_), stride(), padding(), padding()}, engine, forward_);
            Call call(arguments_, dnnl::convolution_backward_weights(backward));
            call.input(DNNL_ARG_SRC, x(), backward.src_desc());
            call.input(DNNL_ARG_DIFF_DST, dy(), backward.diff_dst_desc());
            time(name, call, call.output(DNNL_ARG_DIFF_WEIGHTS, w_, backward.diff_weights_desc()));
        }
    }

private:
    static constexpr dnnl::algorithm best = dnnl::algorithm::convolution_auto;

    static memory::desc any(const memory::desc& plain) { return layout(plain.dims(), tag::any); }
    memory::dims stride() const { return {c_.stride, c_.stride}; }
    memory::dims padding() const { return {c_.padding, c_.padding}; }
    memory x() const { return numbers(x_, 8, 1.0f); }
    memory w() const { return numbers(w_, 9, 1.0f); }
    memory dy() const { return numbers(y_, 10, 1.0f); }

    std::string case_name(const char* what) const { return std::string("conv ") + what + ": " + c_.name; }
    void time(const std::string& name, Call& call, const memory& result) const {
        call.prepare();
        measure::run(arguments_, name, {.first = workload::checksum(floats(result)), .flop = c_.flop()},
                     [&] { call.run(); });
    }

    const measure::Arguments& arguments_;
    const workload::Convolution& c_;
    memory::desc x_, w_, y_;
    dnnl::convolution_forward::primitive_desc forward_;
};

/// Work that is bound by memory, on x of one shape. These primitives take x in any layout; `inside` is that
/// in which they are fast.
class Suite {
public:
    Suite(const measure::Arguments& arguments, const memory::dims& shape, tag plain, tag inside)
        : arguments_(arguments), plain_(layout(shape, plain)), inside_(layout(shape, inside)) {}

    memory::dim channels() const { return plain_.dims()[1]; }

    void elementwise(const Traffic& traffic, dnnl::algorithm algorithm) const {
        const dnnl::eltwise_forward::primitive_desc pd({inference, algorithm, inside_}, engine);
        Call call(arguments_, dnnl::eltwise_forward(pd));
        call.input(DNNL_ARG_SRC, x(), inside_);
        time(traffic, call, call.output(DNNL_ARG_DST, plain_, inside_));
    }

    void softmax() const {
        const dnnl::softmax_forward::primitive_desc forward({training, inside_, 1}, engine);
        Call call(arguments_, dnnl::softmax_forward(forward));
        call.input(DNNL_ARG_SRC, x());
        const memory y = call.output(DNNL_ARG_DST, plain_);
        time(workload::softmax, call, y);
        call.prepare();

        Call backward(arguments_, dnnl::softmax_backward({{inside_, inside_, 1}, engine, forward}));
        backward.input(DNNL_ARG_DST, y);
        backward.input(DNNL_ARG_DIFF_DST, numbers(plain_, 11, 3.0f));
        time(workload::softmax_backward, backward, backward.output(DNNL_ARG_DIFF_SRC, plain_));
    }

    void layer_norm() const {
        const dnnl::layer_normalization_forward::primitive_desc pd({inference, inside_, 1e-5f, affine},
                                                                   engine);
        Call call(arguments_, dnnl::layer_normalization_forward(pd));
        call.input(DNNL_ARG_SRC, x());
        call.input(DNNL_ARG_SCALE_SHIFT, scale_and_shift());
        time(workload::layer_norm, call, call.output(DNNL_ARG_DST, plain_));
    }

    void batch_norm() const {
        const dnnl::batch_normalization_forward::primitive_desc pd({training, inside_, 1e-5f, affine},
                                                                   engine);
        Call forward(arguments_, dnnl::batch_normalization_forward(pd));
        const memory weights = scale_and_shift();
        forward.input(DNNL_ARG_SRC, x(), inside_);
        forward.input(DNNL_ARG_SCALE_SHIFT, weights);
        const memory mean = forward.output(DNNL_ARG_MEAN, pd.mean_desc()),
                     variance = forward.output(DNNL_ARG_VARIANCE, pd.variance_desc());
        time(workload::batch_norm, forward, forward.output(DNNL_ARG_DST, plain_, inside_));
        forward.prepare();

        // There is none without the gradient of scale and shift.
        Call backward(arguments_,
                      dnnl::batch_normalization_backward(
                          {{dnnl::prop_kind::backward, inside_, inside_, 1e-5f, affine}, engine, pd}));
        backward.input(DNNL_ARG_SRC, x(), inside_);
        backward.input(DNNL_ARG_MEAN, mean);
        backward.input(DNNL_ARG_VARIANCE, variance);
        backward.input(DNNL_ARG_SCALE_SHIFT, weights);
        backward.output(DNNL_ARG_DIFF_SCALE_SHIFT, weights.get_desc());
        backward.input(DNNL_ARG_DIFF_DST, numbers(plain_, 11, 3.0f), inside_);
        time(workload::batch_norm_backward, backward, backward.output(DNNL_ARG_DIFF_SRC, plain_, inside_));
    }

    void max_pool(const Traffic& traffic, memory::dim kernel, memory::dim padding, tag inside) const {
        const Pool pool(*this, kernel, padding, inside, inference);
        Call call(arguments_, dnnl::pooling_forward(pool.forward));
        call.input(DNNL_ARG_SRC, x(), inside_);
        time(traffic, call, call.output(DNNL_ARG_DST, pool.plain, pool.forward.dst_desc()));
    }

    void max_pool_backward(const Traffic& traffic, memory::dim kernel, tag inside) const {
        const Pool pool(*this, kernel, 0, inside, training);
        Call forward(arguments_, dnnl::pooling_forward(pool.forward));
        forward.input(DNNL_ARG_SRC, x(), inside_);
        forward.output(DNNL_ARG_DST, pool.plain, pool.forward.dst_desc());
        const memory where = forward.output(DNNL_ARG_WORKSPACE, pool.forward.workspace_desc());
        forward.prepare();

        const dnnl::pooling_backward::primitive_desc pd(
            {maximum, inside_, pool.forward.dst_desc(), pool.stride, pool.window, pool.margin, pool.margin},
            engine, pool.forward);
        Call backward(arguments_, dnnl::pooling_backward(pd));
        backward.input(DNNL_ARG_DIFF_DST, numbers(pool.plain, 11, 3.0f), pool.forward.dst_desc());
        backward.input(DNNL_ARG_WORKSPACE, where);
        time(traffic, backward, backward.output(DNNL_ARG_DIFF_SRC, plain_, inside_));
    }

private:
    static constexpr auto inference = dnnl::prop_kind::forward_inference,
                          training = dnnl::prop_kind::forward_training;
    static constexpr auto maximum = dnnl::algorithm::pooling_max;
    static constexpr auto affine = dnnl::normalization_flags::use_scale_shift;

    /// Windows two apart.
    struct Pool {
        memory::dims stride, window, margin;
        memory::desc plain;  // of the result
        dnnl::pooling_forward::primitive_desc forward;

        Pool(const Suite& suite, memory::dim kernel, memory::dim padding, tag inside, dnnl::prop_kind kind)
            : stride{2, 2}, window{kernel, kernel}, margin{padding, padding} {
            memory::dims shape = suite.plain_.dims();
            for (const std::size_t axis : {2u, 3u})
                shape[axis] = (shape[axis] + 2 * padding - kernel) / 2 + 1;
            plain = layout(shape, tag::nchw);
            const memory::desc result = layout(shape, inside);
            forward = {{kind, maximum, suite.inside_, result, stride, window, margin, margin}, engine};
        }
    };

    memory x() const { return numbers(plain_, 5, 3.0f); }
    /// Together in one array: given apart, a batch norm of NCHW takes oneDNN's reference code.
    memory scale_and_shift() const {
        const memory both(layout({2, channels()}, tag::ab), engine);
        const auto count = static_cast<std::size_t>(channels());
        workload::fill(floats(both).first(count), 15, 3.0f);
        workload::fill(floats(both).last(count), 16, 3.0f);
        return both;
    }

    void time(const Traffic& traffic, Call& call, const memory& result) const {
        std::string name = traffic.name;
        const memory::dims shape = plain_.dims();
        for (std::size_t axis = 0; axis < shape.size(); ++axis)
            name += (axis == 0 ? " [" : ", ") + std::to_string(shape[axis]);
        name += "]";
        if (!arguments_.wants(name)) return;
        call.prepare();
        const double size = static_cast<double>(plain_.get_size());
        measure::run(arguments_, name,
                     {.first = workload::checksum(floats(result)), .bytes = traffic.numbers * size},
                     [&] { call.run(); });
    }

    const measure::Arguments& arguments_;
    memory::desc plain_, inside_;
};

void time_rows(const measure::Arguments& arguments, std::int64_t rows) {
    const Suite suite(arguments, {rows, workload::columns}, tag::ab, tag::ab);
    suite.elementwise(workload::relu, dnnl::algorithm::eltwise_relu);
    suite.elementwise(workload::exp, dnnl::algorithm::eltwise_exp);
    suite.elementwise(workload::tanh, dnnl::algorithm::eltwise_tanh);
    suite.elementwise(workload::gelu, dnnl::algorithm::eltwise_gelu_erf);
    suite.softmax();
    suite.layer_norm();
}

/// Blocks of as many channels as a vector register has floats. On NCHW itself, norms and pooling of large
/// images take four to forty times as long, much longer than reordering.
tag channel_blocks() {
    return dnnl::get_effective_cpu_isa() >= dnnl::cpu_isa::avx512_core ? tag::nChw16c : tag::nChw8c;
}

void time_images(const measure::Arguments& arguments, std::int64_t side) {
    const tag inside = channel_blocks();
    const Suite suite(arguments, {workload::pool_batch, workload::pool_channels, side, side}, tag::nchw,
                      inside);
    suite.batch_norm();
    suite.max_pool(workload::max_pool, 2, 0, inside);
    suite.max_pool_backward(workload::max_pool_backward, 2, inside);
    suite.max_pool(workload::max_pool_3, 3, 1, inside);
}

}  // namespace

int main(int argc, char** argv) {
    const measure::Arguments arguments(argc, argv);  // of the number of threads OMP_NUM_THREADS decides
    for (const workload::Product& p : workload::products) time_product(arguments, p);
    for (const workload::Convolution& c : workload::convolutions) Convolution(arguments, c).time_all();
    if (!arguments.blocked) time_rows(arguments, workload::small_rows);
    time_images(arguments, workload::small_side);
    time_images(arguments, workload::large_side);
    if (!arguments.blocked) time_rows(arguments, workload::large_rows);
}
