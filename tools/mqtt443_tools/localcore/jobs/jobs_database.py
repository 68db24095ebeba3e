"""The tables of jobs, streams, Things and shadows, in one SQLite file of the state folder.

Triggers count a job's executions by status, and the shadows, so that no query has to.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

from mqtt443_authorizer.database import open_database

JOBS_FILE = "jobs.sqlite"
"""Not in the database of devices, because the authorizer owns its schema."""

_TABLES = """
CREATE TABLE things (name TEXT PRIMARY KEY, id TEXT NOT NULL, attributes TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE thing_groups (name TEXT PRIMARY KEY, id TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE group_things (
    group_name TEXT NOT NULL, thing TEXT NOT NULL, PRIMARY KEY (group_name, thing)) WITHOUT ROWID;
CREATE TABLE jobs (
    number INTEGER PRIMARY KEY AUTOINCREMENT, job_id TEXT NOT NULL UNIQUE, document TEXT NOT NULL,
    request TEXT NOT NULL, status TEXT NOT NULL, created_at REAL NOT NULL, updated_at REAL NOT NULL,
    completed_at REAL, reason_code TEXT, comment TEXT, forced INTEGER NOT NULL DEFAULT 0, release_at REAL);
CREATE INDEX jobs_by_release ON jobs (release_at) WHERE release_at IS NOT NULL;
CREATE TABLE waiting (
    job INTEGER NOT NULL, position INTEGER NOT NULL, thing TEXT NOT NULL, PRIMARY KEY (job, position)) WITHOUT ROWID;
CREATE TABLE executions (
    number INTEGER PRIMARY KEY AUTOINCREMENT, job INTEGER NOT NULL, thing TEXT NOT NULL, status TEXT NOT NULL,
    details TEXT NOT NULL, queued_at REAL NOT NULL, started_at REAL, updated_at REAL NOT NULL, version INTEGER NOT NULL,
    timeout_at REAL, step_at REAL, forced INTEGER NOT NULL DEFAULT 0, UNIQUE (thing, job));
CREATE INDEX executions_of_thing ON executions (thing, status, number);
CREATE INDEX executions_of_job ON executions (job, status, number);
CREATE INDEX executions_by_timeout ON executions (timeout_at) WHERE timeout_at IS NOT NULL;
CREATE INDEX executions_by_step ON executions (step_at) WHERE step_at IS NOT NULL;
CREATE TABLE counts (
    job INTEGER NOT NULL, status TEXT NOT NULL, things INTEGER NOT NULL, PRIMARY KEY (job, status)) WITHOUT ROWID;
CREATE TRIGGER executions_added AFTER INSERT ON executions BEGIN
    INSERT INTO counts VALUES (new.job, new.status, 1) ON CONFLICT DO UPDATE SET things = things + 1;
END;
CREATE TRIGGER executions_moved AFTER UPDATE OF status ON executions WHEN old.status <> new.status BEGIN
    UPDATE counts SET things = things - 1 WHERE job = old.job AND status = old.status;
    INSERT INTO counts VALUES (new.job, new.status, 1) ON CONFLICT DO UPDATE SET things = things + 1;
END;
CREATE TABLE objects (
    bucket TEXT NOT NULL, name TEXT NOT NULL, content BLOB NOT NULL, PRIMARY KEY (bucket, name));
CREATE TABLE streams (
    stream_id TEXT PRIMARY KEY, version INTEGER NOT NULL, description TEXT, role_arn TEXT NOT NULL,
    created_at REAL NOT NULL, updated_at REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE stream_files (
    stream_id TEXT NOT NULL, file_id INTEGER NOT NULL, bucket TEXT NOT NULL, name TEXT NOT NULL,
    PRIMARY KEY (stream_id, file_id)) WITHOUT ROWID;
"""

_SHADOW_TABLES = """
CREATE TABLE shadows (
    thing TEXT NOT NULL, name TEXT NOT NULL, version INTEGER NOT NULL, state TEXT, metadata TEXT,
    deleted_at REAL, PRIMARY KEY (thing, name)) WITHOUT ROWID;
CREATE INDEX shadows_by_deletion ON shadows (deleted_at) WHERE deleted_at IS NOT NULL;
CREATE TABLE shadow_count (rows INTEGER NOT NULL);
INSERT INTO shadow_count VALUES (0);
CREATE TRIGGER shadows_added AFTER INSERT ON shadows BEGIN UPDATE shadow_count SET rows = rows + 1; END;
CREATE TRIGGER shadows_removed AFTER DELETE ON shadows BEGIN UPDATE shadow_count SET rows = rows - 1; END;
"""


def _run(connection: sqlite3.Connection, statements: str) -> None:
    statement = ""
    for line in statements.splitlines():  # executescript() would commit the migration's transaction
        statement += line + "\n"
        if sqlite3.complete_statement(statement):
            connection.execute(statement)
            statement = ""


def _create(connection: sqlite3.Connection) -> None:
    _run(connection, _TABLES)


def _add_shadows(connection: sqlite3.Connection) -> None:
    _run(connection, _SHADOW_TABLES)


_MIGRATIONS = (_create, _add_shadows)


def open_jobs_database(path: Path) -> sqlite3.Connection:
    """Open the file, and create it if it is missing. Raises the errors of `open_database`."""
    connection = open_database(path, _MIGRATIONS)
    connection.row_factory = sqlite3.Row
    connection.execute("PRAGMA secure_delete=ON")  # a deleted job document may have held a password
    return connection
