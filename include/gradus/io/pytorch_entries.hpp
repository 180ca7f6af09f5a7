// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gradus/io/dtype.hpp"
#include "gradus/io/json.hpp"
#include "gradus/io/pickle.hpp"
#include "gradus/io/zip.hpp"

namespace gradus::io::detail {

/// What a file of torch.save says of a tensor, or why it cannot be read.
struct PytorchEntry {
    std::string name;
    std::string problem;
    DType dtype = DType::f32;
    Shape shape;
    Index strides[Shape::max_rank] = {};
    Index offset = 0;  // elements
    const ZipMember* storage = nullptr;
};

/// Finds the tensors in a pickle of dictionaries, lists and tuples: their names are the keys on the way to them.
/// Source: torch/_utils.py and torch/serialization.py of PyTorch say what a tensor is pickled as.
class PytorchEntries {
public:
    [[gnu::cold]] PytorchEntries(const ZipFile& archive, const Pickle& pickle, std::string root)
        : archive_(archive), pickle_(pickle), root_(std::move(root)) {
        visit("", pickle.root(), 0);
    }

    std::vector<PytorchEntry> tensors;
    std::vector<std::string> others;  // names of values that are no tensors

private:
    using Value = PickleValue;
    using Kind = PickleValue::Kind;
    static constexpr int max_depth = 64;
    static constexpr std::size_t max_visits = 1000000, max_name = 4096;

    [[gnu::cold]] void visit(const std::string& name, const Value& value, int depth) {
        // A value may be part of many others: what is small in the file can be endless in sum.
        if (++visits_ > max_visits)
            archive_.fail({"has more than 1000000 values, of which a state dict needs few"});
        if (depth > max_depth) archive_.fail({"dictionaries and lists lie deeper than 64 in each other"});
        if (name.size() > max_name) archive_.fail({"the name ", shown(name), " is longer than 4096 bytes"});
        const auto below = [&](std::string_view key) {
            return name.empty() ? std::string(key) : text_of({name, ".", key});
        };
        if (value.kind == Kind::dict) {
            for (std::size_t i = 0; i < value.items.size(); i += 2) {
                const Value& key = pickle_[value.items[i]];
                visit(below(key.kind == Kind::text      ? std::string(key.words)
                            : key.kind == Kind::integer ? text_of({key.integer_value})
                                                        : "?"),
                      pickle_[value.items[i + 1]], depth + 1);
            }
        } else if (value.kind == Kind::list || value.kind == Kind::tuple) {
            for (std::size_t i = 0; i < value.items.size(); ++i)
                visit(below(text_of({i})), pickle_[value.items[i]], depth + 1);
        } else if (value.kind == Kind::call && makes_tensor(value)) {
            PytorchEntry entry;
            entry.name = name;
            describe(entry, value, 0);
            tensors.push_back(std::move(entry));
        } else {
            others.push_back(name);
        }
    }

    std::string_view called(const Value& call) const { return pickle_[call.items[0]].words; }
    const std::vector<std::uint32_t>& arguments(const Value& call) const {
        return pickle_[call.items[1]].items;
    }

    [[gnu::cold]] bool makes_tensor(const Value& call) const {
        const std::string_view function = called(call);
        return function.starts_with("torch._utils\n_rebuild_") || function == rebuild_typed ||
               function == parameter;
    }

    /// Fills an entry from the call that makes a tensor: name = function(arguments).
    [[gnu::cold]] void describe(PytorchEntry& entry, const Value& call, int depth) const {
        const auto& given = arguments(call);
        const std::string_view function = called(call);
        const auto argument = [&](std::size_t i) -> const Value& {
            if (i >= given.size()) fail(entry, {Pickle::dotted(function), " lacks an argument"});
            return pickle_[given[i]];
        };
        const auto inner = [&](const Value& tensor) {
            if (depth > max_depth || tensor.kind != Kind::call || !makes_tensor(tensor))
                fail(entry, {Pickle::dotted(function), " is given no tensor"});
            describe(entry, tensor, depth + 1);
        };
        if (function == parameter || function == "torch._utils\n_rebuild_parameter" ||
            function == "torch._utils\n_rebuild_parameter_with_state")
            return inner(argument(0));
        if (function == rebuild_typed) {  // what to call, the class, its arguments, attributes
            if (argument(0).kind != Kind::global || argument(2).kind != Kind::tuple)
                fail(entry, {Pickle::dotted(function), " is given no tensor"});
            Value typed;
            typed.kind = Kind::call;
            typed.items = {given[0], given[2]};
            return inner(typed);
        }
        const bool second = function == "torch._utils\n_rebuild_tensor_v2",
                   third = function == "torch._utils\n_rebuild_tensor_v3";
        if (!second && !third && function != "torch._utils\n_rebuild_tensor") {
            entry.problem = text_of({"is made by ", Pickle::dotted(function),
                                     ", and only dense tensors with values are read; save it as one, as with "
                                     ".to_dense() or .dequantize()"});
            return;
        }
        const std::size_t metadata = second ? 6 : third ? 7 : given.size();
        if (metadata < given.size() && has_lazy_sign(pickle_[given[metadata]])) {
            entry.problem = "is negated or conjugated only when it is read; save it after .resolve_neg()";
            return;
        }
        set_place(entry, argument(1), argument(2), argument(3));
        set_storage(entry, argument(0), third ? &argument(6) : nullptr);
    }

    [[gnu::cold]] bool has_lazy_sign(const Value& metadata) const {
        if (metadata.kind != Kind::dict) return false;
        for (std::size_t i = 1; i < metadata.items.size(); i += 2) {
            const std::string_view key = pickle_[metadata.items[i - 1]].words;
            if ((key == "neg" || key == "conj") && pickle_[metadata.items[i]].integer_value != 0) return true;
        }
        return false;
    }

    [[gnu::cold]] Index whole_number(const PytorchEntry& entry, const Value& value, const char* what) const {
        if (value.kind != Kind::integer || value.integer_value < 0)
            fail(entry, {what, " is no whole number from 0 on"});
        return value.integer_value;
    }

    [[gnu::cold]] void set_place(PytorchEntry& entry, const Value& offset, const Value& sizes,
                                 const Value& strides) const {
        entry.offset = whole_number(entry, offset, "its offset");
        const Value* const lists[] = {&unwrapped(sizes), &strides};
        if (lists[0]->kind != Kind::tuple || strides.kind != Kind::tuple ||
            lists[0]->items.size() != strides.items.size())
            fail(entry, {"sizes and strides are not two lists of one length"});
        if (strides.items.size() > static_cast<std::size_t>(Shape::max_rank))
            fail(entry, {"has ", strides.items.size(), " axes; at most 8 are read"});
        for (std::size_t axis = 0; axis < strides.items.size(); ++axis) {
            const Index size = whole_number(entry, pickle_[lists[0]->items[axis]], "a size");
            entry.strides[axis] = whole_number(entry, pickle_[strides.items[axis]], "a stride");
            try {
                entry.shape.push_back(size);
            } catch (const ShapeError& error) {
                fail(entry, {"no tensor has its shape: ", error.what()});
            }
        }
    }

    /// torch.Size((2, 3)) is a tuple.
    [[gnu::cold]] const Value& unwrapped(const Value& sizes) const {
        if (sizes.kind != Kind::call || called(sizes) != "torch\nSize" || arguments(sizes).size() != 1)
            return sizes;
        return pickle_[arguments(sizes)[0]];
    }

    /// ("storage", class, key, place, count): the member data/<key> of the archive holds `count` elements.
    [[gnu::cold]] void set_storage(PytorchEntry& entry, const Value& storage, const Value* type) const {
        const Value* const id = storage.kind == Kind::persistent ? &pickle_[storage.items[0]] : nullptr;
        if (!id || id->kind != Kind::tuple || id->items.size() != 5 ||
            pickle_[id->items[0]].words != "storage")
            fail(entry, {"lies in no storage"});
        const Value &kind = pickle_[id->items[1]], &key = pickle_[id->items[2]],
                    &count = pickle_[id->items[4]];
        const Value& named = type ? *type : kind;
        if (kind.kind != Kind::global || named.kind != Kind::global || key.kind != Kind::text)
            fail(entry, {"its storage has no type or no key"});
        const DTypeName* const known = find_type(named.words);
        if (!known) {
            entry.problem = text_of({"is of type ", Pickle::dotted(named.words),
                                     ", which is not read; convert it first, as with .float()"});
            return;
        }
        entry.dtype = known->dtype;
        entry.storage = archive_.find(text_of({root_, "data/", key.words}));
        if (!entry.storage) fail(entry, {"its storage ", shown(key.words), " is not in the archive"});
        const auto width = static_cast<std::uint64_t>(bits(entry.dtype)) / 8;
        const std::uint64_t size = entry.storage->size;
        const auto promised =
            static_cast<std::uint64_t>(whole_number(entry, count, "the size of its storage"));
        if (promised > size || (type ? promised : promised * width) != size)
            fail(entry, {"its storage has ", size, " bytes, which are not the ", promised,
                         type ? " bytes" : " elements", " that were saved"});
        check_inside(entry, static_cast<Index>(size / width));
    }

    [[gnu::cold]] void check_inside(const PytorchEntry& entry, Index elements) const {
        if (entry.shape.numel() == 0) return;
        Index last = entry.offset;
        for (int axis = 0; axis < entry.shape.rank(); ++axis)
            last = gradus::detail::saturated_sum(
                last, gradus::detail::saturated_product(entry.shape.begin()[axis] - 1, entry.strides[axis]));
        if (last >= elements)
            fail(entry, {to_string(entry.shape), " reaches element ", last, " of a storage of ", elements});
    }

    struct DTypeName {
        std::string_view name;
        DType dtype;
    };
    [[gnu::cold]] static const DTypeName* find_type(std::string_view name) {
        static constexpr DTypeName names[] = {
            {"FloatStorage", DType::f32},
            {"DoubleStorage", DType::f64},
            {"HalfStorage", DType::f16},
            {"BFloat16Storage", DType::bf16},
            {"LongStorage", DType::i64},
            {"IntStorage", DType::i32},
            {"ShortStorage", DType::i16},
            {"CharStorage", DType::i8},
            {"ByteStorage", DType::u8},
            {"BoolStorage", DType::boolean},
            {"ComplexFloatStorage", DType::c64},
            {"float32", DType::f32},
            {"float64", DType::f64},
            {"float16", DType::f16},
            {"bfloat16", DType::bf16},
            {"int64", DType::i64},
            {"int32", DType::i32},
            {"int16", DType::i16},
            {"int8", DType::i8},
            {"uint8", DType::u8},
            {"bool", DType::boolean},
            {"uint16", DType::u16},
            {"uint32", DType::u32},
            {"uint64", DType::u64},
            {"complex64", DType::c64},
            {"float8_e4m3fn", DType::f8_e4m3},
            {"float8_e5m2", DType::f8_e5m2},
            {"float8_e4m3fnuz", DType::f8_e4m3fnuz},
            {"float8_e5m2fnuz", DType::f8_e5m2fnuz},
            {"float8_e8m0fnu", DType::f8_e8m0},
        };
        constexpr std::string_view torch = "torch\n";
        if (!name.starts_with(torch)) return nullptr;
        for (const DTypeName& known : names)
            if (known.name == name.substr(torch.size())) return &known;
        return nullptr;
    }

    [[noreturn, gnu::cold]] void fail(const PytorchEntry& entry,
                                      std::initializer_list<TextPart> problem) const {
        archive_.fail({"tensor ", shown(entry.name), ": ", text_of(problem)});
    }

    static constexpr std::string_view rebuild_typed = "torch._tensor\n_rebuild_from_type_v2",
                                      parameter = "torch.nn.parameter\nParameter";

    const ZipFile& archive_;
    const Pickle& pickle_;
    std::string root_;
    std::size_t visits_ = 0;
};

}  // namespace gradus::io::detail
