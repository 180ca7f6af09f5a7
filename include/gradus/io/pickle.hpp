// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "gradus/core/bits.hpp"
#include "gradus/core/error.hpp"

// Pickles (protocol 2) as torch.save writes them, read as data. Nothing in one is ever called, imported or made:
// what Python would call stays a description of the call. Source: pickletools.py of CPython describes the opcodes.

namespace gradus::io::detail {

using gradus::detail::raise, gradus::detail::text_of, gradus::detail::TextPart;

struct PickleValue {
    enum class Kind : std::uint8_t {
        none,
        boolean,
        integer,
        huge,  // an integer of more than 64 bits
        real,
        text,
        tuple,
        list,
        dict,        // items: key, value, key, value ...
        global,      // text: "module\nname"
        call,        // items: what is called, its arguments as a tuple
        persistent,  // items: the id of something that lies outside
        mark,        // on the stack only
    };
    using enum Kind;

    Kind kind = none;
    std::int64_t integer_value = 0;  // of a boolean, too
    double real_value = 0;
    std::string_view words;            // in the bytes of the pickle
    std::vector<std::uint32_t> items;  // numbers of other values
};

/// The values of one pickle, which refer to each other by their numbers: a value may be part of several others,
/// or of itself. The bytes must live as long as this. Throws IoError with the text "where: rule".
class Pickle {
public:
    static constexpr std::size_t max_bytes = std::size_t{64} << 20, max_values = 1000000;

    [[gnu::cold]] Pickle(std::string_view bytes, std::string where)
        : bytes_(bytes), where_(std::move(where)) {
        if (bytes.size() > max_bytes) fail({"is larger than 64 MiB, of which a state dict needs little"});
        while (step()) {
        }
    }

    const PickleValue& root() const { return values_[root_]; }
    const PickleValue& operator[](std::uint32_t number) const { return values_[number]; }

    /// A global as Python writes it: module.name.
    [[gnu::cold]] static std::string dotted(std::string_view global) {
        std::string name(global);
        const std::size_t line = name.find('\n');
        if (line != std::string::npos) name[line] = '.';
        return name;
    }

private:
    using enum PickleValue::Kind;
    using Kind = PickleValue::Kind;

    [[noreturn, gnu::cold]] void fail(std::initializer_list<TextPart> problem) const {
        raise<IoError>({where_, ": ", text_of(problem)});
    }

    /// What may be named in a state dict. Reading a name does nothing; others are refused early, so that the error
    /// says what is wrong with the file.
    [[gnu::cold]] static bool is_data(std::string_view global) {
        for (const std::string_view known :
             {"collections\nOrderedDict", "collections\nCounter", "_codecs\nencode", "__builtin__\nset",
              "builtins\nset", "__builtin__\nbytearray", "builtins\nbytearray", "__builtin__\ncomplex",
              "builtins\ncomplex", "torch.nn.parameter\nParameter", "torch.serialization\n_get_layout",
              "torch.storage\nTypedStorage", "torch.storage\nUntypedStorage",
              "torch._tensor\n_rebuild_from_type_v2"})
            if (global == known) return true;
        constexpr std::string_view rebuild = "torch._utils\n_rebuild_", torch = "torch\n";
        if (global.starts_with(rebuild)) return true;
        if (!global.starts_with(torch)) return false;
        // Storage classes, torch.Size, torch.device and number types, none of which anybody calls here.
        const std::string_view name = global.substr(torch.size());
        if (name.ends_with("Storage") || name == "Size" || name == "device" || name == "Tensor") return true;
        for (const std::string_view type : {"float", "bfloat", "double", "half", "int", "uint", "long",
                                            "short", "bool", "complex", "quint", "qint", "per_"})
            if (name.starts_with(type)) return true;
        return false;
    }

    [[gnu::cold]] std::string_view take(std::size_t count) {
        if (bytes_.size() - at_ < count) fail({"is cut short at byte ", bytes_.size()});
        at_ += count;
        return bytes_.substr(at_ - count, count);
    }
    [[gnu::cold]] std::uint64_t number(std::size_t bytes) {
        std::uint64_t result = 0;
        int shift = 0;
        for (const char byte : take(bytes)) {
            result |= std::uint64_t{static_cast<unsigned char>(byte)} << shift;
            shift += 8;
        }
        return result;
    }
    [[gnu::cold]] std::string_view line() {
        const std::size_t end = bytes_.find('\n', at_);
        if (end == std::string_view::npos) fail({"is cut short at byte ", bytes_.size()});
        const std::string_view words = take(end - at_);
        ++at_;
        return words;
    }

    [[gnu::cold]] PickleValue& push(Kind kind) {
        if (values_.size() == max_values)
            fail({"has more than 1000000 values, of which a state dict needs few"});
        push_number(static_cast<std::uint32_t>(values_.size()));
        PickleValue& value = values_.emplace_back();
        value.kind = kind;
        return value;
    }
    [[gnu::cold]] void push_number(std::uint32_t value) {
        if (stack_.size() == max_values)
            fail({"has more than 1000000 values at once, of which a state dict needs few"});
        stack_.push_back(value);
    }
    [[gnu::cold]] void push_integer(std::int64_t number) { push(integer).integer_value = number; }
    [[gnu::cold]] void push_text(std::string_view words) { push(text).words = words; }

    /// The top of the stack, which a mark does not belong to.
    [[gnu::cold]] std::uint32_t top() const {
        if (stack_.empty() || values_[stack_.back()].kind == mark)
            fail({"takes a value where there is none, at byte ", at_});
        return stack_.back();
    }
    [[gnu::cold]] std::uint32_t pop() {
        const std::uint32_t value = top();
        stack_.pop_back();
        return value;
    }
    [[gnu::cold]] std::vector<std::uint32_t> pop_to_mark() {
        std::size_t first = stack_.size();
        while (first > 0 && values_[stack_[first - 1]].kind != mark) --first;
        if (first == 0) fail({"ends a list that has no beginning, at byte ", at_});
        std::vector<std::uint32_t> items(stack_.begin() + static_cast<std::ptrdiff_t>(first), stack_.end());
        stack_.resize(first - 1);
        return items;
    }

    [[gnu::cold]] void add_to(Kind kind, const std::vector<std::uint32_t>& items) {
        PickleValue& target = values_[top()];
        if (target.kind != kind)
            fail({"adds to what is no ", kind == dict ? "dictionary" : "list", ", at byte ", at_});
        if (kind == dict && items.size() % 2 != 0) fail({"has a key without a value, at byte ", at_});
        total_items_ += items.size();
        if (total_items_ > 4 * max_values)
            fail({"has more than 1000000 values, of which a state dict needs few"});
        target.items.insert(target.items.end(), items.begin(), items.end());
    }
    [[gnu::cold]] void push_tuple(std::size_t count) {
        std::vector<std::uint32_t> items(count);
        for (std::size_t i = count; i-- > 0;) items[i] = pop();
        push(tuple).items = std::move(items);
    }

    [[gnu::cold]] void remember(std::uint64_t key) { memo_[key] = top(); }
    [[gnu::cold]] void recall(std::uint64_t key) {
        const auto known = memo_.find(key);
        if (known == memo_.end()) fail({"refers to value ", key, ", which there is not, at byte ", at_});
        push_number(known->second);
    }

    [[gnu::cold]] void push_global() {
        const std::size_t first = at_;
        line();
        line();
        const std::string_view name = bytes_.substr(first, at_ - 1 - first);
        if (!is_data(name))
            fail({"holds ", dotted(name),
                  ", which is no part of a state dict and may run code; save model.state_dict(), not the "
                  "model"});
        push(global).words = name;
    }

    /// A call, but for that of an ordered dictionary, which is one.
    [[gnu::cold]] void push_call() {
        const std::uint32_t arguments = pop(), called = pop();
        const PickleValue& what = values_[called];
        if (what.kind != global) fail({"calls what is no name, at byte ", at_});
        if (values_[arguments].kind != tuple)
            fail({"calls ", dotted(what.words), " without arguments, at byte ", at_});
        const bool is_dict = what.words == "collections\nOrderedDict" || what.words == "collections\nCounter";
        if (is_dict && values_[arguments].items.empty())
            push(dict);
        else
            push(call).items = {called, arguments};
    }

    [[gnu::cold]] void push_long(std::size_t count) {
        const std::string_view bytes = take(count);
        if (count > 8) {
            push(huge);
            return;
        }
        std::uint64_t bits = 0;
        for (std::size_t i = 0; i < count; ++i)
            bits |= std::uint64_t{static_cast<unsigned char>(bytes[i])} << 8 * i;
        const bool negative = count > 0 && (bytes[count - 1] & 0x80);
        if (negative && count < 8) bits |= ~std::uint64_t{0} << 8 * count;
        push_integer(static_cast<std::int64_t>(bits));
    }

    [[gnu::cold]] void push_real() {
        std::uint64_t bits = 0;
        for (const char byte : take(8)) bits = bits << 8 | static_cast<unsigned char>(byte);  // big-endian
        push(real).real_value = gradus::detail::bit_cast<double>(bits);
    }

    /// Does what one opcode says. False at the end.
    [[gnu::cold]] bool step() {
        const std::size_t place = at_;
        const char opcode = take(1)[0];
        switch (opcode) {
            case '\x80':  // PROTO
                if (const std::uint64_t protocol = number(1); protocol > 2)
                    fail({"is of pickle protocol ", protocol,
                          "; only 2, which torch.save writes by itself, is read: leave pickle_protocol out"});
                return true;
            case 'c':
                push_global();
                return true;
            case 'q':
                remember(number(1));
                return true;
            case 'r':
                remember(number(4));
                return true;
            case 'h':
                recall(number(1));
                return true;
            case 'j':
                recall(number(4));
                return true;
            case '(':
                push(mark);
                return true;
            case ')':
                push(tuple);
                return true;
            case 't': {
                std::vector<std::uint32_t> items = pop_to_mark();
                push(tuple).items = std::move(items);
                return true;
            }
            case '\x85':
                push_tuple(1);
                return true;
            case '\x86':
                push_tuple(2);
                return true;
            case '\x87':
                push_tuple(3);
                return true;
            case ']':
                push(list);
                return true;
            case '}':
                push(dict);
                return true;
            case 'a': {
                const std::uint32_t item = pop();
                add_to(list, {item});
                return true;
            }
            case 'e':
                add_to(list, pop_to_mark());
                return true;
            case 's': {
                const std::uint32_t value = pop(), key = pop();
                add_to(dict, {key, value});
                return true;
            }
            case 'u':
                add_to(dict, pop_to_mark());
                return true;
            case 'X':
                push_text(take(static_cast<std::size_t>(number(4))));
                return true;
            case 'U':
                push_text(take(static_cast<std::size_t>(number(1))));
                return true;
            case 'J':
                push_integer(static_cast<std::int32_t>(number(4)));
                return true;
            case 'K':
                push_integer(static_cast<std::int64_t>(number(1)));
                return true;
            case 'M':
                push_integer(static_cast<std::int64_t>(number(2)));
                return true;
            case '\x8a':
                push_long(static_cast<std::size_t>(number(1)));
                return true;
            case 'G':
                push_real();
                return true;
            case 'N':
                push(none);
                return true;
            case '\x88':
                push(boolean).integer_value = 1;
                return true;
            case '\x89':
                push(boolean);
                return true;
            case 'R':
            case '\x81':
                push_call();
                return true;
            case 'Q': {
                const std::uint32_t id = pop();
                push(persistent).items = {id};
                return true;
            }
            case 'b':  // attributes of a dictionary, such as _metadata of a state dict
                pop();
                if (values_[top()].kind != dict)
                    fail({"sets attributes of what is no dictionary, at byte ", at_});
                return true;
            case '.':
                root_ = top();
                return false;
            default:
                break;
        }
        constexpr const char* digits = "0123456789abcdef";
        const auto code = static_cast<unsigned char>(opcode);
        const char hex[] = {digits[code >> 4], digits[code & 15], '\0'};
        fail(
            {"has opcode ", hex, " at byte ", place, ", which no state dict needs; save model.state_dict()"});
    }

    std::string_view bytes_;
    std::string where_;
    std::size_t at_ = 0, total_items_ = 0;
    std::vector<PickleValue> values_;
    std::vector<std::uint32_t> stack_;
    std::unordered_map<std::uint64_t, std::uint32_t> memo_;
    std::uint32_t root_ = 0;
};

}  // namespace gradus::io::detail
