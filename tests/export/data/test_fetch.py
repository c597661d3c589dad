"""Sets fetched by pooch from a server of the standard library: whole, cut, wrong, absent, and no server at all."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote

import pytest

from export.data import fetch as fetching
from export.data.catalogue import known_set, load_set
from export.data.fetch import fetch
from export.errors import NotFetched

FILE = "nir_pharma_powders_notredame/ternary_samples.csv"


class Server(SimpleHTTPRequestHandler):
    """Serves a folder; `cut` answers with half of each file and the length of the whole, then hangs up."""

    cut = False

    def do_GET(self) -> None:
        if not self.cut:
            super().do_GET()
            return
        raw = Path(self.translate_path(unquote(self.path))).read_bytes()
        self.send_response(200)
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw[: len(raw) // 2])

    def log_message(self, *words: object) -> None:
        pass


class Cutting(Server):
    cut = True


def serving(folder: Path, kind: type[Server]) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(kind, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def mirror(data_dir: Path) -> Iterator[str]:
    yield from serving(data_dir, Server)


@pytest.fixture
def cutting(data_dir: Path) -> Iterator[str]:
    yield from serving(data_dir, Cutting)


@pytest.fixture
def forger(tmp_path: Path) -> Iterator[str]:
    path = tmp_path / "forged" / FILE
    path.parent.mkdir(parents=True)
    path.write_text("<html>please log in</html>")
    yield from serving(tmp_path / "forged", Server)


def fetched(name: str, cache: Path, mirror: str) -> list[Path]:
    return fetch(known_set(name), cache, lambda what, done, total: None, mirror=mirror)


def test_a_fetched_set_is_read_from_the_cache_where_the_folder_lacks_it(
    mirror: str, data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    fetched("powders-ternary", fetching.cache_folder(), mirror)

    ours, theirs = load_set("powders-ternary", tmp_path), load_set("powders-ternary", data_dir)
    assert (ours.values == theirs.values).all()


def test_names_with_blanks_are_fetched_too(mirror: str, tmp_path: Path) -> None:
    assert len(fetched("api20", tmp_path, mirror)) == 100


@pytest.mark.parametrize(("server", "said"), [("forger", "its SHA-256 is another"), ("cutting", "http://127")])
def test_what_is_not_the_file_is_refused_and_leaves_nothing(
    server: str, said: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    address = request.getfixturevalue(server)

    with pytest.raises(NotFetched, match=said):
        fetched("powders-ternary", tmp_path / "cache", address)

    assert not [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]


def test_a_file_that_the_server_lacks_is_told(tmp_path: Path, forger: str) -> None:
    with pytest.raises(NotFetched, match="404"):
        fetched("strawberry", tmp_path / "cache", forger)


def test_without_a_network_the_hint_names_the_way_by_hand(tmp_path: Path) -> None:
    with pytest.raises(NotFetched, match="powders") as caught:
        fetched("powders-ternary", tmp_path / "cache", "http://127.0.0.1:9/powders")

    assert "--data" in caught.value.hint


def test_a_file_without_end_is_cut_off(mirror: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "MAX_FILE_BYTES", 1 << 18)

    with pytest.raises(NotFetched, match="sends more than"):
        fetched("powders-ternary", tmp_path / "cache", mirror)


def test_a_derived_set_says_that_it_is_had_by_hand(tmp_path: Path) -> None:
    with pytest.raises(NotFetched, match=r"isoniazid_capsules\.npz"):
        fetched("isoniazid", tmp_path, "")
