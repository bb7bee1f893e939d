"""Building: nothing for nothing, a difference for an edit, the same graph whichever way it came about."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from guqin_kg.errors import DataError, NotFoundError, ReadingError, StoreLockedError, UsageError
from guqin_kg.graph import journal
from guqin_kg.graph.build import build, is_current
from guqin_kg.graph.diff import changes_since
from guqin_kg.graph.edit import add_readings
from guqin_kg.graph.lock import writing
from guqin_kg.graph.store import current, statement_hash, store_folder, store_hash
from guqin_kg.graph.workspace import Workspace, existing_workspace, find_workspace, init_workspace, workspace_grammar
from guqin_kg.notation.format import short_reading
from guqin_kg.notation.parse import parse
from tests.new_sign import PING

FILES = ("a.ttl", "b.ttl", "sub/c.ttl")


def put(ws: Workspace, name: str, head: str, statements: list[tuple[int, int, int]]) -> None:
    path = ws.graph / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(head + "".join(f"gqr:t{s} gq:number {p} ; rdfs:label 'x{o}' .\n" for s, p, o in statements))


def test_second_build_does_nothing(ws: Workspace) -> None:
    first, report = build(ws, force=True)
    assert report.action == "full"
    assert report.counts["base_notations"] > 250
    again, report = build(ws)
    assert report.action == "none"
    assert again.folder == first.folder


def test_a_change_is_applied_as_a_difference(ws: Workspace, head: str) -> None:
    before, _ = build(ws)
    put(ws, "a.ttl", head, [(1, 2, 3)])
    after, report = build(ws)
    assert (report.action, report.added, report.removed) == ("edit", 2, 0)
    delta = changes_since(ws.state, before.content_hash, after.content_hash)
    assert delta is not None
    assert delta.subjects() == {"https://w3id.org/guqin/resource/t1"}
    (ws.graph / "a.ttl").unlink()
    last, report = build(ws)
    assert report.removed == 2
    assert last.content_hash == before.content_hash
    assert not changes_since(ws.state, before.content_hash, last.content_hash)


def test_the_copy_in_memory_follows_edits(ws: Workspace, head: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("guqin_kg.graph.store._MANY", 0)
    read_from_disk = []
    monkeypatch.setattr("guqin_kg.graph.store.copied", lambda store: read_from_disk.append(store))
    generation, _ = build(ws, force=True)
    assert set(generation.in_memory()) == set(generation.store)
    for edit in ([(1, 2, 3)], [(1, 2, 4), (2, 5, 1)], [], [(1, 2, 3)]):
        put(ws, "a.ttl", head, edit)
        generation, report = build(ws)
        assert report.action == "edit"
        assert set(generation.in_memory()) == set(generation.store)
    assert not read_from_disk
    (generation.folder / "statements.nt.gz").write_bytes(b"damaged")
    generation.in_memory()
    assert read_from_disk


def test_a_statement_of_the_release_survives_its_removal_from_the_workspace(ws: Workspace, head: str) -> None:
    before, _ = build(ws)
    (ws.graph / "a.ttl").write_text(head + "gqr:rh-gou gq:notationName '勾' .\n", encoding="utf-8")
    same, _ = build(ws)
    assert same.content_hash == before.content_hash
    (ws.graph / "a.ttl").unlink()
    assert build(ws)[0].content_hash == before.content_hash


_STATEMENTS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2), st.integers(0, 2)), max_size=4)


@settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(edits=st.lists(st.tuples(st.sampled_from(FILES), st.none() | _STATEMENTS), min_size=1, max_size=5))
def test_edits_end_like_a_build_from_nothing(
    edits: list[tuple[str, list[tuple[int, int, int]] | None]], ws: Workspace, head: str
) -> None:
    start, _ = build(ws)
    for name, statements in edits:
        path = ws.graph / name
        if statements is None:
            path.unlink(missing_ok=True)
        else:
            put(ws, name, head, statements)
        edited, _ = build(ws)
    whole = {str(q.triple) for q in edited.store}
    total, count = store_hash(edited.store)
    assert f"{total:032x}" == edited.content_hash
    assert count == edited.manifest["counts"]["statements"] == len(whole)
    assert statement_hash(q.triple for q in edited.store) == total
    delta = changes_since(ws.state, start.content_hash, edited.content_hash)
    assert delta is not None
    fresh, _ = build(ws, force=True)
    assert {str(q.triple) for q in fresh.store} == whole
    assert fresh.content_hash == edited.content_hash
    assert fresh.manifest["counts"] == edited.manifest["counts"]


def test_counts_follow_an_added_notation(ws: Workspace) -> None:
    before, _ = build(ws)
    add_readings(ws, ["大九勾四"])
    after, _ = build(ws)
    fresh, _ = build(ws, force=True)
    assert after.manifest["counts"]["notations"] == before.manifest["counts"]["notations"] + 1
    assert after.manifest["counts"] == fresh.manifest["counts"]


def test_published_terms_load_in_todays_form(ws: Workspace, head: str) -> None:
    (ws.graph / "old.ttl").write_text(
        head + "gqr:p a gq:Person ; gq:AbbreviateName '某' .\n"
        "gqr:n gq:fignerRefinedNotation gqr:orn-chuo ; gq:rightHandTech gqr:rh-gou ; gq:hasAudio gqr:i , gqr:s .\n"
        "gqr:i a gq:Image . gqr:s a gq:Audio .\n",
        encoding="utf-8",
    )
    store = build(ws)[0].store
    ask = "PREFIX gq: <https://w3id.org/guqin/ontology#> PREFIX gqr: <https://w3id.org/guqin/resource/> ASK { %s }"
    for pattern in (
        "gqr:p gq:abbreviateName '某'",
        "gqr:n gq:fingerRefinedNotation gqr:orn-chuo ; gq:rightHandBasicNotation gqr:rh-gou",
        "gqr:n gq:hasImage gqr:i . gqr:i gq:isImageOf gqr:n",
        "gqr:n gq:hasAudio gqr:s . FILTER NOT EXISTS { gqr:n gq:hasAudio gqr:i }",
        "FILTER NOT EXISTS { ?a gq:AbbreviateName|gq:fignerRefinedNotation|gq:rightHandTech ?b }",
        "gqr:p a gq:Person",
    ):
        assert bool(store.query(ask % pattern)), pattern


def test_blank_nodes_become_stable_resources(ws: Workspace, head: str) -> None:
    text = head + "gqr:x gq:hasAnnotation [ rdfs:label 'a' ; dct:source [ rdfs:label 'b' ] ] .\n"
    (ws.graph / "b.ttl").write_text(text)
    first = build(ws)[0]
    assert "_:" not in "".join(str(q) for q in first.store)
    (ws.graph / "b.ttl").write_text(text + "gqr:y rdfs:label 'c' .\n")
    _, report = build(ws)
    assert (report.added, report.removed) == (1, 0)


def test_readers_keep_what_they_opened(ws: Workspace, head: str) -> None:
    old, _ = build(ws)
    size = len(old.store)
    put(ws, "a.ttl", head, [(1, 1, 1)])
    build(ws)
    assert len(old.store) == size


def test_a_second_writer_is_told(ws: Workspace) -> None:
    with writing(ws.state, 1):
        code = (
            "import sys; from pathlib import Path; from guqin_kg.graph.lock import writing\n"
            "from guqin_kg.errors import StoreLockedError\n"
            "try:\n    with writing(Path(sys.argv[1]), 0.2): pass\n"
            "except StoreLockedError as e: print(e.code); sys.exit(7)"
        )
        done = subprocess.run([sys.executable, "-c", code, str(ws.state)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (7, "locked")


def test_two_writers_in_turn_leave_a_whole_store(ws: Workspace, head: str) -> None:
    build(ws)
    put(ws, "a.ttl", head, [(1, 1, 1)])
    command = [sys.executable, "-m", "guqin_kg", "build", "--workspace", str(ws.root)]
    both = [subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) for _ in range(2)]
    assert [p.wait(120) for p in both] == [0, 0]
    assert build(ws)[1].action == "none"


@pytest.mark.parametrize("delay", [0.25, 0.5, 0.8])
def test_killed_at_any_moment_the_next_run_completes(ws: Workspace, head: str, delay: float) -> None:
    build(ws)
    put(ws, "a.ttl", head, [(i, i, i) for i in range(50)])
    command = [sys.executable, "-m", "guqin_kg", "build", "--force", "--workspace", str(ws.root)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(delay)
    os.kill(process.pid, signal.SIGKILL)
    process.wait(30)
    generation, _ = build(ws)
    assert f"{store_hash(generation.store)[0]:032x}" == generation.content_hash
    assert is_current(ws) is not None
    build(ws, force=True)
    assert not list(store_folder(ws.state).glob("new-*"))


def test_journal_is_all_or_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root, state = tmp_path / "ws", tmp_path / "ws" / ".guqin"
    (root / "graph").mkdir(parents=True)
    one, two = root / "graph" / "1.ttl", root / "graph" / "2.ttl"
    one.write_bytes(b"old")
    real = Path.replace

    def dies(self: Path, target: Path) -> Path:
        if Path(target) == two:
            raise KeyboardInterrupt
        return real(self, target)

    monkeypatch.setattr(Path, "replace", dies)
    with pytest.raises(KeyboardInterrupt):
        journal.commit(state, root, {one: b"new", two: b"new"})
    monkeypatch.undo()
    assert journal.recover(state, root)
    assert (one.read_bytes(), two.read_bytes()) == (b"new", b"new")
    assert not journal.recover(state, root)
    with pytest.raises(DataError):
        journal.commit(state, root, {tmp_path / "elsewhere": b"x"})


def test_full_disk_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root, state = tmp_path / "ws", tmp_path / "ws" / ".guqin"
    (root / "graph").mkdir(parents=True)
    one = root / "graph" / "1.ttl"
    one.write_bytes(b"old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        journal.commit(state, root, {one: b"new"})
    monkeypatch.undo()
    assert one.read_bytes() == b"old"
    assert not journal.recover(state, root)
    assert not list(root.rglob("*.tmp"))


def test_workspaces_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))
    ws = init_workspace(tmp_path / "ws")
    deep = ws.root / "a" / "b"
    deep.mkdir(parents=True)
    assert find_workspace(start=deep).root == ws.root.resolve()
    assert find_workspace(ws.root).root == ws.root
    with pytest.raises(NotFoundError):
        find_workspace(tmp_path / "nothing")
    with pytest.raises(UsageError):
        init_workspace(ws.root)
    personal = find_workspace(start=tmp_path)
    assert personal.per_user
    assert (personal.root / "guqin.toml").is_file()


def test_commands_that_only_read_make_no_workspace_and_see_the_signs_of_the_personal_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from click.testing import CliRunner

    from guqin_kg.cli.train import train
    from guqin_kg.notation.grammar import default_grammar

    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))
    assert existing_workspace(start=tmp_path) is None
    assert not (tmp_path / "home").exists()
    assert workspace_grammar(None) is default_grammar()
    personal = find_workspace(start=tmp_path)
    assert existing_workspace(start=tmp_path) == personal
    assert workspace_grammar(personal) is default_grammar()
    (personal.graph / "many.ttl").write_text("# Notations added with `guqin add`\n", "utf-8")
    assert workspace_grammar(personal) is default_grammar()  # compound notations change no rule
    (personal.graph / "mine.ttl").write_text(PING, "utf-8")
    grammar = workspace_grammar(existing_workspace(start=tmp_path))
    assert short_reading(parse("散抨一", grammar), grammar) == "散抨一"
    with pytest.raises(ReadingError):
        parse("散抨一", workspace_grammar(None))
    seen: list[tuple[Path, ...]] = []
    pytest.importorskip("torch", reason="needs the [train] extra")
    monkeypatch.setattr("training.recipes.base.run", lambda *_, extra, **__: seen.append(extra) or {})
    monkeypatch.chdir(tmp_path)
    CliRunner().invoke(train, ["recognizer", "--config", "tiny", "--out", str(tmp_path / "out"), "--quiet"])
    assert seen == [((personal.graph / "mine.ttl").resolve(),)]


@pytest.mark.parametrize(
    "text", ["[build]\nlexicn = 'x'", "[build]\nlexicon = 'some'", "[limits]\nmax_file_mb = 0", "x ="]
)
def test_settings_are_read_strictly(tmp_path: Path, text: str) -> None:
    ws = init_workspace(tmp_path / "ws")
    (ws.root / "guqin.toml").write_text(text)
    with pytest.raises(DataError) as caught:
        _ = Workspace(ws.root).settings
    assert caught.value.code == "settings"


def test_a_damaged_store_is_made_anew(ws: Workspace) -> None:
    generation, _ = build(ws)
    for path in generation.database.iterdir():
        path.unlink()
    damaged = current(ws.state)
    assert damaged is not None
    with pytest.raises(DataError) as caught:
        _ = damaged.store
    assert caught.value.code == "damaged-store"
    assert len(build(ws, force=True)[0].store) > 10_000
    assert StoreLockedError.exit_status == 1
