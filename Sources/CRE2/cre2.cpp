#include "cre2.h"

#include <re2/re2.h>

#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <vector>

struct cre2_pattern {
    re2::RE2 compiled;
    // A reference to what lives in `compiled`; taken here, because RE2 makes the map when it is first asked for.
    const std::map<int, std::string> &names;

    cre2_pattern(const re2::StringPiece &text, const re2::RE2::Options &options)
        : compiled(text, options), names(compiled.CapturingGroupNames()) {}
};

namespace {

void say(const char *text, size_t length, char *message, size_t capacity) {
    if (capacity == 0) return;
    size_t kept = length < capacity - 1 ? length : capacity - 1;
    std::memcpy(message, text, kept);
    message[kept] = 0;
}

cre2_status status_of(re2::RE2::ErrorCode code) {
    switch (code) {
    case re2::RE2::NoError: return CRE2_OK;
    case re2::RE2::ErrorPatternTooLarge:
    case re2::RE2::ErrorRepeatSize: return CRE2_TOO_LARGE;
    default: return CRE2_SYNTAX;
    }
}

}  // namespace

extern "C" cre2_pattern *cre2_compile(
    const char *pattern, size_t length, cre2_options options,
    cre2_status *status, char *message, size_t message_capacity) {
    say("", 0, message, message_capacity);
    try {
        re2::RE2::Options settings;
        settings.set_encoding(re2::RE2::Options::EncodingUTF8);
        settings.set_log_errors(false);
        settings.set_longest_match(false);
        settings.set_case_sensitive(!options.ignores_case);
        settings.set_dot_nl(options.dot_matches_all);
        settings.set_max_mem(options.memory_limit);

        // RE2 has no option for lines outside of its POSIX mode, only the flag in the text.
        std::string text(options.is_multi_line ? "(?m)" : "");
        text.append(pattern, length);

        auto made = std::make_unique<cre2_pattern>(text, settings);
        *status = status_of(made->compiled.error_code());
        if (*status == CRE2_OK) return made.release();
        const std::string &error = made->compiled.error();
        say(error.data(), error.size(), message, message_capacity);
    } catch (...) {
        *status = CRE2_OUT_OF_MEMORY;
    }
    return nullptr;
}

extern "C" void cre2_free(cre2_pattern *pattern) { delete pattern; }

extern "C" int cre2_group_count(const cre2_pattern *pattern) { return pattern->compiled.NumberOfCapturingGroups(); }

extern "C" const char *cre2_group_name(const cre2_pattern *pattern, int index) {
    auto found = pattern->names.find(index);
    return found == pattern->names.end() ? nullptr : found->second.c_str();
}

extern "C" int cre2_program_size(const cre2_pattern *pattern) { return pattern->compiled.ProgramSize(); }

extern "C" int cre2_match(
    const cre2_pattern *pattern, const char *text, size_t length, size_t start,
    ptrdiff_t *offsets, size_t group_capacity) {
    // RE2 tells a group without a match by its null pointer, so an empty text must have an address.
    if (text == nullptr) text = "";
    if (start > length) return 0;
    try {
        constexpr size_t few = 16;
        re2::StringPiece on_stack[few];
        std::vector<re2::StringPiece> on_heap;
        re2::StringPiece *groups = on_stack;
        if (group_capacity > few) {
            on_heap.resize(group_capacity);
            groups = on_heap.data();
        }
        bool matched = pattern->compiled.Match(
            re2::StringPiece(text, length), start, length, re2::RE2::UNANCHORED,
            groups, static_cast<int>(group_capacity));
        if (!matched) return 0;
        for (size_t index = 0; index < group_capacity; index++) {
            const re2::StringPiece &group = groups[index];
            bool is_there = group.data() != nullptr;
            offsets[2 * index] = is_there ? group.data() - text : -1;
            offsets[2 * index + 1] = is_there ? group.data() + group.size() - text : -1;
        }
        return 1;
    } catch (...) {
        return -1;
    }
}
