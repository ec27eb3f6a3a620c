"""What is stored, before a refused request and after it: read past the server that may be wrong about it."""
import collections
import hashlib
import re
import sqlite3
import subprocess

from app import APP


class Rows:
    """The rows of the app and of the platform, read past the server: `stamp` is cheap and says that something was
    written somewhere; `digest` says what is there."""

    # What works in the background writes there, or a refused request honestly does.
    PASSED_OVER = {
        "_events", "_workflow_instances", "_workflow_history", "_workflow_assignees", "_workflow_versions",
        "_workflow_schedules", "_meta", "_file_uploads",
        "sqlite_sequence",
    }
    COUNTED = {"_history", "_webhook_logs"}  # these grow, and what is in them is changed by deliveries alone
    PASSED_OVER_COLUMNS = {"work_due_at", "work_noted_at", "lease_until"}


class SQLiteRows(Rows):
    def __init__(self, directory):
        self.paths = [directory / "data/apps" / f"{APP}.db", directory / "data/management.db"]
        self.databases = [
            sqlite3.connect(f"file:{path}?mode=ro", uri=True, isolation_level=None) for path in self.paths
        ]
        for database in self.databases:
            database.text_factory = bytes
        self.known = {path: (None, {}) for path in self.paths}  # the version of a file, and what was there then

    def stamp(self):
        return [self.version(database) for database in self.databases]

    @staticmethod
    def version(database):
        return database.execute("PRAGMA data_version").fetchone()[0]

    def digest(self):
        found = {}
        for path, database in zip(self.paths, self.databases):
            version = self.version(database)
            if version != self.known[path][0]:
                self.known[path] = (version, self.tables(path, database))
            found |= self.known[path][1]
        return found

    def tables(self, path, database):
        names = [name.decode() for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {f"{path.stem} {name}": self.table(database, name) for name in names if name not in self.PASSED_OVER}

    def table(self, database, table):
        if table in self.COUNTED:
            return database.execute(f'SELECT count(*) FROM "{table}"').fetchone()[0]
        cursor = database.execute(f'SELECT * FROM "{table}"')
        shown = [place for place, column in enumerate(cursor.description) if column[0] not in self.PASSED_OVER_COLUMNS]
        rows = sorted(repr([row[place] for place in shown]) for row in cursor)
        return len(rows), hashlib.sha1("\n".join(rows).encode()).hexdigest()[:12]


class PostgresRows(Rows):
    """Asks through psql, which stays open."""

    def __init__(self, url):
        self.consoles = [self.console(re.sub(r"/[^/]*$", f"/{name}", url)) for name in (f"rocket_{APP}", "rocket")]

    @staticmethod
    def console(url):
        return subprocess.Popen(
            ["psql", url, "-XAtq"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            bufsize=1
        )

    @staticmethod
    def lines(console, statement):
        console.stdin.write(f"{statement};\n\\echo -- end\n")
        console.stdin.flush()
        return list(iter(lambda: console.stdout.readline().rstrip("\n"), "-- end"))

    def stamp(self):
        return self.lines(self.consoles[0], "SELECT pg_snapshot_xmax(pg_current_snapshot())")

    def digest(self):
        return {
            f"{number} {line.split('|')[0]}": line
            for number, console in enumerate(self.consoles) for line in self.all(console)
        }

    def all(self, console):
        columns = collections.defaultdict(list)
        for line in self.lines(
            console,
            "SELECT c.relname, a.attname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid "
            "WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace AND a.attnum > 0 AND NOT a.attisdropped "
            "ORDER BY 1, a.attnum"
        ):
            table, column = line.split("|")
            columns[table].append(column)
        statements = []
        for table, names in columns.items():
            if table in self.PASSED_OVER:
                continue
            shown = ", ".join(f'"{name}"' for name in names if name not in self.PASSED_OVER_COLUMNS)
            content = "0" if table in self.COUNTED else f"coalesce(sum(hashtextextended(ROW({shown})::text, 0)), 0)"
            statements.append(f"SELECT '{table}', count(*), {content} FROM \"{table}\"")
        return self.lines(console, " UNION ALL ".join(statements)) if statements else []

    def close(self):
        for console in self.consoles:
            console.stdin.close()
            console.wait(timeout=10)
