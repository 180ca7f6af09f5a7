// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "gradus/core/random.hpp"
#include "gradus/core/tensor.hpp"
#include "gradus/core/write_file.hpp"
#include "gradus/data/loader.hpp"
#include "gradus/data/mapped_file.hpp"

namespace gradus::data {

enum class TokenType { u16, u32 };  // little-endian numbers of two or four bytes

struct TokenFileOptions {
    TokenType type = TokenType::u16;  // of a file that does not say it
    Index header_bytes = 0;           // to pass over; a header as in llm.c is known and need not be named
    Index vocabulary = 0;             // tokens are 0 to vocabulary - 1; 0: not checked
};

/// A text of token numbers in a file, of which only what is used is read. Copying costs nothing.
///
/// The file is nothing but the numbers (as nanoGPT writes them), behind a header of a size that is given, or behind one
/// of 256 32-bit numbers that starts with 20240520, 1 and how many tokens follow, each of two bytes (20240801, 7: of
/// four bytes).
///
/// Throws IoError if it cannot be read, is empty, holds half a token or another number of them than its header says.
///
/// Source: Karpathy, llm.c, dev/data/data_common.py.
class TokenFile {
public:
    [[gnu::cold]] explicit TokenFile(const std::string& path, const TokenFileOptions& options = {})
        : file_(std::make_shared<detail::MappedFile>("token file", path)), path_(path), options_(options) {
        std::uint64_t header = static_cast<std::uint64_t>(options.header_bytes), promised = 0;
        if (options.header_bytes < 0 || options.vocabulary < 0)
            gradus::detail::raise<ValueError>("token file", "header_bytes and vocabulary are at least 0",
                                              std::min(options.header_bytes, options.vocabulary));
        const bool known =
            header == 0 && file_->size() >= 4 && (number(0) == 20240520 || number(0) == 20240801);
        if (known) {
            header = 1024;
            if (file_->size() < header) fail({"truncated header: needs 1024 bytes: got ", file_->size()});
            options_.type = number(0) == 20240520 ? TokenType::u16 : TokenType::u32;
            const std::uint32_t version = options_.type == TokenType::u16 ? 1 : 7;
            if (number(4) != version) fail({"is of version ", number(4), "; version ", version, " is read"});
            promised = number(8);
        }
        if (file_->size() <= header) fail({"has no tokens: got ", file_->size(), " bytes"});
        const std::uint64_t bytes = file_->size() - header;
        if (bytes % width() != 0)
            fail({"holds no whole number of tokens, each of ", width(), " bytes: got ", bytes, " bytes"});
        size_ = static_cast<Index>(bytes / width());
        if (known && promised != bytes / width())
            fail({"its header says ", promised, " tokens: got ", size_, "; was it copied whole?"});
        tokens_ = file_->bytes() + header;
    }

    Index size() const { return size_; }  // tokens
    const std::string& path() const { return path_; }

    /// Writes tokens [first, first + count). Throws ValueError if they are not all there, IoError if one is not in the
    /// vocabulary.
    void copy(Index first, Index count, Index* to) const {
        if (first < 0 || count < 0 || count > size_ || first > size_ - count)
            gradus::detail::raise<ValueError>(
                {"token file: the tokens are 0 to ", size_ - 1, ": got ", first, " to ", first + count - 1});
        const unsigned char* from = tokens_ + static_cast<std::size_t>(first) * width();
        for (Index i = 0; i < count; ++i, from += width()) {
            to[i] = from[0] | from[1] << 8;
            if (options_.type == TokenType::u32) to[i] |= Index{from[2]} << 16 | Index{from[3]} << 24;
            if (options_.vocabulary > 0 && to[i] >= options_.vocabulary)
                fail({"tokens are 0 to ", options_.vocabulary - 1, ": got ", to[i], " at index ", first + i,
                      "; is it a file of the other TokenType, or with a header?"});
        }
    }

    /// The same as a tensor [count].
    Tensor<Index> tokens(Index first, Index count) const {
        Tensor<Index> result = Tensor<Index>::uninitialized({std::clamp<Index>(count, 0, size_)});
        copy(first, count, result.mutable_data());
        return result;
    }

private:
    std::size_t width() const { return options_.type == TokenType::u16 ? 2 : 4; }

    std::uint32_t number(std::size_t at) const {  // of the header
        const unsigned char* b = file_->bytes() + at;
        return std::uint32_t{b[0]} | std::uint32_t{b[1]} << 8 | std::uint32_t{b[2]} << 16 |
               std::uint32_t{b[3]} << 24;
    }

    [[noreturn, gnu::cold]] void fail(std::initializer_list<gradus::detail::TextPart> problem) const {
        gradus::detail::raise<IoError>({"token file: ", path_, ": ", gradus::detail::text_of(problem)});
    }

    std::shared_ptr<const detail::MappedFile> file_;
    std::string path_;
    TokenFileOptions options_;
    const unsigned char* tokens_ = nullptr;
    Index size_ = 0;
};

/// Writes tokens [count] as a file of nothing but them. Throws ValueError, naming the position, if one does not fit the
/// type, IoError as write_file() does.
[[gnu::cold]] inline void write_tokens(const std::string& path, const Tensor<Index>& tokens,
                                       TokenType type = TokenType::u16) {
    std::string bytes;
    const int bits = type == TokenType::u16 ? 16 : 32;
    bytes.reserve(static_cast<std::size_t>(tokens.numel()) * static_cast<std::size_t>(bits / 8));
    for (Index i = 0; i < tokens.numel(); ++i) {
        const Index token = tokens.data()[i];
        if (token < 0 || token >> bits != 0)
            gradus::detail::raise<ValueError>({"write_tokens: tokens of this type are 0 to ",
                                               (Index{1} << bits) - 1, ": got ", token, " at index ", i});
        for (int shift = 0; shift < bits; shift += 8) bytes += static_cast<char>(token >> shift & 255);
    }
    write_file(path, bytes, {.operation = "write_tokens"});
}

struct TokenLoaderOptions {
    Index length = 256;      // tokens of a window
    Index batch_size = 8;    // windows per step; the last batch may be smaller
    Index stride = 0;        // from one window's beginning to the next one's; 0: length, so that none overlap
    bool shuffle = false;    // in an order that depends on seed and epoch alone
    std::uint64_t seed = 0;  // of the shuffle
    bool drop_last = false;  // leave out a last batch that is smaller
};

/// Windows of a text in batches, to learn which token comes next: inputs [batch, length] and labels [batch, length],
/// which are the inputs one token later.
///
///     const data::TokenLoader loader(data::TokenFile("train.bin"), {.length = 128, .shuffle = true});
///     for (Index epoch = 0; epoch < 10; ++epoch)
///         for (auto& [inputs, labels] : loader.epoch(epoch)) ...
///
/// Window w starts at token w * stride; what is left at the end and is no whole window is not used. Batch i of an epoch
/// is a function of (seed, epoch, i) alone.
class TokenLoader {
public:
    /// The batches of one pass, a range. It shares the file, so it may outlive the loader.
    class Epoch {
    public:
        Index size() const { return batches_; }

        /// Batch number i. Throws ValueError if there is none.
        Batch<Index> operator[](Index i) const {
            if (i < 0 || i >= batches_)
                gradus::detail::raise<ValueError>(
                    {"token loader: the batches are 0 to ", batches_ - 1, ": got ", i});
            const Index first = i * options_.batch_size, length = options_.length;
            const Index count = std::min(options_.batch_size, windows_ - first);
            Batch<Index> batch{Tensor<Index>::uninitialized({count, length}),
                               Tensor<Index>::uninitialized({count, length})};
            Index *inputs = batch.inputs.mutable_data(), *labels = batch.labels.mutable_data();
            for (Index w = first; w < first + count; ++w, inputs += length, labels += length) {
                const Index start = (order_.numel() == 0 ? w : order_.data()[w]) * options_.stride;
                file_.copy(start, length, inputs);
                std::copy(inputs + 1, inputs + length, labels);
                file_.copy(start + length, 1, labels + length - 1);
            }
            return batch;
        }

        class Iterator {
        public:
            using value_type = Batch<Index>;
            using difference_type = std::ptrdiff_t;

            Iterator(const Epoch& epoch, Index at) : epoch_(&epoch), at_(at) { load(); }
            value_type& operator*() const { return current_; }
            value_type* operator->() const { return &current_; }
            Iterator& operator++() {
                ++at_;
                load();
                return *this;
            }
            void operator++(int) { ++*this; }
            bool operator==(const Iterator& other) const { return at_ == other.at_; }

        private:
            void load() {
                if (at_ < epoch_->size()) current_ = (*epoch_)[at_];
            }

            const Epoch* epoch_;
            Index at_;
            mutable value_type current_ = {};
        };
        Iterator begin() const { return {*this, 0}; }
        Iterator end() const { return {*this, batches_}; }

    private:
        friend class TokenLoader;
        Epoch(TokenFile file, const TokenLoaderOptions& options)
            : file_(std::move(file)), options_(options) {}

        TokenFile file_;
        TokenLoaderOptions options_;
        Tensor<Index> order_ = {};  // of the windows; without elements: as they are
        Index windows_ = 0, batches_ = 0;
    };

    /// Throws ValueError unless length and batch_size are at least 1, the stride is not negative and there is a batch.
    [[gnu::cold]] explicit TokenLoader(TokenFile file, const TokenLoaderOptions& options = {})
        : in_order_(std::move(file), options) {
        const auto check = [](const char* what, Index value, Index least) {
            if (value < least)
                gradus::detail::raise<ValueError>(
                    {"token loader: ", what, " must be at least ", least, ": got ", value});
        };
        check("length", options.length, 1);
        check("batch_size", options.batch_size, 1);
        check("stride", options.stride, 0);
        TokenLoaderOptions& own = in_order_.options_;
        if (own.stride == 0) own.stride = own.length;
        const Index size = in_order_.file_.size(),
                    windows = size > own.length ? (size - own.length - 1) / own.stride + 1 : 0;
        in_order_.windows_ = windows;
        in_order_.batches_ = windows / own.batch_size + (!own.drop_last && windows % own.batch_size != 0);
        if (windows == 0)
            gradus::detail::raise<ValueError>({"token loader: ", in_order_.file_.path(), " has ", size,
                                               " tokens, and a window needs one more than its length, ",
                                               own.length + 1});
        if (in_order_.batches_ == 0)
            gradus::detail::raise<ValueError>(
                {"token loader: there are no batches: drop_last leaves out all ", windows,
                 " windows, fewer than the batch of ", own.batch_size});
    }

    /// Pass number `number` over the text, counted from 0. Throws ValueError if it is negative.
    Epoch epoch(Index number) const {
        if (number < 0)
            gradus::detail::raise<ValueError>("token loader", "the epoch must be at least 0", number);
        Epoch result = in_order_;
        if (result.options_.shuffle)
            result.order_ = permutation(
                result.windows_, RandomStream{result.options_.seed,
                                              std::uint64_t{1} << 63 | static_cast<std::uint64_t>(number)});
        return result;
    }

    Index size() const { return in_order_.size(); }  // batches in an epoch

private:
    Epoch in_order_;
};

}  // namespace gradus::data
