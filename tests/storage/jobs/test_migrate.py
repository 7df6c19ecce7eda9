"""The database: made once however many processes start together, migrated when old, refused when newer."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import create_engine, inspect

from digits.config import Settings
from digits.errors import ConfigError, StorageError
from digits.service import Service, sessions, tokens
from digits.storage import migrations
from digits.storage.jobs import migrate as schema
from digits.storage.jobs.store import JobStore

OPEN = """
import sys
from pathlib import Path
from digits.storage.jobs.store import JobStore
store = JobStore.open("", Path(sys.argv[1]))
print(store.sequence())
store.close()
"""


def test_many_processes_may_open_a_new_database_at_once(tmp_path: Path) -> None:
    processes = [
        subprocess.Popen([sys.executable, "-c", OPEN, str(tmp_path / "d.sqlite")], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for _ in range(6)
    ]
    for process in processes:
        out, err = process.communicate(timeout=60)
        assert process.returncode == 0, err.decode()
        assert out.strip() == b"0"


def test_the_version_in_the_code_is_that_of_the_newest_script() -> None:
    assert migrations.newest() == schema.VERSION


def test_a_database_of_a_newer_version_is_refused_with_what_to_do(tmp_path: Path) -> None:
    file = tmp_path / "d.sqlite"
    JobStore.open("", file).close()
    with sqlite3.connect(file) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    with pytest.raises(StorageError, match="newer version.*9999.*digits jobs reindex"):
        JobStore.open("", file)


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    file = tmp_path / "d.sqlite"
    file.write_bytes(b"not a database at all, but long enough to look like one" * 100)
    with pytest.raises(StorageError, match="cannot be used.*reindex"):
        JobStore.open("", file)


def test_the_scripts_lead_to_the_tables_of_the_models(tmp_path: Path) -> None:
    made = create_engine(f"sqlite:///{tmp_path / 'made.sqlite'}")
    migrated = create_engine(f"sqlite:///{tmp_path / 'migrated.sqlite'}")
    schema.prepare(made, tmp_path / "made.sqlite")
    with migrated.begin() as connection:
        migrations.upgrade(connection)
    assert set(inspect(made).get_table_names()) == set(inspect(migrated).get_table_names())
    for engine in (made, migrated):
        engine.dispose()


OLD_TABLES = """
CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL);
INSERT INTO alembic_version VALUES ('0002');
CREATE TABLE counter (id INTEGER PRIMARY KEY, value INTEGER NOT NULL);
INSERT INTO counter VALUES (1, 7);
CREATE TABLE users (name VARCHAR(80) PRIMARY KEY, password TEXT NOT NULL, created FLOAT NOT NULL, admin BOOLEAN NOT NULL);
CREATE TABLE tokens (
    digest VARCHAR(64) PRIMARY KEY, label VARCHAR(80) NOT NULL, user VARCHAR(80) NOT NULL, created FLOAT NOT NULL
);
CREATE INDEX ix_tokens_user ON tokens (user);
INSERT INTO tokens VALUES ('9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08', 'old', 'ada', 1.0);
"""


def test_tokens_of_an_older_version_keep_all_rights_and_do_not_expire(tmp_path: Path) -> None:
    service = Service.open(Settings(jobs_dir=str(tmp_path)))
    service.close()
    file = service.jobs_dir.database_file
    for path in file.parent.glob("digits.sqlite*"):
        path.unlink()
    with sqlite3.connect(file) as connection:
        connection.executescript(OLD_TABLES)
    connection.close()
    service = Service.open(Settings(jobs_dir=str(tmp_path)))
    found = tokens.bearer(service, "test")
    assert found is not None
    assert (found.user, found.scope, found.expires) == ("ada", "admin", None)
    assert sessions.use(service, "ada", sessions.begin(service, "ada", "", ""))
    service.close()


def test_rows_of_an_older_version_know_how_long_their_jobs_worked(tmp_path: Path) -> None:
    """From the states that they went through: 7 s, and 2 s that were requested later; the other one runs."""
    file = tmp_path / "d.sqlite"
    JobStore.open("", file).close()
    histories = {"a": [["I", 1], ["R", 10], ["D", 17], ["W", 100], ["R", 101], ["D", 103]], "b": [["R", 50]], "c": []}
    with sqlite3.connect(file) as connection:
        connection.executescript(
            "UPDATE alembic_version SET version_num = '0007';"
            "ALTER TABLE jobs DROP COLUMN worked; ALTER TABLE jobs DROP COLUMN running_since;"
        )
        needed = [row for row in connection.execute("PRAGMA table_info(jobs)") if row[3] and row[1] not in ("id", "history")]
        names = ["id", "history", *(f'"{row[1]}"' for row in needed)]
        insert = f"INSERT INTO jobs ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})"
        empty = [{"JSON": "[]", "FLOAT": 0.0, "INTEGER": 0, "BIGINT": 0}.get(row[2], "D") for row in needed]
        connection.executemany(insert, [[job_id, json.dumps(states), *empty] for job_id, states in histories.items()])
    connection.close()
    store = JobStore.open("", file)
    found = {job_id: store.find(job_id) for job_id in histories}
    assert {i: (j.worked, j.running_since) for i, j in found.items() if j} == {
        "a": (9.0, None),
        "b": (0.0, 50.0),
        "c": (0.0, None),
    }
    store.close()


@pytest.mark.parametrize("url", ["nonsense://x", "no address", "postgresql+nodriver://u:secret@127.0.0.1:1/x"])
def test_an_address_of_no_database_names_the_setting(url: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="database_url"):
        JobStore.open(url, tmp_path / "x.sqlite")
