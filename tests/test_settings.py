"""Settings that do not fit, variables that are none, users without a home, and the log file: each gets a sentence."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from digits.cli.serve import free_port, serve
from digits.config import Settings, is_loopback, load, unknown_variables
from digits.errors import ConfigError
from digits.storage.folders import JobsDir
from digits.supervisor import logs


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("DIGITS_WEB_THREADS", "0", "web_threads is 0, expected 8 or more"),
        ("DIGITS_CPU_SLOTS", "-3", "cpu_slots is -3, expected 0 or more"),
        ("DIGITS_MAX_UPLOAD_MB", "-1", "max_upload_mb is -1, expected 1 or more"),
        ("DIGITS_HEARTBEAT_SECONDS", "0", "heartbeat_seconds is 0, expected 10 or more"),
        ("DIGITS_PORT", "70000", "port is 70000, expected 0 to 65535"),
        ("DIGITS_PORT", "five", "port is 'five', expected a whole number"),
        ("DIGITS_PORT", "9" * 5000, "port is '999999999999...9999999999999', expected a whole number"),
        (
            "DIGITS_HEARTBEAT_SECONDS",
            "9" * 400,
            "heartbeat_seconds is 999999999999999999...9999999999999999999, expected at most",
        ),
        ("DIGITS_AUTH", "maybe", "auth is 'maybe', expected true or false"),
        ("DIGITS_JOBS_DIR", "", "jobs_dir is empty. Leave it out for ~/.local/share/digits/jobs."),
        ("DIGITS_HOST", " ", "host is empty. Leave it out for 127.0.0.1."),
        ("DIGITS_URL_PREFIX", "//evil.example", "url_prefix is '//evil.example', expected something like /digits"),
        ("DIGITS_URL_PREFIX", "/a/../b", "url_prefix is '/a/../b', expected"),
        ("DIGITS_URL_PREFIX", "/a b", "url_prefix is '/a b', expected"),
        ("DIGITS_URL_PREFIX", "/digits/", "url_prefix is '/digits/', expected"),
        ("DIGITS_PUBLIC_URL", "javascript:alert(1)", "public_url is 'javascript:alert(1)', expected something like https://"),
        ("DIGITS_SMTP_PASSWORD", "gehüim", "smtp_password has letters beyond ASCII"),
        ("DIGITS_SMTP_USER", "jürgen", "smtp_user has letters beyond ASCII"),
        ("DIGITS_SMTP_HOST", "mail..example", "smtp_host is 'mail..example', which is no name of a host"),
        ("DIGITS_SMTP_FROM", "digits server <", "smtp_from is 'digits server <', from which no mail can come. Set smtp_from"),
        ("DIGITS_SMTP_FROM", "digits server", "smtp_from is 'digits server', from which"),
        ("DIGITS_SMTP_FROM", "a@b.org, c@d.org", "smtp_from is 'a@b.org, c@d.org', from which"),
        ("DIGITS_SMTP_FROM", "a@b.org\nBcc: c@d.org", "smtp_from is 'a@b.org\\nBcc: c@d.org', from which"),
        ("DIGITS_SMTP_USER", "the user", "smtp_user is 'the user', from which no mail can come. Set smtp_from"),
        ("DIGITS_PUBLIC_URL", "https://ada:s3cret@lab.example", "public_url is 'https://ada:***@lab.example', expected"),
    ],
)
def test_a_value_that_does_not_fit_is_named_with_its_source(variable: str, value: str, said: str) -> None:
    with pytest.raises(ConfigError) as error:
        load(environ={variable: value, "XDG_CONFIG_HOME": "/nonexistent"})
    assert str(error.value).startswith(f"{variable}: {said}")


@pytest.mark.parametrize("sender", ["digits@example.org", "digits <digits@example.org>", '"Lab, digits" <d@e.org>', "root"])
def test_mail_may_come_from_an_address_with_and_without_a_name(sender: str) -> None:
    environ = {"DIGITS_SMTP_FROM": sender, "DIGITS_SMTP_USER": "the user", "XDG_CONFIG_HOME": "/nonexistent"}
    assert load(environ=environ).settings.mail_sender == sender


def test_only_addresses_of_this_machine_itself_are_loopback() -> None:
    assert all(map(is_loopback, ("localhost", "127.0.0.1", "127.9.9.9", "::1")))
    assert not any(map(is_loopback, ("127.evil.example", "127.1", "0.0.0.0", "::", "localhost.evil.example", "")))


def test_a_misspelt_variable_is_named_with_the_one_that_is_near() -> None:
    environ = {
        "DIGITS_PROT": "1",
        "DIGITS_SOMETHING_ELSE": "x",
        "DIGITS_PORT": "1",
        "DIGITS_CONFIG": "",
        "DIGITS_TOKEN": "t",
        "OTHER": "1",
    }
    assert unknown_variables(environ) == [
        "DIGITS_PROT is no setting and has no effect; perhaps DIGITS_PORT is meant.",
        "DIGITS_SOMETHING_ELSE is no setting and has no effect; `digits config` lists all that there are.",
    ]


def test_the_server_says_so_when_it_starts() -> None:
    """It goes on to the next trouble, so that nothing is started."""
    done = CliRunner(env={"DIGITS_DATADIRS": "/data"}).invoke(serve, ["--host", "300.1.1.1"])
    assert "DIGITS_DATADIRS is no setting and has no effect; perhaps DIGITS_DATA_DIRS is meant." in done.output
    assert isinstance(done.exception, ConfigError)


def test_an_address_of_no_machine_is_no_port_that_is_taken() -> None:
    with pytest.raises(ConfigError, match=r"There is no address 300\.1\.1\.1"):
        free_port(Settings(host="300.1.1.1", port=0))


HOMELESS = """
import os
for name in ("HOME", "XDG_CONFIG_HOME"):
    os.environ.pop(name, None)
os.getuid = lambda: 4294967
from digits.config import Settings, load
from digits.errors import ConfigError
from digits.service.accounts import default_user
print(load().settings.data_roots(), default_user())
try:
    load().settings.jobs_path
except ConfigError as error:
    print(error)
"""


def test_a_user_without_a_home_is_told_what_to_set() -> None:
    """A container with a user id that its password file does not have. The id is all that is pretended here."""
    names = ("LOGNAME", "USER", "LNAME", "USERNAME")
    environ = {name: value for name, value in os.environ.items() if name not in names and not name.startswith("DIGITS_")}
    done = subprocess.run([sys.executable, "-c", HOMELESS], capture_output=True, text=True, check=True, env=environ)
    first, second = done.stdout.splitlines()
    assert first == "() digits"
    assert second.startswith("The jobs directory is ~/.local/share/digits/jobs, but user 4294967 has no home directory. Set HOME")


@pytest.mark.usefixtures("root_logger")
def test_a_log_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    jobs_dir = JobsDir(tmp_path / "jobs")
    for name, reason in (("/proc/none/digits.log", "No such file"), (str(tmp_path), "Is a directory")):
        with pytest.raises(ConfigError, match=reason) as error:
            logs.configure(Settings(logfile_filename=name), jobs_dir)
        assert name in str(error.value)
        assert "logfile_filename" in error.value.advice


@pytest.mark.usefixtures("root_logger")
def test_a_log_file_that_was_moved_is_begun_anew(tmp_path: Path) -> None:
    file = tmp_path / "logs" / "digits.log"
    logs.configure(Settings(logfile_filename=str(file)), JobsDir(tmp_path / "jobs"))
    logging.getLogger("digits").warning("before")
    file.rename(file.with_suffix(".1"))
    logging.getLogger("digits").warning("after")
    file.unlink()
    logging.getLogger("digits").warning("last")
    assert "before" in file.with_suffix(".1").read_text()
    assert "after" not in file.with_suffix(".1").read_text()
    assert file.read_text().endswith("[WARNING] last\n")
