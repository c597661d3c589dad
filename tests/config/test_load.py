"""The loader: every source, every mistake at once, and words that lead to the cure."""

from __future__ import annotations

import contextlib
import re
import stat
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

import edged.config
from edged.bundle.archive import read_bundle
from edged.bundle.slots import newest_built_in
from edged.config.load import load
from edged.config.problems import ConfigurationError, Problem
from edged.config.vocabulary import Configuration

EXAMPLE = Path(edged.config.__path__[0]) / "example.toml"
GOOD = """\
site = "lab"
device = "board"
[mqtt]
host = "broker"
[station.bench]
kind = "nirscan"
port = "/dev/ttyUSB0"
"""


def write(folder: Path, text: str, name: str = "edged.toml") -> Path:
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    return path


def problems(path: Path, environ: dict[str, str] | None = None, flags: tuple[str, ...] = ()) -> list[Problem]:
    with pytest.raises(ConfigurationError) as caught:
        load(path, environ=environ or {}, flags=flags)
    return caught.value.problems


def fields(model: type[BaseModel]) -> dict[str, Any]:
    """All keys of a table, tables below included; stations as one table."""
    found: dict[str, Any] = {}
    for name, field in model.model_fields.items():
        annotation = field.annotation
        if name == "station":
            found[name] = fields(annotation.__args__[1])  # type: ignore[union-attr]
        elif isinstance(annotation, type) and issubclass(annotation, BaseModel):
            found[name] = fields(annotation)
        else:
            found[name] = None
    return found


def test_the_example_is_valid() -> None:
    assert load(EXAMPLE, environ={}).configuration.site == "plant-1"


def test_the_claim_of_the_example_is_one_that_the_built_in_model_knows() -> None:
    (claimed,) = re.findall(r'^#?claimed = "([^"]+)"', EXAMPLE.read_text(), re.MULTILINE)
    path = newest_built_in("powders12")
    assert path is not None

    assert claimed in [known.label for known in read_bundle(path).manifest.classes]


def test_the_example_shows_every_key_and_no_other_and_every_commented_key_is_valid_too() -> None:
    text = re.sub(r"^#(\w+ = )", r"\1", EXAMPLE.read_text(), flags=re.MULTILINE)
    shown = tomllib.loads(text)
    shown["station"] = shown["station"]["bench"]

    def keys(table: dict[str, Any]) -> dict[str, Any]:
        return {name: keys(value) if isinstance(value, dict) else None for name, value in table.items()}

    assert keys(shown) == fields(Configuration)


def test_the_defaults_are_what_the_example_writes_down() -> None:
    minimal = {"site": "plant-1", "device": "edge-1"}
    shown = load(EXAMPLE, environ={}).configuration
    bench = shown.station["bench"]

    assert Configuration.model_validate(minimal) == shown.model_copy(update={"station": {}})
    assert type(bench).model_validate({"kind": bench.kind, "port": bench.port}) == bench


def test_unknown_key_and_three_more_mistakes_are_reported_at_once_each_with_its_line(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        'site = "lab"\ndevice = "board"\n[mqtt]\nhsot = "x"\nport = 99999\nprotocol = "5.0"\n'
        '[station.bench]\nkind = "nirscann"\nport = "/dev/ttyUSB0"\n',
    )

    found = problems(path)

    assert [(p.line, p.key) for p in found] == [
        (4, "mqtt.hsot"),
        (5, "mqtt.port"),
        (6, "mqtt.protocol"),
        (8, "station.bench.kind"),
    ]
    assert {p.source for p in found} == {str(path)}
    assert "did you mean host" in str(found[0])
    assert (found[1].found, found[1].allowed) == ("99999", "less than or equal to 65535")
    assert found[2].allowed == "'auto', '5', '3.1.1'"
    assert "did you mean nirscan?" in str(found[3])


def test_a_missing_key_is_reported_at_the_table_that_lacks_it(tmp_path: Path) -> None:
    [found] = problems(write(tmp_path, 'site = "a"\ndevice = "b"\n\n[station.bench]\nkind = "nirscan"\n'))

    assert (found.line, found.key, found.message) == (4, "station.bench.port", "is missing")


def test_a_syntax_error_is_reported_with_its_line_and_hides_no_other_file(tmp_path: Path) -> None:
    path = write(tmp_path, 'site = "a"\ndevice = \n')
    write(path.with_name("edged.toml.d"), "x = [\n", "50-a.toml")

    assert [(Path(p.source).name, p.line) for p in problems(path)] == [("edged.toml", 2), ("50-a.toml", 2)]


@pytest.mark.parametrize(
    ("station", "words"),
    [
        ('trigger = "interval"', "interval_s must say how often"),
        ("interval_s = 5", "trigger is `manual`"),
        ('claimed = "100AC"', "only `verify`"),
        ("[station.bench.settings]\nstart_nm = 1700\nend_nm = 900", "not below"),
    ],
)
def test_keys_that_contradict_each_other_are_explained(tmp_path: Path, station: str, words: str) -> None:
    [found] = problems(write(tmp_path, GOOD + station))

    assert words in str(found)
    assert found.line == 5


@pytest.mark.parametrize(
    ("flag", "words"),
    [
        ("mqtt.ca_file=/etc/edged/ca.pem", "tls is false"),
        ("mqtt.password_file=/etc/edged/secret", "username is not"),
        ("mqtt.host=broker..local", "'broker..local' is not the name of a host"),
    ],
)
def test_a_broker_that_could_not_be_reached_as_meant_is_refused(tmp_path: Path, flag: str, words: str) -> None:
    [found] = problems(write(tmp_path, GOOD), flags=(flag,))

    assert words in str(found)


def test_one_port_for_two_stations_is_refused_where_the_second_claims_it(tmp_path: Path) -> None:
    [found] = problems(write(tmp_path, GOOD + '[station.other]\nkind = "nirscan"\nport = "/dev/ttyUSB0"\n'))

    assert (found.line, found.key) == (10, "station.other.port")
    assert "already belongs to station bench" in found.message


def test_the_only_unit_of_a_family_belongs_to_one_station_and_another_family_s_to_another(tmp_path: Path) -> None:
    usb = "".join(
        f'[station.{name}]\nkind = "{kind}"\nport = "usb"\n' for name, kind in (("a", "ooi"), ("b", "wasatch"))
    )

    assert load(write(tmp_path, GOOD + usb), environ={}).configuration.station["b"].port == "usb"
    [found] = problems(write(tmp_path, GOOD + usb + '[station.c]\nkind = "ooi"\nport = "usb"\n'))
    assert "already belongs to station a" in found.message


@pytest.mark.parametrize(
    ("lines", "key", "words"),
    [
        ('kind = "ooi"\nport = "/dev/ttyUSB1"', "port", "ooi is not reached by serial"),
        ('kind = "nirscan"\nport = "usb"', "port", "it is reached by serial, hid"),
        ('kind = "obp"\nport = "tcpp:a:1"', "port", "is no port"),
        ('kind = "ooi"\nport = "tcp:a"', "port", "is not HOST:PORT"),
        ('kind = "ooi"\nport = "tcp:a..b:80"', "port", "'a..b' is not the name of a host"),
        ('kind = "nirscan"\nport = "/dev/tty\\u0000"', "port", "cannot be printed"),
        ('kind = "nirscan"\nport = "hid"\nsettings.laser_mw = 5', "settings.laser_mw", "no such setting"),
        ('kind = "ooi"\nport = "usb"\nsettings.points = 100', "settings.points", "integration_ms"),
        ('kind = "ooi"\nport = "usb"\ntransfer = "/no/such/file"', "transfer", "/no/such/file"),
        ('kind = "ooi"\nport = "usb"\nexposure.low = 0.9', "exposure", "low 0.9 is not below high"),
    ],
)
def test_what_only_the_family_knows_is_checked_too(tmp_path: Path, lines: str, key: str, words: str) -> None:
    [found] = problems(write(tmp_path, GOOD + f"[station.other]\n{lines}\n"))

    assert found.key == f"station.other.{key}"
    assert words in str(found)


def test_a_name_that_no_file_can_have_is_a_fault_and_no_crash(tmp_path: Path) -> None:
    found = problems(write(tmp_path, GOOD + 'transfer = "a\\u0000b"\n[control]\npath = "a\\u0007"\n'))

    assert {problem.key for problem in found} == {"station.bench.transfer", "control.path"}


def test_later_sources_win_drop_ins_then_environment_then_flags(tmp_path: Path) -> None:
    path = write(tmp_path, GOOD)
    write(path.with_name("edged.toml.d"), '[mqtt]\nhost = "first"\nport = 1\n', "10-a.toml")
    write(path.with_name("edged.toml.d"), '[mqtt]\nhost = "second"\nusername = "u"\n', "20-b.toml")

    loaded = load(path, environ={"EDGED_MQTT__USERNAME": "12", "EDGED_MQTT__PORT": "2"}, flags=("mqtt.port=3",))

    mqtt = loaded.configuration.mqtt
    assert (mqtt.host, mqtt.username, mqtt.port) == ("second", "12", 3)
    assert [Path(s).name for s in loaded.sources[:3]] == ["edged.toml", "10-a.toml", "20-b.toml"]


def test_a_mistake_names_the_source_it_was_made_in(tmp_path: Path) -> None:
    path = write(tmp_path, GOOD)
    drop_in = write(path.with_name("edged.toml.d"), "[mqtt]\nkeepalive_s = 1\n", "10-a.toml")

    found = problems(path, {"EDGED_MQTT__HSOT": "x"}, ("mqtt.port=no", "nonsense"))

    assert [(p.source, p.line) for p in found] == [
        (str(drop_in), 2),
        ("EDGED_MQTT__HSOT", None),
        ("--set mqtt.port=no", None),
        ("--set nonsense", None),
    ]


def test_variables_that_are_not_settings_are_left_alone(tmp_path: Path) -> None:
    environ = {"EDGED_CONFIG": "x", "EDGED_DATA": "y", "EDGED_CI": "1"}

    assert load(write(tmp_path, GOOD), environ=environ).configuration.site == "lab"


def test_a_file_that_is_absent_too_large_or_no_text_is_one_clear_problem(tmp_path: Path) -> None:
    (tmp_path / "large.toml").write_bytes(b"#" * (2 << 20))
    (tmp_path / "binary.toml").write_bytes(b'site = "a"\n\xff\xfe')

    [absent] = problems(tmp_path / "none.toml")
    [large] = problems(tmp_path / "large.toml")
    [binary] = problems(tmp_path / "binary.toml")

    assert "no such file" in str(absent)
    assert "larger than" in str(large)
    assert (binary.line, binary.message) == (2, "is not UTF-8 text")


def test_the_files_are_never_written(tmp_path: Path) -> None:
    path = write(tmp_path, GOOD)
    path.chmod(stat.S_IRUSR)
    before = path.stat()

    load(path, environ={})

    assert path.stat().st_mtime_ns == before.st_mtime_ns
    assert list(tmp_path.iterdir()) == [path]


@given(st.binary(max_size=300))
def test_any_bytes_are_a_configuration_or_problems(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "any.toml"
    path.write_bytes(data)

    assert problems(path)


@given(
    st.recursive(
        st.one_of(st.integers(), st.booleans(), st.text(max_size=4), st.floats()),
        lambda v: st.one_of(
            st.lists(v, max_size=2),
            st.dictionaries(
                st.sampled_from(["site", "mqtt", "station", "bench", "port", "settings", "points", "x"]), v, max_size=4
            ),
        ),
    )
)
def test_any_values_under_any_keys_are_a_configuration_or_problems(
    tmp_path_factory: pytest.TempPathFactory, value: Any
) -> None:
    path = tmp_path_factory.getbasetemp() / "good.toml"
    path.write_text(GOOD)
    flags = [f"{key}={value!r}" for key in ("mqtt", "station", "station.bench", "station.bench.settings", "site.x")]

    for flag in flags:
        with contextlib.suppress(ConfigurationError):
            load(path, environ={}, flags=[flag])
