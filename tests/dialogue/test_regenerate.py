"""Regeneration: exactly what an edit touched, and always the bytes of a run from nothing."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from .conftest import OWN, write_notations


def read(ws: Any) -> dict[str, bytes]:
    folder = ws.out / "dialogues"
    return {n: (folder / n).read_bytes() for n in ("train.jsonl", "val.jsonl", "provenance.ttl")}


def fresh(ws: Any, run: Callable[..., Any], **options: Any) -> dict[str, bytes]:
    """The bytes of a run from nothing beside the real output."""
    target = ws.root / "fresh"
    shutil.rmtree(target, ignore_errors=True)
    run(out=target, **options)
    folder = target / "dialogues"
    return {n: (folder / n).read_bytes() for n in ("train.jsonl", "val.jsonl", "provenance.ttl")}


def test_second_run_does_nothing(run: Callable[..., Any]) -> None:
    first = run()
    assert first.rewritten == first.total >= 277
    second = run()
    assert (second.rewritten, second.removed, second.unchanged) == (0, 0, first.total)


def test_an_added_and_a_removed_notation(workspace: Any, run: Callable[..., Any]) -> None:
    run()
    write_notations(workspace, [*OWN, "名七四打三"])
    report = run()
    assert report.rewritten == 1
    (reason,) = report.to_json()["reasons"]
    assert reason["records"] == 1
    assert "ming.7.4" in reason["because"]
    assert read(workspace) == fresh(workspace, run)
    write_notations(workspace, OWN)
    report = run()
    assert (report.rewritten, report.removed) == (0, 1)
    assert read(workspace) == fresh(workspace, run)


def test_the_counts_add_up_beside_other_sets(workspace: Any, run: Callable[..., Any]) -> None:
    """Every record in the files is rewritten or unchanged, whatever was asked for."""
    everything = run(which="all")
    assert (everything.total, everything.others) == (everything.rewritten, 0)
    write_notations(workspace, [*OWN, "名七四打三"])
    stale = run(which="six", dry_run=True)
    report = run(which="six")
    for one in (stale, report):
        counts = one.to_json()["records"]
        assert counts["total"] == counts["rewritten"] + counts["unchanged"] == everything.total + 1
        assert (counts["rewritten"], counts["removed"]) == (1, 0)
        assert one.others == everything.total // 2
    lines = sum(body.count(b"\n") for name, body in read(workspace).items() if name.endswith(".jsonl"))
    assert lines == report.total
    write_notations(workspace, OWN)
    report = run(which="six", langs=("zh", "en"))
    assert report.removed == 1
    assert report.total == report.rewritten + report.unchanged
    assert report.others == everything.total // 2


@pytest.mark.parametrize("command", ["regenerate", "status"])
def test_the_commands_say_what_they_did_not_look_at(workspace: Any, run: Callable[..., Any], command: str) -> None:
    from click.testing import CliRunner

    from guqin_kg.cli import dialogue

    total = run(which="all").total
    asked = ["--set", "six", "--workspace", str(workspace.root)]
    if command == "regenerate":
        said = CliRunner().invoke(dialogue.regenerate, [*asked, "--no-drawings"])
        assert f"{total} unchanged ({total // 2} of them of other sets or languages), 0 removed" in said.stdout
    else:
        said = CliRunner().invoke(dialogue.status, asked)
        assert f"{total // 2} records are up to date" in said.stdout
        assert f"{total // 2} records of other sets" in said.stderr
    assert said.exit_code == 0


def test_a_fact_two_steps_away_is_tracked(workspace: Any, run: Callable[..., Any]) -> None:
    """Stating another source-bound fact of a base notation rewrites the notations that use it, and no other."""
    run(which="twenty-two")
    (workspace.graph / "edit.ttl").write_text(
        "@prefix gq: <https://w3id.org/guqin/ontology#> .\n@prefix gqr: <https://w3id.org/guqin/resource/> .\n"
        "@prefix dct: <http://purl.org/dc/terms/> .\n@prefix skos: <http://www.w3.org/2004/02/skos/core#> .\n"
        'gqr:annotation-mine a gq:Annotation ; gq:annotates gqr:rhc-lun ; skos:definition "又一说。"@zh ;\n'
        "  dct:source gqr:source-jrb .\n",
        encoding="utf-8",
    )
    status = run(which="twenty-two", dry_run=True)
    report = run(which="twenty-two")
    assert status.rewritten == report.rewritten > 0
    assert report.unchanged > report.rewritten
    assert {r["because"] for r in report.to_json()["reasons"]} == {"https://w3id.org/guqin/resource/annotation-mine"}
    assert read(workspace) == fresh(workspace, run, which="twenty-two")


def test_a_changed_template_and_a_new_turn(workspace: Any, run: Callable[..., Any]) -> None:
    from guqin_kg import resources

    run()
    mine = workspace.root / "templates" / "dialogue"
    mine.mkdir(parents=True, exist_ok=True)
    text = (resources.folder("templates") / "dialogue" / "reading.zh.j2").read_text(encoding="utf-8")
    (mine / "reading.zh.j2").write_text(text.replace("怎么读", "如何读"), encoding="utf-8")
    report = run()
    assert {r["because"] for r in report.to_json()["reasons"]} == {"dialogue/reading"}
    assert read(workspace) == fresh(workspace, run)
    (mine / "praise.zh.j2").write_text(
        "{# query: notation-head\n   sets: {six: 7}\n   columns: [name] #}\n"
        "== question\n好记吗？\n== answer\n“{{ row.name }}”好记。\n",
        encoding="utf-8",
    )
    report = run()
    assert report.rewritten == report.total
    line = json.loads(read(workspace)["train.jsonl"].splitlines()[0])
    assert len(line["messages"]) == 14
    assert line["messages"][-1]["template"] == "dialogue/praise"


@pytest.mark.parametrize("survived", range(4))
def test_killed_between_the_files(
    workspace: Any, run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, survived: int
) -> None:
    """Each file steps aside and the new one comes in its place: killed before any of these renames."""
    run()
    write_notations(workspace, [*OWN, "名七四打三"])
    real = Path.rename
    moved: list[Path] = []

    def stop(self: Path, target: Path) -> Any:
        if "jsonl" in self.name:
            if len(moved) == survived:
                raise KeyboardInterrupt
            moved.append(self)
        return real(self, target)

    monkeypatch.setattr(Path, "rename", stop)
    with pytest.raises(KeyboardInterrupt):
        run()
    monkeypatch.undo()
    assert len(moved) == survived
    run()
    assert read(workspace) == fresh(workspace, run)
    assert not list((workspace.out / "dialogues").glob(".*.tmp"))
    assert not list((workspace.out / "dialogues").glob(".*.old"))


def test_two_at_once(workspace: Any, run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    from filelock import FileLock, Timeout

    from guqin_kg.errors import StoreLockedError

    folder = workspace.out / "dialogues"
    folder.mkdir(parents=True)
    real = FileLock.acquire
    monkeypatch.setattr(FileLock, "acquire", lambda self, timeout=None, **k: real(self, timeout=0))
    with FileLock(folder / ".lock"), pytest.raises((StoreLockedError, Timeout)):
        run()


def test_records_keep_the_contract(workspace: Any, run: Callable[..., Any]) -> None:
    report = run(langs=("zh", "en"))
    assert set(report.to_json()) == {"records", "reasons", "seconds", "out"}
    ids = []
    for name in ("train", "val"):
        lines = (workspace.out / "dialogues" / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
        for line in lines:
            record = json.loads(line)
            assert list(record) == ["id", "notation", "reading", "set", "lang", "images", "messages", "fingerprint"]
            assert all(list(m) == ["role", "content", "query", "template", "sources"] for m in record["messages"])
            ids.append(record["id"])
    assert len(set(ids)) == len(ids) == report.total


EDITS = st.lists(
    st.tuples(
        st.sampled_from(["add", "drop", "alias", "note", "tuning", "template"]),
        st.sampled_from(["名七四打三", "散挑五", "撮六一", "大六抹三", "退复"]),
        st.sampled_from(["rh-gou", "lf-da", "rhc-lun", "ls-shang", "string-4"]),
    ),
    min_size=1,
    max_size=3,
)


@pytest.mark.slow
@settings(max_examples=4, deadline=None, suppress_health_check=list(HealthCheck))
@given(edits=EDITS)
def test_any_edits_end_with_the_bytes_of_a_fresh_run(workspace: Any, run: Callable[..., Any], edits: Any) -> None:
    own = list(OWN)
    head = (
        "@prefix gq: <https://w3id.org/guqin/ontology#> .\n@prefix gqr: <https://w3id.org/guqin/resource/> .\n"
        "@prefix skos: <http://www.w3.org/2004/02/skos/core#> .\n"
    )
    run(which="twenty-two")
    for number, (kind, reading, base) in enumerate(edits):
        if kind == "add":
            own = sorted({*own, reading})
            write_notations(workspace, own)
        elif kind == "drop":
            own = own[:-1]
            write_notations(workspace, own)
        elif kind == "template":
            mine = workspace.root / "templates" / "dialogue"
            mine.mkdir(parents=True, exist_ok=True)
            (mine / "count.zh.j2").write_text(
                "{# query: notation-parts\n   sets: {twenty-two: pool} #}\n== question\n有几个部件？\n== answer\n"
                f"{{{{ rows|length }}}}个{'。' * (number + 1)}\n",
                encoding="utf-8",
            )
        else:
            fact = {
                "alias": f'gqr:{base} gq:alias "别{number}" .',
                "note": f'gqr:annotation-x gq:annotates gqr:{base} ; skos:definition "一说{number}"@zh .',
                "tuning": 'gqr:tuning-zhengdiao gq:alias "正宫" .',
            }[kind]
            (workspace.graph / f"edit{number}.ttl").write_text(head + fact + "\n", encoding="utf-8")
        run(which="twenty-two")
    assert read(workspace) == fresh(workspace, run, which="twenty-two")
