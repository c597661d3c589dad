"""Every key of the configuration, as closed pydantic models. `example.toml` beside this file shows them all.

What is built here is valid in itself; what depends on several stations at once is checked by `edged.config.load`.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator

from edged.infer.verdict import Preset, Procedure
from edged.spectra.standards.outcome import Subject

# One level of an MQTT topic and one word in a log line: no slash, no wildcard, no space.
NAME_PATTERN = r"^[a-z0-9][a-z0-9_-]{0,31}$"
Name = Annotated[str, StringConstraints(pattern=NAME_PATTERN)]


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("holds a character that cannot be printed")
    return text


Text = Annotated[str, StringConstraints(min_length=1, max_length=256), AfterValidator(_printable)]
Path = Annotated[str, StringConstraints(min_length=1, max_length=4096), AfterValidator(_printable)]


class Section(BaseModel):
    """Frozen, closed, strict base of every table."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Storage(Section):
    """Where the journal lives, and how much of the disk it may take."""

    path: Path = Field(default="/var/lib/edged", description="folder of the journal, the outbox and installed bundles")
    retention_days: Annotated[int, Field(ge=1, le=36_500)] = Field(
        default=90, description="raw scans older than this are dropped; records stay"
    )
    attachments_max_mb: Annotated[int, Field(ge=1, le=10_000_000)] = Field(
        default=2_048, description="raw scans beyond this are dropped, oldest first; records stay"
    )
    reserve_mb: Annotated[int, Field(ge=1, le=1_000_000)] = Field(
        default=64, description="free space below which measurements are refused rather than half written"
    )


class Mqtt(Section):
    """The broker that results are published to."""

    enabled: bool = True
    host: Text = "localhost"
    port: Annotated[int, Field(ge=1, le=65_535)] = 1883
    protocol: Literal["auto", "5", "3.1.1"] = Field(default="auto", description="auto tries 5, then 3.1.1")
    tls: bool = False
    ca_file: Path | None = Field(default=None, description="certificate authority; unset uses the system's")
    username: Text | None = None
    password_file: Path | None = Field(
        default=None,
        description="file holding the password; unset uses the systemd credential `mqtt-password` when there is one",
    )
    keepalive_s: Annotated[int, Field(ge=5, le=3_600)] = 30

    @model_validator(mode="after")
    def _consistent(self) -> Mqtt:
        try:
            self.host.encode("idna")
        except UnicodeError as error:
            raise ValueError(f"host {self.host[:64]!r} is not the name of a host") from error
        if self.ca_file is not None and not self.tls:
            raise ValueError("ca_file is set, but tls is false: set it to true or remove ca_file")
        if self.password_file is not None and self.username is None:
            raise ValueError("password_file is set, but username is not: the broker is told no password without a name")
        return self


class Bundle(Section):
    """The model that judges."""

    path: Path | None = Field(
        default=None, description="a .edgebundle file; unset uses the active slot, else the one that edged ships with"
    )
    preset: Preset = Field(default="balanced", description="operating point of stations that name none")


class Drift(Section):
    """Monitoring of instruments and products by control charts."""

    enabled: bool = True
    readings: Annotated[int, Field(ge=40, le=500)] = Field(
        default=200, description="accepted readings of a product from which its usual variation is learned"
    )
    false_alarm_every: Annotated[float, Field(ge=1_000, le=1_000_000)] = Field(
        default=10_000.0, description="undisturbed readings of a product from one false alarm to the next, on average"
    )
    white_change: Annotated[float, Field(ge=0.01, le=1)] = Field(
        default=0.1, description="share by which the light of a white reference, or its colour, may change"
    )


class Control(Section):
    """The local socket that `edged status` and `edged measure` speak to."""

    path: Path = "/run/edged/control.sock"


class ScanOverrides(Section):
    """What to ask of the instrument; unset keys keep the device family's default."""

    start_nm: Annotated[float, Field(ge=200, le=5_000)] | None = None
    end_nm: Annotated[float, Field(ge=200, le=5_000)] | None = None
    points: Annotated[int, Field(ge=8, le=4_096)] | None = None
    width_px: Annotated[int, Field(ge=1, le=255)] | None = None
    repeats: Annotated[int, Field(ge=1, le=1_000)] | None = Field(default=None, description="frames that are averaged")
    gain: Annotated[float, Field(gt=0, le=1_000)] | None = Field(
        default=None, description="unset lets the device choose, or takes what the unit stores"
    )
    integration_ms: Annotated[float, Field(gt=0, le=3_600_000)] | None = None
    laser_mw: Annotated[float, Field(gt=0, le=1_000)] | None = Field(
        default=None, description="power at the sample, and the most that automatic exposure uses; unset keeps it off"
    )
    laser_unattended: bool | None = Field(
        default=None, description="true accepts a laser that nothing but a living daemon can switch off"
    )
    detector_c: Annotated[float, Field(ge=-100, le=50)] | None = Field(
        default=None, description="set point of the detector's cooler"
    )


class Exposure(Section):
    """Automatic exposure of instruments with a detector array."""

    auto: bool = Field(default=False, description="false measures with the settings as they are")
    low: Annotated[float, Field(gt=0, lt=1)] = Field(
        default=0.35, description="the brightest pixel reaches at least this share of the detector's range"
    )
    high: Annotated[float, Field(gt=0, lt=1)] = 0.85
    snr: Annotated[float, Field(gt=0, le=1e6)] | None = Field(
        default=None, description="signal to noise to reach with more frames; unset takes settings.repeats"
    )
    budget_s: Annotated[float, Field(gt=0, le=40)] = Field(
        default=10.0, description="exposure that finding and measuring may take together"
    )

    @model_validator(mode="after")
    def _consistent(self) -> Exposure:
        if not self.low < self.high:
            raise ValueError(f"low {self.low:g} is not below high {self.high:g}")
        return self


class SelfTestLimits(Section):
    """What a self test has to reach. Those without a default are told and not judged until they are set."""

    axis_warn_cm1: Annotated[float, Field(gt=0, le=20)] = Field(
        default=1.5, description="deviation of a Raman band or a lamp's line"
    )
    axis_fail_cm1: Annotated[float, Field(gt=0, le=20)] = 3.0
    width_cm1: Annotated[float, Field(gt=0, le=1_000)] = Field(
        default=15.0, description="of calcite's band, as Ph. Eur. 2.2.48 asks"
    )
    wavelength_warn_nm: Annotated[float, Field(gt=0, le=100)] = 1.0
    wavelength_fail_nm: Annotated[float, Field(gt=0, le=100)] = 2.0
    response_warn: Annotated[float, Field(gt=0, le=1)] = Field(
        default=0.05, description="share by which the response to a glass may change"
    )
    response_fail: Annotated[float, Field(gt=0, le=1)] = 0.10
    max_noise: Annotated[float, Field(gt=0, le=1e9)] | None = Field(
        default=None, description="between frames, in counts; in absorbance on a scanning instrument"
    )
    max_dark_counts: Annotated[float, Field(gt=0, le=1e9)] | None = Field(
        default=None, description="level without light"
    )
    max_dark_noise: Annotated[float, Field(gt=0, le=1e9)] | None = Field(
        default=None, description="spread of the points without light, in counts"
    )

    @model_validator(mode="after")
    def _consistent(self) -> SelfTestLimits:
        for warn, fail in (
            ("axis_warn_cm1", "axis_fail_cm1"),
            ("wavelength_warn_nm", "wavelength_fail_nm"),
            ("response_warn", "response_fail"),
        ):
            if getattr(self, warn) > getattr(self, fail):
                raise ValueError(f"{warn} {getattr(self, warn):g} is above {fail} {getattr(self, fail):g}")
        return self


class SelfTest(Section):
    """Whether the instrument has to prove itself before it may be believed."""

    gate: Literal["required", "warn", "off"] = Field(
        default="off", description="required rejects measurements without a passed self test, warn flags them"
    )
    material: Text | None = Field(default=None, description="what is measured, such as polystyrene")
    subjects: Annotated[list[Subject], Field(min_length=1, max_length=6)] | None = Field(
        default=None, description="what has to be tested, such as axis and dark; unset takes what the material tells"
    )
    max_age_h: Annotated[float, Field(gt=0, le=8_760)] = Field(
        default=24.0, description="a self test older than this has to be repeated"
    )
    interval_h: Annotated[float, Field(ge=0.01, le=8_760)] | None = Field(
        default=None, description="hours between self tests that run by themselves, where the material is always there"
    )
    certificates: Path | None = Field(
        default=None, description="TOML file of certified values: NIR wavelength standards, other glasses"
    )
    limits: SelfTestLimits = Field(default_factory=SelfTestLimits)

    @model_validator(mode="after")
    def _consistent(self) -> SelfTest:
        if self.interval_h is not None and self.material is None:
            raise ValueError("interval_h is set, so material must say what lies before the instrument then")
        if self.gate != "off" and self.material is None and self.subjects is None:
            raise ValueError(f"gate is `{self.gate}`, so material or subjects must say what it asks for")
        return self


class QualityLimits(Section):
    """When a measurement is unfit to be judged."""

    min_snr: Annotated[float, Field(ge=0, le=1e6)] = Field(
        default=35.0, description="signal to noise, estimated from the scan"
    )
    min_peak_counts: Annotated[float, Field(ge=0, le=2**31)] = Field(
        default=500.0, description="brightest point of a sample's scan"
    )
    max_saturated_points: Annotated[int, Field(ge=0, le=4_096)] = 0
    max_dark_share: Annotated[float, Field(ge=0, le=1)] = Field(
        default=0.05, description="share of points without any light"
    )
    min_reference_counts: Annotated[int, Field(ge=0, le=2**31 - 1)] = Field(
        default=2_000, description="peak of a white reference below which the tile is taken for missing or the lamp off"
    )


class StationConfig(Section):
    """One place where an instrument is plugged in."""

    kind: Text = Field(description="device family: the name of a file in drivers/devices")
    port: Path = Field(description="/dev/serial/by-id/..., usb, usb:1-2.4, hid, hid:1-2.4 or tcp:HOST:PORT")
    serial_number: Text | None = Field(
        default=None, description="the instrument expected here; another one parks the station; unset accepts any"
    )
    procedure: Procedure = "identify"
    claimed: Text | None = Field(default=None, description="label that `verify` compares with, unless a command says")
    bundle: Path | None = Field(
        default=None,
        description="a model of its own: the name of an installed bundle, else of a built-in one, whose newest version"
        " it is, name and version, or a .edgebundle file; unset uses [bundle]",
    )
    preset: Preset | None = Field(default=None, description="operating point; unset uses bundle.preset")
    explain: bool = Field(
        default=False, description="say of every verdict which bands of the spectrum it rests on; not of amounts"
    )
    trigger: Literal["manual", "interval"] = "manual"
    interval_s: Annotated[float, Field(ge=1, le=86_400)] | None = Field(
        default=None, description="seconds from the start of one measurement to the next, for trigger `interval`"
    )
    reference_max_age_s: Annotated[float, Field(ge=1, le=31_536_000)] = Field(
        default=14_400.0, description="a white reference older than this is flagged stale"
    )
    transfer: Path | None = Field(
        default=None, description="file of `edged-export transfer` that makes this instrument read like another"
    )
    settings: ScanOverrides = Field(default_factory=ScanOverrides)
    exposure: Exposure = Field(default_factory=Exposure)
    selftest: SelfTest = Field(default_factory=SelfTest)
    quality: QualityLimits = Field(default_factory=QualityLimits)

    @model_validator(mode="after")
    def _consistent(self) -> StationConfig:
        if self.trigger == "interval" and self.interval_s is None:
            raise ValueError("trigger is `interval`, so interval_s must say how often")
        if self.trigger == "manual" and self.interval_s is not None:
            raise ValueError("interval_s is set, but trigger is `manual`: set it to `interval` or remove interval_s")
        if self.claimed is not None and self.procedure != "verify":
            raise ValueError(f"claimed is set, but procedure is `{self.procedure}`: only `verify` has a use for it")
        if self.explain and self.procedure == "quantify":
            raise ValueError("explain is set, but procedure is `quantify`: bands speak for a class or a compound")
        start_nm, end_nm = self.settings.start_nm, self.settings.end_nm
        if start_nm is not None and end_nm is not None and not start_nm < end_nm:
            raise ValueError(f"settings.start_nm {start_nm:g} is not below settings.end_nm {end_nm:g}")
        return self


class Configuration(Section):
    """The whole of `edged.toml`."""

    site: Name = Field(description="where this board stands; the first level of every topic")
    device: Name = Field(description="this board; the second level of every topic")
    storage: Storage = Field(default_factory=Storage)
    mqtt: Mqtt = Field(default_factory=Mqtt)
    bundle: Bundle = Field(default_factory=Bundle)
    drift: Drift = Field(default_factory=Drift)
    control: Control = Field(default_factory=Control)
    station: dict[Name, StationConfig] = Field(default_factory=dict)
