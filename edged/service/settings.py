"""From the configuration's words to what the rooms want to be told."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from drivers.contract import ExposureSettings, Settings
from edged.acquire.check import SelfTestLimits
from edged.acquire.exposure import MAX_PROBES, ExposurePlan, exposure_ms
from edged.acquire.gate import Gate
from edged.acquire.station import SCAN_WITHIN_S
from edged.config.vocabulary import Configuration, Drift, Exposure, Mqtt, QualityLimits, SelfTest, StationConfig
from edged.monitor.monitor import Rules as DriftRules
from edged.publish.settings import MqttSettings, TlsSettings
from edged.service.pipeline import Rules
from edged.spectra.quality import Limits
from edged.spectra.standards.known import Standard, standards
from edged.spectra.standards.outcome import Subject
from edged.spectra.transfer import load_transfer
from edged.store.retention import Retention

LIGHT_S = 15.0  # warning delay, warm-up and the laser's own time to fire, as the slowest supported unit has them
CREDENTIAL = "mqtt-password"  # the name under which systemd's LoadCredential hands us the broker's password


def mqtt_settings(configuration: Configuration, environ: Mapping[str, str], *, stop_within_s: float) -> MqttSettings:
    """Fill the publisher's settings from the configuration and systemd's credentials."""
    mqtt = configuration.mqtt
    return MqttSettings(
        host=mqtt.host,
        port=mqtt.port,
        site=configuration.site,
        device=configuration.device,
        protocol=mqtt.protocol,
        username=mqtt.username,
        password_file=password_file(mqtt, environ),
        tls=TlsSettings(ca_file=path_or_none(mqtt.ca_file)) if mqtt.tls else None,
        keepalive_s=mqtt.keepalive_s,
        stop_within_s=stop_within_s,
    )


def password_file(mqtt: Mqtt, environ: Mapping[str, str]) -> Path | None:
    """Return the configured file, else the systemd credential `mqtt-password` if there is one."""
    if mqtt.password_file is not None:
        return Path(mqtt.password_file)
    folder = environ.get("CREDENTIALS_DIRECTORY")
    credential = Path(folder) / CREDENTIAL if folder else None
    return credential if credential is not None and mqtt.username is not None and credential.is_file() else None


def retention(configuration: Configuration) -> Retention:
    """Return how long raw scans are kept, and how much of the disk stays free."""
    storage = configuration.storage
    return Retention(
        max_age_days=storage.retention_days,
        max_attachment_bytes=storage.attachments_max_mb * 2**20,
        reserve_bytes=storage.reserve_mb * 2**20,
        spares_unsent=configuration.mqtt.enabled,
    )


def limits(quality: QualityLimits) -> Limits:
    """Return what a measurement must reach at a station."""
    return Limits(
        min_peak_counts=quality.min_peak_counts,
        min_snr=quality.min_snr,
        max_saturated_points=quality.max_saturated_points,
        max_dark_share=quality.max_dark_share,
    )


def drift_rules(drift: Drift) -> DriftRules:
    """Return how instruments and products are monitored."""
    return DriftRules(
        readings=drift.readings, false_alarm_every=drift.false_alarm_every, white_change=drift.white_change
    )


def exposure_plan(exposure: Exposure) -> ExposurePlan | None:
    """Return what automatic exposure has to reach, None when it is off."""
    if not exposure.auto:
        return None
    return ExposurePlan(low=exposure.low, high=exposure.high, snr=exposure.snr, budget_s=exposure.budget_s)


def rules(station: StationConfig) -> Rules:
    """Return what a station demands of its measurements.

    Raises SpectrumError for a transfer or for certified values that cannot be used.
    """
    known = standards(station.selftest.certificates)
    return Rules(
        limits=limits(station.quality),
        reference_max_age_s=station.reference_max_age_s,
        gate=gate(station.selftest, known),
        standards=known,
        selftest_limits=SelfTestLimits(**station.selftest.limits.model_dump()),
        transfer=None if station.transfer is None else load_transfer(station.transfer),
    )


def gate(selftest: SelfTest, known: Mapping[str, Standard]) -> Gate:
    """Return what a station's gate asks for: the subjects named, else what its material tells."""
    subjects: tuple[Subject, ...] = tuple(selftest.subjects or ())
    if selftest.subjects is None and selftest.material is not None and selftest.material in known:
        subjects = (known[selftest.material].subject,)
    return Gate(mode=selftest.gate, subjects=subjects, max_age_s=selftest.max_age_h * 3600.0)


def scan_within_s(settings: Settings, exposure: Exposure) -> float:
    """Return how long one scan may take before its instrument is taken for lost.

    Every exposure comes twice, to settle and to count; a laser warns and warms up before each scan.
    """
    if not isinstance(settings, ExposureSettings):
        return SCAN_WITHIN_S
    scans = MAX_PROBES + 2 if exposure.auto else 1  # two more to find the number of frames
    exposed_s = exposure.budget_s if exposure.auto else 0.0
    lit_s = scans * LIGHT_S if settings.laser_mw is not None else 0.0
    return SCAN_WITHIN_S + 4.0 * (exposed_s + exposure_ms(settings) / 1e3) + lit_s


def path_or_none(text: str | None) -> Path | None:
    """Return a configured path."""
    return Path(text) if text is not None else None
