// RE2 (regular expressions in linear time) for Swift: a pattern is compiled once, and matched on UTF-8 bytes.
//
// No C++ exception crosses this line. Patterns are in RE2's syntax; what JavaScript's patterns mean is none of its
// business.

#ifndef CRE2_H
#define CRE2_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/// A compiled pattern. It never changes: any number of threads may match with it at once.
typedef struct cre2_pattern cre2_pattern;

typedef struct {
    /// Upper and lower case are one, by Unicode's simple case folding.
    bool ignores_case;
    /// ^ and $ match at line feeds too; without it, at the ends of the text only.
    bool is_multi_line;
    /// . matches a line feed too.
    bool dot_matches_all;
    /// What the program and its caches may take, in bytes.
    int64_t memory_limit;
} cre2_options;

typedef enum {
    CRE2_OK = 0,
    /// The program would not fit into the memory limit, or a repeat is above 1000 (in itself or with those around it).
    CRE2_TOO_LARGE = 1,
    CRE2_SYNTAX = 2,
    CRE2_OUT_OF_MEMORY = 3,
} cre2_status;

/// A pattern, to be freed with cre2_free; or NULL, with the reason in `status` and words, cut to fit and ended by a
/// zero byte, in `message`.
cre2_pattern *_Nullable cre2_compile(
    const char *_Nonnull pattern, size_t length, cre2_options options,
    cre2_status *_Nonnull status, char *_Nonnull message, size_t message_capacity);

void cre2_free(cre2_pattern *_Nullable pattern);

/// The number of capturing groups; the whole match is not one.
int cre2_group_count(const cre2_pattern *_Nonnull pattern);

/// The name of group `index` (from 1), valid as long as the pattern; NULL for a group without one.
const char *_Nullable cre2_group_name(const cre2_pattern *_Nonnull pattern, int index);

/// The number of instructions. The work of a match is at worst this times the length of the text.
int cre2_program_size(const cre2_pattern *_Nonnull pattern);

/// Looks for the first match that begins at byte `start` or later; what stands before `start` counts for ^ and \b.
///
/// 1 where there is one, 0 where there is none, -1 where memory ran out. `offsets` takes two byte offsets, start and
/// end, for each of the first `group_capacity` groups (0 is the whole match); both are -1 for a group without a match.
/// A capacity of 0 only asks, which is fastest.
int cre2_match(
    const cre2_pattern *_Nonnull pattern, const char *_Nullable text, size_t length, size_t start,
    ptrdiff_t *_Nullable offsets, size_t group_capacity);

#ifdef __cplusplus
}
#endif

#endif
