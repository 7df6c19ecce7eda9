"""Settings: defaults, then a TOML file, then `DIGITS_*` variables, then the command line; each knows where it came from."""

from __future__ import annotations

import difflib
import ipaddress
import os
import re
import reprlib
import socket
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from digits.domain.datasets import ENTRY_SECONDS, MAX_LEFT_OUT
from digits.domain.notifications import is_sender
from digits.domain.training import CHECKPOINT_SECONDS
from digits.errors import ConfigError
from digits.utils.masking import masked
from digits.utils.values import boolean

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
LEAST_MEMORY_MB = 512  # a process with our libraries loaded takes half of that
NO_SETTINGS = frozenset({"DIGITS_CONFIG", "DIGITS_TOKEN", "DIGITS_URL"})  # of ours, or of scripts as the documentation has them
TESTS = "DIGITS_TEST_"  # begins the variables of our own tests
MOST_DAYS = 36_500
MOST = 10**12  # of any number
SMTP_SECURITY = ("starttls", "ssl", "none")
LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")


def _help(text: str, default: Any, least: int = 0) -> Any:
    """A setting with what it is; of numbers, the least that makes sense."""
    return field(default=default, metadata={"help": text, "least": least})


@dataclass(frozen=True)
class Settings:
    """Every setting. The variable of `jobs_dir` is `DIGITS_JOBS_DIR`, its key in the TOML file `jobs_dir`, and so on."""

    jobs_dir: str = _help("Directory of all jobs; must be writable.", "~/.local/share/digits/jobs")
    jobs_mode: str = _help(
        "Mode of the folders of jobs and uploads, octal: 0700 for the user who runs digits alone, 0750 to let the group read.",
        "0700",
    )
    host: str = _help("Address to listen on. Anything but loopback needs an account (`digits user add`).", "127.0.0.1")
    port: int = _help("Port to listen on.", 5000)
    url_prefix: str = _help("Path under which a proxy serves digits, e.g. /digits.", "")
    server_name: str = _help("Name shown in the page; the host name when empty.", "")
    auth: bool = _help("Require a log-in. Only loopback addresses may switch it off.", True)
    allowed_hosts: str = _help("Further host names under which the server may be addressed, separated by commas.", "")
    trusted_proxies: str = _help(
        "Addresses or networks of proxies whose X-Forwarded-For, -Proto and -Host are believed, separated by commas.", ""
    )
    debug: bool = _help("Show traces in error answers and reload templates.", False)
    data_dirs: str = _help(
        "Folders that path fields may reach, separated by the path separator. Empty: the home directory on loopback, else none.",
        "",
    )
    allow_urls: bool = _help("Let pictures be fetched from public http(s) addresses.", False)
    allow_hub: bool = _help("Let networks and weights be fetched from the Hugging Face hub where a user names one.", False)
    model_store_url: str = _help(
        "Model stores, separated by commas: http(s) addresses, which may be private ones, or folders. Empty: there are none.", ""
    )
    max_upload_mb: int = _help("Largest upload in MiB.", 8192, least=1)
    max_extracted_mb: int = _help("Largest size in MiB an uploaded archive may unpack to.", 65536, least=1)
    max_extracted_ratio: int = _help(
        "How many times its own size an uploaded archive may unpack to, from 256 MiB on.", 200, least=1
    )
    max_archive_files: int = _help("Most files and folders in an uploaded archive.", 500_000, least=1)
    database_url: str = _help("SQLAlchemy URL; empty: SQLite in the jobs directory. It belongs to one jobs directory.", "")
    logfile_filename: str = _help("Log file of the server; empty: in the jobs directory.", "")
    logfile_level: str = _help("DEBUG, INFO, WARNING, ERROR or CRITICAL.", "INFO")
    all_extensions: bool = _help("Show plugins that hide themselves by default.", False)
    cpu_slots: int = _help("CPU slots for jobs; 0: the number of cores.", 0)
    cpu_processes: int = _help(
        "Processes that share a training on the CPU where its form does not say how many (PyTorch).", 1, least=1
    )
    heartbeat_seconds: int = _help("A worker that shows no sign of life for so long is stopped and started again.", 300, least=10)
    checkpoint_seconds: int = _help(
        "Time between rolling checkpoints of a training, whose first comes after 10 s; longer where that would cost over 1 %.",
        CHECKPOINT_SECONDS,
        least=1,
    )
    max_left_out_percent: int = _help(
        "A data set of which more entries cannot be used is not made, where its form does not say how many.",
        round(100 * MAX_LEFT_OUT),
    )
    min_free_mb: int = _help("Free disk space in MiB below which no new job starts.", 256)
    trash_days: int = _help(
        "Days that a deleted job stays in the trash, unless the disk gets full; 0: there is no trash, deletion is for good.", 30
    )
    request_seconds: int = _help(
        "Longest time that plugin host or predictor may work on one request of a page or a script.", 300, least=1
    )
    entry_seconds: int = _help(
        "An entry of a data set that takes longer to encode is left out; a source silent for so long over its files ends it.",
        ENTRY_SECONDS,
        least=1,
    )
    public_url: str = _help("Address under which users reach the server, for links in notifications.", "")
    smtp_host: str = _help("Mail server for notifications by e-mail; empty: there are none.", "")
    smtp_port: int = _help("Port of the mail server.", 587)
    smtp_security: str = _help("starttls, ssl or none.", "starttls")
    smtp_user: str = _help("User to log in with at the mail server; empty: no log-in.", "")
    smtp_password: str = _help("Password of that user.", "")
    smtp_from: str = _help("Address from which mail is sent; empty: smtp_user.", "")
    notify_private: bool = _help("Let notifications go to webhooks at private addresses, such as those of this network.", False)
    metrics_open: bool = _help("Answer /metrics (for Prometheus) without a log-in or token.", False)
    process_memory_mb: int = _help(
        "Memory in MiB that plugin host, predictor, preview or check of a network may take; it is ended beyond. "
        "0: half of the machine's.",
        0,
    )
    job_memory_mb: int = _help(
        "Memory in MiB that the processes of one job may take together; the job ends beyond. 0: 95 % of the machine's.", 0
    )
    onnxruntime_web: str = _help(
        "Folder of the npm package onnxruntime-web, which is put into models that are downloaded as a web page; empty: not.", ""
    )
    predictor_idle_seconds: int = _help("Seconds without a request after which a loaded model is unloaded.", 600)
    web_threads: int = _help(
        "Threads of the web server; each live page holds one. At most a quarter of them waits for those who are not logged in.",
        320,
        least=8,
    )
    head_seconds: int = _help("Time in which the head of a request has to come.", 20, least=1)
    body_seconds: int = _help(
        "Longest time that a body which is sent to the server or by it may stand still; an upload below 500 bytes a second, too.",
        60,
        least=1,
    )
    connections_per_address: int = _help(
        "Connections of one address for which threads wait at a time before it has logged in; further ones end the oldest.",
        32,
        least=1,
    )

    def data_roots(self) -> tuple[Path, ...]:
        """The folders that server-side paths are confined to, resolved."""
        texts = [t for t in self.data_dirs.split(os.pathsep) if t]
        if not texts and is_loopback(self.host):
            texts = ["~"]
        return tuple(folder.resolve() for folder in map(_expanded, texts) if folder is not None)

    def proxy_networks(self) -> tuple[Network, ...]:
        """The networks of `trusted_proxies`. Raises ValueError for what is none."""
        texts = [text.strip() for text in self.trusted_proxies.split(",")]
        return tuple(ipaddress.ip_network(text) for text in texts if text)

    @property
    def jobs_path(self) -> Path:
        """Raises ConfigError where it begins with a home directory and the user has none."""
        folder = _expanded(self.jobs_dir)
        if folder is None:
            raise ConfigError(
                f"The jobs directory is {self.jobs_dir}, but user {os.getuid()} has no home directory.",
                advice="Set HOME, or choose another with --jobs-dir (or DIGITS_JOBS_DIR).",
            )
        return folder.absolute()

    @property
    def folder_mode(self) -> int:
        """`jobs_mode` as a number."""
        return int(self.jobs_mode, 8)

    @property
    def mail_sender(self) -> str:
        """From whom notifications by e-mail come."""
        return self.smtp_from or self.smtp_user or "digits@localhost"

    @property
    def name(self) -> str:
        return self.server_name or socket.gethostname()


@dataclass(frozen=True)
class LoadedSettings:
    """Settings with, for each, the place it was taken from (`default`, a file, a variable, `command line`)."""

    settings: Settings
    sources: Mapping[str, str]


def load(overrides: Mapping[str, Any] | None = None, environ: Mapping[str, str] | None = None) -> LoadedSettings:
    """Collect the settings. Raises ConfigError naming the setting and its source when a value does not fit."""
    environ = os.environ if environ is None else environ
    values: dict[str, Any] = {}
    sources = {f.name: "default" for f in fields(Settings)}
    file = config_file(environ)
    layers: list[tuple[str, Mapping[str, Any]]] = [(str(file), _read_toml(file, environ)), ("", _from_environ(environ))]
    layers.append(("command line", {k: v for k, v in (overrides or {}).items() if v is not None}))
    for source, layer in layers:
        for name, raw in layer.items():
            origin = source or f"DIGITS_{name.upper()}"
            values[name] = _convert(name, raw, origin)
            sources[name] = origin
    settings = Settings(**values)
    _check(settings, sources)
    return LoadedSettings(settings, sources)


def unknown_variables(environ: Mapping[str, str]) -> list[str]:
    """A sentence for each `DIGITS_…` variable that is no setting: one that is misspelt would else do nothing without a word."""
    names = {f"DIGITS_{f.name.upper()}" for f in fields(Settings)}
    found = sorted(key for key in environ if key.startswith("DIGITS_") and key not in names | NO_SETTINGS)
    return [f"{key} is no setting and has no effect{_meant(key, names)}." for key in found if not key.startswith(TESTS)]


def _meant(key: str, names: set[str]) -> str:
    near = difflib.get_close_matches(key, names, n=1, cutoff=0.75)
    return f"; perhaps {near[0]} is meant" if near else "; `digits config` lists all that there are"


def config_file(environ: Mapping[str, str]) -> Path:
    """`DIGITS_CONFIG`, else `digits/config.toml` in the user's configuration folder, or in `/etc` for a user without a home."""
    if environ.get("DIGITS_CONFIG"):
        return _expanded(environ["DIGITS_CONFIG"]) or Path(environ["DIGITS_CONFIG"])
    base = environ.get("XDG_CONFIG_HOME") or "~/.config"
    return (_expanded(base) or Path("/etc")) / "digits" / "config.toml"


def _expanded(text: str) -> Path | None:
    """The path, without `~`; None where that is the home of a user who has none."""
    try:
        return Path(text).expanduser()
    except RuntimeError:
        return None


def is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:  # a name, which may lead anywhere, whatever it looks like
        return False


def _read_toml(file: Path, environ: Mapping[str, str]) -> Mapping[str, Any]:
    if not file.is_file():
        if environ.get("DIGITS_CONFIG"):
            raise ConfigError(f"DIGITS_CONFIG names {file}, which does not exist.")
        return {}
    try:
        values = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file} cannot be read: {error}.") from error
    unknown = sorted(set(values) - {f.name for f in fields(Settings)})
    if unknown:
        raise ConfigError(f"{file} has settings that do not exist: {', '.join(unknown)}.", advice="`digits config` lists all.")
    return values


def _from_environ(environ: Mapping[str, str]) -> dict[str, str]:
    return {f.name: environ[key] for f in fields(Settings) if (key := f"DIGITS_{f.name.upper()}") in environ}


def _convert(name: str, raw: Any, origin: str) -> Any:
    wanted = type(getattr(Settings, name))
    try:
        value = boolean(raw) if wanted is bool and isinstance(raw, str) else raw
        if isinstance(value, bool) != (wanted is bool):
            raise ValueError(raw)
        return wanted(value)
    except (ValueError, TypeError) as error:
        raise ConfigError(f"{origin}: {name} is {reprlib.repr(raw)}, expected {_EXPECTED[wanted]}.") from error


def _check(settings: Settings, sources: Mapping[str, str]) -> None:
    if not 0 <= settings.port <= 65535:
        raise ConfigError(f"{sources['port']}: port is {settings.port}, expected 0 to 65535.")
    for setting in fields(Settings):
        value, least = getattr(settings, setting.name), setting.metadata["least"]
        if isinstance(value, int) and value < least:
            raise ConfigError(f"{sources[setting.name]}: {setting.name} is {value}, expected {least} or more.")
        if isinstance(value, int) and value > MOST:
            raise ConfigError(f"{sources[setting.name]}: {setting.name} is {reprlib.repr(value)}, expected at most {MOST:,}.")
    for name in ("jobs_dir", "host"):  # an empty one comes of a variable of a script that is not set
        if not getattr(settings, name).strip():
            raise ConfigError(f"{sources[name]}: {name} is empty.", advice=f"Leave it out for {getattr(Settings, name)}.")
    for name in ("process_memory_mb", "job_memory_mb"):
        if (size := getattr(settings, name)) and size < LEAST_MEMORY_MB:
            raise ConfigError(f"{sources[name]}: {name} is {size}, expected 0 or at least {LEAST_MEMORY_MB}.")
    if not 0 <= (share := settings.max_left_out_percent) <= 100:
        raise ConfigError(f"{sources['max_left_out_percent']}: max_left_out_percent is {share}, expected 0 to 100.")
    if settings.logfile_level.upper() not in LOG_LEVELS:
        raise ConfigError(
            f"{sources['logfile_level']}: logfile_level is {settings.logfile_level!r}, expected one of {LOG_LEVELS}."
        )
    if settings.trash_days > MOST_DAYS:
        raise ConfigError(f"{sources['trash_days']}: trash_days is {settings.trash_days}, expected at most {MOST_DAYS:,}.")
    _check_mail(settings, sources)
    try:
        settings.proxy_networks()
    except ValueError as error:
        raise ConfigError(
            f"{sources['trusted_proxies']}: trusted_proxies is {settings.trusted_proxies!r}: {error}.",
            advice="Write addresses or networks separated by commas, e.g. 127.0.0.1, 10.0.0.0/8.",
        ) from error
    if not re.fullmatch("0?o?7[0-7][0145]", settings.jobs_mode):
        raise ConfigError(
            f"{sources['jobs_mode']}: jobs_mode is {settings.jobs_mode!r}, expected a text such as 0700 (nobody else), 0750 (the"
            " group reads) or 0770 (the group writes); others may not write, and the owner needs all."
        )
    prefix = settings.url_prefix
    if not re.fullmatch(r"(/(?!\.{1,2}(/|$))[A-Za-z0-9._~-]+)*", prefix):
        raise ConfigError(f"{sources['url_prefix']}: url_prefix is {prefix!r}, expected something like /digits.")
    if not re.fullmatch(r"(https?://[^\s/?#@]+(/\S*)?)?", settings.public_url):
        raise ConfigError(
            f"{sources['public_url']}: public_url is {masked(settings.public_url, whole=True)!r},"
            " expected something like https://digits.example.org."
        )


def _check_mail(settings: Settings, sources: Mapping[str, str]) -> None:
    if settings.smtp_security not in SMTP_SECURITY:
        raise ConfigError(
            f"{sources['smtp_security']}: smtp_security is {settings.smtp_security!r}, expected one of {SMTP_SECURITY}."
        )
    if not 1 <= settings.smtp_port <= 65535:
        raise ConfigError(f"{sources['smtp_port']}: smtp_port is {settings.smtp_port}, expected 1 to 65535.")
    for name in ("smtp_user", "smtp_password"):  # neither is shown
        if not getattr(settings, name).isascii():
            raise ConfigError(f"{sources[name]}: {name} has letters beyond ASCII, with which Python logs in at no mail server.")
    try:
        settings.smtp_host.encode("idna")
    except UnicodeError as error:
        raise ConfigError(f"{sources['smtp_host']}: smtp_host is {settings.smtp_host!r}, which is no name of a host.") from error
    if not is_sender(settings.mail_sender):
        name = "smtp_from" if settings.smtp_from else "smtp_user"
        raise ConfigError(
            f"{sources[name]}: {name} is {getattr(settings, name)!r}, from which no mail can come.",
            advice="Set smtp_from to an address, such as digits@example.org, or digits <digits@example.org>.",
        )


_EXPECTED = {bool: "true or false", int: "a whole number", str: "a text"}
