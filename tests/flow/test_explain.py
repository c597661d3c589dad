"""A mixture before a simulated handheld, measured with and without a why, through the daemon to journal and broker."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

from edged.bundle.archive import bundle_bytes
from edged.cli.measure import lines
from edged.infer.why import unpack_curves
from edged.store.journal import Journal
from edged.store.record import Record
from tests.broker import Broker
from tests.bundle.mixed import BANDS, CUP, REFERENCES, WHITENER, mixed_fields, mixed_files, pack_library
from tests.flow.plant import Handheld, Plant, station
from tests.flow.test_components import COARSE, recorded, results
from tests.subscriber import Subscriber


def test_a_mixture_is_explained_where_that_is_asked_and_the_record_tells_it_to_all(tmp_path: Path) -> None:
    bundle, picture = tmp_path / "mixed.edgebundle", tmp_path / "why.svg"
    library = pack_library(REFERENCES, WHITENER / COARSE, CUP)
    bundle.write_bytes(bundle_bytes(mixed_fields(), mixed_files(library_npz=library)))
    with (
        Handheld(tmp_path / "nirscan", "--replay", str(recorded(tmp_path / "recorded.csv"))) as handheld,
        Broker(tmp_path / "broker") as broker,
        Subscriber(broker.port, "edged/v1/lab/board/#") as subscriber,
        Plant(
            tmp_path,
            stations=station(handheld.port, procedure='"components"', preset='"screen"', explain="true"),
            mqtt=f'host = "127.0.0.1"\nport = {broker.port}',
            bundle=bundle,
        ) as plant,
    ):
        plant.until_state("ready")
        plant.edged("measure", "bench", "--reference")
        first = plant.edged("measure", "bench", "--explain", "--plot", str(picture))
        plain = plant.ask({"do": "measure", "station": "bench", "explain": False})["result"]
        by_setting = plant.ask({"do": "measure", "station": "bench"})["result"]
        heard = subscriber.wait_for(lambda all_: len(results(all_)) == 3)
        verified = plant.edged("journal", "verify")

    record = Record.model_validate(results(heard)[0])
    told = {one.label: one for one in record.why}
    assert {"aspirin", "lactose"} <= set(told)
    for label in ("aspirin", "lactose"):
        centres = [1000.0 + 5.0 * place for _, place, _ in BANDS[label]]
        assert min(abs(told[label].bands[0].peak - centre) for centre in centres) < 20.0
    assert record.timing_ms["explain"] > 0.0
    assert all(line in first.output for line in lines(results(heard)[0]))
    assert ElementTree.parse(picture).getroot().tag.endswith("svg")
    assert (plain["why"], "explain" in plain["timing_ms"], "why.npz" in plain["attachments"]) == ([], False, False)
    assert by_setting["why"]
    assert "intact" in verified.output
    with Journal.open(plant.journal, read_only=True) as journal:
        kept = journal.attachment(record.id, "why.npz")
    assert kept is not None
    assert len(unpack_curves(kept).relevance) == len(record.why)
