// Runs the same statements again and again on one connection, as fast as SQLite can: the floor of a request.
//
//   sqlite_loop DATABASE STATEMENTS KEYS SECONDS
//
// STATEMENTS has an end of 0x1E behind each. ?1 is one of the lines of KEYS, drawn at random, ?2 a text that differs each
// time, ?3 and further ones are new identifiers. Prints how often all of them ran, the seconds, and those of the processor.
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MAXIMUM = 4096 };

static char *read_all(const char *path, size_t *length) {
    FILE *file = fopen(path, "rb");
    if (!file) exit((perror(path), 1));
    fseek(file, 0, SEEK_END);
    *length = (size_t)ftell(file);
    rewind(file);
    char *text = malloc(*length + 1);
    if (!text || fread(text, 1, *length, file) != *length) exit((perror(path), 1));
    text[*length] = 0;
    fclose(file);
    return text;
}

static size_t split(char *text, size_t length, char end, char **parts, size_t maximum) {
    size_t count = 0;
    for (char *part = text; part < text + length;) {
        char *next = memchr(part, end, (size_t)(text + length - part));
        if (!next) next = text + length;
        *next = 0;
        if (*part && count < maximum) parts[count++] = part;
        part = next + 1;
    }
    return count;
}

static double seconds(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void require(int code, sqlite3 *database) {
    if (code == SQLITE_OK) return;
    fprintf(stderr, "sqlite_loop: %s\n", sqlite3_errmsg(database));
    exit(1);
}

int main(int count, char **arguments) {
    if (count != 5) return fprintf(stderr, "sqlite_loop DATABASE STATEMENTS KEYS SECONDS\n"), 2;
    sqlite3 *database;
    require(sqlite3_open(arguments[1], &database), database);
    // As Rocket's connections have it, with synchronous = normal.
    const char *settings = "PRAGMA foreign_keys = ON; PRAGMA synchronous = NORMAL; PRAGMA cache_size = -16384;"
                           "PRAGMA case_sensitive_like = ON";
    require(sqlite3_exec(database, settings, 0, 0, 0), database);

    static char *texts[MAXIMUM];
    static sqlite3_stmt *statements[MAXIMUM];
    size_t length, key_length;
    char *text = read_all(arguments[2], &length), *key_text = read_all(arguments[3], &key_length);
    size_t statement_count = split(text, length, 0x1E, texts, MAXIMUM);
    char **keys = malloc(sizeof(char *) * (key_length + 1));
    size_t key_count = split(key_text, key_length, '\n', keys, key_length);
    if (!statement_count || !key_count) return fprintf(stderr, "sqlite_loop: nothing to run\n"), 1;
    for (size_t i = 0; i < statement_count; i++)
        require(sqlite3_prepare_v3(database, texts[i], -1, SQLITE_PREPARE_PERSISTENT, &statements[i], 0), database);

    double limit = atof(arguments[4]), begin = seconds(CLOCK_MONOTONIC), end = begin;
    double processor = seconds(CLOCK_PROCESS_CPUTIME_ID);
    unsigned seed = (unsigned)time(0);
    long runs = 0, bytes = 0;
    char changing[64], identifier[64];
    for (; end - begin < limit; runs++) {
        const char *key = keys[(size_t)rand_r(&seed) % key_count];
        snprintf(changing, sizeof changing, "run %u %ld", seed, runs);
        for (size_t i = 0; i < statement_count; i++) {
            sqlite3_stmt *statement = statements[i];
            int binds = sqlite3_bind_parameter_count(statement);
            for (int bind = 1; bind <= binds; bind++) {
                const char *value = bind == 1 ? key : bind == 2 ? changing : identifier;
                if (bind > 2)
                    snprintf(identifier, sizeof identifier, "%08lx-0000-7000-8%03x-%012x", runs, bind, seed);
                require(sqlite3_bind_text(statement, bind, value, -1, SQLITE_TRANSIENT), database);
            }
            int code;
            while ((code = sqlite3_step(statement)) == SQLITE_ROW)
                for (int column = 0; column < sqlite3_column_count(statement); column++) {
                    sqlite3_column_text(statement, column);
                    bytes += sqlite3_column_bytes(statement, column);
                }
            require(code == SQLITE_DONE ? SQLITE_OK : code, database);
            sqlite3_reset(statement);
        }
        end = seconds(CLOCK_MONOTONIC);
    }
    processor = seconds(CLOCK_PROCESS_CPUTIME_ID) - processor;
    printf("%ld %f %f %ld\n", runs, end - begin, processor, bytes);
    return 0;
}
