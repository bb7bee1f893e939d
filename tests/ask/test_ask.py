"""Questions in words: what is found, what the answer rests on, language models at the other end of a wire."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from guqin_kg.ask import ask
from guqin_kg.ask.finding import Finder, language
from guqin_kg.ask.llm import prompt
from guqin_kg.cli import cli, main
from guqin_kg.errors import DataError, NotFoundError, ReadingError, UsageError
from guqin_kg.graph.workspace import init_workspace
from guqin_kg.query.session import GraphSession, open_graph


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> GraphSession:
    return open_graph(init_workspace(tmp_path_factory.mktemp("ask") / "ws"))


@pytest.mark.parametrize(
    ("question", "words"),
    [
        ("大九勾四用哪个手指？", ["大指", "中指"]),
        ("大九勾四怎么弹？", ["九徽", "四弦"]),
        ("散勾三是什么音？", ["散音"]),
        ("撮大七七散四怎么弹？", ["七弦", "四弦"]),
        ("勾和挑有什么不同？", ["中指", "食指"]),
        ("轮由哪些指法组成？", ["摘", "剔", "挑"]),
        ("什么是散音？", ["空弦"]),
        ("What does gou mean?", ["middle finger"]),
        ("How is 大九勾四 played?", ["left thumb", "hui 9"]),
    ],
)
def test_answers_come_from_the_graph(session: GraphSession, question: str, words: list[str]) -> None:
    found = ask(session, question)
    for word in words:
        assert word in found.text
    assert found.statements
    assert all(s.sources and (s.query or s.template or s.sources) for s in found.statements)


def test_notations_that_the_store_does_not_hold_are_answered_too(session: GraphSession) -> None:
    found = ask(session, "名七六勾五的徽位在哪里？")
    assert "七徽六分" in found.text


@pytest.mark.parametrize(
    ("question", "names"),
    [
        ("大九勾四和名十勾四有何不同", ["大九勾四", "名十勾四"]),
        ("“四”是什么？", ["四"]),
        ("蕤宾调怎么定弦", ["蕤宾调", "定弦"]),
        ("这里的勾怎么弹", ["勾"]),
        ("今天天气如何", []),
    ],
)
def test_what_a_question_names_is_found(session: GraphSession, question: str, names: list[str]) -> None:
    found = [f.text for f in Finder(session, "zh").find(question)]
    assert list(dict.fromkeys(found)) == names


@pytest.mark.parametrize(
    ("question", "whole", "at", "part"),
    [
        ("大九勾八怎么弹？", "大九勾八", 3, "大九勾"),
        ("大十四徽勾四弦怎么弹？", "大十四徽勾四弦", 1, "四徽勾四弦"),
        ("散大九勾四怎么弹", "散大九勾四", 2, "大九勾四"),
        ("请问大散勾四怎么弹", "大散勾四", 0, "散勾四"),
        ("请问一下大九勾八怎么弹", "大九勾八", 3, "大九勾"),
        ("大九勾 八怎么弹", "大九勾 八", 4, "大九勾"),
        ("大9勾8怎么弹", "大9勾8", 3, "大9勾"),
        ("名14.2勾5怎么弹", "名14.2勾5", 1, "勾5"),
        ("大九勾四散怎么弹", "大九勾四散", 4, "大九勾四"),
        ("How is 大九勾八 played?", "大九勾八", 3, "大九勾"),
        ("大九勾四和名十勾八有何不同", "名十勾八", 3, "名十勾"),
        ("大九勾四与勾八有何不同", "勾八", 1, None),
        ("散勾八怎么弹", "散勾八", 2, None),
        ("散勾八勾四怎么弹", "散勾八勾四", 2, "八勾四"),
        ("撮大七七散八怎么弹", "撮大七七散八", 5, None),
        ("大十四徽勾怎么弹", "大十四徽勾", 1, None),
        ("泛音七徽勾八弦怎么弹", "泛音七徽勾八弦", 5, None),
        ("散音大九勾四怎么弹", "散音大九勾四", 3, "大九勾四"),
        ("十四徽在哪里", "十四徽", 0, None),
    ],
)
def test_no_part_is_answered_of_a_notation_that_cannot_be_read(
    session: GraphSession, question: str, whole: str, at: int, part: str | None
) -> None:
    from guqin_kg.notation.parse import parse

    with pytest.raises(ReadingError) as said:
        ask(session, question)
    with pytest.raises(ReadingError) as expected:
        parse(whole, session.grammar)
    assert (said.value.message, said.value.code) == (expected.value.message, expected.value.code)
    assert (said.value.details["reading"], said.value.details["at"]) == (whole, at)
    assert said.value.details.get("part") == part
    assert part is None or part in (said.value.hint or "")


@pytest.mark.parametrize("question", ["“大九勾八”怎么弹？", '"大九X勾四"怎么弹？', "‘大九勾四怎么弹’是什么意思"])
def test_quotes_that_hold_no_reading_are_not_searched_for_one(session: GraphSession, question: str) -> None:
    with pytest.raises(ReadingError) as said:
        Finder(session, "zh").find(question)
    assert said.value.details["reading"] == question[1 : question.index("怎么弹？") - 1 if "？" in question else 8]


@pytest.mark.parametrize(
    ("question", "names"),
    [
        ("请问散挑七是什么意思", ["散挑七"]),
        ("请问一下大九勾四怎么弹", ["大九勾四"]),
        ("上面大九勾四怎么弹", ["大九勾四"]),
        ("大九勾四上面的九是什么", ["大九勾四"]),
        ("谱中散勾四怎么弹", ["散勾四"]),
        ("就散勾四来说", ["散勾四"]),
        ("大九勾四中的九是什么意思", ["大九勾四"]),
        ("大九勾四中九是什么意思", ["大九勾四"]),
        ("大九勾四一般怎么弹", ["大九勾四"]),
        ("大九勾四一共有几个字", ["大九勾四"]),
        ("大九勾四一字怎么读", ["大九勾四"]),
        ("大九勾一字怎么读", ["大九勾一"]),
        ("大九勾四四个字是什么意思", ["大九勾四"]),
        ("大九勾四八个字怎么写", ["大九勾四"]),
        ("大九勾四字怎么读", ["大九勾四"]),
        ("大九勾四十分难弹吗", ["大九勾四"]),
        ("大九勾四大概怎么弹", ["大九勾四"]),
        ("大九勾四名称是什么", ["大九勾四"]),
        ("第四弦散勾四怎么弹", ["四弦", "散勾四"]),
        ("图四大九勾四怎么弹", ["大九勾四"]),
        ("图1勾四怎么弹", ["勾四"]),
        ("名十勾四是高八度吗", ["名十勾四"]),
        ("大九勾四大指怎么按", ["大九勾四", "大指"]),
        ("大九勾四名十勾四有何不同", ["大九勾四", "名十勾四"]),
        ("抹挑勾剔打摘擘托八法是什么", ["抹挑", "勾剔", "打摘"]),
        ("长锁九声怎么弹", ["长锁"]),
        ("第八勾是什么", ["勾"]),
        ("一下是什么", ["一下"]),
        ("琴有七弦十三徽吗", ["七弦", "十三徽"]),
        ("左手名指十徽八分", ["左手", "名指", "十徽", "八分"]),
        ("名十勾三弹出来是什么音", ["名十勾三"]),
        ("名十勾三弹奏的次序", ["名十勾三", "次序"]),
        ("大七对按在琴谱里是什么", ["大七对按"]),
        ("我不会弹大七一勾一", ["大七一勾一"]),
        ("怎么弹大七抹三", ["大七抹三"]),
        ("怎么弹大七七散四", ["弹大七七散四"]),
        ("散全扶七六字怎么弹", ["散全扶七六"]),
        ("大九 勾四怎么弹", ["大九 勾四"]),
        ("大9勾4怎么弹", ["大9勾4"]),
        ("What's 大九勾四 and what's 勾四?", ["大九勾四", "勾四"]),
    ],
)
def test_speech_beside_a_notation_is_no_part_of_it(session: GraphSession, question: str, names: list[str]) -> None:
    found = [f.text for f in Finder(session, language(question)).find(question)]
    assert list(dict.fromkeys(found)) == names


def test_what_another_says_is_searched_without_refusing(session: GraphSession) -> None:
    found = Finder(session, "zh").find("弹“大九勾八”或大九勾八。", strict=False)
    assert "大九勾" in [f.text for f in found]


def command(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    """Exit status of ``guqin`` with these words."""
    monkeypatch.setattr("sys.argv", ["guqin", *words])
    with pytest.raises(SystemExit) as left:
        main()
    return int(left.value.code or 0)


def test_the_command_says_what_cannot_be_read(
    session: GraphSession, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(monkeypatch, "ask", "大九勾八怎么弹？", "--workspace", str(session.workspace.root)) == 1
    said = capsys.readouterr()
    assert "大九勾八 (character 4): there is no string 8" in said.err
    assert "the longest part that can be read is 大九勾" in said.err
    assert not said.out


def test_an_adapter_needs_a_picture(
    session: GraphSession, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    where = ["--workspace", str(session.workspace.root)]
    assert command(monkeypatch, "ask", "大九勾四怎么弹？", "--adapter", "nope", *where) == 2
    assert "needs --image" in capsys.readouterr().err
    with pytest.raises(UsageError, match="needs --image"):
        ask(session, "大九勾四怎么弹？", adapter="nope")


def test_the_language_is_that_of_the_question() -> None:
    assert language("大九勾四怎么弹？") == "zh"
    assert language("How is 大九勾四 played?") == "en"
    assert language("What does “勾” mean?") == "en"


def test_unknown_things_and_empty_questions_are_said_plainly(session: GraphSession) -> None:
    with pytest.raises(NotFoundError, match="nothing"):
        ask(session, "今天天气如何")
    with pytest.raises(UsageError):
        ask(session, "  ")
    with pytest.raises(UsageError):
        ask(session, "勾" * 2000)
    with pytest.raises(UsageError, match="neither"):
        ask(session, "勾是什么", llm="nowhere")
    with pytest.raises(DataError, match="cannot reach"):
        ask(session, "勾是什么", llm="http://127.0.0.1:9/v1")


class _Model(BaseHTTPRequestHandler):
    said: list[Any] = []  # noqa: RUF012 — what was asked of the server

    def _send(self, data: object) -> None:
        body = json.dumps(data).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        self._send({"data": [{"id": "small"}]})

    def do_POST(self) -> None:
        _Model.said.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self._send({"choices": [{"message": {"content": "右手中指勾四弦 [1]。也可以用“擘”。"}}]})

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def endpoint() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), _Model)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/v1"
    server.shutdown()


@pytest.mark.network_loopback
def test_a_language_model_gets_the_statements_and_is_checked(session: GraphSession, endpoint: str) -> None:
    found = ask(session, "大九勾四用哪个手指？", llm=endpoint)
    assert found.text.startswith("右手中指")
    assert found.unsupported == ["擘"]
    asked = _Model.said[-1]
    assert asked["model"] == "small"
    assert f"[1] {found.statements[0].text}" in asked["messages"][0]["content"]


def test_the_prompt_keeps_braces_of_the_question() -> None:
    assert "{statements} 50%" in prompt("{statements} 50%", ["a"], "zh")
    assert "[2] b" in prompt("?", ["a", "b"], "en")


def test_a_picture_is_read_first(session: GraphSession, tmp_path: Path) -> None:
    from PIL import Image

    from guqin_kg.draw import draw_spec, sample_spec
    from guqin_kg.notation.parse import parse

    spec = sample_spec(parse("大九勾四", session.grammar), "clean", 1, size=128, frame="square")
    Image.fromarray(draw_spec(spec).pixels).save(tmp_path / "glyph.png")
    found = ask(session, "这个字怎么弹？", image=tmp_path / "glyph.png")
    assert found.image is not None
    assert found.image["reading"] == found.found[0].text
    assert found.statements
    Image.new("L", (80, 80), 255).save(tmp_path / "empty.png")
    with pytest.raises(NotFoundError, match="not recognised"):
        ask(session, "这个字怎么弹？", image=tmp_path / "empty.png")
    (tmp_path / "bad.png").write_bytes(b"nothing")
    with pytest.raises(DataError, match="picture"):
        ask(session, "这个字怎么弹？", image=tmp_path / "bad.png")


def test_the_command_prints_answer_and_grounds(session: GraphSession) -> None:
    where = ["--workspace", str(session.workspace.root)]
    made = CliRunner().invoke(cli, ["ask", "大九勾四用哪个手指？", "--format", "json", *where])
    assert made.exit_code == 0, made.output
    found = json.loads(made.stdout)
    assert "中指" in found["answer"]
    assert found["statements"][0]["template"]
    assert found["statements"][0]["sources"]
    made = CliRunner().invoke(cli, ["ask", "大九勾四用哪个手指？", *where])
    assert "[1]" in made.stdout
