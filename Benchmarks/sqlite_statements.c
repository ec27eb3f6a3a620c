// Writes the statements of a process that is started with this library in LD_PRELOAD to the file that SQLITE_STATEMENTS
// names: each with its values in it, and an end of 0x1E.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int sqlite3_step(sqlite3_stmt *statement) {
    static int (*step)(sqlite3_stmt *);
    if (!step) step = (int (*)(sqlite3_stmt *))dlsym(RTLD_NEXT, "sqlite3_step");
    const char *path = getenv("SQLITE_STATEMENTS");
    if (path && !sqlite3_stmt_busy(statement)) {
        char *text = sqlite3_expanded_sql(statement);
        int file = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);
        if (text && file >= 0) {
            size_t length = strlen(text);
            char *line = malloc(length + 1);
            if (line) {
                memcpy(line, text, length);
                line[length] = 0x1E;
                // One call, so that threads do not mix their statements.
                if (write(file, line, length + 1) < 0) abort();
                free(line);
            }
        }
        if (file >= 0) close(file);
        sqlite3_free(text);
    }
    return step(statement);
}
